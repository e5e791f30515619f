"""The catalogue of models (``models/catalogue.toml``), and the check before a model is opened.

Light to import: commands that only look at the catalogue need neither numpy nor pydantic.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import re
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from appliance import paths
from appliance.errors import ModelError

OWNER_FILE = "models.toml"
"""Beside ``luna.toml``: models that the owner describes."""
_MAX_BYTES = 1_000_000
WORKING_MB = 300
"""What a model takes in memory besides its files, about."""


@dataclass(frozen=True)
class Part:
    """A member of a Python package (a wheel) that is, or begins, or continues a model file."""

    package: str
    """``name==version``."""
    member: str
    """Path inside the wheel."""
    sha256: str
    """Of the wheel."""


@dataclass(frozen=True)
class ModelFile:
    """One file of a model: from the parts of packages joined in order, a model hub or a URL."""

    name: str
    bytes: int = 0
    sha256: str = ""
    """Empty, as the size: nobody has vouched for it yet, and it is not opened."""
    parts: tuple[Part, ...] = ()
    url: str = ""
    hub: str = ""
    """``OWNER/REPOSITORY/PATH`` on Hugging Face."""
    revision: str = ""
    """Commit on the hub; empty: the newest."""


@dataclass(frozen=True)
class Model:
    """One model."""

    name: str
    title: str
    roles: tuple[str, ...]
    licence: str
    languages: tuple[str, ...]
    memory_mb: int
    files: tuple[ModelFile, ...]
    source: str = ""
    prompt_format: str = ""
    """For language models whose file does not say how a conversation is written."""
    context_tokens: int = 0
    mmproj: str = ""
    """Of a vision model: which of the files is the projector."""

    @property
    def weights(self) -> ModelFile:
        """Return the file of the model itself: the first that is no projector."""
        return next(file for file in self.files if file.name != self.mmproj)

    @property
    def projector(self) -> ModelFile | None:
        """Return the file that turns images into what the model reads."""
        return next((file for file in self.files if file.name == self.mmproj), None)

    @property
    def bytes(self) -> int:
        """Return the size of all files; where it is not known, about what memory they need."""
        known = sum(file.bytes for file in self.files)
        return known if self.vouched_for else max(self.memory_mb - WORKING_MB, 1) * 1_000_000

    @property
    def vouched_for(self) -> bool:
        """Return whether size and hash of every file are known, without which none is opened."""
        return all(file.sha256 for file in self.files)

    def folder(self, models_dir: Path) -> Path:
        """Return where the model lies when it is installed."""
        return models_dir / self.name


@dataclass(frozen=True)
class Catalogue:
    """All models, and which of them are the defaults."""

    models: dict[str, Model]
    defaults: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Model:
        """Return a model by name.

        Raises:
            ModelError: there is none; the message names the nearest.
        """
        if name in self.models:
            return self.models[name]
        near = difflib.get_close_matches(name, self.models, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; see `luna models list`"
        raise ModelError(f"there is no model {name!r} in the catalogue{hint}")

    def for_role(self, role: str) -> list[Model]:
        """Return the models that can take a role, in the order of the catalogue."""
        return [model for model in self.models.values() if role in model.roles]

    def default(self, role: str, memory_mb: int | None = None) -> str:
        """Return the name of the default model of a role, the small one on a small machine.

        Raises:
            ModelError: the catalogue names no default for the role.
        """
        memory_mb = machine_memory_mb() if memory_mb is None else memory_mb
        small = self.defaults.get(f"{role}_small")
        if small and memory_mb < int(self.defaults.get("small_below_mb", 0)):
            return str(small)
        if role not in self.defaults:
            raise ModelError(f"the catalogue of models names no default for {role}")
        return str(self.defaults[role])

    def voice(self, language: str) -> str:
        """Return the default voice of a language; empty when there is none."""
        return str(self.defaults.get("tts", {}).get(language, ""))

    def default_set(self, memory_mb: int | None = None) -> list[str]:
        """Return the names of all models of a standard installation."""
        names = [self.default(role, memory_mb) for role in ("chat", "code", "stt", "endpoint")]
        return list(dict.fromkeys([*names, *self.defaults.get("tts", {}).values()]))

    def test_set(self, memory_mb: int | None = None) -> list[str]:
        """Return the names of all models that the tests need, on a machine of any size."""
        return list(dict.fromkeys([*self.default_set(memory_mb), *self.defaults.get("tests", ())]))


def machine_memory_mb() -> int:
    """Return the machine's memory in MB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def catalogue_path() -> Path:
    """Return the catalogue's file: beside this module when installed, else the repository's."""
    packaged = Path(__file__).with_name("catalogue.toml")
    return packaged if packaged.exists() else Path(__file__).parents[2] / "models/catalogue.toml"


def load_catalogue(path: Path | None = None, owner: Path | None = None) -> Catalogue:
    """Read the catalogue, and over it what the owner describes in a file of the same form.

    Args:
        path: the catalogue; None is Luna's own.
        owner: the owner's file, which need not be there; None is ``models.toml`` beside the
            configuration, and where *path* is given, none.

    A model of the owner's takes the place of one with the same name, and so does a default.

    Raises:
        ModelError: a file cannot be read, or an entry is wrong; the message says which.
    """
    if path is None:
        owner = owner or paths.config_dir() / OWNER_FILE
    path = path or catalogue_path()
    catalogue = _read(path)
    if owner is not None and owner.exists():
        own = _read(owner)
        path = owner
        catalogue = Catalogue(catalogue.models | own.models, {**catalogue.defaults, **own.defaults})
    _check_defaults(catalogue, path)
    return catalogue


def _read(path: Path) -> Catalogue:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ModelError(f"the catalogue of models {path} is larger than {_MAX_BYTES:,} bytes")
        data = tomllib.loads(content.decode())
    except (OSError, ValueError) as error:
        raise ModelError(f"the catalogue of models {path} cannot be read: {error}") from error
    tables = data.get("model", [])
    if not isinstance(tables, list):
        raise ModelError(f"{path}: write [[model]], not [model]")
    models: dict[str, Model] = {}
    for table in tables:
        name = table.get("name", "?") if isinstance(table, dict) else "?"
        try:
            model = _model(table)
            if model.name in models:
                raise ValueError("is described twice")
        except ValueError as error:
            raise ModelError(f"{path}: model {name!r} {error}") from error
        models[model.name] = model
    defaults = data.get("defaults", {})
    if not isinstance(defaults, dict):
        raise ModelError(f"{path}: write [defaults] and below it which model a role takes")
    return Catalogue(models, defaults)


def _check_defaults(catalogue: Catalogue, path: Path) -> None:
    for key, value in catalogue.defaults.items():
        if isinstance(value, int):
            continue
        role = "" if key == "tests" else key.removesuffix("_small")
        names = value.values() if isinstance(value, dict) else value
        if isinstance(value, str):
            names = [value]
        elif not isinstance(value, dict | list):
            raise ModelError(f"{path}: the default for {key} is not the name of a model")
        for name in names:
            if not isinstance(name, str) or name not in catalogue.models:
                raise ModelError(f"{path}: the default for {key}, {name!r}, is not described")
            if role and role not in catalogue.models[name].roles:
                raise ModelError(
                    f"{path}: the default for {key}, {name!r}, has not the role {role}"
                )


def _model(table: object) -> Model:
    """Return a model made of its table; raise ValueError with the rest of a sentence."""
    arguments = _arguments(Model, table)
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()
    }
    files = tuple(_file(file) for file in arguments["files"])
    model = Model(**{**values, "files": files})
    if not _FILE_NAME.fullmatch(model.name):
        raise ValueError("has a name that cannot be a folder's")
    names = {file.name for file in files}
    if not files or len(names) < len(files):
        raise ValueError("has no files, or two of the same name")
    if model.mmproj and (model.mmproj not in names or len(files) == 1):
        raise ValueError(f"has the mmproj {model.mmproj!r}, which is not one of several files")
    if "vision" in model.roles and not model.mmproj:
        raise ValueError("has the role vision and names no mmproj file")
    return model


def _file(table: object) -> ModelFile:
    arguments = _arguments(ModelFile, table)
    parts = tuple(Part(**_arguments(Part, part)) for part in arguments.get("parts", ()))
    file = ModelFile(**{**arguments, "parts": parts})
    if not _FILE_NAME.fullmatch(file.name):
        raise ValueError(f"has a file with an unusable name, {file.name!r}")
    known = parts or "bytes" in arguments or "sha256" in arguments
    if known and file.bytes <= 0:
        raise ValueError(f"has {file.name} with an impossible size")
    if known and not all(
        _SHA256.fullmatch(digest) for digest in (file.sha256, *(p.sha256 for p in parts))
    ):
        raise ValueError(f"has {file.name} with a sha256 that is not 64 small hexadecimal digits")
    if [bool(parts), bool(file.url), bool(file.hub)].count(True) != 1:
        raise ValueError(f"has {file.name}, which needs either parts or a url or a place on a hub")
    if file.hub and not _HUB.fullmatch(file.hub):
        raise ValueError(f"has {file.name}, whose hub is not OWNER/REPOSITORY/PATH")
    if file.url and not file.url.startswith(("https://", "http://")):
        raise ValueError(f"has {file.name}, whose url is neither https nor http")
    for part in parts:
        if not _PACKAGE.fullmatch(part.package):
            raise ValueError(f"has {file.name} from {part.package!r}, which is not name==version")
    return file


_CHUNK = 1 << 20
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(/[\w-][\w.+-]*)+")
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+!-]+")
_TOML_TYPES: dict[object, tuple[type, str]] = {"str": (str, "text"), "int": (int, "a whole number")}


def _arguments(kind: type, table: object) -> dict[str, Any]:
    """Check a table's keys and types against a dataclass; raise ValueError."""
    if not isinstance(table, dict):
        raise ValueError(f"has {table!r} where a table should be")
    known = {item.name: item for item in fields(kind)}
    for key, value in table.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise ValueError(
                f"has an unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        wanted, words = _TOML_TYPES.get(known[key].type, (list, "a list"))
        if type(value) is not wanted:
            raise ValueError(f"has a {key!r} that is not {words}")
    for key, item in known.items():
        if key not in table and item.default is MISSING:
            raise ValueError(f"has no {key!r}")
    return table


def verify(model: Model, models_dir: Path) -> dict[str, Path]:
    """Hash every file of an installed model; return its files by name.

    Called before each opening: a model file that was changed on the disk is never loaded.

    Raises:
        ModelError: a file is missing, has another length, or another hash.
    """
    return {file.name: verify_file(model, file, models_dir) for file in model.files}


def verify_file(
    model: Model,
    file: ModelFile,
    models_dir: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Hash one file of an installed model; return its path.

    *progress* is called with the bytes read, every ``_CHUNK``; what it raises stops the work.

    Raises:
        ModelError: the file is missing, has another length, or another hash, or nobody knows
            which it should have.
    """
    if not file.sha256:
        raise ModelError(
            f"model {model.name} is not opened, because its hash is not known; "
            f"`luna models pull {model.name}` says how to vouch for it"
        )
    path = model.folder(models_dir) / file.name
    repair = f"run `luna models pull {model.name}`"
    try:
        with path.open("rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size != file.bytes:
                raise ModelError(
                    f"model {model.name}: {path} is damaged "
                    f"({size:,} bytes instead of {file.bytes:,}); {repair}"
                )
            if _digest(stream, progress) != file.sha256:
                raise ModelError(
                    f"model {model.name}: {path} was changed (its hash is wrong); {repair}"
                )
    except FileNotFoundError as error:
        raise ModelError(f"model {model.name} is not installed ({path}); {repair}") from error
    except OSError as error:
        raise ModelError(
            f"model {model.name}: {path} cannot be read ({error.strerror}); {repair}"
        ) from error
    return path


def file_digest(path: Path) -> str:
    """Return the sha256 of a file; raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(stream: io.FileIO, progress: Callable[[int], None]) -> str:
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    done = 0
    while count := stream.readinto(buffer):
        digest.update(view[:count])
        done += count
        progress(done)
    return digest.hexdigest()
