"""OpenAI's own client against the real server; the model is a fake one, that knows one answer."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from PIL import Image

from appliance import engines, fakes
from appliance.fakes import ANSWER
from appliance.settings import Settings
from tests.web.openai_box import Box, box

QUESTION: Any = [{"role": "user", "content": "Where is Paris?"}]
LONG = " ".join(f"word{number}" for number in range(400))


@pytest.fixture
async def luna(tmp_path: Path) -> AsyncIterator[Box]:
    async with box(tmp_path, "llm") as running:
        yield running


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Box]:
    """A box whose model writes for four seconds."""
    parts = replace(
        engines.fake(Settings()),
        language_models=partial(fakes.load_language_models, 0.01, LONG),
    )
    async with box(tmp_path, "llm", parts_of=parts) as running:
        yield running


async def test_the_models(luna: Box) -> None:
    listed = await luna.client.models.list()
    assert [model.id for model in listed.data] == ["luna", "luna-code", "luna-vision"]
    assert (await luna.client.models.retrieve("luna-code")).owned_by == "luna"
    with pytest.raises(openai.NotFoundError):
        await luna.client.models.retrieve("gpt-4o")


async def test_an_answer(luna: Box) -> None:
    done = await luna.client.chat.completions.create(model="luna", messages=QUESTION)
    [choice] = done.choices
    assert (choice.message.content, choice.finish_reason) == (ANSWER, "stop")
    assert choice.message.role == "assistant"
    assert done.usage is not None
    assert done.usage.total_tokens == done.usage.prompt_tokens + done.usage.completion_tokens > 0
    assert (done.model, done.system_fingerprint) == ("luna", "local/fake")


async def test_a_stream(luna: Box) -> None:
    chunks = [
        chunk
        async for chunk in await luna.client.chat.completions.create(
            model="luna-code",
            messages=QUESTION,
            stream=True,
            stream_options={"include_usage": True},
        )
    ]
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == ANSWER
    assert len(chunks) > 4
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert not chunks[-1].choices
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1


async def test_limits_and_stop_words(luna: Box) -> None:
    create = luna.client.chat.completions.create
    short = await create(model="luna", messages=QUESTION, max_tokens=2)
    assert (
        short.choices[0].message.content == "".join(ANSWER.partition(" ")[:2]) + (ANSWER.split()[1])
    )
    word = ANSWER.split()[3]
    cut = await create(model="luna", messages=QUESTION, stop=["nowhere", word])
    assert cut.choices[0].message.content == ANSWER[: ANSWER.index(word)]
    assert cut.choices[0].finish_reason == "stop"
    assert cut.usage is not None
    assert cut.usage.prompt_tokens > 0


async def test_nothing_is_kept_and_nothing_is_shown(luna: Box) -> None:
    events = luna.app.events()
    await anext(events)
    await luna.client.chat.completions.create(model="luna", messages=QUESTION)
    assert len(luna.app.coordinator.history) == 0
    assert luna.app.bus.snapshot.last_turn == {}
    [used] = luna.used
    assert (used.provider, used.outcome, used.turn_id) == ("local", "finished", -1)
    await luna.client.chat.completions.create(model="luna", messages=QUESTION)
    assert luna.used[1].turn_id == -2


WRONG: Any = [
    ({"messages": []}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [{"role": "tool", "content": "4", "tool_call_id": "1"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
    ({"messages": [{"role": "assistant", "content": "Hello"}]}, "messages"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"stop": ["a"] * 5}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"n": 2}, "n"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"logprobs": True}, "logprobs"),
    ({"stream_options": 3}, "stream_options"),
]


async def test_what_is_wrong_is_said(luna: Box) -> None:
    for wrong, field in WRONG:
        with pytest.raises(openai.BadRequestError) as caught:
            await luna.client.chat.completions.create(
                **{"model": "luna", "messages": QUESTION, **wrong}
            )
        assert caught.value.param == field
        assert caught.value.type == "invalid_request_error"


async def test_style_is_no_reason_to_refuse(luna: Box) -> None:
    done = await luna.client.chat.completions.create(
        model="luna", messages=QUESTION, top_p=0.9, seed=7, presence_penalty=0.5, user="somebody"
    )
    assert done.choices[0].message.content == ANSWER


async def test_who_may_not(luna: Box, tmp_path: Path) -> None:
    async with luna.another("luna_wrong") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(model="luna", messages=QUESTION)
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
    with pytest.raises(openai.NotFoundError) as caught:
        await luna.client.chat.completions.create(model="gpt-4o", messages=QUESTION)
    assert "luna-code" in str(caught.value)


async def test_bodies_that_are_none(luna: Box) -> None:
    headers = {"Authorization": f"Bearer {luna.token}", "Content-Type": "application/json"}
    url = f"{luna.url}/chat/completions"
    async with aiohttp.ClientSession(headers=headers) as session:
        for body in (b"", b"[]", b"{", b"[" * 100_000, b"\xff\xfe"):
            async with session.post(url, data=body) as answer:
                assert answer.status == 400
                assert "error" in await answer.json()
        try:
            async with session.post(url, data=b" " * (21 << 20)) as answer:
                assert answer.status == 413
        except aiohttp.ClientConnectionError:
            pass  # it hung up before all of that was sent


def picture(form: str = "PNG") -> str:
    data = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(data, form)
    return f"data:image/{form.lower()};base64," + base64.b64encode(data.getvalue()).decode()


def about(url: str) -> Any:
    parts = [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    return [{"role": "user", "content": parts}]


async def test_a_picture_goes_to_the_vision_model(luna: Box) -> None:
    done = await luna.client.chat.completions.create(model="luna", messages=about(picture()))
    assert done.choices[0].message.content == ANSWER
    assert luna.used[-1].role == "vision"


NO_PICTURES = [
    "http://127.0.0.1/secret.png",
    "file:///etc/passwd",
    "data:image/png;base64,%%%",
    "data:image/png;base64,AAAA",
    "data:text/html;base64,AAAA",
    "data:image/svg+xml;base64,PHN2Zy8+",
    "",
]


async def test_what_is_no_picture(luna: Box) -> None:
    for url in NO_PICTURES:
        with pytest.raises(openai.BadRequestError):
            await luna.client.chat.completions.create(model="luna", messages=about(url))


# --- who goes first ------------------------------------------------------------------------------


async def test_a_turn_goes_first_and_the_answer_goes_on(slow: Box) -> None:
    stream = await slow.client.chat.completions.create(
        model="luna", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    text, usage, turn = "", None, None
    ended_after = 0
    async for chunk in stream:
        usage = chunk.usage or usage
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        if turn is None and len(text) > 200:
            turn = asyncio.create_task(slow.ask_aloud("How are you?"))
        elif turn is not None and not turn.done():
            ended_after = len(text)
    assert text == LONG
    assert turn is not None
    assert (await turn).answer == LONG[: LONG.index(" word200")]
    assert ended_after < 1000  # while the turn went on, nothing was written for the client
    assert usage is not None
    assert usage.completion_tokens == len(LONG.split())
    [turned, api] = slow.used
    assert (turned.turn_id, api.turn_id, api.outcome) == (1, -1, "finished")


async def test_a_request_waits_for_the_turn(slow: Box) -> None:
    turn = asyncio.create_task(slow.ask_aloud("How are you?"))
    await asyncio.sleep(0.2)
    done = await slow.client.chat.completions.create(model="luna", messages=QUESTION, max_tokens=3)
    assert turn.done()
    assert done.choices[0].finish_reason == "stop"


async def test_the_one_too_many_is_sent_away(slow: Box) -> None:
    def ask() -> Any:
        return slow.client.chat.completions.create(model="luna", messages=QUESTION)

    waiting = [asyncio.create_task(ask()) for _ in range(5)]
    await asyncio.sleep(0.5)
    with pytest.raises(openai.RateLimitError) as caught:
        await ask()
    assert int(caught.value.response.headers["Retry-After"]) > 0
    assert caught.value.code == "rate_limit_exceeded"
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    async with asyncio.timeout(10):
        while slow.used == [] or slow.used[-1].outcome != "cancelled":
            await asyncio.sleep(0.05)


async def test_who_hangs_up_stops_the_work(slow: Box) -> None:
    for stream in (True, False):
        slow.used.clear()
        request = asyncio.create_task(_read(slow, stream))
        await asyncio.sleep(0.5)
        request.cancel()
        await asyncio.wait((request,))
        async with asyncio.timeout(5):
            while not slow.used:
                await asyncio.sleep(0.02)
        [used] = slow.used
        assert used.outcome == "cancelled"
        assert 0 < used.completion_tokens < 500
    # The engine is free at once.
    async with asyncio.timeout(5):
        await slow.client.chat.completions.create(
            model="luna", messages=QUESTION, stop=["word9"], stream=False
        )


async def _read(running: Box, stream: bool) -> None:
    answer: Any = await running.client.chat.completions.create(
        model="luna", messages=QUESTION, stream=stream
    )
    async for _ in answer:
        pass
