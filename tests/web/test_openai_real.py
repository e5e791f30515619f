"""OpenAI's client and real models: who speaks with the box goes first, and notices nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from appliance import engines
from appliance.events import Event, GenerationFinished
from appliance.settings import LlmSettings, Settings
from tests.web.openai_box import Box, box

pytestmark = [pytest.mark.models, pytest.mark.slow]

CAPITAL: Any = [{"role": "user", "content": "What is the capital of France?"}]
EXPLAIN: Any = [
    {"role": "system", "content": "You explain."},
    {"role": "user", "content": "Explain how a refrigerator works."},
]
SHARED = LlmSettings()
"""Chat and code have the same model: a request has a context of its own."""
APART = LlmSettings(code_model="smollm2-135m-instruct-q4_1")
"""They have not: a request takes the place of the conversation."""


def real(llm: LlmSettings) -> dict[str, Any]:
    settings = Settings(llm=llm)
    return {"settings": settings, "parts_of": engines.real(settings)}


async def test_an_answer_and_a_stream(tmp_path: Path) -> None:
    async with box(tmp_path, "llm", **real(SHARED)) as luna:
        create = luna.client.chat.completions.create
        assert [m.id for m in (await luna.client.models.list()).data] == ["luna", "luna-code"]
        done = await create(model="luna", messages=CAPITAL, max_tokens=40, temperature=0)
        text = done.choices[0].message.content
        assert text is not None
        assert "Paris" in text
        assert done.usage is not None
        assert 0 < done.usage.completion_tokens <= 40
        stream = await create(
            model="luna", messages=CAPITAL, max_tokens=40, temperature=0, stream=True
        )
        pieces = [c.choices[0].delta.content or "" async for c in stream if c.choices]
        assert "".join(pieces) == text
        assert len(pieces) > 3
        long = [{"role": "user", "content": "word " * 20_000}]
        with pytest.raises(openai.BadRequestError) as caught:
            await create(model="luna", messages=long)  # type: ignore[arg-type]
        assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize("llm", [SHARED, APART], ids=["shared", "apart"])
async def test_a_turn_interrupts_and_the_whole_text_comes(tmp_path: Path, llm: LlmSettings) -> None:
    async with box(tmp_path, "llm", **real(llm)) as luna:
        create: Any = luna.client.chat.completions.create
        ask = {"model": "luna", "messages": EXPLAIN, "max_tokens": 120, "temperature": 0}
        whole = await create(**ask)
        stream = await create(**ask, stream=True, stream_options={"include_usage": True})
        text, turn, reason, usage, during = "", None, None, None, 0
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
            if turn is None and len(text) > 150:
                turn = asyncio.create_task(luna.ask_aloud("What is the capital of Italy?"))
            elif turn is not None and not turn.done():
                during += 1
        assert turn is not None
        assert "Rome" in (await turn).answer
        assert during < 20  # what was on its way already
        # Nothing is missing and nothing comes twice: as many tokens, after as long a prompt.
        assert reason == whole.choices[0].finish_reason == "length"
        assert usage.completion_tokens == whole.usage.completion_tokens == 120
        assert usage.prompt_tokens == whole.usage.prompt_tokens
        booked = [(used.turn_id, used.outcome) for used in luna.used]
        assert booked == [(-1, "finished"), (1, "finished"), (-2, "finished")]


@pytest.mark.parametrize("llm", [SHARED, APART], ids=["shared", "apart"])
async def test_the_next_spoken_question_is_as_quick_as_ever(
    tmp_path: Path, llm: LlmSettings
) -> None:
    """Of its prompt nothing but the question itself has to be read, before and after."""
    async with box(tmp_path, "llm", **real(llm)) as luna:
        finished: list[GenerationFinished] = []

        def note(event: Event) -> None:
            if isinstance(event, GenerationFinished) and event.prompt_tokens:
                finished.append(event)

        luna.app.bus.listen(note)
        await luna.ask_aloud("My sister Ana lives in Lisbon with two cats. What a nice town!")
        await luna.ask_aloud("What is the capital of Spain?")
        await luna.client.chat.completions.create(model="luna", messages=EXPLAIN, max_tokens=60)
        await settled(luna)
        await luna.ask_aloud("What is the capital of Italy?")
        read = [event.prompt_tokens - event.cached_tokens for event in finished]
        assert abs(read[2] - read[1]) <= 8, finished


async def settled(luna: Box) -> None:
    """Wait until the model has nothing to do."""
    worker = psutil.Process(luna.app.supervisor.health()["llm"].pid)
    quiet = 0
    async with asyncio.timeout(60):
        while quiet < 3:  # seconds, so that a busy machine is not taken for a model at rest
            before = worker.cpu_times().user
            await asyncio.sleep(1.0)
            quiet = quiet + 1 if worker.cpu_times().user - before < 0.03 else 0
