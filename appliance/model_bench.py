"""Measures installed models as the workers use them, each in a process of its own.

The process is fresh, so that its memory is the model's, and nothing stays behind.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from appliance.clock import monotonic
from appliance.errors import LunaError, ModelError, error_of
from appliance.models.bandwidth import cores, memory_bandwidth
from appliance.models.catalogue import Model, verify

PROMPT = "Write a long story about a lighthouse, a storm and two friends who mend a radio."
SENTENCE = "The train to the coast leaves at half past seven from platform two."
TOKENS = 64
_RATE = 16_000
_LIMIT_S = 600.0
_LEAST = 8
"""Tokens that must be written for a speed to mean anything."""


@dataclass(frozen=True)
class Result:
    """What was measured; None where it does not apply."""

    name: str
    role: str
    load_s: float
    memory_mb: float
    """The process's greatest resident memory, less what it had before the model."""
    tokens_per_s: float | None = None
    first_token_ms: float | None = None
    prompt_tokens_per_s: float | None = None
    bandwidth_gb_s: float | None = None
    limit_tokens_per_s: float | None = None
    """What the memory bandwidth would allow."""
    of_limit: float | None = None
    """The part of it that was reached."""
    real_time_factor: float | None = None
    """Time of work by time of sound; below 1 is faster than real time."""
    first_sound_ms: float | None = None
    seconds: float | None = None
    """Of one piece of work."""


def bench(model: Model, models_dir: Path, threads: int = 0, tokens: int = TOKENS) -> Result:
    """Measure one installed model.

    Args:
        model: whose files are verified first.
        models_dir: where it is installed.
        threads: of language and speech models; 0: as they use.
        tokens: to be written by a language model.

    Raises:
        ModelError: it is not installed, damaged, cannot be measured, or failed.
    """
    verify(model, models_dir)
    role = next((role for role in model.roles if role in _MEASURES), None)
    if role is None:
        raise ModelError(f"a model for {', '.join(model.roles)} cannot be measured")
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(
        target=_in_process, args=(sender, role, model, models_dir, threads, tokens)
    )
    process.start()
    sender.close()
    try:
        if not receiver.poll(_LIMIT_S):
            raise ModelError(f"model {model.name} was not done within {_LIMIT_S:.0f} s")
        kind, value = receiver.recv()
    except EOFError as error:
        process.join()
        raise ModelError(
            f"model {model.name} ended its process (code {process.exitcode}); has it enough memory?"
        ) from error
    finally:
        process.kill()
        process.join()
        receiver.close()
    if kind == "failed":
        code, sentence = value
        raise error_of(code)(sentence)
    return Result(**value)


def _in_process(
    sender: Connection, role: str, model: Model, models_dir: Path, threads: int, tokens: int
) -> None:
    try:
        result = _MEASURES[role](model, models_dir, threads, tokens)
    except LunaError as error:
        sender.send(("failed", (error.exit_code, str(error))))
    else:
        sender.send(("done", asdict(result)))


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _language_model(model: Model, models_dir: Path, threads: int, tokens: int) -> Result:
    from appliance.llm.engine import always
    from appliance.llm.llama import LlamaEngine
    from appliance.llm.weights import Weights

    # Before the model is there, so that both have the memory for themselves.
    bandwidth = memory_bandwidth(threads, rounds=5)
    path = model.folder(models_dir) / model.weights.name
    before = _resident_mb()
    began = monotonic()
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as states:
        engine = LlamaEngine(
            Weights(path),
            name=model.name,
            sha256=model.weights.sha256,
            state_dir=Path(states),
            context_tokens=1024,
            threads=cores(threads),
            prompt_format=model.prompt_format,
        )
        load_s = monotonic() - began
        times: list[float] = []
        # The first run brings the file into memory; it is not counted.
        for _ in range(2):
            times.clear()
            began = monotonic()
            done = engine.generate(
                [{"role": "user", "content": f"{PROMPT} ({len(times)}, {began})"}],
                max_tokens=tokens,
                temperature=0.8,
                on_text=lambda _text: times.append(monotonic()),
                proceed=always,
            )
        memory_mb = _resident_mb() - before
        engine.close()
    written, spent = done.completion_tokens, times[-1] - times[0] if times else 0.0
    if written < _LEAST or spent <= 0:
        raise ModelError(f"model {model.name} wrote {written} tokens, too few to measure its speed")
    rate = (written - 1) / spent
    first = times[0] - began
    limit = bandwidth / model.weights.bytes
    return Result(
        model.name,
        "chat",
        load_s,
        memory_mb,
        tokens_per_s=rate,
        first_token_ms=first * 1000,
        prompt_tokens_per_s=(done.prompt_tokens - done.cached_tokens) / max(first, 1e-6),
        bandwidth_gb_s=bandwidth / 1e9,
        limit_tokens_per_s=limit,
        of_limit=rate / limit,
    )


def _resident_mb() -> float:
    """Return the memory of this process that is in RAM, mapped files included."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return _peak_mb()


def _speech_model(model: Model, models_dir: Path, threads: int, _tokens: int) -> Result:
    from appliance.stt.whisper import WhisperTranscriber

    samples = _spoken()
    before = _resident_mb()
    began = monotonic()
    transcriber = WhisperTranscriber(
        model.folder(models_dir), model.name, model.languages, threads=threads
    )
    load_s = monotonic() - began
    spent = _best(lambda: transcriber.transcribe(samples, "en"))
    return Result(
        model.name,
        "stt",
        load_s,
        _resident_mb() - before,
        seconds=spent,
        real_time_factor=spent / (len(samples) / _RATE),
    )


def _spoken() -> Any:
    """Return a spoken sentence, mono int16 at 16 kHz, by the voice that is always there."""
    import numpy as np
    import soxr

    from appliance.tts.espeak import EspeakVoice

    voice = EspeakVoice("en")
    sound = np.concatenate(list(voice.synthesise(SENTENCE)))
    return np.asarray(soxr.resample(sound, voice.rate, _RATE), np.int16)


def _voice(model: Model, models_dir: Path, _threads: int, _tokens: int) -> Result:
    from appliance.tts.piper import PiperVoice

    path = next(
        model.folder(models_dir) / file.name for file in model.files if file.name.endswith(".onnx")
    )
    before = _resident_mb()
    began = monotonic()
    voice = PiperVoice(path, path.with_name(path.name + ".json"), model.name, model.languages[0])
    load_s = monotonic() - began
    firsts: list[float] = []
    length: list[float] = []

    def speak() -> None:
        start, samples = monotonic(), 0
        for piece in voice.synthesise(SENTENCE):
            if not samples:
                firsts.append(monotonic() - start)
            samples += len(piece)
        length.append(samples / voice.rate)

    spent = _best(speak)
    return Result(
        model.name,
        "tts",
        load_s,
        _resident_mb() - before,
        seconds=spent,
        real_time_factor=spent / length[-1],
        first_sound_ms=min(firsts) * 1000,
    )


def _best(work: Callable[[], object], rounds: int = 3) -> float:
    """Return the seconds of the fastest of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = monotonic()
        work()
        best = min(best, monotonic() - began)
    return best


def measurable(model: Model) -> bool:
    """Return whether :func:`bench` can measure this kind of model."""
    return bool(_MEASURES.keys() & set(model.roles))


def lines(result: Result) -> list[str]:
    """Return the result for a person."""
    out = [f"{result.name}: loaded in {result.load_s:.1f} s, {result.memory_mb:.0f} MB in memory"]
    if result.tokens_per_s and result.limit_tokens_per_s and result.of_limit:
        out += [
            f"  {result.tokens_per_s:.1f} tokens/s, first token after {result.first_token_ms:.0f} "
            f"ms, prompt {result.prompt_tokens_per_s:.0f} tokens/s",
            f"  {100 * result.of_limit:.0f} % of what memory allows: "
            f"{result.limit_tokens_per_s:.1f} tokens/s at {result.bandwidth_gb_s:.1f} GB/s",
        ]
    if result.real_time_factor:
        first = f", first sound after {result.first_sound_ms:.0f} ms"
        out.append(
            f"  real-time factor {result.real_time_factor:.3f}: {result.seconds:.2f} s for "
            f"{(result.seconds or 0) / result.real_time_factor:.1f} s of speech"
            + (first if result.first_sound_ms else "")
        )
    return out


_MEASURES: dict[str, Callable[[Model, Path, int, int], Result]] = {
    "chat": _language_model,
    "code": _language_model,
    "stt": _speech_model,
    "tts": _voice,
}
