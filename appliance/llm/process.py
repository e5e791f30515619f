"""The ``llm`` worker: one generation at a time, stopped within a token.

The message loop runs in the main thread; a second thread does the work. ``Generate`` comes
before ``Warm``, and a newer ``Generate`` takes the place of one that waits.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from appliance.chat import ChatMessage, truncate
from appliance.clock import milliseconds_since, monotonic
from appliance.commands import Cancel, Command, Generate, Warm
from appliance.errors import LunaError, UsageError
from appliance.events import GenerationFinished, Logged, Ready, TokensGenerated
from appliance.ipc import WorkerChannel
from appliance.llm.engine import ChatEngine, Generated
from appliance.settings import LlmSettings
from appliance.worker import WorkerContext, serve

SPIN_COUNT = "300"
"""How often a thread of llama.cpp looks for its next piece of work before it sleeps.

By default it looks for milliseconds. That is best on an idle machine, and ruins everything on a
busy one, which is what speaking while thinking makes of two cores: a thread that spins keeps the
one it waits for off its core. A 0.5B model on two x86 cores, tokens/s idle and beside one busy
process (medians): default 48 and 3; 3000: 46 and 7; 1000: 47 and 13; 300: 46 and 22; 100: 34;
0, which is to sleep at once: 28 and 13.
"""
STOP_WITHIN_S = 1.0
"""How long the running batch may take to end when the worker is told to stop."""


def load(model_name: str, models_dir: Path, state_dir: Path, settings: LlmSettings) -> ChatEngine:
    """Load a model of the catalogue; its files are opened only after their hashes matched.

    *state_dir* takes evaluated prompt prefixes (a cache: it may be deleted at any time).

    Raises:
        ModelError: the model is unknown, missing, damaged, or cannot be loaded.
    """
    # Read once, by the OpenMP library that llama.cpp brings in.
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    from appliance.llm.llama import LlamaEngine  # llama.cpp is heavy
    from appliance.models.catalogue import load_catalogue, verify

    model = load_catalogue().get(model_name)
    (path,) = verify(model, models_dir).values()
    return LlamaEngine(
        path,
        name=model.name,
        sha256=model.files[0].sha256,
        state_dir=state_dir,
        context_tokens=settings.context_tokens,
        threads=settings.threads or min(os.cpu_count() or 1, 4),
        prompt_format=model.prompt_format,
    )


def main(
    context: WorkerContext, build: Callable[[], ChatEngine], history_tokens: int = 1000
) -> None:
    """Run the worker; *build* loads the model in the new process.

    *history_tokens* limits how much of a conversation goes into a prompt besides its system
    prompt.
    """

    def start(channel: WorkerChannel) -> LlmWorker:
        began = monotonic()
        engine = build()
        worker = LlmWorker(channel, {"chat": engine, "code": engine}, history_tokens)
        channel.send(
            Ready(worker=context.name, detail=engine.name, load_ms=milliseconds_since(began))
        )
        return worker

    serve(context, start)


class _Job:
    """A command that is being carried out, or waits for that."""

    def __init__(self, command: Generate | Warm) -> None:
        self.command = command
        self.cancelled = threading.Event()
        self.progress_at = monotonic()

    def proceed(self) -> bool:
        """Note that there is progress, and say whether to go on."""
        self.progress_at = monotonic()
        return not self.cancelled.is_set()


class LlmWorker:
    """Carries out ``Warm``, ``Generate`` and ``Cancel`` on the engines of the roles."""

    def __init__(
        self, channel: WorkerChannel, engines: Mapping[str, ChatEngine], history_tokens: int
    ) -> None:
        """*engines* are by role; roles may share one."""
        self._channel = channel
        self._engines = engines
        self._history_tokens = history_tokens
        self._changed = threading.Condition()
        self._waiting: _Job | None = None
        self._warms: deque[Warm] = deque()
        self._running: _Job | None = None
        self._closing = False
        self._stats = {"generations": 0.0, "tokens": 0.0, "prompt_tokens": 0.0, "cached": 0.0}
        self._thread = threading.Thread(target=self._work, name="llm", daemon=True)
        self._thread.start()

    # --- the message loop's side ---------------------------------------------------------

    def handle(self, command: Command) -> None:
        with self._changed:
            if isinstance(command, Generate):
                self._replace(command)
            elif isinstance(command, Warm):
                self._warms.append(command)
            elif isinstance(command, Cancel):
                self._cancel(command)
            self._changed.notify()

    def _replace(self, command: Generate) -> None:
        running = self._running
        if running is not None and (
            # What a stopped Warm has evaluated stays in the cache; it goes on after the question.
            isinstance(running.command, Warm) or running.command.turn_id == command.turn_id
        ):
            running.cancelled.set()
        if self._waiting is not None:
            self._finish_unstarted(self._waiting)
        self._waiting = _Job(command)

    def _cancel(self, command: Cancel) -> None:
        if self._waiting is not None and _concerns(command, self._waiting):
            self._finish_unstarted(self._waiting)
            self._waiting = None
        if self._running is not None and _concerns(command, self._running):
            self._running.cancelled.set()

    def _finish_unstarted(self, job: _Job) -> None:
        assert isinstance(job.command, Generate)
        self._channel.send(
            GenerationFinished(
                turn_id=job.command.turn_id, attempt=job.command.attempt, reason="cancelled"
            )
        )

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
            for engine in set(self._engines.values()):
                engine.close()

    # --- the work ------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                if isinstance(job.command, Generate):
                    self._generate(job, job.command)
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
            if self._waiting is not None:
                self._running, self._waiting = self._waiting, None
            else:
                self._running = _Job(self._warms.popleft())
            self._running.proceed()
            return self._running

    def _warm(self, job: _Job, command: Warm) -> None:
        try:
            done = self._engine(command.role).warm(command.messages, job.proceed)
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
            engine = self._engine(command.role)
            done = engine.generate(
                self._fitting(engine, command),
                max_tokens=command.max_tokens,
                temperature=command.temperature,
                on_text=send,
                proceed=job.proceed,
            )
        except EOFError:
            raise
        except Exception as error:  # noqa: BLE001 - the worker outlives whatever a model does
            self._channel.send(
                GenerationFinished(
                    turn_id=turn_id, attempt=attempt, reason="failed", detail=_say(error)
                )
            )
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

    def _engine(self, role: str) -> ChatEngine:
        if role not in self._engines:
            raise UsageError(f"there is no model for the role {role!r}")
        return self._engines[role]

    def _fitting(self, engine: ChatEngine, command: Generate) -> list[ChatMessage]:
        """Return the conversation without what is too old to fit.

        Raises:
            UsageError: there is no question, or it is too long whatever else is left out.
        """
        messages = command.messages
        if not messages or not str(messages[-1]["content"]).strip():
            raise UsageError("the message is empty; ask something")
        answer = min(command.max_tokens, engine.context_tokens // 2)
        room = engine.context_tokens - answer
        system = sum(engine.count_tokens(m) for m in messages if m["role"] == "system")
        question = engine.count_tokens(messages[-1])
        if system + question > room:
            raise UsageError(
                f"the message is too long: it has about {question} tokens and the model can "
                f"read {room - system}; shorten it"
            )
        return truncate(messages, min(room, system + self._history_tokens), engine.count_tokens)

    def _count(self, done: Generated) -> None:
        self._stats["generations"] += 1
        self._stats["tokens"] += done.completion_tokens
        self._stats["prompt_tokens"] += done.prompt_tokens
        self._stats["cached"] += done.cached_tokens


def _concerns(command: Cancel, job: _Job) -> bool:
    return (
        isinstance(job.command, Generate)
        and job.command.turn_id == command.turn_id
        and command.attempt in (0, job.command.attempt)
    )


def _say(error: Exception) -> str:
    """Return a sentence for the owner."""
    if isinstance(error, LunaError):
        return str(error)
    return f"the language model failed unexpectedly ({type(error).__name__})"
