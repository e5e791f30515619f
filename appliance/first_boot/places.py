"""Where things lie on a box of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Paths below *root*; a test has a tree of its own."""

    root: Path = Path("/")

    @property
    def boot(self) -> Path:
        """The boot partition, which any computer can read."""
        return self.root / "boot"

    @property
    def data(self) -> Path:
        """The data partition."""
        return self.root / "data"

    @property
    def system(self) -> Path:
        """What the system itself keeps there."""
        return self.data / "system"

    @property
    def wifi(self) -> Path:
        """The network; where it is, ``luna-wifi@.service`` joins it."""
        return self.system / "wpa_supplicant.conf"

    @property
    def configuration(self) -> Path:
        """Read by the service, as a file of ``/etc/luna/conf.d``."""
        return self.data / "etc/conf.d/20-box.toml"

    @property
    def page_password(self) -> Path:
        """The page takes it from here, and removes it."""
        return self.data / "luna/page_password_hash"

    @property
    def zones(self) -> Path:
        return self.root / "usr/share/zoneinfo"

    @property
    def boards(self) -> Path:
        return self.root / "opt/luna/lib/appliance/firmware_config/boards"

    @property
    def run(self) -> Path:
        """What holds until the next start."""
        return self.root / "run"

    @property
    def report(self) -> Path:
        return self.run / "luna-first-boot.json"
