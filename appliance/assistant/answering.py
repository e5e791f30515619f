"""Decides who answers a question, and lets them: a tool, the cache, the documents, a model.

One task a question. What it finds goes to the coordinator as ``TokensGenerated`` and
``GenerationFinished``, whoever wrote it. Until the question is certain (*confirmed*) only what
has no price and no effect is done: a speculation that proves wrong leaves no trace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from appliance import images
from appliance.assistant import intent as intents
from appliance.assistant import lasting, no_answer
from appliance.assistant.answer_cache import Asked
from appliance.assistant.answers import Chosen, Finished, Text
from appliance.assistant.history import History
from appliance.assistant.intent import Intent
from appliance.assistant.local_models import LocalModels
from appliance.assistant.no_answer import NoAnswerError
from appliance.assistant.prompts import Prompts
from appliance.assistant.question import Hearing, Question, Speaking
from appliance.assistant.recall import Grounding, Recall
from appliance.assistant.router import Router
from appliance.assistant.summarising import Summariser
from appliance.clock import monotonic
from appliance.errors import LunaError
from appliance.events import AgentSwitch, Event, GenerationFinished, TokensGenerated, ToolCall
from appliance.providers.base import ChatRequest, Role
from appliance.texts import text

Tool = Callable[[Intent, str, int], Awaitable[str]]
"""Carries out a ``system`` intent in a language, for a turn; returns what is said of it."""


class Reminders(Protocol):
    """What answers spoken and written reminders."""

    def concerns(self, words: str, language: str) -> bool:
        """Return whether *words* may be its business; without any effect."""

    async def handle(self, words: str, language: str) -> str | None:
        """Do what *words* ask; return what is said, None where they are no business of its."""


@dataclass(frozen=True)
class RoleLimits:
    """How a role answers."""

    max_tokens: int
    temperature: float


@dataclass
class _Run:
    """A question that is being answered."""

    question: Question
    confirmed: asyncio.Event = field(default_factory=asyncio.Event)
    began: float = field(default_factory=monotonic)
    first_at: float = 0.0
    written: str = ""
    grounding: Grounding | None = None
    source: str = ""
    """The sentence that names the document, once it was said."""
    finished: Finished | None = None
    lasting: Asked | None = None
    """The answer may be given again to whoever asks this."""
    task: asyncio.Task[None] | None = None


class Answering:
    """Answers questions.

    Args:
        router: chooses among the models.
        local: the box's own models.
        history: the conversation.
        prompts: the system prompts.
        limits: of each role.
        recall: documents and former answers.
        tool: carries out the built-in commands.
        camera: takes a picture, blocking; returns its bytes.
        emit: takes every event.
        summariser: sums up old parts of the conversation between the turns.
        refresh: called before each answer, so that the conversation is the one on the disk.
        reminders: what answers reminders; None: they are conversation.
        hearing, speaking: choose who transcribes and whose voice speaks; None: the box itself.
    """

    def __init__(
        self,
        *,
        router: Router,
        local: LocalModels,
        history: History,
        prompts: Prompts,
        limits: Mapping[Role, RoleLimits],
        recall: Recall,
        tool: Tool,
        camera: Callable[[], bytes],
        emit: Callable[[Event], None],
        summariser: Summariser,
        refresh: Callable[[], Awaitable[object]] | None = None,
        reminders: Reminders | None = None,
        hearing: Hearing | None = None,
        speaking: Speaking | None = None,
    ) -> None:
        self._router = router
        self._local = local
        self._history = history
        self._prompts = prompts
        self._limits = limits
        self._recall = recall
        self._tool = tool
        self._camera = camera
        self._emit = emit
        self._summariser = summariser
        self._refresh = refresh
        self._reminders = reminders
        self.hearing = hearing
        self.speaking = speaking
        self._runs: dict[int, _Run] = {}

    def begin(self, question: Question) -> None:
        """Answer *question*; it takes the place of an older attempt of its turn.

        An attempt that is under way already goes on.
        """
        if self.under_way(question.turn_id, question.attempt):
            return
        self.cancel(question.turn_id)
        self._summariser.stop()
        run = self._runs[question.turn_id] = _Run(question)
        run.task = asyncio.create_task(self._answer(run))

    def under_way(self, turn_id: int, attempt: int) -> bool:
        """Return whether an answer to this attempt is being written."""
        run = self._runs.get(turn_id)
        return run is not None and run.question.attempt == attempt

    def confirm(self, turn_id: int) -> None:
        """The question is certain."""
        if run := self._runs.get(turn_id):
            run.confirmed.set()

    def cancel(self, turn_id: int, attempt: int = 0) -> None:
        """Stop all work for a turn, or for one attempt of it."""
        run = self._runs.get(turn_id)
        if run is None or attempt not in (0, run.question.attempt):
            return
        del self._runs[turn_id]
        if run.task is not None and run.task is not asyncio.current_task():
            run.task.cancel()

    def warm(self, language: str) -> None:
        """Prepare the model for the first question."""
        prompt = self._prompts.render(language).text
        self._local.warm("chat", ({"role": "system", "content": prompt},))
        self._local.warm("classify", intents.classification_examples())

    def rest(self, language: str) -> None:
        """A turn has ended, and no other is waiting: time to tidy up."""
        self._summariser.start(language)

    def step_aside(self) -> None:
        """Somebody else needs the model: no tidying up now."""
        self._summariser.stop()

    def renew(self, language: str) -> None:
        """Somebody else has used the model: have the conversation read before it goes on."""
        prompt = self._prompts.render(language).text
        self._local.warm("chat", self._history.messages(prompt))

    async def close(self) -> None:
        """Stop all work, and wait until it is booked."""
        self._summariser.stop()
        tasks = [run.task for run in self._runs.values() if run.task]
        for turn_id in list(self._runs):
            self.cancel(turn_id)
        if tasks:
            await asyncio.wait(tasks)

    # --- one question --------------------------------------------------------------------

    async def _answer(self, run: _Run) -> None:
        reason, detail = "stop", ""
        try:
            await self._dispatch(run)
            reason = run.finished.reason if run.finished else "stop"
        except NoAnswerError as error:
            reason, detail = await self._without_model(run, error)
        except LunaError as error:
            reason, detail = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not hang the turn
            reason, detail = "failed", f"answering failed unexpectedly ({type(error).__name__})"
            asyncio.get_running_loop().call_exception_handler(
                {"message": "answering a question failed", "exception": error}
            )
        if run.lasting is None:
            self._forget(run)
        self._emit(self._finished(run, reason, detail))
        if run.lasting is not None:
            await run.confirmed.wait()  # what is only a guess is not kept
            await self._recall.keep(run.lasting, run.written)
            self._forget(run)

    def _forget(self, run: _Run) -> None:
        if self._runs.get(run.question.turn_id) is run:
            del self._runs[run.question.turn_id]

    async def _dispatch(self, run: _Run) -> None:
        """Find out what is wanted, and let it be done."""
        question = run.question
        if self._refresh is not None:
            await self._refresh()
        reminders = self._reminders
        concerned = reminders and reminders.concerns(question.text, question.language)
        if reminders and concerned and await self._remind(run, reminders):
            return
        intent = await self._intent(question)
        if intent.kind == "system":
            await self._use_tool(run, intent)
        elif intent.kind == "reminder" and intent.sure:
            # Never left to a model, which would say "done" where nothing was kept.
            await run.confirmed.wait()
            key = "reminder.not_understood" if reminders else "reminder.no_service"
            self._agent(run, "reminder", "luna", "")
            self._say(run, text(key, question.language))
        else:
            role: Role = "chat"
            if question.code_only or intent.kind == "code":
                role = "code"
            elif intent.kind == "vision":
                role = "vision"
            await self._ask_model(run, role)

    async def _intent(self, question: Question) -> Intent:
        """Return what is wanted: by rules, and where they are not sure, by the local model."""
        guess = intents.recognise(question.text, question.language, image=bool(question.image))
        if guess.sure:
            return guess
        messages, choices = intents.classification_prompt(question.text, guess)
        key = question.turn_id, question.attempt
        return intents.from_answer(*await self._local.classify(key, messages, choices), guess)

    async def _use_tool(self, run: _Run, intent: Intent) -> None:
        await run.confirmed.wait()
        arguments = {} if intent.value is None else {"value": intent.value}
        turn_id = run.question.turn_id
        self._agent(run, "system", "luna", "")
        self._emit(ToolCall(turn_id=turn_id, name=intent.command, arguments=arguments))
        self._say(run, await self._tool(intent, run.question.language, turn_id))

    async def _remind(self, run: _Run, reminders: Reminders) -> bool:
        await run.confirmed.wait()
        said = await reminders.handle(run.question.text, run.question.language)
        if said is None:
            return False
        self._agent(run, "reminder", "luna", "")
        self._say(run, said)
        return True

    # --- models --------------------------------------------------------------------------

    async def _ask_model(self, run: _Run, role: Role) -> None:
        question = run.question
        prompt = self._prompts.render(
            question.language, "code_only" if question.code_only else role
        )
        asked = Asked(question.text, role, self._who(role), prompt.version, question.language)
        first = len(self._history) == 0
        private = prompt.private or bool(question.image)
        lasts = lasting.lasts(question.text, role, first_turn=first, private=private)
        if role == "chat":
            run.grounding = await self._recall.grounding(question.text, question.language)
        if lasts and run.grounding is None and (found := await self._recall.answer(asked)):
            self._agent(run, role, "cache", "")
            self._say(run, found)
            return
        messages = self._messages(run, prompt.text)
        if role == "vision":
            messages = await self._with_image(run, messages)
        await self._route(run, role, messages)
        if run.grounding is not None:
            run.source = run.grounding.citation
            self._say(run, f" {run.source}")
        elif lasts and run.finished and run.finished.reason == "stop":
            run.lasting = asked

    async def _route(self, run: _Run, role: Role, messages: tuple[dict[str, Any], ...]) -> None:
        question, limits = run.question, self._limits[role]
        request = ChatRequest(
            role=role,
            messages=messages,
            max_tokens=limits.max_tokens,
            temperature=limits.temperature,
            turn_id=question.turn_id,
            attempt=question.attempt,
            language=question.language,
        )
        async with aclosing(self._router.answer(request, confirmed=run.confirmed)) as answers:
            async for answer in answers:
                match answer:
                    case Chosen():
                        self._agent(run, role, answer.provider, answer.model, answer.reason)
                    case Text():
                        self._say(run, answer.text)
                    case Finished():
                        run.finished = answer

    def _who(self, role: Role) -> str:
        """Return who would be asked first: an answer of theirs is what the cache stands for."""
        first = self._router.policy.order(role)[0].name
        provider = self._router.providers.get(first)
        return f"{first}/{provider.model(role) if provider else ''}"

    def _messages(self, run: _Run, prompt: str) -> tuple[dict[str, Any], ...]:
        asked = run.grounding.user_message if run.grounding else run.question.text
        return self._history.messages(prompt, question=asked)

    async def _with_image(
        self, run: _Run, messages: tuple[dict[str, Any], ...]
    ) -> tuple[dict[str, Any], ...]:
        """Return *messages* with a picture in the last one; if none came, the camera takes it."""
        url = run.question.image
        if not url:
            await run.confirmed.wait()
            url = (await asyncio.to_thread(lambda: images.prepare(self._camera()))).data_url
        *before, last = messages
        parts = [
            {"type": "text", "text": last["content"]},
            {"type": "image_url", "image_url": {"url": url}},
        ]
        return (*before, {**last, "content": parts})

    # --- when nobody can answer ------------------------------------------------------------

    async def _without_model(self, run: _Run, error: NoAnswerError) -> tuple[str, str]:
        """Answer from the documents alone, or say plainly why there is no answer."""
        await run.confirmed.wait()
        if run.grounding is not None and not run.written:
            self._agent(run, "chat", "documents", "")
            self._say(run, run.grounding.quote)
            return "stop", ""
        if not run.question.spoken and (only := no_answer.only_reason(error)):
            return "unanswered", only
        return "unanswered", no_answer.sentence(error, run.question.language)

    # --- out -----------------------------------------------------------------------------

    def _agent(self, run: _Run, role: str, provider: str, model: str, reason: str = "") -> None:
        self._emit(
            AgentSwitch(
                turn_id=run.question.turn_id,
                role=role,
                provider=provider,
                model=model,
                reason=reason,
            )
        )

    def _say(self, run: _Run, said: str) -> None:
        if not said:
            return
        run.first_at = run.first_at or monotonic()
        run.written += said
        question = run.question
        self._emit(TokensGenerated(turn_id=question.turn_id, attempt=question.attempt, text=said))

    def _finished(self, run: _Run, reason: str, detail: str) -> GenerationFinished:
        usage = run.finished.usage if run.finished else None
        seconds = monotonic() - run.first_at if run.first_at else 0.0
        tokens = usage.completion_tokens if usage else 0
        return GenerationFinished(
            turn_id=run.question.turn_id,
            attempt=run.question.attempt,
            reason=reason,
            detail=detail,
            source=run.source,
            prompt_tokens=usage.prompt_tokens if usage else 0,
            cached_tokens=usage.cached_tokens if usage else 0,
            completion_tokens=tokens,
            first_token_ms=(run.first_at - run.began) * 1000.0 if run.first_at else 0.0,
            tokens_per_second=(tokens - 1) / seconds if tokens > 1 and seconds > 0 else 0.0,
        )
