"""The bound of tokens against the real tokenizers that are installed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import paths
from appliance.providers.estimate import (
    FRAME_TOKENS,
    MAX_KNOWN,
    REQUEST_TOKENS,
    TokenBound,
    believable,
    tokens_at_most,
    tools_at_most,
)

GGUF = [
    "smollm2-135m-instruct-q4_1/SmolLM2-135M-Instruct.Q4_1.gguf",
    "qwen2.5-coder-0.5b-instruct-q4_k_m/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
]
WHISPER = "whisper-base/tokenizer.json"
_RANDOM = random.Random(7)
SAMPLES = {
    "English": "What is the weather like in the mountains tomorrow, and should I take an umbrella?",
    "Portuguese": "Você pode me lembrar de tirar o pão do forno às seis e meia da tarde, por favor?",
    "code": "def f(x):\n        if x > 0:\n                return x ** 2  # squared\n        return -x\n",
    "numbers": "11 91234-5678, 3.14159265358979, 2026-11-21T10:30:00Z, 192.168.100.200",
    "rare words": "pneumonoultramicroscopicsilicovolcanoconiosis anticonstitucionalissimamente",
    "random letters": "".join(
        _RANDOM.choices("bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ0123", k=300)
    ),
    "symbols": "<|im_end|> {}[]()~`@#$%^&*_+=|\\/<>?!;:'\" \t\t\n\n\n",
    "Chinese": "今天天气怎么样,我需要带雨伞吗?",
    "Arabic": "كيف حال الطقس اليوم وهل أحتاج إلى مظلة",
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈🇧🇷🦄" * 5,
    "any character": "".join(chr(_RANDOM.randrange(0x20, 0xD7FF)) for _ in range(300)),
}
Count = Callable[[str], int]


def _load(name: str) -> Count:
    file = paths.models_dir() / name
    if file.suffix == ".gguf":
        return _gguf(file)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def _gguf(file: Path) -> Count:
    from llama_cpp import Llama

    model = Llama(str(file), vocab_only=True, verbose=False)
    return lambda text: len(model.tokenize(text.encode(), add_bos=False, special=True))


@pytest.fixture(scope="module", params=[*GGUF, WHISPER], ids=["SmolLM2", "Qwen2.5", "Whisper"])
def count(request: pytest.FixtureRequest) -> Count:
    return _load(request.param)


@pytest.mark.models
@pytest.mark.parametrize("name", SAMPLES)
def test_no_real_tokenizer_finds_more(count: Count, name: str) -> None:
    assert count(SAMPLES[name]) <= tokens_at_most(SAMPLES[name])


@pytest.mark.models
@given(text=st.text(max_size=200))
def test_of_no_text_at_all(count: Count, text: str) -> None:
    assert count(text) <= tokens_at_most(text)


def test_the_parts_of_a_prompt_are_added() -> None:
    bound = TokenBound(image_tokens=1000)
    one: Any = {"role": "user", "content": "olá"}
    looking: Any = {
        "role": "user",
        "content": [{"type": "text", "text": "abc"}, {"type": "image_url", "image_url": {}}],
    }
    assert bound.prompt([one]) == REQUEST_TOKENS + FRAME_TOKENS + 4
    assert bound.prompt([one, looking]) == REQUEST_TOKENS + 2 * FRAME_TOKENS + 4 + 1003
    assert tools_at_most([]) == 0
    assert tools_at_most([{"name": "x" * 50}]) > 50


def test_what_the_provider_counted_makes_it_tight() -> None:
    bound = TokenBound(image_tokens=0)
    system: Any = {"role": "system", "content": "You are a helpful assistant. " * 50}
    question: Any = {"role": "user", "content": "Why is the sky blue?"}
    reply: Any = {"role": "assistant", "content": "Because of scattering."}
    before = bound.prompt([system, question])
    bound.learn([system, question], 310)
    assert bound.prompt([system, question]) == 310 + REQUEST_TOKENS < before / 3
    grown = bound.prompt([system, question, reply])
    assert grown == 310 + REQUEST_TOKENS + FRAME_TOKENS + len(reply["content"])
    # Another conversation begins alike: its beginning cannot be larger than the whole was.
    other = bound.prompt([system, reply])
    assert other == 310 + REQUEST_TOKENS + FRAME_TOKENS + len(reply["content"])
    assert bound.prompt([reply, question]) == TokenBound(0).prompt([reply, question])


def test_it_never_forgets_to_be_small() -> None:
    bound = TokenBound(image_tokens=0)
    for n in range(MAX_KNOWN + 50):
        bound.learn([{"role": "user", "content": str(n)}], 10)
    assert len(bound._known) == MAX_KNOWN


def test_a_count_must_be_believable() -> None:
    assert believable(25, [{"role": "user", "content": "x" * 100}])
    assert not believable(3, [{"role": "user", "content": "x" * 100}])
