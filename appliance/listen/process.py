"""The listen worker: the wake word while nobody speaks to Luna, the end of speech while one does.

The *reader* thread follows the box's capture ring; commands reach it through a queue. For a turn
of another stream it follows that one's ring, and then goes back. The end-of-turn model runs in a
thread of its own, so that the reader keeps up. Before the worker is ready only the wake word is
loaded; the rest follows in the background.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from appliance.audio.ring_buffer import CAPTURE_BLOCK, CAPTURE_RATE, CaptureRing, RingError
from appliance.clock import milliseconds_since, monotonic
from appliance.commands import (
    BOX,
    Cancel,
    CloseMicrophone,
    Command,
    MeasureSound,
    OpenMicrophone,
    SetMuted,
    WatchForSpeech,
)
from appliance.errors import LunaError
from appliance.events import (
    CaptureDropped,
    Event,
    Logged,
    NothingHeard,
    Ready,
    SpeechResumed,
    SpeechStarted,
    UtteranceEnded,
    UtterancePaused,
    WakeHeard,
)
from appliance.ipc import WorkerChannel
from appliance.listen import endpoint
from appliance.listen.endpoint import Ask, Decision, Endpointer, EndpointOptions
from appliance.listen.meter import Meter
from appliance.listen.turn_model import TurnModel
from appliance.listen.vad import CHUNK, VoiceActivity
from appliance.listen.wake_word import LATENCY_SAMPLES, WakeWordModel
from appliance.realtime import hurry
from appliance.settings import ListenSettings
from appliance.worker import WorkerContext, serve

IDLE_BLOCKS = 4
"""While only the wake word is awaited, wake up for so many blocks at once (80 ms)."""
LOOK_S = 0.5
"""Commands are looked for at least this often, also when no sound comes."""
FOREVER_S = 1e9
NOW = 1 << 62
"""Beyond the end of any ring: where nothing is left to be read."""
INTERRUPTION_MS = 250
"""Shorter speech does not interrupt Luna."""
JOIN_S = 1.0
LONGEST_METER_S = 60.0
"""A client that goes on measuring asks again; one that has died does not."""


def main(
    context: WorkerContext,
    rings: Mapping[str, CaptureRing],
    settings: ListenSettings,
    build_wake_word: Callable[[], WakeWordModel] | None,
    build_vad: Callable[[], VoiceActivity],
    build_turn_model: Callable[[], TurnModel] | None,
) -> None:
    """Run the worker; *rings* are the capture rings by stream, the box's among them."""

    def start(channel: WorkerChannel) -> ListenWorker:
        began = monotonic()
        wake_word = build_wake_word() if build_wake_word else None
        worker = ListenWorker(
            channel, rings, settings, wake_word, build_vad, build_turn_model, build_wake_word
        )
        detail = ", ".join(settings.wake_words) if wake_word else "no wake word"
        channel.send(Ready(worker=context.name, detail=detail, load_ms=milliseconds_since(began)))
        return worker

    try:
        serve(context, start)
    finally:
        for ring in rings.values():
            ring.close()


class ListenWorker:
    """Reads one capture ring at a time and tells what happens in it."""

    def __init__(
        self,
        channel: WorkerChannel,
        rings: Mapping[str, CaptureRing],
        settings: ListenSettings,
        wake_word: WakeWordModel | None,
        build_vad: Callable[[], VoiceActivity],
        build_turn_model: Callable[[], TurnModel] | None,
        build_measured_word: Callable[[], WakeWordModel] | None = None,
    ) -> None:
        self._channel = channel
        self._ring = rings[BOX]
        self._settings = settings
        self._wake_word = wake_word
        self._readers = {stream: ring.reader("listen") for stream, ring in rings.items()}
        self._stream = BOX
        self._reader = self._readers[BOX]
        self._orders: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._reported_overruns = 0
        self._muted = False
        self._turn_id = 0
        self._endpointer: Endpointer | None = None
        self._chunk = b""
        self._vad: VoiceActivity | None = None
        self._vad_loaded = threading.Event()
        self._turn_model: TurnModel | None = None
        self._questions: queue.SimpleQueue[tuple[int, Ask] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[int, Ask, float]] = queue.SimpleQueue()
        self._asked_ms = 0.0
        self._wakes = 0
        self._build_measured_word = build_measured_word
        self._meter: Meter | None = None
        self._meter_until = 0.0
        self._meter_alone = False
        self._closing = False
        self._last_round = monotonic()
        self._threads = [
            self._thread("reader", self._read),
            self._thread("judge", lambda: self._judge(build_vad, build_turn_model)),
        ]
        for thread in self._threads:
            thread.start()

    def handle(self, command: Command) -> None:
        self._orders.put(command)
        for reader in self._readers.values():
            reader.wake()  # no sound may come that would

    def busy_s(self) -> float:
        still = monotonic() - self._last_round
        return still if still > 2 * LOOK_S else 0.0

    def stats(self) -> dict[str, float]:
        return {
            "overruns": float(sum(reader.overruns for reader in self._readers.values())),
            "crc_retries": float(sum(reader.retries for reader in self._readers.values())),
            "depth": float(self._reader.depth),
            "wakes": float(self._wakes),
            "turn_model_ms": round(self._asked_ms, 1),
        }

    def close(self) -> None:
        self._closing = True
        self._questions.put(None)
        for thread in self._threads:
            thread.join(JOIN_S)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Return a thread without which the worker is of no use: it fails together with it."""

        def run() -> None:
            try:
                work()
            except EOFError:
                pass  # the main process is gone; the message loop ends the worker
            except Exception as error:  # noqa: BLE001 - a deaf worker that lives on is never found
                if self._closing:
                    return
                text = str(error) if isinstance(error, LunaError) else f"listening: {error!r}"
                with contextlib.suppress(EOFError):
                    self._send(Logged(level="error", worker="listen", text=text))
                os._exit(getattr(error, "exit_code", 1))

        return threading.Thread(target=run, name=name, daemon=True)

    # --- the reader ---

    def _read(self) -> None:
        hurry()
        while not self._closing:
            self._last_round = monotonic()
            self._take_orders()
            self._take_answers()
            self._reader.wait(LOOK_S, 1 if self._endpointer else IDLE_BLOCKS)
            if self._muted and self._stream == BOX:
                self._reader.seek(self._ring.position)
            else:
                self._take_sound()

    def _take_sound(self) -> None:
        """Process what is in the ring now, one block at a time while a turn is open."""
        while self._reader.depth:
            if self._endpointer is not None and not self._vad_loaded.wait(LOOK_S):
                return  # what is captured meanwhile waits in the ring
            audio = self._take_blocks()
            if self._endpointer is not None:
                self._follow_speech(audio)
            else:
                self._search_wake_word(audio)
            if not self._orders.empty() or not self._answers.empty():
                return

    def _hear_out(self) -> None:
        """Take all that was said before the button was let go; that is the utterance."""
        while not self._vad_loaded.wait(LOOK_S):
            self._last_round = monotonic()
            if self._closing:
                return
        while self._endpointer is not None and self._reader.depth:
            self._follow_speech(self._take_blocks())
        if self._endpointer is not None:
            self._act(self._endpointer.release())

    def _take_blocks(self) -> bytes:
        """Return the next few blocks, without a gap among them."""
        blocks: list[bytes] = []
        while len(blocks) < IDLE_BLOCKS and (block := self._reader.read()) is not None:
            if lost := self._reader.overruns - self._reported_overruns:
                self._reported_overruns += lost
                blocks.clear()
                self._skip_to(self._reader.position - CAPTURE_BLOCK)
                self._send(CaptureDropped(blocks=lost, where="listen"))
            blocks.append(block)
        audio = b"".join(blocks)
        if self._meter is not None and self._stream == BOX:
            self._measure(self._meter, audio)
        return audio

    def _measure(self, meter: Meter, audio: bytes) -> None:
        """Tell a client how loud it is, until its time is over."""
        if monotonic() > self._meter_until:
            self._meter, self._meter_alone = None, False
            return
        for measured in meter.feed(audio):
            self._send(measured)

    def _skip_to(self, position: int) -> None:
        """Go on after a gap in the sound."""
        self._chunk = b""
        if self._meter is not None:
            self._meter.skip()
        if self._wake_word is not None:
            self._wake_word.reset()
        if self._endpointer is not None:
            self._endpointer.skip_to(position)

    def _search_wake_word(self, audio: bytes) -> None:
        if self._wake_word is None or self._meter_alone:
            return
        position = self._reader.position - len(audio) // 2
        for start in range(0, len(audio), 2 * CAPTURE_BLOCK):
            position += CAPTURE_BLOCK
            if found := self._wake_word.process(audio[start : start + 2 * CAPTURE_BLOCK]):
                self._wakes += 1
                end = max(0, position - LATENCY_SAMPLES)
                self._send(WakeHeard(phrase=found.phrase, score=found.score, position=end))

    def _follow_speech(self, audio: bytes) -> None:
        self._chunk += audio
        size = CHUNK * 2
        while self._vad is not None and self._endpointer and len(self._chunk) >= size:
            piece, self._chunk = self._chunk[:size], self._chunk[size:]
            self._act(self._endpointer.feed(self._vad.probability(piece)))

    # --- orders ---

    def _take_orders(self) -> None:
        while not self._orders.empty():
            match self._orders.get():
                case OpenMicrophone(stream=stream) as order if self._muted and stream == BOX:
                    self._send(NothingHeard(turn_id=order.turn_id))
                case OpenMicrophone() as order:
                    self._follow(order.stream)
                    self._open(order.turn_id, order.position, self._options(order))
                case WatchForSpeech() as order if not self._muted:
                    # Waits as long as Luna speaks; what is heard must be more than a cough.
                    options = self._options(OpenMicrophone(turn_id=0, wait_s=FOREVER_S))
                    options = replace(options, min_speech_ms=INTERRUPTION_MS)
                    self._follow(BOX)
                    self._open(order.turn_id, order.position, options)
                case CloseMicrophone() as order if order.turn_id == self._turn_id:
                    self._hear_out()
                case Cancel(attempt=0) as order if order.turn_id == self._turn_id:
                    self._close()
                case SetMuted() as order:
                    self._mute(order.muted)
                case MeasureSound() as order:
                    self._start_meter(order)

    def _start_meter(self, order: MeasureSound) -> None:
        """Measure from now on, or for longer; a wake word of its own is never in a turn's way."""
        if self._meter is None:
            build = self._build_measured_word
            self._meter = Meter(build() if build else None)
        self._meter_until = monotonic() + min(order.seconds, LONGEST_METER_S)
        self._meter_alone = order.alone

    def _options(self, order: OpenMicrophone) -> EndpointOptions:
        settings = self._settings
        return EndpointOptions(
            vad_threshold=settings.vad_threshold,
            pause_ms=settings.pause_ms,
            speculate_ms=settings.speculate_ms,
            max_silence_ms=settings.max_silence_ms,
            turn_threshold=settings.smart_turn_threshold,
            max_utterance_s=settings.max_utterance_s,
            wait_s=order.wait_s,
            held=order.held,
            ask_model=settings.smart_turn,
        )

    def _follow(self, stream: str) -> None:
        """Read the ring of *stream* from now on, at its present end."""
        if stream != self._stream:
            self._stream, self._reader = stream, self._readers[stream]
            self._reader.seek(NOW)
            self._reported_overruns = self._reader.overruns

    def _open(self, turn_id: int, position: int, options: EndpointOptions) -> None:
        if position >= 0:  # rounded up to a block, so that no wake word is in it
            self._reader.seek(position + CAPTURE_BLOCK - 1)
        self._turn_id = turn_id
        self._endpointer = Endpointer(self._reader.position, options)
        self._chunk = b""
        if self._vad is not None:
            self._vad.reset()

    def _close(self) -> None:
        self._turn_id = 0
        self._endpointer = None
        self._chunk = b""
        self._follow(BOX)
        if self._wake_word is not None:
            self._wake_word.reset()

    def _mute(self, muted: bool) -> None:
        if muted != self._muted:
            self._muted = muted
            if self._stream == BOX:  # another stream's turn goes on
                self._close()
                self._reader.seek(NOW)

    # --- what the endpointer decides ---

    def _act(self, decisions: list[Decision]) -> None:
        turn_id = self._turn_id
        for decision in decisions:
            match decision:
                case endpoint.Started(position):
                    self._send(SpeechStarted(turn_id=turn_id, position=position))
                case endpoint.Paused(start, end):
                    self._send(UtterancePaused(turn_id=turn_id, start=start, end=end))
                case endpoint.Resumed(position):
                    self._send(SpeechResumed(turn_id=turn_id, position=position))
                case Ask():
                    self._questions.put((turn_id, decision))
                case endpoint.Ended(start, end, reason, probability, silence_ms):
                    self._send(
                        UtteranceEnded(
                            turn_id=turn_id,
                            start=start,
                            end=end,
                            reason=reason,
                            probability=probability,
                            silence_ms=silence_ms,
                        )
                    )
                    self._close()
                case endpoint.Nothing():
                    self._send(NothingHeard(turn_id=turn_id))
                    self._close()

    def _take_answers(self) -> None:
        while not self._answers.empty():
            turn_id, asked, probability = self._answers.get()
            if turn_id == self._turn_id and self._endpointer is not None:
                self._act(self._endpointer.answer(asked, probability))

    # --- the judge: the end-of-turn model ---

    def _judge(
        self,
        build_vad: Callable[[], VoiceActivity],
        build_turn_model: Callable[[], TurnModel] | None,
    ) -> None:
        self._vad = build_vad()  # without it no turn would ever end
        self._vad_loaded.set()
        try:
            if build_turn_model is not None and self._settings.smart_turn:
                self._turn_model = build_turn_model()
        except LunaError as error:
            self._send(
                Logged(
                    level="warning",
                    worker="listen",
                    text=f"{error}; until then turns end after {self._settings.max_silence_ms} ms",
                )
            )
        while (question := self._questions.get()) is not None:
            turn_id, asked = question
            if self._turn_model is None or not self._questions.empty():
                continue
            began = monotonic()
            try:
                # Only the box's turns end by themselves.
                samples = self._ring.read_range(asked.start, asked.position)
            except RingError:
                continue  # the turn ended long ago
            # The model learnt on turns that end with the pause it is asked after.
            missing = self._settings.pause_ms - self._settings.speculate_ms
            quiet = np.zeros(max(0, missing) * CAPTURE_RATE // 1000, np.int16)
            probability = self._turn_model.probability(np.concatenate((samples, quiet)))
            self._asked_ms = milliseconds_since(began)
            self._answers.put((turn_id, asked, probability))

    def _send(self, event: Event) -> None:
        self._channel.send(event)
