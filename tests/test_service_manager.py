"""What systemd hears, over a real datagram socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.events import Event, Logged, StateChanged, WorkerChanged
from appliance.service_manager import ServiceManager, trouble


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.setblocking(False)
        yield line


def heard(systemd: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(systemd.recv(4096).decode())
        except BlockingIOError:
            return messages


def manager(tmp_path: Path, said: list[Event], **more: str) -> ServiceManager:
    return ServiceManager(
        said.append, ("listen", "llm"), {"NOTIFY_SOCKET": str(tmp_path / "notify"), **more}
    )


def test_ready_means_that_the_wake_word_works_while_models_still_load(
    systemd: socket.socket, tmp_path: Path
) -> None:
    service = manager(tmp_path, [])
    service.handle(WorkerChanged(worker="listen", status="ready"))
    assert heard(systemd) == ["STATUS=loading: llm"]
    service.handle(WorkerChanged(worker="llm", status="starting"))
    assert "READY=1" not in heard(systemd)
    service.handle(StateChanged(state="idle"))
    assert heard(systemd) == ["READY=1", "STATUS=idle; loading: llm"]
    service.handle(WorkerChanged(worker="llm", status="ready"))
    service.handle(StateChanged(state="listening"))
    service.stopping()
    assert heard(systemd) == [
        "STATUS=everything is loaded",
        "STATUS=listening; everything is loaded",
        "STOPPING=1",
    ]


def test_what_failed_is_not_called_loading(systemd: socket.socket, tmp_path: Path) -> None:
    service = manager(tmp_path, [])
    service.handle(WorkerChanged(worker="listen", status="starting"))
    service.handle(WorkerChanged(worker="llm", status="failed"))
    assert heard(systemd)[-1] == "STATUS=failed: llm; loading: listen"


def test_without_systemd_nothing_is_sent_and_nothing_fails(tmp_path: Path) -> None:
    said: list[Event] = []
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody")}):
        service = ServiceManager(said.append, (), environ)
        service.handle(StateChanged(state="idle"))
        service.stopping()


def report(**more: Any) -> dict[str, Any]:
    workers = {
        "audio": {"status": "ready", "last_pong_s": 0.4, "stats": {"seconds_since_block": 0.02}},
        "llm": {"status": "ready", "last_pong_s": 0.9, "stats": {}},
    }
    return {"workers": workers, "microphone": {"status": "open"}} | more


def test_the_watchdog_is_fed_only_while_sound_comes_and_the_workers_answer(
    systemd: socket.socket, tmp_path: Path
) -> None:
    said: list[Event] = []
    service = manager(tmp_path, said, WATCHDOG_USEC="30000")
    now = report()

    async def live() -> None:
        feeding = asyncio.create_task(service.feed_watchdog(lambda: now))
        await asyncio.sleep(0.05)
        assert "WATCHDOG=1" in heard(systemd)
        now["workers"]["llm"]["last_pong_s"] = 60.0
        await asyncio.sleep(0.03)
        heard(systemd)
        await asyncio.sleep(0.05)
        assert heard(systemd) == []
        feeding.cancel()

    asyncio.run(live())
    texts = [event.text for event in said if isinstance(event, Logged)]
    assert texts == ["the watchdog is not fed: the worker llm has not answered for 60 s"]


def test_what_a_restart_would_not_mend_is_no_trouble() -> None:
    assert trouble(report()) == ""
    deaf = report()
    deaf["workers"]["audio"]["stats"]["seconds_since_block"] = 40.0
    assert "nothing was captured for 40 s" in trouble(deaf)
    for status in ("missing", "muted", "lost"):
        assert trouble(deaf | {"microphone": {"status": status}}) == ""
    starting = report()
    starting["workers"]["llm"] |= {"status": "starting", "last_pong_s": 60.0}
    assert trouble(starting) == ""
