"""Reads ``luna.txt`` and ``authorized_keys``: what can be used of them, and what cannot."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from appliance.first_boot.places import Places
from appliance.first_boot.report import Report

LUNA_TXT = "luna.txt"
AUTHORIZED_KEYS = "authorized_keys"
MAX_BYTES = 64 * 1024
"""A file that is larger is not one that a person wrote."""
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
)
SECRETS = ("wifi_password", "page_password_hash")
TAKEN = "(taken)"
"""Stands in ``luna.txt`` where a secret was."""
YES = "yes"
ARGON2 = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,9}),p=(\d{1,9})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}"
)
"""The form of the reference implementation of argon2 (RFC 9106)."""
DEAREST = (128 * 1024, 10, 4)
"""Memory (KiB), passes and lanes of a hash that a small box can be asked for at each log-in."""


class WrongValueError(Exception):
    """A value cannot be used; the text is the key of a sentence in the catalogues."""


def read(file: Path, report: Report) -> str | None:
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
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        report.add("first_boot.not_text", file.name)
        return None
    return text


def read_settings(text: str, places: Places, report: Report) -> dict[str, str]:
    """Return the values in ``luna.txt`` that can be used; note every other line."""
    checks = _checks(places)
    values: dict[str, str] = {}
    taken: set[str] = set()
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        if not raw.strip() or raw.strip().startswith("#"):
            continue
        key, equals, value = _parts(raw)
        if not equals:
            report.add("first_boot.no_value", LUNA_TXT, number)
        elif key not in checks:
            # Not what stands there: it may be a password.
            if near := "".join(difflib.get_close_matches(key, checks, 1)):
                report.add("first_boot.unknown_key", LUNA_TXT, number, near=near)
            else:
                report.add("first_boot.unknown", LUNA_TXT, number)
        elif value == TAKEN:
            taken.add(key)
        elif value:
            try:
                checks[key](value)
                values[key] = value
            except WrongValueError as wrong:
                report.add(str(wrong), LUNA_TXT, number, name=key)
    return _whole_wifi(values, taken, places, report)


def _parts(line: str) -> tuple[str, str, str]:
    """Return key, equals sign and value; the key as we write it."""
    key, equals, value = (part.strip() for part in line.lstrip("\ufeff").partition("="))
    value = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return key.lower().replace("-", "_").replace(" ", "_"), equals, value


def _whole_wifi(
    values: dict[str, str], taken: set[str], places: Places, report: Report
) -> dict[str, str]:
    """Return *values* with the whole of a Wi-Fi network, or nothing of it."""
    without = {key: value for key, value in values.items() if not key.startswith("wifi_")}
    name = values.get("wifi_name")
    if "wifi_password" in taken and "wifi_password" not in values:
        # The network was kept at an earlier start; without its password it would be an open one.
        if name is not None and ssid(name) not in _text(places.wifi):
            report.add("first_boot.wifi_password_again", LUNA_TXT)
        return without
    if name is None and len(without) < len(values):
        report.add("first_boot.wifi_without_name", LUNA_TXT)
        return without
    return values


def ssid(name: str) -> str:
    """Return the line that names a network in wpa_supplicant's configuration."""
    return f"ssid={name.encode().hex()}\n"


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


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
        file = places.boards / f"{value}.toml"
        if not re.fullmatch(r"[a-z0-9-]+", value) or not file.is_file():
            raise WrongValueError("first_boot.board")
        if tomllib.loads(file.read_text("utf-8")).get("unsupported"):
            raise WrongValueError("first_boot.board_unsupported")

    def wifi_name(value: str) -> None:
        if not 1 <= len(value.encode()) <= 32:  # noqa: PLR2004 - IEEE 802.11
            raise WrongValueError("first_boot.wifi_name")

    def page_password_hash(value: str) -> None:
        found = ARGON2.fullmatch(value)
        if not found or any(int(n) > most for n, most in zip(found.groups(), DEAREST, strict=True)):
            raise WrongValueError("first_boot.page_password_hash")

    return {
        "host_name": matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "first_boot.host_name"),
        "time_zone": time_zone,
        "language": matching("en|pt", "first_boot.language"),
        "wifi_country": matching("[A-Z]{2}", "first_boot.wifi_country"),
        "wifi_name": wifi_name,
        "wifi_password": matching(r"[ -~]{8,63}", "first_boot.wifi_password"),
        "setup_hotspot": matching(f"{YES}|no", "first_boot.yes_or_no"),
        "board": board,
        "page_password_hash": page_password_hash,
    }


def read_keys(text: str, report: Report) -> list[str]:
    """Return the lines of ``authorized_keys`` that are keys, without their options."""
    keys = []
    for number, raw in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2 or words[0] not in KEY_TYPES or not words[1].startswith("AAAA"):  # noqa: PLR2004
            report.add("first_boot.ssh_key", AUTHORIZED_KEYS, number)
            continue
        keys.append(" ".join(words))
    return keys


def take_secrets(text: str, kept: dict[str, str]) -> str:
    """Return ``luna.txt`` without the secrets that are *kept*.

    Any computer can read that partition. What could not be used stays: whoever wrote it must see
    the mistake.
    """
    lines = []
    for line in text.splitlines(keepends=True):
        key, _, value = _parts(line)
        if key in SECRETS and value and value == kept.get(key):
            ending = line[len(line.rstrip("\r\n")) :]
            head = line[: line.index("=") + 1]
            line = f"{head} {TAKEN}{ending}"  # noqa: PLW2901
        lines.append(line)
    return "".join(lines)
