"""What the page reaches of conversations, documents, pictures, persona, backups and the ledger.

Each implements a protocol of :mod:`appliance.web.ports`. What waits for the disk does so on a
thread of its own.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from appliance import images, paths, sandbox
from appliance.assistant import persona
from appliance.assistant.conversations import Conversations
from appliance.clock import monotonic
from appliance.config_edit import NotWritableError
from appliance.errors import LunaError, ModelError, StorageError, UsageError
from appliance.knowledge import documents
from appliance.knowledge.search import embed_missing
from appliance.knowledge.store import KnowledgeStore
from appliance.settings import Settings
from appliance.storage.background import Background
from appliance.web.routing import RequestError

IMAGE_S = 600.0
MAX_IMAGES = 8
IMAGE_LIMITS = sandbox.Limits(memory_bytes=640 << 20, cpu_s=20, wall_s=40.0, output_bytes=8 << 20)
Row = dict[str, Any]


class PageConversations:
    """Conversations on the disk; the service looks there before each answer.

    Args:
        kept: the file; None: nothing is kept.
        disk: where it is used.
        clear: ends the conversation in memory, where nothing is kept.
    """

    def __init__(
        self, kept: Conversations | None, disk: Background, clear: Callable[[], None]
    ) -> None:
        self._kept = kept
        self._disk = disk
        self._clear = clear

    async def newest(self, limit: int) -> list[Row]:
        """Return the newest conversations."""
        if self._kept is None:
            return []
        found = await self._disk.call(self._kept.newest, limit)
        current = max((one.id for one in found), default=0)
        return [{**asdict(one), "current": one.id == current} for one in found]

    async def search(self, words: str, limit: int) -> list[Row]:
        """Return messages with these words."""
        if self._kept is None:
            return []
        found = await self._disk.call(self._kept.search, words, limit)
        return [
            {"conversation": one.conversation_id, "role": one.role, "at": one.at,
             "snippet": one.snippet}
            for one in found
        ]  # fmt: skip

    async def show(self, number: int) -> list[Row] | None:
        """Return a conversation's messages; None: there is no such one."""
        if self._kept is None or not await self._disk.call(self._kept.has, number):
            return None
        return [asdict(one) for one in await self._disk.call(self._kept.show, number)]

    async def delete(self, number: int) -> bool:
        """Delete a conversation; the current one is followed by a new one."""
        if self._kept is None:
            return False
        return await self._disk.call(self._delete, self._kept, number)

    @staticmethod
    def _delete(kept: Conversations, number: int) -> bool:
        if not kept.has(number):
            return False
        current = kept.current()
        kept.purge([number])
        if number == current:
            kept.begin()  # else an older one would be gone on with
        return True

    async def begin(self) -> int:
        """Begin a new conversation; return its number, 0 where none is kept."""
        if self._kept is None:
            self._clear()
            return 0
        return await self._disk.call(self._kept.begin)

    async def open(self, number: int) -> int | None:
        """Go on with a conversation; return its number from now on."""
        if self._kept is None:
            return None
        return await self._disk.call(self._kept.reopen, number) or None


class PageKnowledge:
    """The owner's documents.

    Args:
        store: the file.
        disk: where it is used.
        embedder: returns what embeds passages; None where words alone find them.
        warn: is told when embedding fails: the document is there all the same.
    """

    def __init__(
        self,
        store: KnowledgeStore,
        disk: Background,
        embedder: Callable[[], Any],
        warn: Callable[[LunaError], None],
    ) -> None:
        self._store = store
        self._disk = disk
        self._embedder = embedder
        self._warn = warn
        self._reading = asyncio.Lock()
        """One at a time: a document may take much memory to read."""

    async def documents(self) -> list[Row]:
        """Return all documents by name."""
        return [asdict(one) for one in await self._disk.call(self._store.documents)]

    async def add(self, name: str, data: bytes) -> Row:
        """Read and keep a document; return its row.

        Raises:
            RequestError: 413, 415, 422.
        """
        if len(data) > documents.MAX_BYTES:
            raise RequestError(413, f"a document has {documents.MAX_BYTES:,} bytes at most").worded(
                "refusal.document_large", megabytes=documents.MAX_BYTES // 1_000_000
            )
        if not data:
            raise RequestError(400, "the document is empty").worded("refusal.document_empty")
        try:
            documents.format_of(name, data)
        except UsageError as error:
            raise RequestError(415, str(error)).worded("refusal.document_kind") from error
        async with self._reading:
            try:
                document = await asyncio.to_thread(documents.read_upload, name, data)
                await self._disk.call(self._store.add, document)
            except UsageError as error:
                raise RequestError(422, str(error)).worded("refusal.document_unread") from error
            await self._disk.call(self._embed)
        return next(row for row in await self.documents() if row["name"] == name)

    def _embed(self) -> None:
        try:
            embedder = self._embedder()
            if embedder is None:
                return
            try:
                embed_missing(self._store, embedder)
            finally:
                embedder.close()
        except ModelError as error:
            self._warn(error)

    async def remove(self, number: int) -> bool:
        """Remove a document; return whether it was there."""
        return await self._disk.call(self._remove, number)

    def _remove(self, number: int) -> bool:
        names = [one.name for one in self._store.documents() if one.id == number]
        return bool(names) and self._store.remove(names[0])


class PageImages:
    """Pictures in memory, for a while: the newest few."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, bytes]] = {}
        self._reading = asyncio.Lock()

    async def add(self, data: bytes) -> str:
        """Check a picture, apart; return its id.

        Raises:
            RequestError: 413, 415, 422.
        """
        if len(data) > images.MAX_BYTES:
            raise RequestError(413, f"a picture has {images.MAX_BYTES:,} bytes at most").worded(
                "refusal.too_large"
            )
        if not images.looks_like_image(data):
            raise RequestError(
                415, "this is no image that can be read: use JPEG, PNG or WebP"
            ).worded("refusal.picture_kind")
        async with self._reading:
            try:
                jpeg = await asyncio.to_thread(
                    sandbox.run, "appliance.images:to_jpeg", data, (), IMAGE_LIMITS
                )
            except UsageError as error:
                raise RequestError(422, f"the picture cannot be used: {error}").worded(
                    "refusal.picture_unread"
                ) from error
        name = secrets.token_urlsafe(16)
        self._kept[name] = self._clock(), jpeg
        self._tidy()
        return name

    def get(self, name: str) -> str | None:
        """Return a picture as a ``data:`` URL."""
        self._tidy()
        found = self._kept.get(name)
        return f"data:image/jpeg;base64,{base64.b64encode(found[1]).decode()}" if found else None

    def _tidy(self) -> None:
        oldest = self._clock() - IMAGE_S
        young = [(name, kept) for name, kept in self._kept.items() if kept[0] > oldest]
        self._kept = dict(young[-MAX_IMAGES:])


class PagePersona:
    """The owner's own words in the system prompt.

    Args:
        folder: of the owner's prompts.
        disk: where the files are read and written.
        changed: called with the language when a text is another one.
    """

    def __init__(self, folder: Path, disk: Background, changed: Callable[[str], None]) -> None:
        self._folder = folder
        self._disk = disk
        self._changed = changed

    async def read(self) -> dict[str, str]:
        """Return the text of each language."""
        return {
            language: await self._disk.call(persona.read, self._folder, language)
            for language in persona.LANGUAGES
        }

    async def write(self, texts: Mapping[str, str]) -> None:
        """Keep texts; an empty one is taken away.

        Raises:
            RequestError: 409: the folder cannot be written.
        """
        try:
            for language, text in texts.items():
                await self._disk.call(persona.write, self._folder, language, text)
        except NotWritableError as error:
            raise RequestError(409, str(error)).worded("refusal.not_writable") from error
        for language in texts:
            self._changed(language)


class PageBackups:
    """Copies of the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    async def make(self, folder: Path, *, secrets: bool) -> Path:
        """Make an archive in *folder*; return it."""
        from appliance.storage.backup import backup

        made = await asyncio.to_thread(partial(backup, self._data_dir, folder, secrets=secrets))
        return made.path


class PageLedger:
    """What providers used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def report(self, days: int) -> Row:
        """Return the report of the last *days*."""
        from appliance.providers.assembly import owner_zone
        from appliance.providers.quota_report import report

        if not (paths.data_dir(self._settings.general.data_dir) / "quota").is_dir():
            raise StorageError(
                "the ledger of the providers is not there yet; try again in a moment"
            )
        return await asyncio.to_thread(
            report, days, self._settings, owner_zone(), datetime.now(UTC)
        )
