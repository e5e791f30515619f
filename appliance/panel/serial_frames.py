r"""The serial panel's line protocol: frames, and the messages in them. See docs/serial-panel.md.

A frame is one line of printable ASCII::

    ~10inputs 01 0 000715a7157e\n
     │ │               └ CRC-32 of all between the tilde and itself, 8 hexadecimal digits
     │ └ payload
     └ length of the payload, 2 hexadecimal digits

The tilde and the line feed stand nowhere else in a frame, so that whatever was lost or is
garbage, the next tilde begins afresh.
"""

from __future__ import annotations

import re
from binascii import crc32
from dataclasses import dataclass, field
from typing import cast, get_args

from appliance.panel.device import Layout, Shape
from appliance.panel.wiring import Role

VERSION = 1
"""A panel that says another one is not used: there is no half understanding."""
MAX_PAYLOAD = 0xFF
MAX_FRAME = 1 + 2 + MAX_PAYLOAD + 8 + 2
"""Bytes: tilde, length, payload, CRC, and the line end with a carriage return."""
MAX_BUTTONS = 8
MAX_LEDS = 40
"""So many colours fit into one frame."""
ENCODER_RANGE = 0x10000
"""The encoder's position counts modulo this."""

_FRAME = re.compile(rb"([0-9a-f]{2})([ -}]*)([0-9a-f]{8})\r?")


def encode(payload: str) -> bytes:
    """Return the frame of *payload*.

    Raises:
        ValueError: it is too long, or has characters other than printable ASCII without tilde.
    """
    text = payload.encode("ascii")
    if len(text) > MAX_PAYLOAD or not re.fullmatch(rb"[ -}]*", text):
        raise ValueError(f"not a payload: {payload[:40]!r}")
    body = b"%02x%b" % (len(text), text)
    return b"~%b%08x\n" % (body, crc32(body))


@dataclass
class FrameDecoder:
    """Finds frames in whatever arrives, in pieces of any size; keeps ``MAX_FRAME`` bytes."""

    frames: int = 0
    """Valid ones so far."""
    bad_frames: int = 0
    """Frames that began, but were cut off, too long, or failed their length or CRC."""
    unknown: int = 0
    """Valid frames whose message is none of a panel's."""
    skipped_bytes: int = 0
    """Bytes outside of valid frames."""
    _begun: bytearray = field(default_factory=bytearray, repr=False)
    """A frame that is not whole yet, from its tilde."""

    def feed(self, data: bytes) -> list[str]:
        """Return the payloads of the valid frames that *data* completes, in order."""
        begun, self._begun = bytes(self._begun), bytearray()
        garbage, *pieces = (begun + data).split(b"~")
        self.skipped_bytes += len(garbage)
        payloads = []
        for number, piece in enumerate(pieces, start=1):
            line, line_end, rest = piece.partition(b"\n")
            if not line_end and number == len(pieces) and len(piece) < MAX_FRAME - 1:
                self._begun += b"~" + piece
            elif line_end and (payload := _payload(line)) is not None:
                self.frames += 1
                self.skipped_bytes += len(rest)
                payloads.append(payload)
            else:
                self.bad_frames += 1
                self.skipped_bytes += 1 + len(piece)
        return payloads

    def messages(self, data: bytes) -> list[Hello | Inputs]:
        """Return the panel's messages that *data* completes, in order."""
        found = []
        for payload in self.feed(data):
            try:
                found.append(parse(payload))
            except ValueError:
                self.unknown += 1
        return found

    def reset(self) -> None:
        """Give up the frame that is not whole: the line was cut."""
        if self._begun:
            self.bad_frames += 1
            self.skipped_bytes += len(self._begun)
            self._begun.clear()

    @property
    def kept(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._begun)


def _payload(line: bytes) -> str | None:
    """Return what lies in *line* (from after the tilde to before the line feed), if it is whole."""
    found = _FRAME.fullmatch(line)
    if not found:
        return None
    length, payload, crc = found.groups()
    if int(length, 16) != len(payload) or int(crc, 16) != crc32(length + payload):
        return None
    return payload.decode("ascii")


@dataclass(frozen=True)
class Hello:
    """The panel says who it is; the first two fields stand in every version of the protocol."""

    version: int
    nonce: str
    """Of the host's hello that it answers; ``0000`` when it has just started."""
    buttons: tuple[Role, ...] = ()
    """What each bit of ``Inputs.buttons`` is, from the lowest."""
    layout: Layout = Layout()  # noqa: RUF009  (frozen)
    encoder: bool = False
    mute_switch: bool = False
    name: str = ""


@dataclass(frozen=True)
class Inputs:
    """How everything on the panel stands: sent at each change, and as the panel's keep-alive.

    The whole state rather than a change: a frame that was lost is made good by the next one,
    and no button can stay pressed for ever.
    """

    buttons: int
    """Bit mask, 1 stands for pressed."""
    mute_switch: bool
    encoder: int
    """Position, modulo ``ENCODER_RANGE``."""


_HELLO = re.compile(r"hello (0|[1-9][0-9]{0,3}) ([0-9a-f]{4})(?: (.*))?")
_HELLO_REST = re.compile(r"([a-z_,]+|-) ([a-z]+) (0|[1-9][0-9]?) ([01]) ([01]) ([!-}]{1,32})")
_INPUTS = re.compile(r"inputs ([0-9a-f]{2}) ([01]) ([0-9a-f]{4})")
_LEDS_OF = {"none": range(1), "single": range(1, 2), "pair": range(2, 3), "rgb": range(1, 2)}


def parse(payload: str) -> Hello | Inputs:
    """Return the panel's message in *payload*.

    Raises:
        ValueError: it is none.
    """
    if found := _INPUTS.fullmatch(payload):
        buttons, muted, encoder = found.groups()
        return Inputs(int(buttons, 16), muted == "1", int(encoder, 16))
    if found := _HELLO.fullmatch(payload):
        version, nonce = int(found[1]), found[2]
        if version != VERSION:
            return Hello(version, nonce)
        if rest := _HELLO_REST.fullmatch(found[3] or ""):
            roles, shape, count, encoder, mute, name = rest.groups()
            buttons, layout = _buttons(roles), _layout(shape, int(count))
            return Hello(version, nonce, buttons, layout, encoder == "1", mute == "1", name)
    raise ValueError(f"not a message of a panel: {payload[:40]!r}")


def _buttons(roles: str) -> tuple[Role, ...]:
    names = () if roles == "-" else tuple(roles.split(","))
    if len(names) > MAX_BUTTONS or len(set(names)) < len(names) or set(names) - set(get_args(Role)):
        raise ValueError(f"not the buttons of a panel: {roles!r}")
    return cast("tuple[Role, ...]", names)


def _layout(shape: str, count: int) -> Layout:
    if shape not in get_args(Shape) or count not in _LEDS_OF.get(shape, range(1, MAX_LEDS + 1)):
        raise ValueError(f"not the LEDs of a panel: {shape} {count}")
    return Layout(cast("Shape", shape), count)


def hello(nonce: str) -> bytes:
    """Return the frame that asks a panel who it is; *nonce* is 4 hexadecimal digits."""
    return encode(f"hello {VERSION} {nonce}")


def alive() -> bytes:
    """Return the frame that says the host is there when nothing else is to be said."""
    return encode("alive")


def state(name: str) -> bytes:
    """Return the frame with the appliance's state, for panels that show it in their own way."""
    return encode(f"state {name}")


def brightness(share: float) -> bytes:
    """Return the frame that dims all LEDs to *share* (0 to 1)."""
    return encode(f"brightness {round(255 * min(1.0, max(0.0, share)))}")


def leds(colours: bytes) -> bytes:
    """Return the frame with the colours of all LEDs: red, green, blue, 0 to 255 each."""
    return encode(f"leds {colours.hex()}")
