"""Stand-ins for hardware and models, for `luna run --fake` and for tests.

They are shipped with Luna and implement the same protocols as the real engines; the processes,
rings and messages around them stay real. The fake "language" is loudness: a loud stretch of
sound is speech, and its transcript is a fixed question.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from appliance.audio.device import Configure, Deliver, Format, Render
from appliance.audio.ring_buffer import BLOCK_MS, CAPTURE_BLOCK, CAPTURE_RATE
from appliance.chat import ChatMessage
from appliance.listen.vad import CHUNK
from appliance.listen.wake_word import Detection
from appliance.llm.engine import Choice, Generated, ModelNeed, OnText, Proceed, text_of
from appliance.llm.pool import EnginePool
from appliance.settings import TtsSettings
from appliance.stt.whisper import Transcript

Samples = npt.NDArray[np.int16]

SPEECH_LEVEL = 3000
"""Mean amplitude from which a chunk of sound counts as speech."""
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris. It lies on the river Seine."
RATE = 22_050


class FakeSoundCard:
    """A silent room: delivers quiet blocks in real time and plays to nobody.

    ``say_after_s`` makes somebody speak (a loud tone) for a second, that long after the start.
    """

    def __init__(self, say_after_s: float | None = None) -> None:
        self._say_after_s = say_after_s
        self._stops: dict[str, threading.Event] = {}
        self._noise = np.random.default_rng(0)

    def open_microphone(self, configure: Configure, deliver: Deliver) -> Format:
        opened = Format("fake microphone", CAPTURE_RATE, 1)
        configure(opened)
        self._run("microphone", lambda n: deliver(self._block(n).tobytes()))
        return opened

    def _block(self, number: int) -> Samples:
        now = number * BLOCK_MS / 1000
        loud = self._say_after_s is not None and 0 <= now - self._say_after_s < 1.0
        level = 3 * SPEECH_LEVEL if loud else 20
        return self._noise.integers(-level, level, CAPTURE_BLOCK).astype(np.int16)

    def open_speaker(self, configure: Configure, render: Render) -> Format:
        opened = Format("fake speaker", RATE, 1)
        configure(opened)
        frames = np.zeros((RATE * BLOCK_MS // 1000, 1), np.int16)
        self._run("speaker", lambda _: render(frames))
        return opened

    def _run(self, name: str, step: Callable[[int], object]) -> None:
        stop = self._stops[name] = threading.Event()

        def loop() -> None:
            started, number = time.monotonic(), 0
            while not stop.wait(max(0.0, started + number * BLOCK_MS / 1000 - time.monotonic())):
                step(number)
                number += 1

        threading.Thread(target=loop, name=f"fake-{name}", daemon=True).start()

    def close_microphone(self) -> None:
        self._stop("microphone")

    def close_speaker(self) -> None:
        self._stop("speaker")

    def _stop(self, name: str) -> None:
        if stop := self._stops.pop(name, None):
            stop.set()

    def look_again(self) -> None:
        """There is nothing to find."""


class FakeWakeWord:
    """Hears nothing: the button opens the microphone."""

    def process(self, audio: bytes) -> Detection | None:
        return None

    def reset(self) -> None:
        """There is nothing to forget."""

    def scores(self, audio: bytes) -> dict[str, float]:
        return {"fake": 0.0}

    @property
    def limits(self) -> dict[str, float]:
        return {"fake": 0.5}


class FakeVoiceActivity:
    """Loud is speech."""

    def probability(self, chunk: bytes) -> float:
        assert len(chunk) == CHUNK * 2
        level = np.abs(np.frombuffer(chunk, np.int16).astype(np.int32)).mean()
        return 1.0 if level > SPEECH_LEVEL else 0.0

    def reset(self) -> None:
        """There is nothing to forget."""


class FakeTurnModel:
    """Every pause is the end."""

    def probability(self, samples: Samples) -> float:
        return 1.0


class FakeTranscriber:
    """Understands one question in anything loud."""

    name = "fake"

    def transcribe(self, samples: Samples, language: str = "") -> Transcript:
        if not len(samples) or np.abs(samples.astype(np.int32)).max() < SPEECH_LEVEL:
            return Transcript("", dropped="silence")
        return Transcript(QUESTION, language or "en", 1.0, -0.1)


class FakeChatEngine:
    """Knows one answer and writes it word by word.

    ``seconds_per_word`` makes it slow.
    """

    name = "fake"
    context_tokens = 2048
    memory_bytes = 0

    def __init__(self, seconds_per_word: float = 0.02, answer: str = ANSWER) -> None:
        self._seconds = seconds_per_word
        self._answer = answer

    def count_tokens(self, message: ChatMessage) -> int:
        return len(text_of(message).split()) + 4

    def warm(self, messages: Sequence[ChatMessage], proceed: Proceed) -> bool:
        return proceed()

    def generate(
        self,
        messages: Sequence[ChatMessage],
        *,
        max_tokens: int,
        temperature: float,
        on_text: OnText,
        proceed: Proceed,
        continues: str = "",
    ) -> Generated:
        prompt = sum(map(self.count_tokens, messages))
        answer = self._answer.removeprefix(continues)
        words = re.findall(r"\s*\S+", answer)[:max_tokens]
        for count, word in enumerate(words):
            time.sleep(self._seconds)
            if not proceed():
                return Generated("cancelled", prompt, 0, count)
            on_text(word)
        return Generated("stop", prompt, 0, len(words))

    def classify(
        self, messages: Sequence[ChatMessage], choices: Sequence[str], proceed: Proceed
    ) -> Choice:
        """Choose what stands in the question, else the first."""
        question = text_of(messages[-1]).lower()
        return Choice(next((c for c in choices if c.lower() in question), choices[0]), 1.0)

    def close(self) -> None:
        """There is nothing to free."""


class FakeModels:
    """One fake model for all roles; it is the source and the model at once."""

    def __init__(self, engine: FakeChatEngine) -> None:
        self._engine = engine

    def need(self, role: str) -> ModelNeed:
        return ModelNeed("fake", "fake", 0, 0)

    def open(self, role: str, proceed: Proceed) -> FakeModels:
        return self

    def engine(self, role: str, proceed: Proceed) -> FakeChatEngine:
        return self._engine

    def close(self) -> None:
        """There is nothing to free."""


def load_language_models(seconds_per_word: float = 0.02, answer: str = ANSWER) -> EnginePool:
    """Build the fake models as the ``llm`` worker wants them."""
    return EnginePool(FakeModels(FakeChatEngine(seconds_per_word, answer)), budget_bytes=1)


class FakeVoice:
    """Hums: 60 ms of a tone for each character."""

    name = "fake"
    rate = RATE

    def __init__(self, language: str) -> None:
        self.language = language

    def synthesise(self, text: str) -> Iterator[Samples]:
        time_axis = np.arange(int(0.06 * RATE * len(text))) / RATE
        yield (6000 * np.sin(2 * np.pi * 220 * time_axis)).astype(np.int16)


class FakeVoices:
    """One voice for all languages."""

    detail = "fake"

    def __init__(self, language: str) -> None:
        self._voice = FakeVoice(language)

    def candidates(self, language: str) -> Iterator[FakeVoice]:
        yield self._voice


def load_voices(settings: TtsSettings, warn: Callable[[str], None], *, language: str) -> FakeVoices:
    """Build the fake voices with the signature of the real loader."""
    return FakeVoices(language)
