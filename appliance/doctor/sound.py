"""Sound: devices, levels, and a chirp through speaker and microphone.

While Luna runs she holds the sound card, so that she plays the chirp and measures what comes
back; else it is done here.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from appliance.audio.device import DeviceInfo, PortAudioCard, SoundCard, list_devices
from appliance.audio.loopback import (
    BEFORE_S,
    CHIRP,
    CHIRP_S,
    LONGEST_DELAY_S,
    SILENCE_DB,
    Loopback,
    measure,
)
from appliance.audio.player import Player
from appliance.audio.recorder import Recorder
from appliance.audio.ring_buffer import CAPTURE_RATE, CaptureRing, PlaybackRing
from appliance.clock import monotonic
from appliance.control import RequestRefusedError, ask
from appliance.doctor.finding import Box, Finding
from appliance.errors import AudioError, ServiceError
from appliance.events import LoopbackMeasured, LoopbackRequested

DEVICES = "luna devices"
MIXER = "alsamixer"
ANSWER_LIMIT_S = 15.0
FIRST_BLOCK_S = 3.0
"""A microphone that is opened gives its first sound within less."""
HEARS_DB = -85.0
"""What is louder is the noise of a room, or at least of a microphone's own amplifier."""
FAINT_DB = 10.0
"""The chirp stands so far above the noise, or speech would be lost in it."""
LOW_DB = -55.0
CLIPPED = 0.01
NOISY_DB = -30.0
LATE_MS = 400.0
ECHO_DB = -6.0
"""A reflection that is stronger makes speech hard to understand."""
_GONE = frozenset({"missing", "lost", "deaf"})


def check(box: Box) -> Iterator[Finding]:
    """Yield what is wrong with microphone and speaker."""
    found = list(_running_devices(box) if box.running else _devices(box))
    yield from found
    if found:
        return
    if not box.play:
        yield Finding("sound.not_played_wish", skipped=True)
        return
    try:
        result = _by_service() if box.running else _by_card(box)
    except RequestRefusedError as error:
        yield Finding("sound.refused", values={"detail": str(error)}, skipped=True)
        return
    except (AudioError, ServiceError) as error:
        yield Finding("sound.no_test", "failure", {"detail": str(error)}, DEVICES)
        return
    yield from judge(result)


# --- devices -------------------------------------------------------------------------------------


def _running_devices(box: Box) -> Iterator[Finding]:
    """Yield what the running service says of its devices."""
    worker = box.told("workers").get("audio", {})
    if worker.get("status") != "ready":
        yield Finding("sound.worker", skipped=True)
        return
    microphone, speaker = box.told("microphone"), box.told("speaker")
    if microphone.get("status") == "muted" or (box.report or {}).get("mute_switch"):
        switch = bool((box.report or {}).get("mute_switch"))
        name = "sound.switched_off" if switch else "sound.muted"
        yield Finding(name, "warning", command="" if switch else "luna mute off")
    elif microphone.get("status") in _GONE:
        yield Finding("sound.microphone", "failure", _why(microphone), DEVICES)
    if speaker.get("status") in _GONE:
        yield Finding("sound.speaker", "failure", _why(speaker), DEVICES)


def _why(part: dict[str, Any]) -> dict[str, Any]:
    words = " ".join(filter(None, (part.get("device"), part.get("detail"))))
    return {"detail": words or str(part.get("status"))}


def _devices(box: Box) -> Iterator[Finding]:
    """Yield what is missing among the machine's devices."""
    try:
        devices = list_devices()
    except AudioError as error:
        yield Finding("sound.no_test", "failure", {"detail": str(error)}, DEVICES)
        return
    audio = box.settings.audio
    inputs = [device for device in devices if device.inputs]
    outputs = [device for device in devices if device.outputs]
    yield from _named("microphone", audio.input_device, inputs)
    yield from _named("speaker", audio.output_device, outputs)


def _named(kind: str, name: str, devices: list[DeviceInfo]) -> Iterator[Finding]:
    if not devices:
        yield Finding(f"sound.no_{kind}", "failure", command=DEVICES)
    elif name and not any(name.lower() in device.name.lower() for device in devices):
        there = ", ".join(dict.fromkeys(device.name for device in devices))
        values = {"name": name, "there": there[:200]}
        yield Finding(f"sound.{kind}_unknown", "failure", values, DEVICES)


# --- the chirp -----------------------------------------------------------------------------------


def _by_service() -> Loopback:
    """Have the running service measure; raises ServiceError."""
    mark = uuid.uuid4().hex
    answer = asyncio.run(
        ask(
            LoopbackRequested(request=mark),
            LoopbackMeasured,
            ANSWER_LIMIT_S,
            lambda event: event.request == mark,
        )
    )
    if answer is None:
        raise ServiceError("Luna stopped meanwhile; look at its log")
    if not answer.ok:
        raise ServiceError(answer.text)
    return Loopback(**answer.figures)


def _by_card(box: Box) -> Loopback:
    audio = box.settings.audio
    return through(PortAudioCard(audio.input_device, audio.output_device))


def through(card: SoundCard) -> Loopback:
    """Play the chirp through *card* and measure what comes back.

    Raises:
        AudioError: microphone or speaker cannot be opened, or do not work.
    """
    seconds = 2 * (BEFORE_S + CHIRP_S + LONGEST_DELAY_S) + FIRST_BLOCK_S
    with closing(CaptureRing(seconds, readers=())) as ring, closing(PlaybackRing(0.1)) as silence:
        recorder = Recorder(ring)
        player = Player(silence, volume=100, earcon_volume=0)

        def feed(raw: bytes) -> None:
            if raw:  # an empty delivery stands for sound that was lost
                recorder.feed(raw)

        try:
            card.open_microphone(recorder.configure, feed)
            _wait(lambda: ring.position > 0, FIRST_BLOCK_S, "the microphone gives no sound at all")
            card.open_speaker(player.configure, player.render)
            time.sleep(BEFORE_S)
            player.signal(CHIRP)
            _wait(lambda: player.chirped_at > 0, FIRST_BLOCK_S, "the speaker takes no sound")
            played = ring.position + int((player.chirped_at - recorder.last_block) * CAPTURE_RATE)
            begin = max(0, played - int(BEFORE_S * CAPTURE_RATE))
            end = played + int((CHIRP_S + LONGEST_DELAY_S) * CAPTURE_RATE)
            limit = CHIRP_S + LONGEST_DELAY_S + FIRST_BLOCK_S
            _wait(lambda: ring.position >= end, limit, "the microphone has stopped giving sound")
            return measure(ring.read_range(begin, end), played - begin)
        finally:
            card.close_speaker()
            card.close_microphone()


def _wait(done: Any, limit_s: float, sentence: str) -> None:
    ends = monotonic() + limit_s
    while not done():
        if monotonic() > ends:
            raise AudioError(sentence)
        time.sleep(0.01)


# --- what to think of it -------------------------------------------------------------------------


def judge(result: Loopback) -> Iterator[Finding]:
    """Yield the findings on a test."""
    noise = round(result.noise_db)
    if not result.found:
        yield _silence(result)
        return
    values = {
        "delay": round(result.delay_ms),
        "level": round(result.level_db),
        "gain": round(result.gain_db),
        "noise": noise,
        "clipped": round(100 * result.clipped),
        "echo": round(result.echo_db or 0),
        "echo_ms": round(result.echo_ms),
    }
    well = True
    for bad, name, command in (
        (result.clipped > CLIPPED, "sound.too_loud", MIXER),
        (result.noise_db > NOISY_DB, "sound.noisy", MIXER),
        (
            result.level_db < LOW_DB or result.level_db < result.noise_db + FAINT_DB,
            "sound.faint",
            MIXER,
        ),
        (result.delay_ms > LATE_MS, "sound.late", DEVICES),
        (result.echo_db is not None and result.echo_db > ECHO_DB, "sound.echo", ""),
    ):
        if bad:
            well = False
            yield Finding(name, "warning", values, command)
    if well:
        name = "sound.ok" if result.echo_db is None else "sound.ok_echo"
        yield Finding(name, values=values)


def _silence(result: Loopback) -> Finding:
    """Return which half is silent, as far as can be told."""
    heard = max(result.noise_db, result.level_db)
    values = {"noise": round(heard)}
    if heard > HEARS_DB:
        return Finding("sound.speaker_silent", "failure", values, "luna volume 60")
    if heard > SILENCE_DB:
        return Finding("sound.one_silent", "failure", values, MIXER)
    return Finding("sound.microphone_silent", "failure", values, MIXER)
