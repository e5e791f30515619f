"""The serial panel through real pseudo-terminals, with devices that also misbehave."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import random
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from appliance.errors import PanelError
from appliance.panel import serial as serial_module
from appliance.panel import serial_frames as frames
from appliance.panel.device import (
    Connected,
    Edge,
    Frame,
    Layout,
    Lost,
    MuteSwitched,
    Report,
    Turned,
)
from appliance.panel.serial import SerialPanel
from appliance.panel.serial_session import Timing
from tests.panel.serial_device import PseudoTerminal, SimulatedPanel, protocol, until

PATIENT = Timing(0.02, 0.05, 10.0, 10.0, retry_s=0.01, longest_retry_s=0.05)
RED = Frame("speaking", ((255, 0, 0), (0, 255, 0), (0, 0, 255), (1, 2, 3)), 0.5)


@pytest.fixture
def link(tmp_path: Path) -> Path:
    """Where the panel is plugged in."""
    return tmp_path / "panel"


@asynccontextmanager
async def host(
    link: Path, timing: Timing = PATIENT
) -> AsyncIterator[tuple[SerialPanel, list[Report]]]:
    reports: list[Report] = []
    panel = SerialPanel(str(link), timing=timing)
    await panel.start(reports.append)
    try:
        yield panel, reports
    finally:
        await panel.close()


@asynccontextmanager
async def plugged(
    link: Path, mutilate: Callable[[bytes], bytes] | None = None
) -> AsyncIterator[SimulatedPanel]:
    device = SimulatedPanel(link, mutilate=mutilate)
    try:
        yield device
    finally:
        device.unplug()


def seen(reports: list[Report], kind: type[Report]) -> list[Report]:
    return [report for report in reports if isinstance(report, kind)]


def edges(reports: list[Report]) -> list[tuple[str, bool]]:
    return [(report.button, report.pressed) for report in reports if isinstance(report, Edge)]


def reasons(reports: list[Report]) -> list[str]:
    return [report.reason for report in reports if isinstance(report, Lost)]


def connections(reports: list[Report]) -> int:
    return len(seen(reports, Connected))


async def test_everything_on_it_is_reported(link: Path) -> None:
    async with plugged(link) as device, AsyncExitStack() as stack:
        device.muted = True
        device.position = 0xFFFE
        panel, reports = await stack.enter_async_context(host(link))
        assert panel.layout == Layout("ring", 4)
        assert reports == [Connected(f"sim ({link})"), MuteSwitched(True)]
        device.buttons = 0b10
        await until(lambda: len(reports) == 3)
        device.buttons = 0b01
        await until(lambda: len(reports) == 5)
        device.buttons = 0b00
        await until(lambda: len(reports) == 6)
        device.position = 1  # over the end of the counter
        await until(lambda: len(reports) == 7)
        device.position = 0xFFFF
        await until(lambda: len(reports) == 8)
        device.muted = False
        await until(lambda: len(reports) == 9)
    assert sorted(edges(reports[2:5])) == [("stop", False), ("stop", True), ("talk", True)]
    assert edges(reports[5:6]) == [("talk", False)]
    assert reports[6:9] == [Turned(3), Turned(-2), MuteSwitched(False)]
    times = [report.at for report in reports if isinstance(report, Edge)]
    assert times == sorted(times)


async def test_frames_of_light_arrive_and_heal(link: Path) -> None:
    async with plugged(link) as device, host(link) as (panel, reports):
        assert connections(reports)  # known as soon as it is started
        panel.show(RED)
        colours = bytes((255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3))
        await until(lambda: device.panel.colours == colours)
        assert (device.panel.state, device.panel.brightness) == ("speaking", 128)
        # As if a frame had been damaged on the way: it is said again.
        device.panel.colours[:] = bytes(12)
        device.panel.state = ""
        await until(lambda: device.panel.colours == colours and device.panel.state == "speaking")
        panel.show(Frame("idle", ((9, 9, 9),), 1.0))  # the others are dark
        await until(lambda: device.panel.colours == bytes((9, 9, 9, *[0] * 9)))
        assert device.panel.state == "idle"
        await panel.close()
        await until(lambda: device.panel.state == "off" and device.panel.colours == bytes(12))
        assert panel.layout == Layout()


async def test_what_has_not_changed_is_not_sent_at_once(link: Path) -> None:
    slow = replace(PATIENT, keep_alive_s=60.0)
    async with plugged(link) as device, host(link, slow) as (panel, reports):
        await until(lambda: connections(reports))
        panel.show(RED)
        for number in range(100):
            panel.show(replace(RED, colours=((number, 0, 0),)))
        await until(lambda: device.panel.colours[0] == 99)
        decoder = frames.FrameDecoder()
        sent = [payload.split()[0] for payload in decoder.feed(bytes(device.received))]
        assert sent.count("state") == sent.count("brightness") == 1
        assert sent.count("leds") <= 101


async def test_damaged_lines_are_skipped_and_counted(link: Path) -> None:
    numbers = random.Random(1)

    def spoil(data: bytes) -> bytes:
        wrong = bytearray(data)
        wrong[numbers.randrange(len(wrong))] ^= 1 << numbers.randrange(7)
        half = data[: numbers.randrange(1, len(data))]
        garbage = numbers.randbytes(numbers.randrange(20)).replace(b"~", b"")
        # Every change is sent well in the end, by the keep-alive at the latest.
        return numbers.choice((bytes(wrong), half, garbage + data, half + data + b"\x00AT\r\n"))

    async with plugged(link, spoil) as device, host(link) as (panel, reports):
        await until(lambda: connections(reports))
        for count in range(1, 21):
            device.buttons = count % 2
            await until(lambda count=count: len(edges(reports)) == count)
        device.position = 5
        await until(lambda: seen(reports, Turned))
        assert panel.decoder.bad_frames > 0
        assert panel.decoder.skipped_bytes > 0
    assert edges(reports) == [("talk", True), ("talk", False)] * 10
    assert seen(reports, Turned) == [Turned(5)]
    assert not reasons(reports)


async def test_nothing_of_before_the_handshake_counts(link: Path) -> None:
    async with plugged(link) as device:
        for payload in ("inputs 01 1 0009", "hello 9 0000", "hello 1 0000 talk ring 8 0 0 old"):
            device.write(frames.encode(payload))
        device.write(frames.encode("inputs 00 1 0001")[:9])
        async with host(link) as (panel, reports):
            await until(lambda: connections(reports))
            assert reports[:2] == [Connected(f"sim ({link})"), MuteSwitched(False)]
            assert panel.layout == Layout("ring", 4)


async def test_a_button_that_is_down_already_counts_once_it_was_released(link: Path) -> None:
    async with plugged(link) as device, AsyncExitStack() as stack:
        device.buttons = 0b11
        _panel, reports = await stack.enter_async_context(host(link))
        device.buttons = 0b10
        await until(lambda: device.panel._inputs == (0b10, 0, 0))
        device.buttons = 0b11
        await until(lambda: edges(reports))
    assert edges(reports) == [("talk", True)]


@pytest.mark.parametrize("read", [True, False])
async def test_unplugged_and_replugged_at_any_byte(link: Path, read: bool) -> None:
    lines = frames.encode("inputs 01 0 0001") + frames.encode("inputs 00 1 0002")
    half = len(lines) // 2
    told: list[list[Report]] = [
        [],
        [Edge(0.0, "talk", True), Edge(0.0, "stop", False), Turned(1)],
        [Edge(0.0, "talk", False), MuteSwitched(True), Turned(1)],
    ]
    async with host(link) as (panel, reports):
        for cut in range(len(lines) + 1):
            reports.clear()
            async with plugged(link) as device:
                await until(lambda: connections(reports))
                device.buttons = 0b10
                await until(lambda: edges(reports) == [("stop", True)])
                device.fall_silent()
                reports.clear()
                device.write(lines[:cut])
                whole = [report for part in told[: 1 + cut // half] for report in part]
                if read:
                    await until(lambda rest=cut % half: panel.decoder.kept == rest)
                    await until(lambda whole=whole: len(reports) == len(whole))
            # With the cable in between, what was not read yet is lost, but nothing is made up.
            await until(lambda: reasons(reports))
            assert panel.layout == Layout()
            found = [replace(one, at=0.0) if isinstance(one, Edge) else one for one in reports]
            *found, last = found
            assert last == Lost(f"the panel on {link} was unplugged")
            assert found == whole if read else found == whole[: len(found)]


async def test_one_sentence_while_there_is_none(link: Path) -> None:
    async with host(link) as (_panel, reports):
        await until(lambda: reports)
        await asyncio.sleep(0.1)
        assert reports == [Lost(serial_module.NOT_FOUND)]
        async with plugged(link):
            await until(lambda: connections(reports))


@pytest.mark.parametrize("kind", ["garbage", "frames"])
async def test_a_panel_that_sends_without_end(link: Path, kind: str) -> None:
    async with plugged(link) as device, host(link) as (panel, reports):
        await until(lambda: connections(reports))
        turns = 0

        def flood() -> None:
            data = os.urandom(4096) if kind == "garbage" else frames.encode("nonsense") * 160
            device.write(data)

        while not reasons(reports):
            flood()
            turns += 1
            await asyncio.sleep(0)
        assert reasons(reports) == [f"the panel on {link} sends without end; plug it in again"]
        assert turns > 4  # the event loop had its turn after each chunk
        assert panel.decoder.kept <= frames.MAX_FRAME
        await until(lambda: connections(reports) == 2)


async def test_a_panel_that_falls_silent(link: Path) -> None:
    brief = replace(PATIENT, silence_s=1.0, handshake_s=0.5)
    async with plugged(link) as device, host(link, brief) as (_panel, reports):
        device.buttons = 0
        await until(lambda: connections(reports))
        device.buttons = 1
        await until(lambda: edges(reports))
        device.fall_silent()
        await until(lambda: reasons(reports))
        assert reasons(reports) == [f"the panel on {link} has fallen silent; plug it in again"]
        device.unplug()
        async with plugged(link):
            await until(lambda: connections(reports) == 2)


async def test_a_panel_that_does_not_read(link: Path) -> None:
    brief = replace(PATIENT, silence_s=1.0)
    async with plugged(link) as device, host(link, brief) as (panel, reports):
        await until(lambda: connections(reports))
        device.fall_silent()
        session = panel._session
        assert session
        for number in range(10_000):
            panel.show(replace(RED, brightness=number % 2, state=f"s{number}"))
        assert len(session._waiting) <= 5  # the newest of each kind
        assert len(session._unsent) <= frames.MAX_FRAME
        while not reasons(reports):
            device.write(frames.encode("inputs 00 0 0000"))
            await asyncio.sleep(0.02)
        assert reasons(reports) == [f"the panel on {link} does not read; plug it in again"]


async def test_another_version_of_the_protocol(link: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with host(link) as (panel, reports):
        with monkeypatch.context() as patch:
            patch.setattr(protocol, "VERSION", 2)
            async with plugged(link):
                await until(lambda: any("version 2" in reason for reason in reasons(reports)))
        assert not connections(reports)
        assert panel.layout == Layout()
        assert sum("version 2" in reason for reason in reasons(reports)) == 1
        async with plugged(link):
            await until(lambda: connections(reports))


@pytest.mark.parametrize("answer", ["nothing", "echo", "prompt"])
async def test_a_port_with_something_else_on_it(link: Path, answer: str) -> None:
    brief = replace(PATIENT, handshake_s=0.3)
    port = PseudoTerminal(link)

    async def reply() -> None:
        while True:
            heard = port.read()
            if answer == "echo":
                port.write(heard)
            elif answer == "prompt" and heard:
                port.write(b"\r\nSyntaxError: invalid syntax\r\n>>> ")
            await asyncio.sleep(0.01)

    replying = asyncio.create_task(reply())
    try:
        async with host(link, brief) as (_panel, reports):
            await asyncio.sleep(0.5)
            assert reports == [Lost(f"{link} does not answer as a panel of Luna's does")]
    finally:
        replying.cancel()
        port.unplug()


async def test_a_panel_that_restarts_on_a_line_that_stays(link: Path) -> None:
    async with plugged(link) as device, host(link) as (_panel, reports):
        await until(lambda: connections(reports))
        device.restart()
        await until(lambda: connections(reports) == 2)
        assert reasons(reports) == [f"the panel on {link} has restarted"]


async def test_a_port_that_another_program_uses(link: Path) -> None:
    async with plugged(link):
        other = os.open(link, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        async with host(link) as (_panel, reports):
            await until(lambda: reasons(reports))
            assert "is used by another program" in reasons(reports)[0]
            os.close(other)
            await until(lambda: connections(reports))


async def test_what_is_no_serial_port(link: Path) -> None:
    link.write_text("a file")
    async with host(link) as (_panel, reports):
        await until(lambda: reasons(reports))
        await asyncio.sleep(0.1)
    assert len(reports) == 1
    assert reasons(reports)[0].startswith(f"the panel's port {link} cannot be used")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "no"), "add the user luna to the group"),
        (OSError(errno.EBUSY, "no"), "used by another program"),
        (termios.error(errno.EIO, "no"), "was unplugged"),
        (OSError(errno.EINVAL, "no"), "cannot be used"),
        (OSError("could not configure"), "cannot be used"),
    ],
)
def test_a_refused_port_is_one_sentence(error: Exception, words: str) -> None:
    sentence = serial_module._refused("/dev/ttyACM0", error)
    assert words in sentence
    assert "/dev/ttyACM0" in sentence
    assert "\n" not in sentence


@dataclass
class Port:
    """What pyserial tells of a port."""

    device: str
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None


@pytest.mark.parametrize(
    ("usb_ids", "found"),
    [
        (("2e8a:0005",), {"/dev/one", "/dev/two"}),
        (("2E8A:0005:E66141040363BD2E",), {"/dev/two"}),
        (("1209:c0de", "2e8a:0005:none"), {"/dev/three"}),
        (("2e8a:000a",), set()),
    ],
)
def test_found_by_usb_id(usb_ids: tuple[str, ...], found: set[str]) -> None:
    def ports() -> Iterator[Port]:
        yield Port("/dev/ttyS0")
        yield Port("/dev/one", 0x2E8A, 0x0005)
        yield Port("/dev/two", 0x2E8A, 0x0005, "e66141040363bd2e")
        yield Port("/dev/three", 0x1209, 0xC0DE, "x")

    panel = SerialPanel("", usb_ids, list_ports=ports)
    assert set(panel._candidates()) == found


async def test_the_port_with_a_panel_is_found_among_others(tmp_path: Path) -> None:
    other = PseudoTerminal(tmp_path / "other")
    plugged_in = [Port(str(tmp_path / name), 0x2E8A, 5) for name in ("other", "panel")]
    reports: list[Report] = []
    panel = SerialPanel(
        "",
        ("2e8a:0005",),
        timing=replace(PATIENT, handshake_s=0.2),
        list_ports=lambda: plugged_in,
    )
    await panel.start(reports.append)
    try:
        async with plugged(tmp_path / "panel"):
            await until(lambda: connections(reports))
    finally:
        await panel.close()
        other.unplug()


async def test_neither_port_nor_usb_id() -> None:
    with pytest.raises(PanelError, match=r"serial_port or serial_usb_ids in \[panel\]"):
        await SerialPanel().start(lambda report: None)


@pytest.mark.parametrize("usb_id", ["", "2e8a", "2e8a:5", "0x2e8a:0x0005", "2e8a:0005:"])
async def test_what_is_no_usb_id(usb_id: str) -> None:
    with pytest.raises(PanelError, match="is not a USB id: write VENDOR:PRODUCT"):
        await SerialPanel("", (usb_id,)).start(lambda report: None)


async def test_closed_at_any_moment(link: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with plugged(link):
        for steps in range(30):
            panel = SerialPanel(str(link), timing=PATIENT)
            starting = asyncio.create_task(panel.start(lambda report: None))
            for _ in range(steps):
                await asyncio.sleep(0.0005)
            starting.cancel()
            await panel.close()
            await panel.close()
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)
