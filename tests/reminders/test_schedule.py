"""What is due when: daylight saving, rules, lateness, quiet hours, clocks that lie."""

from __future__ import annotations

import asyncio
import os
import time as seconds
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from appliance.reminders import changes
from appliance.reminders.agenda import Agenda
from appliance.reminders.records import Reminder
from appliance.reminders.schedule import (
    Announce,
    Look,
    Miss,
    Policy,
    following,
    instant_of,
    judge,
    next_look,
    quiet_until,
)
from appliance.reminders.spoken_time.result import Moment, Recurrence
from appliance.reminders.store import Known
from appliance.reminders.wall_clock import LEAP_HOLD_S, Now, Reading, SystemClock, local_zone
from appliance.reminders.wall_clock import judge as judge_clock

LISBON = "Europe/Lisbon"
POLICY = Policy()


def at(wall: datetime, boot: float = 100.0) -> Now:
    return Now(wall, boot, "boot")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def alarm(rule: str, first: datetime, zone: str) -> Reminder:
    said = Recurrence("", rule, first, zone)
    return replace(changes.new("alarm", said, "en", at(utc(2026, 1, 1)), zone), id=1)


@pytest.mark.parametrize(
    ("local", "zone", "expected"),
    [
        (datetime(2026, 3, 28, 7), LISBON, utc(2026, 3, 28, 7)),
        (datetime(2026, 3, 29, 7), LISBON, utc(2026, 3, 29, 6)),  # seven stays seven
        (datetime(2026, 3, 29, 1, 30), LISBON, utc(2026, 3, 29, 1)),  # the end of the gap
        (datetime(2026, 10, 25, 1, 30), LISBON, utc(2026, 10, 25, 0, 30)),  # once, the first
        (datetime(2018, 11, 4, 0, 15), "America/Sao_Paulo", utc(2018, 11, 4, 3)),
        (datetime(2018, 2, 17, 23, 30), "America/Sao_Paulo", utc(2018, 2, 18, 1, 30)),
        (datetime(2026, 3, 8, 2, 30), "America/New_York", utc(2026, 3, 8, 7)),
    ],
)
def test_daylight_saving(local: datetime, zone: str, expected: datetime) -> None:
    assert instant_of(alarm("", local, zone), local) == expected


def test_a_rule_begins_anew_at_any_of_its_occurrences() -> None:
    first = datetime(2026, 1, 31, 9)
    for rule in (
        "FREQ=MONTHLY;COUNT=9",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SA",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=DAILY;BYHOUR=9,18;BYMINUTE=0;UNTIL=20270301T000000",
        "FREQ=HOURLY;INTERVAL=8",
    ):
        whole = [local for _, local in zip(range(9), following(rule, first), strict=False)]
        for passed, anchor in enumerate(whole):
            rest = [
                local for _, local in zip(range(9), following(rule, anchor, passed), strict=False)
            ]
            assert rest[: 9 - passed] == whole[passed:], rule


def test_late_within_the_grace_then_missed() -> None:
    one = alarm("", datetime(2026, 6, 1, 7), LISBON)
    due = utc(2026, 6, 1, 6)
    zone = ZoneInfo(LISBON)
    assert judge(one, at(due - timedelta(seconds=1)), POLICY, zone) is None
    for late, expected in ((0, False), (59, False), (61, True), (3600, True)):
        verdict = judge(one, at(due + timedelta(seconds=late)), POLICY, zone)
        assert isinstance(verdict, Announce)
        assert verdict.late is expected
    assert judge(one, at(due + timedelta(seconds=3601)), POLICY, zone) == Miss(
        datetime(2026, 6, 1, 7), 1
    )
    doubtful = replace(at(due), trusted=False)
    assert judge(one, doubtful, POLICY, zone) is None


def test_a_very_long_absence_is_listed_in_slices() -> None:
    one = alarm("FREQ=MINUTELY", datetime(2026, 6, 1), LISBON)
    now, zone = at(utc(2026, 6, 8)), ZoneInfo(LISBON)
    missed = 0
    while isinstance(verdict := judge(one, now, POLICY, zone), Miss):
        one = changes.missed(one, verdict, now)
        missed += verdict.count
    assert isinstance(verdict, Announce)
    assert missed + verdict.count == 7 * 24 * 60 + 61  # Lisbon is an hour ahead
    after = changes.announced(changes.announcing(one, verdict), verdict, now, POLICY)
    assert after.due == datetime(2026, 6, 8, 1, 1)


def test_quiet_hours() -> None:
    zone = ZoneInfo(LISBON)
    policy = Policy(quiet=(time(22), time(7)))
    one = replace(alarm("", datetime(2026, 6, 1, 23), LISBON), kind="reminder")
    night, ends = utc(2026, 6, 1, 22), utc(2026, 6, 2, 6)
    assert quiet_until(one, night, policy, zone) == ends
    assert next_look(one, at(utc(2026, 6, 1, 12)), policy, zone) == Look(wall=ends)
    assert judge(one, at(utc(2026, 6, 2, 5, 59)), policy, zone) is None
    assert isinstance(judge(one, at(ends), policy, zone), Announce)
    assert quiet_until(replace(one, kind="alarm"), night, policy, zone) is None
    assert quiet_until(replace(one, always=True), night, policy, zone) is None
    assert quiet_until(one, ends, policy, zone) is None


def test_looking_for_the_next_costs_the_same_whatever_is_stored() -> None:
    """Counted in steps of the interpreter, not in time."""
    import sys

    def steps(count: int) -> int:
        agenda = Agenda()
        start = utc(2026, 6, 1)
        looks = {n: Look(wall=start + timedelta(seconds=n)) for n in range(count)}
        agenda.rebuild(looks)
        lines = 0

        def trace(*_: object) -> object:
            nonlocal lines
            lines += 1
            return trace

        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            assert agenda.wait_s(at(start)) == 0.0
        finally:
            sys.settrace(None)
        return lines

    assert steps(10) == steps(50_000)


def test_the_agenda_passes_over_what_was_changed() -> None:
    agenda, start = Agenda(), utc(2026, 6, 1)
    agenda.put(1, Look(wall=start, boot=500.0))
    agenda.put(2, Look(boot=200.0))
    agenda.put(1, Look(wall=start + timedelta(hours=1)))
    assert agenda.wait_s(at(start)) == 100.0
    assert agenda.take(at(start, 200.0)) == [2]
    assert agenda.take(at(start + timedelta(hours=1), 600.0)) == [1]
    assert agenda.wait_s(at(start)) is None


KNOWN = Known("2026-06-01T12:00:00+00:00", "boot", 100.0)
NOON = utc(2026, 6, 1, 12)


@pytest.mark.parametrize(
    ("wall", "boot", "synchronised", "trusted", "reason"),
    [
        (utc(1970, 1, 1), 100.0, False, False, "implausible"),
        (utc(1970, 1, 1), 100.0, True, False, "implausible"),
        (NOON, 100.0, False, True, ""),
        (NOON - timedelta(hours=1), 200.0, False, False, "behind"),
        (NOON - timedelta(hours=1), 200.0, True, True, ""),
        (NOON + timedelta(hours=1), 200.0, False, True, ""),
        (NOON + timedelta(days=365), 200.0, False, False, "leapt"),
        (NOON + timedelta(days=365), 200.0, True, True, ""),
    ],
)
def test_which_clock_is_believed(
    wall: datetime, boot: float, synchronised: bool, trusted: bool, reason: str
) -> None:
    now = judge_clock(Reading(wall, boot, "boot", synchronised), KNOWN)
    assert (now.trusted, now.reason) == (trusted, reason)
    assert trusted or now.wall >= NOON, "time does not go behind what was seen"


def test_a_leap_is_believed_when_it_lasts_or_when_the_box_was_off() -> None:
    ahead = NOON + timedelta(days=365)
    now = judge_clock(Reading(ahead, 200.0, "boot", False), KNOWN)
    later = Reading(ahead + timedelta(seconds=LEAP_HOLD_S), 200.0 + LEAP_HOLD_S, "boot", False)
    assert judge_clock(later, KNOWN, now.leapt_at).trusted
    assert judge_clock(Reading(ahead, 1.0, "another boot", False), KNOWN).trusted


def test_the_real_clock() -> None:
    clock = SystemClock()
    first = clock.read()
    seconds.sleep(0.01)
    second = clock.read()
    assert second.boot > first.boot
    assert second.wall > first.wall
    assert first.boot_id == second.boot_id != ""
    assert local_zone().key

    async def nothing_is_set() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clock.changed(), 0.05)

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(nothing_is_set())
    assert len(os.listdir("/proc/self/fd")) == before


def test_moving_a_rule_keeps_its_days() -> None:
    one = alarm("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", datetime(2026, 6, 1, 7), LISBON)
    now = at(utc(2026, 6, 1, 12))
    moved = changes.moved(one, Moment("", datetime(2026, 6, 5, 8, 30), LISBON), now)
    assert moved is not None
    assert (moved.rule, moved.due) == (one.rule, datetime(2026, 6, 2, 8, 30))
    several = replace(one, rule="FREQ=DAILY;BYHOUR=9,18;BYMINUTE=0")
    assert changes.moved(several, Moment("", datetime(2026, 6, 5, 8), LISBON), now) is None
