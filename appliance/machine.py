"""What the machine is, and what it has left."""

from __future__ import annotations

from pathlib import Path


def model(file: Path = Path("/proc/device-tree/model")) -> str:
    """Return what a board calls itself, such as ``Raspberry Pi 5 Model B``; empty for a PC."""
    try:
        return file.read_text("ascii", errors="ignore").strip("\0 \n").partition(" Rev ")[0]
    except OSError:
        return ""


def free_memory_percent(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return how much memory programs can still get, in percent; None where nobody tells."""
    values: dict[str, int] = {}
    try:
        for line in meminfo.read_text("ascii").splitlines():
            name, _, rest = line.partition(":")
            values[name] = int(rest.split()[0])
        return 100 * values["MemAvailable"] // values["MemTotal"]
    except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
        return None
