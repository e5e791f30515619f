"""The one process that writes a store: its lock, its journal, and new generations.

What is promised: when :meth:`Writer.append` returns, the change is on the disk; when it raises,
the store is as it was before, and a later change may succeed.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from appliance.storage import journal
from appliance.storage.changes import Tables
from appliance.storage.files import FileLayer
from appliance.storage.recovery import JOURNAL, SNAPSHOT, Loaded, file_name, generations

LOCK = "lock"
UNFINISHED = ".new"
"""Ends the name of a snapshot that is being written."""


class Writer:
    """Holds the lock of the store *folder*; :meth:`begin` must follow.

    Every method raises OSError when the disk refuses, and BlockingIOError comes from the
    constructor when another process holds the lock.
    """

    def __init__(self, files: FileLayer, folder: Path) -> None:
        self._files = files
        self._folder = folder
        self._journal = -1
        self._end = 0
        self._dirty = False
        self._needed = 0
        self.generation = 0
        self.snapshot_bytes = 0
        self._make_folder(folder)
        self._lock = files.lock(folder / LOCK)

    @property
    def journal_bytes(self) -> int:
        """Acknowledged bytes of the newest journal."""
        return self._end

    def _make_folder(self, folder: Path) -> None:
        try:
            self._files.make_folder(folder)
        except FileExistsError:
            return
        except FileNotFoundError:
            self._make_folder(folder.parent)
            self._files.make_folder(folder)
        self._files.sync_folder(folder.parent)

    def begin(self, loaded: Loaded) -> None:
        """Go on where *loaded* ends: cut what was not acknowledged off the newest journal."""
        self.generation = loaded.generation
        self.snapshot_bytes = loaded.snapshot_bytes
        self._needed = loaded.needed
        if not loaded.generation:
            return  # nothing there yet: `compact` makes the first generation
        path = self._folder / file_name(loaded.generation, JOURNAL)
        self._journal = self._files.open(path)
        self._end = loaded.journal_end
        if not self._end:
            # It was not made to the end, or its name did not reach the disk.
            self._files.truncate(self._journal, 0)
            self._files.write(self._journal, journal.HEADER)
            self._end = len(journal.HEADER)
        elif loaded.torn_bytes:
            self._files.truncate(self._journal, self._end)
        # A process that was killed may have left changes, and names of files, that are only in
        # the kernel's cache; they were read, so from now on they count.
        self._files.sync(self._journal)
        self._files.sync_folder(self._folder)

    def append(self, revision: int, text: bytes) -> None:
        """Write a change to the journal and wait for the disk."""
        line = journal.line(revision, text)
        self.settle()
        self._dirty = True
        try:
            self._files.write(self._journal, line)
            self._files.sync_data(self._journal)
        except OSError:
            with suppress(OSError):  # else the next change has to begin with it
                self.settle()
            raise
        self._end += len(line)
        self._dirty = False

    def settle(self) -> None:
        """Remove what a failed change may have left at the end of the journal.

        After a failed fsync the kernel takes pages for written that are not. All of them lie
        behind the cut, or are touched again by it, so nothing of them is relied upon.
        """
        if self._dirty:
            self._files.truncate(self._journal, self._end)
            self._files.sync(self._journal)
            self._dirty = False

    def compact(self, tables: Tables, revision: int, schema: int) -> None:
        """Begin a new generation with a snapshot; the one before is kept, older ones go.

        If it fails, the present generation goes on. Whatever it left behind does no harm: a
        snapshot that did reach its name is one more place to begin in the same log.
        """
        text = journal.encode({"schema": schema, "tables": tables})
        content = journal.HEADER + journal.line(revision, text)
        self.settle()
        generation = self.generation + 1
        target = self._folder / file_name(generation, SNAPSHOT)
        unfinished = target.with_name(target.name + UNFINISHED)
        opened = -1
        try:
            self._write_file(unfinished, content)
            opened = self._files.open(self._folder / file_name(generation, JOURNAL), empty=True)
            self._files.write(opened, journal.HEADER)
            self._files.sync(opened)
            self._files.rename(unfinished, target)
            self._files.sync_folder(self._folder)
        except OSError:
            if opened >= 0:
                self._files.close(opened)
            with suppress(OSError):  # gives a full disk its room back
                self._files.remove(unfinished)
            raise
        if self._journal >= 0:
            self._files.close(self._journal)
        self._journal, self._end = opened, len(journal.HEADER)
        self.generation, self.snapshot_bytes = generation, len(content)
        with suppress(OSError):  # what stays is removed the next time
            self._remove_older(self._needed)
        self._needed = generation

    def _write_file(self, path: Path, content: bytes) -> None:
        descriptor = self._files.open(path, empty=True)
        try:
            self._files.write(descriptor, content)
            self._files.sync(descriptor)
        finally:
            self._files.close(descriptor)

    def _remove_older(self, needed: int) -> None:
        names = self._files.names(self._folder)
        found = generations(names)
        # Snapshots first: one without its journal would look as if changes had been lost.
        old = [
            file_name(n, kind) for kind in (SNAPSHOT, JOURNAL) for n in found[kind] if n < needed
        ]
        for name in [*old, *(name for name in names if name.endswith(UNFINISHED))]:
            self._files.remove(self._folder / name)

    def close(self) -> None:
        """Give the lock back."""
        if self._journal >= 0:
            self._files.close(self._journal)
            self._journal = -1
        if self._lock >= 0:
            self._files.close(self._lock)
            self._lock = -1
