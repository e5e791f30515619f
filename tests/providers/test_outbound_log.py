"""The log of what left: complete, bounded, and only for the owner."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from appliance.errors import StorageError
from appliance.providers.outbound_log import DAY_S, Outbound, OutboundLog, clear, described, read

NOW = 1_795_000_000.0


class Clock:
    """Time that the test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def entry(n: int, at: float = NOW, size: int = 10) -> Outbound:
    message = {"role": "user", "content": "ç" * size}
    return Outbound(
        at=at, provider="p", host="h", model="m", role="chat", turn_id=n, messages=[message]
    )


def write(folder: Path, *entries: Outbound, max_bytes: int = 100_000, max_days: int = 30) -> None:
    clock = Clock()
    for item in entries:  # one log for each: as after a restart
        clock.now = item.at
        log = OutboundLog(folder, max_bytes=max_bytes, max_days=max_days, now=clock)
        log.record(item)
        log.close()


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    entries = [entry(n) for n in range(5)]
    write(tmp_path, *entries)
    assert read(tmp_path) == entries
    assert read(tmp_path, 2) == entries[-2:]
    assert read(tmp_path, 0) == []


def test_many_at_once_come_in_order(tmp_path: Path) -> None:
    log = OutboundLog(tmp_path, max_bytes=1_000_000, max_days=1)
    for n in range(300):
        log.record(entry(n))
    log.close()
    assert [item.turn_id for item in read(tmp_path, 1000)] == list(range(300))


def test_it_stays_within_its_size(tmp_path: Path) -> None:
    for n in range(200):
        write(tmp_path, entry(n, size=100), max_bytes=20_000)
        assert size_of(tmp_path) <= 20_000
    kept = [item.turn_id for item in read(tmp_path, 1000)]
    assert kept == list(range(200))[-len(kept) :]
    assert len(kept) > 30


def test_an_entry_that_is_too_long_is_noted_without_its_words(tmp_path: Path) -> None:
    write(tmp_path, entry(1, size=100_000), entry(2), max_bytes=20_000)
    first, second = read(tmp_path)
    assert (first.turn_id, first.provider) == (1, "p")
    assert "ç" not in str(first.messages)
    assert second == entry(2)
    assert size_of(tmp_path) <= 20_000


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    days = [entry(n, at=NOW + n * DAY_S) for n in range(10)]
    write(tmp_path, *days, max_days=3)
    kept = [item.turn_id for item in read(tmp_path)]
    assert kept in ([6, 7, 8, 9], [7, 8, 9])


def test_a_clock_that_jumps_back_loses_nothing(tmp_path: Path) -> None:
    entries = [entry(1), entry(2, at=NOW - 5 * DAY_S), entry(3, at=NOW + 1)]
    write(tmp_path, *entries)
    assert [item.turn_id for item in read(tmp_path)] == [1, 2, 3]


def test_half_a_line_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path, entry(1), entry(2))
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    write(tmp_path, entry(3))
    assert [item.turn_id for item in read(tmp_path)] == [1, 3]


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "outbound"
    write(folder, entry(1))
    [file] = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600


def test_it_can_be_deleted(tmp_path: Path) -> None:
    write(tmp_path, entry(1))
    clear(tmp_path)
    assert read(tmp_path) == []
    assert read(tmp_path / "never written") == []


def test_a_log_that_cannot_be_written_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("luna"), "propagate", True)
    (tmp_path / "file").write_text("in the way")
    write(tmp_path / "file", entry(1))
    assert "could not be logged" in caplog.text
    assert "ç" not in caplog.text


def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").mkdir()
    with pytest.raises(StorageError):
        read(tmp_path)


def test_pictures_are_kept_as_their_size() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:" + "A" * 95}}
    text = {"type": "text", "text": "?"}
    assert described([{"role": "user", "content": [text, picture]}]) == [
        {"role": "user", "content": [text, {"type": "image", "characters": 100}]}
    ]
