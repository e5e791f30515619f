"""A board profile: one TOML file a board, read and checked as a whole.

Luna's own lie in ``firmware_config/boards``, the owner's in the folder ``boards`` beside
``luna.toml``; one of the owner's takes the place of Luna's of the same name.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Interval, MaxLen, MinLen

from appliance import paths
from appliance.errors import PanelError
from appliance.panel.boards.pattern import Pattern
from appliance.panel.wiring import Wiring
from appliance.settings import Language, Settings

if TYPE_CHECKING:
    from pydantic import TypeAdapter

OWNER_FOLDER = "boards"
MAX_BYTES = 100_000
_STRICT = {"extra": "forbid"}

# What ends up in files of other programs must not be able to break out of its place in them.
Name = Annotated[str, Pattern(r"[a-z0-9][a-z0-9-]{0,39}")]
OverlayName = Annotated[str, Pattern(r"[a-z0-9][a-z0-9_-]{0,79}")]
Parameter = Annotated[str, Pattern(r"[A-Za-z0-9_][A-Za-z0-9_=.:-]{0,79}")]
GpioSetting = Annotated[str, Pattern(r"\d{1,2}(-\d{1,2})?=[a-z]{2}(,[a-z]{2}){0,2}")]
CardId = Annotated[str, Pattern(r"[A-Za-z0-9_]{1,15}")]
ControlName = Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9 ./()+-]{0,43}")]
ControlValue = Annotated[str, Pattern(r"[A-Za-z0-9][A-Za-z0-9 .,*/+%-]{0,59}")]
UsbId = Annotated[str, Pattern(r"[0-9a-f]{4}:[0-9a-f]{4}")]
Text = Annotated[str, MinLen(1), MaxLen(2000)]
Title = Annotated[str, Pattern(r"[^\x00-\x1f\x7f-\x9f]{1,100}")]


@dataclass(frozen=True)
class Overlay:
    """A device tree overlay that the boot loader applies."""

    name: OverlayName
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class Boot:
    """What the boot configuration of a Raspberry Pi must say."""

    overlays: tuple[Overlay, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    """``dtparam`` lines, such as ``spi=on``."""
    gpio: tuple[GpioSetting, ...] = ()
    """``gpio`` lines, such as ``25=op,dh``: output, driven high."""
    skip_hat_overlay: bool = False
    """Load none for the board's EEPROM, because the one named here is to take its place."""


@dataclass(frozen=True)
class Control:
    """A control of the sound card's mixer and its value, as ``amixer cset`` takes them."""

    name: ControlName
    value: ControlValue


@dataclass(frozen=True)
class Sound:
    """The sound card."""

    card: CardId
    """ALSA's identifier of the card, the word after its number in ``/proc/asound/cards``."""
    capture: bool = True
    playback: bool = True
    rates: tuple[Annotated[int, Interval(ge=8000, le=192_000)], ...] = (48_000,)
    """Sample rates of the card, Hz; the first is used."""
    format: Literal["S16_LE", "S32_LE"] = "S16_LE"
    channels: Annotated[int, Interval(ge=1, le=8)] = 2
    controls: tuple[Control, ...] = ()
    """Set whenever the card appears."""


@dataclass(frozen=True)
class I2cChip:
    """A chip on the I2C bus of the header."""

    address: Annotated[int, Interval(ge=0x03, le=0x77)]
    chip: Annotated[str, Pattern(r"[a-z0-9]{2,20}")]
    """As the kernel names it, such as ``wm8960``."""


@dataclass(frozen=True)
class Identity:
    """By what the board is recognised."""

    eeprom: tuple[Text, ...] = ()
    """``product`` in the device tree's HAT node, which the firmware copies from the EEPROM."""
    i2c: tuple[I2cChip, ...] = ()
    usb: tuple[UsbId, ...] = ()
    """``vendor:product`` of a serial panel."""


@dataclass(frozen=True)
class Profile:
    """One board."""

    __pydantic_config__: ClassVar[dict[str, str]] = _STRICT
    name: Name
    title: Title
    description: dict[Language, Text]
    computer: Literal["raspberry-pi", "other", "any"] = "raspberry-pi"
    """Whose header its lines are counted on."""
    links: tuple[Text, ...] = ()
    unsupported: str = ""
    """Why Luna cannot use this board; empty for all others."""
    conflicts: tuple[Text, ...] = ()
    not_verified: tuple[Text, ...] = ()
    """What was taken from documents and not seen on a board."""
    drawing: str = ""
    lines: dict[Annotated[int, Interval(ge=0, le=511)], Text] = field(default_factory=dict)
    """Lines the board or a kernel driver uses, so that the panel may not."""
    boot: Boot = field(default_factory=Boot)
    sound: Sound | None = None
    identity: Identity = field(default_factory=Identity)
    panel: Wiring = field(default_factory=Wiring)
    serial_panel: bool = False
    """Button and LEDs sit on a microcontroller, see ``docs/serial-panel.md``."""

    def describe(self, language: str) -> str:
        """Return the description in *language*, else in English."""
        texts = {str(key): value for key, value in self.description.items()}
        return texts.get(language) or texts["en"]


def data_folder() -> Path:
    """Return ``firmware_config``: inside the package when installed, else the repository's."""
    package = Path(__file__).parents[2]
    packaged = package / "firmware_config"
    return packaged if packaged.is_dir() else package.parent / "firmware_config"


def files() -> dict[str, Path]:
    """Return the files of all profiles by name."""
    folders = (data_folder() / "boards", paths.config_dir() / OWNER_FOLDER)
    found = {
        path.stem: path
        for folder in folders
        if folder.is_dir()
        for path in folder.glob("*.toml")
        if not path.name.startswith(".")
    }
    return dict(sorted(found.items()))


def find(name: str) -> Profile:
    """Return a profile by name.

    Raises:
        PanelError: there is none, or it is wrong; the message says what.
    """
    known = files()
    if name in known:
        return load(known[name])
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see `luna board list`"
    raise PanelError(f"there is no board profile {name!r}; {hint}")


def setting_mistakes(settings: Settings, _environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with ``panel.board``: a check for :func:`appliance.config.load`."""
    if settings.panel.board:
        try:
            find(settings.panel.board)
        except PanelError as error:
            yield "panel.board", str(error)


def load(path: Path) -> Profile:
    """Read one profile and check that it can work.

    Raises:
        PanelError: it cannot be read or is wrong; one sentence with the first mistake.
    """
    from appliance.panel.boards import lint

    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise PanelError(f"board profile {path} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise PanelError(f"board profile {path} is larger than {MAX_BYTES:,} bytes")
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise PanelError(f"board profile {path} is not TOML: {error}") from error
    profile = parse(table, str(path))
    mistakes = lint.mistakes(profile, path.stem)
    if mistakes:
        raise PanelError(_sentence(str(path), mistakes))
    return profile


def parse(table: dict[str, Any], source: str) -> Profile:
    """Return the profile in a parsed TOML *table*; *source* is named in the message.

    Raises:
        PanelError: keys or values are wrong.
    """
    from pydantic import ValidationError

    try:
        return _adapter().validate_python(table)
    except ValidationError as error:
        raise PanelError(_sentence(source, [_describe(e) for e in error.errors()])) from error


@cache
def _adapter() -> TypeAdapter[Profile]:
    from pydantic import TypeAdapter

    return TypeAdapter(Profile)


def _sentence(source: str, mistakes: list[str]) -> str:
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return f"board profile {source}: {mistakes[0]}{more}"


def _describe(error: Any) -> str:
    """Return what pydantic found, as the rest of a sentence."""
    place = ".".join(str(part) for part in error["loc"] if part != "[key]")
    match error["type"]:
        case "unexpected_keyword_argument":
            return f"{place} is not a key of a board profile"
        case "missing" | "missing_argument":
            return f"{place} is missing"
    message = error["msg"].removeprefix("Value error, ")
    value = repr(error["input"])
    return f"{place}: {message[0].lower()}{message[1:]}, not {value[:60]}"
