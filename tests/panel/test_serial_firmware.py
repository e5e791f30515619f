"""The reference firmware of the serial panel against Luna's side of the protocol."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.panel import serial_frames as frames
from appliance.panel.device import Connected, Edge, Frame, Layout, MuteSwitched, Report, Turned
from appliance.panel.serial import SerialPanel
from appliance.panel.serial_frames import FrameDecoder
from appliance.panel.serial_session import Timing
from tests.panel.serial_device import FIRMWARE, PseudoTerminal, protocol, until

BOARD = Path(__file__).parent / "micropython_board"
MICROPYTHON = shutil.which("micropython", path=f"{Path(sys.executable).parent}:{os.defpath}")
TALK, MUTE, KNOB_A, KNOB_B, PINS = 15, 14, 12, 13, 20

needs_micropython = pytest.mark.skipif(not MICROPYTHON, reason="micropython is not installed")


def firmware_payloads(data: bytes) -> list[str]:
    decoder = protocol.Decoder()
    return [payload for byte in data if (payload := decoder.feed(byte)) is not None]


def panel(sent: list[bytes], leds: int = 2) -> protocol.Panel:
    return protocol.Panel(sent.append, "pico", ["talk", "stop"], "line", leds, True, False)


def feed(device: protocol.Panel, data: bytes, now: int) -> None:
    for byte in data:
        device.receive(byte, now)


def test_the_constants_are_the_same() -> None:
    assert protocol.VERSION == frames.VERSION
    assert protocol.MAX_PAYLOAD == frames.MAX_PAYLOAD
    assert protocol.MAX_LINE == frames.MAX_FRAME - 2


def test_the_firmware_is_for_pins_that_do_not_clash() -> None:
    tree = ast.parse((FIRMWARE / "main.py").read_text())
    values = {
        ast.unparse(node.targets[0]): ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
    }
    leds, shape, count = values["(LEDS, SHAPE, COUNT)"]
    pins = [pin for _role, pin in values["BUTTONS"]]
    pins += [values["MUTE_SWITCH"], *values["ENCODER"], leds]
    assert len(set(pins)) == len(pins)
    assert frames._layout(shape, count) == Layout("ring", 12)
    assert frames._buttons(",".join(role for role, _pin in values["BUTTONS"])) == ("talk",)


PAYLOAD = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7D), max_size=255)
PIECE = st.one_of(
    PAYLOAD.map(frames.encode),
    PAYLOAD.map(lambda payload: frames.encode(payload)[:-1] + b"\r\n"),
    st.binary(max_size=300),
    st.sampled_from([b"~", b"\n", b"\r", b"~00", b"~" + b"a" * 300]),
)


@given(st.lists(PIECE, max_size=8), st.integers(0, 600), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_both_find_the_same_frames(pieces: list[bytes], place: int, value: int) -> None:
    stream = bytearray(b"".join(pieces))
    if place < len(stream):
        stream[place] = value
    assert firmware_payloads(bytes(stream)) == FrameDecoder().feed(bytes(stream))


@given(PAYLOAD)
@settings(deadline=None)
def test_both_write_the_same_frame(payload: str) -> None:
    assert protocol.encode(payload) == frames.encode(payload)


def test_what_the_panel_says() -> None:
    sent: list[bytes] = []
    device = panel(sent)
    host = FrameDecoder()
    device.start(0)
    for now in range(0, 5000, 10):  # nobody is there: nothing more is said
        device.poll(0, False, 0, now)
    assert [frames.parse(payload) for payload in host.feed(b"".join(sent))] == [
        frames.Hello(1, "0000", ("talk", "stop"), Layout("line", 2), True, False, "pico")
    ]
    sent.clear()
    feed(device, frames.hello("4f3a"), 5000)
    device.poll(2, True, -1, 5001)
    assert host.messages(b"".join(sent)) == [
        frames.Hello(1, "4f3a", ("talk", "stop"), Layout("line", 2), True, False, "pico"),
        frames.Inputs(2, True, 0xFFFF),
    ]
    sent.clear()
    device.poll(2, True, -1, 5002)
    assert not sent
    device.poll(3, True, -1, 5003)
    assert len(sent) == 1
    feed(device, frames.alive(), 5400)
    device.poll(3, True, -1, 5503)  # the keep-alive
    assert sent[0] == sent[1]
    assert not device.poll(3, True, -1, 7400)
    sent.clear()
    assert device.poll(3, True, -1, 7401)
    assert not device.host_there
    device.poll(0, True, -1, 9000)
    assert not sent


def test_what_the_panel_shows() -> None:
    sent: list[bytes] = []
    device = panel(sent)
    now = protocol.TICKS_PERIOD - 1  # the clock wraps meanwhile
    feed(device, frames.state("listening") + frames.brightness(0.5), now)
    feed(device, frames.leds(bytes(range(6))), 0)
    assert (device.state, device.brightness) == ("listening", 128)
    assert device.colours == bytes(range(6))
    before = bytes(device.colours)
    for payload in ("leds 00", "leds zz0000000000", "leds", "state", "brightness", "what is this"):
        feed(device, frames.encode(payload), 1)
    feed(device, frames.encode("brightness 999"), 1)
    assert (device.state, device.brightness, device.colours) == ("listening", 255, before)
    assert device.host_there
    assert not sent


def test_contacts_bounce() -> None:
    contacts = protocol.Debouncer(2)
    now = protocol.TICKS_PERIOD - 5
    found = []
    for level in (0, 1, 0, 1, 1, 0, 1, *[1] * 30, 0, 1, 0, *[0] * 30):
        found.append(contacts.update(level | 0b10, now % protocol.TICKS_PERIOD))
        now += 1
    assert [value & 1 for value in found] == [0] + [1] * 36 + [0] * 33
    assert all(value & 2 for value in found)


def test_the_knob_counts_clicks() -> None:
    quarter = [(1, 1), (0, 1), (0, 0), (1, 0)]  # clockwise: A closes first
    knob = protocol.Quadrature(1, 1)
    for step in range(1, 13):
        knob.update(*quarter[step % 4])
    assert knob.position == 3
    for step in range(11, -17, -1):
        knob.update(*quarter[step % 4])
    assert knob.position == 0xFFFC
    for _ in range(10):  # trembling between two contacts is no click
        knob.update(0, 1)
        knob.update(1, 1)
    assert knob.position == 0xFFFC


class Pico(PseudoTerminal):
    """The whole firmware under MicroPython; fingers write into a file."""

    def __init__(self, link: Path, folder: Path) -> None:
        super().__init__(link)
        self._levels = ["1"] * PINS
        self._pins, self._leds = folder / "pins", folder / "leds"
        self.set()
        os.set_blocking(self.fd, True)
        self._errors = (folder / "errors").open("w+")
        assert MICROPYTHON
        self._process = subprocess.Popen(
            [MICROPYTHON, str(BOARD / "on_a_pc.py")],
            stdin=self.fd,
            stdout=self.fd,
            stderr=self._errors,
            env={
                **os.environ,
                "MICROPYPATH": f"{BOARD}:{FIRMWARE}",
                "LUNA_TEST_PINS": str(self._pins),
                "LUNA_TEST_LEDS": str(self._leds),
            },
        )

    def set(self, **levels: int) -> None:
        """Bring pins to a level: ``p15=0`` connects pin 15 to ground."""
        for pin, level in levels.items():
            self._levels[int(pin[1:])] = str(level)
        new = self._pins.with_suffix(".new")
        new.write_text("".join(self._levels))
        new.replace(self._pins)

    @property
    def handled(self) -> bool:
        """The firmware has seen how the pins stand now."""
        seen = Path(f"{self._pins}.seen")
        return seen.exists() and seen.read_text() == "".join(self._levels)

    @property
    def colours(self) -> bytes:
        return bytes.fromhex(self._leds.read_text()) if self._leds.exists() else b""

    @property
    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def unplug(self) -> None:
        self._process.kill()
        self._process.wait()
        super().unplug()
        self._errors.close()


@contextmanager
def pico(link: Path, folder: Path) -> Iterator[Pico]:
    device = Pico(link, folder)
    try:
        yield device
    finally:
        device.unplug()


@needs_micropython
async def test_the_firmware_under_micropython(tmp_path: Path) -> None:
    reports: list[Report] = []
    host = SerialPanel(str(tmp_path / "panel"), timing=Timing(handshake_s=20.0, silence_s=20.0))
    with pico(tmp_path / "panel", tmp_path) as device:
        await host.start(reports.append)
        try:
            await until(lambda: len(reports) == 2 or device.errors)
            assert not device.errors
            assert reports == [Connected(f"luna-pico ({tmp_path}/panel)"), MuteSwitched(False)]
            assert host.layout == Layout("ring", 12)

            device.set(p15=0)
            await until(lambda: len(reports) == 3)
            device.set(p15=1)
            await until(lambda: len(reports) == 4)
            device.set(p14=0)
            await until(lambda: len(reports) == 5)
            for levels in ({"p12": 0}, {"p13": 0}, {"p12": 1}, {"p13": 1}):
                device.set(**levels)
                await until(lambda: device.handled)
            await until(lambda: len(reports) == 6)

            colours = tuple((led, 0, 255 - led) for led in range(12))
            host.show(Frame("thinking", colours, 1.0))
            wanted = bytes(part for colour in colours for part in colour)
            await until(lambda: device.colours == wanted)
            host.show(Frame("thinking", colours, 0.001))
            await until(lambda: device.colours == bytes(36))
        finally:
            await host.close()
        await until(lambda: bytes((8, 0, 0)) in device.colours)  # the light of a panel alone
        assert not device.errors
    talk, released, muted, turned = reports[2:6]
    assert isinstance(talk, Edge)
    assert isinstance(released, Edge)
    assert (talk.button, talk.pressed, released.pressed) == ("talk", True, False)
    assert (muted, turned) == (MuteSwitched(True), Turned(1))
    assert len(reports) == 6


@needs_micropython
def test_the_protocol_under_micropython(tmp_path: Path) -> None:
    """The same frames come out of the real interpreter, also of damaged lines."""
    assert MICROPYTHON
    lines = [frames.encode(f"leds {value:06x}" * (1 + value % 3)) for value in range(200)]
    stream = bytearray(b"".join(lines))
    for place in range(0, len(stream), 97):
        stream[place] ^= 1 << place % 8
    script = tmp_path / "decode.py"
    script.write_text(
        "import sys\nfrom protocol import Decoder, encode\n"
        "decoder = Decoder()\n"
        "for byte in open(sys.argv[1], 'rb').read():\n"
        "    payload = decoder.feed(byte)\n"
        "    if payload is not None:\n"
        "        sys.stdout.buffer.write(encode(payload))\n"
    )
    (tmp_path / "stream").write_bytes(stream)
    done = subprocess.run(
        [MICROPYTHON, str(script), str(tmp_path / "stream")],
        env={**os.environ, "MICROPYPATH": str(FIRMWARE)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = FrameDecoder().feed(bytes(stream))
    assert 0 < len(found) < len(lines)
    assert FrameDecoder().feed(done.stdout) == found
