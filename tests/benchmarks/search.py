"""How long a search takes in a large history and in a large knowledge base.

The texts are the documentation strings of Python's standard library: real prose with a real
distribution of words. Questions about the house documents of ``tests/data`` are then asked among
all of that, which also shows what so many foreign passages do to the threshold.
"""

from __future__ import annotations

import ast
import json
import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from appliance.assistant.answer_cache import AnswerCache, Asked
from appliance.assistant.conversations import Conversations
from appliance.assistant.history import Exchange
from appliance.knowledge.coverage import KnowledgeBase
from appliance.knowledge.documents import Document, read
from appliance.knowledge.store import KnowledgeStore
from appliance.knowledge.text import Block, Place

DATA = Path(__file__).parents[1] / "data"
MESSAGES = 100_000
CHUNKS = 10_000
ANSWERS = 1_000
WORDS = (
    "file", "the", "return value", "pao", "error message", "the file is not", "exception raised",
    "zebra", "connection timeout", "string of bytes", "unicode", "pri", "path name", "thread lock",
)  # fmt: skip


def run(quick: bool) -> dict[str, float]:
    """Return medians and maxima in milliseconds, and what the threshold does among 10,000."""
    repetitions = 2 if quick else 10
    passages = list(_passages())
    with tempfile.TemporaryDirectory(prefix="luna-") as name:
        folder = Path(name)
        return {
            **_history(folder, passages, repetitions),
            **_knowledge(folder, passages, repetitions),
            **_cache(folder, repetitions),
        }


def _history(folder: Path, passages: Sequence[str], repetitions: int) -> dict[str, float]:
    conversations = Conversations(folder)
    # One conversation of 100,000 messages: the worst case for taking it up again, too.
    number = conversations.begin()
    with conversations._database.write() as connection:
        for index in range(MESSAGES):
            text = passages[index % len(passages)][:300]
            role = ("user", "assistant")[index % 2]
            connection.execute(
                "INSERT INTO messages(conversation_id, exchange, at, role, content) "
                "VALUES (?, ?, ?, ?, ?)",
                (number, index // 2 + 1, float(index), role, text),
            )
    exchange = Exchange("What is a zebra?", "An animal with stripes.")
    return {
        **_figures("history_search", conversations.search, WORDS, repetitions),
        **_figures("history_load", conversations.load, [number], repetitions),
        **_figures(
            "history_append", lambda _: conversations.append(number, exchange), range(20), 1
        ),
    }


def _knowledge(folder: Path, passages: Sequence[str], repetitions: int) -> dict[str, float]:
    store = KnowledgeStore(folder)
    for start in range(0, len(passages), 500):
        some = enumerate(passages[start : start + 500], 1)
        blocks = tuple(Block(text, Place(page=page)) for page, text in some)
        store.add(Document(f"part {start}.txt", "txt", f"{start}", 1, f"Part {start}", blocks))
    for path in sorted((DATA / "knowledge").iterdir()):
        store.add(read(path))
    base = KnowledgeBase(store)
    covered, uncovered = _questions("covered"), _questions("uncovered")
    asked = [row["question"] for row in covered + uncovered]
    right = sum(base.grounding(row["question"], row["language"]) is not None for row in covered)
    wrong = sum(base.grounding(row["question"], row["language"]) is not None for row in uncovered)
    return {
        "chunks": store.size(),
        **_figures(
            "knowledge_search", lambda q: base.grounding(q, "en"), asked, max(1, repetitions // 5)
        ),
        "recall_among_many": right / len(covered),
        "precision_among_many": right / max(1, right + wrong),
    }


def _cache(folder: Path, repetitions: int) -> dict[str, float]:
    cache = AnswerCache(folder, lifetime_s={"chat": 1e9}, max_entries=ANSWERS, max_bytes=4_000_000)
    asked = [Asked(f"What is {n}?", "chat", "m", "p", "en", "1") for n in range(ANSWERS)]
    for one in asked:
        cache.put(one, "An answer of some length, as it is spoken. " * 4)
    return _figures("cache_hit", cache.get, asked[::20], repetitions)


def _figures(
    name: str, search: Callable[[Any], object], asked: Sequence[Any], repetitions: int
) -> dict[str, float]:
    took = []
    search(asked[0])  # opens the file
    for one in [*asked] * repetitions:
        began = time.perf_counter()
        search(one)
        took.append((time.perf_counter() - began) * 1000)
    return {f"{name}_ms": statistics.median(took), f"{name}_max_ms": max(took)}


def _questions(name: str) -> list[dict[str, Any]]:
    lines = (DATA / f"knowledge_{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _passages() -> Iterator[str]:
    """Yield ``CHUNKS`` different passages of 100 to 800 characters."""
    seen: set[str] = set()
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        for text in _docstrings(path):
            for start in range(0, len(text), 800):
                passage = text[start : start + 800]
                if len(passage) >= 100 and passage not in seen:
                    seen.add(passage)
                    yield passage
                    if len(seen) == CHUNKS:
                        return


def _docstrings(path: Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and (text := ast.get_docstring(node)):
            yield text
