"""Keys of providers: from systemd's credentials or the environment, never from a file of settings.

A credential is given to the service alone: a file ``/etc/luna/credentials/GROQ_API_KEY``, which the
unit loads, or ``LoadCredentialEncrypted=`` in a drop-in of it (systemd.exec(5)).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from appliance.errors import ConfigError

MAX_BYTES = 4096
_SHOWN = 4
_LONG_ENOUGH = 20
"""A key of so many characters is safe to be recognised by its last four."""


class Secret:
    """A key that does not show itself: not in ``repr``, a log, a traceback or an error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the key itself; call it only where it is put into a header."""
        return self._value

    def masked(self) -> str:
        """Return what the owner may see, to tell one key from another."""
        return "***" + (self._value[-_SHOWN:] if len(self._value) >= _LONG_ENOUGH else "")

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a secret stays in its process")


def find_key(name: str, environ: Mapping[str, str] | None = None) -> Secret | None:
    """Return the key called *name*, such as ``GROQ_API_KEY``; None when there is none.

    The credential of this name (or of its lower-case form) wins over the environment.

    Raises:
        ConfigError: it cannot be read, or is nothing that could stand in a header.
    """
    environ = os.environ if environ is None else environ
    text = _credential(name, environ.get("CREDENTIALS_DIRECTORY", ""))
    if text is None:
        text = environ.get(name, "")
    text = text.strip()
    if not text:
        return None
    if len(text) > MAX_BYTES or not (text.isascii() and text.isprintable()) or " " in text:
        raise ConfigError(f"{name} is not a key: it is too long, or has blanks or odd characters")
    return Secret(text)


def _credential(name: str, folder: str) -> str | None:
    if not folder:
        return None
    # systemd names a file of a folder after the credential and the file: `LoadCredential=key:DIR`.
    for file in (Path(folder) / form for form in (name, name.lower(), f"key_{name}")):
        try:
            with file.open("rb") as stream:
                return stream.read(MAX_BYTES + 1).decode("utf-8", "replace")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"the credential {name} cannot be read: {error.strerror}") from error
    return None
