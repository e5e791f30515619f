"""The catalogue: the real one, wrong ones, and the check before a model is opened."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.errors import ModelError
from appliance.models.catalogue import (
    Catalogue,
    Model,
    ModelFile,
    Part,
    catalogue_path,
    load_catalogue,
    verify,
    verify_file,
)

SHA = "0" * 64
GOOD = f"""
[defaults]
chat = "small"

[[model]]
name = "small"
title = "A small model"
roles = ["chat"]
licence = "MIT"
languages = ["en"]
memory_mb = 10
prompt_format = "chatml"

[[model.files]]
name = "small.gguf"
bytes = 5
sha256 = "{SHA}"
parts = [{{ package = "a==1", member = "a/b.bin", sha256 = "{SHA}" }}]
"""


def load_text(folder: Path, text: str) -> Catalogue:
    path = folder / "catalogue.toml"
    path.write_text(text)
    return load_catalogue(path)


def test_the_shipped_catalogue_is_complete() -> None:
    catalogue = load_catalogue()
    for role in ("chat", "code", "stt", "tts", "endpoint"):
        assert catalogue.for_role(role), role
    for model in catalogue.models.values():
        assert all((model.licence, model.title, model.source)), model.name
        assert model.memory_mb > 0
        assert model.prompt_format or not {"chat", "code"} & set(model.roles), model.name
    assert catalogue.voice("en") in catalogue.models
    assert catalogue.voice("xx") == ""


def test_no_code_names_a_model() -> None:
    names = "|".join(re.escape(name) for name in load_catalogue().models)
    package = Path(__file__).parents[2] / "appliance"
    found = {
        path.name
        for path in package.rglob("*.py")
        if re.search(names, path.read_text(encoding="utf-8")) and path.parent.name != "command_line"
    }
    assert not found  # the help shows one in an example


def test_a_small_machine_gets_the_small_speech_model() -> None:
    catalogue = load_catalogue()
    small, large = catalogue.default("stt", memory_mb=1_000), catalogue.default("stt", 4_000)
    assert small != large
    assert catalogue.get(small).memory_mb < catalogue.get(large).memory_mb
    assert small in catalogue.default_set(1_000)
    assert small not in catalogue.default_set(4_000)
    assert {small, large} <= set(catalogue.test_set(1_000)) & set(catalogue.test_set(4_000))


def test_each_default_comes_once_although_two_roles_share_it() -> None:
    names = load_catalogue().default_set(4_000)
    assert len(names) == len(set(names))


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    catalogue = load_text(tmp_path, GOOD)
    assert catalogue.get("small").context_tokens == 0
    with pytest.raises(ModelError, match=r"'smal' .* did you mean small\?"):
        catalogue.get("smal")
    with pytest.raises(ModelError, match="luna models list"):
        catalogue.get("something else entirely")
    with pytest.raises(ModelError, match="no default for vision"):
        catalogue.default("vision")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('licence = "MIT"', "", "has no 'licence'"),
        ('licence = "MIT"', 'license = "MIT"', "unknown key 'license'; did you mean 'licence'"),
        ("memory_mb = 10", 'memory_mb = "10"', "'memory_mb' that is not a whole number"),
        ('roles = ["chat"]', 'roles = "chat"', "'roles' that is not a list"),
        ("bytes = 5", "bytes = 0", "impossible size"),
        ("bytes = 5", "bytes = true", "not a whole number"),
        (f'sha256 = "{SHA}"\nparts', 'sha256 = "12"\nparts', "not 64 small hexadecimal digits"),
        (f'sha256 = "{SHA}" }}', 'sha256 = "12" }', "not 64 small hexadecimal digits"),
        ('package = "a==1"', 'package = "a>1"', "'a>1', which is not name==version"),
        ('package = "a==1"', r'package = "a==1\n--index-url x"', "is not name==version"),
        ('"small.gguf"', '"../small.gguf"', "unusable name"),
        ('"small.gguf"', '".hidden"', "unusable name"),
        ("parts = [", 'url = "https://x/y"\nparts = [', "either parts or a url"),
        ('name = "small"', 'name = "a/b"', "cannot be a folder's"),
        ('chat = "small"', 'chat = "other"', "the default for chat, 'other', is not described"),
        ('chat = "small"', 'code = "small"', "has not the role code"),
        ('chat = "small"', 'tts = { en = "small" }', "has not the role tts"),
        ("[[model]]", "[model]", r"write \[\[model\]\]"),
        ("[defaults]", "[defaults", "cannot be read"),
    ],
)
def test_a_wrong_catalogue_says_what_and_where(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ModelError, match=message) as failure:
        load_text(tmp_path, GOOD.replace(old, new, 1))
    assert "catalogue.toml" in str(failure.value)


def test_a_url_must_be_one_of_the_web(tmp_path: Path) -> None:
    text = re.sub(r"parts = .*", 'url = "file:///etc/passwd"', GOOD)
    with pytest.raises(ModelError, match="neither https nor http"):
        load_text(tmp_path, text)


def test_a_model_described_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'small' is described twice"):
        load_text(tmp_path, GOOD + GOOD.split("\n\n", 1)[1])


def test_a_missing_catalogue_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_catalogue(tmp_path / "none.toml")


@pytest.fixture
def installed(tmp_path: Path) -> Model:
    content = {"model.bin": b"weights", "config.json": b"{}"}
    (tmp_path / "tiny").mkdir()
    for name, data in content.items():
        (tmp_path / "tiny" / name).write_bytes(data)
    part = (Part("a==1", "a", SHA),)
    files = tuple(
        ModelFile(name, len(data), hashlib.sha256(data).hexdigest(), part)
        for name, data in content.items()
    )
    return Model("tiny", "Tiny", ("chat",), "MIT", ("en",), 1, files)


def test_a_whole_model_passes(installed: Model, tmp_path: Path) -> None:
    assert verify(installed, tmp_path) == {
        "model.bin": tmp_path / "tiny/model.bin",
        "config.json": tmp_path / "tiny/config.json",
    }


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "is not installed"),
        (b"weigh", r"is damaged \(5 bytes instead of 7\)"),
        (b"weightsss", r"is damaged \(9 bytes instead of 7\)"),
        (b"wEights", "was changed"),
    ],
)
def test_missing_truncated_and_tampered_are_told_apart(
    installed: Model, tmp_path: Path, data: bytes | None, message: str
) -> None:
    path = tmp_path / "tiny/model.bin"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ModelError, match=message) as failure:
        verify(installed, tmp_path)
    assert str(path) in str(failure.value)
    assert "run `luna models pull tiny`" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_folder_in_place_of_a_file_is_an_error_and_no_crash(
    installed: Model, tmp_path: Path
) -> None:
    (tmp_path / "tiny/model.bin").unlink()
    (tmp_path / "tiny/model.bin").mkdir()
    with pytest.raises(ModelError, match="cannot be read"):
        verify(installed, tmp_path)


def test_the_catalogue_is_light_to_import() -> None:
    program = (
        "import sys, appliance.models.catalogue as c; c.load_catalogue();"
        "print(sorted({'numpy', 'pydantic', 'llama_cpp', 'onnxruntime', 'urllib.request'}"
        " & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert result.stdout.strip() == b"[]"


def write(path: Path, *tables: str, defaults: str = "") -> Path:
    path.write_text("\n".join([defaults, *tables]), encoding="utf-8")
    return path


def described(name: str, roles: str = '["chat"]', title: str = "A model", more: str = "") -> str:
    file = f'bytes = 5\nsha256 = "{"0" * 64}"\nurl = "https://example.org/{name}"'
    return (
        f'[[model]]\nname = "{name}"\ntitle = "{title}"\nroles = {roles}\nlicence = "MIT"\n'
        f'languages = ["en"]\nmemory_mb = 100\n{more}\n'
        f'[[model.files]]\nname = "{name}.gguf"\n{file}\n'
        f'[[model.files]]\nname = "mmproj.gguf"\n{file}\n'
    )


def test_what_the_owner_describes_is_laid_over_ours(tmp_path: Path) -> None:
    ours = write(
        tmp_path / "ours.toml", described("a"), described("b"), defaults='defaults.chat = "a"'
    )
    eye = described("eye", '["vision"]', more='mmproj = "mmproj.gguf"')
    own = write(
        tmp_path / "models.toml", described("b", title="Mine"), eye, defaults='defaults.chat = "b"'
    )
    both = load_catalogue(ours, own)
    assert list(both.models) == ["a", "b", "eye"]
    assert both.get("b").title == "Mine"
    assert both.default("chat") == "b"
    (sees,) = both.for_role("vision")
    assert sees.weights.name == "eye.gguf"
    assert sees.projector is not None
    assert sees.projector.name == "mmproj.gguf"
    assert both.get("a").projector is None
    assert list(load_catalogue(ours, tmp_path / "none.toml").models) == ["a", "b"]


def test_the_owners_file_lies_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "luna").mkdir()
    write(tmp_path / "luna/models.toml", described("mine"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert "mine" in load_catalogue().models
    assert "mine" not in load_catalogue(catalogue_path()).models


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (described("x", '["vision"]'), "names no mmproj"),
        (described("x", more='mmproj = "other.gguf"'), "mmproj 'other.gguf'"),
        ('defaults.chat = "nothing"', "'nothing', is not described"),
        ("defaults.chat = 1.5", "not the name of a model"),
        ("defaults = 1", r"write \[defaults\]"),
        ("#" * 1_100_000, "larger than"),
        ("model = [", "cannot be read"),
    ],
)
def test_a_mistake_in_the_owners_file_is_named_with_the_file(
    tmp_path: Path, table: str, words: str
) -> None:
    with pytest.raises(ModelError, match=rf"(?s)models\.toml.*{words}|{words}.*models\.toml"):
        load_catalogue(catalogue_path(), write(tmp_path / "models.toml", table))


def test_the_check_of_a_file_tells_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    content = bytes(2_500_000)
    model = load_catalogue(
        write(
            tmp_path / "c.toml",
            described("m")
            .replace("0" * 64, hashlib.sha256(content).hexdigest())
            .replace("bytes = 5", f"bytes = {len(content)}"),
        )
    ).get("m")
    model.folder(tmp_path).mkdir()
    (model.folder(tmp_path) / "m.gguf").write_bytes(content)
    seen: list[int] = []
    path = verify_file(model, model.weights, tmp_path, seen.append)
    assert path.read_bytes() == content
    assert seen == [1_048_576, 2_097_152, 2_500_000]

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify_file(model, model.weights, tmp_path, stop)
