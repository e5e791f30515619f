"""Announces what is due: once, on time, and again until somebody answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from appliance.events import Event, ReminderDue, ReminderMissed
from appliance.reminders import changes, sentences
from appliance.reminders.book import Book, Disk
from appliance.reminders.records import Reminder
from appliance.reminders.rows import missed_at
from appliance.reminders.schedule import (
    Announce,
    GiveUp,
    Look,
    Miss,
    Policy,
    Verdict,
    judge,
    quiet_until,
)
from appliance.reminders.store import ReminderStore
from appliance.reminders.wall_clock import Clock

logger = logging.getLogger("luna.reminders")

RETRY_S = 30.0
"""After an announcement that could not be spoken."""
CHECK_S = 60.0
"""The clock is looked at so often even when nothing is due and nobody set it."""
CHECK_DOUBTED_S = 10.0
"""The same while it is not believed: synchronising it may not move it."""

SHORTEST_S = 0.001
"""A shorter wait could be lost in the rounding of the loop's clock."""


@dataclass(frozen=True)
class Voice:
    """How announcements reach the owner."""

    may_speak: Callable[[], Awaitable[None]]
    """Returns when nobody is being listened to or spoken to."""
    speak: Callable[[str, str], Awaitable[bool]]
    """Says a text in a language; False when it was not said."""


class Keeper(Book):
    """A :class:`Book` that speaks. Call :meth:`start`, and :meth:`stop` at the end.

    Args:
        voice: of announcements.
        check_s: how often the clock is looked at, if nothing happens.
        check_doubted_s: the same while the wall clock is not believed.

    The others are those of :class:`Book`.
    """

    def __init__(
        self,
        store: ReminderStore,
        disk: Disk,
        *,
        clock: Clock,
        zone: Callable[[], ZoneInfo],
        publish: Callable[[Event], None],
        voice: Voice,
        policy: Policy | None = None,
        check_s: float = CHECK_S,
        check_doubted_s: float = CHECK_DOUBTED_S,
    ) -> None:
        super().__init__(store, disk, clock=clock, zone=zone, publish=publish, policy=policy)
        self._voice = voice
        self._check_s = check_s
        self._check_doubted_s = check_doubted_s
        self._untold: list[int] = []
        """Missed, and the owner was not told yet."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open, and begin to announce.

        Raises:
            StorageError: the store cannot be read.
        """
        await self.open()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._watch())]

    async def stop(self) -> None:
        """Stop announcing; what is being written is finished."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.close()

    async def _watch(self) -> None:
        while True:
            await self._clock.changed()
            self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except Exception as error:  # whatever it is, the next reminder must not suffer
                logger.exception("the reminders stumbled")
                self._complain(error)
                await asyncio.sleep(RETRY_S)

    async def _round(self) -> None:
        self._wake.clear()
        await self._look_at_clock()
        await self._save_again()
        if due := await self._due():
            await self._voice.may_speak()
            await self._look_at_clock()
            await self._announce(await self._due(due))
        elif self._untold and not self._is_quiet():
            await self._voice.may_speak()
            await self._tell_missed()
        else:
            await self._sleep()

    async def _sleep(self) -> None:
        wait = self._check_s if self.now.trusted else self._check_doubted_s
        if (due := self._agenda.wait_s(self.time())) is not None:
            wait = min(wait, max(due, SHORTEST_S))
        timer = asyncio.get_running_loop().call_later(wait, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _due(self, also: Iterable[int] = ()) -> list[int]:
        """Return what is to be announced now; store what is over for good."""
        numbers = [*dict.fromkeys([*also, *self._agenda.take(self.now)])]
        judged = {n: self._judge(self._records[n]) for n in numbers if n in self._records}
        over = [n for n, verdict in judged.items() if isinstance(verdict, Miss | GiveUp)]
        await self._keep(over, self._put_away)
        now = self.time()
        for number, verdict in judged.items():
            match verdict:
                case Miss(count=count):
                    self._note_missed(self._records[number], count)
                case GiveUp():
                    self._tell("unanswered", self._records[number])
            if not isinstance(verdict, Announce):
                self._agenda.put(number, self._look_of(self._records[number], now))
        return [n for n, verdict in judged.items() if isinstance(verdict, Announce)]

    def _judge(self, one: Reminder) -> Verdict | None:
        return judge(one, self.now, self.policy, self.zone)

    def _put_away(self, one: Reminder) -> Reminder:
        match self._judge(one):
            case Miss() as miss:
                return changes.missed(one, miss, self.now)
            case GiveUp():
                return changes.given_up(one, self.now)
        return one

    def _note_missed(self, one: Reminder, count: int) -> None:
        due = missed_at(one)
        self._publish(ReminderMissed(reminder=one.id, count=count, text=one.text, due=due))
        if one.id not in self._untold:
            self._untold.append(one.id)

    async def _announce(self, numbers: Iterable[int]) -> None:
        """Say what is due, in one announcement for each language, the soonest due first."""
        languages = {self._records[n].language: None for n in numbers}
        for language in languages:
            await self._say([n for n in numbers if self._records[n].language == language])

    async def _say(self, numbers: list[int]) -> None:
        how: dict[int, Announce] = {}

        def begin(one: Reminder) -> Reminder:
            # It may have been answered, or changed, since it was found to be due.
            verdict = self._judge(one)
            if not isinstance(verdict, Announce):
                return one
            how[one.id] = verdict
            return changes.announcing(one, verdict)

        await self._keep(numbers, begin)
        if not how:
            return
        group = [(self._records[number], announce) for number, announce in how.items()]
        group.sort(key=lambda pair: pair[1].due or self.now.wall)
        if await self._spoken(group):
            now = self.time()

            def end(one: Reminder) -> Reminder:
                ring, announce = one.ring, how[one.id]
                if not ring or not ring.speaking or ring.occurrence != announce.occurrence:
                    return one
                return changes.announced(one, announce, now, self.policy)

            await self._keep(how, end)
            for number in how:
                self._tell("announced", self._records[number])
        else:
            for number in how:
                self._agenda.put(number, Look(boot=self.time().boot + RETRY_S))

    async def _spoken(self, group: list[tuple[Reminder, Announce]]) -> bool:
        language = group[0][0].language
        text = sentences.announcement(group, self.now, language)
        self.last_announced = tuple(one.id for one, _ in group)
        self._publish(
            ReminderDue(
                reminders=self.last_announced,
                occurrences=tuple(announce.occurrence for _, announce in group),
                text=text,
                language=language,
                late=any(announce.late for _, announce in group),
                again=all(announce.again for _, announce in group),
            )
        )
        return await self._voice.speak(text, language)

    def _is_quiet(self) -> bool:
        """Return whether what was missed has to wait for the end of the quiet hours."""
        told = (self._records[n] for n in self._untold if n in self._records)
        return not self.now.trusted or any(
            quiet_until(one, self.now.wall, self.policy, self.zone) for one in told
        )

    async def _tell_missed(self) -> None:
        told = [self._records[n] for n in self._untold if n in self._records]
        self._untold.clear()
        for language in dict.fromkeys(one.language for one in told if one.missed):
            group = [one for one in told if one.language == language and one.missed]
            await self._voice.speak(sentences.missed_text(group, self.now, language), language)
