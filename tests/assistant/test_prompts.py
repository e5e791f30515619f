"""The system prompts: there, short, the same every time, and understood by the real model."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import paths
from appliance.assistant.history import History
from appliance.assistant.prompts import system_prompt
from appliance.errors import LunaError

LANGUAGES = ("en", "pt")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_prompt_is_short_plain_and_constant(language: str) -> None:
    prompt = system_prompt(language)
    assert "Luna" in prompt
    assert 40 < len(prompt) < 400
    assert "{" not in prompt
    assert prompt == " ".join(prompt.split()) == system_prompt(language)


def test_an_unknown_language_or_role_is_named() -> None:
    with pytest.raises(LunaError, match=r"'xx'.*prompts/xx/chat\.j2"):
        system_prompt("xx")
    with pytest.raises(LunaError, match="'vision'"):
        system_prompt("en", "vision")


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


class Asker:
    """The default model as the owner meets it, but without chance (temperature 0)."""

    def __init__(self, state_dir: Path) -> None:
        from appliance.llm.process import load
        from appliance.models.catalogue import load_catalogue
        from appliance.settings import LlmSettings

        name = load_catalogue().default("chat")
        self.engine = load(name, paths.models_dir(), state_dir, LlmSettings(context_tokens=1024))

    def ask(self, language: str, question: str, history: History | None = None) -> str:
        pieces: list[str] = []
        self.engine.generate(
            (history or History()).messages(system_prompt(language), question=question),
            max_tokens=60,
            temperature=0.0,
            on_text=pieces.append,
            proceed=lambda: True,
        )
        return "".join(pieces)


@pytest.fixture(scope="module")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    asker = Asker(tmp_path_factory.mktemp("state"))
    yield asker
    asker.engine.close()


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
    luna: Asker, language: str, question: str, answers: list[str]
) -> None:
    text = luna.ask(language, question)
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
    luna: Asker, language: str, question: str, heard: str, follow_up: str
) -> None:
    history = History()
    history.add_interrupted(question, heard)
    text = luna.ask(language, follow_up, history)
    assert text
    for trace in ("cut off", "interr", "cortad", "(", "—", "..."):
        assert trace not in text, text
