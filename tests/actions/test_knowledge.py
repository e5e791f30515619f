"""`luna knowledge` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.cli import main

DATA = Path(__file__).parents[1] / "data" / "knowledge"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def test_add_list_search_remove(capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(DATA / name) for name in ("router.html", "lavadora.pdf")]
    assert main(["knowledge", "add", *files]) == 0
    assert "router.html: 6 passages" in capsys.readouterr().out
    assert main(["knowledge", "add", files[0]]) == 0
    assert "was there already" in capsys.readouterr().out
    assert main(["knowledge", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(d["name"], d["language"]) for d in listed] == [
        ("lavadora.pdf", "pt"),
        ("router.html", "en"),
    ]
    assert main(["knowledge", "search", "garantia", "da", "lavadora", "--json"]) == 0
    best = json.loads(capsys.readouterr().out)[0]
    assert (best["document"], best["place"], best["overlap"]) == ("lavadora.pdf", "page 3", 1.0)
    assert main(["knowledge", "search", "firmware"]) == 0
    assert "router.html, under “Firmware”" in capsys.readouterr().out
    assert main(["knowledge", "remove", "router.html"]) == 0
    assert main(["knowledge", "list"]) == 0
    assert "router" not in capsys.readouterr().out


def test_one_bad_file_keeps_no_good_one_out(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 rubbish")
    files = [str(folder / "bad.pdf"), str(folder / "no.txt"), str(DATA / "coffee.txt")]
    assert main(["knowledge", "add", *files]) == 2
    captured = capsys.readouterr()
    assert "coffee.txt: 4 passages" in captured.out
    assert "bad.pdf: is damaged" in captured.err
    assert "no.txt: cannot be read: No such file" in captured.err


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["add"], 2, "name a file"),
        (["search"], 2, "name the words"),
        (["remove", "nothing.txt"], 2, "no document nothing.txt"),
        (["add", str(DATA / "coffee.txt"), "--set", "knowledge.embedding_model=none"], 4, "none"),
    ],
)
def test_mistakes(
    words: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["knowledge", *words]) == code
    assert sentence in capsys.readouterr().err


def test_an_empty_knowledge_base(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["knowledge", "list"]) == 0
    assert "no documents" in capsys.readouterr().out
    assert main(["knowledge", "search", "anything", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.models
def test_with_a_model_for_embeddings(capsys: pytest.CaptureFixture[str]) -> None:
    model = "knowledge.embedding_model=smollm2-135m-instruct-q4_1"
    assert main(["knowledge", "add", str(DATA / "bicycle.pdf"), "--set", model]) == 0
    capsys.readouterr()
    assert main(["knowledge", "search", "unrelated", "--json", "--set", model]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3, "found by meaning alone"
