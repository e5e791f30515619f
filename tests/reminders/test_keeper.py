"""The keeper on virtual clocks: what is said, when, and what is stored."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from appliance.errors import StorageError
from appliance.events import ClockChanged, Event, ReminderChanged, ReminderDue, ReminderMissed
from appliance.reminders import changes
from appliance.reminders.keeper import Keeper, Voice
from appliance.reminders.records import Kind, Reminder
from appliance.reminders.rows import row
from appliance.reminders.schedule import Policy
from appliance.reminders.spoken_time.result import Duration, Moment, Recurrence
from appliance.reminders.store import ReminderStore
from tests.reminders.virtual import (
    START,
    KeptStorage,
    Life,
    VirtualClock,
    VirtualDisk,
    VirtualLoop,
    VirtualVoice,
)

ZONE = ZoneInfo("America/Sao_Paulo")  # three hours behind UTC: START is at nine
NINE = datetime(2026, 6, 1, 9)


class MortalKeeper(Keeper):
    """Can end as by kill -9, when its disk and voice are dead already."""

    def die(self) -> None:
        for task in self._tasks:
            task.cancel()


@dataclass
class Box:
    """A box on virtual time, which can be switched off and on."""

    loop: VirtualLoop
    policy: Policy = field(default_factory=lambda: Policy(repeat_limit=1))
    zone: ZoneInfo = ZONE
    content: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.loop)
        self.life = Life()
        self.disk = VirtualDisk(self.life)
        self.voice = VirtualVoice(self.clock, self.life)

    async def on(self) -> MortalKeeper:
        self.life = Life()
        self.disk = replace(self.disk, life=self.life)
        self.voice = replace(self.voice, life=self.life)
        self.keeper = MortalKeeper(
            ReminderStore(KeptStorage(self.content)),
            self.disk,
            clock=self.clock,
            zone=lambda: self.zone,
            publish=self.events.append,
            voice=Voice(self.voice.may_speak, self.voice.speak),
            policy=self.policy,
        )
        await self.keeper.start()
        return self.keeper

    def crash(self) -> None:
        """End the process without a farewell."""
        self.life.dead = True
        self.keeper.die()

    async def off(self, seconds: float) -> None:
        """Cut the power for a while."""
        self.crash()
        await asyncio.sleep(seconds)
        self.clock.rebooted()

    async def add(
        self, said: Moment | Duration | Recurrence, kind: Kind = "reminder", **more: Any
    ) -> Reminder:
        keeper = self.keeper
        draft = changes.new(kind, said, "en", keeper.time(), self.zone.key, **more)
        return await keeper.add(draft)

    def at(self, hour: int, minute: int = 0, day: int = 1) -> Moment:
        return Moment("call Ana", datetime(2026, 6, day, hour, minute), ZONE.key)

    @property
    def said(self) -> list[tuple[str, str]]:
        """Local true time and text of all announcements."""
        return [(f"{one.true.astimezone(self.zone):%d %H:%M}", one.text) for one in self.voice.said]

    def state(self, number: int) -> str:
        return str(row(self.keeper.records[number], self.keeper.time())["state"])

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def virtually(test: Callable[[Box], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        loop = VirtualLoop()
        try:
            loop.run_until_complete(asyncio.wait_for(test(Box(loop)), 10**9))
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    run.__name__ = test.__name__
    return run


@virtually
async def test_once_on_time(box: Box) -> None:
    await box.on()
    stored = await box.add(box.at(9, 30))
    assert stored.id == 1
    await asyncio.sleep(86_400)
    assert box.said == [("01 09:30", "Reminder: call Ana.")]
    assert box.voice.said[0].true == START + timedelta(minutes=30)
    assert box.state(1) == "unanswered"
    assert [event.change for event in box.of(ReminderChanged)] == [
        "added",
        "announced",
        "unanswered",
    ]
    due = box.of(ReminderDue)[0]
    assert (due.reminders, due.occurrences) == ((1,), ("1@2026-06-01T09:30",))


@virtually
async def test_repeats_until_answered_and_not_beyond_the_limit(box: Box) -> None:
    box.policy = Policy(repeat_limit=3, repeat_s=300)
    keeper = await box.on()
    await box.add(box.at(9, 30))
    await asyncio.sleep(3600)
    assert [when for when, _ in box.said] == ["01 09:30", "01 09:35", "01 09:40"]
    assert [event.again for event in box.of(ReminderDue)] == [False, True, True]
    assert box.state(1) == "unanswered"
    await box.add(box.at(11))
    await asyncio.sleep(3600 + 120)
    assert [one.id for one in await keeper.acknowledge()] == [2]
    await asyncio.sleep(3600)
    assert box.said[-1][0] == "01 11:00"
    assert box.state(2) == "done"


@virtually
async def test_waits_its_turn_and_forgets_what_was_answered_meanwhile(box: Box) -> None:
    keeper = await box.on()
    box.voice.free = asyncio.Event()
    await box.add(box.at(9, 10))
    await box.add(box.at(9, 11))
    await asyncio.sleep(15 * 60)
    assert box.said == []
    await keeper.change("cancelled", [1], lambda one: changes.cancelled(one, keeper.time()))
    box.voice.free.set()
    await asyncio.sleep(1)
    assert [event.reminders for event in box.of(ReminderDue)] == [(2,)]


@virtually
async def test_late_ones_come_together_soonest_due_first_and_old_ones_are_missed(box: Box) -> None:
    await box.on()
    for hour, minute in ((12, 40), (12, 20), (10, 0)):
        await box.add(box.at(hour, minute))
    await box.off(4 * 3600)
    await box.on()
    await asyncio.sleep(60)
    assert [event.reminders for event in box.of(ReminderDue)] == [(2, 1)]
    assert box.of(ReminderDue)[0].late
    assert "due today at twelve twenty" in box.said[0][1]
    assert [event.reminder for event in box.of(ReminderMissed)] == [3]
    assert box.state(3) == "missed"
    assert box.said[1][1] == "You missed: call Ana, today at ten in the morning."
    assert len(box.said) == 2


@virtually
async def test_an_announcement_that_was_cut_by_a_crash_is_said_again_once(box: Box) -> None:
    await box.on()
    await box.add(box.at(9, 30))
    await asyncio.sleep(30 * 60 + 1)  # in the middle of the sentence
    assert len(box.said) == 1
    box.crash()
    await box.on()
    await asyncio.sleep(3600)
    assert [when for when, _ in box.said] == ["01 09:30", "01 09:30"]
    box.crash()
    await box.on()
    await asyncio.sleep(3600)
    assert len(box.said) == 2


@virtually
async def test_a_voice_that_fails_is_tried_again(box: Box) -> None:
    await box.on()
    await box.add(box.at(9, 30))
    box.voice.works = False
    await asyncio.sleep(31 * 60)
    box.voice.works = True
    await asyncio.sleep(60)
    assert len(box.said) == 1


@virtually
async def test_a_timer_runs_on_the_boot_clock(box: Box) -> None:
    await box.on()
    await box.add(Duration("pasta", 720), "timer")
    await asyncio.sleep(60)
    box.clock.set(datetime(1970, 1, 1, tzinfo=UTC))
    await asyncio.sleep(60)
    box.clock.set(START + timedelta(days=365))
    await asyncio.sleep(595)
    assert box.said == []
    box.crash()  # the process alone: the boot goes on
    await box.on()
    await asyncio.sleep(6)
    assert [text for _, text in box.said] == ["The pasta timer is over."]


@virtually
async def test_a_timer_after_a_power_cut_follows_the_wall_clock_or_what_was_left(box: Box) -> None:
    await box.on()
    await box.add(Duration("", 3600), "timer")
    await box.off(1800)
    await box.on()
    await asyncio.sleep(1799)
    assert box.said == []
    await asyncio.sleep(10)
    assert len(box.said) == 1
    await box.add(Duration("", 3600), "timer")
    await asyncio.sleep(1800)
    await box.off(86_400)
    box.clock.set(datetime(1970, 1, 1, tzinfo=UTC))
    await box.on()
    await asyncio.sleep(1790)
    assert len(box.said) == 1, "never early"
    await asyncio.sleep(1000)
    assert len(box.said) == 2


@virtually
async def test_without_a_clock_reminders_wait_and_the_state_shows_it(box: Box) -> None:
    keeper = await box.on()
    await box.add(box.at(9, 30))
    await box.off(60)
    box.clock.set(datetime(1970, 1, 1, tzinfo=UTC))
    keeper = await box.on()
    await asyncio.sleep(7200)
    assert box.said == []
    assert not keeper.time().trusted
    assert keeper.time().wall >= START, "time does not go behind what was seen"
    assert row(keeper.records[1], keeper.time())["waits_for_clock"]
    box.clock.set(START + timedelta(minutes=29, seconds=30), synchronised=True)
    await asyncio.sleep(20)
    assert box.said == []
    await asyncio.sleep(20)
    assert len(box.said) == 1
    assert [event.trusted for event in box.of(ClockChanged)] == [True]


@virtually
async def test_a_leap_of_a_year_is_not_believed_at_once(box: Box) -> None:
    keeper = await box.on()
    await box.add(box.at(10))
    box.clock.set(START + timedelta(days=365))
    await asyncio.sleep(300)
    assert not keeper.now.trusted
    assert keeper.now.reason == "leapt"
    box.clock.set(box.clock.true, synchronised=True)
    await asyncio.sleep(7200)
    assert [when for when, _ in box.said] == ["01 10:00"]


@virtually
async def test_what_a_clock_that_ran_ahead_skipped_comes_when_it_went_back(box: Box) -> None:
    await box.on()
    await box.add(Recurrence("pill", "FREQ=DAILY", datetime(2026, 6, 1, 21), ZONE.key))
    await box.add(box.at(10))
    box.clock.set(START + timedelta(days=300, hours=12, minutes=30))
    await asyncio.sleep(1200)  # it is believed after ten minutes
    assert len(box.of(ReminderDue)) == 1
    assert box.of(ReminderMissed)
    box.clock.set(box.clock.true, synchronised=True)
    await asyncio.sleep(2 * 86_400)
    due = [event.occurrences for event in box.of(ReminderDue)][1:]
    assert due == [("2@2026-06-01T10:00",), ("1@2026-06-01T21:00",), ("1@2026-06-02T21:00",)]


@virtually
async def test_quiet_hours_with_exceptions(box: Box) -> None:
    box.policy = Policy(repeat_limit=1, quiet=(time(22), time(7)))
    await box.on()
    await box.add(box.at(23))
    await box.add(box.at(23, 10), "alarm")
    await box.add(box.at(23, 20), always=True)
    await asyncio.sleep(86_400)
    assert [when for when, _ in box.said] == ["01 23:10", "01 23:20", "02 07:00"]
    assert not box.of(ReminderMissed)


@virtually
async def test_a_rule_goes_on_and_catches_up_in_one_announcement(box: Box) -> None:
    await box.on()
    rule = "FREQ=MINUTELY;INTERVAL=10"
    await box.add(Recurrence("breathe", rule, NINE + timedelta(minutes=10), ZONE.key))
    await asyncio.sleep(25 * 60)
    await box.off(30 * 60)  # 09:30, 09:40, 09:50
    await box.on()
    await asyncio.sleep(16 * 60)
    assert [when for when, _ in box.said] == [
        "01 09:10",
        "01 09:20",
        "01 09:55",
        "01 10:00",
        "01 10:10",
    ]
    assert "three times" in box.said[2][1]


@virtually
async def test_snooze_rings_again_and_outlives_a_restart(box: Box) -> None:
    keeper = await box.on()
    await box.add(box.at(9, 30))
    await asyncio.sleep(31 * 60)
    await keeper.change("snoozed", [1], lambda one: changes.snoozed(one, 600, keeper.time()))
    assert box.state(1) == "snoozed"
    await asyncio.sleep(300)
    await box.off(60)
    await box.on()
    await asyncio.sleep(3600)
    assert [when for when, _ in box.said] == ["01 09:30", "01 09:41"]


@virtually
async def test_an_alarm_moves_with_the_box(box: Box) -> None:
    await box.on()
    await box.add(Recurrence("", "FREQ=DAILY", datetime(2026, 6, 2, 7), ZONE.key), "alarm")
    box.zone = ZoneInfo("Europe/Lisbon")
    await asyncio.sleep(2 * 86_400)
    assert [when for when, _ in box.said] == ["02 07:00", "03 07:00"]
    assert box.keeper.records[1].zone == "Europe/Lisbon"


def full(*_: Any) -> None:
    raise StorageError("reminders: nothing was stored: the disk is full") from OSError(
        errno.ENOSPC, "full"
    )


@virtually
async def test_a_full_disk_refuses_the_owner_and_never_silences_a_reminder(box: Box) -> None:
    keeper = await box.on()
    await box.add(box.at(9, 30))
    box.disk.before = full
    with pytest.raises(StorageError):
        await box.add(box.at(9, 40))
    with pytest.raises(StorageError):
        await keeper.change("done", [1], lambda one: changes.finished(one, keeper.time()))
    assert list(keeper.records) == [1]
    assert box.state(1) == "waiting"
    await asyncio.sleep(3600)
    assert len(box.said) == 1, "said once though it could not be stored"
    box.disk.before = None
    await asyncio.sleep(120)
    box.crash()
    await box.on()
    await asyncio.sleep(3600)
    assert len(box.said) == 1, "it was stored as soon as it could be"


@virtually
async def test_a_cancelled_caller_does_not_part_memory_from_disk(box: Box) -> None:
    keeper = await box.on()
    box.disk.delay_s = 1.0
    task = asyncio.ensure_future(box.add(box.at(9, 30)))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.sleep(2)
    assert list(keeper.records) == [1]
    await keeper.stop()
