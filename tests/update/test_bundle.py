"""Bundles that are not what was signed are refused, before a byte of them is believed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import UpdateError
from appliance.update import bundle as bundles
from appliance.update.bundle import (
    CHUNK,
    HEAD_BYTES,
    MAGIC,
    MAX_MANIFEST,
    Chunk,
    parse_manifest,
    parse_version,
    read_keys,
    read_manifest,
    unpack,
)
from tests.update.bundles import KEY, NEXT, as_source, boot_of, bundle, public_key, root_of

KEYS = [KEY.public_key()]


def unpacked(data: bytes) -> tuple[dict[str, bytes], bytes]:
    source = as_source(data)
    manifest = read_manifest(source, KEYS)
    files = {
        file.name: b"".join(unpack(chunk, source) for chunk in file.chunks)
        for file in manifest.boot
    }
    return files, b"".join(unpack(chunk, source) for chunk in manifest.root)


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    root = root_of(NEXT) + b"\0" * CHUNK + b"end"
    data = bundle(tmp_path, root=root).read_bytes()
    files, found = unpacked(data)
    assert files == boot_of(NEXT)
    assert found == root
    assert len(data) < 10_000 + 4096  # nothing is stored of what is zero


def test_packing_is_reproducible(tmp_path: Path) -> None:
    first = bundle(tmp_path).read_bytes()
    assert bundle(tmp_path).read_bytes() == first


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_changed_byte_is_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = _good(tmp_path_factory)
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = data.draw(st.integers(1, 255))
    wrong = good[:at] + bytes([good[at] ^ flipped]) + good[at + 1 :]
    with pytest.raises(UpdateError):
        unpacked(wrong)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_cut_bundle_is_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    good = _good(tmp_path_factory)
    with pytest.raises(UpdateError):
        unpacked(good[: data.draw(st.integers(0, len(good) - 1))])


_made: list[bytes] = []


def _good(factory: pytest.TempPathFactory) -> bytes:
    if not _made:
        _made.append(bundle(factory.mktemp("good")).read_bytes())
    return _made[0]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_no_rubbish_is_believed(rubbish: bytes) -> None:
    for data in (rubbish, MAGIC + rubbish, MAGIC + KEY.sign(rubbish) + rubbish):
        with pytest.raises(UpdateError):
            read_manifest(as_source(data), KEYS)


def test_a_foreign_signature_is_refused(tmp_path: Path) -> None:
    data = bundle(tmp_path, key=Ed25519PrivateKey.generate()).read_bytes()
    with pytest.raises(UpdateError, match="not signed with a key of this box"):
        read_manifest(as_source(data), KEYS)


def test_an_unsigned_bundle_is_refused(tmp_path: Path) -> None:
    data = bundle(tmp_path).read_bytes()
    blank = data[: HEAD_BYTES - 64] + bytes(64) + data[HEAD_BYTES:]
    with pytest.raises(UpdateError, match="not signed"):
        read_manifest(as_source(blank), KEYS)


def test_a_manifest_without_end_is_not_read(tmp_path: Path) -> None:
    head = MAGIC + (MAX_MANIFEST + 1).to_bytes(4, "big") + bytes(64)
    with pytest.raises(UpdateError, match="too long"):
        read_manifest(as_source(head), KEYS)


def test_a_zip_bomb_stays_small() -> None:
    bomb = zlib.compress(bytes(200 * CHUNK), 9)[:CHUNK]
    digest = hashlib.sha256(bomb).hexdigest()
    chunk = Chunk(4096, hashlib.sha256(bytes(4096)).hexdigest(), len(bomb), digest)
    assert len(unpack(chunk, as_source(bomb))) == 4096  # as signed, and no more of it
    with pytest.raises(UpdateError, match="contradicts"):
        unpack(dataclasses.replace(chunk, sha256="0" * 64), as_source(bomb))


DIGEST = "0" * 64
CHUNK_ROW: dict[str, Any] = {"bytes": 1, "sha256": DIGEST, "stored": 1, "stored_sha256": DIGEST}
MANIFEST: dict[str, Any] = {
    "version": NEXT,
    "target": "pi5",
    "command_line": "luna.slot={slot}",
    "boot": [{"name": "linux", "chunks": [CHUNK_ROW]}],
    "root": [CHUNK_ROW],
}


def parsed(**changes: Any) -> bundles.Manifest:
    return parse_manifest(json.dumps({**MANIFEST, **changes}).encode())


def test_the_example_is_right() -> None:
    assert parsed().root_bytes == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.2"},
        {"version": "1.2.3-rc1"},
        {"version": "1.2.٣"},
        {"target": "../x"},
        {"command_line": "a\nb {slot}"},
        {"command_line": "no place for it"},
        {"boot": []},
        {"boot": [{"name": "../linux", "chunks": []}]},
        {"boot": [{"name": "/linux", "chunks": []}]},
        {"boot": [{"name": "a/../../linux", "chunks": []}]},
        {"boot": [{"name": "a\\b", "chunks": []}]},
        {"boot": [{"name": ".hidden", "chunks": []}]},
        {"boot": [{"name": "LUNA.good", "chunks": []}]},
        {"boot": [{"name": "linux", "chunks": []}, {"name": "LINUX", "chunks": []}]},
        {"boot": [{"name": "linux", "chunks": [{**CHUNK_ROW, "bytes": CHUNK}] * 17}]},
        {"root": [{**CHUNK_ROW, "bytes": -1}]},
        {"root": [{**CHUNK_ROW, "bytes": 0}]},
        {"root": [{**CHUNK_ROW, "bytes": CHUNK + 1}]},
        {"root": [{**CHUNK_ROW, "bytes": 1.5}]},
        {"root": [{**CHUNK_ROW, "bytes": "1"}]},
        {"root": [{**CHUNK_ROW, "stored": -1}]},
        {"root": [{**CHUNK_ROW, "stored": 0}]},
        {"root": [{**CHUNK_ROW, "stored_sha256": ""}]},
        {"root": [{**CHUNK_ROW, "sha256": "A" * 64}]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_manifest_that_was_signed_by_mistake_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UpdateError) as caught:
        parsed(**changes)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([*MANIFEST, "other"]), JSON)
def test_no_signed_rubbish_gets_through(key: str, value: object) -> None:
    try:
        manifest = parsed(**{key: value})
    except UpdateError:
        return
    assert all(0 < chunk.bytes <= CHUNK for chunk in manifest.root)


@pytest.mark.parametrize("text", ["", "1", "1.2.3.4", "v1.2.3", "1.2.x", "-1.2.3", "1.2.3\n"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(UpdateError):
        parse_version(text)


def test_keys(tmp_path: Path) -> None:
    key = tmp_path / "update.pub"
    with pytest.raises(UpdateError, match="no key, no update"):
        read_keys([key])
    key.write_bytes(public_key())
    key.chmod(0o666)
    with pytest.raises(UpdateError, match="others than its owner may write"):
        read_keys([key])
    key.chmod(0o644)
    assert len(read_keys([key, tmp_path / "none"])) == 1
    key.write_bytes(b"not a key")
    with pytest.raises(UpdateError, match="is not a public key"):
        read_keys([key])
