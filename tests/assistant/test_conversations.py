"""Conversations on the disk: kept, found, forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.assistant.conversations import DAY_S, FILE, Conversations
from appliance.assistant.history import Exchange

CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {}}]}
RESULT = {"role": "tool", "content": "12", "tool_call_id": "1"}


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(tmp_path: Path, clock: Clock) -> Conversations:
    return Conversations(tmp_path, now=clock)


def talk(kept: Conversations, *questions: str) -> int:
    number = kept.begin()
    for question in questions:
        number = kept.append(number, Exchange(question, f"Answer to {question}"))
    return number


def test_a_conversation_comes_back_as_it_was(kept: Conversations, tmp_path: Path) -> None:
    number = kept.begin()
    exchanges = (
        Exchange("One?", "Yes."),
        Exchange("Two?", "Ye", cut_off=True),
        Exchange("Three?", "Twelve.", steps=({**CALL, "content": ""}, RESULT)),
        Exchange("Four?", "", cut_off=True),
    )
    for exchange in exchanges:
        assert kept.append(number, exchange) == number
    kept.close()
    again = Conversations(tmp_path)
    assert again.current() == number
    assert again.load(number).exchanges == exchanges


def test_a_new_one_begins_and_an_empty_one_only_once(kept: Conversations) -> None:
    assert kept.current() == 0
    first = talk(kept, "a")
    second = kept.begin()
    assert second > first
    assert kept.begin() == second == kept.current()
    assert kept.load(second).exchanges == ()
    assert kept.append(0, Exchange("q", "a")) > second, "none given: one begins"


def test_only_the_newest_exchanges_are_loaded(kept: Conversations) -> None:
    number = talk(kept, *(f"q{n}" for n in range(30)))
    loaded = kept.load(number, max_exchanges=4).exchanges
    assert [e.question for e in loaded] == ["q26", "q27", "q28", "q29"]


def test_a_summary_stands_for_what_it_tells(kept: Conversations) -> None:
    number = talk(kept, *(f"q{n}" for n in range(6)))
    kept.summarise(number, "They talked.", remaining=2)
    saved = kept.load(number)
    assert saved.summary == "They talked."
    assert [e.question for e in saved.exchanges] == ["q4", "q5"]
    kept.append(number, Exchange("q6", "a"))
    kept.summarise(number, "They talked more.", remaining=1)
    assert [e.question for e in kept.load(number).exchanges] == ["q6"]
    assert len(kept.show(number)) == 14, "the owner still sees everything"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("pão", 1), ("pao", 1), ("PÃO queijo", 1), ("quei", 2), ("bread", 0), ("", 0), ("?!", 0),
        ('"', 0), ("NEAR(", 0), ("queijo AND", 0), ("pão*", 1), ("x" * 5000, 0),
    ],
)  # fmt: skip
def test_search(kept: Conversations, words: str, found: int) -> None:
    number = kept.begin()
    kept.append(number, Exchange("Como se faz pão de queijo?", "Com polvilho."))
    kept.append(number, Exchange("E sem queijo?", "Não dá."))
    assert len(kept.search(words)) == found


def test_search_shows_the_place_and_the_newest_first(kept: Conversations) -> None:
    talk(kept, "An old apple")
    newest = talk(kept, "A new apple")
    hits = kept.search("apple")
    assert hits[0].conversation_id == newest
    assert "[apple]" in hits[0].snippet
    assert len(kept.search("apple", limit=1)) == 1


def test_nothing_of_what_was_purged_stays_in_the_file(kept: Conversations, tmp_path: Path) -> None:
    secret = talk(kept, "My password is xylophone-grandiose", *(f"filler {n}" for n in range(50)))
    other = talk(kept, "Something else entirely")
    assert kept.purge([secret]) == 102
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"xylophone" not in data
    assert b"grandiose" not in data
    assert kept.search("filler") == []
    assert len(kept.search("entirely")) == 2
    assert kept.purge() == 2
    assert kept.newest() == []
    after = talk(kept, "again")
    assert after > other, "a number is never given twice"


def test_an_exchange_for_a_purged_conversation_begins_another(kept: Conversations) -> None:
    number = talk(kept, "a")
    kept.purge()
    again = kept.append(number, Exchange("b", "c"))
    assert again > number
    assert [e.question for e in kept.load(again).exchanges] == ["b"]


def test_old_conversations_go_and_the_current_one_stays(kept: Conversations, clock: Clock) -> None:
    old = talk(kept, "old")
    clock.now += 10 * DAY_S
    new = talk(kept, "new")
    clock.now += 10 * DAY_S
    assert kept.retain(keep_days=0, max_messages=0) == 0
    assert kept.retain(keep_days=15, max_messages=0) == 2
    assert kept.show(old) == []
    assert kept.retain(keep_days=1, max_messages=1) == 0, "the current one"
    assert kept.show(new)


def test_too_many_messages(kept: Conversations) -> None:
    first, second, third = (talk(kept, f"a{n}", f"b{n}") for n in range(3))
    assert kept.retain(keep_days=0, max_messages=9) == 4
    assert [c.id for c in kept.newest()] == [third, second]
    assert kept.show(first) == []


def test_a_clock_that_was_ahead_deletes_nothing(kept: Conversations, clock: Clock) -> None:
    talk(kept, "a")
    talk(kept, "b")
    clock.now -= 1000 * DAY_S
    assert kept.retain(keep_days=1, max_messages=0) == 0


def test_the_file_has_the_name_that_is_documented(kept: Conversations, tmp_path: Path) -> None:
    kept.begin()
    assert (tmp_path / FILE).exists()


def test_an_old_conversation_becomes_the_current_one(kept: Conversations, clock: Clock) -> None:
    first = talk(kept, "One?", "Two?")
    kept.summarise(first, "They counted.", remaining=1)
    second = talk(kept, "Other?")
    clock.now += DAY_S
    number = kept.reopen(first)
    assert number == kept.current() > second
    saved = kept.load(number)
    assert [exchange.question for exchange in saved.exchanges] == ["Two?"]
    assert saved.summary == "They counted."
    assert saved.rested_s == 0.0  # it is in use again
    assert not kept.has(first)
    assert kept.search("two")[0].conversation_id == number
    assert kept.reopen(number) == number
    assert kept.reopen(4711) == 0
