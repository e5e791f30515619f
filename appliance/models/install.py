"""Installs models: downloads, joins, verifies, and only then shows them.

A model is put together in ``.partial/NAME`` and moved to its place by one rename, when each
file has the length and the hash of the catalogue. Whatever interrupts that, nothing wrong is
ever visible under the model's name, and the next attempt goes on with what is there.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance import paths
from appliance.errors import LunaError, ModelError
from appliance.models.bundle import Bundle
from appliance.models.catalogue import Model, ModelFile, file_digest, load_catalogue, verify
from appliance.models.download import Patience, download
from appliance.models.hub import address
from appliance.models.packages import join
from appliance.models.progress import Meter, Progress, ProgressLine

SPARE_BYTES = 200_000_000
"""Free space that is left over after an installation."""


def pull(
    model: Model,
    models_dir: Path,
    progress: Progress | None = None,
    *,
    bundle: Bundle | None = None,
    patience: Patience | None = None,
    on_wait: Callable[[], None] = lambda: None,
) -> Path:
    """Install *model* below *models_dir* unless it is there already; return its folder.

    Safe to run twice at once: the second waits for the first, after calling *on_wait*. *progress*
    is called when another whole per cent is there. The files come out of *bundle*, if given.

    Raises:
        ModelError: it cannot be had or stored, or what came is not what it should be.
    """
    if not model.vouched_for:
        raise ModelError(f"nobody vouches for model {model.name}; see `luna models pull --help`")
    folder = model.folder(models_dir)
    try:
        with locked(model.name, models_dir, on_wait) as lock:
            installation = _Installation(model, models_dir, lock, progress, bundle, patience)
            with contextlib.suppress(ModelError):
                verify(model, models_dir)
                installation.meter.finish_file(model.bytes)
                return folder
            installation.run()
    except OSError as error:
        raise ModelError(
            f"model {model.name} cannot be stored in {models_dir} ({error.strerror or error}); "
            "when that is mended, `luna models pull` goes on where it stopped"
        ) from error
    return folder


def remove(model: Model, models_dir: Path) -> int:
    """Remove what is installed of *model*, and what was begun; return the bytes that are free.

    Raises:
        ModelError: it cannot be removed.
    """
    folder = model.folder(models_dir)
    partial = _partial(model.name, models_dir)
    try:
        with locked(model.name, models_dir):
            size = sum(f.stat().st_size for f in _files(folder) + _files(partial))
            gone = partial.with_name(f"{model.name}.old")
            if folder.exists():
                # One step: nobody ever sees half of a model.
                shutil.rmtree(gone, ignore_errors=True)
                folder.rename(gone)
            for stale in (gone, partial):
                if stale.exists():
                    shutil.rmtree(stale)
    except OSError as error:
        raise ModelError(f"model {model.name} cannot be removed: {error.strerror}") from error
    return size


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _partial(name: str, models_dir: Path) -> Path:
    return models_dir / ".partial" / name


@contextlib.contextmanager
def locked(
    name: str, models_dir: Path, on_wait: Callable[[], None] = lambda: None
) -> Iterator[int]:
    """Hold the lock of a model; yield its descriptor. Raises OSError."""
    partial = _partial(name, models_dir)
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.with_name(f"{name}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream.fileno()


class _Installation:
    """One model on its way to its place."""

    def __init__(
        self,
        model: Model,
        models_dir: Path,
        lock: int,
        progress: Progress | None,
        bundle: Bundle | None,
        patience: Patience | None,
    ) -> None:
        self.meter = Meter(model, progress)
        self._model = model
        self._folder = model.folder(models_dir)
        self._partial = _partial(model.name, models_dir)
        self._lock = lock
        self._bundle = bundle
        self._patience = patience

    def run(self) -> None:
        """Bring all files, and show the model."""
        self._partial.mkdir(exist_ok=True)
        _check_space(self._model, self._folder.parent, self._partial)
        for file in self._model.files:
            self._get(file)
            self.meter.finish_file(file.bytes)
        _publish(self._model, self._folder, self._partial)

    def _get(self, file: ModelFile) -> None:
        """Bring one file into the partial folder and check it."""
        path = self._partial / file.name
        if path.exists() and file_digest(path) == file.sha256:
            return
        growing = self._partial / f"{file.name}.growing"
        began_before = growing.exists()
        self._bring(file, growing)
        if began_before and not _is(file, growing):
            # What an earlier attempt left may be of another version: once more from the start.
            growing.unlink()
            self._bring(file, growing)
        if not _is(file, growing):
            growing.unlink()
            raise ModelError(
                f"what was brought for {file.name} of model {self._model.name} is not what its "
                "description says (its size or hash is wrong), so it was thrown away"
            )
        with growing.open("rb") as stream:
            os.fsync(stream.fileno())
        growing.rename(path)

    def _bring(self, file: ModelFile, growing: Path) -> None:
        if self._bundle:
            self._bundle.copy(self._model, file, growing, self.meter.show)
        elif file.parts:
            join(file, self._partial, growing, self.meter.show, self._lock)
        else:
            download(address(file), growing, file.bytes, self.meter.show, self._patience)


def _is(file: ModelFile, path: Path) -> bool:
    return path.stat().st_size == file.bytes and file_digest(path) == file.sha256


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
            pull(catalogue.get(name), arguments.dir, ProgressLine())
    except LunaError as error:
        sys.stderr.write(f"\n{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped; the next attempt goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
