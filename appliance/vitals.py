"""What the machine says of itself: heat, memory, disk, load, network; read from the kernel's files.

Each function returns None (or nothing) where the kernel does not tell, and never raises: a box
without a thermometer is measured by the rest. A whole measurement costs about a millisecond, so
that it may be made every ten seconds; see ``tests/benchmarks``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SYS = Path("/sys")
PROC = Path("/proc")
MEGABYTE = 1_000_000
_SLOT = re.compile(r"(?:^|\s)luna\.slot=([\w.-]{1,32})(?:\s|$)")
THROTTLED_NOW = {
    0: "under_voltage",
    1: "frequency_capped",
    2: "throttled",
    3: "soft_temperature_limit",
}
"""Bits of a Raspberry Pi's ``get_throttled`` that speak of this moment; those from 16 on say that
it has been so since the start (Raspberry Pi documentation, "vcgencmd")."""
_TOO_HOT_TO_BE_TRUE = 150.0


@dataclass(frozen=True)
class Machine:
    """One measurement; None where nobody tells."""

    temperature_c: float | None = None
    throttled: tuple[str, ...] | None = None
    """Why the processor is slowed down now, see :data:`THROTTLED_NOW`; empty: it is not."""
    memory_mb: float | None = None
    memory_free_mb: float | None = None
    """What programs can still get (``MemAvailable``)."""
    load: float = 0.0
    """Mean number of programs that want the processor, over a minute, for each core."""
    cpu_wait_percent: float | None = None
    """Share of the last minute in which some program waited for the processor."""
    disks_free_mb: dict[str, float] = field(default_factory=dict)
    disks_mb: dict[str, float] = field(default_factory=dict)
    unwritable: tuple[str, ...] = ()
    """Names of the folders that cannot be written."""
    network: bool = False
    """There is a default route."""


def measure(folders: dict[str, Path]) -> Machine:
    """Return a measurement; *folders* are those whose disks are looked at, by name."""
    found = memory()
    disks = {name: sizes for name, folder in folders.items() if (sizes := disk(folder))}
    return Machine(
        temperature_c=temperature(),
        throttled=throttled(),
        memory_mb=found.get("MemTotal"),
        memory_free_mb=found.get("MemAvailable"),
        load=round(os.getloadavg()[0] / (os.cpu_count() or 1), 2),
        cpu_wait_percent=cpu_wait(),
        disks_mb={name: total for name, (total, _) in disks.items()},
        disks_free_mb={name: free for name, (_, free) in disks.items()},
        unwritable=tuple(name for name, folder in folders.items() if not writable(folder)),
        network=has_route(),
    )


def temperature(sys: Path = SYS) -> float | None:
    """Return the processor's temperature in degrees Celsius; of several sensors the hottest."""
    zones = sorted(sys.glob("class/thermal/thermal_zone*"))
    named = [zone for zone in zones if re.search("cpu|soc|x86_pkg", _text(zone / "type"))]
    degrees = [_number(zone / "temp") for zone in named or zones]
    found = [value / 1000 for value in degrees if value is not None]
    return max((round(v, 1) for v in found if 0 < v < _TOO_HOT_TO_BE_TRUE), default=None)


def throttled(sys: Path = SYS, *, since_start: bool = False) -> tuple[str, ...] | None:
    """Return why the processor is slowed down now; empty when it is not, None where none tells.

    A Raspberry Pi's firmware tells in ``get_throttled``; elsewhere the kernel's cooling devices
    for the processor do. *since_start*: why it has been since the start, which only the firmware
    knows.
    """
    for file in sys.glob("devices/platform/soc*/soc*:firmware/get_throttled"):
        if bits := _text(file):
            try:
                value = int(bits, 16)
            except ValueError:
                continue
            value >>= 16 if since_start else 0
            return tuple(name for bit, name in THROTTLED_NOW.items() if value >> bit & 1)
    coolers = [
        folder
        for folder in sys.glob("class/thermal/cooling_device*")
        if re.match("cpufreq|Processor", _text(folder / "type"))
    ]
    if not coolers or since_start:
        return None
    return ("throttled",) if any(_number(c / "cur_state") for c in coolers) else ()


def cpu_wait(proc: Path = PROC) -> float | None:
    """Return the share (percent) of the last minute in which somebody waited for a core.

    See "Pressure Stall Information" in the kernel's documentation; kernels may be built without.
    """
    found = re.search(r"^some .*avg60=([\d.]+)", _text(proc / "pressure/cpu"))
    return float(found[1]) if found else None


def disk(folder: Path) -> tuple[float, float] | None:
    """Return size and free space (MB) of the disk that *folder* is on, or will be."""
    try:
        found = os.statvfs(_existing(folder))
    except OSError:
        return None
    unit = found.f_frsize / MEGABYTE
    return round(found.f_blocks * unit, 1), round(found.f_bavail * unit, 1)


def writable(folder: Path) -> bool:
    """Return whether files can be made in *folder*, which may not be there yet.

    It is not when the kernel has made the file system read-only, as after a fault of a card; also
    root is told so.
    """
    return os.access(_existing(folder), os.W_OK)


def _existing(folder: Path) -> Path:
    """Return *folder*, or what is above it and exists."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def has_route(proc: Path = PROC) -> bool:
    """Return whether the kernel knows a way out of the house (IPv4 or IPv6)."""
    four = (line.split() for line in _text(proc / "net/route").splitlines()[1:])
    if any(len(words) > 1 and words[1] == "00000000" for words in four):
        return True
    six = (line.split() for line in _text(proc / "net/ipv6_route").splitlines())
    return any(len(w) > 9 and w[0] == "0" * 32 and w[1] == "00" and w[9] != "lo" for w in six)  # noqa: PLR2004


def process_memory(pid: int, proc: Path = PROC) -> float | None:
    """Return the memory (MB) of a process; what it shares counts in part (PSS).

    Adding up a large process's pages takes the kernel milliseconds: not for every second.
    """
    found = re.search(r"^Pss:\s+(\d+) kB", _text(proc / str(pid) / "smaps_rollup"), re.MULTILINE)
    return round(int(found[1]) * 1024 / MEGABYTE, 1) if found else None


def processes_memory(pids: Iterable[tuple[str, int]]) -> dict[str, float]:
    """Return the memory (MB) of named processes; those that are gone are left out."""
    found = ((name, process_memory(pid)) for name, pid in pids)
    return {name: memory for name, memory in found if memory is not None}


def slot(etc: Path = Path("/etc"), proc: Path = PROC) -> str:
    """Return which of the image's slots runs (``a`` or ``b``); empty where there are none."""
    found = _SLOT.search(_text(proc / "cmdline"))
    return found[1] if found else _text(etc / "luna-slot")[:32]


def memory(proc: Path = PROC) -> dict[str, float]:
    """Return ``MemTotal`` and ``MemAvailable`` in MB, as far as the kernel tells."""
    rows = re.findall(r"^(MemTotal|MemAvailable):\s+(\d+) kB", _text(proc / "meminfo"), re.M)
    return {name: round(int(kilobytes) * 1024 / MEGABYTE, 1) for name, kilobytes in rows}


def _number(file: Path) -> float | None:
    try:
        return float(_text(file))
    except ValueError:
        return None


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", errors="replace").strip("\0 \n")
    except OSError:
        return ""
