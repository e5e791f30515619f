"""Spoken times: the labelled phrases, and what must hold for any sentence, time and zone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.reminders.spoken_time import (
    MAX_LENGTH,
    Duration,
    Moment,
    Parsed,
    Question,
    Recurrence,
    existing,
    instant,
    parse,
)

DATA = Path(__file__).parents[1] / "data"
KEYS = {
    "when", "at_what_time", "which_day", "which_time", "which_times", "past", "no_such_date",
    "no_such_time", "too_often", "too_far", "too_long", "ends_before",
}  # fmt: skip


def phrases(language: str) -> list[dict[str, Any]]:
    lines = (DATA / f"spoken_time_{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def label(parsed: Parsed, expected: dict[str, Any]) -> dict[str, Any]:
    """Return *parsed* in the form of the labels; the text of a question has no label."""
    match parsed:
        case Moment(text, due, zone):
            assert zone == expected["zone"]
            return {"due": due.isoformat(timespec="minutes"), "text": text}
        case Duration(text, seconds):
            return {"seconds": seconds, "text": text}
        case Recurrence(text, rule, first, zone):
            assert zone == expected["zone"]
            return {"rrule": rule, "first": first.isoformat(timespec="minutes"), "text": text}
        case Question(key):
            return {"question": key}


@pytest.mark.parametrize("language", ["en", "pt"])
def test_labelled_phrases(language: str) -> None:
    rows = phrases(language)
    assert len(rows) >= 200
    wrong = []
    for row in rows:
        expected = {key: row[key] for key in row.keys() - {"phrase", "now", "zone", "set"}}
        now = datetime.fromisoformat(row["now"])
        got = label(parse(row["phrase"], now, ZoneInfo(row["zone"]), language), row)
        if got != expected:
            wrong.append(f"{row['phrase']!r} ({row['set']}): {got} instead of {expected}")
    print(f"{language}: {len(rows) - len(wrong)} of {len(rows)}", *wrong, sep="\n")
    assert len(wrong) <= 0.02 * len(rows), "\n".join(wrong)


def test_the_answer_to_a_question_completes_the_sentence() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    now = datetime(2026, 3, 10, 10, tzinfo=zone)
    first = "me lembra amanhã de comprar flores"
    asked = parse(first, now, zone, "pt")
    assert isinstance(asked, Question)
    assert asked.values["day"] == datetime(2026, 3, 11).date()
    answered = parse(f"{first}, às nove", now, zone, "pt")
    assert answered == Moment("comprar flores", datetime(2026, 3, 11, 9), "America/Sao_Paulo")


# --- what always holds ------------------------------------------------------------------------

ZONES = [ZoneInfo(name) for name in ("America/Sao_Paulo", "Europe/Lisbon", "America/New_York")]
EDGES = [  # the hours around which clocks are changed, in UTC
    datetime(2018, 11, 4, 3, tzinfo=UTC), datetime(2018, 2, 18, 2, tzinfo=UTC),
    datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC),
]  # fmt: skip
moments = st.one_of(
    st.datetimes(datetime(2010, 1, 1), datetime(2060, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
    st.builds(
        lambda edge, seconds: edge + timedelta(seconds=seconds),
        st.sampled_from(EDGES),
        st.integers(-172_800, 172_800),
    ),
)
PHRASES = {language: [row["phrase"] for row in phrases(language)] for language in ("en", "pt")}
hours = st.integers(0, 24)
minutes = st.integers(0, 59)


@st.composite
def sentences(draw: st.DrawFn) -> tuple[str, str]:
    """Return a sentence about any hour, day and rhythm, and its language."""
    hour, minute = draw(hours), draw(minutes)
    number = draw(st.integers(1, 40))
    en_days = ["", "today", "tomorrow", "on Sunday", "every day", "every Monday", f"on the {number}th",
               "every month on the 31st", "on the last Friday of the month", f"in {number} days",
               f"every {number} hours", "on February 29th"]  # fmt: skip
    pt_days = ["", "hoje", "amanhã", "no domingo", "todo dia", "toda segunda", f"no dia {number}",
               "todo dia 31", "na última sexta do mês", f"daqui a {number} dias",
               f"a cada {number} horas", "no dia 29 de fevereiro"]  # fmt: skip
    if draw(st.booleans()):
        return f"Remind me {draw(st.sampled_from(en_days))} at {hour}:{minute:02} to sleep", "en"
    return f"Me lembra {draw(st.sampled_from(pt_days))} às {hour}h{minute:02} de dormir", "pt"


@settings(max_examples=400, deadline=None)
@given(sentences(), moments, st.sampled_from(ZONES))
@example(("Remind me tomorrow at 2:30 to sleep", "en"), EDGES[4] - timedelta(hours=12), ZONES[2])
@example(("Me lembra às 0h30 de dormir", "pt"), EDGES[0] - timedelta(hours=2), ZONES[0])
def test_never_in_the_past(said: tuple[str, str], now: datetime, zone: ZoneInfo) -> None:
    check(parse(said[0], now, zone, said[1]), now, zone)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["en", "pt"]), st.data(), moments, st.sampled_from(ZONES))
def test_labelled_phrases_at_any_time(
    language: str, data: st.DataObject, now: datetime, zone: ZoneInfo
) -> None:
    check(parse(data.draw(st.sampled_from(PHRASES[language])), now, zone, language), now, zone)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["en", "pt"]), st.data(), moments, st.sampled_from(ZONES))
def test_any_words_in_any_order(
    language: str, data: st.DataObject, now: datetime, zone: ZoneInfo
) -> None:
    """No sentence breaks the grammar, and none of its times is in the past."""
    words = sorted({word for phrase in PHRASES[language] for word in phrase.split()})
    drawn = data.draw(st.lists(st.sampled_from(words), max_size=14))
    check(parse(" ".join(drawn), now, zone, language), now, zone)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.sampled_from(["en", "pt"]))
def test_any_text(text: str, language: str) -> None:
    now = datetime(2026, 3, 10, 13, tzinfo=UTC)
    check(parse(text, now, ZONES[0], language), now, ZONES[0])


def check(parsed: Parsed, now: datetime, zone: ZoneInfo) -> None:
    match parsed:
        case Moment(due=due, zone=name):
            assert name == zone.key
            assert instant(due, zone) > now
            assert existing(due, zone) == due, "a time that the clock never shows"
        case Duration(seconds=seconds):
            assert seconds > 0
        case Recurrence(rule=rule, first=first):
            assert instant(first, zone) > now
            occurrences = rrulestr(rule, dtstart=first)
            assert next(iter(occurrences)) == first, "the first time is not one of the rule's"
        case Question(key=key):
            assert key in KEYS


def test_a_rhythm_on_certain_days_begins_on_one_of_them() -> None:
    now = datetime(2026, 3, 10, 13, tzinfo=UTC)  # a Tuesday
    said = parse("remind me every hour on Saturdays to move", now, ZONES[0], "en")
    check(said, now, ZONES[0])
    assert isinstance(said, Recurrence)
    assert (said.rule, said.first) == ("FREQ=HOURLY;BYDAY=SA", datetime(2026, 3, 14))


def test_a_sentence_has_a_limit() -> None:
    now = datetime(2026, 3, 10, 13, tzinfo=UTC)
    assert parse("a" * (MAX_LENGTH + 1), now, ZONES[0], "en") == Question("too_long")


@pytest.mark.parametrize(
    ("zone", "local", "expected"),
    [
        ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:00Z"),  # skipped: the gap's end
        ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30Z"),  # repeated: the first
        ("Europe/Lisbon", "2026-03-29T01:00", "2026-03-29T01:00Z"),
        ("America/Sao_Paulo", "2018-11-04T00:15", "2018-11-04T03:00Z"),
        ("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-18T01:30Z"),
        ("Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-03T15:30Z"),  # half an hour
        ("Europe/Lisbon", "2026-07-01T12:00", "2026-07-01T11:00Z"),
    ],
)
def test_daylight_saving(zone: str, local: str, expected: str) -> None:
    found = instant(datetime.fromisoformat(local), ZoneInfo(zone))
    assert found == datetime.fromisoformat(expected)
