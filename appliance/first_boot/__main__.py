"""`python -m appliance.first_boot`: what ``luna-first-boot.service`` runs at each start."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from appliance.first_boot.board import RULES
from appliance.first_boot.places import Places
from appliance.first_boot.report import Report, sentence
from appliance.first_boot.setup import set_up

OWNER_ID = 1000
"""Who logs in over SSH."""
LUNA_FOLDER = Path("/var/lib/luna")


def main() -> int:
    """Set the box up; return 0 also when lines were wrong, since the rest must start."""
    places = Places()
    report = Report()
    if not os.path.ismount(places.data):
        report.add("first_boot.no_data", "")
        _keep_nothing()
    set_up(places, report)
    if (places.root / RULES).is_file():
        _tell_udev()
    with contextlib.suppress(OSError):
        _prepare_log_in(places)
    name = places.system / "hostname"
    if name.is_file():
        Path("/proc/sys/kernel/hostname").write_text(name.read_text(), encoding="ascii")
    report.write(places.report)
    for problem in report.all():
        sys.stderr.write(f"{sentence(problem, 'en')}\n")
    return 0


def _keep_nothing() -> None:
    """Without a data partition, let Luna start read-only: what she is told would be lost."""
    LUNA_FOLDER.mkdir(parents=True, exist_ok=True)
    options = "ro,mode=0700,uid=luna,gid=luna,size=64k"
    mount = ["mount", "-t", "tmpfs", "-o", options, "no-data", str(LUNA_FOLDER)]
    subprocess.run(mount, check=False)


def _tell_udev() -> None:
    """Let the board's rules hold for the devices that were found before."""
    for words in ("control --reload", "trigger --action=change"):
        subprocess.run(["udevadm", *words.split()], check=False)


def _prepare_log_in(places: Places) -> None:
    """Make the box's own SSH key, and the owner's home, at the first start."""
    key = places.system / "ssh/ssh_host_ed25519_key"
    if not key.exists():
        part = key.with_name("new_key")
        part.unlink(missing_ok=True)
        making = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "luna", "-f", str(part)]
        subprocess.run(making, check=False)
        part.with_suffix(".pub").replace(key.with_suffix(".pub"))
        part.replace(key)
    home = places.data / "home"
    home.mkdir(exist_ok=True)
    os.chown(home, OWNER_ID, OWNER_ID)


if __name__ == "__main__":
    sys.exit(main())
