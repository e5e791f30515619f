"""Copies text to the clipboard of the person's own machine, from wherever Luna runs.

A terminal takes it by the escape sequence OSC 52, also through SSH; none says whether it did.
tmux takes it by its own command, and passes it on. So each copy is also left in a file that only
its owner can read, and where the sequence cannot work, that is what is said.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance import paths
from appliance.errors import ServiceError, StorageError

FILE = "copied.txt"
MAX_SEQUENCE = 74_000
"""Characters of text that xterm and most others take by OSC 52 (100,000 bytes in base64)."""
_WITHOUT = ("linux", "dumb", "vt", "ansi", "screen", "xterm-mono")
"""How the names of terminals begin that are known not to have a clipboard."""
_TMUX_LIMIT_S = 3.0

Way = Literal["terminal", "tmux", "file"]


@dataclass(frozen=True)
class Copied:
    """What became of a copy."""

    way: Way
    file: Path | None
    """Where it lies as well; None: it could not be written."""


def way_of(text: str, environment: Mapping[str, str]) -> Way:
    """Return how *text* reaches the clipboard from a terminal with this environment."""
    if environment.get("TMUX"):
        return "tmux"
    name = environment.get("TERM", "")
    if not name or name.startswith(_WITHOUT) or environment.get("STY"):
        return "file"
    if environment.get("TERM_PROGRAM") == "Apple_Terminal":
        return "file"
    return "terminal" if len(text.encode()) <= MAX_SEQUENCE else "file"


async def keep(text: str, way: Way) -> Copied:
    """Leave *text* in the file, and in tmux; the sequence itself is the caller's.

    Raises:
        StorageError: it reached neither the clipboard nor the file.
    """
    if way == "tmux" and not await _to_tmux(text):
        way = "file"
    file: Path | None = None
    try:
        file = _write(text)
    except (OSError, ServiceError) as error:
        if way == "file":
            raise StorageError(f"the copy could not be written: {error}") from error
    return Copied(way, file)


def _write(text: str) -> Path:
    file = paths.runtime_dir() / FILE
    partial = file.with_suffix(".part")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as target:
        target.write(text)
    partial.replace(file)
    return file


async def _to_tmux(text: str) -> bool:
    """Have tmux take it into its buffer and hand it to the terminal outside."""
    try:
        process = await asyncio.create_subprocess_exec(
            "tmux",
            "load-buffer",
            "-w",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(text.encode()), _TMUX_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return process.returncode == 0
