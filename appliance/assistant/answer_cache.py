"""Answers that can be given again, so that a question asked before costs no model at all.

Which questions qualify is decided in :mod:`appliance.assistant.lasting`. The file is in the cache
folder: deleting it loses nothing but time.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from appliance.assistant.lasting import normalised
from appliance.storage.sqlite import Database

FILE = "answers.sqlite3"
MAX_ANSWER = 20_000
"""Characters of an answer that is kept at most."""

_SCHEMA = """
CREATE TABLE answers (
    key BLOB PRIMARY KEY,
    role TEXT NOT NULL,
    answer TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    stored REAL NOT NULL,
    used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_by_use ON answers(used);
CREATE TABLE counter (used INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
"""


@dataclass(frozen=True)
class Asked:
    """Everything an answer depends on. Where one of these changes, the old answer is not found."""

    question: str
    role: str
    model: str
    """Who writes the answer, such as ``local/qwen2.5``."""
    prompt: str
    """The system prompt, or a hash of it."""
    language: str
    knowledge: str = ""
    """The version of the knowledge base."""

    def key(self) -> bytes:
        """Return a hash of it, in which the question counts in its normalised form.

        Of a question about code each character may matter.
        """
        question = self.question.strip() if self.role == "code" else normalised(self.question)
        parts = (question, *astuple(self)[1:])
        return hashlib.sha256(json.dumps(parts).encode()).digest()


class AnswerCache:
    """A bounded file of answers; the least recently used go first.

    A look-up takes well under a millisecond of its own; it may wait for a ``put`` in another
    thread. Every method raises StorageError where the file cannot be used.

    Args:
        folder: where the file lies.
        lifetime_s: how long an answer is good, by role; 0 or no entry: never kept.
        max_entries, max_bytes: bounds of what is kept; bytes of the answers' text.
        now: seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lifetime_s: Mapping[str, float],
        max_entries: int,
        max_bytes: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database(folder / FILE, _SCHEMA, durable=False)
        self._lifetime_s = dict(lifetime_s)
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._now = now

    def get(self, asked: Asked) -> str | None:
        """Return the answer that was given before, or None."""
        key = asked.key()
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT answer, stored FROM answers WHERE key = ?", (key,)
            ).fetchone()
        # An age below zero comes of a clock that was set back: then nobody knows the real one.
        if row is None or not 0 <= self._now() - row[1] < self._lifetime_s.get(asked.role, 0):
            return None
        with self._database.write() as connection:
            connection.execute("UPDATE counter SET used = used + 1")
            connection.execute(
                "UPDATE answers SET used = (SELECT used FROM counter) WHERE key = ?", (key,)
            )
        return str(row[0])

    def put(self, asked: Asked, answer: str) -> bool:
        """Keep an answer; return whether it is kept."""
        size = len(answer.encode())
        lifetime = self._lifetime_s.get(asked.role, 0)
        if not answer.strip() or lifetime <= 0 or self._max_entries < 1:
            return False
        if len(answer) > MAX_ANSWER or size > self._max_bytes:
            return False
        with self._database.write() as connection:
            connection.execute("UPDATE counter SET used = used + 1")
            connection.execute(
                "INSERT OR REPLACE INTO answers(key, role, answer, bytes, stored, used) "
                "VALUES (?, ?, ?, ?, ?, (SELECT used FROM counter))",
                (asked.key(), asked.role, answer, size, self._now()),
            )
            for role, seconds in self._lifetime_s.items():
                connection.execute(
                    "DELETE FROM answers WHERE role = ? AND stored <= ?",
                    (role, self._now() - seconds),
                )
            # All that lies beyond the bounds, counted from the most recently used.
            connection.execute(
                "DELETE FROM answers WHERE key IN (SELECT key FROM (SELECT key, "
                "row_number() OVER newest AS entries, sum(bytes) OVER newest AS size "
                "FROM answers WINDOW newest AS (ORDER BY used DESC)) "
                "WHERE entries > ? OR size > ?)",
                (self._max_entries, self._max_bytes),
            )
        return True

    def clear(self) -> None:
        """Forget all answers."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM answers")
        self._database.compact()

    def close(self) -> None:
        """Close the file."""
        self._database.close()
