"""Sets a box without a keyboard up from two files that its owner put on the boot partition.

``luna.txt`` has lines ``key = value``; ``authorized_keys`` has the SSH keys that may log in. Both
are read at each start. What is understood is kept on the data partition; what is not is reported
(page, LED, `luna doctor` read the report), and the rest still holds. What was secret is taken out
of ``luna.txt`` once it is kept. Runs as root, before anything that depends on it; it imports
nothing heavy.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from appliance.whole_file import replace

MAX_BYTES = 64 * 1024
"""A file that is larger is not one that a person wrote."""
OWNER_ID = 1000
"""Who logs in over SSH."""
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
TAKEN = "(taken)"
"""Stands in ``luna.txt`` where a secret was."""
WPA_ROUNDS = 4096
"""Of PBKDF2 in WPA2 (IEEE 802.11i, annex H.4)."""


class WrongValueError(Exception):
    """A value cannot be used; the text is the key of a sentence in the catalogues."""


@dataclass
class Report:
    """What was wrong."""

    problems: list[dict[str, str | int]] = field(default_factory=list)

    def add(self, sentence: str, file: str, line: int = 0, **values: str) -> None:
        """Note a problem: *sentence* is a key of the catalogues."""
        self.problems.append({"sentence": sentence, "file": file, "line": line, **values})


@dataclass(frozen=True)
class Places:
    """Where things lie; a test has a tree of its own."""

    root: Path = Path("/")

    @property
    def boot(self) -> Path:
        return self.root / "boot"

    @property
    def system(self) -> Path:
        return self.root / "data/system"

    @property
    def configuration(self) -> Path:
        return self.root / "data/etc/conf.d/20-box.toml"

    @property
    def page_password(self) -> Path:
        """The page takes it from here, and removes it."""
        return self.root / "data/luna/page_password_hash"

    @property
    def zones(self) -> Path:
        return self.root / "usr/share/zoneinfo"

    @property
    def boards(self) -> Path:
        return self.root / "opt/luna/lib/appliance/firmware_config/boards"

    @property
    def report(self) -> Path:
        return self.root / "run/luna-first-boot.json"


# --- reading ----------------------------------------------------------------------------------


def read_settings(text: str, places: Places, report: Report) -> dict[str, str]:
    """Return the values in ``luna.txt`` that can be used; note every other line."""
    checks = _checks(places)
    values: dict[str, str] = {}
    taken: set[str] = set()
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        key = key.lower().replace("-", "_").replace(" ", "_")
        value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if not equals:
            report.add("first_boot.no_value", "luna.txt", number)
        elif key not in checks:
            near = difflib.get_close_matches(key, checks, 1)
            report.add(
                "first_boot.unknown_key", "luna.txt", number, name=key[:40], near="".join(near)
            )
        elif value == TAKEN:
            taken.add(key)
        elif value:
            try:
                checks[key](value)
                values[key] = value
            except WrongValueError as wrong:
                report.add(str(wrong), "luna.txt", number, name=key)
    if "wifi_password" in taken:
        # The whole network was kept at an earlier start; without its password it would be open.
        values = {key: value for key, value in values.items() if not key.startswith("wifi_")}
    if ("wifi_password" in values or "wifi_country" in values) and "wifi_name" not in values:
        report.add("first_boot.wifi_without_name", "luna.txt")
    return values


def _checks(places: Places) -> dict[str, Callable[[str], None]]:
    """Return the function that refuses a wrong value, by key."""

    def matching(pattern: str, sentence: str) -> Callable[[str], None]:
        def check(value: str) -> None:
            if not re.fullmatch(pattern, value):
                raise WrongValueError(sentence)

        return check

    def time_zone(value: str) -> None:
        plain = re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", value)
        if not plain or not (places.zones / value).is_file():
            raise WrongValueError("first_boot.time_zone")

    def board(value: str) -> None:
        if (
            not re.fullmatch(r"[a-z0-9-]+", value)
            or not (places.boards / f"{value}.toml").is_file()
        ):
            raise WrongValueError("first_boot.board")

    def wifi_name(value: str) -> None:
        if not 1 <= len(value.encode()) <= 32:  # noqa: PLR2004 - IEEE 802.11
            raise WrongValueError("first_boot.wifi_name")

    return {
        "host_name": matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "first_boot.host_name"),
        "time_zone": time_zone,
        "language": matching("en|pt", "first_boot.language"),
        "wifi_country": matching("[A-Z]{2}", "first_boot.wifi_country"),
        "wifi_name": wifi_name,
        "wifi_password": matching(r"[ -~]{8,63}", "first_boot.wifi_password"),
        "board": board,
        "page_password_hash": matching(
            r"\$argon2id\$v=\d+\$[a-zA-Z0-9=,]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+",
            "first_boot.page_password_hash",
        ),
    }


def read_keys(text: str, report: Report) -> list[str]:
    """Return the lines of ``authorized_keys`` that are keys, without their options."""
    keys = []
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2 or words[0] not in KEY_TYPES or not words[1].startswith("AAAA"):  # noqa: PLR2004
            report.add("first_boot.ssh_key", "authorized_keys", number)
            continue
        keys.append(" ".join(words))
    return keys


def _read(file: Path, report: Report) -> str | None:
    """Return the text of a file on the boot partition; None where there is none."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError:
        report.add("first_boot.unreadable", file.name)
        return None
    if len(data) > MAX_BYTES:
        report.add("first_boot.too_large", file.name)
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        report.add("first_boot.not_text", file.name)
        return None


# --- keeping ----------------------------------------------------------------------------------


def keep(values: dict[str, str], places: Places) -> None:
    """Write what the owner wants to the data partition."""
    system = places.system
    if name := values.get("host_name"):
        replace(system / "hostname", f"{name}\n")
    if zone := values.get("time_zone"):
        _link(system / "localtime", Path("/usr/share/zoneinfo") / zone)
    if name := values.get("wifi_name"):
        replace(system / "wpa_supplicant.conf", "\n".join(_wifi(name, values)) + "\n", 0o600)
    if phrase := values.get("page_password_hash"):
        replace(places.page_password, f"{phrase}\n", 0o600, like=places.page_password.parent)
    tables = {
        "general": ("language", values.get("language")),
        "panel": ("board", values.get("board")),
    }
    lines = [f'[{table}]\n{key} = "{value}"\n' for table, (key, value) in tables.items() if value]
    if lines:
        replace(places.configuration, "# From luna.txt on the boot partition.\n" + "".join(lines))


def _wifi(name: str, values: dict[str, str]) -> Iterator[str]:
    """Yield wpa_supplicant's configuration; the password is kept only as the key made of it."""
    if country := values.get("wifi_country"):
        yield f"country={country}"
    yield "network={"
    yield f"  ssid={name.encode().hex()}"
    if password := values.get("wifi_password"):
        made = hashlib.pbkdf2_hmac("sha1", password.encode(), name.encode(), WPA_ROUNDS, 32)
        yield f"  psk={made.hex()}"
        yield "  key_mgmt=WPA-PSK WPA-PSK-SHA256"
        yield "  ieee80211w=1"
    else:
        yield "  key_mgmt=NONE"
    yield "}"


def take_secrets(text: str) -> str:
    """Return ``luna.txt`` without what must not stay on a partition that any computer reads."""
    secret = re.compile(
        r"^(\s*(?:wifi_password|page_password_hash)\s*=\s*)(.+?)(\r?)$", re.M | re.I
    )
    return secret.sub(lambda found: f"{found[1]}{TAKEN}{found[3]}", text)


def _link(link: Path, target: Path) -> None:
    part = link.with_name(f".{link.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(link)


# --- the whole --------------------------------------------------------------------------------


def set_up(places: Places) -> Report:
    """Read both files and keep what they say; return what was wrong."""
    report = Report()
    for folder in (places.system / "ssh", places.configuration.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if not (places.system / "localtime").is_symlink():
        _link(places.system / "localtime", Path("/usr/share/zoneinfo/UTC"))
    text = _read(places.boot / "luna.txt", report)
    if text is not None:
        keep(read_settings(text, places, report), places)
        if (cleaned := take_secrets(text)) != text:
            try:
                replace(places.boot / "luna.txt", cleaned, 0o600)
            except OSError:
                report.add("first_boot.secret_stays", "luna.txt")
    keys = _read(places.boot / "authorized_keys", report)
    if keys is not None and (found := read_keys(keys, report)):
        replace(places.system / "authorized_keys", "\n".join(found) + "\n")
    return report


def main() -> int:
    """Set the box up; return 0 also when lines were wrong, since the rest must start."""
    places = Places()
    try:
        report = set_up(places)
    except OSError as error:
        # A card that cannot be written: Luna still starts, and says so.
        report = Report()
        report.add("first_boot.read_only", error.filename or "")
    with contextlib.suppress(OSError):
        _prepare_log_in(places)
    name = places.system / "hostname"
    if name.is_file():
        Path("/proc/sys/kernel/hostname").write_text(name.read_text(), encoding="ascii")
    replace(places.report, json.dumps({"problems": report.problems}))
    for problem in report.problems:
        sys.stderr.write(f"{problem['file']}: line {problem['line']}: {problem['sentence']}\n")
    return 0


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
    home = places.root / "data/home"
    home.mkdir(exist_ok=True)
    os.chown(home, OWNER_ID, OWNER_ID)


if __name__ == "__main__":
    sys.exit(main())
