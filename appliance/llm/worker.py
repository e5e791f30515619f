"""The ``llm`` worker: one job at a time on the models of the roles, stopped within a token.

The message loop runs in the main thread; a second thread does the work. ``Classify`` comes
before ``Generate`` and both before ``Warm``, and a newer command takes the place of one of its
kind that waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from appliance.chat import ChatMessage, truncate
from appliance.clock import milliseconds_since, monotonic
from appliance.commands import Cancel, Classify, Command, Generate, Warm
from appliance.errors import LunaError, UsageError
from appliance.events import Classified, GenerationFinished, Logged, TokensGenerated
from appliance.ipc import WorkerChannel
from appliance.llm.engine import (
    ChatEngine,
    Choice,
    Generated,
    LoadStopped,
    images_of,
    text_of,
)
from appliance.llm.pool import EnginePool
from appliance.llm.roles import CLASSIFY

STOP_WITHIN_S = 1.0
"""How long the running batch may take to end when the worker is told to stop."""
MAX_CHOICES = 32
MAX_CHOICE_LENGTH = 100
"""Characters of one choice of a ``Classify``."""


class _Job:
    """A command that is being carried out, or waits for that."""

    def __init__(self, command: Generate | Classify | Warm) -> None:
        self.command = command
        self.cancelled = threading.Event()
        self.progress_at = monotonic()

    def proceed(self) -> bool:
        """Note that there is progress, and say whether to go on."""
        self.progress_at = monotonic()
        return not self.cancelled.is_set()


class LlmWorker:
    """Carries out ``Warm``, ``Classify``, ``Generate`` and ``Cancel``."""

    def __init__(self, channel: WorkerChannel, pool: EnginePool, history_tokens: int) -> None:
        self._channel = channel
        self._pool = pool
        self._history_tokens = history_tokens
        self._changed = threading.Condition()
        self._waiting: dict[type[Command], _Job] = {}
        """At most one ``Classify`` and one ``Generate``."""
        self._warms: deque[Warm] = deque()
        self._running: _Job | None = None
        self._closing = False
        names = "generations", "tokens", "prompt_tokens", "cached", "classifications", "memory_mb"
        self._stats = dict.fromkeys(names, 0.0)
        self._thread = threading.Thread(target=self._work, name="llm", daemon=True)
        self._thread.start()

    # --- the message loop's side ---------------------------------------------------------

    def handle(self, command: Command) -> None:
        with self._changed:
            if isinstance(command, Generate | Classify):
                self._replace(command)
            elif isinstance(command, Warm):
                self._warms.append(command)
            elif isinstance(command, Cancel):
                self._cancel(command)
            self._changed.notify()

    def _replace(self, command: Generate | Classify) -> None:
        running = self._running.command if self._running else None
        # What a stopped Warm has evaluated stays in the cache; it goes on after the question.
        in_the_way = isinstance(running, Warm) or (
            type(running) is type(command) and running.turn_id == command.turn_id
        )
        if self._running is not None and in_the_way:
            self._running.cancelled.set()
        if waiting := self._waiting.pop(type(command), None):
            self._finish_unstarted(waiting)
        self._waiting[type(command)] = _Job(command)

    def _cancel(self, command: Cancel) -> None:
        for kind, waiting in list(self._waiting.items()):
            if _concerns(command, waiting):
                del self._waiting[kind]
                self._finish_unstarted(waiting)
        if self._running is not None and _concerns(command, self._running):
            self._running.cancelled.set()

    def _finish_unstarted(self, job: _Job) -> None:
        command = job.command
        if isinstance(command, Classify):
            self._channel.send(_classified(command, Choice("", 0.0)))
        elif isinstance(command, Generate):
            self._channel.send(_unfinished(command, "cancelled"))

    def busy_s(self) -> float:
        job = self._running
        return 0.0 if job is None else monotonic() - job.progress_at

    def stats(self) -> dict[str, float]:
        return dict(self._stats)

    def close(self) -> None:
        with self._changed:
            self._closing = True
            if self._running is not None:
                self._running.cancelled.set()
            self._changed.notify()
        self._thread.join(STOP_WITHIN_S)
        if not self._thread.is_alive():  # else it still reads the memory; the process ends anyway
            self._pool.close()

    # --- the work ------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                if isinstance(job.command, Generate):
                    self._generate(job, job.command)
                elif isinstance(job.command, Classify):
                    self._classify(job, job.command)
                else:
                    self._warm(job, job.command)
        except EOFError:
            pass  # the main process is gone; the message loop learns it as well and ends

    def _next(self) -> _Job | None:
        """Wait for the next job; None when the worker closes."""
        with self._changed:
            self._running = None
            while not (self._closing or self._waiting or self._warms):
                self._changed.wait()
            if self._closing:
                return None
            for kind in (Classify, Generate):
                if kind in self._waiting:
                    self._running = self._waiting.pop(kind)
                    break
            else:
                self._running = _Job(self._warms.popleft())
            self._running.proceed()
            return self._running

    def _warm(self, job: _Job, command: Warm) -> None:
        try:
            engine = self._engine(command.role, job)
            known = command.role == CLASSIFY  # its examples always go with it
            messages = command.messages if known else self._kept(engine, command.messages)
            done = engine.warm(messages, job.proceed)
        except LoadStopped:
            done = False
        except EOFError:
            raise
        except Exception as error:  # noqa: BLE001 - the worker outlives whatever a model does
            self._channel.send(Logged(level="warning", text=f"prewarming: {_say(error)}"))
            return
        with self._changed:
            if not done and not self._closing:
                self._warms.appendleft(command)  # a question came first; go on after it

    def _generate(self, job: _Job, command: Generate) -> None:
        began = first_at = job.command.at
        turn_id, attempt = command.turn_id, command.attempt
        written = False

        def send(text: str) -> None:
            nonlocal first_at, written
            # Under the lock, so that nothing is sent after a cancellation was taken.
            with self._changed:
                if job.cancelled.is_set():
                    return
                self._channel.send(TokensGenerated(turn_id=turn_id, attempt=attempt, text=text))
            if not written:
                first_at, written = monotonic(), True

        try:
            engine = self._engine(command.role, job)
            done = engine.generate(
                self._fitting(engine, command),
                max_tokens=command.max_tokens,
                temperature=command.temperature,
                on_text=send,
                proceed=job.proceed,
                continues=command.continues,
            )
        except LoadStopped:
            self._channel.send(_unfinished(command, "cancelled"))
            return
        except EOFError:
            raise
        except Exception as error:  # noqa: BLE001 - the worker outlives whatever a model does
            self._channel.send(_unfinished(command, "failed", _say(error)))
            return
        self._count(done)
        seconds = monotonic() - first_at
        rate = (done.completion_tokens - 1) / seconds if written and seconds > 0 else 0.0
        self._channel.send(
            GenerationFinished(
                turn_id=turn_id,
                attempt=attempt,
                reason="cancelled" if job.cancelled.is_set() else done.reason,
                prompt_tokens=done.prompt_tokens,
                cached_tokens=done.cached_tokens,
                completion_tokens=done.completion_tokens,
                first_token_ms=(first_at - began) * 1000.0,
                tokens_per_second=max(rate, 0.0),
            )
        )

    def _classify(self, job: _Job, command: Classify) -> None:
        try:
            _check_choices(command.choices)
            engine = self._engine(CLASSIFY, job)
            choice = engine.classify(command.messages, command.choices, job.proceed)
        except LoadStopped:
            choice = Choice("", 0.0)
        except EOFError:
            raise
        except Exception as error:  # noqa: BLE001 - the worker outlives whatever a model does
            self._channel.send(_classified(command, Choice("", 0.0), _say(error)))
            return
        # Under the lock, so that nothing is sent after a cancellation was taken.
        with self._changed:
            chosen = Choice("", 0.0) if job.cancelled.is_set() else choice
            self._stats["classifications"] += 1
            self._channel.send(_classified(command, chosen))

    def _engine(self, role: str, job: _Job) -> ChatEngine:
        turn_id = 0 if isinstance(job.command, Warm) else job.command.turn_id
        engine = self._pool.engine(role, job.proceed, self._channel.send, turn_id)
        self._stats["memory_mb"] = self._pool.memory_bytes / 1e6
        return engine

    def _fitting(self, engine: ChatEngine, command: Generate) -> list[ChatMessage]:
        """Return the conversation without what is too old to fit.

        Raises:
            UsageError: there is no question, or it is too long whatever else is left out.
        """
        messages = command.messages
        questions = [message for message in messages if message["role"] == "user"][-1:]
        if not any(text_of(message).strip() or images_of(message) for message in questions):
            raise UsageError("the message is empty; ask something")
        given = engine.count_tokens({"role": "assistant", "content": command.continues})
        least = engine.context_tokens // (8 if command.whole else 2)
        answer = min(command.max_tokens, least)
        room = engine.context_tokens - answer - (given if command.continues else 0)
        system = sum(engine.count_tokens(m) for m in messages if m["role"] == "system")
        rest = [m for m in messages if m["role"] != "system"] if command.whole else questions
        question = sum(map(engine.count_tokens, rest))
        if system + question > room:
            raise UsageError(
                f"the message is too long: it has about {question} tokens and the model can "
                f"read {room - system}; shorten it"
            )
        return list(messages) if command.whole else self._kept(engine, messages, room)

    def _kept(
        self, engine: ChatEngine, messages: Sequence[ChatMessage], room: int | None = None
    ) -> list[ChatMessage]:
        """Return what of the conversation goes into a prompt, of at most *room* tokens.

        What is warmed is cut as the next question will be, or it would be warmed in vain.
        """
        system = sum(engine.count_tokens(m) for m in messages if m["role"] == "system")
        budget = system + self._history_tokens
        return truncate(messages, min(budget, room or budget), engine.count_tokens)

    def _count(self, done: Generated) -> None:
        self._stats["generations"] += 1
        self._stats["tokens"] += done.completion_tokens
        self._stats["prompt_tokens"] += done.prompt_tokens
        self._stats["cached"] += done.cached_tokens


def _concerns(command: Cancel, job: _Job) -> bool:
    return (
        not isinstance(job.command, Warm)
        and job.command.turn_id == command.turn_id
        and command.attempt in (0, job.command.attempt)
    )


def _unfinished(command: Generate, reason: str, detail: str = "") -> GenerationFinished:
    return GenerationFinished(
        turn_id=command.turn_id, attempt=command.attempt, reason=reason, detail=detail
    )


def _classified(command: Classify, choice: Choice, detail: str = "") -> Classified:
    return Classified(
        turn_id=command.turn_id,
        attempt=command.attempt,
        choice=choice.text,
        probability=choice.probability,
        duration_ms=milliseconds_since(command.at),
        detail=detail,
    )


def _check_choices(choices: Sequence[str]) -> None:
    right = 2 <= len(set(choices)) <= MAX_CHOICES  # noqa: PLR2004 - one is no choice
    if not right or any(not 0 < len(choice) <= MAX_CHOICE_LENGTH for choice in choices):
        raise UsageError(
            f"there must be 2 to {MAX_CHOICES} choices of 1 to {MAX_CHOICE_LENGTH} characters"
        )


def _say(error: Exception) -> str:
    """Return a sentence for the owner."""
    if isinstance(error, LunaError):
        return str(error)
    return f"the language model failed unexpectedly ({type(error).__name__})"
