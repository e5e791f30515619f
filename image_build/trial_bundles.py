"""The bundles that a virtual box is tried with: good, refused and broken ones, on one stick."""

from __future__ import annotations

import py_compile
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.update.bundle import HEAD_BYTES, SIGNATURE_BYTES
from image_build import boot_partition, cut_box, disk, make_bundle
from image_build.targets import MEBIBYTE, Target

MORE = "modules_load=snd-aloop mitigations=off"
"""A silent microphone; and nothing that an emulated processor cannot have, but must pay for."""
LIBRARY = "opt/luna/lib"
NEEDED = "PARTLABEL=nowhere /srv ext4 x-systemd.device-timeout=10 0 2\n"
"""A line of fstab that nothing can fulfil."""


class Bundles:
    """Writes the bundles into *folder*.

    Args:
        folder: becomes the content of a stick.
        work: beside the root tree, whose files are shared.
    """

    def __init__(
        self, folder: Path, work: Path, target: Target, root: Path, key: Ed25519PrivateKey
    ) -> None:
        self._folder, self._work, self._target = folder, work, target
        self._root, self._key = root, key
        self.boot = make_bundle.slot_files(target, root)
        self._line = boot_partition.command_line(target, MORE)

    def luna(self, version: str, changes: Mapping[str, str]) -> None:
        """Pack the image's own root as another version, with some files changed."""
        tree = self._work / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        subprocess.run(["cp", "-al", self._root, tree], check=True)
        change(tree, f"{LIBRARY}/appliance/__init__.py", f'__version__ = "{version}"\n')
        for name, content in changes.items():
            change(tree, name, content)
        self.pack(version, self._image(tree, self._target.root_mebibytes))

    def small(self, version: str, fstab: str) -> None:
        """Pack the small system of the power cuts, with *fstab* more to mount."""
        tree = self._work / "tree"
        cut_box.make_tree(self._root, tree)
        change(tree, "etc/fstab", (tree / "etc/fstab").read_text() + fstab)
        self.pack(version, self._image(tree, cut_box.ROOT_MEBIBYTES))

    def pack(
        self,
        version: str,
        root: Path,
        *,
        name: str = "",
        key: Ed25519PrivateKey | None = None,
        target: str = "",
        boot: Mapping[str, bytes] | None = None,
    ) -> Path:
        """Write a bundle."""
        out = self._folder / f"luna-{name or version}.luna"
        make_bundle.write_bundle(
            out,
            key or self._key,
            version=version,
            target=target or self._target.name,
            command_line=self._line,
            boot=self.boot if boot is None else boot,
            root=root,
        )
        return out

    def garbage(self) -> Path:
        """Return the image of a root that cannot be mounted."""
        file = self._work / "garbage"
        file.write_bytes(random.Random(1).randbytes(MEBIBYTE))  # noqa: S311 - not for secrets
        return file

    def refused(self) -> None:
        """Write what must not be installed."""
        root, boot = self.garbage(), {"linux": b"kernel", "initrd": b"initrd"}
        data = bytearray(self.pack("0.1.9", root, boot=boot).read_bytes())
        damaged = data[:-1] + bytes([data[-1] ^ 1])
        unsigned = data.copy()
        unsigned[HEAD_BYTES - SIGNATURE_BYTES : HEAD_BYTES] = bytes(SIGNATURE_BYTES)
        for name, content in (
            ("damaged", damaged),
            ("cut-off", data[:-100]),
            ("unsigned", unsigned),
            ("no-bundle", data[1:]),
        ):
            (self._folder / f"luna-{name}.luna").write_bytes(content)
        other = Ed25519PrivateKey.generate()
        self.pack("0.1.9", root, boot=boot, key=other, name="other-key")
        self.pack("0.1.9", root, boot=boot, target="pi5", name="other-machine")
        self.pack("0.1.0", root, boot=boot, name="same")
        self.pack("0.0.9", root, boot=boot, name="older")

    def _image(self, tree: Path, mebibytes: int) -> Path:
        image = self._work / "root.ext4"
        image.unlink(missing_ok=True)  # it may be of another size
        disk.write_ext4(image, mebibytes, "root", tree, 0)
        return image


def change(tree: Path, name: str, content: str) -> None:
    """Write a file of *tree*, which shares its files with another."""
    file = tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_text(content)
    file.chmod(0o644)
    if file.suffix == ".py":
        compiled = file.parent / "__pycache__" / f"{file.stem}.cpython-311.pyc"
        compiled.unlink(missing_ok=True)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(file), str(compiled), f"/{name}", True, invalidation_mode=mode)


def write_stick(
    stick: Path, work: Path, target: Target, root: Path, key: Ed25519PrivateKey
) -> None:
    """Write all bundles, and a file system with them."""
    folder = work / "bundles"
    folder.mkdir()
    bundles = Bundles(folder, work, target, root, key)
    bundles.luna("0.1.1", {})
    broken = {f"{LIBRARY}/appliance/app.py": 'raise RuntimeError("broken on purpose")\n'}
    bundles.luna("0.1.2", broken)
    bundles.small("0.1.3", NEEDED)
    bundles.pack("0.1.4", bundles.garbage())
    bundles.pack("0.1.5", bundles.garbage(), boot={**bundles.boot, "initrd": b"garbage"})
    bundles.small("0.1.6", "")
    bundles.refused()
    shutil.rmtree(work / "tree")
    size = sum(file.stat().st_size for file in folder.iterdir())
    disk.write_ext4(stick, size // MEBIBYTE + 64, "updates", folder, 0)
    shutil.rmtree(folder)
