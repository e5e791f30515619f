"""Who may read and write what: Luna's folders, secrets, device files and groups."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from appliance import paths
from appliance.control import GROUP
from appliance.doctor.finding import Box, Finding, Fix
from appliance.storage.backup import SECRETS

OTHERS_WRITE = 0o022
OTHERS = 0o077
OWNER = 0o700
ROOT = 0
DEVICES = {"snd/control*": "audio", "snd/pcm*": "audio"}
"""Device files that Luna needs, and the group that they belong to."""
BOARD_DEVICES = {"gpiochip*": "gpio", "i2c-*": "i2c", "spidev*": "spi"}
"""The same where a board is configured."""


def check(box: Box) -> Iterator[Finding]:
    """Yield what Luna may not do and should, and what others may and should not."""
    well = True
    for finding in (*_data(box), *_secrets(box), *_devices(box), *_socket()):
        well = False
        yield finding
    if well:
        yield Finding("permissions.ok")


def _data(box: Box) -> Iterator[Finding]:
    folder = box.data_dir
    try:
        found = folder.stat()
    except FileNotFoundError:
        return  # made by the first start
    except OSError as error:
        values = {"path": str(folder), "detail": str(error.strerror)}
        yield Finding("permissions.unreadable", "failure", values, f"ls -ld {folder.parent}")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield Finding("permissions.no_folder", "failure", {"path": str(folder)}, f"ls -l {folder}")
        return
    mode = stat.S_IMODE(found.st_mode)
    values = {"path": str(folder), "mode": f"{mode:o}"}
    if mode & OWNER != OWNER or mode & OTHERS_WRITE:
        right = (mode | OWNER) & ~OTHERS_WRITE
        yield _mode("permissions.data_mode", folder, values, right)
    owner = _service_user(box) if box.running else os.getuid()
    if owner is not None and owner not in (found.st_uid, ROOT):
        values |= {"user": _name(owner), "owner": _name(found.st_uid)}
        command = f"sudo chown -R {_name(owner)} {folder}"
        yield Finding("permissions.data_owner", "failure", values, command)


def _secrets(box: Box) -> Iterator[Finding]:
    """Nobody but Luna may read the secrets."""
    folder = box.data_dir / SECRETS
    try:
        found = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
    except OSError:
        return  # not ours to read, which is as it should be
    for path in found:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & OTHERS and not path.is_symlink():
            values = {"path": str(path), "mode": f"{mode:o}"}
            yield _mode("permissions.secret", path, values, mode & ~OTHERS)


def _mode(name: str, path: Path, values: dict[str, str], right: int) -> Finding:
    wanted = f"{right:o}"
    fix = Fix("mode", partial(path.chmod, right), {"path": str(path), "mode": wanted})
    return Finding(name, "failure", values, f"chmod {wanted} {path}", fix)


def _devices(box: Box) -> Iterator[Finding]:
    wanted = DEVICES | (BOARD_DEVICES if box.settings.panel.board else {})
    if box.running:
        wanted = {}  # who counts is the service, and it says itself what it cannot open
    groups = set()
    for pattern, group in wanted.items():
        if any(not os.access(file, os.R_OK | os.W_OK) for file in box.root.glob(f"dev/{pattern}")):
            groups.add(group)
    for group in sorted(groups):
        user = _name(os.getuid())
        command = f"sudo adduser {user} {group}"
        yield Finding("permissions.group", "failure", {"user": user, "group": group}, command)


def _socket() -> Iterator[Finding]:
    socket = paths.control_socket()
    if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
        user = _name(os.getuid())
        values = {"user": user, "group": GROUP}
        yield Finding("permissions.socket", "warning", values, f"sudo adduser {user} {GROUP}")


def _service_user(box: Box) -> int | None:
    """Return the user that the running service is."""
    try:
        return (box.proc / str((box.report or {})["pid"])).stat().st_uid
    except (OSError, KeyError):
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
