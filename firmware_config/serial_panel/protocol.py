"""The panel's side of the serial panel's protocol: see docs/serial-panel.md.

Nothing in here touches a pin or a clock, so that it runs under MicroPython and under CPython.
Times are milliseconds as ``time.ticks_ms()`` of MicroPython counts them: they wrap.
"""

from binascii import crc32, unhexlify

VERSION = 1
MAX_PAYLOAD = 255
MAX_LINE = 2 + MAX_PAYLOAD + 8 + 1
"""Length, payload, CRC and a carriage return, between the tilde and the line feed."""
KEEP_ALIVE_MS = 500
HOST_GONE_MS = 2000
SETTLE_MS = 20
TICKS_PERIOD = 1 << 30
_TILDE, _LINE_FEED, _SPACE = b"~\n "
_DETENT = 4


def elapsed(since, now):
    """Return the milliseconds from *since* to *now*."""
    return (now - since) & (TICKS_PERIOD - 1)


def encode(payload):
    """Return the frame of *payload* as bytes."""
    body = f"{len(payload):02x}{payload}"
    return f"~{body}{crc32(body.encode()):08x}\n".encode()


class Decoder:
    """Finds frames in the bytes that arrive; its memory is taken once."""

    def __init__(self):
        self.bad = 0
        """Frames that were cut off, too long or damaged."""
        self._line = bytearray(MAX_LINE)
        self._used = -1  # outside of a frame

    def feed(self, byte):
        """Take one byte; return the payload of the frame that it completes, or None."""
        if byte == _TILDE:  # a tilde begins a frame, whatever was before
            self.bad += self._used >= 0
            self._used = 0
        elif self._used < 0:
            pass
        elif byte == _LINE_FEED:
            payload = self._payload(bytes(self._line[: self._used]))
            self.bad += payload is None
            self._used = -1
            return payload
        elif self._used == MAX_LINE:
            self.bad += 1
            self._used = -1
        else:
            self._line[self._used] = byte
            self._used += 1
        return None

    @staticmethod
    def _payload(line):
        if line.endswith(b"\r"):
            line = line[:-1]
        # Comparing with what it should be: there is one way to write a frame, and no other passes.
        payload = line[2:-8]
        if any(not _SPACE <= byte < _TILDE for byte in payload):
            return None
        payload = payload.decode()
        return payload if encode(payload)[1:-1] == line else None


class Panel:
    """What a panel says to the host, and what the host wants it to show."""

    def __init__(self, write, name, buttons, shape, leds, encoder, mute_switch):
        """*write* sends bytes to the host.

        *buttons* are the roles of the buttons (talk, mute, stop, volume_up, volume_down), and
        *shape* is that of the LEDs (none, single, pair, rgb, line, ring), of which there are
        *leds*; *encoder* and *mute_switch* say whether there is one.
        """
        self._write = write
        parts = ",".join(buttons) or "-", shape, leds, int(encoder), int(mute_switch), name
        self._about = " ".join(str(part) for part in parts)
        self._decoder = Decoder()
        self._heard = self._said = 0
        self._inputs = None
        self.host_there = False
        self.state = ""
        self.brightness = 255
        self.colours = bytearray(3 * leds)
        """Red, green and blue of each LED, still to be multiplied by ``brightness`` / 255."""

    def start(self, now):
        """Tell a host that has the line open that the panel was started again."""
        self._said = now
        self._hello("0000")

    def receive(self, byte, now):
        """Take one byte from the host; return whether what is to be shown may have changed."""
        payload = self._decoder.feed(byte)
        if payload is None:
            return False
        command, *words = payload.split(" ")
        self._heard, was_there, self.host_there = now, self.host_there, True
        if command == "hello" and len(words) > 1:
            self._hello(words[1][:4])
            self._inputs = None  # to be said at once
        elif command == "state" and words:
            self.state = words[0]
        elif command == "brightness" and words and words[0].isdigit():
            self.brightness = min(255, int(words[0]))
        elif command == "leds" and words:
            self._light(words[0])
        return command in ("state", "brightness", "leds") or not was_there

    def _hello(self, nonce):
        self._write(encode(f"hello {VERSION} {nonce} {self._about}"))

    def _light(self, colours):
        try:
            values = unhexlify(colours)
        except ValueError:
            return
        if len(values) == len(self.colours):
            self.colours[:] = values

    def poll(self, buttons, muted, position, now):
        """Say how everything stands when it has changed or the host must hear it again.

        *buttons* is the bit mask of those that are pressed, *position* the encoder's. Returns
        whether what is to be shown may have changed.
        """
        inputs = buttons, int(muted), position & 0xFFFF
        if self.host_there and elapsed(self._heard, now) > HOST_GONE_MS:
            self.host_there = False
            return True
        if self.host_there and (
            inputs != self._inputs or elapsed(self._said, now) >= KEEP_ALIVE_MS
        ):
            self._inputs, self._said = inputs, now
            self._write(encode(f"inputs {buttons:02x} {inputs[1]} {inputs[2]:04x}"))
        return False


class Debouncer:
    """Takes a change of a contact at once, and the next one when it has settled."""

    def __init__(self, count):
        self.pressed = 0
        """Bit mask."""
        self._changed = [0] * count
        self._settling = 0

    def update(self, raw, now):
        """Take how the contacts stand now, as a bit mask; return ``pressed``."""
        for bit, since in enumerate(self._changed):
            mask = 1 << bit
            if self._settling & mask and elapsed(since, now) >= SETTLE_MS:
                self._settling &= ~mask
            if (raw ^ self.pressed) & mask & ~self._settling:
                self.pressed ^= mask
                self._settling |= mask
                self._changed[bit] = now
        return self.pressed


class Quadrature:
    """Counts the clicks of a rotary encoder: four changes of its two contacts are one click."""

    _STEPS = (0, -1, 1, 0, 1, 0, 0, -1, -1, 0, 0, 1, 0, 1, -1, 0)
    """By the contacts before and now, as (a, b, a, b); 0 where a change was missed."""

    def __init__(self, a, b):
        self._quarters = 0
        self._before = a << 1 | b

    def update(self, a, b):
        """Take how the contacts stand now (0 or 1). Allocates nothing: interrupts may call it."""
        now = a << 1 | b
        self._quarters = (self._quarters + self._STEPS[self._before << 2 | now]) & 0x3FFFF
        self._before = now

    @property
    def position(self):
        """Clicks, modulo 65536."""
        return (self._quarters + _DETENT // 2) // _DETENT & 0xFFFF
