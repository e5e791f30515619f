"""The owner's own words in the system prompt: one text a language, in plain words.

They lie beside the owner's templates, as ``en/persona.txt``, and are no template: braces in them
are braces.
"""

from __future__ import annotations

from pathlib import Path

from appliance.config_edit import NotWritableError
from appliance.errors import ConfigError
from appliance.whole_file import replace

FILE = "persona.txt"
MAX_BYTES = 4096
LANGUAGES = ("en", "pt")


def path_of(folder: Path, language: str) -> Path:
    """Return the file of a language in the folder of the owner's prompts."""
    return folder / language / FILE


def read(folder: Path, language: str) -> str:
    """Return the text; empty where there is none.

    Raises:
        ConfigError: it cannot be read, or is too long.
    """
    path = path_of(folder, language)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes; shorten it")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from error


def write(folder: Path, language: str, text: str) -> None:
    """Keep a text, in one step; an empty one is taken away.

    Raises:
        ConfigError: it is too long.
        NotWritableError: the folder cannot be written.
    """
    path = path_of(folder, language)
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError(f"the persona has {MAX_BYTES} bytes at most")
    try:
        if text.strip():
            replace(path, text.strip())
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise NotWritableError(f"{path} cannot be written: {error.strerror}") from error
