"""Sets a system up for a board: plans every change to a file first, then writes them.

A second run plans nothing. `--root` makes it work on a tree that is not running, such as an image.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from appliance.errors import PanelError, StorageError
from appliance.panel.boards import blocks, lint
from appliance.panel.boards import profile as profiles
from appliance.panel.boards.detect import device_tree_text
from appliance.panel.boards.profile import Profile

if TYPE_CHECKING:
    from jinja2 import Environment

CONFIG_TXT = ("boot/firmware/config.txt", "boot/config.txt")
"""Raspberry Pi OS since bookworm, and before."""
ASOUND_CONF = "etc/asound.conf"
RULES = "etc/udev/rules.d/95-luna-board.rules"
SYSUSERS = "etc/sysusers.d/luna-board.conf"
BOARD_TOML = "etc/luna/conf.d/board.toml"
OWNER_PROFILES = "etc/luna/boards"
PREVIOUS = ".luna-previous"
"""Ending of the copy of a file as it was before its last change."""
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class Change:
    """One file that is to be written, changed or removed."""

    name: str
    """Path below the root."""
    target: Path
    before: bytes | None
    after: bytes | None
    """None: the file is not there, or is to be removed."""

    def diff(self) -> str:
        """Return the difference in unified form."""
        old, new = (_lines(data) for data in (self.before, self.after))
        source = "/dev/null" if self.before is None else f"a/{self.name}"
        result = "/dev/null" if self.after is None else f"b/{self.name}"
        return "".join(difflib.unified_diff(old, new, source, result))


@dataclass(frozen=True)
class Plan:
    """What `luna board apply` is going to do."""

    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    reboot: bool
    """The boot configuration changes."""
    groups: tuple[str, ...]
    """The user that Luna runs as must be a member of these."""


def _lines(data: bytes | None) -> list[str]:
    text = (data or b"").decode("utf-8", errors="replace")
    return [line.rstrip("\r\n") + "\n" for line in text.splitlines()]


def plan(profile: Profile, root: Path) -> Plan:
    """Return the changes that set the system below *root* up for the board.

    Raises:
        PanelError: the board is not supported, this is no computer for it, or a file that is
            there cannot be used.
    """
    if profile.unsupported:
        raise PanelError(f"{profile.title} is not supported: {profile.unsupported}")
    if not root.is_dir():
        raise PanelError(f"there is no folder {root}")
    root = root.resolve()
    boot = _boot_file(profile, root)
    groups = _groups(profile)
    changes = [
        _change(root, BOARD_TOML, lambda _: _board_toml(profile)),
        _change(root, ASOUND_CONF, lambda old: _asound_conf(profile, old)),
        _change(root, RULES, lambda _: _rules(profile)),
        _change(root, SYSUSERS, lambda _: _sysusers(groups)),
    ]
    changes += _owner_profile(profile, root)
    if boot:
        # Last: what the board needs after the next start is there before it is switched on.
        changes.append(_change(root, boot, lambda old: _config_txt(profile, old)))
    changes = [change for change in changes if change.before != change.after]
    return Plan(
        changes=tuple(changes),
        warnings=tuple(_warnings(profile, root, boot)),
        reboot=any(change.name == boot for change in changes),
        groups=tuple(sorted(groups)),
    )


def write(plan: Plan) -> None:
    """Carry the plan out; each file is replaced as a whole, and its previous form is kept.

    Raises:
        StorageError: a file cannot be written.
    """
    for change in plan.changes:
        try:
            if change.before is not None:
                _replace(change.target.with_name(change.target.name + PREVIOUS), change.before)
            if change.after is None:
                change.target.unlink()
            else:
                change.target.parent.mkdir(parents=True, exist_ok=True)
                _replace(change.target, change.after)
        except PermissionError as error:
            raise StorageError(f"{change.target} may not be written; run it with sudo") from error
        except OSError as error:
            raise StorageError(f"{change.target} cannot be written: {error.strerror}") from error


def _replace(target: Path, data: bytes) -> None:
    """Write *data* so that after a power cut the file is the old or the new one."""
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o644
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# --- reading what is there -------------------------------------------------------------------


def _change(root: Path, name: str, make: Callable[[bytes | None], bytes | None]) -> Change:
    target = (root / name).resolve()
    if not target.is_relative_to(root):
        raise PanelError(f"{root / name} leads out of {root}: it is a link to {target}")
    before = _read(target)
    try:
        return Change(name, target, before, make(before))
    except ValueError as error:
        raise PanelError(f"{target} {error}") from error


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PanelError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise PanelError(f"{file} is larger than {MAX_BYTES:,} bytes; this is no configuration")
    return data


def _boot_file(profile: Profile, root: Path) -> str:
    """Return which boot configuration there is; empty where none is and none is needed."""
    for name in CONFIG_TXT:
        if (root / name).exists():
            return name
    if profile.boot == profiles.Boot():
        return ""
    if root == Path("/"):
        raise PanelError(
            f"there is no /{CONFIG_TXT[0]}: {profile.title} needs a Raspberry Pi, or its boot "
            "partition is not mounted"
        )
    return CONFIG_TXT[0]


# --- what the files say ------------------------------------------------------------------------


@cache
def _templates() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(profiles.data_folder()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  nothing here is HTML, and a profile's texts are checked
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _render(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(**values)


def boot_lines(profile: Profile) -> str:
    """Return what the boot configuration of a Raspberry Pi must say; empty: nothing."""
    return "" if profile.boot == profiles.Boot() else _render("boot/config.txt.j2", profile=profile)


def sound_lines(profile: Profile) -> str:
    """Return ALSA's configuration that makes the board's card the default; empty: none."""
    return _render("alsa/asound.conf.j2", profile=profile) if profile.sound else ""


def device_rules(profile: Profile) -> str:
    """Return udev's rules for the board's devices and mixer; empty: none."""
    groups = _groups(profile)
    if not groups and not (profile.sound and profile.sound.controls):
        return ""
    return _render("udev/95-luna-board.rules.j2", profile=profile, groups=groups)


def _config_txt(profile: Profile, old: bytes | None) -> bytes | None:
    return _with_block(old, boot_lines(profile), keep_empty="[all]")


def _asound_conf(profile: Profile, old: bytes | None) -> bytes | None:
    return _with_block(old, sound_lines(profile))


def _with_block(old: bytes | None, content: str, keep_empty: str = "") -> bytes | None:
    """Return the file with our block; None for a file in which nothing else was."""
    new = blocks.with_block(old or b"", content, keep_empty=keep_empty)
    return new if new or old == b"" else None


def _groups(profile: Profile) -> set[str]:
    uses = {
        "gpio": bool(profile.panel.all_lines()),
        "spi": profile.panel.strip is not None and profile.panel.strip.spi is not None,
        "i2c": bool(profile.identity.i2c),
        "dialout": bool(profile.identity.usb),
    }
    return {group for group, used in uses.items() if used}


def _rules(profile: Profile) -> bytes | None:
    rules = device_rules(profile)
    return _own(profile, rules) if rules else None


def _sysusers(groups: set[str]) -> bytes | None:
    return _render("udev/luna-board.conf.j2", groups=sorted(groups)).encode() if groups else None


def _board_toml(profile: Profile) -> bytes | None:
    if profile == profiles.Profile(profile.name, profile.title, profile.description, "any"):
        return None  # `none`: as if there had never been a board
    # Devices of [audio] stay unset: asound.conf makes the card the system's default.
    return _own(profile, tomli_w.dumps({"panel": {"board": profile.name}}))


def _own(profile: Profile, text: str) -> bytes:
    head = f"# Written by `luna board apply {profile.name}`; the next apply writes it anew.\n"
    return (head + text).encode()


def _owner_profile(profile: Profile, root: Path) -> list[Change]:
    """Return the change that takes a profile of the owner's along to where the service reads it."""
    source = profiles.files().get(profile.name)
    if source is None or source.is_relative_to(profiles.data_folder()):
        return []
    return [_change(root, f"{OWNER_PROFILES}/{profile.name}.toml", lambda _: _read(source))]


# --- what a person should know -------------------------------------------------------------------


def _warnings(profile: Profile, root: Path, boot: str) -> list[str]:
    warnings: list[str] = []
    model = device_tree_text(root / "proc/device-tree/model")
    if profile.computer == "raspberry-pi" and model and "Raspberry Pi" not in model:
        warnings.append(f"this is a {model}; the profile was made for a Raspberry Pi")
    for overlay in profile.boot.overlays:
        source = lint.vendor_overlays().get(overlay.name)
        file = (root / boot).parent / "overlays" / f"{overlay.name}.dtbo"
        if source and not file.exists():
            warnings.append(f"{file} is missing; build it from {source}")
    if profile.boot.overlays and boot:
        for number, line in blocks.outside(_read(root / boot) or b""):
            name = line.strip().removeprefix("dtoverlay=").partition(",")[0]
            if line.strip().startswith("dtoverlay=") and name in lint.sound_overlays():
                warnings.append(
                    f"{root / boot}, line {number}, loads another sound card ({name}): remove it"
                )
    if profile.sound and not profile.sound.capture:
        warnings.append(
            "this board has no microphone: plug one in by USB, and name it as input_device in "
            "[audio] of luna.toml (see `luna devices`)"
        )
    return warnings
