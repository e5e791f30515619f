"""The application: puts bars, views and prompt together, and does what keys and events say."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.geometry import Offset
from textual.widgets import Input, TextArea

from appliance import texts
from appliance.control import HealthRequested, Refused
from appliance.errors import LunaError, ServiceError
from appliance.events import (
    ButtonPressed,
    Content,
    Event,
    ProviderUsed,
    Snapshot,
    StopRequested,
    TextAsked,
    TurnEnded,
)
from appliance.terminal import clipboard
from appliance.terminal.bars import Bar, Footer, health_lines, state_line
from appliance.terminal.blocks import NewSplitter
from appliance.terminal.in_order import InOrder
from appliance.terminal.keys import DEEDS, KEYS, MENU, WORDS, spoken_key
from appliance.terminal.prompt import Prompt
from appliance.terminal.service import Message, Service
from appliance.terminal.state import Known
from appliance.terminal.themes import THEMES, palette, theme_name
from appliance.terminal.transcript import Transcript
from appliance.terminal.turns import Turns

FRAME_S = 0.1
"""What comes of an answer is shown so often: the line to the terminal may be slow."""
RETRY_S = (0.5, 1.0, 2.0)
"""How long to wait before the service is tried again; the last one again and again."""
HEALTH_S = 5.0
PAGE = 40
"""Messages of a conversation that are shown at once; earlier ones come when one scrolls up."""
WIDE = 100
"""Columns from which on the side panel is open at the start."""
BUSY = ("listening", "thinking", "speaking")
IN_SHEETS = ("quit", "copy_or_stop", "paste", "cut", "select_all")
"""What also works while something is open above the chat."""


@dataclass(frozen=True)
class Taste:
    """How a person wants it."""

    language: str = "en"
    light: bool = False
    erase_is_ctrl_h: bool = False
    """The terminal sends Ctrl+H for the Backspace key: then it means that."""


class TerminalApp(InOrder):
    """``luna terminal``.

    Args:
        service: the way to the running Luna.
        splitter: makes what takes prose and code apart.
        taste: how the person wants it.
    """

    TITLE = "Luna"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(",".join(deed.keys), deed.name, show=False, priority=True) for deed in DEEDS),
        Binding("escape", "cancel", show=False),
    ]
    CSS = """
    #_default { layout: vertical; background: $background; color: $foreground; }
    * { scrollbar-color: $panel; scrollbar-color-hover: $secondary;
        scrollbar-color-active: $secondary; scrollbar-background: $background;
        scrollbar-background-hover: $background; scrollbar-background-active: $background; }
    #state { height: 1; background: $surface; }
    #middle { height: 1fr; }
    Transcript { width: 1fr; height: 1fr; background: $background; }
    Transcript.away { display: none; }
    #health { width: 32; height: 1fr; padding: 0 1; border-left: solid $panel;
        background: $background; display: none; overflow-y: auto; scrollbar-size-vertical: 1; }
    #health.open { display: block; }
    #footer { height: 1; background: $surface; }
    ToastRack { margin-bottom: 4; }
    Toast { max-width: 70; background: $surface; color: $foreground; }
    """

    def __init__(self, service: Service, splitter: NewSplitter, taste: Taste) -> None:
        super().__init__()
        self.animation_level = "none"
        self.taste = taste
        self.service = service
        self.known = Known()
        self.code_only = False
        self._splitter = splitter
        self._light = taste.light
        self._earlier: list[Message] = []
        """Messages of the conversation that are not shown, the oldest first."""
        self._frames: set[Callable[[], None]] = set()
        self._loaded = False

    def say(self, key: str, **values: object) -> str:
        """Return a text in the person's language."""
        return texts.text(key, self.taste.language, **values)

    # --- building ---

    def compose(self) -> ComposeResult:
        hint = self.say("terminal.copy_hint")
        yield Bar(id="state")
        with Horizontal(id="middle"):
            yield Transcript(self._splitter, copy_hint=hint, id="chat")
            code = Transcript(self._splitter, code_only=True, id="code")
            code.add_class("away")
            yield code
            yield Bar(id="health")
        yield Prompt(self.say("terminal.placeholder"), id="prompt")
        yield Footer(self.say, id="footer")

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self._use_theme()
        self.chat = self.query_one("#chat", Transcript)
        self.code = self.query_one("#code", Transcript)
        self.prompt = self.query_one(Prompt)
        self.turns = Turns((self.chat, self.code), self.say, self._soon)
        self.prompt.focus()
        if self.size.width >= WIDE:
            self.query_one("#health").add_class("open")
        self.set_interval(HEALTH_S, self._ask_health)
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """The first screen stands; now the service may be waited for."""
        self._draw()
        self._follow()

    def _use_theme(self) -> None:
        # Rich knows 16 colours as "standard"; no colour at all is a filter over them.
        plain = self.no_color or self.console.color_system in (None, "standard")
        self.theme = theme_name(light=self._light, plain=plain)

    def on_resize(self) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        """Draw the bars anew, those of them that changed."""
        colors = palette(self.theme)
        base = self.screen_stack[0]
        line = state_line(self.known, self.say, colors, self.size.width, code_only=self.code_only)
        base.query_one("#state", Bar).show(line)
        panel = base.query_one("#health", Bar)
        if panel.has_class("open"):
            panel.show(health_lines(self.known, self.say, colors, 29))
        base.query_one(Footer).draw(colors)

    def _soon(self, call: Callable[[], None]) -> None:
        """Have *call* called with the next frame, once."""
        if call not in self._frames:
            self._frames.add(call)
            self.set_timer(FRAME_S, lambda: self._frame(call))

    def _frame(self, call: Callable[[], None]) -> None:
        self._frames.discard(call)
        call()

    # --- events of the service ---

    @work
    async def _follow(self) -> None:
        """Follow the service for ever; where it is gone, wait for it."""
        tries = 0
        while True:
            try:
                async for event in self.service.events():
                    tries = 0
                    self._take(event)
            except ServiceError as error:
                self.known.detail = str(error)
            if self.known.connected:
                self.known.connected = False
                self.turns.close("terminal.broken_off")
                self.chat.note(self.say("terminal.lost"), "bad")
            self._soon(self._draw)
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1

    def _take(self, event: Event) -> None:
        if isinstance(event, Snapshot) and self._loaded and not self.known.connected:
            self.chat.note(self.say("terminal.back"), "good")
        self.known.take(event)
        self.turns.take(event)
        if isinstance(event, Refused):
            self.turns.close()
            self.chat.note(event.text, "bad")
        elif isinstance(event, Snapshot):
            self._load()
            self._ask_health()
        elif isinstance(event, TurnEnded | ProviderUsed):
            self._load_quota()
        if not isinstance(event, Content):
            self._soon(self._draw)

    @work(exclusive=True, group="load")
    async def _load(self) -> None:
        """Show the conversation that goes on, once; the quotas each time."""
        self._load_quota()
        if self._loaded:
            return
        self._loaded = True
        try:
            current = [one for one in await self.service.conversations() if one.current]
            if current and current[0].messages:
                self._show_conversation(await self.service.messages(current[0].id))
        except LunaError as error:
            self.chat.note(str(error))

    @work(exclusive=True, group="quota")
    async def _load_quota(self) -> None:
        try:
            self.known.quota = await self.service.quota()
        except LunaError as error:
            self.log(error)  # the line shows no quota then
        self._soon(self._draw)

    def _show_conversation(self, messages: list[Message]) -> None:
        self._earlier = messages[:-PAGE]
        # What was asked meanwhile stands at the end.
        self.turns.show(messages[-PAGE:], before=True)

    def _ask_health(self) -> None:
        if self.known.connected and self.query_one("#health").has_class("open"):
            self._send(HealthRequested())

    @work
    async def _send(self, event: Event) -> None:
        try:
            await self.service.send(event)
        except ServiceError as error:
            self.notify(str(error), severity="error", markup=False)

    # --- what is typed and clicked ---

    async def on_event(self, event: events.Event) -> None:
        """Tell Ctrl+H from Backspace, which Textual takes for the same."""
        if (
            isinstance(event, events.Key)
            and (event.key, event.character) == ("backspace", "\x08")
            and not self.taste.erase_is_ctrl_h
        ):
            event = events.Key("ctrl+h", None)
        await super().on_event(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While something is open above the chat, most keys are its own."""
        del parameters
        above = len(self.screen_stack) > 1
        own = any(deed.name == action for deed in DEEDS)
        return not (above and own and action not in IN_SHEETS)

    async def on_prompt_sent(self, message: Prompt.Sent) -> None:
        text = message.text.strip()
        if text.startswith("/") and " " not in text and "\n" not in text:
            if deed := WORDS.get(text[1:].casefold()):
                await self.run_action(deed)
            else:
                self.prompt.give_back(message.text)
                self.notify(self.say("terminal.unknown_command", command=text), markup=False)
            return
        question = TextAsked(text=text, request=uuid.uuid4().hex, code_only=self.code_only)
        if not self.known.connected:
            self.prompt.give_back(message.text)
            self.notify(self.say("terminal.not_sent"), severity="warning", markup=False)
            return
        # It is shown before it is sent: its turn may begin at once.
        self.turns.ask(text, question.request, code_only=question.code_only)
        try:
            await self.service.send(question)
        except ServiceError as error:
            self.prompt.give_back(message.text)
            self.chat.note(str(error), "bad")

    def on_prompt_talk(self) -> None:
        if self.known.state == "listening":
            self._send(StopRequested())
        else:
            self._send(ButtonPressed())

    def on_prompt_too_long(self) -> None:
        self.notify(self.say("terminal.too_long"), severity="warning", markup=False)

    def on_transcript_code_clicked(self, message: Transcript.CodeClicked) -> None:
        self.copy_to_clipboard(message.code)

    def on_transcript_top_reached(self) -> None:
        more, self._earlier = self._earlier[-PAGE:], self._earlier[:-PAGE]
        if more:
            self.turns.show(more, before=True)

    async def on_footer_chosen(self, message: Footer.Chosen) -> None:
        await self.run_action(message.deed)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 3 and len(self.screen_stack) == 1:  # noqa: PLR2004 - the right one
            self._menu(Offset(event.screen_x, event.screen_y))

    # --- actions ---

    def action_cancel(self) -> None:
        """Undo the nearest thing: a selection, a reply, the code mode."""
        if self.screen.selections:
            self.screen.clear_selection()
        elif self.known.state in BUSY or self.turns.running:
            self._send(StopRequested())
        elif self.code_only:
            self.action_code_mode()
        else:
            self.prompt.focus()

    def action_scroll_view(self, pages: int) -> None:
        """Scroll what was said."""
        view = self.code if self.code_only else self.chat
        view.scroll_relative(y=pages * max(1, view.size.height - 2), animate=False)

    def action_new_conversation(self) -> None:
        """Begin a new conversation."""
        self._new()

    @work
    async def _new(self) -> None:
        try:
            await self.service.new_conversation()
        except LunaError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self._earlier = []
        self.turns.clear()
        self.chat.note(self.say("terminal.new_begun"))

    @work
    async def action_history(self) -> None:
        """Find a conversation and go on with it."""
        from appliance.terminal.screens.history import History

        chosen = await self.push_screen_wait(History(self.say, palette(self.theme), self.service))
        if chosen is None:
            return
        try:
            messages = await self.service.messages(chosen)
            await self.service.open_conversation(chosen)
        except LunaError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.turns.clear()
        self._show_conversation(messages)

    def action_persona(self) -> None:
        """Edit the persona."""
        from appliance.terminal.screens.persona import Persona

        self.push_screen(Persona(self.say, palette(self.theme), self.service, self.taste.language))

    def action_reminders(self) -> None:
        """Show reminders."""
        from appliance.terminal.screens.reminders import Reminders

        self.push_screen(
            Reminders(self.say, palette(self.theme), self.service, self.taste.language)
        )

    def action_config(self) -> None:
        """Show the settings."""
        from appliance.terminal.screens.config import Config

        self.push_screen(Config(self.say, palette(self.theme), self.service))

    def action_help_page(self) -> None:
        """Show all keys."""
        from appliance.terminal.screens.commands import Help

        self.push_screen(Help(self.say, palette(self.theme)))

    @work
    async def action_commands(self) -> None:
        """Find a command by its words."""
        from appliance.terminal.screens.commands import Commands

        name = await self.push_screen_wait(Commands(self.say, palette(self.theme)))
        if name:
            await self.run_action(name)

    def action_code_mode(self) -> None:
        """Show nothing but code, or everything again."""
        self.code_only = not self.code_only
        self.chat.set_class(self.code_only, "away")
        self.code.set_class(not self.code_only, "away")
        self._draw()

    def action_health(self) -> None:
        """Open or close the side panel."""
        self.query_one("#health").toggle_class("open")
        self._ask_health()
        self._draw()

    def action_light(self) -> None:
        """Change between dark and light."""
        self._light = not self._light
        self._use_theme()
        self._draw()

    def action_context_menu(self) -> None:
        """Open the menu at the prompt."""
        region = self.prompt.region
        self._menu(Offset(region.x + 2, region.y))

    @work
    async def _menu(self, at: Offset) -> None:
        from appliance.terminal.screens.sheet import Menu

        rows = [(name, self.say(f"terminal.do_{name}"), spoken_key(KEYS[name])) for name in MENU]
        name = await self.push_screen_wait(Menu(rows, at))
        if name:
            await self.run_action(name)

    # --- copying ---

    def action_copy_or_stop(self) -> None:
        """Copy the selection; without one, stop what Luna is doing."""
        if text := self._selected():
            self.copy_to_clipboard(text)
        elif self.code_only and not self.turns.running:
            self._copy_all_code()
        elif self.known.state in BUSY or self.turns.running:
            self._send(StopRequested())
        else:
            quit_key = spoken_key("ctrl+q")
            self.notify(self.say("terminal.nothing_to_copy", name=quit_key), markup=False)

    def action_copy_code(self) -> None:
        """Copy the code in view; in the code mode all of it."""
        if self.code_only:
            self._copy_all_code()
        elif code := self.chat.code_in_view():
            self.copy_to_clipboard(code)
        else:
            self.notify(self.say("terminal.no_code"), markup=False)

    def _copy_all_code(self) -> None:
        if code := "\n\n".join(self.code.code()):
            self.copy_to_clipboard(code + "\n")
        else:
            self.notify(self.say("terminal.no_code"), markup=False)

    def action_cut(self) -> None:
        """Cut the selection of what is being typed."""
        if isinstance(self.focused, TextArea | Input) and self.focused.selected_text:
            self.focused.action_cut()

    def action_paste(self) -> None:
        """Paste what was copied here; a terminal's own paste comes by itself."""
        if isinstance(self.focused, Input | TextArea):
            if self.clipboard:
                self.post_message(events.Paste(self.clipboard))  # it comes to who has the focus
            else:
                self.notify(self.say("terminal.paste_yourself"), markup=False)

    def action_select_all(self) -> None:
        """Select all that was typed; where nothing was, all that was said."""
        typed = self.focused
        if isinstance(typed, TextArea) and (typed.text or len(self.screen_stack) > 1):
            typed.select_all()
        elif isinstance(typed, Input):
            typed.action_select_all()
        else:
            (self.code if self.code_only else self.chat).text_select_all()

    def copy_to_clipboard(self, text: str) -> None:
        """Copy to the clipboard of the person's machine, and say how."""
        way = clipboard.way_of(text, os.environ)
        if way == "terminal":
            super().copy_to_clipboard(text)
        else:
            self._clipboard = text
        self._keep_copy(text, way)

    @work
    async def _keep_copy(self, text: str, way: clipboard.Way) -> None:
        try:
            copied = await clipboard.keep(text, way)
        except LunaError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        key = "terminal.copied_file" if copied.way == "file" else "terminal.copied"
        lines = text.count("\n") + (not text.endswith("\n"))
        self.notify(self.say(key, count=lines, file=copied.file or "-"), markup=False)

    def _selected(self) -> str:
        if isinstance(self.focused, TextArea | Input) and self.focused.selected_text:
            return self.focused.selected_text
        return self.screen.get_selected_text() or ""
