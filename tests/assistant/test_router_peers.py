"""The router with everything real around it: HTTP, the quota ledger on the disk, the breaker.

The servers are real ones on loopback; most play a fault, one is llama.cpp's with a real model.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from appliance.assistant.answers import Answer, Chosen, Finished, Text
from appliance.assistant.no_answer import NoAnswerError, sentence
from appliance.assistant.provider_check import check
from appliance.assistant.router import Router
from appliance.clock import monotonic
from appliance.events import Event, ProviderUsed
from appliance.providers.assembly import Providers, assemble
from appliance.providers.base import ChatRequest
from appliance.providers.offline import Network
from appliance.settings import (
    GeneralSettings,
    ProviderSettings,
    RoutingSettings,
    Settings,
)
from tests import fake_provider as play
from tests.assistant.test_router import DONE, Scripted, chosen, skips, text_of
from tests.fake_provider import FakeProvider
from tests.llama_server import MODEL, llama_server

KEYS = {"ONE_API_KEY": "key-one", "TWO_API_KEY": "key-two"}
ROLE_POLICY: Any = {"chat": "cloud_first"}


@dataclass
class House:
    """A box with providers `one` and `two` in the cloud, and a local model."""

    router: Router
    parts: Providers
    local: Scripted
    events: list[Event]

    async def ask(self, question: str = "Who are you?", **changes: Any) -> list[Answer]:
        confirmed = asyncio.Event()
        confirmed.set()
        answers = self.router.answer(request(question, **changes), confirmed=confirmed)
        return [answer async for answer in answers]

    async def used(self, provider: str) -> int:
        total = (await self.parts.ledger.budget()).day.total(provider)
        return total.tokens_in + total.tokens_out


def request(question: str, **changes: Any) -> ChatRequest:
    values: dict[str, Any] = {
        "role": "chat",
        "messages": ({"role": "user", "content": question},),
        "max_tokens": 40,
        "temperature": 0.0,
    }
    return ChatRequest(**{**values, **changes})


@asynccontextmanager
async def house(
    folder: Path,
    *servers: FakeProvider | str,
    clock: Callable[[], float] = monotonic,
    **limits: Any,
) -> AsyncIterator[House]:
    tables = {
        name: ProviderSettings(
            base_url=server if isinstance(server, str) else server.base_url,
            models={"chat": "small"},
            **limits,
        )
        for name, server in zip(("one", "two"), servers, strict=False)
    }
    settings = Settings(
        general=GeneralSettings(data_dir=str(folder)),
        routing=RoutingSettings(policy=ROLE_POLICY),
        providers=tables,
    )
    events: list[Event] = []
    parts = assemble(settings, on_event=events.append, environ=KEYS)
    local = Scripted("local")
    router = Router(
        {"local": local, **parts.clients},
        ledger=parts.ledger,
        breaker=parts.breaker,
        # The servers are on loopback: whether this machine has a network does not matter.
        network=Network(tables, proc=Path("/nowhere")),
        policy=parts.policy,
        publish=events.append,
        clock=clock,
    )
    try:
        yield House(router, parts, local, events)
    finally:
        await parts.close()


async def test_a_good_answer_is_counted_on_the_disk(tmp_path: Path) -> None:
    async with FakeProvider([play.answer("It is late.")]) as server:
        async with house(tmp_path, server) as box:
            answers = await box.ask()
            assert text_of(answers) == "It is late."
            assert isinstance(answers[-1], Finished)
            assert not answers[-1].usage.estimated
            assert await box.used("one") == 15
        async with house(tmp_path, server) as box:
            assert await box.used("one") == 15
    assert server.requests[0].body["max_tokens"] == 40


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (play.rate_limited("30"), "cooldown"),
        (play.failing(500), "error"),
        (play.failing(401), "misconfigured"),
        (play.failing(400), "misconfigured"),
        (play.malformed(), "error"),
        (play.cut("", 0), "error"),
        (play.redirect("http://example.com/"), "misconfigured"),
        (play.huge(), "error"),
        (play.Play(end="no_finish", pieces=()), "error"),
    ],
)
async def test_each_fault_is_answered_by_the_next(
    tmp_path: Path, fault: play.Play, reason: str
) -> None:
    async with FakeProvider([fault]) as bad, FakeProvider([play.answer("Fine.")]) as good:
        async with house(tmp_path, bad, good) as box:
            answers = await box.ask()
    assert chosen(answers) == [("two", "next")]
    assert skips(answers[0]) == {"one": reason}
    assert text_of(answers) == "Fine."


async def test_a_cut_stream_goes_on_elsewhere_without_repeating(tmp_path: Path) -> None:
    async with FakeProvider([play.cut("The moon is made of rock.", 3)]) as bad:
        async with FakeProvider([play.answer("The moon is made of rock.")]) as good:
            async with house(tmp_path, bad, good) as box:
                answers = await box.ask()
    assert chosen(answers) == [("one", "first"), ("two", "continues")]
    assert text_of(answers) == "The moon is made of rock."


async def test_a_server_that_is_gone_and_comes_back(tmp_path: Path) -> None:
    async with FakeProvider([play.answer("Here.")]) as server:
        async with house(tmp_path, server) as box:
            await server.stop()
            assert chosen(await box.ask()) == [("local", "next")]
            # The line counts as dead for a while: nothing is tried meanwhile.
            answers = await box.ask()
            assert skips(answers[0])["one"] == "offline"
            await server.start()
            box.router.network.succeeded()
            assert text_of(await box.ask()) == "Here."


async def test_a_slow_server_is_overtaken_and_its_connection_closed(tmp_path: Path) -> None:
    async with FakeProvider([play.slow(60.0)]) as server:
        async with house(tmp_path, server, first_token_timeout_s=0.1) as box:
            answers = await box.ask()
            assert chosen(answers)[0][0] == "local"
            assert await box.used("one") >= 40  # what it had written is not known
            for _ in range(100):
                if not server.running:
                    break
                await asyncio.sleep(0.02)
    assert server.running == 0


async def test_a_slow_server_that_is_faster_than_the_next_has_the_turn(tmp_path: Path) -> None:
    """After its deadline it is not given up: the two race."""
    late = play.slow(0.6, pieces=("Here", " I", " am."))
    async with FakeProvider([late]) as one, FakeProvider([play.slow(60.0)]) as two:
        async with house(tmp_path, one, two, first_token_timeout_s=0.4) as box:
            answers = await box.ask()
            assert two.requests
            assert chosen(answers) == [("one", "first")]
            assert text_of(answers) == "Here I am."
            assert await box.used("two") >= 40


async def test_cached_tokens_are_cheaper(tmp_path: Path) -> None:
    prices = {"price_input": 10.0, "price_output": 1.0, "price_cached": 1.0}
    async with FakeProvider([play.answer("Yes.", prompt_tokens=12, cached_tokens=8)]) as server:
        async with house(tmp_path, server, **prices) as box:
            await box.ask()
            day = (await box.parts.ledger.budget()).day
            assert day.total("one").cost_micros == 4 * 10 + 8 * 1 + 1
            assert [e.cost for e in box.events if isinstance(e, ProviderUsed)] == [49e-6]


async def test_the_budget_runs_out_and_the_sentence_says_until_when(tmp_path: Path) -> None:
    async with FakeProvider([play.answer("Yes.")]) as server:
        async with house(tmp_path, server, daily_limit_tokens=130) as box:
            box.router.policy = type(box.router.policy)(
                local=box.router.policy.local,
                others=box.router.policy.others,
                roles={"chat": "cloud"},
            )
            with pytest.raises(NoAnswerError) as caught:
                await _until_refused(box)
            assert await box.used("one") <= 130
    spoken = sentence(caught.value, "en")
    assert spoken.startswith("I cannot answer that now. Today's limit for One is used up")
    assert "00:00" in spoken


@pytest.mark.parametrize(
    ("limit", "measure"),
    [
        ({"daily_limit_requests": 3}, "requests"),
        # A request of about 60 tokens of prompt and 40 of answer at most.
        ({"daily_limit_usd": 0.002, "price_input": 5.0, "price_output": 10.0}, "cost"),
    ],
)
async def test_requests_and_dollars_are_limited_too(
    tmp_path: Path, limit: dict[str, Any], measure: Any
) -> None:
    async with FakeProvider([play.answer("Yes.")]) as server:
        async with house(tmp_path, server, **limit) as box:
            found = [chosen(await box.ask())[0][0] for _ in range(40)]
            budget = await box.parts.ledger.budget()
            allowed = budget.day.limits["one"].of(measure)
            assert "local" in found
            assert found.index("local") == len(server.requests) >= 2
            assert budget.day.total("one").of(measure) <= allowed


async def test_twenty_at_once_never_exceed_the_limit(tmp_path: Path) -> None:
    async with FakeProvider([play.answer("Yes.", between_s=0.01)]) as server:
        async with house(tmp_path, server, daily_limit_tokens=400) as box:
            found = await asyncio.gather(*(box.ask() for _ in range(20)))
            assert {name for answers in found for name, _ in chosen(answers)} == {"one", "local"}
            assert await box.used("one") <= 400


async def test_closing_in_the_middle_ends_the_connection_and_is_counted(tmp_path: Path) -> None:
    confirmed = asyncio.Event()
    confirmed.set()
    async with FakeProvider([play.never_ending(between_s=0.01)]) as server:
        async with house(tmp_path, server) as box:
            answers = box.router.answer(request("Go on."), confirmed=confirmed)
            async with aclosing(answers):  # type: ignore[type-var]
                async for answer in answers:
                    if isinstance(answer, Text):
                        break
            assert (await box.parts.ledger.budget()).day.holds == {}
            assert await box.used("one") > 0
            for _ in range(100):
                if not server.running:
                    break
                await asyncio.sleep(0.02)
            assert server.running == 0


async def test_the_test_of_one_provider(tmp_path: Path) -> None:
    async with FakeProvider([play.answer("ready"), play.failing(401)]) as server:
        async with house(tmp_path, server) as box:
            good = await check(box.router, "one")
            assert (good.ok, good.model, good.completion_tokens) == (True, "small", 1)
            assert await box.used("one") == 13
            bad = await check(box.router, "one")
            assert not bad.ok
            assert "401" in bad.detail
            assert box.parts.breaker.health("one").status == "misconfigured"
            server.play(play.answer("ready"))
            assert (await check(box.router, "one")).ok
            assert box.parts.breaker.health("one").status == "ok"
            assert not (await check(box.router, "three")).ok


async def _until_refused(box: House) -> None:
    for _ in range(20):
        await box.ask()


@pytest.mark.models
@pytest.mark.slow
async def test_a_real_server_dies_in_the_middle_of_its_answer(tmp_path: Path) -> None:
    """llama.cpp's server with a real model: it answers, is killed, and the box goes on."""
    models = Path(os.environ.get("LUNA_MODELS_DIR", Path.home() / ".cache/luna/models"))
    async with AsyncExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, llama_server(models / MODEL))
        box = await stack.enter_async_context(house(tmp_path, server.base_url))
        answers = await box.ask("Say hello.")
        assert chosen(answers) == [("one", "first")]
        assert text_of(answers)
        assert await box.used("one") > 0

        confirmed = asyncio.Event()
        confirmed.set()
        question = request("Count from one to a hundred in words.", max_tokens=200)
        box.local.scripts = [(" And so on.", DONE)]
        given, names = "", []
        async for answer in box.router.answer(question, confirmed=confirmed):
            if isinstance(answer, Text):
                if not given:
                    await asyncio.to_thread(server.kill)
                given += answer.text
            elif isinstance(answer, Chosen):
                names.append(answer.provider)
        assert names == ["one", "local"]
        assert box.local.requests[0].continues + " And so on." == given
