"""How far an installation is: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable

from appliance.clock import monotonic
from appliance.models.catalogue import Model

Progress = Callable[[str, int, int], None]
"""Called with a model's name, the bytes that are there, and the bytes in all."""
_BAR = 20
_EACH = 10
"""Per cent between two lines where there is no terminal."""


class Meter:
    """Counts the bytes of a model, and reports each whole per cent once."""

    def __init__(self, model: Model, report: Progress | None) -> None:
        self._model = model
        self._report = report
        self._finished = 0
        self._percent = -1

    def show(self, done: int) -> None:
        """Take note that *done* bytes of the present file are there."""
        count = self._finished + done
        percent = 100 * count // self._model.bytes
        if self._report and percent > self._percent:
            self._percent = percent
            self._report(self._model.name, count, self._model.bytes)

    def finish_file(self, size: int) -> None:
        """Take note that a file of *size* bytes is complete."""
        self.show(size)
        self._finished += size


class ProgressLine:
    """Prints progress on standard error."""

    def __init__(self) -> None:
        self._name = ""
        self._began = 0.0
        self._first = 0
        self._tens = -1

    def __call__(self, name: str, done: int, total: int) -> None:
        """See :data:`Progress`."""
        if name != self._name:
            self._name, self._began, self._first, self._tens = name, monotonic(), done, -1
        percent = 100 * done // total
        size = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        if sys.stderr.isatty():
            bar = "#" * (percent * _BAR // 100)
            seconds = monotonic() - self._began
            rate = f"{(done - self._first) / 1e6 / seconds:.1f} MB/s" if seconds > 1 else ""
            line = f"{name[:34]:34} [{bar:{_BAR}}] {percent:3d} %"
            sys.stderr.write(f"\r\x1b[K{line} {size if done >= total else rate or size}")
            sys.stderr.write("\n" if done >= total else "")
            sys.stderr.flush()
        elif percent // _EACH > self._tens or done >= total:
            self._tens = percent // _EACH
            sys.stderr.write(f"{name}: {percent} %, {size}\n")
