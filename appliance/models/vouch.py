"""Who vouches for a model without a hash in the catalogue: the owner, or the hub it is on.

What was agreed on is written to ``models.toml`` beside the configuration, which the owner trusts
and the folder of the models has no part in. From then on the model is one like all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from appliance import paths, whole_file
from appliance.errors import ModelError, UsageError
from appliance.models.catalogue import OWNER_FILE, Model, ModelFile
from appliance.models.hub import published

SizeOf = Callable[[ModelFile], int]
_SHA256 = re.compile(r"[0-9a-f]{64}")


def hashes(model: Model, given: Iterable[str]) -> dict[str, str]:
    """Return the hash by file name that the owner wrote as ``[FILE=]SHA256``.

    Raises:
        UsageError: it is none, or the file is not one of the model's.
    """
    found: dict[str, str] = {}
    names = [file.name for file in model.files]
    for text in given:
        name, _, digest = text.rpartition("=")
        name = name or (names[0] if len(names) == 1 else "")
        if not _SHA256.fullmatch(digest.lower()):
            raise UsageError(f"--sha256 {text}: a sha256 has 64 hexadecimal digits")
        if name not in names:
            raise UsageError(
                f"--sha256 {text}: write FILE=SHA256 with a file of {model.name}, which has "
                + ", ".join(names)
            )
        found[name] = digest.lower()
    return found


def described(model: Model, given: Mapping[str, str], scratch: Path, size_of: SizeOf) -> Model:
    """Return *model* with size and hash of every file.

    Args:
        model: one of whose files some have neither.
        given: hashes that the owner gave, by file name; they win over the hub's.
        scratch: a file that may be written and is removed again.
        size_of: called with a file that has a URL; returns its size in bytes.

    Raises:
        ModelError: nobody vouches for a file.
        OSError: *scratch* cannot be written.
    """
    files: list[ModelFile] = []
    for file in model.files:
        if file.sha256:
            files.append(file)
        elif file.name in given:
            files.append(replace(file, bytes=size_of(file), sha256=given[file.name]))
        elif file.hub:
            files.append(published(file, scratch))
        else:
            raise ModelError(
                f"the hash of {file.name} of model {model.name} is not known; take it from its "
                f"publisher and write --sha256 {file.name}=..."
            )
    return replace(model, files=tuple(files))


def remember(model: Model) -> Path:
    """Describe *model* in the owner's ``models.toml``, whose other content stays; return its path.

    Raises:
        ModelError: the file cannot be read or written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = paths.config_dir() / OWNER_FILE
    try:
        text = path.read_text("utf-8") if path.exists() else ""
        document = tomlkit.parse(text)
        tables = document.setdefault("model", tomlkit.aot())
        for table in [t for t in tables if t.get("name") == model.name]:
            tables.remove(table)
        tables.append(_table(model))
        whole_file.replace(path, tomlkit.dumps(document))
    except (OSError, TOMLKitError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(
            f"what was found out about {model.name} cannot be kept in {path} ({reason})"
        ) from error
    return path


def _table(item: Any) -> Any:
    """Return a table of those fields that differ from their defaults."""
    import tomlkit

    table = tomlkit.table()
    for field in fields(item):
        value = getattr(item, field.name)
        if field.name == "files":
            files = tomlkit.aot()
            for file in value:
                files.append(_table(file))
            table.append(field.name, files)
        elif value != field.default:
            table.append(field.name, list(value) if isinstance(value, tuple) else value)
    return table
