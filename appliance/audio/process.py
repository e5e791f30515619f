"""The audio worker: keeps microphone and speaker open, whatever happens to them.

Threads: the card's own (copying and rendering), the *pump* (captured sound into the ring), and
the *keeper*, which opens, watches and closes the devices. Only the keeper ever waits for a
sound server, so one that hangs cannot hold up commands; :meth:`AudioWorker.busy_s` tells then.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections.abc import Callable

from appliance.audio.device import Format, SoundCard, hardware
from appliance.audio.loopback import CHIRP
from appliance.audio.player import Player
from appliance.audio.recorder import Recorder
from appliance.audio.ring_buffer import CAPTURE_RATE, CaptureRing, PlaybackRing
from appliance.clock import milliseconds_since, monotonic
from appliance.commands import (
    Cancel,
    Command,
    PausePlayback,
    PlayEarcon,
    PlayTone,
    PreparePlayback,
    ResumePlayback,
    SetMuted,
    SetVolume,
)
from appliance.errors import AudioError
from appliance.events import (
    CaptureDropped,
    ChirpPlayed,
    Logged,
    MicrophoneChanged,
    Ready,
    SpeakerChanged,
)
from appliance.ipc import WorkerChannel
from appliance.realtime import hurry
from appliance.settings import AudioSettings
from appliance.worker import WorkerContext, serve

TICK_S = 0.2
"""How often the keeper looks after its devices when nothing wakes it."""
STAGED_BLOCKS = 100
"""Captured blocks that may wait for the pump (2 s)."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
JOIN_S = 1.0


def main(
    context: WorkerContext,
    capture: CaptureRing,
    playback: PlaybackRing,
    settings: AudioSettings,
    build_card: Callable[[], SoundCard],
) -> None:
    """Run the worker."""

    def start(channel: WorkerChannel) -> AudioWorker:
        began = monotonic()
        worker = AudioWorker(channel, capture, playback, settings, build_card)
        detail = worker.first_device.wait(JOIN_S) and worker.microphone
        channel.send(
            Ready(
                worker=context.name,
                detail=detail or "no microphone",
                load_ms=milliseconds_since(began),
            )
        )
        return worker

    try:
        serve(context, start)
    finally:
        capture.close()
        playback.close()


class AudioWorker:
    """Microphone, speaker, and those who look after them."""

    def __init__(
        self,
        channel: WorkerChannel,
        capture: CaptureRing,
        playback: PlaybackRing,
        settings: AudioSettings,
        build_card: Callable[[], SoundCard],
    ) -> None:
        self._channel = channel
        self._settings = settings
        self._playback = playback
        self._build_card = build_card
        self._card: SoundCard | None = None
        self._hardware = ""
        self._capture = capture
        self._recorder = Recorder(capture)
        self.player = Player(playback, settings.volume, settings.earcon_volume)
        self._staged: queue.Queue[bytes | None] = queue.Queue(STAGED_BLOCKS)
        self._overflows = 0
        self._reported_overflows = 0
        self._reopened = 0
        self._muted = False
        self._microphone: Format | None = None
        self._microphone_status = ""
        self._speaker: Format | None = None
        self._speaker_status = ""
        self._next_try = {"microphone": 0.0, "speaker": 0.0}
        self._pauses = {"microphone": FIRST_PAUSE_S, "speaker": FIRST_PAUSE_S}
        self._last_render = 0.0
        self._last_sound = 0.0
        self._speaker_wanted = settings.speaker_idle_s == 0
        self._wake = threading.Event()
        self._closing = False
        self._device_call_since = 0.0
        self.first_device = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
            for name, work in (("pump", self._pump), ("keeper", self._keep))
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        """Do a thread's work; without it the worker would look alive and be deaf."""
        try:
            work()
        except EOFError:
            return  # the main process is gone; the message loop ends the worker
        except Exception as error:  # noqa: BLE001 - whatever it was, it must not go unnoticed
            with contextlib.suppress(EOFError):
                name = threading.current_thread().name
                self._channel.send(
                    Logged(level="error", text=f"the {name} failed: {error!r}", worker="audio")
                )
            os.kill(os.getpid(), signal.SIGTERM)  # the supervisor starts another one

    @property
    def microphone(self) -> str:
        """The name of the open microphone; empty when there is none."""
        return self._microphone.device if self._microphone else ""

    # --- commands ---

    def handle(self, command: Command) -> None:
        match command:
            case Cancel(attempt=0):
                self.player.cancel(command.turn_id)
            case PausePlayback():
                self.player.pause(command.turn_id)
            case ResumePlayback():
                self.player.resume(command.turn_id)
            case PlayEarcon() if self._settings.earcons or command.name == CHIRP:
                self.player.signal(command.name)
            case PlayTone():
                self.player.tone(command.side)
            case SetMuted():
                self._muted = command.muted
            case SetVolume():
                self.player.volume = command.percent
            case PreparePlayback():
                self._speaker_wanted = True
                self._last_sound = monotonic()
        self._wake.set()

    def busy_s(self) -> float:
        """Return how long the present call to the sound system has lasted."""
        since = self._device_call_since
        return monotonic() - since if since else 0.0

    def stats(self) -> dict[str, float]:
        recorder = self._recorder
        silent = monotonic() - recorder.last_block if self._microphone else 0.0
        return {
            "blocks_captured": float(recorder.blocks),
            "seconds_since_block": round(silent, 3),
            "device_overflows": float(self._overflows),
            "underruns": float(self.player.underruns),
            "wrong_rate_blocks": float(self.player.wrong_rate_blocks),
            "crc_retries": float(self._playback.retries),
            "corrupt_blocks": float(self._playback.corrupt),
            "capture_staged": float(self._staged.qsize()),
            "playback_depth": float(self._playback.depth),
            "reopened": float(self._reopened),
        }

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        for thread in self._threads:
            thread.join(JOIN_S)

    # --- the pump: captured sound into the ring ---

    def _deliver(self, raw: bytes) -> None:
        """Take what was captured; runs in the card's thread, so it only hands it on."""
        if not raw:
            self._overflows += 1
            return
        try:
            self._staged.put_nowait(raw)
        except queue.Full:
            self._overflows += 1

    def _pump(self) -> None:
        hurry()
        while (raw := self._staged.get()) is not None:
            if not self.muted:
                self._recorder.feed(raw)

    # --- the keeper ---

    @property
    def muted(self) -> bool:
        """Nothing may be captured: by command, or because the ring is shut."""
        return self._muted or self._capture.shut

    def _keep(self) -> None:
        try:
            while not self._closing:
                self._keep_microphone()
                self._keep_speaker()
                self._report()
                self._wake.wait(0.01 if self._rendering_is_awaited() else TICK_S)
                self._wake.clear()
        finally:
            if self._card is not None:
                self._call(self._card.close_speaker)
                self._call(self._card.close_microphone)
            self._staged.put(None)

    def _rendering_is_awaited(self) -> bool:
        """Whether a report may come any moment, which the main process needs soon."""
        return self._speaker is not None and self.player.active

    def _report(self) -> None:
        if self._speaker is None:
            self.player.idle()
        while self.player.reports:
            self._channel.send(self.player.reports.popleft())
        if began := self.player.chirped_at:
            self.player.chirped_at = 0.0
            # Blocks come every 20 ms: where the stream was in between, the time tells.
            since = began - self._recorder.last_block
            position = self._capture.position + int(since * CAPTURE_RATE)
            self._channel.send(ChirpPlayed(position=position))
        if self._overflows != self._reported_overflows:
            blocks = self._overflows - self._reported_overflows
            self._reported_overflows += blocks
            self._channel.send(CaptureDropped(blocks=blocks, where="device"))

    def _call(self, function: Callable[[], None]) -> None:
        """Call into the sound system, noting since when, in case it never returns."""
        self._device_call_since = monotonic()
        try:
            function()
        finally:
            self._device_call_since = 0.0

    def _keep_microphone(self) -> None:
        now = monotonic()
        if self.muted:
            self.first_device.set()  # there is none to wait for
            if self._microphone is not None or self._microphone_status != "muted":
                self._close_microphone("muted")
                self._next_try["microphone"] = 0.0
            return
        if self._microphone is None:
            if now >= self._next_try["microphone"]:
                self._open_microphone()
            return
        settings, recorder = self._settings, self._recorder
        if settings.deaf_after_s and now - recorder.last_block > settings.deaf_after_s:
            self._lose_microphone(f"no sound block for {now - recorder.last_block:.1f} s")
        elif settings.zeros_after_s and now - recorder.last_signal > settings.zeros_after_s:
            self._lose_microphone(f"only digital silence for {settings.zeros_after_s:.0f} s")
        elif now - self._next_try["microphone"] > LONGEST_PAUSE_S:
            self._pauses["microphone"] = FIRST_PAUSE_S

    def _lose_microphone(self, detail: str) -> None:
        self._close_microphone("deaf", detail)
        self._reopened += 1
        self._postpone("microphone")

    def _postpone(self, part: str) -> None:
        """Try again later: the more often it failed, the later."""
        self._next_try[part] = monotonic() + self._pauses[part]
        self._pauses[part] = min(2 * self._pauses[part], LONGEST_PAUSE_S)

    def _close_microphone(self, status: str, detail: str = "") -> None:
        name = self.microphone
        if self._card is not None:
            self._call(self._card.close_microphone)
        self._microphone = None
        self._microphone_status = status
        self._channel.send(MicrophoneChanged(status=status, device=name, detail=detail))

    def _open_microphone(self) -> None:
        try:
            card = self._fresh_card()
            self._device_call_since = monotonic()
            with contextlib.suppress(queue.Empty):
                while True:
                    self._staged.get_nowait()  # of the device before, perhaps in another format
            opened = card.open_microphone(self._recorder.configure, self._deliver)
            self._microphone = opened
        except AudioError as error:
            if self._microphone_status != "missing":
                self._microphone_status = "missing"
                self._channel.send(MicrophoneChanged(status="missing", detail=str(error)))
            self._postpone("microphone")
        else:
            self._next_try["microphone"] = monotonic()
            self._microphone_status = "open"
            self._channel.send(
                MicrophoneChanged(
                    status="open",
                    device=opened.device,
                    rate=opened.rate,
                    channels=opened.channels,
                )
            )
        finally:
            self._device_call_since = 0.0
            self.first_device.set()

    def _fresh_card(self) -> SoundCard:
        """Return the card, with its list of devices renewed if nothing is open."""
        if self._card is None:
            self._device_call_since = monotonic()
            self._hardware = hardware()
            self._card = self._build_card()
            return self._card
        if hardware() != self._hardware:
            # Something was plugged in or out, which PortAudio sees only while nothing is open.
            # The other part is opened again in the keeper's next round.
            if self._microphone is not None:
                self._close_microphone("lost", "the sound cards have changed")
            if self._speaker is not None:
                self._close_speaker("lost", "the sound cards have changed")
        if self._microphone is None and self._speaker is None:
            self._hardware = hardware()
            self._call(self._card.look_again)
        return self._card

    def _keep_speaker(self) -> None:
        now = monotonic()
        if self.player.active:
            self._speaker_wanted = True
            self._last_sound = now
        if self._speaker is None:
            if self._speaker_wanted and now >= self._next_try["speaker"]:
                self._open_speaker()
            return
        idle_s = self._settings.speaker_idle_s
        deaf_after_s = self._settings.deaf_after_s
        if deaf_after_s and now - self._last_render > deaf_after_s:
            self._close_speaker("lost", "it takes no more sound")
            self._postpone("speaker")
        elif idle_s and now - self._last_sound > idle_s:
            self._speaker_wanted = False
            self._close_speaker("closed")

    def _open_speaker(self) -> None:
        try:
            card = self._fresh_card()
            self._device_call_since = monotonic()
            opened = card.open_speaker(self.player.configure, self._render)
        except AudioError as error:
            if self._speaker_status != "missing":
                self._speaker_status = "missing"
                self._channel.send(SpeakerChanged(status="missing", detail=str(error)))
            self.player.forget_signals()
            self._postpone("speaker")
            return
        finally:
            self._device_call_since = 0.0
        self._speaker = opened
        self._last_render = self._last_sound = monotonic()
        self._pauses["speaker"] = FIRST_PAUSE_S
        self._speaker_status = "open"
        self._channel.send(
            SpeakerChanged(
                status="open", device=opened.device, rate=opened.rate, channels=opened.channels
            )
        )

    def _render(self, out: object) -> int:
        self._last_render = monotonic()
        return self.player.render(out)  # type: ignore[arg-type]

    def _close_speaker(self, status: str, detail: str = "") -> None:
        name = self._speaker.device if self._speaker else ""
        if self._card is not None:
            self._call(self._card.close_speaker)
        self._speaker = None
        self._speaker_status = status
        self._channel.send(SpeakerChanged(status=status, device=name, detail=detail))
