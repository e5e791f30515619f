"""The conversation in memory and the one on the disk, together."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from appliance.assistant.conversations import FILE, Conversations
from appliance.assistant.history import Exchange, History
from appliance.assistant.saved_history import SavedHistory
from appliance.errors import StorageError


class Service:
    """One run of the service."""

    def __init__(self, folder: Path) -> None:
        self.errors: list[StorageError] = []
        self.saved = SavedHistory(Conversations(folder), self.errors.append, max_messages=1000)
        self.history = History(keeper=self.saved)

    async def refresh(self) -> bool:
        return await self.saved.refresh(self.history)

    def questions(self) -> list[str]:
        return [m["content"] for m in self.history.messages("") if m["role"] == "user"]


async def test_a_restart_goes_on_with_the_conversation(tmp_path: Path) -> None:
    first = Service(tmp_path)
    await first.refresh()
    first.history.add("One?", "1")
    first.history.add_interrupted("Two?", "half")
    first.saved.close()
    second = Service(tmp_path)
    assert await second.refresh()
    assert second.history.messages("s") == first.history.messages("s")
    assert not await second.refresh(), "nothing has changed"
    second.history.add("Three?", "3")
    assert not await second.refresh()
    second.saved.close()
    assert not second.errors


async def test_a_new_conversation_stays_new_after_a_restart(tmp_path: Path) -> None:
    first = Service(tmp_path)
    await first.refresh()
    first.history.add("One?", "1")
    first.history.clear()
    first.saved.close()
    second = Service(tmp_path)
    await second.refresh()
    assert len(second.history) == 0
    second.saved.close()


async def test_a_rest_counts_over_a_restart(tmp_path: Path) -> None:
    past = Conversations(tmp_path, now=lambda: time.time() - 100.0)
    past.append(0, Exchange("One?", "1"))
    past.close()
    service = Service(tmp_path)
    await service.refresh()
    assert not service.history.end_rested(200.0)
    assert service.history.end_rested(90.0)
    assert not await service.refresh()
    service.history.add("Two?", "2")
    service.saved.close()
    kept = Conversations(tmp_path)
    assert [found.title for found in kept.newest()] == ["Two?", "One?"]
    kept.close()


async def test_new_and_purge_in_another_process_take_effect(tmp_path: Path) -> None:
    service, owner = Service(tmp_path), Conversations(tmp_path)
    await service.refresh()
    service.history.add("One?", "1")
    await service.refresh()
    owner.begin()
    assert await service.refresh()
    assert len(service.history) == 0
    service.history.add("Two?", "2")
    assert not await service.refresh()
    assert owner.purge() == 4
    assert await service.refresh()
    assert len(service.history) == 0
    service.history.add("Three?", "3")
    assert not await service.refresh()
    assert service.questions() == ["Three?"]
    service.saved.close()


async def test_a_summary_survives(tmp_path: Path) -> None:
    first = Service(tmp_path)
    await first.refresh()
    for number in range(5):
        first.history.add(f"q{number}", "a")
    assert first.history.compact("They counted.", 6, first.history.beginning)
    first.saved.close()
    second = Service(tmp_path)
    await second.refresh()
    assert second.history.messages("Be brief.")[0]["content"] == "Be brief.\n\nThey counted."
    assert second.questions() == ["q3", "q4"]
    second.saved.close()


async def test_a_damaged_file_is_said_and_the_conversation_goes_on(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"broken" * 2000)
    service = Service(tmp_path)
    assert not await service.refresh()
    assert "damaged" in str(service.errors[0])
    service.history.add("One?", "1")
    await service.refresh()
    assert service.questions() == ["One?"]
    service.saved.close()
    assert len(Conversations(tmp_path).search("One")) == 1


async def test_a_full_disk_costs_the_record_and_not_the_conversation(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    service = Service(tmp_path / "file")
    await service.refresh()
    service.history.add("One?", "1")
    service.saved.close()
    assert len(service.errors) == 2
    assert service.questions() == ["One?"]
    with pytest.raises(StorageError):
        raise service.errors[0]
