"""`luna models` with the real weights: choose, remove, measure, recommend."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance import paths
from appliance.models.catalogue import load_catalogue
from tests.service import LUNA

SMALL, CODER, VOICE = (
    "smollm2-135m-instruct-q4_1",
    load_catalogue().default("chat"),
    load_catalogue().voice("en"),
)


def luna(box: Path, *words: str, models: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "XDG_CONFIG_HOME": str(box / "config")}
    if models:
        env["LUNA_MODELS_DIR"] = str(models)
    return subprocess.run(
        [*LUNA, "models", *words],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env=env,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Return a folder with links to the real weights, which a test may remove."""
    folder = tmp_path / "models"
    for name in (SMALL, CODER, VOICE):
        (folder / name).mkdir(parents=True)
        for file in (paths.models_dir() / name).iterdir():
            os.link(file, folder / name / file.name) if _same_disk(file, folder) else shutil.copy(
                file, folder / name / file.name
            )
    return folder


def _same_disk(file: Path, folder: Path) -> bool:
    return file.stat().st_dev == folder.stat().st_dev


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["pull", "nonesuch"], 4, "there is no model 'nonesuch'"),
        (["verify", "nonesuch"], 4, "there is no model 'nonesuch'"),
        (["remove"], 2, "name the models"),
        (["remove", "nonesuch"], 4, "there is no model"),
        (["use", "chat"], 2, "use ROLE NAME"),
        (["use", "cook", "x"], 2, "there is no role 'cook'"),
        (["use", "chat", "nonesuch"], 4, "there is no model"),
        (["use", "chat", "whisper-base"], 4, "is for stt, not for chat"),
        (["use", "chat", SMALL], 4, "is not installed"),
        (["bench", "nonesuch"], 4, "there is no model"),
        (["bench", SMALL], 4, "is not installed"),
        (["bench"], 4, "no model is installed"),
        (["list", "--force"], 2, "--force belongs to `luna models remove`"),
        (["list", "--from", "/tmp"], 2, "--from belongs to `luna models pull`"),
        (["pull", "--from", "/nowhere"], 4, "No such file"),
        (["pull", "--sha256", "12"], 2, "goes with one model"),
        (["pull", "whisper-small", "--sha256", "12"], 2, "64 hexadecimal digits"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    done = luna(tmp_path, *words, models=tmp_path / "models")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_folder_that_nobody_may_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = luna(tmp_path, "pull", SMALL, models=tmp_path / "file/models")
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.models
def test_a_model_is_chosen_and_then_not_removed(tmp_path: Path, models: Path) -> None:
    done = luna(tmp_path, "use", "chat", SMALL, models=models)
    assert done.returncode == 0, done.stderr
    assert "llm.chat_model" in done.stdout
    rows = json.loads(luna(tmp_path, "list", "--json", models=models).stdout)
    assert {row["name"]: row["used_for"] for row in rows}[SMALL] == ["chat"]
    refused = luna(tmp_path, "remove", SMALL, models=models)
    assert refused.returncode == 4
    assert "is used for chat" in refused.stderr
    assert (models / SMALL).exists()
    assert luna(tmp_path, "remove", SMALL, "--force", models=models).returncode == 0
    assert not (models / SMALL).exists()
    assert luna(tmp_path, "use", "chat", "default", models=models).returncode == 0
    assert luna(tmp_path, "use", "tts.en", VOICE, models=models).returncode == 0
    wrong = luna(tmp_path, "use", "tts.pt", VOICE, models=models)
    assert wrong.returncode == 4
    assert "speaks en, not pt" in wrong.stderr


@pytest.mark.models
def test_a_model_that_does_not_fit_beside_the_chat_model_is_refused(
    tmp_path: Path, models: Path
) -> None:
    done = luna(tmp_path, "use", "chat", CODER, "--set", "llm.memory_budget=5", models=models)
    if done.returncode:  # on a machine with less than 14 GB
        assert "llm.memory_budget leaves" in done.stderr
    (tmp_path / "config/luna").mkdir(parents=True, exist_ok=True)
    catalogue = (tmp_path / "config/luna/models.toml").open("w")
    with catalogue:
        catalogue.write(
            '[[model]]\nname = "smollm2-135m-instruct-q4_1"\ntitle = "Huge"\nroles = ["chat"]\n'
            'licence = "MIT"\nlanguages = ["en"]\nmemory_mb = 900000\n[[model.files]]\n'
            'name = "SmolLM2-135M-Instruct.Q4_1.gguf"\nurl = "http://x/y"\n'
        )
    refused = luna(tmp_path, "use", "chat", SMALL, models=models)
    assert refused.returncode == 4
    assert "needs 900,000 MB" in refused.stderr


@pytest.mark.models
def test_models_are_taken_from_a_folder_and_verified(tmp_path: Path, models: Path) -> None:
    done = luna(tmp_path, "pull", SMALL, "--from", str(models), "--json", models=tmp_path / "new")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"installed": [SMALL]}
    assert "\r" not in done.stderr  # no bar where there is no terminal
    assert re.search(r"100 %, 98 of 98 MB", done.stderr)
    assert luna(tmp_path, "verify", SMALL, models=tmp_path / "new").stdout == f"{SMALL}: ok\n"


@pytest.mark.models
@pytest.mark.slow
def test_real_models_are_measured(tmp_path: Path) -> None:
    done = luna(tmp_path, "bench", SMALL, "whisper-tiny.en", VOICE, "--json")
    assert done.returncode == 0, done.stderr
    chat, speech, voice = json.loads(done.stdout)
    assert chat["tokens_per_s"] > 0
    assert chat["first_token_ms"] > 0
    assert chat["memory_mb"] > 50
    assert 0 < chat["of_limit"] < 2
    assert speech["real_time_factor"] > 0
    assert 0 < voice["first_sound_ms"] <= voice["seconds"] * 1000
    printed = luna(tmp_path, "bench", SMALL).stdout
    assert re.search(r"tokens/s, first token after \d+ ms", printed)
    assert re.search(r"\d+ % of what memory allows", printed)


@pytest.mark.models
@pytest.mark.slow
def test_a_recommendation_that_is_applied(tmp_path: Path, models: Path) -> None:
    done = luna(tmp_path, "recommend", "--apply", models=models)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^chat +\S+ +\d+ MB", done.stdout, re.MULTILINE)
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert "Written to" in done.stderr
