"""`luna backup` and `luna restore`."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from pathlib import Path

from appliance import paths
from appliance.errors import StorageError, UsageError
from appliance.settings import Settings
from appliance.storage.backup import backup, folder_of
from appliance.storage.restore import restore


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna backup` or `luna restore FILE`; return the exit code.

    Raises:
        UsageError: there is no such file.
        StorageError: it failed; what was there is as it was.
    """
    data_dir = paths.data_dir(settings.general.data_dir)
    if arguments.command == "backup":
        return _backup(arguments, settings, data_dir)
    return _restore(arguments, data_dir)


def _backup(arguments: argparse.Namespace, settings: Settings, data_dir: Path) -> int:
    # A folder named by hand is not ours to clean up.
    folder = Path(arguments.to) if arguments.to else folder_of(settings.backup, data_dir)
    keep = 0 if arguments.to else settings.backup.keep
    made = backup(data_dir, folder, secrets=arguments.secrets, keep=keep)
    for note in made.notes:
        sys.stderr.write(f"luna: {note}\n")
    if arguments.json:
        row = {"file": str(made.path), "files": made.files, "bytes": made.bytes}
        print(json.dumps({**row, "notes": made.notes, "removed": [str(p) for p in made.removed]}))
    else:
        print(f"{made.files} files ({made.bytes} bytes) are in {made.path}")
    return 0


def _restore(arguments: argparse.Namespace, data_dir: Path) -> int:
    file = Path(arguments.file)
    if not file.is_file():
        raise UsageError(f"there is no file {file}")
    if _is_running():
        raise StorageError("Luna is running; stop her before you restore a backup")
    done = restore(file, data_dir)
    if arguments.json:
        row = {"files": done.files, "created": done.created, "aside": str(done.aside)}
        print(json.dumps(row))
    else:
        print(f"{done.files} files of {done.created} are back; the former ones are in {done.aside}")
    return 0


def _is_running() -> bool:
    """Return whether a Luna answers at the control socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(2.0)
        try:
            connection.connect(str(paths.control_socket()))
        except PermissionError:
            return True  # somebody else's
        except OSError:
            return False
    return True
