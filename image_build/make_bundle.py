r"""`make bundle`: packs an image's root slot and boot files into a signed update bundle.

    python -m image_build.make_bundle key luna-update.key        (writes luna-update.key and .pub)
    python -m image_build.make_bundle pack virt-amd64 --root build/image/virt-amd64.work/root \
        --key luna-update.key --out luna-0.2.0.luna

The private key stays with whoever publishes versions; the public one goes into the image.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.update.bundle import (
    CHUNK,
    MAGIC,
    MAX_MANIFEST,
    BootFile,
    Chunk,
    Manifest,
    pack,
    to_json,
)
from image_build import boot_files, disk
from image_build.targets import TARGETS, Target


def main() -> int:
    """Carry out the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="image_build.make_bundle")
    actions = parser.add_subparsers(dest="action", required=True)
    making = actions.add_parser("key", help="make a pair of keys")
    making.add_argument("file", type=Path, help="the private key; the public one ends in .pub")
    packing = actions.add_parser("pack", help="make a bundle")
    packing.add_argument("target", choices=sorted(TARGETS))
    packing.add_argument("--root", type=Path, required=True, help="the root tree of an image")
    packing.add_argument("--key", type=Path, required=True, help="the private key")
    packing.add_argument("--version", help="instead of the tree's own")
    packing.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.action == "key":
        make_key(arguments.file)
        return 0
    if os.geteuid() != 0:
        sys.stderr.write("make_bundle: the tree of an image belongs to root: run it with sudo\n")
        return 1
    target = TARGETS[arguments.target]
    version = arguments.version or version_of(arguments.root)
    key = read_key(arguments.key)
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    with tempfile.TemporaryDirectory(dir=arguments.out.parent) as folder:
        image = Path(folder) / "root.ext4"
        disk.write_ext4(image, target.root_mebibytes, "root", arguments.root, epoch)
        write_bundle(
            arguments.out,
            key,
            version=version,
            target=target.name,
            command_line=boot_files.command_line(target, "{slot}"),
            boot=slot_files(target, arguments.root),
            root=image,
        )
    print(f"{arguments.out} has Luna {version} for {target.name}")
    return 0


def make_key(file: Path) -> None:
    """Write a new pair of keys: *file* for its owner's eyes alone, and the public one beside it."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(private)
    file.with_suffix(".pub").write_bytes(public_key(key))


def public_key(key: Ed25519PrivateKey) -> bytes:
    """Return the public key that a box checks an update with (PEM)."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def read_key(file: Path) -> Ed25519PrivateKey:
    """Return a private key (PEM).

    Raises:
        ValueError: it is of another kind.
    """
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{file} is not an ed25519 key")
    return key


def version_of(root: Path) -> str:
    """Return the version of Luna in a root tree."""
    line = (root / "opt/luna/lib/appliance/__init__.py").read_text(encoding="utf-8")
    return line.partition('__version__ = "')[2].partition('"')[0]


def slot_files(target: Target, root: Path) -> dict[str, bytes]:
    """Return the files of a slot's folder on the boot partition, by their name in it.

    What says that a slot is good, and which it is, the box writes itself.
    """
    files = boot_files.files(target, root)
    own = ("a/luna.version", "a/luna.good", "a/cmdline.txt")
    return {
        name[2:]: data for name, data in files.items() if name.startswith("a/") and name not in own
    }


def write_bundle(
    out: Path,
    key: Ed25519PrivateKey,
    *,
    version: str,
    target: str,
    command_line: str,
    boot: Mapping[str, bytes],
    root: Path,
) -> None:
    """Write a bundle.

    Args:
        out: the file.
        key: signs it.
        version: of Luna in it.
        target: the machine it is for.
        command_line: the kernel's, with ``{slot}``.
        boot: files of the slot's folder on the boot partition.
        root: image of the root slot's file system.
    """
    with tempfile.TemporaryFile(dir=out.parent) as chunks:
        files = [
            BootFile(name, _packed(_blocks_of(data), chunks)) for name, data in sorted(boot.items())
        ]
        with root.open("rb") as image:
            blocks = _packed(iter(lambda: image.read(CHUNK), b""), chunks)
        manifest = to_json(Manifest(version, target, command_line, files, blocks))
        if len(manifest) > MAX_MANIFEST:
            raise ValueError(f"the table of contents has {len(manifest)} bytes")
        chunks.seek(0)
        with out.open("wb") as bundle:
            bundle.write(MAGIC + len(manifest).to_bytes(4, "big") + key.sign(manifest) + manifest)
            while block := chunks.read(CHUNK):
                bundle.write(block)


def _blocks_of(data: bytes) -> Iterator[bytes]:
    return (data[at : at + CHUNK] for at in range(0, len(data), CHUNK))


def _packed(blocks: Iterator[bytes], out: BinaryIO) -> list[Chunk]:
    """Write what is stored of each block; return the chunks."""
    chunks = []
    for block in blocks:
        chunk, stored = pack(block)
        out.write(stored)
        chunks.append(chunk)
    return chunks


if __name__ == "__main__":
    sys.exit(main())
