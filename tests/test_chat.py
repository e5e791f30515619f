"""Truncation: what stays, what goes, and that it goes rarely."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from appliance.chat import ChatMessage, truncate


def message(role: str, size: int, number: int = 0) -> dict[str, str]:
    return {"role": role, "content": f"{number}" + "x" * (size - len(str(number)))}


def count(message: ChatMessage) -> int:
    return len(message["content"])


def talk(sizes: list[tuple[int, int]], question: int = 10, system: int = 20) -> list[ChatMessage]:
    messages: list[ChatMessage] = [message("system", system)]
    for number, (asked, answered) in enumerate(sizes):
        messages.append(message("user", asked, number))
        messages.append(message("assistant", answered, number))
    return [*messages, message("user", question, 999)]


def test_what_fits_stays_as_it_is() -> None:
    messages = talk([(10, 20)] * 3)
    assert truncate(messages, sum(map(count, messages)), count) == messages


def test_the_oldest_exchanges_go_first_and_whole() -> None:
    messages = talk([(10, 20)] * 5)
    kept = truncate(messages, sum(map(count, messages)) - 1, count)
    assert kept[0] == messages[0]
    assert kept[1]["role"] == "user"
    assert kept[1:] == messages[-len(kept) + 1 :]
    assert len(kept) < len(messages) - 2, "it is cut deeper than needed"


def test_system_prompt_and_question_stay_even_where_they_do_not_fit() -> None:
    messages = talk([(10, 20)] * 3, question=500)
    assert truncate(messages, 50, count) == [messages[0], messages[-1]]


def test_an_answer_without_its_question_goes() -> None:
    messages = [message("assistant", 5), message("user", 5), message("assistant", 5)]
    assert truncate(messages, 100, count) == messages[1:]


def test_no_system_prompt_and_no_history() -> None:
    assert truncate([], 10, count) == []
    only = [message("user", 5)]
    assert truncate(only, 1, count) == only


def test_a_growing_conversation_is_cut_rarely_and_at_the_same_place() -> None:
    sizes = [(7 + 3 * (n % 4), 15 + 5 * (n % 3)) for n in range(60)]
    starts = []
    for turns in range(len(sizes)):
        kept = truncate(talk(sizes[:turns]), 320, count)
        assert sum(map(count, kept)) <= 320
        starts.append(kept[1]["content"])
    changes = sum(a != b for a, b in pairwise(starts))
    assert changes <= len(sizes) // 3


@given(st.lists(st.tuples(st.integers(4, 60), st.integers(4, 60)), max_size=30),
       st.integers(0, 600), st.integers(4, 200))  # fmt: skip
def test_whatever_the_sizes(sizes: list[tuple[int, int]], budget: int, question: int) -> None:
    messages = talk(sizes, question)
    kept = truncate(messages, budget, count)
    assert kept[0] == messages[0]
    assert kept[1:] == messages[len(messages) - len(kept) + 1 :]
    assert [m["role"] for m in kept[1::2]] == ["user"] * len(kept[1::2])
    assert [m["role"] for m in kept[2::2]] == ["assistant"] * len(kept[2::2])
    assert len(kept) == 2 or sum(map(count, kept)) <= budget
