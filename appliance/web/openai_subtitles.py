"""Long sounds cut into pieces at their pauses, and transcripts in the forms that are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.web.openai_parts import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FORMATS = ("json", "text", "verbose_json", "srt", "vtt")
_LENGTHS_S = {False: (15.0, 28.0), True: (3.0, 9.0)}
"""Least and most seconds of a piece: as much as the recogniser takes, or a subtitle."""
_FRAME = SAMPLE_RATE // 50
"""20 ms."""
_PAUSE = 10
"""Frames over which loudness is looked at: a pause between words has 200 ms."""


@dataclass(frozen=True)
class Segment:
    """What was said between two positions, in samples."""

    start: int
    end: int
    text: str
    language: str


def pieces(samples: npt.NDArray[np.int16], *, fine: bool) -> Iterator[tuple[int, int]]:
    """Yield where *samples* are to be cut: start and end of each piece, cut where it is quietest.

    *fine* makes pieces of the length of a subtitle.
    """
    import numpy as np

    least, most = (int(seconds * SAMPLE_RATE) for seconds in _LENGTHS_S[fine])
    start = 0
    while len(samples) - start > most:
        window = samples[start + least : start + most]
        frames = window[: len(window) // _FRAME * _FRAME].reshape(-1, _FRAME)
        loudness = np.square(frames.astype(np.float32)).mean(axis=1)
        quiet = np.convolve(loudness, np.ones(_PAUSE, np.float32), "valid")
        # Of places as quiet the last: fewer pieces.
        place = len(quiet) - 1 - int(np.argmin(quiet[::-1]))
        end = start + least + (place + _PAUSE // 2) * _FRAME
        yield start, end
        start = end
    if start < len(samples):
        yield start, len(samples)


def written(form: str, segments: Sequence[Segment], samples: int) -> tuple[str, str]:
    """Return the transcript of so many *samples* in one of ``FORMATS``, and its content type."""
    text = " ".join(segment.text for segment in segments)
    if form == "text":
        return f"{text}\n", "text/plain"
    if form == "srt":
        blocks = (
            f"{number}\n{_time(s.start, ',')} --> {_time(s.end, ',')}\n{_line(s.text)}\n"
            for number, s in enumerate(segments, 1)
        )
        return "\n".join(blocks), "application/x-subrip"
    if form == "vtt":
        cues = (f"{_time(s.start)} --> {_time(s.end)}\n{_line(s.text)}\n" for s in segments)
        return "WEBVTT\n\n" + "\n".join(cues), "text/vtt"
    found: dict[str, object] = {"text": text}
    if form == "verbose_json":
        found = {
            "task": "transcribe",
            "language": segments[0].language if segments else "",
            "duration": round(samples / SAMPLE_RATE, 3),
            "text": text,
            "segments": [
                {
                    "id": number,
                    "start": round(segment.start / SAMPLE_RATE, 3),
                    "end": round(segment.end / SAMPLE_RATE, 3),
                    "text": segment.text,
                }
                for number, segment in enumerate(segments)
            ],
        }
    return json.dumps(found, ensure_ascii=False), "application/json"


def _line(text: str) -> str:
    """Return *text* in one line that cannot end its cue or pose as another."""
    return " ".join(text.split()).replace("-->", "->")


def _time(position: int, mark: str = ".") -> str:
    milliseconds = position * 1000 // SAMPLE_RATE
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{milliseconds:03}"
