"""Runs a parser in a process of its own, where it can harm nothing: for uploads of all kinds.

    jpeg = sandbox.run("appliance.images:to_jpeg", data, limits=Limits(memory_bytes=512 << 20))

The function gets the data as bytes, and words as further arguments; it returns bytes. Its process
has no network, cannot start programs, write files or look into other processes (see
:mod:`appliance.seccomp`), and has limits of memory, computing time and output. What it raises as
UsageError reaches the caller with its sentence; everything else is "damaged" or "too large".
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import BinaryIO

from appliance.errors import StorageError, UsageError

MEGABYTE = 1 << 20
MAX_SENTENCE = 500
"""Characters of a refusal that are believed of the process."""

_REFUSED, _TOO_LARGE, _DAMAGED, _NOT_LOCKED = 10, 11, 12, 13
"""Exit codes of the process."""
_NOT_STARTED = 1
"""Python's own, when it cannot import what it was told to run."""


@dataclass(frozen=True)
class Limits:
    """What a parser may use."""

    memory_bytes: int = 768 * MEGABYTE
    """Of address space, the interpreter and its libraries included."""
    cpu_s: int = 60
    wall_s: float = 90.0
    output_bytes: int = 64 * MEGABYTE


def run(
    function: str, data: bytes, arguments: Sequence[str] = (), limits: Limits | None = None
) -> bytes:
    """Return what *function* (``module:name``) makes of *data*. Waits; belongs on a thread.

    Raises:
        UsageError: the data is refused, damaged, or needs more than its limits. The sentence has
            no subject, so that the caller can put the name of the file before it.
        StorageError: no process could be started or locked down.
    """
    limits = limits or Limits()
    with os.fdopen(os.memfd_create("parsed"), "w+b") as output:
        try:
            done = subprocess.run(
                [
                    # Nothing of the user's or the current folder's; but on a box, Luna and her
                    # packages are found by PYTHONPATH alone.
                    *(sys.executable, "-P", "-s", "-m", __name__, function),
                    *(str(limits.memory_bytes), str(limits.cpu_s), str(limits.output_bytes)),
                    *arguments,
                ],
                input=data,
                stdout=output,
                stderr=subprocess.DEVNULL,
                timeout=limits.wall_s,
                check=False,
                cwd="/",
                env={name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
            )
        except subprocess.TimeoutExpired as error:
            raise UsageError(f"could not be read within {limits.wall_s:.0f} s") from error
        except OSError as error:
            raise StorageError(f"cannot be read now: {error.strerror}") from error
        output.seek(0)
        return _result(done.returncode, output, limits.output_bytes)


def _result(code: int, output: BinaryIO, output_bytes: int) -> bytes:
    if code == 0:
        return output.read(output_bytes)
    if code == _REFUSED:
        sentence = output.read(4 * MAX_SENTENCE).decode(errors="replace")[:MAX_SENTENCE]
        raise UsageError("".join(c if c.isprintable() else " " for c in sentence))
    if code == _NOT_LOCKED:
        raise StorageError("cannot be read: this kernel cannot lock a parser in (seccomp)")
    if code == _NOT_STARTED:
        raise StorageError("cannot be read: the parser's process did not start")
    # A negative code is the signal that ended it: it ran into a limit.
    if code < 0 or code == _TOO_LARGE:
        raise UsageError("has too much in it; make it smaller or split it")
    raise UsageError("is damaged; try another copy of it")


# --- in the process ----------------------------------------------------------------------------


def main() -> int:
    """Read standard input, parse it, write the result; return the exit code."""
    name, memory, cpu, output, *arguments = sys.argv[1:]
    module, _, function = name.partition(":")
    # What the function needs is imported before the doors are shut.
    parse: Callable[..., bytes] = getattr(import_module(module), function)
    data = sys.stdin.buffer.read()
    try:
        lock_down(int(memory), int(cpu), int(output))
    except OSError:
        return _NOT_LOCKED
    try:
        sys.stdout.buffer.write(parse(data, *arguments))
        sys.stdout.buffer.flush()
    except UsageError as refusal:
        sys.stdout.buffer.write(str(refusal).encode())
        sys.stdout.buffer.flush()
        return _REFUSED
    except (MemoryError, RecursionError):
        return _TOO_LARGE
    # Whatever a parser of somebody else's makes of a broken file: it could not be read.
    except Exception:  # noqa: BLE001
        return _DAMAGED
    return 0


def lock_down(memory_bytes: int, cpu_s: int, output_bytes: int) -> None:
    """Give up what parsing does not need; undone by nothing.

    Raises:
        OSError: the kernel cannot do it.
    """
    os.nice(10)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")  # when memory runs out, this goes first
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    from appliance import seccomp

    seccomp.lock_parser()


if __name__ == "__main__":
    # Not sys.exit(): threads of a library must not keep a parser alive.
    os._exit(main())
