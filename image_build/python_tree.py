"""Puts Luna and her Python packages into one folder, for an image or a package.

Nothing is run there, so the folder may be for another kind of machine than this one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

from image_build.targets import Target

PROJECT = Path(__file__).parent.parent
LOCK = PROJECT / "requirements/runtime.txt"
WHEEL_PLATFORMS = (
    *(f"manylinux_2_{minor}" for minor in range(36, 4, -1)),
    "manylinux2014",
    "linux",
)
"""What Debian 12 (glibc 2.36) can run, and what was built for it here."""
PYTHON = "3.11.2"
"""Debian 12's."""
ORIGIN = "direct_url.json"
CACHE_TAG = "cpython-311"
"""Of files that this Python compiled."""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def install(library: Path, target: Target, llama_wheel: Path, cache: Path) -> None:
    """Install the locked wheels, llama.cpp and Luna herself.

    Args:
        library: the folder; it goes into the interpreter's path.
        target: the machine it is for.
        llama_wheel: llama-cpp-python for the target.
        cache: where downloaded wheels are kept; the network is needed the first time.
    """
    wheels = wheelhouse(target, cache)
    pip = [*PIP, "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    pip += ["--target", str(library)]
    foreign = _foreign(target)
    lock = wheels / "requirements.txt"
    subprocess.run(
        [*pip, *foreign, "--require-hashes", f"--find-links={wheels}", "-r", lock], check=True
    )
    shutil.rmtree(library / "bin", ignore_errors=True)  # pip would warn of it
    subprocess.run([*pip, *foreign, llama_wheel], check=True)
    shutil.rmtree(library / "bin", ignore_errors=True)
    subprocess.run([*pip, "--no-build-isolation", PROJECT], check=True)
    _tidy(library)


def _tidy(library: Path) -> None:
    """Remove what no wheel needs at run time: programs, headers, tests, a second llama.cpp.

    And pip's notes on the folders that wheels came from, which are not the same everywhere.
    """
    for name in ("bin", "include", "lib", "lib64", "share"):
        shutil.rmtree(library / name, ignore_errors=True)
    for folder in [folder for folder in library.rglob("tests") if folder.is_dir()]:
        shutil.rmtree(folder)
    shutil.rmtree(library / "piper/train", ignore_errors=True)
    for note in library.glob(f"*.dist-info/{ORIGIN}"):
        record = note.with_name("RECORD")
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if f"/{ORIGIN}," not in line))
        note.unlink()


def wheelhouse(target: Target, cache: Path) -> Path:
    """Return a folder with the locked wheels for *target*, and the lock that holds for it."""
    lock = lock_for(target, LOCK)
    key = hashlib.sha256(lock.encode()).hexdigest()[:16]
    folder = cache / f"runtime-{target.arch}-{key}"
    if folder.is_dir():
        return folder
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    part.mkdir(parents=True)
    try:
        (part / "requirements.txt").write_text(lock, encoding="utf-8")
        pip = [*PIP, "download", "--quiet", "--no-deps", "--require-hashes", *_foreign(target)]
        subprocess.run([*pip, "-d", part, "-r", part / "requirements.txt"], check=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def compile_all(root: Path, folders: Iterable[str]) -> None:
    """Compile what lies in *folders* of a root that is read-only.

    What is not compiled now would be compiled at each start. By the hash in them the files hold
    whatever their times are. One after the other, in this Python's order: the bytes would differ
    from build to build otherwise.
    """
    if sys.implementation.cache_tag == CACHE_TAG:
        compiler = [sys.executable, "-m", "compileall", "-s", str(root), "-p", "/"]
        paths = [str(root / folder) for folder in folders]
    else:  # the tree's own, which takes minutes where it is for another kind of machine
        compiler = ["chroot", str(root), "/usr/bin/python3", "-m", "compileall"]
        paths = [f"/{folder}" for folder in folders]
    options = ["-q", "-q", "-f", "--invalidation-mode=unchecked-hash"]
    subprocess.run([*compiler, *options, *paths], check=False)


def lock_for(target: Target, lock: Path) -> str:
    """Return the lines of a lock file that hold for *target*, their conditions taken off.

    pip would judge the conditions by the Python it runs in. Without llama-cpp-python, which has no
    wheel of its own.
    """
    machine = {"python_full_version": PYTHON, "platform_machine": target.platform}
    kept, wanted = [], False
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in " #":
            requirement = Requirement(line.rstrip(" \\"))
            marker = requirement.marker
            wanted = requirement.name != "llama-cpp-python"
            wanted = wanted and (marker is None or marker.evaluate(machine))
            if wanted:
                kept.append(f"{requirement.name}{requirement.specifier} \\")
        elif wanted:
            kept.append(line)
    return "\n".join(kept) + "\n"


def set_times(root: Path, epoch: int) -> None:
    """Let all that lies below *root* be of *epoch*, so that no moment of the build is in it."""
    for folder, folders, names in os.walk(root, topdown=False):
        for name in (*names, *folders, "."):
            os.utime(os.path.join(folder, name), (epoch, epoch), follow_symlinks=False)


def _foreign(target: Target) -> list[str]:
    """Return pip's options for another machine than this one."""
    platforms = [f"--platform={name}_{target.platform}" for name in WHEEL_PLATFORMS]
    return [
        *platforms,
        "--only-binary=:all:",
        f"--python-version={PYTHON}",
        "--implementation=cp",
    ]
