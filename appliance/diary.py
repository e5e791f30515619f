"""Builds what remembers and reminds: the store, the keeper of time, the talk about it, the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from appliance import paths
from appliance.daily_jobs import jobs_of
from appliance.errors import LunaError
from appliance.events import (
    Event,
    JobFinished,
    JobRequested,
    Logged,
    RemindersAnswered,
    RemindersRequested,
)
from appliance.reminders.dialogue import Dialogue
from appliance.reminders.jobs import Jobs
from appliance.reminders.keeper import Keeper, Voice
from appliance.reminders.requests import Requests
from appliance.reminders.schedule import Policy
from appliance.reminders.store import ReminderStore
from appliance.reminders.wall_clock import Clock, SystemClock, local_zone
from appliance.settings import Settings
from appliance.storage.background import Background


class Diary:
    """The reminders of the running service.

    A store that cannot be opened costs the reminders, not the service: whoever asks for one hears
    that nothing is kept.

    Args:
        settings: the configuration.
        voice: of announcements.
        publish: takes every event.
        health: returns sentences for the report of the day.
        clock: where the time is read.
    """

    def __init__(
        self,
        settings: Settings,
        voice: Voice,
        publish: Callable[[Event], None],
        health: Callable[[], list[str]],
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._voice = voice
        self._publish = publish
        self._health = health
        self._clock = clock or SystemClock()
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._keeper: Keeper | None = None
        self._dialogue: Dialogue | None = None
        self._jobs: Jobs | None = None
        self._why = ""
        """Why there are no reminders."""

    async def start(self) -> None:
        """Open the store, and begin to remind."""
        settings, stack = self._settings, self._stack
        disk = Background("reminders")
        stack.callback(disk.close)
        try:
            data_dir = paths.data_dir(settings.general.data_dir)
            store = await disk.call(ReminderStore.on_flash, data_dir)
            stack.push_async_callback(disk.call, store.close)
            keeper = Keeper(
                store,
                disk,
                clock=self._clock,
                zone=local_zone,
                publish=self._publish,
                voice=self._voice,
                policy=Policy.of(settings.reminders),
            )
            await keeper.start()
            stack.push_async_callback(keeper.stop)
            todo = jobs_of(keeper, settings, health=self._health, own_stores=("reminders", "quota"))
            jobs = Jobs(todo, store, disk, keeper, self._finished)
            await jobs.start()
            stack.push_async_callback(jobs.stop)
        except LunaError as error:
            self._why = str(error)
            self._publish(Logged(level="error", text=f"no reminders: {error}"))
            return
        self._keeper, self._jobs = keeper, jobs
        self._dialogue = Dialogue(keeper)
        # A question that is open belongs to the conversation in which it was asked.
        self._requests = Requests(Dialogue(keeper), settings.general.language)

    async def stop(self) -> None:
        """Finish what is being written, and close the store."""
        for task in self._tasks:
            task.cancel()
        await self._stack.aclose()

    def _finished(self, event: Event) -> None:
        """Tell everybody how a job went; the report of the day aloud, where that is wanted."""
        self._publish(event)
        if not isinstance(event, JobFinished) or event.name != "daily-report" or not event.ok:
            return
        if self._settings.jobs.speak_report and not event.request:
            self._spawn(self._announce(event.text))

    async def _announce(self, text: str) -> None:
        await self._voice.may_speak()
        await self._voice.speak(text, self._settings.general.language)

    def reconfigure(self, settings: Settings) -> None:
        """Announce by other settings from now on."""
        self._settings = settings
        if self._keeper is not None:
            self._keeper.follow(Policy.of(settings.reminders))

    # --- what is said ---------------------------------------------------------------------

    def concerns(self, words: str, language: str) -> bool:
        """Return whether *words* may be business of ours; without any effect."""
        return self._dialogue is not None and self._dialogue.concerns(words, language)

    async def handle(self, words: str, language: str) -> str | None:
        """Do what *words* ask; return what is said, None where they are no business of ours."""
        if self._dialogue is None:
            return None
        async with self._lock:
            reply = await self._dialogue.handle(words, language)
        return None if reply is None else reply.text

    def waiting(self) -> int:
        """Return how many reminders have still something to say."""
        return sum(one.open for one in self._keeper.records.values()) if self._keeper else 0

    def rings(self) -> bool:
        """Return whether something was announced that nobody has answered."""
        return self._keeper is not None and bool(self._keeper.ringing())

    def acknowledge(self) -> None:
        """Somebody pressed the button: what rings is done."""
        if self._keeper is not None:
            self._spawn(self._acknowledge(self._keeper))

    async def _acknowledge(self, keeper: Keeper) -> None:
        try:
            await keeper.acknowledge()
        except LunaError as error:
            self._publish(Logged(level="warning", text=str(error)))

    # --- what is asked in writing ---------------------------------------------------------

    def request(self, event: RemindersRequested | JobRequested) -> None:
        """Carry out a request of the command line or the page; the answer is an event."""
        match event:
            case RemindersRequested():
                self._spawn(self._answer(event))
            case JobRequested():
                self._spawn(self._run(event))

    async def _answer(self, event: RemindersRequested) -> None:
        if self._dialogue is None:
            why = RemindersAnswered(request=event.request, ok=False, text=self._why, exit_code=9)
            self._publish(why)
            return
        async with self._lock:
            self._publish(await self._requests.answer(event))

    async def _run(self, event: JobRequested) -> None:
        if self._jobs is None:
            self._publish(
                JobFinished(name=event.name, ok=False, text=self._why, request=event.request)
            )
            return
        try:
            await self._jobs.run(event.name, event.request)
        except LunaError as error:
            self._publish(
                JobFinished(name=event.name, ok=False, text=str(error), request=event.request)
            )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
