"""`luna history` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.assistant.conversations import FILE, Conversations
from appliance.assistant.history import Exchange
from appliance.cli import main


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Conversations:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    conversations = Conversations(tmp_path / "data")
    conversations.append(0, Exchange("Como se faz pão?", "Com farinha."))
    conversations.append(conversations.begin(), Exchange("What is tea?", "A drink."))
    return conversations


def out(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["history", *words]) == 0
    return capsys.readouterr().out


def test_list_search_show(kept: Conversations, capsys: pytest.CaptureFixture[str]) -> None:
    listed = json.loads(out(capsys, "list", "--json"))
    assert [(c["id"], c["title"], c["messages"]) for c in listed] == [
        (2, "What is tea?", 2),
        (1, "Como se faz pão?", 2),
    ]
    assert "What is tea?" in out(capsys, "list")
    assert "[pão]" in out(capsys, "search", "pao")
    assert json.loads(out(capsys, "search", "tea", "--json"))[0]["conversation_id"] == 2
    assert "assistant: A drink." in out(capsys, "show")
    assert "assistant: Com farinha." in out(capsys, "show", "1")


def test_new_and_purge(kept: Conversations, capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "new") == "Conversation 3.\n"
    assert out(capsys, "purge", "1", "--yes") == "2 messages deleted.\n"
    assert kept.show(1) == []
    assert json.loads(out(capsys, "purge", "--yes", "--json")) == {"messages": 2}
    assert "No conversation" in out(capsys, "list")
    assert out(capsys, "show") == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["purge"], "all conversations for good; say so with --yes"),
        (["purge", "1"], "conversation 1 for good"),
        (["show", "77"], "no conversation 77"),
        (["show", "x"], "by their numbers"),
        (["search"], "name the words"),
    ],
)
def test_mistakes(
    kept: Conversations,
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["history", *words]) == 2
    assert sentence in capsys.readouterr().err
    assert len(kept.newest()) == 2, "nothing was deleted"


def test_a_damaged_file_is_said_with_its_exit_code(
    kept: Conversations, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.close()
    (tmp_path / "data" / FILE).write_bytes(b"broken" * 2000)
    assert main(["history", "list"]) == 9
    assert "set aside as history.sqlite3.damaged-" in capsys.readouterr().err
    assert "No conversation" in out(capsys, "list")


def test_what_was_said_steers_no_terminal(
    kept: Conversations, capsys: pytest.CaptureFixture[str]
) -> None:
    kept.append(2, Exchange("Show \x1b[2J\x07it.", "First line.\nSecond \x1b]0;x\x07line."))
    shown = out(capsys, "show")
    assert "First line.\nSecond" in shown
    assert shown.replace("\n", "").isprintable()
    assert out(capsys, "list").replace("\n", "").isprintable()
