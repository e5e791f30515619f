"""The volume: in steps, below a limit, and the same again after a restart.

What a percent means to the ear is decided where the sound is mixed: `appliance.audio.player.gain`.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from appliance.errors import StorageError
from appliance.events import VolumeRequested

logger = logging.getLogger("luna.panel")

FILE = "volume.json"
SETTLED_S = 2.0
"""A knob is turned in many steps; it is written down when it has rested for so long."""
MAX_BYTES = 1000


class Volume:
    """The volume in percent.

    Args:
        file: where it is kept.
        default: percent, when nothing was kept yet.
        limit: percent that it never exceeds.
        step: percent of one step.
    """

    def __init__(self, file: Path, *, default: int, limit: int = 100, step: int = 5) -> None:
        self._file = file
        self._limit = limit
        self._step = step
        self._kept = self._read()
        self.percent = min(limit, default if self._kept is None else self._kept)

    def wanted(self, event: VolumeRequested) -> int:
        """Return the percent that *event* asks for, within the limits.

        Steps lead along a grid, so that as many up as down come back to the same volume.
        """
        if event.percent >= 0:
            percent = event.percent
        else:
            on_grid = (
                self.percent // self._step if event.step > 0 else -(-self.percent // self._step)
            )
            percent = (on_grid + event.step) * self._step
        return max(0, min(self._limit, percent))

    def limit_to(self, percent: int) -> None:
        """Allow no more than *percent* from now on; what is louder, the next request turns down."""
        self._limit = percent

    def save(self) -> None:
        """Write the volume down if it is not what the file says.

        Raises:
            StorageError: it cannot be written; what the file said before is still there.
        """
        if self.percent == self._kept:
            return
        unfinished = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w", encoding="utf-8") as stream:
                json.dump({"percent": self.percent}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(self._file)
            folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StorageError(f"{self._file} cannot be written: {error.strerror}") from error
        self._kept = self.percent

    def _read(self) -> int | None:
        try:
            with self._file.open("rb") as stream:
                percent = json.loads(stream.read(MAX_BYTES))["percent"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s cannot be read, the configured volume counts: %s", self._file, error)
            return None
        if type(percent) is not int or not 0 <= percent <= 100:  # noqa: PLR2004
            logger.warning("%s does not hold a volume; the configured one counts", self._file)
            return None
        return percent
