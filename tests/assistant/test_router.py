"""The router: who is asked, what happens when that fails, and what is booked.

The providers here follow a script, so that each fault comes exactly where the test wants it; the
same against real servers is in :mod:`tests.assistant.test_router_peers`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from appliance.assistant.answers import Answer, Chosen, Finished, Text
from appliance.assistant.no_answer import NoAnswerError, Skip, sentence
from appliance.assistant.router import Router
from appliance.errors import ProviderError, StorageError
from appliance.events import Event, ProviderChosen, ProviderUsed
from appliance.providers.base import ChatRequest, Delta, Usage
from appliance.providers.circuit_breaker import CircuitBreaker
from appliance.providers.estimate import tools_at_most
from appliance.providers.offline import Network
from appliance.providers.policy import Candidate, Policy

Step = str | float | Exception | Delta
DONE = Delta(finish="stop", usage=Usage(prompt_tokens=7, completion_tokens=3))


def error(kind: str, **more: Any) -> ProviderError:
    return ProviderError(f"it failed: {kind}", kind=kind, **more)


def quota() -> ProviderError:
    found = error("quota")
    found.resets_at = datetime(2026, 3, 1, tzinfo=UTC)  # type: ignore[attr-defined]
    return found


class Scripted:
    """Plays one script a request; the last is repeated. A number waits, an error is raised."""

    def __init__(self, name: str, *scripts: tuple[Step, ...]) -> None:
        self.name = name
        self.scripts = list(scripts) or [(f"I am {name}.", DONE)]
        self.requests: list[ChatRequest] = []
        self.stopped = 0

    def model(self, role: str) -> str:
        return "" if role == "vision" and "blind" in self.name else f"{self.name}-model"

    def count_tokens(self, messages: tuple[Any, ...], model: str) -> int:
        return sum(len(str(message["content"]).split()) for message in messages)

    async def stream(self, request: ChatRequest) -> AsyncIterator[Delta]:
        self.requests.append(request)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for step in script:
                match step:
                    case float():
                        await asyncio.sleep(step)
                    case str():
                        yield Delta(text=step)
                    case Delta():
                        yield step
                    case _:
                        raise step
        except (asyncio.CancelledError, GeneratorExit):
            self.stopped += 1
            raise


class Book:
    """A ledger that only remembers."""

    def __init__(self) -> None:
        self.entries: list[tuple[Any, ...]] = []
        self.refused: dict[str, Exception] = {}

    async def reserve(
        self, provider: str, role: str, *, prompt_tokens: int, max_tokens: int, price: object
    ) -> str:
        if provider in self.refused:
            raise self.refused[provider]
        self.entries.append(("reserve", provider, role, prompt_tokens, max_tokens))
        return provider

    async def settle(self, reservation: str, usage: Usage | None) -> None:
        self.entries.append(("settle", reservation, usage))

    async def release(self, reservation: str) -> None:
        self.entries.append(("release", reservation))

    def of(self, provider: str) -> list[str]:
        return [entry[0] for entry in self.entries if entry[1] == provider]


class Bench:
    """A router with everything around it."""

    def __init__(
        self, *providers: Scripted, policy: str = "cloud_first", first_token_s: float = 5.0
    ) -> None:
        places = {"local": "box", "house": "lan"}
        candidates = [
            Candidate(
                name=provider.name,
                place=places.get(provider.name, "cloud"),  # type: ignore[arg-type]
                metered=provider.name not in places,
                tools="simple" not in provider.name,
                context_tokens={"chat": 1000},
                first_token_s=60.0 if provider.name == "local" else first_token_s,
            )
            for provider in providers
        ]
        self.now = 0.0
        self.book = Book()
        self.breaker = CircuitBreaker()
        names = [candidate.name for candidate in candidates if candidate.place == "cloud"]
        self.network = Network(names, proc=Path("/nowhere"))
        self.events: list[Event] = []
        local = [candidate for candidate in candidates if candidate.place == "box"]
        self.policy = Policy(
            local=local[0] if local else Candidate(name="local", place="box"),
            others=tuple(c for c in candidates if c.place != "box"),
            roles=dict.fromkeys(("chat", "code", "vision"), policy),  # type: ignore[arg-type]
        )
        self.router = Router(
            {provider.name: provider for provider in providers},
            ledger=self.book,
            breaker=self.breaker,
            network=self.network,
            policy=self.policy,
            publish=self.events.append,
        )
        self.confirmed = asyncio.Event()
        self.confirmed.set()

    async def ask(self, **changes: Any) -> list[Answer]:
        answers = self.router.answer(request(**changes), confirmed=self.confirmed)
        return [answer async for answer in answers]

    def used(self) -> list[tuple[str, str]]:
        return [(e.provider, e.outcome) for e in self.events if isinstance(e, ProviderUsed)]


def request(**changes: Any) -> ChatRequest:
    values: dict[str, Any] = {
        "role": "chat",
        "messages": ({"role": "user", "content": "who are you ?"},),
        "max_tokens": 50,
        "temperature": 0.0,
        "turn_id": 4,
    }
    return ChatRequest(**{**values, **changes})


def text_of(answers: list[Answer]) -> str:
    return "".join(answer.text for answer in answers if isinstance(answer, Text))


def chosen(answers: list[Answer]) -> list[tuple[str, str]]:
    return [(a.provider, a.reason) for a in answers if isinstance(a, Chosen)]


def skips(answer: Answer | NoAnswerError) -> dict[str, str]:
    assert isinstance(answer, Chosen | NoAnswerError)
    return {skip.provider: skip.reason for skip in answer.skipped}


# --- choice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        ("local", ["local"]),
        ("local_first", ["local", "house", "groq"]),
        ("cloud_first", ["house", "groq", "local"]),
        ("cloud", ["house", "groq"]),
    ],
)
async def test_order_of_each_policy(policy: str, order: list[str]) -> None:
    providers = {name: Scripted(name, (error("server"),)) for name in ("groq", "house", "local")}
    bench = Bench(*providers.values(), policy=policy)
    with pytest.raises(NoAnswerError) as caught:
        await bench.ask()
    asked = [skip.provider for skip in caught.value.skipped if skip.reason != "policy"]
    assert asked == order
    assert {name for name, provider in providers.items() if provider.requests} == set(order)


async def test_policy_local_never_leaves_the_box_whatever_fails() -> None:
    local = Scripted("local", ("Well,", error("lost")), (error("lost"),))
    house, groq = Scripted("house"), Scripted("groq")
    bench = Bench(local, house, groq, policy="local", first_token_s=0.01)
    with pytest.raises(NoAnswerError):
        await bench.ask()
    assert (len(local.requests), house.requests, groq.requests) == (2, [], [])


async def test_a_provider_named_for_the_role_is_asked_first() -> None:
    bench = Bench(Scripted("local"), Scripted("groq"), Scripted("openai"), policy="local_first")
    bench.router.policy = Policy(
        local=bench.policy.local, others=bench.policy.others, preferred={"chat": "openai"}
    )
    assert chosen(await bench.ask()) == [("openai", "first")]


async def test_descriptions_of_tools_are_reserved_as_well() -> None:
    tools = ({"type": "function", "function": {"name": "volume"}},)
    bench = Bench(Scripted("groq"), Scripted("local"))
    await bench.ask(tools=tools)
    assert bench.book.entries[0] == ("reserve", "groq", "chat", 4 + tools_at_most(tools), 50)


async def test_of_a_long_conversation_only_the_end_leaves_the_box() -> None:
    talk = [
        {"role": role, "content": f"{number}" + "x" * 400}
        for number in range(20)
        for role in ("user", "assistant")
    ]
    system, question = {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Go?"}
    house, groq = Scripted("house", (error("server"),)), Scripted("groq", ("Well,", error("cut")))
    local = Scripted("local")
    bench = Bench(groq, house, local)
    bench.router.history_tokens = 700
    await bench.ask(messages=(system, *talk, question))
    for provider in (house, groq):
        kept = provider.requests[0].messages
        assert (kept[0], kept[-1]) == (system, question)
        assert kept[1]["role"] == "user"
        assert list(kept[1:-1]) == talk[-len(kept[1:-1]) :]
        assert 2 <= len(kept[1:-1]) <= 4
    assert local.requests[0].messages == (system, *talk, question)
    assert local.requests[0].continues == "Well,"


async def test_answer_in_pieces_with_what_it_took() -> None:
    groq = Scripted("groq", ("Hello", " there.", DONE))
    bench = Bench(groq, Scripted("local"))
    answers = await bench.ask()
    assert [type(answer) for answer in answers] == [Chosen, Text, Text, Finished]
    end = answers[-1]
    assert isinstance(end, Finished)
    assert (end.provider, end.model, end.reason) == ("groq", "groq-model", "stop")
    assert end.usage == DONE.usage
    assert bench.book.entries == [
        ("reserve", "groq", "chat", 4, 50),
        ("settle", "groq", DONE.usage),
    ]
    [event] = [event for event in bench.events if isinstance(event, ProviderChosen)]
    assert (event.turn_id, event.role, event.provider, event.reason) == (4, "chat", "groq", "first")
    assert bench.used() == [("groq", "finished")]


async def test_everything_that_is_skipped_says_why() -> None:
    image = ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]},)
    names = ("blind", "cooling", "wrong", "spent", "full", "poor", "good")
    bench = Bench(*(Scripted(name) for name in names), Scripted("local"))
    bench.breaker.failed("cooling", error("rate_limited", retry_after_s=50.0))
    bench.breaker.failed("wrong", error("misconfigured"))
    bench.router.providers = {
        **bench.router.providers,
        "poor": Scripted("poor", (error("quota"),)),
    }
    bench.book.refused["spent"] = quota()
    bench.book.refused["full"] = error("quota")  # a ledger that cannot be stored
    answers = await bench.ask(role="vision", messages=image)
    assert chosen(answers) == [("good", "next")]
    assert skips(answers[0]) == {
        "blind": "unsupported",
        "cooling": "cooldown",
        "wrong": "misconfigured",
        "spent": "quota",
        "full": "uncounted",
        "poor": "no_credit",
    }
    [event] = [event for event in bench.events if isinstance(event, ProviderChosen)]
    assert event.skipped == skips(answers[0])


async def test_what_a_request_needs() -> None:
    simple, groq = Scripted("simple"), Scripted("groq")
    bench = Bench(simple, groq, Scripted("local"))
    assert chosen(await bench.ask(tools=({"type": "function"},))) == [("groq", "next")]
    long = ({"role": "user", "content": "word " * 960},)
    with pytest.raises(NoAnswerError) as caught:
        await bench.ask(messages=long)
    assert set(skips(caught.value).values()) == {"unsupported"}


async def test_without_network_no_cloud_provider_is_tried(tmp_path: Path) -> None:
    groq = Scripted("groq")
    bench = Bench(groq, Scripted("house"), Scripted("local"))
    bench.router.network = Network({"groq"}, proc=tmp_path)  # a kernel without a route
    assert chosen(await bench.ask()) == [("house", "first")]
    bench.router.providers = {"groq": groq, "local": Scripted("local")}
    answers = await bench.ask()
    assert chosen(answers) == [("local", "next")]
    assert skips(answers[0])["groq"] == "offline"
    assert groq.requests == []


async def test_a_dead_line_is_paid_for_once() -> None:
    groq = Scripted("groq", (error("unreachable"),))
    openai = Scripted("openai", (error("unreachable"),))
    bench = Bench(groq, openai, Scripted("local"))
    for _ in range(3):
        assert chosen(await bench.ask()) == [("local", "next")]
    assert (len(groq.requests), len(openai.requests)) == (1, 1)
    # One attempt counts against groq: whether it was the line was not known yet.
    assert bench.breaker.health("openai").failures == ()


# --- failing -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["rate_limited", "server", "timeout", "broken", "malformed", "unreachable", "rejected"]
)
async def test_the_next_one_answers_in_the_same_turn(kind: str) -> None:
    bench = Bench(Scripted("groq", (error(kind),)), Scripted("openai"), Scripted("local"))
    answers = await bench.ask()
    assert chosen(answers) == [("openai", "next")]
    assert text_of(answers) == "I am openai."
    assert bench.used() == [("groq", kind), ("openai", "finished")]


@pytest.mark.parametrize("kind", ["misconfigured", "rejected"])
async def test_a_misconfigured_provider_is_asked_once_and_named(kind: str) -> None:
    groq = Scripted("groq", (error(kind),))
    bench = Bench(groq, Scripted("local"))
    for _ in range(3):
        await bench.ask()
    assert len(groq.requests) == 1
    row = {row["name"]: row for row in bench.router.report()}["groq"]
    assert (row["status"], row["last_error"]) == ("misconfigured", f"it failed: {kind}")


async def test_a_broken_stream_is_continued_with_exactly_the_words_given() -> None:
    groq = Scripted("groq", ("The moon", " is a", error("broken")))
    openai = Scripted("openai", (" rock", error("server")))
    local = Scripted("local", (" in the sky.", DONE))
    bench = Bench(groq, openai, local)
    answers = await bench.ask()
    assert text_of(answers) == "The moon is a rock in the sky."
    assert chosen(answers) == [
        ("groq", "first"),
        ("openai", "continues"),
        ("local", "continues"),
    ]
    assert openai.requests[0].continues == "The moon is a"
    assert local.requests[0].continues == "The moon is a rock"
    settled = {entry[1]: entry[2] for entry in bench.book.entries if entry[0] == "settle"}
    assert settled["groq"] == Usage(prompt_tokens=4, completion_tokens=4, estimated=True)
    assert settled["openai"].prompt_tokens == 8


async def test_words_that_the_caller_gave_already_stand_before_ours() -> None:
    groq = Scripted("groq", (" a", error("broken")))
    local = Scripted("local", (" moon.", DONE))
    await Bench(groq, local).ask(continues="This is")
    assert groq.requests[0].continues == "This is"
    assert local.requests[0].continues == "This is a"


async def test_a_stream_that_just_ends_is_broken() -> None:
    bench = Bench(Scripted("groq", ("Half a",)), Scripted("local", (" sentence.", DONE)))
    assert text_of(await bench.ask()) == "Half a sentence."
    assert bench.used()[0] == ("groq", "broken")


async def test_an_error_after_the_end_changes_nothing() -> None:
    bench = Bench(Scripted("groq", ("Whole.", Delta(finish="stop"), error("broken"))))
    answers = await bench.ask()
    assert isinstance(answers[-1], Finished)
    assert answers[-1].usage.estimated
    assert bench.breaker.health("groq").failures == ()


async def test_an_empty_answer_is_none() -> None:
    bench = Bench(Scripted("groq", (DONE,)), Scripted("local"))
    assert chosen(await bench.ask()) == [("local", "next")]


async def test_nothing_more_to_say_is_an_answer() -> None:
    bench = Bench(Scripted("groq", ("All said.", error("broken"))), Scripted("local", (DONE,)))
    answers = await bench.ask()
    assert text_of(answers) == "All said."
    assert isinstance(answers[-1], Finished)


async def test_tool_calls_are_an_answer() -> None:
    call = {"id": "1", "function": {"name": "time", "arguments": "{}"}}
    end = Delta(finish="tool_calls", tool_calls=(call,), usage=DONE.usage)
    answers = await Bench(Scripted("groq", (end,))).ask()
    assert chosen(answers) == [("groq", "first")]
    assert isinstance(answers[-1], Finished)
    assert answers[-1].tool_calls == (call,)


async def test_a_local_worker_that_died_is_asked_again_when_nobody_else_is_left() -> None:
    local = Scripted("local", ("One,", error("lost")), (" two.", DONE))
    bench = Bench(local, policy="local")
    assert text_of(await bench.ask()) == "One, two."
    local.scripts = [(error("lost"),)]
    with pytest.raises(NoAnswerError):
        await bench.ask()
    assert len(local.requests) == 4


async def test_a_ledger_that_cannot_write_costs_only_the_metered_ones() -> None:
    groq = Scripted("groq")
    bench = Bench(groq, Scripted("local"))
    bench.book.refused["groq"] = StorageError("the disk is full")
    assert chosen(await bench.ask()) == [("local", "next")]
    assert groq.requests == []


async def test_a_mistake_in_the_code_is_not_taken_for_a_failure_of_the_provider() -> None:
    bench = Bench(Scripted("groq", (ZeroDivisionError(),)), Scripted("local"))
    with pytest.raises(ZeroDivisionError):
        await bench.ask()


async def test_failures_degrade_and_the_next_real_request_probes() -> None:
    groq = Scripted("groq", (error("rate_limited", retry_after_s=30.0),), ("Back.", DONE))
    bench = Bench(groq, Scripted("local"))
    clock = [100.0]
    bench.router.breaker = CircuitBreaker(clock=lambda: clock[0])
    assert [chosen(await bench.ask())[0][0] for _ in range(2)] == ["local", "local"]
    clock[0] += 31.0
    assert chosen(await bench.ask()) == [("groq", "first")]
    assert len(groq.requests) == 2


# --- deadline and hedge --------------------------------------------------------------------


async def test_a_slow_provider_loses_its_turn_and_is_counted() -> None:
    groq = Scripted("groq", (60.0, "Late.", DONE))
    bench = Bench(groq, Scripted("local"), first_token_s=0.02)
    answers = await bench.ask()
    assert chosen(answers) == [("local", "hedge")]
    assert skips(answers[0]) == {"groq": "deadline"}
    assert groq.stopped == 1
    # How much it had written is not known: everything it was allowed counts.
    assert bench.book.entries[-1] == (
        "settle",
        "groq",
        Usage(prompt_tokens=4, completion_tokens=50, estimated=True),
    )
    assert bench.used() == [("local", "finished"), ("groq", "cancelled")] or bench.used() == [
        ("groq", "cancelled"),
        ("local", "finished"),
    ]
    assert len(bench.breaker.health("groq").failures) == 1


async def test_whoever_is_first_has_the_turn_though_it_was_late() -> None:
    groq = Scripted("groq", (0.1, "Just in time.", DONE))
    local = Scripted("local", (60.0, "Later still.", DONE))
    bench = Bench(groq, local, first_token_s=0.02)
    answers = await bench.ask()
    assert text_of(answers) == "Just in time."
    assert chosen(answers) == [("groq", "first")]
    assert local.stopped == 1
    assert bench.breaker.health("groq").failures == ()


async def test_the_only_one_may_take_its_time() -> None:
    bench = Bench(Scripted("groq", (0.1, "At last.", DONE)), policy="cloud", first_token_s=0.01)
    assert chosen(await bench.ask()) == [("groq", "first")]


async def test_a_loser_may_finish_what_the_winner_broke_off() -> None:
    groq = Scripted("groq", (60.0,), (" of cheese.", DONE))
    openai = Scripted("openai", ("The moon is made", error("broken")))
    bench = Bench(groq, openai, policy="cloud", first_token_s=0.02)
    answers = await bench.ask()
    assert text_of(answers) == "The moon is made of cheese."
    assert bench.book.of("groq") == ["reserve", "settle", "reserve", "settle"]


async def test_a_row_of_slow_ones_does_not_hold_up_the_turn() -> None:
    slow = [Scripted(name, (error("timeout"),)) for name in ("a", "b")]
    bench = Bench(*slow, Scripted("local"), first_token_s=31.0)
    answers = await bench.ask()
    assert skips(answers[0]) == {"a": "deadline", "b": "deadline"}
    assert chosen(answers) == [("local", "next")]


# --- guesses, closing ----------------------------------------------------------------------


async def test_on_a_guess_nothing_metered_is_asked_or_reserved() -> None:
    groq = Scripted("groq")
    bench = Bench(groq, Scripted("local"))
    bench.confirmed.clear()
    task = asyncio.create_task(bench.ask())
    await asyncio.sleep(0.05)
    assert (groq.requests, bench.book.entries) == ([], [])
    bench.confirmed.set()
    assert chosen(await task) == [("groq", "first")]


async def test_a_guess_that_was_wrong_costs_nothing() -> None:
    groq = Scripted("groq")
    bench = Bench(groq, Scripted("local"))
    bench.confirmed.clear()
    task = asyncio.create_task(bench.ask())
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (groq.requests, bench.book.entries, bench.events) == ([], [], [])


@pytest.mark.parametrize(("name", "policy"), [("local", "local_first"), ("house", "cloud_first")])
async def test_what_costs_nothing_begins_on_a_guess(name: str, policy: str) -> None:
    bench = Bench(Scripted("local"), Scripted("house"), Scripted("groq"), policy=policy)
    bench.confirmed.clear()
    assert chosen(await bench.ask()) == [(name, "first")]


async def test_when_the_free_one_fails_on_a_guess_the_metered_one_still_waits() -> None:
    groq = Scripted("groq")
    bench = Bench(Scripted("local", (error("lost"),)), groq, policy="local_first")
    bench.confirmed.clear()
    task = asyncio.create_task(bench.ask())
    await asyncio.sleep(0.02)
    assert groq.requests == []
    bench.confirmed.set()
    assert chosen(await task) == [("groq", "next")]


async def test_closing_stops_the_provider_and_books_an_estimate() -> None:
    groq = Scripted("groq", ("One two three", 60.0, " four.", DONE))
    bench = Bench(groq, Scripted("local"))
    async with aclosing(bench.router.answer(request(), confirmed=bench.confirmed)) as answers:  # type: ignore[type-var]
        async for answer in answers:
            if isinstance(answer, Text):
                break
    assert groq.stopped == 1
    assert bench.book.entries[-1] == (
        "settle",
        "groq",
        Usage(prompt_tokens=4, completion_tokens=3, estimated=True),
    )
    assert bench.used() == [("groq", "cancelled")]


async def test_cancelling_the_reader_does_the_same_before_the_first_word() -> None:
    groq = Scripted("groq", (60.0,))
    bench = Bench(groq, Scripted("local"))
    task = asyncio.create_task(bench.ask())
    while not groq.requests:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.book.of("groq") == ["reserve", "settle"]
    assert bench.breaker.health("groq").failures == ()


async def test_many_at_once_share_nothing_but_the_books() -> None:
    groq = Scripted("groq", ("Hi", 0.01, " you.", DONE))
    bench = Bench(groq, Scripted("local"))
    found = await asyncio.gather(*(bench.ask() for _ in range(20)))
    assert [text_of(answers) for answers in found] == ["Hi you."] * 20
    assert bench.book.of("groq").count("settle") == 20


# --- when nothing can answer -----------------------------------------------------------------


async def test_why_nobody_could_answer() -> None:
    bench = Bench(Scripted("groq"), Scripted("local", (error("server"),)))
    bench.breaker.failed("groq", error("rate_limited", retry_after_s=50.0))
    with pytest.raises(NoAnswerError) as caught:
        await bench.ask()
    assert skips(caught.value) == {"groq": "cooldown", "local": "error"}
    assert caught.value.skipped[0].retry_s > 40
    assert "it failed: rate_limited" in str(caught.value)
    assert caught.value.given == ""


async def test_an_answer_that_nobody_can_finish() -> None:
    bench = Bench(Scripted("groq", ("The moon", error("broken"))), policy="cloud")
    with pytest.raises(NoAnswerError) as caught:
        await bench.ask()
    assert caught.value.given == "The moon"


def spoken(*found: Skip, language: str = "en", role: str = "chat", given: str = "") -> str:
    return sentence(NoAnswerError(found, role=role, given=given), language)


def test_the_sentence_is_plain_honest_and_short() -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    quota = Skip(provider="groq", reason="quota", resets=midnight)
    lost = Skip(provider="local", reason="error")
    assert spoken(lost, quota) == (
        "I cannot answer that now. Today's limit for Groq is used up; it starts again at 00:00. "
        "My own model is not ready."
    )
    assert spoken(quota, language="pt") == (
        "Não consigo responder agora. O limite de hoje de Groq acabou; recomeça às 00:00."
    )
    offline = [Skip(provider=name, reason="offline") for name in ("groq", "openai", "gemini")]
    assert spoken(*offline) == "I cannot answer that now. There is no network."
    poor = Skip(provider="groq", reason="no_credit")
    assert spoken(poor) == "I cannot answer that now. The account with Groq has no credit left."
    assert "keep count" in spoken(Skip(provider="groq", reason="uncounted"))
    slow = Skip(provider="groq", reason="cooldown", retry_s=1000.0)
    assert "17 minutes" in spoken(slow)
    assert "a minute" in spoken(Skip(provider="groq", reason="cooldown", retry_s=20.0))
    assert "luna models pull" in spoken(
        Skip(provider="local", reason="unsupported"),
        Skip(provider="groq", reason="policy"),
        role="vision",
    )
    assert spoken(lost, given="The moon").startswith("I cannot finish")
    assert spoken() == "I cannot answer that now."
