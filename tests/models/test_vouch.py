"""Models that nobody has verified: the real hub library against a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from appliance.errors import ModelError, UsageError
from appliance.models import vouch
from appliance.models.catalogue import Model, ModelFile, load_catalogue, verify
from appliance.models.install import pull
from tests.service import LUNA

COMMIT = "c" * 40
LARGE, SMALL = bytes(range(256)) * 2000, b'{"small": true}\n'
OWNER = """# my own models
[[model]]
name = "hubbed"
title = "On a hub"
roles = ["chat"]
licence = "MIT"
languages = ["en"]
memory_mb = 10  # an estimate

[[model.files]]
name = "model.bin"
hub = "someone/something/deep/model.bin"

[[model.files]]
name = "config.json"
hub = "someone/something/config.json"
"""


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """As much of Hugging Face as hands out files."""

    def __init__(self) -> None:
        self.large, self.small = LARGE, SMALL
        self.etags = {
            "deep/model.bin": hashlib.sha256(LARGE).hexdigest(),
            "config.json": git_blob(SMALL),
        }
        self.status = 0
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(ConnectionError):
                    outer.answer(self, body=True)

            def do_HEAD(self) -> None:
                outer.answer(self, body=False)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, *, body: bool) -> None:
        self.paths.append(handler.path)
        _, _, rest = handler.path.partition("/resolve/")
        _, _, name = rest.partition("/")
        data = {"deep/model.bin": self.large, "config.json": self.small}.get(name)
        if self.status or data is None:
            handler.send_response(self.status or 404)
            handler.send_header("X-Error-Code", "EntryNotFound")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("X-Repo-Commit", COMMIT)
        handler.send_header("ETag", f'"{self.etags[name]}"')
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        if body:
            handler.wfile.write(data)


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    yield server
    server.close()


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "config/luna").mkdir(parents=True)
    (tmp_path / "config/luna/models.toml").write_text(OWNER)
    return tmp_path


def luna(box: Path, hub: Hub, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUNA, "models", *words],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "HF_ENDPOINT": hub.address,
            "XDG_CONFIG_HOME": str(box / "config"),
            "LUNA_MODELS_DIR": str(box / "models"),
            "HF_HOME": str(box / "hf"),
        },
    )


def test_the_hubs_hashes_are_shown_agreed_on_and_kept(box: Path, hub: Hub) -> None:
    alone = luna(box, hub, "pull", "hubbed")
    assert alone.returncode == 2
    assert hashlib.sha256(LARGE).hexdigest() in alone.stderr
    assert "--yes" in alone.stderr
    assert not (box / "models/hubbed").exists()
    assert (box / "config/luna/models.toml").read_text() == OWNER
    done = luna(box, hub, "pull", "hubbed", "--yes")
    assert done.returncode == 0, done.stderr
    assert (box / "models/hubbed/model.bin").read_bytes() == LARGE
    assert (box / "models/hubbed/config.json").read_bytes() == SMALL
    text = (box / "config/luna/models.toml").read_text()
    assert text.startswith("# my own models")
    model = load_catalogue(owner=box / "config/luna/models.toml").get("hubbed")
    assert model.vouched_for
    assert {file.revision for file in model.files} == {COMMIT}
    verify(model, box / "models")
    assert luna(box, hub, "verify", "hubbed").stdout == "hubbed: ok\n"
    # From now on it is a model like all others: nothing is asked, and main is not looked at.
    hub.paths.clear()
    assert luna(box, hub, "remove", "hubbed").returncode == 0
    assert luna(box, hub, "pull", "hubbed").returncode == 0
    assert all(f"/resolve/{COMMIT}/" in path for path in hub.paths)


@pytest.mark.parametrize("which", ["large", "small"])
def test_a_hub_that_sends_other_bytes_than_it_publishes(box: Path, hub: Hub, which: str) -> None:
    setattr(hub, which, getattr(hub, which)[:-1] + b"?")
    done = luna(box, hub, "pull", "hubbed", "--yes")
    assert done.returncode == 4
    assert "wrong" in done.stderr
    assert not (box / "models/hubbed").exists()


def test_the_owners_hash_wins(box: Path, hub: Hub) -> None:
    right = [f"--sha256=model.bin={hashlib.sha256(LARGE).hexdigest()}"]
    right += [f"--sha256=config.json={hashlib.sha256(SMALL).hexdigest()}"]
    wrong = [f"--sha256=model.bin={'0' * 64}", right[1]]
    refused = luna(box, hub, "pull", "hubbed", *wrong)
    assert refused.returncode == 4
    assert not (box / "models/hubbed").exists()
    (box / "config/luna/models.toml").write_text(OWNER)
    assert luna(box, hub, "pull", "hubbed", *right).returncode == 0
    assert (box / "models/hubbed/model.bin").read_bytes() == LARGE


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not hand out"), (500, "does not hand out")]
)
def test_a_hub_that_does_not_have_it(box: Path, hub: Hub, status: int, words: str) -> None:
    hub.status = status
    done = luna(box, hub, "pull", "hubbed", "--yes")
    assert done.returncode == 4
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_no_hub_at_all(box: Path, hub: Hub) -> None:
    hub.close()
    done = luna(box, hub, "pull", "hubbed", "--yes")
    assert done.returncode == 4
    assert "cannot be asked" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_unverified_is_opened(tmp_path: Path) -> None:
    model = Model("x", "X", ("chat",), "MIT", ("en",), 1, (ModelFile("a", hub="o/r/a"),))
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a").write_bytes(b"whatever")
    with pytest.raises(ModelError, match="hash is not known"):
        verify(model, tmp_path)
    with pytest.raises(ModelError, match="nobody vouches"):
        pull(model, tmp_path)


def test_hashes_are_read_strictly() -> None:
    files = (ModelFile("a", hub="o/r/a"), ModelFile("b", hub="o/r/b"))
    model = Model("x", "X", ("chat",), "MIT", ("en",), 1, files)
    digest = "AB" * 32
    assert vouch.hashes(model, [f"a={digest}"]) == {"a": digest.lower()}
    for wrong in (digest, f"c={digest}", "a=12", "a="):
        with pytest.raises(UsageError):
            vouch.hashes(model, [wrong])


def test_unverified_models_are_listed_as_such(box: Path, hub: Hub) -> None:
    rows = json.loads(luna(box, hub, "list", "--json").stdout)
    (row,) = [row for row in rows if row["name"] == "hubbed"]
    assert not row["verified"]
    assert not row["installed"]
    assert "? hubbed" in luna(box, hub, "list").stdout
