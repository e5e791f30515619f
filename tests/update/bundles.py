"""Small bundles for tests, and a box's tree to install them in."""

from __future__ import annotations

import io
import random
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance import __version__
from appliance.update.bundle import CHUNK
from appliance.update.slots import entry_text
from appliance.update.source import FileSource
from appliance.update.updater import Places
from image_build.make_bundle import write_bundle

KEY = Ed25519PrivateKey.generate()
COMMAND_LINE = "root=PARTLABEL=root_{slot} ro luna.slot={slot} console=ttyS0"
TARGET = "virt-amd64"
NEXT = "0.1.9"
"""Of the same minor series as what runs."""


def random_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def root_of(version: str, size: int = 3 * 4096) -> bytes:
    """Return a root slot's content: a page that names the version, something, and nothing."""
    begin = version.encode().ljust(4096, b"\1")
    return (begin + random_bytes(4096)).ljust(size, b"\0")


def boot_of(version: str) -> dict[str, bytes]:
    return {
        "linux": f"kernel {version}".encode() * 100,
        "initrd": f"initrd {version}".encode() * 60,
    }


def bundle(
    folder: Path,
    version: str = NEXT,
    *,
    key: Ed25519PrivateKey = KEY,
    target: str = TARGET,
    root: bytes | None = None,
    boot: dict[str, bytes] | None = None,
) -> Path:
    """Write a bundle; return its file."""
    image = folder / "root.ext4"
    image.write_bytes(root_of(version) if root is None else root)
    out = folder / f"luna-{version}.luna"
    write_bundle(
        out,
        key,
        version=version,
        target=target,
        command_line=COMMAND_LINE,
        boot=boot or boot_of(version),
        root=image,
    )
    return out


def as_source(data: bytes) -> FileSource:
    return FileSource(io.BytesIO(data))


def public_key(key: Ed25519PrivateKey = KEY) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def box(folder: Path, slot_bytes: int = 8 * 4096, *, running: str = "a") -> Places:
    """Make the tree of a box that runs slot *running*; the other one is empty."""
    places = Places(folder / "box")
    for part in ("boot/loader/entries", f"boot/{running}", "proc", "usr/share/luna", "run"):
        (places.root / part).mkdir(parents=True, exist_ok=True)
    (places.root / "dev/disk/by-partlabel").mkdir(parents=True)
    places.command_line.write_text(f"root=PARTLABEL=root_a ro luna.slot={running} quiet\n")
    places.keys[0].write_bytes(public_key())
    places.keys[0].chmod(0o644)
    places.target.write_text(f"{TARGET}\n")
    for name, data in boot_of(__version__).items():
        (places.boot / running / name).write_bytes(data)
    text = entry_text(running, 0, __version__, COMMAND_LINE)
    (places.boot / f"loader/entries/luna-{running}.conf").write_text(text)
    for slot in ("a", "b"):
        content = root_of(__version__) if slot == running else b""
        places.slot(slot).write_bytes(content.ljust(slot_bytes, b"\0"))
    return places


assert CHUNK % 4096 == 0
