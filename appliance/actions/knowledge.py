"""`luna knowledge`: add, list, search and remove the owner's documents."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import paths
from appliance.engines import embedder as embedder_of
from appliance.errors import LunaError, UsageError
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.knowledge.store import KnowledgeStore

FOUND = 5
"""Passages that a search shows."""
SHOWN_CHARACTERS = 300


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna knowledge ACTION [WORD...]`; return the exit code.

    Raises:
        UsageError: a document is unknown or cannot be read; all others were added.
        StorageError: the knowledge base cannot be used.
        ModelError: the model for embeddings is missing or failed.
    """
    from appliance.knowledge.store import KnowledgeStore

    store = KnowledgeStore(paths.data_dir(settings.general.data_dir))
    words: list[str] = arguments.words
    try:
        if arguments.action == "list":
            return _list(store, as_json=arguments.json)
        if not words:
            wanted = {"add": "a file", "search": "the words", "remove": "a name"}
            raise UsageError(
                f"name {wanted[arguments.action]}: luna knowledge {arguments.action} ..."
            )
        if arguments.action == "add":
            return _add(store, [Path(word) for word in words], settings)
        if arguments.action == "search":
            return _search(store, " ".join(words), settings, as_json=arguments.json)
        return _remove(store, words)
    finally:
        store.close()


def _add(store: KnowledgeStore, files: list[Path], settings: Settings) -> int:
    from appliance.knowledge.documents import read
    from appliance.knowledge.search import embed_missing

    failures: list[LunaError] = []
    for file in files:
        try:
            count = store.add(read(file))
        except UsageError as error:
            failures.append(error)
            continue
        print(
            f"{file.name}: {count} passage{'s' * (count != 1)}"
            if count
            else f"{file.name}: was there already"
        )
    if embedder := embedder_of(settings):
        try:
            embed_missing(store, embedder)
        finally:
            embedder.close()
    if failures:
        raise UsageError("\n".join(map(str, failures)))
    return 0


def _list(store: KnowledgeStore, *, as_json: bool) -> int:
    documents = store.documents()
    if as_json:
        print(json.dumps([asdict(document) for document in documents], ensure_ascii=False))
    elif not documents:
        print("There are no documents. `luna knowledge add FILE` adds one.")
    else:
        print(f"{'NAME':40} {'LANGUAGE':8} {'SIZE':>9} {'PASSAGES':>8}")
        for one in documents:
            size = f"{one.bytes / 1000:.1f} kB"
            print(f"{one.name:40} {one.language:8} {size:>9} {one.chunks:8}")
    return 0


def _search(store: KnowledgeStore, question: str, settings: Settings, *, as_json: bool) -> int:
    from appliance.knowledge.coverage import place_in_words
    from appliance.knowledge.search import Search

    embedder = embedder_of(settings)
    try:
        hits = Search(store, embedder).find(question, FOUND)
    finally:
        if embedder:
            embedder.close()
    language = settings.general.language
    rows = [
        {
            "document": hit.chunk.document,
            "place": place_in_words(hit.chunk.place, language),
            "overlap": round(hit.overlap, 3),
            "text": hit.chunk.text,
        }
        for hit in hits
    ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    for row in rows:
        shown = " ".join(str(row["text"]).split())
        if len(shown) > SHOWN_CHARACTERS:
            shown = f"{shown[:SHOWN_CHARACTERS]} …"
        place = f", {row['place']}" if row["place"] else ""
        print(f"{row['document']}{place} ({row['overlap']:.0%} of the question)\n  {shown}")
    if not rows and sys.stdout.isatty():
        print("Nothing was found.")
    return 0


def _remove(store: KnowledgeStore, names: list[str]) -> int:
    unknown = [name for name in names if not store.remove(name)]
    if unknown:
        raise UsageError(f"there is no document {', '.join(unknown)}; see `luna knowledge list`")
    return 0
