"""Every error that Luna shows to a person.

    LunaError                 1   anything not named below
    ├── UsageError            2   wrong words on the command line, or unusable input
    ├── ConfigError           3   the configuration cannot be used
    ├── ModelError            4   a model file is missing, damaged or cannot be loaded
    ├── AudioError            5   a sound device or a sound file cannot be used
    ├── ServiceError          6   Luna is not running, or does not answer
    ├── TurnError             7   the turn ended without an answer
    ├── ProviderError         8   a provider of answers failed; its kind says how
    ├── StorageError          9   what was to be kept could not be kept, or not be read
    ├── PanelError           10   buttons, LEDs or the board's profile cannot be used
    └── UpdateError          11   an update was refused or failed, or the box is not well

The number is the exit code of the command that failed with it (130 stands for Ctrl+C).
Exceptions of libraries are translated once, where the library is called, with
``raise ... from``. A message is one sentence: what is wrong, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self


class LunaError(Exception):
    """Base of all errors with a sentence for the owner."""

    exit_code = 1
    key = ""
    """Of the same sentence in the catalogues of texts, for who reads another language."""
    values: Mapping[str, object] = {}
    """What goes into its placeholders."""

    def worded(self, key: str, **values: object) -> Self:
        """Say which text of the catalogues this is; return the error itself."""
        self.key, self.values = key, values
        return self


class UsageError(LunaError):
    """Wrong arguments or unusable input."""

    exit_code = 2


class ConfigError(LunaError):
    """The configuration cannot be used; the message lists every mistake."""

    exit_code = 3


class ModelError(LunaError):
    """A model is missing, damaged, or cannot be loaded."""

    exit_code = 4


class AudioError(LunaError):
    """A sound device or sound file cannot be used."""

    exit_code = 5


class ServiceError(LunaError):
    """The service is not running, is busy, or broke the protocol."""

    exit_code = 6


class TurnError(LunaError):
    """The turn ended without an answer."""

    exit_code = 7


class ProviderError(LunaError):
    """A provider did not answer, or not to the end."""

    exit_code = 8

    def __init__(self, message: str, *, kind: str, retry_after_s: float | None = None) -> None:
        """*kind* is one of

        ``rate_limited``  (429; *retry_after_s* as the provider asked), ``server`` (5xx),
        ``timeout``, ``broken`` (the stream ended too early), ``malformed``, ``unreachable`` (no
        connection), ``offline`` (no network at all), ``misconfigured`` (401, 403, 404: key, model
        or address are wrong), ``rejected`` (400: this request), ``unsupported``, ``quota``,
        ``lost`` (the local worker died).
        """
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


class StorageError(LunaError):
    """Something could not be stored, or what is stored cannot be read."""

    exit_code = 9


class PanelError(LunaError):
    """The front panel, or the profile of the board that carries it, cannot be used."""

    exit_code = 10


class UpdateError(LunaError):
    """An update was refused or failed, or the box did not pass its own check."""

    exit_code = 11


def error_of(exit_code: int) -> type[LunaError]:
    """Return the kind of error behind a process's exit code."""
    kinds = {kind.exit_code: kind for kind in LunaError.__subclasses__()}
    return kinds.get(exit_code, ServiceError)
