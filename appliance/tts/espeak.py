"""espeak-ng: the voice that always works, in a process of its own for each clause."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from appliance.errors import ModelError
from appliance.tts.joining import joined, pause_after

NAME = "espeak-ng"
_PROGRAM = "espeak-ng"
_VOICES = {"en": "en-us", "pt": "pt-br"}
_WORDS_PER_MINUTE = 160
_TIMEOUT_S = 10.0
_GAIN = 1.4 / 32768.0
"""As loud as Piper: espeak-ng leaves some headroom."""

Samples = npt.NDArray[np.int16]


class EspeakVoice:
    """An espeak-ng voice.

    Raises:
        ModelError: espeak-ng is not installed.
    """

    def __init__(self, language: str, speed: float = 1.0) -> None:
        self.name = NAME
        self.language = language
        program = shutil.which(_PROGRAM)
        if program is None:
            raise ModelError(
                "espeak-ng, the fallback voice, is not installed; "
                "run `sudo apt-get install espeak-ng`"
            )
        self._command = (
            program,
            "--stdin",
            "--stdout",
            "-b1",  # the text is UTF-8
            "-v",
            _VOICES.get(language, language),
            "-s",
            str(int(_WORDS_PER_MINUTE * speed)),
        )
        self.rate, _ = self._run("a")

    def synthesise(self, text: str) -> Iterator[Samples]:
        """See :meth:`appliance.tts.piper.Voice.synthesise`; the sound comes in one piece."""
        if not any(c.isalnum() for c in text):
            return
        rate, samples = self._run(text)
        yield from joined([samples.astype(np.float32) * _GAIN], rate, pause_after(text))

    def _run(self, text: str) -> tuple[int, Samples]:
        """Return rate and samples. A program started for each clause cannot hang for long."""
        try:
            done = subprocess.run(
                self._command,
                input=text.encode(),
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=True,
            )
            return _parse(done.stdout)
        except (OSError, subprocess.SubprocessError, ValueError, struct.error) as error:
            reason = type(error).__name__
            raise ModelError(
                f"espeak-ng cannot speak {self.language} ({reason}); "
                "run `sudo apt-get install --reinstall espeak-ng espeak-ng-data`"
            ) from error


def _parse(wav: bytes) -> tuple[int, Samples]:
    """Return rate and samples of a WAV stream whose header does not know its length."""
    data = wav.find(b"data")
    if wav[:4] != b"RIFF" or wav[8:16] != b"WAVEfmt " or data < 0:
        raise ValueError("not a WAV stream")
    channels, rate = struct.unpack_from("<HI", wav, 22)
    if channels != 1:
        raise ValueError("not mono")
    body = wav[data + 8 :]
    return rate, np.frombuffer(body[: len(body) // 2 * 2], np.int16)
