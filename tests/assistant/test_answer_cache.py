"""The answer cache: what is found, what no longer, and how much is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from appliance.assistant.answer_cache import FILE, AnswerCache, Asked
from appliance.errors import StorageError

ASKED = Asked(
    question="What is the capital of France?",
    role="chat",
    model="local/small",
    prompt="Be brief.",
    language="en",
    knowledge="3",
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cache(folder: Path, clock: Clock, entries: int = 10, size: int = 1000) -> AnswerCache:
    lifetime = {"chat": 100.0, "code": 10.0, "vision": 0.0}
    return AnswerCache(folder, lifetime_s=lifetime, max_entries=entries, max_bytes=size, now=clock)


def test_the_same_question_finds_the_answer_also_after_a_restart(
    tmp_path: Path, clock: Clock
) -> None:
    first = cache(tmp_path, clock)
    assert first.get(ASKED) is None
    assert first.put(ASKED, "Paris.")
    first.close()
    again = cache(tmp_path, clock)
    assert again.get(replace(ASKED, question="what is the capital  of france")) == "Paris."


@pytest.mark.parametrize(
    "change",
    [
        {"question": "What is the capital of Spain?"},
        {"role": "code"},
        {"model": "local/large"},
        {"prompt": "Be long."},
        {"language": "pt"},
        {"knowledge": "4"},
    ],
)
def test_a_change_of_anything_it_depends_on_misses(
    tmp_path: Path, clock: Clock, change: dict[str, str]
) -> None:
    one = cache(tmp_path, clock)
    one.put(ASKED, "Paris.")
    assert one.get(replace(ASKED, **change)) is None


def test_of_code_each_character_counts(tmp_path: Path, clock: Clock) -> None:
    one = cache(tmp_path, clock)
    code = replace(ASKED, role="code", question="class Foo")
    one.put(code, "pass")
    assert one.get(replace(code, question="class foo")) is None
    assert one.get(code) == "pass"


def test_an_answer_is_good_for_its_role_s_time(tmp_path: Path, clock: Clock) -> None:
    one = cache(tmp_path, clock)
    one.put(ASKED, "Paris.")
    one.put(replace(ASKED, role="code"), "pass")
    clock.now += 50
    assert one.get(ASKED) == "Paris."
    assert one.get(replace(ASKED, role="code")) is None
    clock.now += 50
    assert one.get(ASKED) is None
    assert not one.put(replace(ASKED, role="vision"), "A dog.")
    assert not one.put(replace(ASKED, role="other"), "?")


def test_a_clock_that_was_set_back_makes_answers_no_younger(tmp_path: Path, clock: Clock) -> None:
    one = cache(tmp_path, clock)
    one.put(ASKED, "Paris.")
    clock.now -= 500
    assert one.get(ASKED) is None


def test_it_is_bounded_and_the_least_recently_used_goes(tmp_path: Path, clock: Clock) -> None:
    one = cache(tmp_path, clock, entries=3)
    asked = [replace(ASKED, question=f"question {n}") for n in range(5)]
    for question in asked[:3]:
        one.put(question, "a")
    assert one.get(asked[0]) == "a"
    one.put(asked[3], "a")
    assert [one.get(question) is not None for question in asked[:4]] == [True, False, True, True]


def test_its_bytes_are_bounded(tmp_path: Path, clock: Clock) -> None:
    one = cache(tmp_path, clock, entries=100, size=1000)
    asked = [replace(ASKED, question=f"question {n}") for n in range(5)]
    for question in asked:
        one.put(question, "é" * 200)
    assert [one.get(question) is not None for question in asked] == [False] * 3 + [True] * 2
    assert not one.put(ASKED, "x" * 1001)
    assert not one.put(ASKED, "  ")


def test_a_new_answer_replaces_the_old(tmp_path: Path, clock: Clock) -> None:
    one = cache(tmp_path, clock)
    one.put(ASKED, "Lyon.")
    one.put(ASKED, "Paris.")
    assert one.get(ASKED) == "Paris."
    one.clear()
    assert one.get(ASKED) is None
    assert b"Paris" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_damaged_file_costs_only_the_answers(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / FILE).write_bytes(b"broken" * 2000)
    one = cache(tmp_path, clock)
    with pytest.raises(StorageError, match="set aside"):
        one.get(ASKED)
    assert one.get(ASKED) is None
    assert one.put(ASKED, "Paris.")
