"""What cannot work in a board profile though each value by itself is allowed."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache

from appliance.panel.boards import profile as profiles
from appliance.panel.boards.profile import Profile
from appliance.panel.wiring import Wiring

# BCM numbers, https://pinout.xyz
EEPROM_LINES = frozenset({0, 1})
I2C_LINES = frozenset({2, 3})
SPI_LINES = frozenset({7, 8, 9, 10, 11})
I2S_LINES = frozenset({18, 19, 20, 21})
HEADER_LINES = range(28)
SPI0 = {"data": 10, "clock": 11}
MAX_STRIP = 300
"""LEDs in a strip: more take longer than a frame to send."""


def mistakes(profile: Profile, stem: str | None = None) -> list[str]:
    """Return what is wrong, each as the rest of a sentence; empty for a good profile.

    *stem* is the name of its file without ``.toml``.
    """
    return list(_mistakes(profile, stem))


def _mistakes(profile: Profile, stem: str | None) -> Iterator[str]:
    if stem is not None and profile.name != stem:
        yield f"its name is {profile.name!r}, but its file is called {stem}.toml"
    if "en" not in profile.description:
        yield "the description has no English text (description.en)"
    yield from _shared_lines(profile)
    if profile.computer == "raspberry-pi":
        yield from _reserved_lines(profile)
        yield from _strip(profile)
    elif profile.boot != profiles.Boot():
        yield "only a Raspberry Pi has a boot section; set computer to raspberry-pi, or remove it"
    if profile.computer == "any" and profile.panel != Wiring():
        yield "a panel on lines needs a computer with a header; set computer"
    yield from _overlays(profile)
    yield from _sound(profile)


def _shared_lines(profile: Profile) -> Iterator[str]:
    taken = dict(profile.lines)
    for line, part in profile.panel.all_lines():
        if line in taken:
            yield f"line {line} is used twice, for {taken[line]} and for {part}"
        taken[line] = part


def _reserved(profile: Profile) -> dict[int, str]:
    """Return the lines of the header that no part may have, and to what they belong."""
    reserved = dict.fromkeys(EEPROM_LINES, "the board's EEPROM")
    reserved |= dict.fromkeys(I2S_LINES, "the I2S bus of the sound card")
    if "i2c_arm=on" in profile.boot.parameters or profile.identity.i2c:
        reserved |= dict.fromkeys(I2C_LINES, "the I2C bus")
    if "spi=on" in profile.boot.parameters:
        reserved |= dict.fromkeys(SPI_LINES, "the SPI bus")
    return reserved


def free_lines(profile: Profile) -> list[int]:
    """Return the lines of a Raspberry Pi's header that nothing uses."""
    # Those of I2C have resistors on the computer's own board, also where the bus is off.
    taken = {*_reserved(profile), *I2C_LINES, *profile.lines, *_boot_lines(profile)}
    taken |= profile.panel.lines().keys()
    return [line for line in HEADER_LINES if line not in taken]


def _reserved_lines(profile: Profile) -> Iterator[str]:
    strip = profile.panel.strip
    reserved = _reserved(profile)
    driven = _boot_lines(profile)
    for line, part in profile.panel.all_lines():
        if line not in HEADER_LINES:
            yield f"{part} is on line {line}, but the header has lines 0 to {HEADER_LINES[-1]}"
        of_strip = strip is not None and strip.spi is not None and part.startswith("strip")
        if line in reserved and not of_strip:
            yield f"{part} is on line {line}, which belongs to {reserved[line]}"
        if line in driven:
            yield f"{part} is on line {line}, which the boot section sets already"
    for line, part in profile.lines.items():
        if line not in HEADER_LINES or line in I2S_LINES:
            yield f"{part} is on line {line}, which is no free line of the header"


def _boot_lines(profile: Profile) -> set[int]:
    """Return the lines that ``gpio`` settings name, single or as a range."""
    lines: set[int] = set()
    for setting in profile.boot.gpio:
        first, _, last = setting.partition("=")[0].partition("-")
        lines |= set(range(int(first), int(last or first) + 1))
    return lines


def _strip(profile: Profile) -> Iterator[str]:
    strip = profile.panel.strip
    if strip is None:
        return
    if not 1 <= strip.count <= MAX_STRIP:
        yield f"the strip has {strip.count} LEDs; 1 to {MAX_STRIP} are possible"
    if strip.spi is None:
        return
    if "spi=on" not in profile.boot.parameters:
        yield "the strip is on SPI, but boot.parameters has no spi=on"
    if strip.spi[0] == 0 and {"data": strip.data, "clock": strip.clock} != SPI0:
        yield "the strip is on SPI bus 0, whose data is line 10 and whose clock is line 11"


def _overlays(profile: Profile) -> Iterator[str]:
    sound = [overlay.name for overlay in profile.boot.overlays if overlay.name in sound_overlays()]
    for overlay in profile.boot.overlays:
        if overlay.name not in sound and overlay.name not in _known()["other"]:
            yield f"the overlay {overlay.name} is not known; see firmware_config/boot/overlays.toml"
    if len(sound) > 1:
        yield f"it loads two sound cards, {sound[0]} and {sound[1]}; there is one I2S bus"
    if sound and profile.sound is None:
        yield f"it loads the sound card {sound[0]}, but has no sound section"


def _sound(profile: Profile) -> Iterator[str]:
    sound = profile.sound
    if sound is None:
        return
    if not (sound.capture or sound.playback):
        yield "its sound card neither records nor plays"
    if not sound.rates:
        yield "sound.rates is empty"
    names = [control.name for control in sound.controls]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"the control {name} is set twice"


@cache
def _known() -> dict[str, frozenset[str]]:
    text = (profiles.data_folder() / "boot" / "overlays.toml").read_text(encoding="utf-8")
    return {key: frozenset(names) for key, names in tomllib.loads(text).items()}


def sound_overlays() -> frozenset[str]:
    """Return the overlays of sound cards."""
    return _known()["sound"] | _known()["vendor"]


@cache
def vendor_overlays() -> dict[str, str]:
    """Return where the overlays come from that the firmware does not bring, by name."""
    text = (profiles.data_folder() / "boot" / "overlays.toml").read_text(encoding="utf-8")
    sources: dict[str, str] = tomllib.loads(text)["vendor"]
    return sources
