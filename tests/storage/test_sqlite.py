"""The SQLite file: transactions, power cuts, damage, and several processes at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from appliance.errors import StorageError
from appliance.storage.background import Background
from appliance.storage.sqlite import Database

SCHEMA = "CREATE TABLE things (\n    name TEXT\n);\nCREATE INDEX by_name ON things(name);"
WRITER = """
import sys
from contextlib import suppress
from pathlib import Path
from appliance.storage.sqlite import Database
database = Database(Path(sys.argv[1]), sys.argv[2])
for number in range(100_000):
    with database.write() as connection:
        connection.execute("INSERT INTO things VALUES (?)", (f"thing {number}",))
    print(number, flush=True)
"""


def add(database: Database, name: str) -> None:
    with database.write() as connection:
        connection.execute("INSERT INTO things VALUES (?)", (name,))


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return [row[0] for row in connection.execute("SELECT name FROM things ORDER BY rowid")]


def aside(path: Path) -> list[Path]:
    return [p for p in path.parent.glob(f"{path.name}.damaged-*") if p.name[-4:-3] != "-"]


def spoil(path: Path) -> None:
    """Overwrite every page but the first, as a bad card does."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "things.sqlite3"
    add(Database(path, SCHEMA), "a")
    assert names(Database(path, SCHEMA)) == ["a"]
    assert path.stat().st_mode & 0o777 == 0o600, "only the owner reads it"
    assert (path.parent / "things.sqlite3-wal").stat().st_mode & 0o077 == 0


def test_an_exception_undoes_the_transaction(tmp_path: Path) -> None:
    database = Database(tmp_path / "t", SCHEMA)
    with suppress(ZeroDivisionError), database.write() as connection:
        connection.execute("INSERT INTO things VALUES ('half')")
        raise ZeroDivisionError
    add(database, "whole")
    assert names(database) == ["whole"]


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "t"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), SCHEMA], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(40)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().split()]
    writer.wait()
    kept = names(Database(path, SCHEMA))
    assert kept[: len(acknowledged)] == [f"thing {number}" for number in acknowledged]
    assert len(kept) <= len(acknowledged) + 1, "at most the one that was being written"


@pytest.mark.parametrize("content", [b"no database at all" * 500, os.urandom(8192)])
def test_a_file_that_is_none_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    database = Database(path, SCHEMA)
    with pytest.raises(StorageError, match=r"damaged; it was set aside as t\.damaged-"):
        names(database)
    assert names(database) == [], "Luna goes on with a new file"
    assert aside(path)[0].read_bytes() == content, "nothing is thrown away"


def test_damage_that_shows_during_use(tmp_path: Path) -> None:
    path = tmp_path / "t"
    database = Database(path, SCHEMA)
    for number in range(300):
        add(database, f"{number} " * 20)
    database.compact()
    database.close()
    spoil(path)
    with pytest.raises(StorageError, match="set aside"):
        names(database)
    add(database, "new")
    assert names(database) == ["new"]


def test_another_process_that_has_the_file_open_follows_to_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "t"
    one, other = Database(path, SCHEMA), Database(path, SCHEMA)
    add(one, "old")
    assert names(other) == ["old"]
    one.compact()
    spoil(path)
    one.close()
    with pytest.raises(StorageError, match="set aside"):
        names(one)
    add(one, "new")
    assert names(other) == ["new"]
    assert len(aside(path)) == 1


def test_two_writers_at_once(tmp_path: Path) -> None:
    path = tmp_path / "t"
    databases = [Database(path, SCHEMA) for _ in range(4)]
    workers = [Background(f"writer {n}") for n in range(4)]
    orders = [
        worker.submit(add, database, f"{n}")
        for n in range(20)
        for worker, database in zip(workers, databases, strict=True)
    ]
    for order in orders:
        order.result()
    for worker in workers:
        worker.close()
    assert len(names(databases[0])) == 80


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "t"
    Database(path, SCHEMA, version=2).close()
    add(Database(path, SCHEMA, version=2), "kept")
    with pytest.raises(StorageError, match="newer Luna"):
        names(Database(path, SCHEMA, version=1))
    assert names(Database(path, SCHEMA, version=2)) == ["kept"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be used"):
        names(Database(tmp_path / "file" / "t", SCHEMA))


async def test_background_calls_keep_their_order_and_errors() -> None:
    background = Background("test")
    seen: list[int] = []
    for number in range(50):
        background.submit(seen.append, number)
    with pytest.raises(ZeroDivisionError):
        await background.call(divmod, 1, 0)
    assert seen == list(range(50))
    background.close()
