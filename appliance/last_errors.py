"""Keeps the errors of a start on the data partition: an image's journal is gone with the power.

``luna-last-errors.service`` calls this when the box is switched off, and its timer now and then,
because a box is often just unplugged. Only what is new is written, and only so much is kept.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from appliance import paths
from appliance.whole_file import replace

FOLDER = "last-errors"
STARTS = 5
"""So many starts with errors are kept ..."""
MAX_BYTES = 64 * 1024
"""... with so much of each: its end."""
LIMIT_S = 20.0
COMMAND = ("journalctl", "-b", "-p", "err", "-o", "short-iso", "--no-pager", "-q", "-n", "1000")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NAME = re.compile(r"\d{4}-[0-9a-f-]{36}\.log")


def main() -> int:
    """Keep the errors of this start; return the exit code."""
    try:
        save(errors(), BOOT_ID.read_text("ascii").strip(), paths.data_dir() / FOLDER)
    except (OSError, subprocess.SubprocessError) as error:
        # Nobody waits for this, and a card that cannot be written has been told of already.
        sys.stderr.write(f"the errors of this start are not kept: {error}\n")
    return 0


def errors() -> str:
    """Return the lines of the journal of this start that are errors or worse.

    Raises:
        OSError, subprocess.SubprocessError: the journal cannot be read.
    """
    done = subprocess.run(COMMAND, capture_output=True, check=True, timeout=LIMIT_S)
    return done.stdout.decode("utf-8", errors="replace")


def save(text: str, boot: str, folder: Path) -> None:
    """Write *text* as the errors of the start *boot*; the oldest starts go.

    The files are numbered, since the clock of a box may be wrong. The same again, or nothing,
    writes nothing.

    Raises:
        OSError: it cannot be written.
    """
    if not text.strip():
        return
    files = kept(folder)
    mine = [file for file in files if file.stem.endswith(boot)]
    number = int(files[-1].name[:4]) + 1 if files else 1
    file = mine[0] if mine else folder / f"{number % 10_000:04}-{boot}.log"
    data = text.encode()[-MAX_BYTES:]
    if len(data) == MAX_BYTES:
        data = data.partition(b"\n")[2]
    if mine and file.read_bytes() == data:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in [one for one in files if one != file][: -(STARTS - 1)]:
        old.unlink(missing_ok=True)
    replace(file, data.decode("utf-8", errors="replace"), 0o600)


def kept(folder: Path) -> list[Path]:
    """Return the files with the errors of earlier starts, the newest last.

    Raises:
        OSError: the folder cannot be read.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(folder / name for name in names if _NAME.fullmatch(name))


if __name__ == "__main__":
    sys.exit(main())
