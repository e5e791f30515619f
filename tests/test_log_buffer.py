"""The last lines of the log, and those that follow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from appliance import log
from appliance.events import Heard, Logged, TurnEnded
from appliance.log_buffer import MAX_TEXT, WAITING, LogBuffer


@pytest.fixture
async def buffer() -> AsyncIterator[LogBuffer]:
    found = LogBuffer(lines=100)
    found.attach()
    level = log.logger.level
    log.logger.setLevel(logging.INFO)
    yield found
    log.logger.setLevel(level)
    found.detach()


async def test_a_line_has_all_that_the_log_has_and_no_more(buffer: LogBuffer) -> None:
    log.log_event(Logged(level="warning", text="it is\nwarm", worker="llm"))
    log.log_event(Heard(turn_id=7, text="a secret", language="en"))
    question = TurnEnded(turn_id=7, source="wake", outcome="answered", question="a secret")
    log.log_event(question)
    first, second = buffer.last(10)
    assert (first["level"], first["worker"], first["text"]) == ("warning", "llm", "it is\nwarm")
    assert (second["turn"], second["event"]) == (7, "turn_ended")
    assert "a secret" not in str(buffer.last(10))
    logging.getLogger("aiohttp.server").warning("x" * 10_000)
    assert len(buffer.last(1)[0]["text"]) == MAX_TEXT


async def test_filters(buffer: LogBuffer) -> None:
    for number in range(150):
        level = "error" if number % 50 == 0 else "info"
        log.log_event(Logged(level=level, text=f"Line {number}", worker="tts"))
    assert len(buffer.last(1000)) == 100
    assert [line["text"] for line in buffer.last(5, "error")] == ["Line 50", "Line 100"]
    assert [line["text"] for line in buffer.last(2, contains="line 14")] == ["Line 148", "Line 149"]
    assert not buffer.last(0)
    assert not buffer.last(10, contains="stt")


async def test_followers_get_each_line_also_from_threads(buffer: LogBuffer) -> None:
    lines = buffer.follow()
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    await asyncio.to_thread(log.logger.info, "from a thread")
    assert (await first)["text"] == "from a thread"
    second = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    buffer.detach()
    with pytest.raises(StopAsyncIteration):
        await second


async def test_a_slow_follower_is_cut_off(buffer: LogBuffer) -> None:
    lines = buffer.follow()
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    for number in range(WAITING + 2):
        log.logger.info("line %d", number)
    with pytest.raises(StopAsyncIteration):
        await first
