"""`luna health`: whether this Luna works, found out by using her; the gate of a new version."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping
from typing import Any

from appliance import paths
from appliance.actions import service
from appliance.command_line.options import load_settings
from appliance.errors import ModelError, ServiceError, UpdateError
from appliance.settings import Settings
from appliance.texts import text
from appliance.update.gate import Finding, Probes, examine
from appliance.update.updater import NoSlotsError, Places, Updater

ANSWER_LIMIT_S = 240.0
"""A sentence spoken or understood; in an emulated machine it takes minutes."""


def run(arguments: argparse.Namespace) -> int:
    """Carry out `luna health [--boot]`; return the exit code.

    With ``--boot``, on a slot that has nothing to prove, nothing is examined, not even the
    configuration: a box whose microphone was unplugged meanwhile, or whose owner wrote nonsense
    into luna.toml, must not be restarted for ever.

    Raises:
        NoSlotsError: ``--boot`` where there are none.
        UpdateError: a check failed; with ``--boot`` also: the slot cannot be kept.
        ConfigError: the configuration cannot be read.
    """
    updater = _on_trial() if arguments.boot else None
    if arguments.boot and updater is None:
        return 0
    settings = load_settings(arguments)
    language = settings.general.language
    probes = Probes(
        health=lambda: asyncio.run(service.health()),
        models=lambda: damaged_models(settings),
        say=lambda words, language: asyncio.run(_speak(words, language)),
        hear=lambda sound, language: asyncio.run(_transcribe(sound, language)),
    )
    findings: list[Finding] = []
    sentence = text("health.sentence", language)
    for finding in examine(probes, sentence, language, arguments.within):
        findings.append(finding)
        if not arguments.json:
            print(f"{finding.check}: {finding.problem or 'ok'}", flush=True)
    if arguments.json:
        print(json.dumps({finding.check: finding.problem or "ok" for finding in findings}))
    if problem := findings[-1].problem:
        raise UpdateError(f"Luna is not well: {problem}")
    if updater is not None:
        updater.bless()
    return 0


def _on_trial() -> Updater | None:
    """Return what can keep the running slot, if it has still to prove itself.

    Raises:
        NoSlotsError: this machine has none.
    """
    try:
        updater = Updater(Places())
        if updater.on_trial:
            return updater
        print(f"slot {updater.running} is not on trial")
    except NoSlotsError:
        raise
    except (UpdateError, OSError) as error:
        # Another start would find the same; and a slot that was good stays so.
        print(f"it is not known whether this slot is on trial: {error}")
    return None


def damaged_models(settings: Settings) -> list[str]:
    """Return a sentence for each installed model that is not what the catalogue vouches for."""
    from appliance.models.catalogue import load_catalogue, verify

    catalogue, folder = load_catalogue(), paths.models_dir(settings.general.models_dir)
    damaged = []
    for model in catalogue.models.values():
        if model.folder(folder).exists():
            try:
                verify(model, folder)
            except ModelError as error:
                damaged.append(str(error))
    return damaged


async def _speak(words: str, language: str) -> bytes:
    body = {"input": words, "voice": language, "model": "tts-1", "response_format": "wav"}
    return await _post("speech", json=body)


async def _transcribe(sound: bytes, language: str) -> str:
    import aiohttp

    form = aiohttp.FormData()
    form.add_field("file", sound, filename="sentence.wav", content_type="audio/wav")
    form.add_field("language", language)
    form.add_field("model", "whisper-1")
    answer: Mapping[str, Any] = json.loads(await _post("transcriptions", data=form))
    return str(answer.get("text", ""))


async def _post(what: str, **content: Any) -> bytes:
    """Ask the running service through its own socket, as a program on this machine would.

    Raises:
        ServiceError: it refuses, or does not answer.
    """
    import aiohttp

    connector = aiohttp.UnixConnector(str(paths.api_socket()))
    timeout = aiohttp.ClientTimeout(ANSWER_LIMIT_S)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(f"http://luna/v1/audio/{what}", **content) as response,
        ):
            data = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ServiceError(f"Luna does not answer (/v1/audio/{what})") from error
    if not response.ok:
        raise ServiceError(f"Luna refuses (/v1/audio/{what}): {_message(data)}")
    return data


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return data[:200].decode(errors="replace")
