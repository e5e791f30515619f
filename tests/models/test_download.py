"""Downloads from a server that cuts, lies, changes its mind, stalls: the file is right or absent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.errors import ModelError
from appliance.models import install
from appliance.models.catalogue import Model, ModelFile, verify
from appliance.models.download import Patience, download, size_of
from appliance.models.install import pull
from tests.models.nasty_server import NastyServer, nasty_server

DATA = random.Random(1).randbytes(300_000)
PATIENT = Patience(
    silence_s=5, answer_s=5, window_s=5, window_bytes=1, attempts=3, slow_attempts=10, pause_s=0.01
)
HURRIED = Patience(
    silence_s=0.3, answer_s=0.3, window_s=0.3, window_bytes=10_000, attempts=2, pause_s=0.01
)


@pytest.fixture(autouse=True)
def no_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "SPARE_BYTES", 0)


@pytest.fixture
def web() -> Iterator[NastyServer]:
    with nasty_server(DATA) as server:
        yield server


def described(web: NastyServer, path: str = "/model.bin") -> Model:
    file = ModelFile(
        "model.bin", len(DATA), hashlib.sha256(DATA).hexdigest(), url=web.address + path
    )
    return Model("web", "Web", ("chat",), "MIT", ("en",), 1, (file,))


def right_or_absent(web: NastyServer, models_dir: Path, patience: Patience = PATIENT) -> bool:
    """Pull; return whether the model is there. It is whole, or nothing is visible."""
    model = described(web)
    folder = model.folder(models_dir)
    with contextlib.suppress(ModelError):
        pull(model, models_dir, patience=patience)
    if not folder.exists():
        return False
    assert (folder / "model.bin").read_bytes() == DATA
    assert [file.name for file in folder.iterdir()] == ["model.bin"]
    verify(model, models_dir)
    return True


@pytest.mark.parametrize("seed", range(20))
def test_cuts_at_random_bytes(web: NastyServer, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    web.cuts = [chance.randrange(100_000) for _ in range(chance.randrange(1, 9))]
    assert right_or_absent(web, tmp_path)
    assert all(web.ranges[1:])  # each attempt went on where the last one was cut


def test_it_goes_on_exactly_where_it_was_cut(web: NastyServer, tmp_path: Path) -> None:
    web.cuts = [120_000, 5]
    assert right_or_absent(web, tmp_path)
    assert web.ranges == ["", "bytes=120000-", "bytes=120005-"]
    assert web.requests[1]["If-Range"] == '"first"'


def test_the_next_command_goes_on_where_the_last_one_stopped(
    web: NastyServer, tmp_path: Path
) -> None:
    web.cuts = [120_000, 0, 0, 0]
    assert not right_or_absent(web, tmp_path)
    assert right_or_absent(web, tmp_path)
    assert web.ranges[-1] == "bytes=120000-"


@pytest.mark.parametrize("declared", [0, 1, 299_999, 300_001, 10_000_000])
def test_a_lie_about_the_length(web: NastyServer, tmp_path: Path, declared: int) -> None:
    web.declared = declared
    right_or_absent(web, tmp_path)


def test_more_than_the_declared_size_is_not_taken(web: NastyServer, tmp_path: Path) -> None:
    web.content = DATA + bytes(5_000_000)
    assert not right_or_absent(web, tmp_path)
    assert not list((tmp_path / ".partial/web").glob("*.growing"))


@pytest.mark.parametrize("etag", [True, False])
def test_a_file_that_changes_between_two_attempts(
    web: NastyServer, tmp_path: Path, etag: bool
) -> None:
    """The server first has another version of the same length."""
    right, web.content = web.content, bytes(300_000)
    web.cuts = [100_000]
    web.between = {1: right}
    if not etag:
        web.etag = ""
    assert right_or_absent(web, tmp_path) == etag
    if etag:
        assert web.requests[1]["If-Range"] == '"first"'
    assert right_or_absent(web, tmp_path)


def test_a_stale_beginning_is_thrown_away_and_all_is_fetched(
    web: NastyServer, tmp_path: Path
) -> None:
    (tmp_path / ".partial/web").mkdir(parents=True)
    (tmp_path / ".partial/web/model.bin.growing").write_bytes(bytes(1000))
    assert right_or_absent(web, tmp_path)
    assert web.ranges == ["bytes=1000-", ""]


def test_416_begins_anew(web: NastyServer, tmp_path: Path) -> None:
    (tmp_path / ".partial/web").mkdir(parents=True)
    (tmp_path / ".partial/web/model.bin.growing").write_bytes(DATA[:200_000])
    web.content = DATA[:150_000]
    web.between = {1: DATA}
    assert right_or_absent(web, tmp_path)
    assert web.ranges == ["bytes=200000-", ""]


@pytest.mark.parametrize(
    ("status", "asked"), [(404, 1), (403, 1), (416, 1), (500, 3), (503, 3), (429, 3)]
)
def test_errors_are_said_and_asked_again_where_that_may_help(
    web: NastyServer, tmp_path: Path, status: int, asked: int
) -> None:
    web.status = status
    with pytest.raises(ModelError, match=f"the server answered {status}"):
        pull(described(web), tmp_path, patience=PATIENT)
    assert len(web.requests) == asked
    web.status = 0
    assert right_or_absent(web, tmp_path)


def test_another_part_than_the_one_asked_for_is_not_used(web: NastyServer, tmp_path: Path) -> None:
    web.cuts, web.wrong_part = [100_000], True
    assert right_or_absent(web, tmp_path)
    assert web.ranges == ["", "bytes=100000-", ""]


def test_a_server_without_ranges_that_always_cuts_is_given_up(
    web: NastyServer, tmp_path: Path
) -> None:
    web.always_cut, web.honours_ranges = 120_000, False
    assert not right_or_absent(web, tmp_path)
    assert len(web.requests) == 4


def test_a_server_that_gives_one_byte_at_a_time_is_given_up(
    web: NastyServer, tmp_path: Path
) -> None:
    web.always_cut = 1
    patience = Patience(window_bytes=10, slow_attempts=5, pause_s=0.01)
    assert not right_or_absent(web, tmp_path, patience)
    assert len(web.requests) == 5


def test_a_trickle_is_given_up(web: NastyServer, tmp_path: Path) -> None:
    web.pause_s = 0.01
    patience = Patience(window_s=0.2, window_bytes=100_000, slow_attempts=2, pause_s=0.01)
    with pytest.raises(ModelError, match="too slowly"):
        pull(described(web), tmp_path, patience=patience)
    web.pause_s = 0
    assert right_or_absent(web, tmp_path)


def test_silence_is_given_up(web: NastyServer, tmp_path: Path) -> None:
    web.pause_s = 30
    with pytest.raises(ModelError, match="timed out"):
        pull(described(web), tmp_path, patience=HURRIED)


def test_headers_that_never_end_are_given_up(web: NastyServer, tmp_path: Path) -> None:
    web.slow_header = True
    with pytest.raises(ModelError, match="did not answer in time"):
        pull(described(web), tmp_path, patience=HURRIED)


def test_a_dead_server_and_an_impossible_address(web: NastyServer, tmp_path: Path) -> None:
    web.close()
    with pytest.raises(ModelError, match="Connection refused"):
        pull(described(web), tmp_path, patience=PATIENT)
    with pytest.raises(ModelError, match="cannot be downloaded"):
        download("http://:x/", tmp_path / "x", 1, lambda _: None, PATIENT)


def test_the_size_is_asked_for(web: NastyServer) -> None:
    assert size_of(web.address + "/model.bin") == len(DATA)
    with pytest.raises(ModelError, match="404"):
        size_of(web.address + "/other")


PULL = """
import sys
from pathlib import Path
from appliance.models import install
from appliance.models.catalogue import load_catalogue
install.SPARE_BYTES = 0
catalogue = load_catalogue(Path(sys.argv[1]))
install.pull(catalogue.get("web"), Path(sys.argv[2]), on_wait=lambda: print("waiting", flush=True))
print("done", flush=True)
"""


def start_pull(catalogue: Path, models_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PULL, str(catalogue), str(models_dir)],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def catalogue(web: NastyServer, tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.toml"
    path.write_text(
        '[[model]]\nname = "web"\ntitle = "Web"\nroles = ["chat"]\nlicence = "MIT"\n'
        'languages = ["en"]\nmemory_mb = 1\n[[model.files]]\nname = "model.bin"\n'
        f'bytes = {len(DATA)}\nsha256 = "{hashlib.sha256(DATA).hexdigest()}"\n'
        f'url = "{web.address}/model.bin"\n'
    )
    return path


def until(condition: object) -> None:
    for _ in range(600):
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_kill_9_in_the_middle_and_then_again(
    web: NastyServer, catalogue: Path, tmp_path: Path
) -> None:
    models_dir = tmp_path / "models"
    growing = models_dir / ".partial/web/model.bin.growing"
    web.pause_s = 0.0005
    first = start_pull(catalogue, models_dir)
    until(lambda: growing.exists() and growing.stat().st_size > 100)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert not (models_dir / "web").exists()
    there = growing.stat().st_size
    web.pause_s = 0
    second = start_pull(catalogue, models_dir)
    assert second.communicate(timeout=60)[0] == "done\n"
    assert (models_dir / "web/model.bin").read_bytes() == DATA
    assert web.ranges[-1] == f"bytes={there}-"


def test_two_commands_at_once(web: NastyServer, catalogue: Path, tmp_path: Path) -> None:
    models_dir = tmp_path / "models"
    web.pause_s = 0.0005
    first = start_pull(catalogue, models_dir)
    until((models_dir / ".partial/web/model.bin.growing").exists)
    second = start_pull(catalogue, models_dir)
    assert second.stdout is not None
    assert second.stdout.readline() == "waiting\n"
    web.pause_s = 0
    assert second.communicate(timeout=120)[0] == "done\n"
    assert first.communicate(timeout=60)[0] == "done\n"
    assert (models_dir / "web/model.bin").read_bytes() == DATA
    assert len(web.requests) == 1
