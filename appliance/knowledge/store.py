"""The knowledge base on the disk: documents, their chunks, and the index over them.

All calls wait for the disk and belong on a thread of their own. Every method raises StorageError
where the file cannot be used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from appliance.errors import UsageError
from appliance.knowledge.documents import Document
from appliance.knowledge.text import Place, chunks
from appliance.knowledge.words import language_of, stems
from appliance.storage.sqlite import Database

FILE = "knowledge.sqlite3"
MAX_CHUNKS = 50_000
"""Of the whole knowledge base; about 75,000 printed pages."""

MAX_TITLE = 80
"""Characters of a first line that may be a title."""

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    format TEXT NOT NULL,
    language TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    added REAL NOT NULL
);
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    page INTEGER NOT NULL,
    line INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    stems TEXT NOT NULL,
    about TEXT NOT NULL
);
CREATE INDEX chunks_of ON chunks(document_id);
CREATE VIRTUAL TABLE found_chunks USING fts5(
    stems, about, content='chunks', content_rowid='id',
    tokenize='unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE chunk_terms USING fts5vocab(found_chunks, 'row');
CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN
    INSERT INTO found_chunks(rowid, stems, about) VALUES (new.id, new.stems, new.about);
END;
CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN
    INSERT INTO found_chunks(found_chunks, rowid, stems, about)
    VALUES ('delete', old.id, old.stems, old.about);
END;
CREATE TABLE vectors (
    chunk_id INTEGER NOT NULL REFERENCES chunks(id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (chunk_id, model)
) WITHOUT ROWID;
CREATE TABLE changes (version INTEGER NOT NULL);
INSERT INTO changes VALUES (0);
"""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class DocumentInfo:
    """A document in a list."""

    id: int
    name: str
    format: str
    language: str
    bytes: int
    added: float
    """Seconds since 1970."""
    chunks: int


@dataclass(frozen=True)
class Chunk:
    """A piece of a document."""

    id: int
    document: str
    language: str
    place: Place
    text: str
    stems: frozenset[str]
    """Of its own words and of its heading."""
    about: frozenset[str]
    """Of the document's name and first heading."""


class KnowledgeStore:
    """The file."""

    def __init__(self, folder: Path, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(folder / FILE, _SCHEMA)
        self._now = now

    # --- documents ---

    def add(self, document: Document) -> int:
        """Add a document; return its number of chunks, 0 if it is there already, unchanged.

        A document of the same name is replaced.

        Raises:
            UsageError: the knowledge base would grow beyond ``MAX_CHUNKS``.
        """
        whole = "\n".join(block.text for block in document.blocks)
        language = language_of(whole)
        # The name is no path: what was uploaded may have any character in it.
        title = f"{document.name.rpartition('.')[0] or document.name} {_title(document)}"
        about = " ".join(stems(title, language))
        pieces = list(chunks(document.blocks))
        with self._database.write() as connection:
            known = connection.execute(
                "SELECT sha256 FROM documents WHERE name = ?", (document.name,)
            ).fetchone()
            if known and known[0] == document.sha256:
                return 0
            connection.execute("DELETE FROM documents WHERE name = ?", (document.name,))
            held = connection.execute("SELECT count(*) FROM chunks").fetchone()[0]
            if held + len(pieces) > MAX_CHUNKS:
                raise UsageError(
                    f"{document.name}: the knowledge base is full ({held:,} of {MAX_CHUNKS:,} "
                    "chunks); remove a document with `luna knowledge remove NAME`"
                )
            row = connection.execute(
                "INSERT INTO documents(name, format, language, sha256, bytes, added) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (
                    document.name,
                    document.format,
                    language,
                    document.sha256,
                    document.bytes,
                    self._now(),
                ),
            )
            connection.executemany(
                "INSERT INTO chunks(document_id, page, line, heading, text, stems, about) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        row.lastrowid,
                        piece.place.page,
                        piece.place.line,
                        piece.place.heading,
                        piece.text,
                        " ".join(stems(f"{piece.place.heading} {piece.text}", language)),
                        about,
                    )
                    for piece in pieces
                ],
            )
            connection.execute("UPDATE changes SET version = version + 1")
        return len(pieces)

    def remove(self, name: str) -> bool:
        """Remove a document with all that was made of it; return whether it was there."""
        with self._database.write() as connection:
            gone = connection.execute("DELETE FROM documents WHERE name = ?", (name,)).rowcount
            if gone:
                connection.execute("UPDATE changes SET version = version + 1")
                # The index marks what is deleted and keeps its words until it is made anew.
                connection.execute("INSERT INTO found_chunks(found_chunks) VALUES ('rebuild')")
        if gone:
            self._database.compact()
        return bool(gone)

    def documents(self) -> list[DocumentInfo]:
        """Return all documents by name."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, name, format, language, bytes, added, "
                "(SELECT count(*) FROM chunks WHERE document_id = d.id) "
                "FROM documents AS d ORDER BY name"
            ).fetchall()
        return [DocumentInfo(*row) for row in rows]

    def version(self) -> int:
        """Return a number that grows with every change, for caches of what depends on it."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT version FROM changes").fetchone()[0])

    # --- the index ---

    def size(self) -> int:
        """Return the number of chunks."""
        with self._database.read() as connection:
            return int(connection.execute("SELECT count(*) FROM chunks").fetchone()[0])

    def frequencies(self, terms: Iterable[str]) -> dict[str, int]:
        """Return in how many chunks each stem stands; those in none are left out."""
        with self._database.read() as connection:
            found = (
                connection.execute(
                    "SELECT term, doc FROM chunk_terms WHERE term = ?", (term,)
                ).fetchone()
                for term in terms
            )
            return {row[0]: int(row[1]) for row in found if row}

    def ranked(self, terms: Sequence[str], limit: int) -> list[int]:
        """Return the chunks with any of *terms*, the best by bm25 first.

        A word in the text counts three times one in the document's name or title.
        """
        if not terms:
            return []
        query = " OR ".join('"' + term.replace('"', "") + '"' for term in terms)
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT rowid FROM found_chunks WHERE found_chunks MATCH ? "
                "ORDER BY bm25(found_chunks, 3.0, 1.0) LIMIT ?",
                (query, limit),
            ).fetchall()
        return [int(row[0]) for row in rows]

    def chunks(self, ids: Sequence[int]) -> list[Chunk]:
        """Return chunks in the order of *ids*; those that are gone are left out."""
        with self._database.read() as connection:
            found = {}
            for number in ids:
                row = connection.execute(
                    "SELECT c.id, d.name, d.language, c.page, c.line, c.heading, c.text, "
                    "c.stems, c.about FROM chunks AS c JOIN documents AS d "
                    "ON d.id = c.document_id WHERE c.id = ?",
                    (number,),
                ).fetchone()
                if row:
                    found[number] = Chunk(
                        id=row[0],
                        document=row[1],
                        language=row[2],
                        place=Place(*row[3:6]),
                        text=row[6],
                        stems=frozenset(row[7].split()),
                        about=frozenset(row[8].split()),
                    )
        return [found[number] for number in ids if number in found]

    # --- vectors ---

    def without_vector(self, model: str, limit: int) -> list[tuple[int, str]]:
        """Return chunks (number, heading and text) that *model* has not embedded yet."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT id, trim(heading || char(10) || text) FROM chunks WHERE NOT EXISTS "
                "(SELECT 1 FROM vectors WHERE chunk_id = chunks.id AND model = ?) "
                "ORDER BY id LIMIT ?",
                (model, limit),
            ).fetchall()
        return [(int(number), str(text)) for number, text in rows]

    def keep_vectors(self, model: str, ids: Sequence[int], vectors: Vectors) -> None:
        """Keep the embeddings of chunks, in half precision: (n, dimensions), of length 1."""
        rows = [
            (number, model, vector.astype("<f2").tobytes())
            for number, vector in zip(ids, vectors, strict=True)
        ]
        with self._database.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO vectors(chunk_id, model, vector) "
                "SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM chunks WHERE id = ?1)",
                rows,
            )
            connection.execute("UPDATE changes SET version = version + 1")

    def vectors(self, model: str) -> tuple[list[int], Vectors]:
        """Return all embeddings of *model*: the chunks, and (n, dimensions) of float32."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT chunk_id, vector FROM vectors WHERE model = ? ORDER BY chunk_id", (model,)
            ).fetchall()
        if not rows:
            return [], np.zeros((0, 0), np.float32)
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype="<f2")
        return [int(row[0]) for row in rows], matrix.reshape(len(rows), -1).astype(np.float32)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _title(document: Document) -> str:
    """Return the document's title, or its first line where that is as short as one."""
    first = document.blocks[0].text.split("\n", 1)[0] if document.blocks else ""
    return document.title or (first if len(first) <= MAX_TITLE else "")
