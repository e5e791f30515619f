"""The worker: order, cancelling, loading, errors. With models that do as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from appliance.chat import ChatMessage
from appliance.commands import Cancel, Classify, Generate, Warm
from appliance.errors import ModelError, UsageError
from appliance.events import (
    Classified,
    GenerationFinished,
    Logged,
    Message,
    ModelLoaded,
    ModelLoading,
    TokensGenerated,
)
from appliance.ipc import WorkerChannel, channel_pair
from appliance.llm.engine import Choice, Generated, LoadStopped, ModelNeed, OnText, Proceed
from appliance.llm.pool import EnginePool
from appliance.llm.worker import LlmWorker

SYSTEM = {"role": "system", "content": "s" * 10}


class Steps:
    """One token for each release of ``gate``; a message has as many tokens as characters."""

    name = "steps"
    context_tokens = 200
    memory_bytes = 0

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.prompts: list[list[ChatMessage]] = []
        self.warmed: list[str] = []
        self.warm_steps = 1
        self.error: Exception | None = None
        self.closed = False

    def count_tokens(self, message: ChatMessage) -> int:
        return len(message["content"])

    def warm(self, messages: Sequence[ChatMessage], proceed: Proceed) -> bool:
        for _ in range(self.warm_steps):
            self.gate.acquire()
            if not proceed():
                return False
        self.warmed.append(messages[0]["content"])
        return True

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
        self.prompts.append(list(messages))
        for n in range(max_tokens):
            self.gate.acquire()
            if self.error:
                raise self.error
            if not proceed():
                return Generated("cancelled", 7, 3, n)
            on_text(f"{messages[-1]['content']}{n} ")
        return Generated("length", 7, 3, max_tokens)

    def classify(
        self, messages: Sequence[ChatMessage], choices: Sequence[str], proceed: Proceed
    ) -> Choice:
        self.prompts.append(list(messages))
        self.gate.acquire()
        return Choice(choices[-1], 0.75) if proceed() else Choice("", 0.0)

    def close(self) -> None:
        self.closed = True


class OneModel:
    """The same engine for all roles but vision; the model of ``slow`` takes steps to load."""

    def __init__(self, engine: Steps) -> None:
        self.steps = engine
        self.stopped = 0

    def need(self, role: str) -> ModelNeed:
        if role == "vision":
            raise UsageError("nothing for vision")
        return ModelNeed(role, "slow" if role == "slow" else "all", 1, 1)

    def open(self, role: str, proceed: Proceed) -> OneModel:
        while role == "slow":
            self.steps.gate.acquire()
            if not proceed():
                self.stopped += 1
                raise LoadStopped
        return self

    def engine(self, role: str, proceed: Proceed) -> Steps:
        return self.steps

    def close(self) -> None:
        pass


class Bench:
    def __init__(self) -> None:
        ours, theirs = channel_pair()
        self.main, self._end = WorkerChannel(ours), WorkerChannel(theirs)
        self.engine = Steps()
        self.models = OneModel(self.engine)
        self.worker = LlmWorker(self._end, EnginePool(self.models, 10), 100)

    def ask(
        self, turn_id: int, attempt: int, text: str, max_tokens: int = 3, role: str = "chat"
    ) -> None:
        self.worker.handle(
            Generate(
                turn_id=turn_id,
                attempt=attempt,
                role=role,
                messages=(SYSTEM, {"role": "user", "content": text}),
                max_tokens=max_tokens,
            )
        )

    def let(self, steps: int) -> None:
        self.engine.gate.release(steps)

    def classify(self, turn_id: int, attempt: int = 1, *choices: str) -> None:
        self.worker.handle(
            Classify(
                turn_id=turn_id,
                attempt=attempt,
                messages=(SYSTEM, {"role": "user", "content": "which?"}),
                choices=choices or ("a", "b"),
            )
        )

    def next(self, *, loading: bool = False) -> Message:
        while True:
            message = self.main.receive(10.0)
            assert message is not None, "no event came"
            if loading or not isinstance(message, ModelLoading | ModelLoaded):
                return message

    def finished(self) -> GenerationFinished:
        while not isinstance(message := self.next(), GenerationFinished):
            pass
        return message

    def texts(self, number: int) -> list[str]:
        found = [self.next() for _ in range(number)]
        return [m.text for m in found if isinstance(m, TokensGenerated)]

    def close(self) -> None:
        self.let(1000)
        self.worker.close()
        self.main.close()
        self._end.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10.0
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_tokens_come_as_they_are_written_and_the_figures_at_the_end(bench: Bench) -> None:
    bench.ask(1, 1, "a")
    bench.let(2)
    assert bench.texts(2) == ["a0 ", "a1 "]
    bench.let(1)
    assert bench.texts(1) == ["a2 "]
    done = bench.finished()
    assert (done.turn_id, done.attempt, done.reason) == (1, 1, "length")
    assert (done.prompt_tokens, done.cached_tokens, done.completion_tokens) == (7, 3, 3)
    assert done.first_token_ms > 0
    assert done.tokens_per_second > 0
    assert bench.worker.stats()["generations"] == 1


def test_after_a_cancellation_no_token_is_sent(bench: Bench) -> None:
    bench.ask(1, 1, "a", max_tokens=50)
    bench.let(1)
    bench.texts(1)
    bench.worker.handle(Cancel(turn_id=1))
    bench.let(50)
    done = bench.next()
    assert isinstance(done, GenerationFinished)
    assert done.reason == "cancelled"


def test_only_the_named_attempt_is_cancelled(bench: Bench) -> None:
    bench.ask(1, 2, "a", max_tokens=2)
    bench.worker.handle(Cancel(turn_id=1, attempt=1))
    bench.worker.handle(Cancel(turn_id=2))
    bench.let(2)
    assert bench.finished().reason == "length"


def test_a_newer_attempt_stops_the_older_at_once(bench: Bench) -> None:
    bench.ask(1, 1, "a", max_tokens=50)
    bench.let(1)
    bench.texts(1)
    bench.ask(1, 2, "b", max_tokens=1)
    bench.let(2)
    first, token, second = bench.next(), bench.next(), bench.next()
    assert isinstance(first, GenerationFinished)
    assert (first.attempt, first.reason) == (1, "cancelled")
    assert isinstance(token, TokensGenerated)
    assert token.text == "b0 "
    assert isinstance(second, GenerationFinished)
    assert (second.attempt, second.reason) == (2, "length")


def test_a_newer_request_takes_the_place_of_one_that_waits(bench: Bench) -> None:
    bench.ask(1, 1, "a", max_tokens=1)
    until(lambda: bench.engine.prompts != [])
    bench.ask(2, 1, "b")
    bench.ask(3, 1, "c", max_tokens=1)
    done = bench.finished()
    assert (done.turn_id, done.reason) == (2, "cancelled")
    bench.let(2)
    assert [bench.finished().turn_id, bench.finished().turn_id] == [1, 3]


def test_a_waiting_request_can_be_cancelled(bench: Bench) -> None:
    bench.ask(1, 1, "a", max_tokens=1)
    until(lambda: bench.engine.prompts != [])
    bench.ask(2, 1, "b")
    bench.worker.handle(Cancel(turn_id=2))
    done = bench.finished()
    assert (done.turn_id, done.reason) == (2, "cancelled")
    bench.let(1)
    assert bench.finished().turn_id == 1
    assert len(bench.engine.prompts) == 1


def test_a_question_goes_before_warming_which_goes_on_afterwards(bench: Bench) -> None:
    bench.engine.warm_steps = 3
    bench.worker.handle(Warm(role="chat", messages=(SYSTEM,)))
    bench.let(1)
    until(lambda: bench.worker.busy_s() > 0)
    bench.ask(1, 1, "a", max_tokens=1)
    bench.let(2)
    assert bench.finished().turn_id == 1
    assert bench.engine.warmed == []
    bench.let(3)
    until(lambda: bench.engine.warmed == [SYSTEM["content"]])


def test_a_hang_shows(bench: Bench) -> None:
    assert bench.worker.busy_s() == 0.0
    bench.ask(1, 1, "a", max_tokens=2)
    until(lambda: bench.worker.busy_s() > 0.05)
    bench.let(1)
    bench.texts(1)
    assert bench.worker.busy_s() < 5.0
    bench.let(1)
    bench.finished()
    until(lambda: bench.worker.busy_s() == 0.0)


@pytest.mark.parametrize("text", ["", "  \n "])
def test_an_empty_message_gets_a_sentence(bench: Bench, text: str) -> None:
    bench.ask(1, 1, text)
    done = bench.finished()
    assert done.reason == "failed"
    assert "empty" in done.detail


def test_a_message_that_is_too_long_is_told_the_limit(bench: Bench) -> None:
    bench.ask(1, 1, "x" * 100_000)
    done = bench.finished()
    assert done.reason == "failed"
    assert "100000" in done.detail
    assert "187" in done.detail, "200 tokens of context, 3 for the answer, 10 of instructions"
    bench.let(3)
    bench.ask(2, 1, "short")
    assert bench.finished().reason == "length"


def test_an_unknown_role_and_a_failing_model_do_not_end_the_worker(bench: Bench) -> None:
    bench.ask(1, 1, "a", role="vision")
    assert "vision" in bench.finished().detail
    for error, words in (
        (ModelError("it broke; repair it"), "it broke; repair it"),
        (ValueError("secret"), "unexpectedly (ValueError)"),
    ):
        bench.engine.error = error
        bench.ask(2, 1, "a")
        bench.let(1)
        assert words in bench.finished().detail
    bench.engine.error = None
    bench.worker.handle(Warm(role="vision", messages=(SYSTEM,)))
    logged = bench.next()
    assert isinstance(logged, Logged)
    assert "vision" in logged.text
    bench.ask(3, 1, "a", max_tokens=1)
    bench.let(1)
    assert bench.finished().reason == "length"


def test_classifying_goes_before_answering_and_both_finish(bench: Bench) -> None:
    bench.engine.warm_steps = 3
    bench.worker.handle(Warm(role="chat", messages=(SYSTEM,)))
    until(lambda: bench.worker.busy_s() > 0)
    bench.ask(1, 1, "a", max_tokens=1)
    bench.classify(1, 1, "x", "y")
    bench.let(3)
    chosen = bench.next()
    assert isinstance(chosen, Classified)
    assert (chosen.turn_id, chosen.choice, chosen.probability) == (1, "y", 0.75)
    assert chosen.duration_ms > 0
    assert bench.finished().reason == "length"


def test_a_cancelled_classification_chooses_nothing(bench: Bench) -> None:
    bench.ask(1, 1, "a", max_tokens=1)
    until(lambda: bench.engine.prompts != [])
    bench.classify(2)
    bench.worker.handle(Cancel(turn_id=2))
    waiting = bench.next()
    assert isinstance(waiting, Classified)
    assert (waiting.turn_id, waiting.choice) == (2, "")
    bench.let(1)
    bench.finished()
    bench.classify(3)
    until(lambda: len(bench.engine.prompts) == 2)
    bench.worker.handle(Cancel(turn_id=3))
    bench.let(1)
    running = bench.next()
    assert isinstance(running, Classified)
    assert (running.turn_id, running.choice) == (3, "")


@pytest.mark.parametrize("choices", [("one",), ("a", "a"), ("a", ""), ("a", "b" * 101)])
def test_unusable_choices_get_a_sentence(bench: Bench, choices: tuple[str, ...]) -> None:
    bench.classify(1, 1, *choices)
    chosen = bench.next()
    assert isinstance(chosen, Classified)
    assert "2 to 32 choices" in chosen.detail


def test_loading_is_told_and_stopped_by_a_cancellation(bench: Bench) -> None:
    bench.ask(1, 1, "a", role="slow")
    begun = bench.next(loading=True)
    assert isinstance(begun, ModelLoading)
    assert (begun.role, begun.turn_id) == ("slow", 1)
    bench.let(1)
    assert bench.worker.busy_s() < 5.0
    bench.worker.handle(Cancel(turn_id=1))
    bench.let(1)
    assert bench.finished().reason == "cancelled"
    assert bench.models.stopped == 1
    bench.ask(2, 1, "b", max_tokens=1)
    bench.let(1)
    assert bench.finished().reason == "length"


def test_a_question_stops_a_load_that_only_warms(bench: Bench) -> None:
    bench.worker.handle(Warm(role="slow", messages=(SYSTEM,)))
    assert isinstance(bench.next(loading=True), ModelLoading)
    bench.ask(1, 1, "a", max_tokens=1)
    bench.let(2)
    assert bench.finished().reason == "length"
    until(lambda: bench.worker.busy_s() > 0)
    bench.ask(2, 1, "a", max_tokens=1)
    bench.let(2)
    assert bench.finished().turn_id == 2


def test_history_is_cut_to_the_budget(bench: Bench) -> None:
    talk: list[dict[str, str]] = [SYSTEM]
    for n in range(8):
        talk += [
            {"role": "user", "content": f"{n}" + "q" * 9},
            {"role": "assistant", "content": f"{n}" + "a" * 9},
        ]
    question = {"role": "user", "content": "now?"}
    bench.worker.handle(
        Generate(turn_id=1, attempt=1, role="code", messages=(*talk, question), max_tokens=1)
    )
    bench.let(1)
    bench.finished()
    (prompt,) = bench.engine.prompts
    assert prompt[0] == SYSTEM
    assert prompt[-1] == question
    assert 2 < len(prompt) < len(talk)
    assert sum(len(m["content"]) for m in prompt) <= 10 + 100


def test_close_stops_a_running_generation() -> None:
    bench = Bench()
    bench.ask(1, 1, "a", max_tokens=50)
    until(lambda: bench.engine.prompts != [])
    bench.let(1)
    closer = threading.Timer(0.05, bench.let, (1,))
    closer.start()
    bench.worker.close()
    assert bench.engine.closed
    bench.close()
