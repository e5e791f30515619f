"""Which models are missing, how far their installation is, and who says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.doctor.scratch import MODELS, Scratch


@pytest.fixture
def box(short_path: Path) -> Scratch:
    return Scratch(short_path, settings='[general]\nlanguages = ["en"]\n')


def test_nothing_is_missing_where_all_is_there(box: Scratch) -> None:
    done = box.luna("models", "missing")
    assert (done.returncode, done.stdout) == (1, "")
    assert box.luna("models", "pull", "--missing").returncode == 0


def test_what_is_missing_is_named_with_how_much_of_it_is_here(box: Scratch) -> None:
    weights = box.models / "box-hears/weights.bin"
    begun = box.models / ".partial/box-hears/weights.bin.growing"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(weights.read_bytes()[: weights.stat().st_size // 4])
    weights.unlink()
    done = box.luna("models", "missing", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"missing": ["box-hears"], "percent": 25}
    (box.models / "box-voice/weights.bin").unlink()
    names = box.luna("models", "missing").stdout.split()
    assert sorted(names) == ["box-hears", "box-voice"]
    # The address in this catalogue is one where nobody listens: the unit tries again later.
    assert box.luna("models", "pull", "--missing").returncode == 4
    assert begun.exists()


def test_an_empty_folder_lacks_them_all(box: Scratch) -> None:
    for name in MODELS:
        (box.models / name / "weights.bin").unlink()
    assert len(box.luna("models", "missing").stdout.split()) == len(MODELS)


def test_the_option_belongs_to_pull(box: Scratch) -> None:
    assert box.luna("models", "list", "--missing").returncode == 2
