"""What each command of `luna` does. The words it understands are in :mod:`appliance.cli`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from appliance import paths
from appliance.errors import (
    AudioError,
    ConfigError,
    ServiceError,
    TurnError,
    UsageError,
)
from appliance.events import (
    ButtonPressed,
    Content,
    Error,
    Event,
    MuteRequested,
    SayRequested,
    Snapshot,
    Status,
    StopRequested,
    TextAsked,
    TurnEnded,
    TurnStarted,
    to_dict,
)
from appliance.settings import Settings

T = TypeVar("T")

MAX_TEXT = 100_000
"""Characters of a question or of a text to be spoken at most."""
LISTEN_LIMIT_S = 180.0
ANSWER_LIMIT_S = 5.0


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command; return the exit code.

    Raises:
        LunaError: it failed; the sentence is for the person at the keyboard.
    """
    if arguments.debug:
        from appliance import log

        log.configure("debug")
    return _ACTIONS[arguments.command](arguments)


def _settings(arguments: argparse.Namespace) -> Settings:
    from appliance import config

    path = Path(arguments.config) if arguments.config else None
    overrides = list(arguments.set)
    if arguments.debug:
        overrides.append("general.log_level=debug")
    checks = []
    if arguments.command == "config" and arguments.action == "check":
        # Elsewhere a missing key costs one provider, and not the whole assistant.
        from appliance.panel.boards import profile
        from appliance.providers import policy

        checks = [policy.mistakes, profile.setting_mistakes]
    return config.load(path, overrides=overrides, checks=checks)


# --- the service ---------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> int:
    from appliance import log
    from appliance.storage import restore

    settings = _settings(arguments)
    log.configure(settings.general.log_level)
    # A power cut may have interrupted `luna restore` between two of its steps.
    restore.finish(paths.data_dir(settings.general.data_dir))
    return asyncio.run(_serve(settings, fake=arguments.fake))


async def _serve(settings: Settings, *, fake: bool) -> int:
    from appliance.app import App, Plan
    from appliance.keyboard import push_to_talk

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with App(settings, _engines(settings, fake=fake), Plan(service=True)) as app:
        with push_to_talk(app.request, stop.set):
            await stop.wait()
    return 0


def _engines(settings: Settings, *, fake: bool = False) -> Any:
    from appliance import engines

    return engines.fake(settings) if fake else engines.real(settings)


# --- talking to Luna: through the service, or on our own ---------------------------


class Session(Protocol):
    """The running service, or the parts of it that this command started by itself."""

    async def send(self, event: Event) -> None:
        """Make a request; raises ServiceError."""

    def events(self) -> AsyncIterator[Event]:
        """Snapshot and events."""


class _OwnSession:
    def __init__(self, app: Any) -> None:
        self._app = app
        self._events: AsyncIterator[Event] = app.events()

    async def send(self, event: Event) -> None:
        self._app.request(event)

    def events(self) -> AsyncIterator[Event]:
        return self._events


@asynccontextmanager
async def _session(
    arguments: argparse.Namespace, workers: tuple[str, ...]
) -> AsyncIterator[Session]:
    """Connect to the service; where none is running, start the workers that are needed."""
    from appliance.control import ControlClient

    try:
        client = await ControlClient.connect(paths.control_socket())
    except ServiceError:
        if paths.control_socket().exists() and not os.access(paths.control_socket(), os.W_OK):
            raise
    else:
        try:
            yield client
        finally:
            await client.close()
        return
    from appliance.app import App, Plan

    settings = _settings(arguments)
    async with App(settings, _engines(settings), Plan(workers=workers)) as app:
        _tell(arguments, f"Starting {', '.join(workers)} for this one command ...")
        await app.ready()
        yield _OwnSession(app)


def _tell(arguments: argparse.Namespace, text: str) -> None:
    """Say what is going on, to a person only."""
    if sys.stderr.isatty() and not getattr(arguments, "json", False):
        sys.stderr.write(text + "\n")


def _print(event: Event) -> None:
    print(json.dumps(to_dict(event), ensure_ascii=False), flush=True)


async def _follow(
    session: Session, request: TextAsked | SayRequested, on_event: Callable[[Event], None]
) -> TurnEnded:
    """Send a written request and follow its turn to the end."""
    mark = uuid.uuid4().hex
    turn_id = 0
    async with aclosing(session.events()) as events:  # type: ignore[type-var]
        await anext(events)
        await session.send(_marked(request, mark))
        async for event in events:
            if isinstance(event, TurnStarted) and event.request == mark:
                turn_id = event.turn_id
            if not turn_id or getattr(event, "turn_id", 0) != turn_id:
                continue
            on_event(event)
            if isinstance(event, TurnEnded):
                return event
    raise ServiceError("Luna stopped before the answer was complete")


def _marked(request: TextAsked | SayRequested, mark: str) -> TextAsked | SayRequested:
    from dataclasses import replace

    return replace(request, request=mark)


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


def _ask(arguments: argparse.Namespace) -> int:
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
            _print(event)
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
        async with _session(arguments, workers) as session:
            return await _follow(session, question, show)

    return _outcome(_asyncio(ask()), errors[0] if errors else "")


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


def _say(arguments: argparse.Namespace) -> int:
    text = _text(arguments)

    def show(event: Event) -> None:
        if arguments.json:
            _print(event)

    async def say() -> TurnEnded:
        async with _session(arguments, ("audio", "tts")) as session:
            request = SayRequested(text=text, language=arguments.language or "")
            return await _follow(session, request, show)

    return _outcome(_asyncio(say()), "the text could not be spoken; see `luna status`")


def _listen(arguments: argparse.Namespace) -> int:
    errors: list[str] = []

    async def listen() -> TurnEnded:
        async with _session(arguments, ("audio", "listen", "stt", "tts", "llm")) as session:
            async with asyncio.timeout(LISTEN_LIMIT_S):
                return await _spoken_turn(session, ButtonPressed(), arguments, errors)

    try:
        return _outcome(_asyncio(listen()), errors[0] if errors else "")
    except TimeoutError as error:
        raise TurnError(f"the turn did not end within {LISTEN_LIMIT_S:.0f} s") from error


async def _spoken_turn(
    session: Session, press: Event | None, arguments: argparse.Namespace, errors: list[str]
) -> TurnEnded:
    """Open the microphone (or wait for the wake word) and show the turn until it ends."""
    turn_id = 0
    async with aclosing(session.events()) as events:  # type: ignore[type-var]
        snapshot = await anext(events)
        if isinstance(snapshot, Snapshot) and press is not None and not snapshot_hears(snapshot):
            raise AudioError(f"Luna cannot hear: {why_deaf(snapshot)}; see `luna devices`")
        if press is not None:
            await session.send(press)
        async for event in events:
            if isinstance(event, TurnStarted) and not turn_id:
                turn_id = event.turn_id
                _tell(arguments, "Speak now.")
            if not turn_id or getattr(event, "turn_id", 0) != turn_id:
                continue
            if isinstance(event, Error):
                errors.append(event.text)
            if arguments.json:
                _print(event)
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


def _turn(arguments: argparse.Namespace) -> int:
    from appliance.audio.file_device import check_sound_file

    source, target = Path(arguments.source), Path(arguments.target)
    seconds = check_sound_file(source)
    if target.exists() and not arguments.force:
        raise UsageError(f"{target} exists already; --force overwrites it")
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent} for the answer")
    errors: list[str] = []

    async def turn() -> TurnEnded:
        from appliance.app import App, Plan
        from appliance.engines import with_files

        settings = _settings(arguments)
        engines = with_files(_engines(settings), source, target)
        async with App(settings, engines, Plan(audio_last=True)) as app:
            session = _OwnSession(app)
            await app.ready()
            press = None if arguments.wake else ButtonPressed(position=0)
            limit = seconds + LISTEN_LIMIT_S if press else seconds + 10.0
            return await _before(limit, _spoken_turn(session, press, arguments, errors))

    ended = _asyncio(turn())
    if not arguments.json and ended.timings and sys.stderr.isatty():
        first = ended.timings.get("first_audio_ms", 0)
        sys.stderr.write(f"first sound {first:.0f} ms after the end of speech\n")
    return _outcome(ended, errors[0] if errors else "")


async def _before(limit_s: float, turn: Coroutine[Any, Any, TurnEnded]) -> TurnEnded:
    try:
        return await asyncio.wait_for(turn, limit_s)
    except TimeoutError as error:
        raise TurnError("nothing was heard that opens or ends a turn in this recording") from error


# --- looking at it -------------------------------------------------------------------


def _status(arguments: argparse.Namespace) -> int:
    report = _asyncio(_health())
    if arguments.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
        return 0
    from appliance.status_text import describe

    print(describe(report))
    return 0


async def _health(*requests: Event) -> dict[str, Any]:
    """Send requests to the running service; return its health report when it has taken them."""
    from appliance.control import ControlClient, Health, HealthRequested

    client = await ControlClient.connect(paths.control_socket())
    try:
        for event in (*requests, HealthRequested()):
            await client.send(event)
        async with asyncio.timeout(ANSWER_LIMIT_S):
            async for event in client.events():
                if isinstance(event, Health):
                    return event.report
    except TimeoutError as error:
        raise ServiceError("Luna does not answer; look at its log") from error
    finally:
        await client.close()
    raise ServiceError("Luna hung up; look at its log")


def _devices(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from appliance.audio.device import list_devices

    devices = list_devices()
    if arguments.json:
        print(json.dumps([asdict(device) for device in devices], indent=2))
    elif not devices:
        print("No sound card was found. Luna still answers in writing (`luna ask`).")
    else:
        print(f"{'':2} {'IN':>3} {'OUT':>3} {'RATE':>6}  NAME")
        for device in devices:
            mark = ("i" if device.default_input else " ") + ("o" if device.default_output else " ")
            print(f"{mark} {device.inputs:>3} {device.outputs:>3} {device.rate:>6}  {device.name}")
        print("i: default microphone, o: default speaker. Choose others in [audio] of luna.toml.")
    return 0


def _stop(_: argparse.Namespace) -> int:
    _asyncio(_health(StopRequested()))
    return 0


def _mute(arguments: argparse.Namespace) -> int:
    _asyncio(_health(MuteRequested(muted=arguments.switch == "on")))
    return 0


def _config(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    try:
        settings = _settings(arguments)
    except ConfigError as error:
        if not arguments.json:
            raise
        print(json.dumps({"ok": False, "mistakes": str(error).splitlines()}, indent=2))
        return error.exit_code
    if arguments.action == "show":
        print(json.dumps(asdict(settings), ensure_ascii=False, indent=2))
    elif arguments.json:
        print(json.dumps({"ok": True, "mistakes": []}))
    else:
        print("The configuration is in order.")
    return 0


def _models(arguments: argparse.Namespace) -> int:
    from appliance import models_actions

    return models_actions.run(arguments, _settings(arguments))


def _providers(arguments: argparse.Namespace) -> int:
    from appliance.actions import providers

    return providers.run(arguments, _settings(arguments))


def _quota(arguments: argparse.Namespace) -> int:
    from appliance.actions import quota

    return quota.run(arguments, _settings(arguments))


def _knowledge(arguments: argparse.Namespace) -> int:
    from appliance.actions import knowledge

    return knowledge.run(arguments, _settings(arguments))


def _history(arguments: argparse.Namespace) -> int:
    from appliance.actions import history

    return history.run(arguments, _settings(arguments))


def _storage(arguments: argparse.Namespace) -> int:
    from appliance.actions import storage

    return storage.run(arguments, _settings(arguments))


def _backup(arguments: argparse.Namespace) -> int:
    from appliance.actions import backup

    return backup.run(arguments, _settings(arguments))


def _board(arguments: argparse.Namespace) -> int:
    from appliance.actions import board

    return board.run(arguments, _settings(arguments))


def _panel(arguments: argparse.Namespace) -> int:
    from appliance.actions import panel

    return panel.panel(arguments, _settings(arguments))


def _volume(arguments: argparse.Namespace) -> int:
    from appliance.actions import panel

    return panel.volume(arguments, _settings(arguments))


def _asyncio(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def _reminders(arguments: argparse.Namespace) -> int:
    from appliance.actions import reminders

    return reminders.run(arguments, _settings(arguments))


def _jobs(arguments: argparse.Namespace) -> int:
    from appliance.actions import jobs

    return jobs.run(arguments, _settings(arguments))


_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "ask": _ask,
    "say": _say,
    "listen": _listen,
    "turn": _turn,
    "status": _status,
    "devices": _devices,
    "stop": _stop,
    "mute": _mute,
    "config": _config,
    "models": _models,
    "storage": _storage,
    "backup": _backup,
    "restore": _backup,
    "providers": _providers,
    "quota": _quota,
    "knowledge": _knowledge,
    "history": _history,
    "board": _board,
    "panel": _panel,
    "volume": _volume,
    "reminders": _reminders,
    "jobs": _jobs,
}
