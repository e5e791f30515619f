"""Truncation: what stays, what goes, and that it goes rarely."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import paths
from appliance.chat import (
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    ChatMessage,
    estimate_tokens,
    summary_request,
    to_summarise,
    truncate,
    with_summary,
)
from appliance.models.catalogue import load_catalogue, verify


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


CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"n": "f"}}]}
RESULT = {"role": "tool", "content": "x" * 30, "tool_call_id": "1"}


def by_length(message: ChatMessage) -> int:
    return len(message["content"] or "") + 5


def test_tool_calls_stay_with_their_results() -> None:
    messages: list[ChatMessage] = [message("system", 10)]
    for number in range(6):
        messages += [message("user", 10, number), CALL, RESULT, message("assistant", 10, number)]
    messages += [message("user", 10, 9), CALL, RESULT]
    for budget in range(0, 600, 7):
        kept = truncate(messages, budget, by_length)
        assert kept[-3:] == messages[-3:], "what the last question has led to stays with it"
        roles = [m["role"] for m in kept]
        assert roles[1:-3] == ["user", "assistant", "tool", "assistant"] * ((len(kept) - 4) // 4)


def test_results_of_tools_for_the_last_question_count() -> None:
    messages = [*talk([(10, 20)] * 4), CALL, {**RESULT, "content": "x" * 100}]
    kept = truncate(messages, 200, by_length)
    assert sum(map(by_length, kept)) <= 200


def test_what_is_left_out_is_what_is_to_be_summed_up() -> None:
    messages = talk([(10, 20)] * 8)
    for budget in (0, 60, 120, 1000):
        kept = truncate(messages, budget, count)
        dropped = to_summarise(messages, budget, count)
        assert [messages[0], *dropped, *kept[1:]] == messages


def test_the_request_for_a_summary() -> None:
    dropped = [message("user", 10), CALL, RESULT, message("assistant", 5000)]
    system, user = summary_request("Sum up.", dropped, former="They greeted.")
    assert system == {"role": "system", "content": "Sum up."}
    lines = user["content"].split("\n")
    assert lines[0] == "They greeted."
    assert [line.split(":")[0] for line in lines[1:]] == ["user", "assistant"]
    assert len(user["content"]) < 1000, "a long message is shortened"


def test_a_summary_stands_at_the_end_of_the_system_prompt() -> None:
    assert with_summary("Be brief.", "") == "Be brief."
    assert with_summary("Be brief.", "They greeted.").startswith("Be brief.\n")


def test_an_estimate_counts_images_and_tool_calls() -> None:
    parts = [{"type": "text", "text": "abc"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    assert estimate_tokens({"role": "user", "content": parts}) == 2 + 8 + IMAGE_TOKENS
    assert estimate_tokens({"role": "user", "content": "é" * 3}) == 3 + 8
    assert estimate_tokens(CALL) > 8
    assert estimate_tokens({"role": "assistant"}) == 8


TEXTS = {
    "en": "The library opens at nine and closes at six. Books can be borrowed for three weeks.",
    "pt": "A biblioteca abre às nove e fecha às seis. Os livros podem ser emprestados por três "
    "semanas, e a renovação é feita pelo telefone.",
    "code": "def area(width: float, height: float) -> float:\n    return width * height\n",
}


@pytest.mark.models
@pytest.mark.parametrize(
    "model", ["smollm2-135m-instruct-q4_1", "qwen2.5-coder-0.5b-instruct-q4_k_m"]
)
def test_the_estimate_is_not_below_real_tokenizers(model: str) -> None:
    script = (
        "import json, sys, llama_cpp\n"
        "m = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)\n"
        "print(json.dumps([len(m.tokenize(t.encode(), add_bos=False)) for t in "
        "json.loads(sys.argv[2])]))"
    )
    found = load_catalogue().get(model)
    (path,) = verify(found, paths.models_dir()).values()
    texts = list(TEXTS.values())
    # In a process of its own: this one has loaded a library of the same name, perhaps.
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), json.dumps(texts)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for text, tokens in zip(texts, json.loads(done.stdout), strict=True):
        estimate = estimate_tokens({"role": "user", "content": text}) - MESSAGE_TOKENS
        assert tokens <= estimate, text
        assert estimate <= 2.2 * tokens, text
