"""Model files from a folder, an archive or a single file: for a box without internet.

A *bundle* is a folder or an archive (tar, zip) with the files of models, in folders named after
the models or loose, or a single file of a model.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from appliance.errors import ModelError
from appliance.models.catalogue import Model, ModelFile

_BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile)
_CHUNK = 1 << 20
_MAX_NAMES = 100_000


class Bundle:
    """What can be copied from *path*.

    Raises:
        ModelError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: tarfile.TarFile | zipfile.ZipFile | None = None
        try:
            if path.is_dir():
                names = [p.relative_to(path).as_posix() for p in path.glob("*")]
                names += [p.relative_to(path).as_posix() for p in path.glob("*/*")]
            elif zipfile.is_zipfile(path):
                self._archive = zipfile.ZipFile(path)
                names = self._archive.namelist()
            elif tarfile.is_tarfile(path):
                self._archive = tarfile.open(path)  # noqa: SIM115 - closed by close()
                names = _tar_names(self._archive)
            else:
                names = [path.name]
        except _BROKEN as error:
            raise ModelError(f"{path} cannot be read: {_reason(error)}") from error
        self._names = {name.removeprefix("./"): name for name in names[:_MAX_NAMES]}

    def close(self) -> None:
        """Close the archive, if it is one."""
        if self._archive:
            self._archive.close()

    def holds(self, model: Model) -> bool:
        """Return whether all files of *model* are there."""
        return all(self._find(model, file) for file in model.files)

    def copy(
        self, model: Model, file: ModelFile, target: Path, on_bytes: Callable[[int], None]
    ) -> None:
        """Copy one file, and never more than one byte beyond its size.

        Raises:
            ModelError: it is not there, or cannot be read.
            OSError: it cannot be stored.
        """
        name = self._find(model, file)
        if not name:
            raise ModelError(f"there is no {file.name} of model {model.name} in {self.path}")
        missing = file.bytes + 1
        with target.open("wb") as stream, self._open(name) as source:
            while missing > 0:
                try:
                    chunk = source.read(min(_CHUNK, missing))
                except _BROKEN as error:
                    raise ModelError(f"{self.path} cannot be read: {_reason(error)}") from error
                if not chunk:
                    return
                stream.write(chunk)
                missing -= len(chunk)
                on_bytes(file.bytes - max(missing - 1, 0))

    def _find(self, model: Model, file: ModelFile) -> str:
        """Return the name of the file in the bundle; empty when it is not there."""
        wanted = [f"{model.name}/{file.name}"]
        if self._archive is None or len(model.files) == 1 or self._is_alone():
            wanted.append(file.name)
        inner = [w for w in wanted if w in self._names]
        if not inner and self._archive is not None:
            # An archive of the whole folder begins each name with that folder.
            inner = [name for name in self._names if name.endswith(f"/{wanted[0]}")]
        return self._names[inner[0]] if inner else ""

    def _is_alone(self) -> bool:
        """Return whether all files lie loose in the archive."""
        return not any("/" in name for name in self._names)

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[Any]]:
        try:
            if isinstance(self._archive, zipfile.ZipFile):
                stream: IO[Any] | None = self._archive.open(name)
            elif self._archive is not None:
                stream = self._archive.extractfile(name)
            else:
                stream = (self.path / name if self.path.is_dir() else self.path).open("rb")
        except (*_BROKEN, KeyError, RuntimeError) as error:
            raise ModelError(f"{self.path} cannot be read: {_reason(error)}") from error
        if stream is None:
            raise ModelError(f"{name} in {self.path} is not a file")
        with stream:
            yield stream


def _tar_names(archive: tarfile.TarFile) -> list[str]:
    return [member.name for member in archive if member.isfile()]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
