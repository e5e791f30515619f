"""`make deb`: builds the Debian package `luna_VERSION_ARCH.deb` for this kind of machine.

The package has its own Python packages in /opt/luna/lib, the same tree as in the image, and
nothing of the models: those are fetched with `luna models pull`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

from appliance import __version__
from image_build import python_tree, service_files
from image_build.__main__ import source_date_epoch
from image_build.root_tree import LIBRARY, OVERLAY
from image_build.targets import TARGETS, Target

HERE = Path(__file__).parent
PARTS = HERE / "debian"
"""Maintainer scripts, copyright and lintian's overrides."""
MAINTAINER = "The Luna authors <luna@luna.invalid>"
NEEDED = (
    "python3 (>= 3.11)",
    "python3 (<< 3.12)",  # the wheels in the package are for this one
    "espeak-ng",
    "libportaudio2",  # opened by name, which no tool sees
    "systemd | systemd-standalone-sysusers",
    "ca-certificates",
)
RECOMMENDED = ("alsa-utils", "polkitd", "python3-systemd", "udev")
DESCRIPTION = """\
voice assistant that listens, thinks and speaks locally
 Luna is a voice assistant in a box. Say the wake word or press the button,
 ask, and hear the answer. Speech recognition, language model and voice run
 on the machine itself; cloud services are an extra with a daily limit.
 .
 This package installs it as a hardened systemd service. The models are not
 in it: fetch them with "sudo -u luna luna models pull"."""


def main() -> int:
    """Carry out the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="image_build.deb", description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, help="downloaded wheels")
    parser.add_argument("--llama-wheel", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the package")
    arguments = parser.parse_args()
    package = build(arguments.out, arguments.cache, arguments.llama_wheel)
    print(f"{package} is ready; install it with: apt-get install ./{package.name}")
    return 0


def build(out: Path, cache: Path, llama_wheel: Path) -> Path:
    """Build the package in *out* and return its path; see :func:`.python_tree.install`."""
    target = _this_machine()
    epoch = source_date_epoch()
    root = out / "deb"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    python_tree.install(root / LIBRARY, target, llama_wheel, cache)
    command = root / "usr/bin/luna"
    command.parent.mkdir(parents=True)
    shutil.copyfile(OVERLAY / "usr/bin/luna", command)
    command.chmod(0o755)
    service_files.put(root)
    configuration = root / "etc/luna/luna.toml"
    configuration.parent.mkdir(parents=True)
    shutil.copyfile(HERE / "setup/luna.toml", configuration)
    _documents(root, epoch)
    _control(root, target)
    _modes(root)
    python_tree.set_times(root, epoch)
    package = out / f"luna_{__version__}_{target.arch}.deb"
    # Wheels hardly become smaller with anything slower; lintian takes no zstd yet.
    packed = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z4", "--build"]
    subprocess.run(
        [*packed, str(root), str(package)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
    )
    return package


def _this_machine() -> Target:
    asked = ["dpkg", "--print-architecture"]
    arch = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return next(target for target in TARGETS.values() if target.arch == arch)


def _documents(root: Path, epoch: int) -> None:
    folder = root / service_files.DOCUMENTS
    shutil.copyfile(PARTS / "copyright", folder / "copyright")
    entry = (
        f"luna ({__version__}) stable; urgency=medium\n\n"
        "  * See https://keepachangelog.com: CHANGELOG.md of the sources.\n\n"
        f" -- {MAINTAINER}  {formatdate(epoch)}\n"
    )
    (folder / "changelog.gz").write_bytes(gzip.compress(entry.encode(), 9, mtime=0))
    overrides = root / "usr/share/lintian/overrides/luna"
    overrides.parent.mkdir(parents=True)
    shutil.copyfile(PARTS / "lintian-overrides", overrides)


def _control(root: Path, target: Target) -> None:
    """Write the package's description, its scripts and the hashes of its files."""
    folder = root / "DEBIAN"
    folder.mkdir()
    files = [file for file in _files(root) if "DEBIAN" not in file.parts]
    size = sum(file.lstat().st_size for file in files) // 1024
    control = (
        "Package: luna\n"
        f"Version: {__version__}\n"
        f"Architecture: {target.arch}\n"
        f"Maintainer: {MAINTAINER}\n"
        f"Installed-Size: {size}\n"
        f"Depends: {', '.join((*NEEDED, *_libraries(root)))}\n"
        f"Recommends: {', '.join(RECOMMENDED)}\n"
        "Section: sound\n"
        "Priority: optional\n"
        f"Description: {DESCRIPTION}\n"
    )
    (folder / "control").write_text(control, encoding="utf-8")
    (folder / "conffiles").write_text("/etc/luna/luna.toml\n", encoding="ascii")
    for name in ("preinst", "postinst", "prerm", "postrm"):
        shutil.copyfile(PARTS / name, folder / name)
    lines = (
        f"{hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()}  "
        f"{file.relative_to(root)}\n"
        for file in files
        if not file.is_symlink() and file.parts[len(root.parts)] != "etc"
    )
    (folder / "md5sums").write_text("".join(lines), encoding="utf-8")


def _libraries(root: Path) -> list[str]:
    """Return the Debian packages with the libraries that the wheels are linked to."""
    objects = [file for file in _files(root / LIBRARY) if ".so" in file.name]
    # dpkg-shlibdeps wants to see the sources of a package.
    (root / "debian").mkdir()
    (root / "debian/control").write_text("Source: luna\n\nPackage: luna\nArchitecture: any\n")
    private = sorted({f"-l{file.parent.relative_to(root)}" for file in objects})
    command = ["dpkg-shlibdeps", "-O", "--ignore-missing-info", "-xluna", *private]
    command += [f"-e{file.relative_to(root)}" for file in objects]
    try:
        done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(error.stderr[-2000:])
        raise
    finally:
        shutil.rmtree(root / "debian")
    (line,) = done.stdout.splitlines()
    return line.removeprefix("shlibs:Depends=").split(", ")


def _modes(root: Path) -> None:
    """Give everything the owner's rights that Debian wants, whatever this user's umask is."""
    for path in (root, *root.rglob("*")):
        if path.is_symlink():
            continue
        scripts = path.parent.name == "DEBIAN" and path.name in (
            "preinst",
            "postinst",
            "prerm",
            "postrm",
        )
        if path.is_dir() or scripts or path == root / "usr/bin/luna":
            path.chmod(0o755)
        else:
            path.chmod(0o644)


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_symlink() or path.is_file())


if __name__ == "__main__":
    sys.exit(main())
