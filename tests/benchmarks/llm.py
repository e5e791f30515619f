"""The language model worker: first token warm against cold, restarts, tokens/s, first clause.

Everything but the raw loop goes through the real worker process and its channel. The pairs that
a ratio is made of are measured in turns. The raw loop is what llama.cpp can do at best:
``llama_decode`` and a greedy sampler, nothing else, on the same threads, which wait for each other
in the same way (see ``appliance.llm.process.SPIN_COUNT``).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import llama_cpp.llama_cpp as llama

from appliance import paths
from appliance.assistant.prompts import system_prompt
from appliance.assistant.sentences import ClauseSplitter
from appliance.commands import Warm
from appliance.events import Ready
from appliance.llm.llama import LlamaEngine
from appliance.llm.process import SPIN_COUNT
from appliance.llm.runtime import BATCH_TOKENS
from appliance.llm.weights import Weights, library_log
from appliance.models.catalogue import load_catalogue, verify
from tests.llm.harness import Worker, worker

CONTEXT_TOKENS = 2048
LONG_PROMPT_TOKENS = 180
"""In the part that is the same in every prompt; the question comes on top."""
QUESTIONS = (
    "What is the capital of France?",
    "What is two plus two?",
    "Who wrote Hamlet?",
    "How are you today?",
    "What is the largest planet?",
    "How many days are in a week?",
    "Why is the sky blue?",
    "Tell me a short joke.",
    "What colour is grass?",
    "How do I boil an egg?",
)
STORYTELLER = "You tell long stories."
STORY = "Tell me a very long story about a fox who travels around the world."
THREADS = min(os.cpu_count() or 1, 4)


def run(quick: bool, model: str = "") -> dict[str, float]:
    """Return medians (ms), their ratios, tokens/s of worker and raw loop, and their ratio."""
    name = model or load_catalogue().default("chat")
    (path,) = verify(load_catalogue().get(name), paths.models_dir()).values()
    real = system_prompt("en")
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with worker(name, paths.models_dir(), state) as bench:
            assert isinstance(bench.next(), Ready)
            long = _long_prompt(bench, real)
            result |= _first_token(bench, long, 10 if quick else 30, "")
            result |= _first_token(bench, real, 10 if quick else 30, "real_prompt_")
            result |= _first_clause(bench, real)
            result |= _throughput(bench, path, 4 if quick else 12)
        result |= _restart(name, path, state, real, 3 if quick else 10)
    return result


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


def _long_prompt(bench: Worker, text: str) -> str:
    """Return *text* with more of the same kind: a prefix of about ``LONG_PROMPT_TOKENS``."""
    words = " ".join([text] * 4).split()
    for question in ("Hello!", "And you?"):  # the second finds the prefix, and nothing more
        bench.ask(_system(" ".join(words)), _user(question), max_tokens=1)
        tokens = bench.answer()[1].cached_tokens
    return " ".join(words[: round(len(words) * LONG_PROMPT_TOKENS / tokens)])


def _first_token(bench: Worker, prompt: str, rounds: int, prefix: str) -> dict[str, float]:
    times: dict[str, list[float]] = {"cold": [], "warm": []}
    bench.main.send(Warm(role="chat", messages=(_system(prompt),)))
    fresh = []
    for number in range(rounds):
        question = QUESTIONS[number % len(QUESTIONS)]
        # A prompt that differs from its first word on finds nothing in the cache.
        cold = _system(f"{number} {prompt}")
        times["cold"].append(_time_first_token(bench, cold, question)[0])
        _time_first_token(bench, _system(prompt), "Hello!")
        took, evaluated = _time_first_token(bench, _system(prompt), question)
        times["warm"].append(took)
        fresh.append(evaluated)
    cold_ms, warm_ms = (statistics.median(times[name]) for name in ("cold", "warm"))
    return {
        f"{prefix}cold_first_token_ms": cold_ms,
        f"{prefix}warm_first_token_ms": warm_ms,
        f"{prefix}warm_ratio": warm_ms / cold_ms,
        f"{prefix}warm_tokens_evaluated": statistics.median(fresh),
    }


def _time_first_token(bench: Worker, system: dict[str, str], question: str) -> tuple[float, int]:
    """Return milliseconds to the first piece of text, and the prompt tokens evaluated for it."""
    times: list[float] = []
    began = time.perf_counter()
    bench.ask(system, _user(question), max_tokens=2)
    _, done = bench.answer(lambda _: times.append(time.perf_counter()))
    return (times[0] - began) * 1000, done.prompt_tokens - done.cached_tokens


def _first_clause(bench: Worker, prompt: str) -> dict[str, float]:
    """Measure from the request until the first clause that can be spoken."""
    found: list[float] = []
    words: list[int] = []
    for question in QUESTIONS:
        splitter = ClauseSplitter()
        first: list[tuple[float, str]] = []

        def note(
            text: str,
            splitter: ClauseSplitter = splitter,
            first: list[tuple[float, str]] = first,
        ) -> None:
            first.extend((time.perf_counter(), clause) for clause in splitter.feed(text))

        began = time.perf_counter()
        bench.ask(_system(prompt), _user(question), max_tokens=60)
        bench.answer(note)
        first.extend((time.perf_counter(), clause) for clause in splitter.flush())
        found.append((first[0][0] - began) * 1000)
        words.append(len(first[0][1].split()))
    return {
        "first_clause_ms": statistics.median(found),
        "first_clause_max_ms": max(found),
        "first_clause_words": statistics.median(words),
    }


def _throughput(bench: Worker, path: Path, rounds: int) -> dict[str, float]:
    """Measure tokens/s of the worker, at the receiving end, and of the raw loop, in turns."""
    ours, theirs = [], []
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # as in the worker
    for number in range(rounds + 1):
        times: list[float] = []
        bench.ask(_system(STORYTELLER), _user(STORY), max_tokens=80, temperature=0.3)
        text, done = bench.answer(lambda _, times=times: times.append(time.perf_counter()))
        prompt = f"{STORYTELLER}\n{STORY}\n{text[:20]}"
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
            speed = other.submit(raw_tokens_per_second, path, prompt, 80).result()
        if number:  # the first round warms up both
            ours.append((len(times) - 1) / (times[-1] - times[0]))
            theirs.append(speed)
        assert done.completion_tokens >= 64, "the answer was too short to measure"
    pairs = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "tokens_per_second": statistics.median(ours),
        "raw_tokens_per_second": statistics.median(theirs),
        "throughput_ratio": statistics.median(pairs),
    }


def _restart(name: str, path: Path, state: Path, prompt: str, rounds: int) -> dict[str, float]:
    """Measure how soon a new worker has the prefix that an older one saved."""
    restored, loaded, first = [], [], []
    for _ in range(rounds):
        weights = Weights(path)
        engine = LlamaEngine(
            weights,
            name=name,
            sha256=load_catalogue().get(name).files[0].sha256,
            state_dir=state,
            context_tokens=CONTEXT_TOKENS,
            threads=THREADS,
        )
        began = time.perf_counter()
        assert engine.warm([_system(prompt)], lambda: False), "the saved prefix was not found"
        restored.append((time.perf_counter() - began) * 1000)
        engine.close()
        weights.close()
        with worker(name, paths.models_dir(), state) as bench:
            ready = bench.next()
            assert isinstance(ready, Ready)
            loaded.append(ready.load_ms)
            first.append(_time_first_token(bench, _system(prompt), QUESTIONS[0])[0])
    return {
        "restart_prefix_ms": statistics.median(restored),
        "restart_load_ms": statistics.median(loaded),
        "restart_first_token_ms": statistics.median(first),
    }


def raw_tokens_per_second(path: Path, prompt: str, count: int) -> float:
    """Return the speed of *count* tokens after *prompt* in this process, with nothing around it."""
    library_log()
    llama.llama_backend_init()
    options = llama.llama_model_default_params()
    options.n_gpu_layers = 0
    model = llama.llama_model_load_from_file(str(path).encode(), options)
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = CONTEXT_TOKENS
    parameters.n_batch = parameters.n_ubatch = BATCH_TOKENS
    parameters.n_threads = parameters.n_threads_batch = THREADS
    parameters.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama.llama_init_from_model(model, parameters)
    sampler = llama.llama_sampler_init_greedy()

    data = prompt.encode()
    tokens = (llama.llama_token * len(data))()
    vocabulary = llama.llama_model_get_vocab(model)
    length = llama.llama_tokenize(vocabulary, data, len(data), tokens, len(data), False, True)
    assert 0 < length <= BATCH_TOKENS
    assert llama.llama_decode(context, llama.llama_batch_get_one(tokens, length)) == 0
    token = (llama.llama_token * 1)()
    token[0] = llama.llama_sampler_sample(sampler, context, -1)
    began = time.perf_counter()
    for _ in range(count):
        llama.llama_decode(context, llama.llama_batch_get_one(token, 1))
        token[0] = llama.llama_sampler_sample(sampler, context, -1)
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    for chosen in [a for a in sys.argv[1:] if a != "--quick"] or [""]:
        print(json.dumps({"model": chosen} | run("--quick" in sys.argv, chosen), indent=1))
