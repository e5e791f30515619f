"""Parts of Luna that the API reaches through protocols, because this package may not import them.

:mod:`appliance.page_services` implements them. All errors are of :mod:`appliance.errors`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, Protocol

Row = dict[str, Any]


class Conversations(Protocol):
    """What was said, kept on the disk."""

    async def newest(self, limit: int) -> list[Row]:
        """Return the newest.

        Rows of ``id``, ``started``, ``updated``, ``messages``, ``title``, ``current``.
        """

    async def search(self, words: str, limit: int) -> list[Row]:
        """Return messages with these words: ``conversation``, ``role``, ``at``, ``snippet``."""

    async def show(self, number: int) -> list[Row] | None:
        """Return the messages of a conversation, oldest first; None: there is no such one."""

    async def delete(self, number: int) -> bool:
        """Delete a conversation for good; return whether it was there."""

    async def begin(self) -> int:
        """Begin a new conversation; return its number."""

    async def open(self, number: int) -> int | None:
        """Go on with a conversation; return the number that it has from now on."""


class Knowledge(Protocol):
    """The owner's documents."""

    async def documents(self) -> list[Row]:
        """Return ``id``, ``name``, ``format``, ``language``, ``bytes``, ``added``, ``chunks``."""

    async def add(self, name: str, data: bytes) -> Row:
        """Read and keep a document; return it.

        Raises:
            RequestError: 413, 415 or 422: it is too large, no document, or cannot be read.
        """

    async def remove(self, number: int) -> bool:
        """Remove a document; return whether it was there."""


class Configuration(Protocol):
    """The settings that may be changed from here."""

    async def rows(self) -> list[Row]:
        """Return each safe key; see ``appliance.safe_settings``."""

    async def change(self, values: Mapping[str, Any]) -> Row:
        """Check, keep and where possible apply *values*; return what was done.

        Raises:
            ConfigError: one of them cannot be used; nothing was changed.
            StorageError: they could not be written.
        """


class Persona(Protocol):
    """The owner's own words in the system prompt, by language."""

    async def read(self) -> dict[str, str]:
        """Return the text of each language; empty where there is none."""

    async def write(self, texts: Mapping[str, str]) -> None:
        """Keep texts; the next question is answered with them.

        Raises:
            ConfigError: one is too long for the prompt.
            StorageError: it could not be written.
        """


class Images(Protocol):
    """Pictures that wait for a question."""

    async def add(self, data: bytes) -> str:
        """Check a picture and keep it for a while; return its id.

        Raises:
            RequestError: 413, 415 or 422: it is too large, no picture, or damaged.
        """

    def get(self, name: str) -> str | None:
        """Return a picture as a ``data:`` URL; None where it is gone."""


class Backups(Protocol):
    """Copies of everything that Luna keeps."""

    async def make(self, folder: Path, *, secrets: bool) -> Path:
        """Make an archive in *folder*; return it.

        Raises:
            StorageError: it could not be made.
        """


class Log(Protocol):
    """The last lines of the log; see :mod:`appliance.log_buffer`."""

    def last(self, limit: int, level: str = "debug", contains: str = "") -> list[Row]:
        """Return up to *limit* lines of at least this level, the oldest first."""

    def follow(self) -> AsyncGenerator[Row, None]:
        """Yield each new line; ends when the log ends, or the subscriber is too slow."""

    def matches(self, line: Row, level: str, contains: str = "") -> bool:
        """Return whether *line* is at least of *level* and contains these words."""


class Ledger(Protocol):
    """What providers used."""

    async def report(self, days: int) -> Row:
        """Return the report of :mod:`appliance.providers.quota_report`."""
