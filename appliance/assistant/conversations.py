"""Conversations on the disk: kept, found again, forgotten when the owner says so.

All calls wait for the disk and belong on a thread of their own (see
:class:`appliance.assistant.saved_history.SavedHistory`); ``current`` alone takes well under a
millisecond.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.assistant.history import Exchange
from appliance.storage.sqlite import Database

FILE = "history.sqlite3"
MAX_QUERY = 200
"""Characters of a search at most."""
MAX_FOUND = 100
FILLED = 0.9
"""Part of the allowed messages that is left when there were too many."""
DAY_S = 86_400.0

_SCHEMA = """
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started REAL NOT NULL,
    updated REAL NOT NULL,
    summary TEXT NOT NULL DEFAULT '',
    summarised_to INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    exchange INTEGER NOT NULL,
    at REAL NOT NULL,
    role TEXT NOT NULL,
    content TEXT NOT NULL,
    extra TEXT NOT NULL DEFAULT ''
);
CREATE INDEX messages_of ON messages(conversation_id, exchange, id);
CREATE VIRTUAL TABLE found_messages USING fts5(
    content, content='messages', content_rowid='id',
    tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
    INSERT INTO found_messages(rowid, content) VALUES (new.id, new.content);
END;
CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
    INSERT INTO found_messages(found_messages, rowid, content)
    VALUES ('delete', old.id, old.content);
END;
"""


@dataclass(frozen=True)
class ConversationInfo:
    """A conversation in a list. Times are seconds since 1970."""

    id: int
    started: float
    updated: float
    messages: int
    title: str
    """The first question."""


@dataclass(frozen=True)
class Message:
    """A message as it was kept."""

    role: str
    content: str
    at: float


@dataclass(frozen=True)
class Found:
    """A message that has the words of a search."""

    conversation_id: int
    role: str
    at: float
    snippet: str
    """The place in the message, with the words in brackets."""


@dataclass(frozen=True)
class Saved:
    """A conversation to be taken up again."""

    id: int
    exchanges: tuple[Exchange, ...]
    """Oldest first, without those that the summary tells of."""
    summary: str
    rested_s: float
    """Since the last of them; 0 where the clock was set back meanwhile."""


class Conversations:
    """The file of all conversations; the newest one is the current one.

    Every method raises StorageError where the file cannot be used.
    """

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(folder / FILE, _SCHEMA)
        self._now = now

    def current(self) -> int:
        """Return the number of the current conversation; 0 when there is none."""
        with self._database.read() as connection:
            row = connection.execute("SELECT max(id) FROM conversations").fetchone()
        return int(row[0] or 0)

    def begin(self) -> int:
        """Begin a new conversation; return its number. An empty one is not begun twice."""
        with self._database.write() as connection:
            row = connection.execute("SELECT max(id) FROM conversations").fetchone()
            if row[0] is not None:
                used = connection.execute(
                    "SELECT 1 FROM messages WHERE conversation_id = ? LIMIT 1", row
                ).fetchone()
                if used is None:
                    return int(row[0])
            return self._insert_conversation(connection)

    def reopen(self, conversation_id: int) -> int:
        """Go on with a conversation: return the number that it has from now on.

        The newest is the current one, so it becomes the newest. 0: there is no such one.
        """
        with self._database.write() as connection:
            newest = connection.execute("SELECT max(id) FROM conversations").fetchone()[0]
            known = connection.execute(
                "UPDATE conversations SET updated = ? WHERE id = ?", (self._now(), conversation_id)
            )
            if not known.rowcount:
                return 0
            if conversation_id == newest:
                return conversation_id
            number = connection.execute(
                "INSERT INTO conversations(started, updated, summary, summarised_to) "
                "SELECT started, updated, summary, summarised_to FROM conversations WHERE id = ?",
                (conversation_id,),
            ).lastrowid
            connection.execute(
                "UPDATE messages SET conversation_id = ? WHERE conversation_id = ?",
                (number, conversation_id),
            )
            connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))
        return int(number or 0)

    def append(self, conversation_id: int, exchange: Exchange) -> int:
        """Keep an exchange; return the conversation that it stands in.

        When this returns, it survives a power cut. A conversation that was purged meanwhile is
        not continued: the exchange begins a new one.
        """
        with self._database.write() as connection:
            found = connection.execute(
                "SELECT coalesce(max(exchange), 0) + 1 FROM messages WHERE conversation_id = ?",
                (conversation_id,),
            ).fetchone()
            number = int(found[0])
            known = connection.execute(
                "UPDATE conversations SET updated = ? WHERE id = ?",
                (self._now(), conversation_id),
            )
            if not known.rowcount:
                conversation_id, number = self._insert_conversation(connection), 1
            connection.executemany(
                "INSERT INTO messages(conversation_id, exchange, at, role, content, extra) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [(conversation_id, number, self._now(), *row) for row in _rows_of(exchange)],
            )
        return conversation_id

    def load(self, conversation_id: int, max_exchanges: int = 200) -> Saved:
        """Return a conversation's last exchanges and the summary of what came before."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT summary, summarised_to, updated FROM conversations WHERE id = ?",
                (conversation_id,),
            ).fetchone() or ("", 0, self._now())
            rows = connection.execute(
                "SELECT exchange, role, content, extra FROM messages WHERE conversation_id = ?1 "
                "AND exchange > max(?2, (SELECT max(exchange) FROM messages "
                "WHERE conversation_id = ?1) - ?3) ORDER BY exchange, id",
                (conversation_id, row[1], max_exchanges),
            ).fetchall()
        rested_s = max(self._now() - row[2], 0.0)
        return Saved(conversation_id, _exchanges_of(rows), row[0], rested_s)

    def summarise(self, conversation_id: int, summary: str, remaining: int) -> None:
        """Keep a summary that stands for all exchanges but the newest *remaining*."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE conversations SET summary = ?1, summarised_to = (SELECT "
                "max(0, coalesce(max(exchange), 0) - ?2) FROM messages WHERE conversation_id = ?3) "
                "WHERE id = ?3",
                (summary, remaining, conversation_id),
            )

    # --- for the owner ---

    def newest(self, limit: int = 50) -> list[ConversationInfo]:
        """Return the newest conversations, newest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, started, updated, "
                "(SELECT count(*) FROM messages WHERE conversation_id = c.id), "
                "coalesce((SELECT content FROM messages WHERE conversation_id = c.id "
                "AND role = 'user' ORDER BY exchange, id LIMIT 1), '') "
                "FROM conversations AS c ORDER BY id DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [ConversationInfo(*row) for row in rows]

    def has(self, conversation_id: int) -> bool:
        """Return whether there is such a conversation."""
        with self._database.read() as connection:
            row = connection.execute(
                "SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)
            ).fetchone()
        return row is not None

    def show(self, conversation_id: int) -> list[Message]:
        """Return all messages of a conversation, oldest first; none if there is no such one."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT role, content, at FROM messages WHERE conversation_id = ? "
                "ORDER BY exchange, id",
                (conversation_id,),
            ).fetchall()
        return [Message(*row) for row in rows]

    def search(self, words: str, limit: int = 20) -> list[Found]:
        """Return the newest messages with all *words* (the last may be a beginning), newest first.

        Accents and case do not matter.
        """
        query = _query(words)
        if not query:
            return []
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT m.conversation_id, m.role, m.at, "
                "snippet(found_messages, 0, '[', ']', '…', 12) "
                "FROM found_messages JOIN messages AS m ON m.id = found_messages.rowid "
                "WHERE found_messages MATCH ? ORDER BY found_messages.rowid DESC LIMIT ?",
                (query, min(limit, MAX_FOUND)),
            ).fetchall()
        return [Found(*row) for row in rows]

    def purge(self, conversation_ids: Sequence[int] | None = None) -> int:
        """Delete conversations (None: all of them); return how many messages that were.

        Nothing of their text stays in the file.
        """
        with self._database.write() as connection:
            if conversation_ids is None:
                removed = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
                connection.execute("DELETE FROM messages")
                connection.execute("DELETE FROM conversations")
            else:
                removed = 0
                for number in conversation_ids:
                    removed += connection.execute(
                        "DELETE FROM messages WHERE conversation_id = ?", (number,)
                    ).rowcount
                    connection.execute("DELETE FROM conversations WHERE id = ?", (number,))
            # The index marks what is deleted and keeps its words until it is made anew.
            connection.execute("INSERT INTO found_messages(found_messages) VALUES ('rebuild')")
        self._database.compact()
        return int(removed)

    def retain(self, *, keep_days: int, max_messages: int) -> int:
        """Delete the oldest conversations beyond these limits (0: none); return the messages.

        The current conversation stays, however long it is. A clock that runs wrong deletes
        nothing by age: a time in the future is not old. Where there are too many messages, a
        tenth of them goes at once, because the file is rewritten each time.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT c.id, c.updated, count(m.id) FROM conversations AS c "
                "LEFT JOIN messages AS m ON m.conversation_id = c.id "
                "GROUP BY c.id ORDER BY c.id DESC"
            ).fetchall()
        oldest = self._now() - keep_days * DAY_S
        held = sum(row[2] for row in rows)
        room = FILLED * max_messages if max_messages and held > max_messages else held
        total, old = 0, []
        for position, (number, updated, messages) in enumerate(rows):
            total += messages
            expired = keep_days > 0 and updated < oldest
            if position and (expired or total > room):
                old.append(int(number))
        return self.purge(old) if old else 0

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _insert_conversation(self, connection: Any) -> int:
        now = self._now()
        cursor = connection.execute(
            "INSERT INTO conversations(started, updated) VALUES (?, ?)", (now, now)
        )
        return int(cursor.lastrowid)


def _rows_of(exchange: Exchange) -> list[tuple[str, str, str]]:
    """Return role, content and the rest as JSON of an exchange's messages."""
    rows = [("user", exchange.question, "")]
    for step in exchange.steps:
        rest = {key: value for key, value in step.items() if key not in ("role", "content")}
        rows.append((step["role"], step.get("content") or "", json.dumps(rest)))
    rows.append(
        ("assistant", exchange.answer, json.dumps({"cut_off": True}) if exchange.cut_off else "")
    )
    return rows


def _exchanges_of(rows: Sequence[tuple[int, str, str, str]]) -> tuple[Exchange, ...]:
    groups: dict[int, list[tuple[str, str, dict[str, Any]]]] = {}
    for number, role, content, extra in rows:
        groups.setdefault(number, []).append((role, content, json.loads(extra or "{}")))
    return tuple(
        Exchange(
            question=group[0][1],
            answer=group[-1][1],
            cut_off=bool(group[-1][2].get("cut_off")),
            steps=tuple(
                {"role": role, "content": content, **extra} for role, content, extra in group[1:-1]
            ),
        )
        for group in groups.values()
    )


def _query(words: str) -> str:
    """Return *words* as a query of FTS5: each in quotes, so that none is read as an operator."""
    found = re.findall(r"\w+", words[:MAX_QUERY])
    return " ".join(f'"{word}"' for word in found) + "*" if found else ""
