"""Turns the playback ring into what the speaker gets: the part inside the device's callback.

``render`` runs in the sound card's thread every few milliseconds. It takes no lock, waits for
nothing and reports through a deque that another thread empties. Orders reach it the same way.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from appliance.audio import earcons, tone
from appliance.audio.device import Format
from appliance.audio.loopback import AMPLITUDE, CHIRP, chirp
from appliance.audio.ring_buffer import PlaybackBlock, PlaybackRing
from appliance.clock import monotonic
from appliance.events import Event, PlaybackFinished, PlaybackStarted

_FADE_S = 0.005
"""A reply that is cut off fades for so long; a hard cut would click."""


def gain(percent: int) -> float:
    """Return the amplitude factor for a volume: squared, which the ear takes for even steps.

    Loudness grows with the amplitude to the power of 0.6 (Stevens, 1955); 50 % are -12 dB.
    """
    return (percent / 100.0) ** 2


class Player:
    """Plays the ring; one thread renders, any thread gives orders."""

    def __init__(self, ring: PlaybackRing, volume: int, earcon_volume: int) -> None:
        self._ring = ring
        self.volume = volume
        self._gain = gain(volume)
        self._earcon_gain = gain(earcon_volume)
        self.reports: deque[Event] = deque()
        """What happened, for the thread that tells the main process."""
        self._orders: deque[tuple[str, int]] = deque()
        self._signals: dict[str, npt.NDArray[np.float32]] = {}
        """As they are mixed in: with their volume."""
        self._due: list[str] = []
        self._mixed: list[npt.NDArray[np.float32]] = []
        self._sides: deque[str] = deque()
        """Test tones that are to begin."""
        self._tones: list[tuple[str, npt.NDArray[np.float32]]] = []
        """Test tones that go on: where, and the rest of them."""
        self._rate = 0
        self._cancelled = 0
        self._finished = 0
        self._paused = 0
        self._turn = 0
        self._clause = 0
        self._clause_samples = 0
        self._rest = np.empty(0, np.int16)
        self._starving = False
        self._fade_in = False
        self.chirped_at = 0.0
        """When the last chirp began to be rendered (seconds, ``CLOCK_MONOTONIC``)."""
        self.underruns = 0
        self.wrong_rate_blocks = 0

    # --- orders, from any thread ---

    def cancel(self, turn_id: int) -> None:
        """Drop everything of this turn and of those before it."""
        self._orders.append(("cancel", turn_id))

    def pause(self, turn_id: int) -> None:
        """Fall silent, but keep the place."""
        self._orders.append(("pause", turn_id))

    def resume(self, turn_id: int) -> None:
        """Go on after :meth:`pause`."""
        self._orders.append(("resume", turn_id))

    def signal(self, name: str) -> None:
        """Play an earcon over whatever is playing."""
        if name in earcons.NAMES or name == CHIRP:
            self._orders.append((name, 0))

    def tone(self, side: str) -> None:
        """Play the test tone on a side, over whatever is playing."""
        if side in tone.SIDES:
            self._sides.append(side)

    # --- the device's side ---

    def configure(self, device: Format) -> None:
        """Get ready for a speaker of this format; not while one is rendering."""
        rate = device.rate
        if rate != self._rate:
            loud = 32767 * self._earcon_gain
            self._signals = {n: loud * earcons.synthesise(n, rate) for n in earcons.NAMES}
            self._signals[CHIRP] = 32767 * AMPLITUDE * chirp(rate)
            self._rest = self._rest[:0]
            self._mixed = []
            self._tones = []
        self._rate = rate
        self._ring.rate = rate

    @property
    def active(self) -> bool:
        """There is something to play, or about to be."""
        waiting = self._due or self._orders or self._sides or self._ring.depth
        return bool(self._turn or self._mixed or self._tones or waiting)

    @property
    def in_turn(self) -> bool:
        """A reply was begun and not finished."""
        return bool(self._turn)

    def render(self, out: npt.NDArray[np.int16]) -> int:
        """Fill *out* (frames, channels) with the next sound; return the frames of a reply in it."""
        frames = len(out)
        mono = np.zeros(frames, np.float32)
        self._obey(mono)
        filled = 0 if self._paused else self._fill(mono)
        if filled < frames and self._turn and not self._paused:
            # Count a gap once, not each callback that it lasts.
            self.underruns += not self._starving
            self._starving = True
        elif filled:
            self._starving = False
        self._scale(mono)
        self._mix_signals(mono)
        np.clip(mono, -32768, 32767, out=mono)
        out[:] = mono.astype(np.int16)[:, np.newaxis]
        self._mix_tones(out)
        return filled

    def _scale(self, mono: npt.NDArray[np.float32]) -> None:
        """Apply the volume; a new one is reached within the block, or it would click."""
        begin, self._gain = self._gain, gain(self.volume)
        if begin == self._gain:
            mono *= self._gain
        else:
            mono *= np.linspace(begin, self._gain, len(mono), dtype=np.float32)

    def idle(self) -> None:
        """Obey orders while no speaker is open: nothing sounds, but cancelled turns go."""
        self._obey(np.zeros(0, np.float32))
        if self._cancelled and self._ring.depth:
            self._skip_cancelled()

    def forget_signals(self) -> None:
        """Drop the earcons that no speaker could play; late ones would only be noise."""
        self.idle()  # takes those up that are still among the orders
        self._due.clear()
        self._mixed.clear()
        self._sides.clear()
        self._tones.clear()

    def _obey(self, mono: npt.NDArray[np.float32]) -> None:
        while self._orders:
            order, turn_id = self._orders.popleft()
            if order == "cancel":
                self._cancel(turn_id, mono)
            elif order == "pause":
                if turn_id == self._turn:
                    self._fade_out(mono, take=False)
                if turn_id == self._turn:  # the fade may have found its end
                    self._paused = turn_id
            elif order == "resume":
                self._fade_in = self._paused != 0
                self._paused = 0
            else:
                self._due.append(order)

    def _cancel(self, turn_id: int, mono: npt.NDArray[np.float32]) -> None:
        if 0 < self._turn <= turn_id and not self._paused:
            self._fade_out(mono, take=True)
        self._cancelled = max(self._cancelled, turn_id)
        if 0 < self._turn <= turn_id:
            self._end(self._turn, cut=True)
        if turn_id > self._finished:
            self.reports.append(PlaybackFinished(turn_id=turn_id, cut=True))
            self._finished = turn_id

    def _skip_cancelled(self) -> None:
        while (block := self._ring.read()) is not None:
            if block.turn_id > self._cancelled:
                self._begin(block)
                return

    def _fade_out(self, mono: npt.NDArray[np.float32], *, take: bool) -> None:
        turn = self._turn
        if len(mono) and not len(self._rest) and (block := self._ring.read()) is not None:
            # Blocks are as long as callbacks, so the place is mostly between two of them.
            self._begin(block)
        if self._turn != turn:
            return
        count = min(len(mono), len(self._rest), max(1, int(_FADE_S * self._rate)))
        if count:
            mono[:count] = self._rest[:count] * np.linspace(1.0, 0.0, count, dtype=np.float32)
            if take:
                self._rest = self._rest[count:]
                self._clause_samples += count

    def _fill(self, mono: npt.NDArray[np.float32]) -> int:
        """Copy from the ring until *mono* is full or the ring is empty; return the samples."""
        filled = 0
        while filled < len(mono):
            if not len(self._rest):
                block = self._ring.read()
                if block is None:
                    break
                self._begin(block)
                continue
            count = min(len(self._rest), len(mono) - filled)
            mono[filled : filled + count] = self._rest[:count]
            self._rest = self._rest[count:]
            self._clause_samples += count
            filled += count
        if self._fade_in and filled:
            count = min(filled, max(1, int(_FADE_S * self._rate)))
            mono[:count] *= np.linspace(0.0, 1.0, count, dtype=np.float32)
            self._fade_in = False
        return filled

    def _begin(self, block: PlaybackBlock) -> None:
        """Take up the next block: of the same turn, of a new one, or the end of one."""
        if block.turn_id <= self._cancelled:
            return
        if self._turn != block.turn_id:
            if block.end and not len(block.payload) and block.turn_id <= self._finished:
                return
            if self._turn:
                self._end(self._turn, cut=True)  # its end never came: whoever wrote it has died
            self._turn, self._clause, self._clause_samples = block.turn_id, 0, 0
            if len(block.payload):
                self.reports.append(PlaybackStarted(turn_id=block.turn_id))
        if block.clause != self._clause and len(block.payload):
            self._clause, self._clause_samples = block.clause, 0
        if len(block.payload):
            if block.rate == self._rate:
                self._rest = np.frombuffer(block.payload, np.int16)
            else:
                # Made for a speaker that was unplugged: silence is better than a wrong pitch.
                self.wrong_rate_blocks += 1
        if block.end:
            self._end(block.turn_id, cut=False)

    def _end(self, turn_id: int, *, cut: bool) -> None:
        self.reports.append(
            PlaybackFinished(
                turn_id=turn_id,
                cut=cut,
                clause=self._clause,
                clause_samples=self._clause_samples,
                rate=self._rate,
            )
        )
        self._finished = max(self._finished, turn_id)
        self._turn = self._paused = 0
        self._starving = False
        self._rest = self._rest[:0]

    def _mix_signals(self, mono: npt.NDArray[np.float32]) -> None:
        if CHIRP in self._due:
            self.chirped_at = monotonic()
        self._mixed += [self._signals[name] for name in self._due]
        self._due = []
        going_on = []
        for signal in self._mixed:
            count = min(len(signal), len(mono))
            mono[:count] += signal[:count]
            if count < len(signal):
                going_on.append(signal[count:])
        self._mixed = going_on

    def _mix_tones(self, out: npt.NDArray[np.int16]) -> None:
        while self._sides:
            self._tones.append((self._sides.popleft(), tone.synthesise(self._rate)))
        going_on = []
        for side, sound in self._tones:
            count = min(len(sound), len(out))
            channels = tone.SIDES[side if out.shape[1] > 1 else "both"]
            piece = sound[:count, np.newaxis] * np.float32(32767 * self._gain)
            out[:count, channels] = np.clip(out[:count, channels] + piece, -32768, 32767)
            if count < len(sound):
                going_on.append((side, sound[count:]))
        self._tones = going_on
