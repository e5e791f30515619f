"""What is private leaves as a placeholder and comes back as it was."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.providers.redaction import Redacted, Redactor, Restorer, luhn

LISTED = ["João da Silva", "Ana", "Rua das Flores, 42", "98765432"]
PRIVATE = [
    "João da Silva",
    "joao  DA silva",
    "Joa\u0303o da Silva",
    "ANA",
    "rua das flores, 42",
    "9876-5432",
    "ana@example.com",
    "joao.silva+casa@mail.example.com.br",
    "+55 11 91234-5678",
    "(11) 91234-5678",
    "11 91234 5678",
    "91234-5678",
    "11912345678",
    "0800 123 4567",
    "+1 (555) 123-4567",
    "555-123-4567",
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "378282246310005",
    "123.456.789-09",
]
PUBLIC = [
    "Anabela",
    "banana",
    "2026-11-21",
    "10:30",
    "1939-1945",
    "1.000.000",
    "3.14159",
    "12345678",
    "R$ 1.234,56",
    "192.168.0.1",
    "[NAME_x]",
    "a@b",
]


def hidden(text: str) -> Redacted:
    return Redactor(LISTED).hide([{"role": "user", "content": text}])


def sent(text: str) -> str:
    return str(hidden(text).messages[0]["content"])


@pytest.mark.parametrize("text", PRIVATE)
def test_what_is_private_is_hidden(text: str) -> None:
    out = sent(f"Tell {text}, please")
    assert re.fullmatch(r"Tell \[[A-Z]+_1\], please", out), out


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_not_is_left(text: str) -> None:
    assert sent(f"Tell {text}, please") == f"Tell {text}, please"


def test_the_same_has_the_same_placeholder() -> None:
    assert sent("Ana and Ana") == "[NAME_1] and [NAME_1]"


def test_a_placeholder_that_somebody_wrote_stays() -> None:
    redacted = hidden("[NAME_1] [name_2] Ana")
    assert redacted.messages[0]["content"] == "[NAME_1] [name_2] [NAME_3]"
    assert redacted.restore("[NAME_1] [NAME_3]") == "[NAME_1] Ana"


def test_all_parts_of_a_conversation_are_hidden() -> None:
    arguments = json.dumps({"to": "ana@example.com", "n": 5})
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    redacted = Redactor(LISTED).hide(
        [
            {"role": "system", "content": "You help Ana."},
            {"role": "user", "content": [{"type": "text", "text": "Ana?"}, picture]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": arguments}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "sent to ana@example.com"},
        ]
    )
    everything = json.dumps(redacted.messages)
    assert "Ana" not in everything
    assert "example.com" not in everything
    assert picture in redacted.messages[1]["content"]
    answer = '{"to": "[email_1]", "cc": ["[NAME_1]", 5, null]}'
    assert json.loads(redacted.restore_json(answer)) == {
        "to": "ana@example.com",
        "cc": ["Ana", 5, None],
    }


def test_luhn() -> None:
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")


SNIPPETS = st.sampled_from([*PRIVATE, *PUBLIC, "[NAME_1]", "[name_2", "EMAIL_1]", "[", "]", ", "])
TEXTS = st.lists(st.one_of(SNIPPETS, st.text(max_size=8)), max_size=12).map(" ".join)


@given(TEXTS)
def test_there_and_back(text: str) -> None:
    redacted = hidden(text)
    assert redacted.restore(str(redacted.messages[0]["content"])) == text


@given(TEXTS, st.lists(st.integers(1, 6), max_size=60))
def test_there_and_back_in_pieces(text: str, sizes: list[int]) -> None:
    redacted = hidden(text)
    out = str(redacted.messages[0]["content"])
    restorer, got, at = Restorer(redacted), "", 0
    for size in sizes:
        got += restorer.feed(out[at : at + size])
        at += size
    got += restorer.feed(out[at:]) + restorer.close()
    assert got == text


@given(TEXTS)
def test_nothing_that_is_listed_leaves(text: str) -> None:
    plain = unicodedata.normalize("NFD", sent(text)).lower()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    assert not re.search(r"(?<!\w)joao\s+da\s+silva(?!\w)", plain)
    assert not re.search(r"(?<!\w)ana(?!\w)", plain)
    assert "ana@example.com" not in plain
