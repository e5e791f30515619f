"""`luna ask`, `say`, `listen` and `turn`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

from appliance.actions.session import OwnSession, Session, follow, print_event, session, tell
from appliance.command_line.options import load_settings
from appliance.errors import AudioError, ServiceError, TurnError, UsageError
from appliance.events import (
    ButtonPressed,
    Content,
    Error,
    Event,
    SayRequested,
    Snapshot,
    Status,
    TextAsked,
    TurnEnded,
    TurnStarted,
)

MAX_TEXT = 100_000
"""Characters of a question or of a text to be spoken at most."""
LISTEN_LIMIT_S = 180.0


def _text(arguments: argparse.Namespace) -> str:
    """Return the text of the command line or of standard input, checked."""
    text = arguments.text
    if text == "-":
        text = sys.stdin.buffer.read(4 * MAX_TEXT + 1).decode("utf-8", errors="replace")
    text = text.strip()
    if not text:
        raise UsageError("there is no text; write it in quotes after the command")
    if len(text) > MAX_TEXT:
        raise UsageError(
            f"the text has {len(text):,} characters; {MAX_TEXT:,} is the limit: shorten it"
        )
    return str(text)


def _outcome(ended: TurnEnded, error: str) -> int:
    if ended.outcome == "answered":
        return 0
    if ended.outcome == "nothing_heard":
        raise TurnError("nothing intelligible was heard; speak after the signal, a little louder")
    if ended.outcome == "interrupted":
        raise TurnError("the answer was interrupted by another request")
    raise TurnError(error or "there is no answer")


def ask(arguments: argparse.Namespace) -> int:
    """Carry out `luna ask`; return the exit code."""
    question = TextAsked(
        text=_text(arguments),
        speak=arguments.speak,
        code_only=arguments.code,
        image=_image(arguments.image) if arguments.image else "",
    )
    from appliance.assistant.code_blocks import code_only

    errors: list[str] = []
    written: list[str] = []

    def show(event: Event) -> None:
        if isinstance(event, Error):
            errors.append(event.text)
        if arguments.json:
            print_event(event)
        elif isinstance(event, Status):
            print(f"luna: {event.text}", file=sys.stderr)
        elif isinstance(event, Content):
            written.append(event.text)
            if not arguments.code:
                print(event.text, end="", flush=True)
        elif isinstance(event, TurnEnded) and event.answer:
            print(code_only("".join(written)) if arguments.code else "", flush=True)

    async def ask() -> TurnEnded:
        workers = ("audio", "tts", "llm") if arguments.speak else ("llm",)
        async with session(arguments, workers) as line:
            return await follow(line, question, show)

    return _outcome(asyncio.run(ask()), errors[0] if errors else "")


def _image(name: str) -> str:
    """Return a picture as a ``data:`` URL, checked and made small.

    Raises:
        UsageError: the file cannot be read, or is no picture.
    """
    from appliance import images

    try:
        with Path(name).open("rb") as file:
            data = file.read(images.MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from error
    return images.prepare(data).data_url


def say(arguments: argparse.Namespace) -> int:
    """Carry out `luna say`; return the exit code."""
    text = _text(arguments)

    def show(event: Event) -> None:
        if arguments.json:
            print_event(event)

    async def say() -> TurnEnded:
        async with session(arguments, ("audio", "tts")) as line:
            request = SayRequested(text=text, language=arguments.language or "")
            return await follow(line, request, show)

    return _outcome(asyncio.run(say()), "the text could not be spoken; see `luna status`")


def listen(arguments: argparse.Namespace) -> int:
    """Carry out `luna listen`; return the exit code."""
    errors: list[str] = []

    async def listen() -> TurnEnded:
        async with session(arguments, ("audio", "listen", "stt", "tts", "llm")) as line:
            async with asyncio.timeout(LISTEN_LIMIT_S):
                return await _spoken_turn(line, ButtonPressed(), arguments, errors)

    try:
        return _outcome(asyncio.run(listen()), errors[0] if errors else "")
    except TimeoutError as error:
        raise TurnError(f"the turn did not end within {LISTEN_LIMIT_S:.0f} s") from error


async def _spoken_turn(
    line: Session, press: Event | None, arguments: argparse.Namespace, errors: list[str]
) -> TurnEnded:
    """Open the microphone (or wait for the wake word) and show the turn until it ends."""
    turn_id = 0
    async with aclosing(line.events()) as events:  # type: ignore[type-var]
        snapshot = await anext(events)
        if isinstance(snapshot, Snapshot) and press is not None and not snapshot_hears(snapshot):
            raise AudioError(f"Luna cannot hear: {why_deaf(snapshot)}; see `luna devices`")
        if press is not None:
            await line.send(press)
        async for event in events:
            if isinstance(event, TurnStarted) and not turn_id:
                turn_id = event.turn_id
                tell(arguments, "Speak now.")
            if not turn_id or getattr(event, "turn_id", 0) != turn_id:
                continue
            if isinstance(event, Error):
                errors.append(event.text)
            if arguments.json:
                print_event(event)
            elif event.type == "heard":
                print(f"> {event.text}", flush=True)  # type: ignore[attr-defined]
            elif isinstance(event, Content):
                print(event.text, end="", flush=True)
            if isinstance(event, TurnEnded):
                if not arguments.json and event.answer:
                    print(flush=True)
                return event
    raise ServiceError("Luna stopped before the turn was over")


def snapshot_hears(snapshot: Snapshot) -> bool:
    """Return whether the microphone of this snapshot works."""
    return not snapshot.muted and snapshot.microphone.get("status") in (None, "open")


def why_deaf(snapshot: Snapshot) -> str:
    """Return why not, in a few words."""
    if snapshot.muted:
        return "the microphone is muted (`luna mute off`)"
    microphone = snapshot.microphone
    return f"the microphone is {microphone.get('status')} {microphone.get('detail', '')}".strip()


# --- a turn between two files ------------------------------------------------------


def turn(arguments: argparse.Namespace) -> int:
    """Carry out `luna turn`; return the exit code."""
    from appliance.audio.file_device import check_sound_file

    source, target = Path(arguments.source), Path(arguments.target)
    seconds = check_sound_file(source)
    if target.exists() and not arguments.force:
        raise UsageError(f"{target} exists already; --force overwrites it")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent} for the answer")
    errors: list[str] = []

    async def turn() -> TurnEnded:
        from appliance import engines
        from appliance.app import App, Plan

        settings = load_settings(arguments)
        parts = engines.with_files(engines.real(settings), source, target)
        async with App(settings, parts, Plan(audio_last=True)) as app:
            line = OwnSession(app)
            await app.ready()
            press = None if arguments.wake else ButtonPressed(position=0)
            limit = seconds + LISTEN_LIMIT_S if press else seconds + 10.0
            return await _before(limit, _spoken_turn(line, press, arguments, errors))

    ended = asyncio.run(turn())
    if not arguments.json and ended.timings and sys.stderr.isatty():
        first = ended.timings.get("first_audio_ms", 0)
        sys.stderr.write(f"first sound {first:.0f} ms after the end of speech\n")
    return _outcome(ended, errors[0] if errors else "")


async def _before(limit_s: float, turn: Coroutine[Any, Any, TurnEnded]) -> TurnEnded:
    try:
        return await asyncio.wait_for(turn, limit_s)
    except TimeoutError as error:
        raise TurnError("nothing was heard that opens or ends a turn in this recording") from error
