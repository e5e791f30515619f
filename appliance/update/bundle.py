r"""The update bundle: a signed table of contents first, then the chunks it vouches for.

    bytes        content
    14           ``LUNA-UPDATE-1\n``
    4            length of the manifest, big-endian
    64           ed25519 signature of the manifest (RFC 8032)
    length       the manifest, JSON
    ...          the chunks of each boot file, then those of the root slot, in order

Each chunk is named by the SHA-256 of its bytes in the bundle, so that nothing is unpacked before
it is known to be what was signed, and by that of its bytes in the slot, so that what a slot holds
already need not come again.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from annotated_types import Interval, Len, MaxLen, Predicate
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import TypeAdapter, ValidationError

from appliance.errors import UpdateError

MAGIC = b"LUNA-UPDATE-1\n"
SIGNATURE_BYTES = 64
HEAD_BYTES = len(MAGIC) + 4 + SIGNATURE_BYTES
MAX_MANIFEST = 4 * 1024 * 1024
CHUNK = 4 * 1024 * 1024
"""Bytes of a slot in one chunk at most; also what is held in memory."""
MAX_BOOT_FILE = 64 * 1024 * 1024
MAX_ROOT = 1 << 40
MAX_KEY = 10_000
"""Bytes of a file with a public key."""
_STRICT = {"extra": "forbid", "strict": True}

Version = tuple[int, int, int]


def parse_version(text: str) -> Version:
    """Return ``1.2.3`` as numbers that can be compared.

    Raises:
        UpdateError: it is not a version.
    """
    if not _is_version(text):
        raise UpdateError(f"'{text[:40]}' is not a version such as 1.2.3")
    major, minor, patch = map(int, text.split("."))
    return major, minor, patch


def _is_version(text: str) -> bool:
    return re.fullmatch(r"\d{1,6}\.\d{1,6}\.\d{1,6}", text, re.ASCII) is not None


def _is_digest(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", text) is not None


def _is_boot_name(name: str) -> bool:
    """Return whether a boot file stays below its slot's folder, and is none of Luna's own notes."""
    part = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}"
    own = name.lower().startswith("luna.") or name.endswith(".new")
    return re.fullmatch(rf"{part}(/{part}){{0,2}}", name) is not None and not own


def _is_command_line(text: str) -> bool:
    return text.isascii() and text.isprintable() and "{slot}" in text


def _is_target(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", name) is not None


_Digest = Annotated[str, Predicate(_is_digest)]


@dataclass(frozen=True)
class Chunk:
    """A piece of a file."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    bytes: Annotated[int, Interval(ge=1, le=CHUNK)]
    """In the slot."""
    sha256: _Digest
    stored: Annotated[int, Interval(ge=0, le=CHUNK)]
    """Bytes in the bundle: zlib where they are fewer than ``bytes``; 0: all of them are zero."""
    stored_sha256: _Digest | Literal[""] = ""
    """Empty where nothing is stored."""


@dataclass(frozen=True)
class BootFile:
    """A file of the slot's folder on the boot partition."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    name: Annotated[str, Predicate(_is_boot_name)]
    chunks: Annotated[list[Chunk], MaxLen(MAX_BOOT_FILE // 65536)]

    @property
    def bytes(self) -> int:
        return sum(chunk.bytes for chunk in self.chunks)


@dataclass(frozen=True)
class Manifest:
    """What a bundle contains, and for which box it is."""

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT
    version: Annotated[str, Predicate(_is_version)]
    target: Annotated[str, Predicate(_is_target)]
    """The kind of machine, as in `make image TARGET=`."""
    command_line: Annotated[str, MaxLen(1024), Predicate(_is_command_line)]
    """The kernel's, with ``{slot}`` for the letter of the slot."""
    boot: Annotated[list[BootFile], Len(1, 500)]
    root: Annotated[list[Chunk], MaxLen(100_000)]

    @property
    def root_bytes(self) -> int:
        return sum(chunk.bytes for chunk in self.root)

    @property
    def boot_bytes(self) -> int:
        return sum(file.bytes for file in self.boot)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all chunks in the bundle."""
        parts = [self.root, *(file.chunks for file in self.boot)]
        return sum(chunk.stored for part in parts for chunk in part)


_FORM = TypeAdapter(Manifest)


class Source(Protocol):
    """Where a bundle comes from."""

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes; fewer at the end.

        Raises:
            UpdateError: it cannot be read.
        """

    def skip(self, size: int) -> None:
        """Leave out the next *size* bytes."""


def read_keys(files: Sequence[Path]) -> list[Ed25519PublicKey]:
    """Return the public keys of those *files* that exist.

    Raises:
        UpdateError: there is none, or one that others than its owner may write, or no key.
    """
    keys = []
    for file in files:
        try:
            with file.open("rb") as opened:
                writable = os.fstat(opened.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH)
                data = opened.read(MAX_KEY)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UpdateError(f"{file} cannot be read: {error.strerror}") from error
        if writable:
            raise UpdateError(f"{file} is not trusted: others than its owner may write it")
        try:
            key = load_pem_public_key(data)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise UpdateError(f"{file} is not a public key") from error
        if not isinstance(key, Ed25519PublicKey):
            raise UpdateError(f"{file} is not an ed25519 key")
        keys.append(key)
    if not keys:
        raise UpdateError(
            f"there is no public key in {' or '.join(map(str, files))}: no key, no update"
        )
    return keys


def read_manifest(source: Source, keys: Sequence[Ed25519PublicKey]) -> Manifest:
    """Read the head of a bundle; *source* stands at the first chunk afterwards.

    Raises:
        UpdateError: it is no bundle, or nobody who may has signed it.
    """
    head = source.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
        raise UpdateError("this is not an update bundle")
    length = int.from_bytes(head[len(MAGIC) : len(MAGIC) + 4], "big")
    if length > MAX_MANIFEST:
        raise UpdateError("the table of contents of this update bundle is too long")
    text = source.read(length)
    if len(text) < length:
        raise UpdateError("the update bundle is cut off")
    if not any(_signed(key, head[-SIGNATURE_BYTES:], text) for key in keys):
        raise UpdateError("the update bundle is not signed with a key of this box")
    return parse_manifest(text)


def _signed(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True


def parse_manifest(text: bytes) -> Manifest:
    """Return a manifest whose sizes and names are within their limits.

    Raises:
        UpdateError: it is wrong.
    """
    try:
        manifest = _FORM.validate_json(text)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UpdateError(f"the update bundle's table of contents is wrong at {where}") from error
    names = [file.name.lower() for file in manifest.boot]  # FAT does not tell case
    if len(set(names)) < len(names):
        raise UpdateError("the update bundle has a boot file twice")
    if any(file.bytes > MAX_BOOT_FILE for file in manifest.boot):
        raise UpdateError("the update bundle has a boot file that is too large")
    parts = [manifest.root, *(file.chunks for file in manifest.boot)]
    if any((chunk.stored == 0) != (not chunk.stored_sha256) for part in parts for chunk in part):
        raise UpdateError("the update bundle has a chunk that nothing vouches for")
    return manifest


def to_json(manifest: Manifest) -> bytes:
    """Return the manifest as it is signed."""
    return _FORM.dump_json(manifest)


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of a piece of a slot.

    Much of a slot is empty. To see that is many times faster than to hash it.
    """
    if data == bytes(len(data)):
        return _digest_of_zeros(len(data))
    return hashlib.sha256(data).hexdigest()


@functools.lru_cache(maxsize=4)
def _digest_of_zeros(size: int) -> str:
    return hashlib.sha256(bytes(size)).hexdigest()


def pack(data: bytes) -> tuple[Chunk, bytes]:
    """Return a piece of a file as a chunk, and what is stored of it."""
    digest = digest_of(data)
    if data == bytes(len(data)):
        return Chunk(len(data), digest, 0), b""
    packed = zlib.compress(data, 6)
    stored = packed if len(packed) < len(data) else data
    return Chunk(len(data), digest, len(stored), hashlib.sha256(stored).hexdigest()), stored


def unpack(chunk: Chunk, source: Source) -> bytes:
    """Return the next chunk of *source* as it belongs into the slot.

    Raises:
        UpdateError: it is cut off, or is not what was signed.
    """
    if not chunk.stored:
        data = bytes(chunk.bytes)
    else:
        stored = source.read(chunk.stored)
        if len(stored) < chunk.stored:
            raise UpdateError("the update bundle is cut off")
        if hashlib.sha256(stored).hexdigest() != chunk.stored_sha256:
            raise UpdateError("the update bundle is damaged")
        data = stored if chunk.stored == chunk.bytes else _inflate(stored, chunk.bytes)
    if digest_of(data) != chunk.sha256:
        raise UpdateError("the update bundle contradicts itself")
    return data


def _inflate(stored: bytes, limit: int) -> bytes:
    """Unpack *stored*; never more than *limit* bytes, however many it claims to be."""
    try:
        return zlib.decompressobj().decompress(stored, limit)
    except zlib.error as error:
        raise UpdateError("the update bundle cannot be unpacked") from error
