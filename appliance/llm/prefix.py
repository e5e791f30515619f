"""Evaluated prompt beginnings on disk, so that a restarted worker need not evaluate them again.

One file a prefix, ``<key>.prefix``: the sha256 of the state (32 bytes), then the state as
``llama_state_seq_get_data`` gives it. (That is what ``llama_state_seq_save_file`` writes, but in
memory: the file can then carry a checksum and appear by one rename.) The key is a hash of
everything the state depends on, so a file is either exactly right or never looked at. The
checksum finds what a power cut or a bad card did to it; it is no protection from somebody who
may write in the folder.

Only system prompts are kept here, never what was said.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from array import array
from collections.abc import Sequence
from pathlib import Path

from appliance.errors import ServiceError

MAX_FILES = 16
"""Two languages of three roles and of classifying, twice; the least recently used go first."""
_DIGEST = 32


class PrefixStore:
    """A folder of states for one model in one configuration."""

    def __init__(self, folder: Path, identity: str) -> None:
        """*identity* names the model's hash, the context's layout and the library's version."""
        self._folder = folder
        self._identity = identity

    def load(self, tokens: Sequence[int]) -> bytes | None:
        """Return the state of exactly *tokens*, or None when there is none that is whole."""
        path = self._path(tokens)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        digest, state = data[:_DIGEST], data[_DIGEST:]
        if hashlib.sha256(state).digest() != digest:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return state

    def has(self, tokens: Sequence[int]) -> bool:
        return self._path(tokens).exists()

    def save(self, tokens: Sequence[int], state: bytes) -> None:
        """Keep *state*; a crash leaves the old file or the new one, never a half.

        Raises:
            ServiceError: the folder cannot be written; nothing but time is lost.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._tidy()
            handle, name = tempfile.mkstemp(dir=self._folder, suffix=".part")
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(state).digest())
                file.write(state)
            os.replace(name, self._path(tokens))
        except OSError as error:
            raise ServiceError(
                f"{self._folder} cannot be written ({error.strerror}), so the model's prompt is "
                "evaluated anew after each restart; free space there or correct its owner"
            ) from error

    def _path(self, tokens: Sequence[int]) -> Path:
        key = hashlib.sha256(self._identity.encode())
        key.update(array("i", tokens).tobytes())
        return self._folder / f"{key.hexdigest()[:40]}.prefix"

    def _tidy(self) -> None:
        """Make room for one more file; delete also what an interrupted save left."""
        for leftover in self._folder.glob("*.part"):
            leftover.unlink(missing_ok=True)
        files = sorted(self._folder.glob("*.prefix"), key=lambda path: path.stat().st_mtime)
        for path in files[: max(0, len(files) - MAX_FILES + 1)]:
            path.unlink(missing_ok=True)
