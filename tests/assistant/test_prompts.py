"""The system prompts: there, short, the same every time, and understood by the real model."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.assistant.history import History
from appliance.assistant.prompts import Facts, Prompts, system_prompt
from appliance.errors import ConfigError

if TYPE_CHECKING:
    from appliance.llm.llama import LlamaEngine

LANGUAGES = ("en", "pt")
ROLES = ("chat", "code", "vision", "code_only")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_prompt_is_short_plain_and_constant(language: str) -> None:
    prompt = system_prompt(language)
    assert "Luna" in prompt
    assert 40 < len(prompt) < 400
    assert "{" not in prompt
    assert prompt == " ".join(prompt.split()) == system_prompt(language)


def test_a_template_that_is_missing_in_a_language_comes_from_another() -> None:
    assert system_prompt("xx") == system_prompt("en")


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'dance'.*prompts/pt/dance\.j2"):
        system_prompt("pt", "dance")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_role_has_a_prompt_of_its_own(language: str) -> None:
    prompts = [Prompts().render(language, role) for role in ROLES]
    assert len({prompt.version for prompt in prompts}) == len(ROLES)
    for prompt in prompts:
        assert 40 < len(prompt.text) < 400


def test_facts_are_told_and_change_the_version() -> None:
    plain = Prompts().render("en")
    told = Prompts(facts=Facts(owner="Ana", place="Recife", device="Raspberry Pi 5")).render("en")
    assert told.text == plain.text + (
        " Your owner is Ana. You stand in Recife. You run on a Raspberry Pi 5."
    )
    assert told.version != plain.version == Prompts().render("en").version
    assert "Recife" in Prompts(facts=Facts(place="Recife")).render("pt", "vision").text


def write(folder: Path, **templates: str) -> Prompts:
    for name, source in templates.items():
        file = folder / f"{name.replace('__', '/')}.j2"
        file.parent.mkdir(exist_ok=True)
        file.write_text(source, encoding="utf-8")
    return Prompts(folder)


def test_an_owners_part_replaces_the_packages(tmp_path: Path) -> None:
    prompts = write(tmp_path, en__persona="You are {{ name }}, a pirate.")
    assert prompts.render("en").text.startswith("You are Luna, a pirate. Your words")
    assert prompts.render("en", "code").text.startswith("You are Luna, a pirate. Begin")
    assert prompts.render("pt") == Prompts().render("pt")


def test_an_owners_notes_are_added_and_fall_back_to_the_other_language(tmp_path: Path) -> None:
    prompts = write(tmp_path, pt__notes="O cachorro se chama Rex.")
    assert prompts.render("pt").text.endswith("O cachorro se chama Rex.")
    assert prompts.render("en").text.endswith("O cachorro se chama Rex.")


def test_an_owners_edit_is_seen_at_once(tmp_path: Path) -> None:
    prompts = write(tmp_path, en__notes="One.")
    before = prompts.render("en")
    file = tmp_path / "en/notes.j2"
    file.write_text("Two.")
    os.utime(file, ns=(0, 0))
    after = prompts.render("en")
    assert after.text.endswith("Two.")
    assert after.version != before.version


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ name", r"notes\.j2:1 cannot be used"),
        ("\n{% if %}", r"notes\.j2:2 cannot be used"),
        ("{{ unknown }}", "unknown"),
        ("{{ name.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% for i in range(9999) %}x {% endfor %}", "shorten it"),
        ("{{ range(999999999) | list }}", "too big|too large|[Rr]ange"),
        ("{% include 'en/nothing.j2' %}", "nothing"),
        ("x" * 30_000, "shorten it"),
    ],
)
def test_an_owners_mistake_is_named(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(tmp_path, en__notes=source).render("en")


def test_a_template_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/notes.j2").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"notes\.j2: not UTF-8"):
        Prompts(tmp_path).render("en")


def test_a_folder_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    assert Prompts(tmp_path / "none").render("en") == Prompts().render("en")


def test_the_prompts_are_package_data() -> None:
    from importlib.resources import files

    for language in LANGUAGES:
        assert files("appliance.assistant.prompts").joinpath(language, "chat.j2").is_file()


def test_the_prompts_are_found_in_a_zipped_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    root = Path(__file__).parents[2]
    archive = tmp_path / "luna.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in root.glob("appliance/**/*"):
            if path.suffix in (".py", ".j2"):
                file.write(path, path.relative_to(root))
    code = "from appliance.assistant.prompts import system_prompt as p; print(len(p('pt')))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(archive), "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(result.stdout) == len(system_prompt("pt"))


Ask = Callable[..., str]


@pytest.fixture
def ask(chat_engine: LlamaEngine) -> Ask:
    """Ask the default model as the owner meets it, but without chance (temperature 0)."""

    def ask(language: str, question: str, history: History | None = None) -> str:
        pieces: list[str] = []
        chat_engine.generate(
            (history or History()).messages(system_prompt(language), question=question),
            max_tokens=60,
            temperature=0.0,
            on_text=pieces.append,
            proceed=lambda: True,
        )
        return "".join(pieces)

    return ask


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "question", "answers"),
    [
        ("en", "What is the capital of France?", ["Paris"]),
        ("en", "What is two plus two?", ["four", "4"]),
        ("pt", "Qual é a capital de Portugal?", ["Lisboa"]),
    ],
)
def test_the_default_model_answers(
    ask: Ask, language: str, question: str, answers: list[str]
) -> None:
    text = ask(language, question)
    assert any(answer in text for answer in answers), text
    assert len(text) < 150
    assert not set(text) & set("*#`\n"), text


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize(
    ("language", "question", "heard", "follow_up"),
    [
        ("en", "Tell me about Paris.", "Paris is the capital of France and it", "And London?"),
        ("en", "How do I boil an egg?", "Put the egg into", "What is two plus two?"),
        ("pt", "Fale sobre Paris.", "Paris é a capital da França e", "E Lisboa?"),
    ],
)
def test_the_default_model_does_not_imitate_an_interruption(
    ask: Ask, language: str, question: str, heard: str, follow_up: str
) -> None:
    history = History()
    history.add_interrupted(question, heard)
    text = ask(language, follow_up, history)
    assert text
    for trace in ("cut off", "interr", "cortad", "(", "—", "..."):
        assert trace not in text, text


def test_the_owners_persona_is_text_and_of_its_language(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en/persona.txt").write_text("Speak like a pirate.\n{{ name }} {% if %}")
    prompts = Prompts(tmp_path)
    assert prompts.render("en").text.endswith("Speak like a pirate. {{ name }} {% if %}")
    assert prompts.render("en").private
    assert prompts.render("pt") == Prompts().render("pt")
    assert prompts.render("en", "code_only") == Prompts().render("en", "code_only")
    (tmp_path / "en/persona.txt").write_text("x" * 4097)
    with pytest.raises(ConfigError, match="larger than 4096"):
        prompts.render("en")
    (tmp_path / "en/persona.txt").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        prompts.render("en")
