"""The store of the reminders on a real folder, and on disks that refuse."""

from __future__ import annotations

import errno
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import StorageError
from appliance.reminders.records import (
    Countdown,
    Reminder,
    Ring,
    Span,
    from_document,
    to_document,
)
from appliance.reminders.store import Known, ReminderStore
from appliance.storage.files import FileLayer

SIX = datetime(2026, 6, 1, 6)
ONE = Reminder(id=0, kind="reminder", text="call Ana", language="en", created="2026-01-01")
ALL = replace(
    ONE,
    zone="Europe/Lisbon",
    due=SIX,
    start=SIX,
    rule="FREQ=DAILY;COUNT=3",
    passed=2,
    spoken=(Span(SIX, SIX),),
    countdown=Countdown("boot", 5.5, "2026-06-01T00:00:00+00:00", carried=True),
    missed=2,
    missed_until=SIX,
    ring=Ring("1@x", "2026", 1, local=SIX, local_first=SIX, again=Countdown("b", 1.0)),
    state="ringing",
    always=True,
)


@pytest.mark.parametrize("one", [ONE, ALL])
def test_a_record_comes_back_as_it_was(tmp_path: Path, one: Reminder) -> None:
    store = ReminderStore.on_flash(tmp_path)
    stored = store.add(one)
    assert stored == replace(one, id=1)
    store.close()
    again = ReminderStore.on_flash(tmp_path)
    assert again.load() == {1: stored}
    again.close()


@given(st.text(max_size=500), st.integers(min_value=0), st.datetimes())
@settings(max_examples=50)
def test_any_text_and_time_can_be_stored(text: str, seconds: int, due: datetime) -> None:
    one = replace(ALL, id=7, text=text, seconds=seconds, due=due)
    assert from_document(7, to_document(one)) == one


def test_changes_are_all_or_nothing_and_ids_are_never_used_again(tmp_path: Path) -> None:
    store = ReminderStore.on_flash(tmp_path)
    first, second = store.add(ONE), store.add(ONE)
    store.put([replace(second, text="b"), replace(first, text="a")])
    with pytest.raises(StorageError, match="no reminder 9"):
        store.put([replace(first, text="c"), replace(first, id=9)])
    assert [one.text for one in store.load().values()] == ["a", "b"]
    assert store.remove([1, 2]) == 1, "the newest stays"
    store.close()
    store = ReminderStore.on_flash(tmp_path)
    assert store.add(ONE).id == 3
    store.close()


def test_time_and_jobs(tmp_path: Path) -> None:
    store = ReminderStore.on_flash(tmp_path)
    assert store.known() is None
    assert store.job_runs() == {}
    for wall in ("2026-01-01", "2026-01-02"):
        store.note(Known(wall, "boot", 7.5, "UTC"))
    store.note_job("daily-report", "2026")
    store.note_job("maintenance", "2027")
    store.close()
    reader = ReminderStore.on_flash(tmp_path, read_only=True)
    assert reader.known() == Known("2026-01-02", "boot", 7.5, "UTC")
    assert reader.job_runs() == {"daily-report": "2026", "maintenance": "2027"}
    with pytest.raises(StorageError):
        reader.add(ONE)


def test_what_cannot_be_read_and_what_is_newer_stays(tmp_path: Path) -> None:
    store = ReminderStore.on_flash(tmp_path)
    good = store.add(ONE)
    broken = store.add(replace(ONE, text="b"))
    store._reminders.update({"due": "some day", "colour": "red"}, doc_ids=[broken.id])
    store._reminders.update({"colour": "blue"}, doc_ids=[good.id])
    assert list(store.load()) == [good.id]
    store.put([replace(good, text="new")])
    kept = store._reminders.get(doc_id=good.id)
    assert isinstance(kept, dict)
    assert (kept["text"], kept["colour"]) == ("new", "blue")
    assert len(store._reminders) == 2
    store.close()


class BrokenLayer(FileLayer):
    number = 0

    def sync_data(self, descriptor: int) -> None:
        if self.number:
            raise OSError(self.number, "made to fail")
        super().sync_data(descriptor)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_refuses_gives_no_receipt_and_loses_nothing(
    tmp_path: Path, number: int
) -> None:
    layer = BrokenLayer()
    store = ReminderStore.on_flash(tmp_path, files=layer)
    first = store.add(ONE)
    layer.number = number
    for attempt in (
        lambda: store.add(ONE),
        lambda: store.put([replace(first, text="other")]),
        lambda: store.note_job("x", "y"),
    ):
        with pytest.raises(StorageError):
            attempt()
    layer.number = 0
    assert store.load() == {1: first}
    assert store.add(ONE).id == 2
    store.close()
    again = ReminderStore.on_flash(tmp_path)
    assert list(again.load()) == [1, 2]
    again.close()
