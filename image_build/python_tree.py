"""Puts Luna and her Python packages into one folder, for an image or a package.

Nothing is run there, so the folder may be for another kind of machine than this one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
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
    """Remove what no wheel needs at run time: programs, headers, tests, a second llama.cpp."""
    for name in ("bin", "include", "lib", "lib64", "share"):
        shutil.rmtree(library / name, ignore_errors=True)
    for folder in [folder for folder in library.rglob("tests") if folder.is_dir()]:
        shutil.rmtree(folder)
    shutil.rmtree(library / "piper/train", ignore_errors=True)


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


def compile_all(root: Path, library: Path) -> None:
    """Compile what lies in *library*, for a root that is read-only.

    What is not compiled now would be compiled at each start.
    """
    compiler = [sys.executable, "-m", "compileall", "-q", "-j", "0", "-s", str(root), "-p", "/"]
    subprocess.run([*compiler, "--invalidation-mode=unchecked-hash", str(library)], check=False)


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


def clear_times(root: Path, epoch: int) -> None:
    """Let nothing below *root* be newer than *epoch*."""
    for folder, _, names in os.walk(root):
        for name in (*names, "."):
            path = os.path.join(folder, name)
            if os.lstat(path).st_mtime > epoch:
                os.utime(path, (epoch, epoch), follow_symlinks=False)


def _foreign(target: Target) -> list[str]:
    """Return pip's options for another machine than this one."""
    platforms = [f"--platform={name}_{target.platform}" for name in WHEEL_PLATFORMS]
    return [
        *platforms,
        "--only-binary=:all:",
        f"--python-version={PYTHON}",
        "--implementation=cp",
    ]
