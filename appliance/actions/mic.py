"""`luna mic test`: what the box hears, while it hears it.

The levels come from the listening worker: the running service's, or one that is started for this
command. It measures only while somebody asks for it, so the request is repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from appliance.actions.session import OwnSession, Session, print_event, session, tell
from appliance.errors import AudioError, ServiceError
from appliance.events import Event, MeterRequested, MicrophoneChanged, Snapshot, SoundMeasured
from appliance.settings import Settings
from appliance.texts import text

if TYPE_CHECKING:
    from appliance.listen.meter import Summary

LEASE_S = 6.0
"""The worker measures for so long; it is asked again in good time."""
FIRST_LIMIT_S = 10.0
"""A microphone that was just opened delivers sound sooner."""
BAR_DB = 60.0
"""What the bar shows: from so far below full scale up to it."""
BAR_WIDTH = 8, 24
"""At least, so that there is something to see, and at most."""
WINDOWS_A_LINE = 10
"""Without a terminal a line comes once a second."""
RED, GREEN, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"


class Display(Protocol):
    """Shows measurements to somebody."""

    def begin(self, snapshot: Snapshot) -> None:
        """Say which microphone it is."""

    def show(self, event: Event) -> None:
        """Show a measurement, or what happened to the microphone."""

    def end(self, summary: Summary) -> None:
        """Sum it up."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna mic test`; return the exit code.

    Raises:
        AudioError: there is no microphone, it is muted, or no sound comes from it.
        ServiceError: the service stopped, or may not be reached.
    """
    language = settings.general.language
    display: Display
    if arguments.json:
        display = JsonLines()
    elif sys.stdout.isatty():
        display = OneLine(language, colours=not os.environ.get("NO_COLOR"))
    else:
        display = Lines(language)
    summary = asyncio.run(_test(arguments, display, language))
    return AudioError.exit_code if summary.dead else 0


async def _test(arguments: argparse.Namespace, display: Display, language: str) -> Summary:
    from appliance.listen.meter import Summary

    summary = Summary()
    stop = asyncio.Event()
    # Ctrl+C is how a test without a time ends, and no mistake.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    async with session(arguments, ("audio", "listen")) as line:
        alone = arguments.alone or isinstance(line, OwnSession)  # nobody would answer there
        async with aclosing(line.events()) as events:  # type: ignore[type-var]
            snapshot = await anext(events)
            assert isinstance(snapshot, Snapshot)
            _check(snapshot, language)
            display.begin(snapshot)
            tell(arguments, text("mic.how_to_end", language))
            jobs = [
                asyncio.create_task(job)
                for job in (
                    _keep_asking(line, alone),
                    _follow(events, display, summary, arguments.seconds, language),
                    _rest(stop, arguments.seconds),
                )
            ]
            try:
                done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
                for job in done:
                    job.result()
            finally:
                for job in jobs:
                    job.cancel()
                await asyncio.gather(*jobs, return_exceptions=True)
    display.end(summary)
    return summary


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    """Return when the test shall end, even if no more sound comes."""
    try:
        await asyncio.wait_for(stop.wait(), seconds + FIRST_LIMIT_S if seconds else None)
    except TimeoutError:
        return


async def _keep_asking(line: Session, alone: bool) -> None:
    while True:
        await line.send(MeterRequested(seconds=LEASE_S, alone=alone))
        await asyncio.sleep(LEASE_S / 3)


async def _follow(
    events: AsyncIterator[Event],
    display: Display,
    summary: Summary,
    seconds: float,
    language: str,
) -> None:
    """Show what is measured, until there are so many *seconds* of it (0: for ever)."""
    limit: float | None = FIRST_LIMIT_S
    while not seconds or summary.seconds < seconds:
        try:
            async with asyncio.timeout(limit):
                event = await anext(events)
        except TimeoutError as error:
            raise AudioError(text("mic.no_sound", language)) from error
        except StopAsyncIteration as error:
            raise ServiceError("Luna stopped before the test was over") from error
        if isinstance(event, SoundMeasured):
            summary.add(event)
            limit = None
        if isinstance(event, SoundMeasured | MicrophoneChanged):
            display.show(event)


def _check(snapshot: Snapshot, language: str) -> None:
    """Refuse to wait for a microphone that will not deliver anything."""
    microphone = snapshot.microphone
    if snapshot.mute_switch:
        raise AudioError(text("panel.mute_switch", language))
    if snapshot.muted:
        raise AudioError(text("mic.muted", language))
    if microphone.get("status") == "missing":
        raise AudioError(text("mic.missing", language, detail=microphone.get("detail", "")))


# --- what is seen --------------------------------------------------------------------------------


class JsonLines:
    """One object a line: the microphone, each measurement, the summary."""

    def begin(self, snapshot: Snapshot) -> None:
        """See :class:`Display`."""
        _print({"type": "microphone", **_microphone(snapshot)})

    def show(self, event: Event) -> None:
        """See :class:`Display`."""
        print_event(event)

    def end(self, summary: Summary) -> None:
        """See :class:`Display`."""
        _print({"type": "summary", **_figures(summary)})


class Lines:
    """A line a second, for a file or a pipe."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._measured: list[SoundMeasured] = []

    def begin(self, snapshot: Snapshot) -> None:
        """See :class:`Display`."""
        print(text("mic.device", self._language, **_microphone(snapshot)), flush=True)

    def show(self, event: Event) -> None:
        """See :class:`Display`."""
        if isinstance(event, MicrophoneChanged):
            print(_changed(event, self._language), flush=True)
        elif isinstance(event, SoundMeasured):
            self._measured.append(event)
            if len(self._measured) == WINDOWS_A_LINE:
                print(_in_words(self._measured, self._language), flush=True)
                self._measured.clear()

    def end(self, summary: Summary) -> None:
        """See :class:`Display`."""
        _print_summary(summary, self._language)


class OneLine(Lines):
    """One line that is written again and again, on a terminal."""

    def __init__(self, language: str, colours: bool) -> None:
        super().__init__(language)
        self._colours = colours

    def show(self, event: Event) -> None:
        """See :class:`Display`."""
        if isinstance(event, MicrophoneChanged):
            print(f"\r\x1b[K{_changed(event, self._language)}", flush=True)
        elif isinstance(event, SoundMeasured):
            # What is over in a tenth of a second could not be read.
            self._measured = [*self._measured[1 - WINDOWS_A_LINE :], event]
            width = shutil.get_terminal_size().columns - 1
            words = _in_words(self._measured, self._language)
            words = f"{_bar(event, width - len(words) - len('[] '))} {words}"[:width]
            colour = RED if event.clipped else GREEN if _heard(self._measured) else ""
            if colour and self._colours:
                words = f"{colour}{words}{PLAIN}"
            print(f"\r\x1b[K{words}", end="", flush=True)

    def end(self, summary: Summary) -> None:
        """See :class:`Display`."""
        print()
        super().end(summary)


def _bar(measured: SoundMeasured, room: int) -> str:
    """Return the level as a bar, with marks for the peak and the noise floor."""
    least, most = BAR_WIDTH
    width = min(most, max(least, room))

    def place(level_db: float) -> int:
        return min(width - 1, max(0, round((level_db + BAR_DB) / BAR_DB * width)))

    level = place(measured.level_db)
    cells = ["#"] * level + [" "] * (width - level)
    cells[place(measured.noise_db)] = ":"
    cells[place(measured.peak_db)] = "|"
    return f"[{''.join(cells)}]"


def _heard(measured: list[SoundMeasured]) -> bool:
    return any(one.scores[word] > one.limits[word] for one in measured for word in one.scores)


def _in_words(measured: list[SoundMeasured], language: str) -> str:
    last = measured[-1]
    words = text(
        "mic.levels",
        language,
        level=f"{last.level_db:5.1f}",
        peak=f"{max(one.peak_db for one in measured):5.1f}",
        noise=f"{last.noise_db:5.1f}",
    )
    if clipped := sum(one.clipped for one in measured):
        words += f"  {text('mic.clipped', language, samples=clipped)}"
    for word in last.scores:
        score = max(one.scores.get(word, 0.0) for one in measured)
        words += f"  {word} {score:.2f}{'!' if score > last.limits[word] else ''}"
    return words


def _changed(event: MicrophoneChanged, language: str) -> str:
    status = text(f"status.{event.status}", language)
    return text("mic.changed", language, status=status, detail=event.detail or event.device)


def _print_summary(summary: Summary, language: str) -> None:
    print(
        text(
            "mic.summary",
            language,
            seconds=f"{summary.seconds:.0f}",
            speech=f"{summary.speech_db:.1f}",
            noise=f"{summary.noise_db:.1f}",
            peak=f"{summary.peak_db:.1f}",
            clipped=summary.clipped,
        )
    )
    for word, score in summary.scores.items():
        key = "mic.word_heard" if word in summary.heard() else "mic.word_not_heard"
        limit = f"{summary.limits[word]:.2f}"
        print(text(key, language, word=word, score=f"{score:.2f}", limit=limit))
    for key in summary.advice():
        print("\n".join(textwrap.wrap(text(f"mic.advice.{key}", language), 80)))


def _microphone(snapshot: Snapshot) -> dict[str, Any]:
    microphone = snapshot.microphone
    return {name: microphone.get(name, "") for name in ("device", "rate", "channels")}


def _figures(summary: Summary) -> dict[str, Any]:
    return {
        "seconds": round(summary.seconds, 1),
        "speech_db": round(summary.speech_db, 1),
        "noise_db": round(summary.noise_db, 1),
        "peak_db": round(summary.peak_db, 1),
        "offset": round(summary.offset, 4),
        "clipped": summary.clipped,
        "scores": summary.scores,
        "limits": dict(summary.limits),
        "heard": summary.heard(),
        "advice": summary.advice(),
    }


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row, ensure_ascii=False), flush=True)
