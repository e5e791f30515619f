"""The application with a Luna of the tests behind it, and what stands on its screen."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from appliance.assistant.code_blocks import CodeSplitter
from appliance.terminal.app import Taste, TerminalApp
from appliance.terminal.transcript import Transcript
from tests.terminal.fake_service import FakeService

SNAPSHOTS = Path(__file__).with_name("snapshots")
FRAME_S = 0.02
"""How often what comes of an answer is shown in tests."""
PATIENT = (
    "_follow",
    "action_history",
    "action_commands",
    "action_delete",
    "action_cancel",
    "_menu",
    "_leave",
)
"""What waits for the service or for a person, and may do so for ever."""
SMALL, LARGE = (80, 24), (160, 50)


@dataclass
class Terminal:
    """A running application."""

    app: TerminalApp
    pilot: Pilot[None]
    luna: FakeService

    async def press(self, *keys: str) -> None:
        """Press keys, and wait until they had their effect."""
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Wait until all that was begun is done, and what came of an answer is shown."""
        for _ in range(500):
            await self.pilot.pause(2 * FRAME_S)
            at_work = [w for w in self.app.workers if w.is_running and w.name not in PATIENT]
            if not at_work and not self.app._frames:
                break
        await self.pilot.pause()

    async def backspace(self) -> None:
        """Press Backspace as most terminals send it; the pilot's own is Ctrl+H."""
        self.app.post_message(events.Key("backspace", "\x7f"))
        await self.settle()

    async def ask(self, text: str, answer: str, turn_id: int = 1) -> None:
        """Ask in writing, and have it answered."""
        self.app.prompt.text = text
        await self.press("enter")
        self.luna.begin(turn_id)
        self.luna.finish(turn_id, answer)
        await self.settle()

    @property
    def view(self) -> Transcript:
        """What was said."""
        return self.app.chat

    def lines(self) -> list[str]:
        """Return the screen's lines."""
        strips = self.app.screen._compositor.render_strips()
        return [strip.text.rstrip() for strip in strips]

    def screen(self) -> str:
        """Return the screen as text."""
        return "\n".join(self.lines()) + "\n"

    def title(self) -> str:
        """Return the name of what is open above the chat; empty for nothing."""
        return type(self.app.screen).__name__ if len(self.app.screen_stack) > 1 else ""


@asynccontextmanager
async def terminal(
    luna: FakeService | None = None,
    size: tuple[int, int] = SMALL,
    language: str = "en",
    *,
    light: bool = False,
    erase_is_ctrl_h: bool = False,
) -> AsyncIterator[Terminal]:
    """Run the application while the context lasts."""
    luna = luna or FakeService()
    app = TerminalApp(luna, CodeSplitter, Taste(language, light, erase_is_ctrl_h))
    async with app.run_test(size=size, notifications=True) as pilot:
        found = Terminal(app, pilot, luna)
        await found.settle()
        yield found


def compare(name: str, screen: str) -> None:
    """Compare with the snapshot of this name; LUNA_SNAPSHOTS=write makes it anew."""
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("LUNA_SNAPSHOTS") == "write":
        SNAPSHOTS.mkdir(exist_ok=True)
        file.write_text(screen, encoding="utf-8")
    if not file.exists():
        pytest.fail(f"there is no snapshot {name}; make it with LUNA_SNAPSHOTS=write, and look")
    assert screen == file.read_text(encoding="utf-8"), f"the screen differs from {file.name}"
