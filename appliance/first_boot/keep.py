"""Writes what the owner wants: to the data partition, and to /run what holds for this start."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from appliance.first_boot.owner_files import LUNA_TXT, YES, ssid
from appliance.first_boot.places import Places
from appliance.first_boot.report import Report
from appliance.whole_file import replace

WPA_ROUNDS = 4096
"""Of PBKDF2 in WPA2 (IEEE 802.11i, annex H.4)."""
HOTSPOT = "luna-setup-hotspot"
"""A file in /run: while it is there, NetworkManager and comitup may start (see their drop-ins)."""
HANDS_OFF = "# The set-up hotspot has the Wi-Fi.\n[Match]\nName=wl*\n\n[Link]\nUnmanaged=yes\n"
COMITUP = ("usr/lib/systemd/system/comitup.service", "lib/systemd/system/comitup.service")


def keep(values: dict[str, str], places: Places) -> None:
    """Write what the owner wants; the same again writes nothing.

    Raises:
        OSError: the data partition cannot be written.
    """
    system = places.system
    if name := values.get("host_name"):
        put(system / "hostname", f"{name}\n")
    if zone := values.get("time_zone"):
        link(system / "localtime", Path("/usr/share/zoneinfo") / zone)
    if name := values.get("wifi_name"):
        put(places.wifi, "\n".join(_wifi(name, values)) + "\n", 0o600)
    if phrase := values.get("page_password_hash"):
        replace(places.page_password, f"{phrase}\n", 0o600, like=places.page_password.parent)
    tables = {
        "general": ("language", values.get("language")),
        "panel": ("board", values.get("board")),
    }
    lines = [f'[{table}]\n{key} = "{value}"\n' for table, (key, value) in tables.items() if value]
    if lines:
        put(places.configuration, "# From luna.txt on the boot partition.\n" + "".join(lines))


def put(path: Path, text: str, mode: int | None = None) -> bool:
    """Write *text* to *path* unless it is there already; return whether it was written.

    A card wears out by writing, and this runs at each start.
    """
    try:
        if path.read_text("utf-8") == text:
            return False
    except (OSError, UnicodeDecodeError):
        pass
    replace(path, text, mode)
    return True


def link(path: Path, target: Path) -> None:
    """Make *path* a link to *target*, in one step."""
    if path.is_symlink() and path.readlink() == target:
        return
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    part.replace(path)


def _wifi(name: str, values: dict[str, str]) -> Iterator[str]:
    """Yield wpa_supplicant's configuration; the password is kept only as the key made of it."""
    if country := values.get("wifi_country"):
        yield f"country={country}"
    yield "network={"
    yield "  " + ssid(name).rstrip()
    if password := values.get("wifi_password"):
        made = hashlib.pbkdf2_hmac("sha1", password.encode(), name.encode(), WPA_ROUNDS, 32)
        yield f"  psk={made.hex()}"
        yield "  key_mgmt=WPA-PSK WPA-PSK-SHA256"
        yield "  ieee80211w=1"
    else:
        yield "  key_mgmt=NONE"
    yield "}"


def offer_hotspot(values: dict[str, str], places: Places, report: Report) -> None:
    """Let the set-up hotspot start where the owner wants one and has named no network.

    Raises:
        OSError: /run cannot be written.
    """
    if values.get("setup_hotspot") != YES or places.wifi.exists():
        return
    if not any((places.root / unit).is_file() for unit in COMITUP):
        report.add("first_boot.no_hotspot", LUNA_TXT)
        return
    replace(places.run / "systemd/network/05-luna-hotspot.network", HANDS_OFF)
    replace(places.run / HOTSPOT, "")
