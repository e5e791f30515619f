"""Who answers what: tools, reminders, the cache, the documents, models, and nobody."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from appliance import images
from appliance.assistant.answer_cache import AnswerCache
from appliance.assistant.answering import Answering, RoleLimits
from appliance.assistant.builtin import BuiltIn
from appliance.assistant.history import History
from appliance.assistant.local_models import LocalModels
from appliance.assistant.prompts import Prompts
from appliance.assistant.question import Question
from appliance.assistant.recall import Recall
from appliance.assistant.summarising import Summariser
from appliance.assistant.tools import Facts
from appliance.commands import Classify, Command
from appliance.errors import LunaError, ProviderError, StorageError
from appliance.events import (
    AgentSwitch,
    Classified,
    Event,
    GenerationFinished,
    MuteRequested,
    TokensGenerated,
    ToolCall,
    VolumeRequested,
    WorkerChanged,
)
from tests.assistant.test_router import Bench, Scripted

DONE = GenerationFinished
LIMITS = RoleLimits(50, 0.2)


@dataclass
class Extract:
    user_message: str = "From the manual: press the red key. Question: How do I reset it?"
    citation: str = "Source: manual.pdf, page 3."
    quote: str = "From your manual.pdf, page 3: press the red key."


@dataclass
class Shelf:
    """Documents that cover questions with the word reset."""

    broken: bool = False

    def grounding(self, question: str, language: str) -> Extract | None:
        if self.broken:
            raise StorageError("the documents cannot be read")
        return Extract() if "reset" in question else None

    def version(self) -> str:
        return "1"

    def prepare(self) -> None:
        """Nothing to load."""


@dataclass
class Diary:
    """Answers reminders; asks back once."""

    open: bool = False
    heard: list[str] = field(default_factory=list)

    def concerns(self, words: str, language: str) -> bool:
        return self.open or words.startswith("Remind")

    async def handle(self, words: str, language: str) -> str | None:
        self.heard.append(words)
        if "never" in words:
            return None
        self.open = not self.open
        return "At what time?" if self.open else "I will remind you at nine."


class Mind:
    """Answering with scripted models and everything else real."""

    def __init__(self, folder: Path, *providers: Scripted, **parts: Any) -> None:
        self.bench = Bench(*(providers or (Scripted("local"),)), policy=parts.pop("policy", ""))
        self.events: list[Event] = []
        self.requests: list[Event] = []
        self.warnings: list[LunaError] = []
        self.sent: list[Command] = []
        self.history = History()
        self.local = LocalModels(self._send, {})
        self.cache = AnswerCache(folder, lifetime_s={"chat": 60.0}, max_entries=9, max_bytes=10_000)
        self.recall = Recall(
            parts.pop("shelf", None), self.cache, self.warnings.append, self.cache.close
        )
        facts = Facts(now=datetime(2026, 3, 1, 17, 30), volume=50, languages=("en", "pt"))
        self.answering = Answering(
            router=self.bench.router,
            local=self.local,
            history=self.history,
            prompts=parts.pop("prompts", Prompts()),
            limits={"chat": LIMITS, "code": LIMITS, "vision": LIMITS},
            recall=self.recall,
            tool=BuiltIn(lambda: facts, self.requests.append, self.history),
            camera=parts.pop("camera", no_camera),
            emit=self.events.append,
            summariser=Summariser(self.history, self.local, Prompts(), 100),
            **parts,
        )

    def _send(self, command: Command) -> bool:
        self.sent.append(command)
        return True

    def begin(self, text: str, turn: int = 1, attempt: int = 1, **more: Any) -> None:
        question = Question(turn_id=turn, attempt=attempt, text=text, language="en", **more)
        self.answering.begin(question)

    async def ask(self, text: str, turn: int = 1, **more: Any) -> str:
        """Ask a certain question; return the whole answer."""
        self.events.clear()
        self.begin(text, turn, **more)
        self.answering.confirm(turn)
        return await self.answer()

    async def answer(self) -> str:
        while not self.of(GenerationFinished):
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # what is kept is kept after it
        return "".join(event.text for event in self.of(TokensGenerated))

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def who(self) -> list[str]:
        return [event.provider for event in self.of(AgentSwitch)]


def no_camera() -> bytes:
    raise LunaError("there is no camera")


def picture() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(data, "PNG")
    return data.getvalue()


@pytest.fixture
async def mind(tmp_path: Path) -> Mind:
    return Mind(tmp_path, policy="local")


async def test_a_model_answers_with_the_conversation(mind: Mind) -> None:
    mind.history.add("Who are you?", "Luna.")
    assert await mind.ask("Tell me something about cats.") == "I am local."
    messages = mind.bench.router.providers["local"].requests[0].messages
    assert [m["content"] for m in messages][1:] == [
        "Who are you?",
        "Luna.",
        "Tell me something about cats.",
    ]
    assert mind.who == ["local"]
    done = mind.of(GenerationFinished)[0]
    assert (done.reason, done.prompt_tokens, done.completion_tokens) == ("stop", 7, 3)


async def test_a_command_waits_until_the_question_is_certain(mind: Mind) -> None:
    mind.begin("Turn the volume up.")
    await asyncio.sleep(0.01)
    assert not mind.requests
    mind.answering.cancel(1, 1)
    await asyncio.sleep(0.01)
    assert not mind.events
    assert await mind.ask("Louder, please.", turn=2) == "Volume at 60 percent."
    assert [r.percent for r in mind.requests if isinstance(r, VolumeRequested)] == [60]
    assert [call.name for call in mind.of(ToolCall)] == ["volume_up"]
    assert mind.who == ["luna"]


async def test_commands(mind: Mind) -> None:
    assert await mind.ask("What time is it?") == "It is 5:30 PM."
    mind.history.add("One?", "Two.")
    assert "new conversation" in await mind.ask("New conversation.", turn=2)
    assert len(mind.history) == 0
    await mind.ask("Mute.", turn=3)
    assert [r.muted for r in mind.requests if isinstance(r, MuteRequested)] == [True]


async def test_an_answer_is_given_again_until_it_is_old(mind: Mind) -> None:
    local = mind.bench.router.providers["local"]
    question = "What is the capital of France?"
    assert await mind.ask(question) == "I am local."
    assert await mind.ask(question.upper(), turn=2) == "I am local."
    assert mind.who == ["cache"]
    assert len(local.requests) == 1
    mind.history.add("Who?", "Me.")
    await mind.ask(question, turn=3)  # not the first of its conversation
    assert len(local.requests) == 2


async def test_an_answer_from_the_owners_notes_is_not_kept(tmp_path: Path) -> None:
    notes = tmp_path / "prompts/en/notes.j2"
    notes.parent.mkdir(parents=True)
    notes.write_text("The owner's dog is called Rex.")
    mind = Mind(tmp_path, policy="local", prompts=Prompts(tmp_path / "prompts"))
    for turn in (1, 2):
        await mind.ask("What is the capital of France?", turn=turn)
    requests = mind.bench.router.providers["local"].requests
    assert len(requests) == 2
    assert "Rex" in requests[0].messages[0]["content"]


async def test_a_guess_is_not_kept(mind: Mind) -> None:
    mind.begin("What is the capital of France?")
    await mind.answer()
    mind.answering.cancel(1)
    await mind.ask("What is the capital of France?", turn=2)
    assert len(mind.bench.router.providers["local"].requests) == 2


async def test_documents_are_read_and_named(tmp_path: Path) -> None:
    mind = Mind(tmp_path, policy="local", shelf=Shelf())
    answer = await mind.ask("How do I reset it?")
    assert answer == "I am local. Source: manual.pdf, page 3."
    assert mind.of(GenerationFinished)[0].source == "Source: manual.pdf, page 3."
    asked = mind.bench.router.providers["local"].requests[0].messages[-1]["content"]
    assert asked == Extract().user_message


async def test_documents_answer_alone_where_nobody_can(tmp_path: Path) -> None:
    failing = Scripted("local", (ProviderError("it broke", kind="server"),))
    mind = Mind(tmp_path, failing, policy="local", shelf=Shelf())
    assert await mind.ask("How do I reset it?") == Extract().quote
    assert mind.who == ["documents"]
    assert mind.of(GenerationFinished)[0].reason == "stop"


async def test_broken_documents_cost_the_look_up_alone(tmp_path: Path) -> None:
    mind = Mind(tmp_path, policy="local", shelf=Shelf(broken=True))
    assert await mind.ask("How do I reset it?") == "I am local."
    assert mind.warnings


async def test_nobody_can_answer(tmp_path: Path) -> None:
    failing = Scripted("local", (ProviderError("it broke", kind="server"),))
    mind = Mind(tmp_path, failing, policy="local")
    assert await mind.ask("Who are you?", spoken=True) == ""
    done = mind.of(GenerationFinished)[0]
    assert done.reason == "unanswered"
    assert done.detail.startswith("I cannot answer that now.")


async def test_who_writes_hears_what_is_wrong_with_the_question(tmp_path: Path) -> None:
    refusing = Scripted("local", (ProviderError("it is too long; shorten it", kind="rejected"),))
    mind = Mind(tmp_path, refusing, policy="local")
    await mind.ask("Who are you?")
    assert mind.of(GenerationFinished)[0].detail == "it is too long; shorten it"


async def test_where_rules_are_unsure_the_model_decides(mind: Mind) -> None:
    mind.local.take(WorkerChanged(worker="llm", status="ready"))
    mind.begin("My camera is broken.")
    mind.answering.confirm(1)
    await asyncio.sleep(0.01)
    (classify,) = [command for command in mind.sent if isinstance(command, Classify)]
    mind.local.take(Classified(turn_id=1, attempt=1, choice=classify.choices[-1], probability=0.9))
    assert await mind.answer() == "I am local."


async def test_reminders_and_the_answer_to_their_question(tmp_path: Path) -> None:
    diary = Diary()
    mind = Mind(tmp_path, policy="local", reminders=diary)
    assert await mind.ask("Remind me to call the doctor.") == "At what time?"
    assert await mind.ask("Nine.", turn=2) == "I will remind you at nine."
    assert await mind.ask("Who was Nero?", turn=3) == "I am local."
    assert diary.heard == ["Remind me to call the doctor.", "Nine."]
    assert "did not understand" in await mind.ask("Remind me never to go there.", turn=4)


async def test_a_reminder_is_never_left_to_a_model(mind: Mind) -> None:
    assert "luna reminders" in await mind.ask("Remind me to call the doctor at nine.")
    assert not mind.bench.router.providers["local"].requests


async def test_pictures(tmp_path: Path) -> None:
    mind = Mind(tmp_path, policy="local", camera=picture)
    url = images.prepare(picture()).data_url
    await mind.ask("What is this?", image=url)
    local = mind.bench.router.providers["local"]
    assert local.requests[0].role == "vision"
    parts = local.requests[0].messages[-1]["content"]
    assert parts[1]["image_url"]["url"] == url
    await mind.ask("What do you see?", turn=2)
    taken = local.requests[1].messages[-1]["content"][1]["image_url"]["url"]
    assert base64.b64decode(taken.split(",")[1])[:2] == b"\xff\xd8"


async def test_no_camera_is_said(mind: Mind) -> None:
    await mind.ask("What do you see?")
    done = mind.of(GenerationFinished)[0]
    assert (done.reason, done.detail) == ("failed", "there is no camera")


async def test_code_alone(mind: Mind) -> None:
    await mind.ask("Reverse a string.", code_only=True)
    local = mind.bench.router.providers["local"]
    assert local.requests[0].role == "code"
    assert local.requests[0].messages[0]["content"] == Prompts().render("en", "code_only").text


async def test_a_mistake_of_ours_does_not_hang_the_turn(mind: Mind) -> None:
    seen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    mind.bench.router.providers["local"].stream = None  # type: ignore[attr-defined]
    await mind.ask("Who are you?")
    assert mind.of(GenerationFinished)[0].reason == "failed"
    assert seen


async def until(true: Callable[[], bool]) -> None:
    """Wait until something has come true."""
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.001)


async def test_an_attempt_goes_on_and_a_newer_one_replaces_it(tmp_path: Path) -> None:
    slow = Scripted("local", (60.0, "Done.", Scripted("local").scripts[0][-1]))
    mind = Mind(tmp_path, slow, policy="local")
    mind.begin("Who are you?")
    await until(lambda: len(slow.requests) == 1)
    mind.begin("Who are you?")
    assert mind.answering.under_way(1, 1)
    await asyncio.sleep(0.01)
    assert len(slow.requests) == 1
    mind.begin("Who are you then?", attempt=2)
    await until(lambda: (slow.stopped, len(slow.requests)) == (1, 2))
    assert [event.attempt for event in mind.of(TokensGenerated)] == []
    await mind.answering.close()
    assert slow.stopped == 2
