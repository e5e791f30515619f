"""`luna speaker test`: tones and a sentence, through the same worker as everything Luna says."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from appliance.actions.session import Session, session
from appliance.errors import AudioError, ServiceError
from appliance.events import (
    Event,
    SayRequested,
    Snapshot,
    SpeakerChanged,
    ToneRequested,
    TurnEnded,
    TurnStarted,
)
from appliance.settings import Settings
from appliance.texts import text

OPEN_LIMIT_S = 10.0
SAY_LIMIT_S = 120.0
"""A turn that is going on is waited for."""
AFTER_TONE_S = 0.4
"""What is in the speaker's buffer is not heard yet; and a short rest between two tones."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna speaker test`; return the exit code.

    Raises:
        AudioError: there is no speaker, or the person did not hear it.
        ServiceError: the service stopped, or may not be reached.
    """
    language = settings.general.language
    test = SpeakerTest(language, settings.audio.volume, arguments.json)
    asyncio.run(test.run(arguments))
    if arguments.json:
        print(json.dumps(test.report, ensure_ascii=False))
    if False in test.report["heard"].values():
        raise AudioError(text("speaker.not_heard", language))
    return 0


class SpeakerTest:
    """One run of the test."""

    def __init__(self, language: str, volume: int, as_json: bool) -> None:
        self._language = language
        self._json = as_json
        self._asks = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
        self.report: dict[str, Any] = {"volume": volume, "heard": {}}

    async def run(self, arguments: argparse.Namespace) -> None:
        """Play everything."""
        workers = ("audio",) if arguments.tones else ("audio", "tts")
        async with session(arguments, workers) as line, aclosing(line.events()) as events:  # type: ignore[type-var]
            snapshot = await anext(events)
            assert isinstance(snapshot, Snapshot)
            self.report["volume"] = snapshot.volume or self.report["volume"]
            await line.send(ToneRequested(side="left"))
            speaker = await self._opened(snapshot, events)
            self._describe(speaker)
            if self.report["channels"] > 1:
                await self._sounded("left")
                await line.send(ToneRequested(side="right"))
                await self._sounded("right")
            else:
                await self._sounded("tone")
            if not arguments.tones:
                await self._say(line, events)
                await self._ask("sentence")

    async def _opened(self, snapshot: Snapshot, events: AsyncIterator[Event]) -> dict[str, Any]:
        """Return the speaker that the first tone is played on."""
        if snapshot.speaker.get("status") == "open":
            return snapshot.speaker
        try:
            async with asyncio.timeout(OPEN_LIMIT_S):
                async for event in events:
                    if isinstance(event, SpeakerChanged) and event.status == "open":
                        return {
                            "device": event.device,
                            "rate": event.rate,
                            "channels": event.channels,
                        }
                    if isinstance(event, SpeakerChanged):
                        raise AudioError(
                            text("speaker.missing", self._language, detail=event.detail)
                        )
        except TimeoutError as error:
            detail = snapshot.speaker.get("detail") or text("speaker.no_answer", self._language)
            raise AudioError(text("speaker.missing", self._language, detail=detail)) from error
        raise ServiceError("Luna stopped before the test was over")

    def _describe(self, speaker: dict[str, Any]) -> None:
        from appliance.audio import tone
        from appliance.audio.player import gain
        from appliance.listen.meter import decibel

        level = tone.LEVEL_DB + decibel(gain(self.report["volume"]))
        self.report |= {name: speaker[name] for name in ("device", "rate", "channels")}
        self.report["tone_db"] = round(level, 1)
        self._tell("speaker.device", **self.report)
        if self.report["channels"] == 1:
            self._tell("speaker.mono")

    async def _sounded(self, what: str) -> None:
        from appliance.audio import tone

        self._tell(f"speaker.{what}", level=self.report["tone_db"])
        await asyncio.sleep(tone.SECONDS + AFTER_TONE_S)
        await self._ask(what)

    async def _say(self, line: Session, events: AsyncIterator[Event]) -> None:
        """Have the sentence spoken; return when it is over."""
        mark = uuid.uuid4().hex
        turn_id = 0
        self._tell("speaker.sentence")
        words = text("speaker.words", self._language)
        await line.send(SayRequested(text=words, language=self._language, request=mark))
        try:
            async with asyncio.timeout(SAY_LIMIT_S):
                async for event in events:
                    if isinstance(event, TurnStarted) and event.request == mark:
                        turn_id = event.turn_id
                    if isinstance(event, TurnEnded) and event.turn_id == turn_id:
                        if event.outcome != "answered":
                            raise AudioError(text("speaker.not_spoken", self._language))
                        return
        except TimeoutError as error:
            raise AudioError(text("speaker.not_spoken", self._language)) from error
        raise ServiceError("Luna stopped before the test was over")

    def _tell(self, key: str, **values: object) -> None:
        if not self._json:
            print(text(key, self._language, **values), flush=True)

    async def _ask(self, what: str) -> None:
        """Ask whether it was heard, where there is somebody to answer."""
        self.report["heard"][what] = None
        if self._asks:
            question = text("speaker.did_you_hear", self._language)
            # Events pile up meanwhile, so the wait must not hold them up.
            answer = await asyncio.to_thread(input, f"{question} ")
            no = text("speaker.no", self._language)
            self.report["heard"][what] = not answer.strip().lower().startswith(no)
