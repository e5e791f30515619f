"""What the machine has left."""

from __future__ import annotations

from pathlib import Path


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
