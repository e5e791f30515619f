"""Models from a folder, an archive, a file."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from pathlib import Path

import pytest

from appliance.errors import ModelError
from appliance.models import install
from appliance.models.bundle import Bundle
from appliance.models.catalogue import Model, ModelFile, verify
from appliance.models.install import pull, remove

CONTENT = {"model.bin": bytes(range(256)) * 500, "config.json": b"{}"}


@pytest.fixture(autouse=True)
def no_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "SPARE_BYTES", 0)


def described(*names: str) -> Model:
    files = tuple(
        ModelFile(
            name,
            len(CONTENT[name]),
            hashlib.sha256(CONTENT[name]).hexdigest(),
            url="http://nowhere.invalid/x",
        )
        for name in names
    )
    return Model("tiny", "Tiny", ("chat",), "MIT", ("en",), 1, files)


MODEL = described("model.bin", "config.json")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    (folder / "tiny").mkdir(parents=True)
    for name, data in CONTENT.items():
        (folder / "tiny" / name).write_bytes(data)
    return folder


def installs(path: Path, models_dir: Path, model: Model = MODEL) -> None:
    bundle = Bundle(path)
    assert bundle.holds(model)
    pull(model, models_dir, bundle=bundle)
    bundle.close()
    verify(model, models_dir)


def test_a_folder_of_models_and_a_models_folder(stick: Path, tmp_path: Path) -> None:
    installs(stick, tmp_path / "a")
    one = described("model.bin")
    installs(stick / "tiny", tmp_path / "b", one)
    installs(stick / "tiny" / "model.bin", tmp_path / "c", one)


@pytest.mark.parametrize("kind", ["tar", "gztar", "zip"])
@pytest.mark.parametrize("root", [".", "tiny"])
def test_an_archive(stick: Path, tmp_path: Path, kind: str, root: str) -> None:
    archive = shutil.make_archive(str(tmp_path / "all"), kind, stick, root)
    installs(Path(archive), tmp_path / "models")


def test_an_archive_of_the_folder_itself(stick: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "all"), "tar", tmp_path, "stick")
    installs(Path(archive), tmp_path / "models")


def test_what_is_damaged_is_not_shown(stick: Path, tmp_path: Path) -> None:
    for wrong in (b"", b"x" + CONTENT["model.bin"][1:], CONTENT["model.bin"] + b"x"):
        (stick / "tiny/model.bin").write_bytes(wrong)
        with pytest.raises(ModelError, match="size or hash is wrong"):
            pull(MODEL, tmp_path / "models", bundle=Bundle(stick))
        assert not (tmp_path / "models/tiny").exists()


def test_a_cut_archive_is_one_sentence(stick: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "all"), "gztar", stick, "."))
    archive.write_bytes(archive.read_bytes()[:-400])
    with pytest.raises(ModelError, match=r"all\.tar\.gz cannot be read") as failure:
        installs(archive, tmp_path / "models")
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "models/tiny").exists()


def test_links_in_an_archive_are_not_followed(tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        for name in CONTENT:
            link = tarfile.TarInfo(f"tiny/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
    assert not Bundle(archive).holds(MODEL)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no model\.bin"):
        pull(MODEL, tmp_path / "models", bundle=Bundle(tmp_path))
    with pytest.raises(ModelError, match="No such file"):
        Bundle(tmp_path / "nothing")


def test_a_removed_model_is_gone_with_all_that_was_begun(stick: Path, tmp_path: Path) -> None:
    installs(stick, tmp_path / "models")
    (tmp_path / "models/.partial/tiny").mkdir()
    (tmp_path / "models/.partial/tiny/x.growing").write_bytes(b"12")
    assert remove(MODEL, tmp_path / "models") == MODEL.bytes + 2
    assert not (tmp_path / "models/tiny").exists()
    assert [p.name for p in (tmp_path / "models/.partial").iterdir()] == ["tiny.lock"]
    assert remove(MODEL, tmp_path / "models") == 0
