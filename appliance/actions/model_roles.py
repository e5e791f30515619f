"""Which model has which role: what is in use, what may be chosen, what would be best."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from appliance.errors import LunaError, ModelError, UsageError
from appliance.llm.roles import in_use, is_installed, role_models
from appliance.models.bandwidth import cores, memory_bandwidth
from appliance.models.catalogue import Catalogue, Model, machine_memory_mb
from appliance.models.recommend import OF_BANDWIDTH, Choice, Speed, recommend
from appliance.settings import Settings

_KEYS = {
    "chat": "llm.chat_model",
    "code": "llm.code_model",
    "vision": "llm.vision_model",
    "stt": "stt.model",
    "embedding": "knowledge.embedding_model",
}
ROLES = (*_KEYS, "tts")
BUSY = 0.75
"""Load by core from which on a measurement says little."""
DEFAULT = "default"
"""In the place of a model's name: what the catalogue says."""


def change_for(
    role: str, name: str, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> dict[str, Any]:
    """Return what to set, by key, so that *role* uses the model *name*.

    Raises:
        UsageError: there is no such role.
        ModelError: the model is unknown, not installed, not for this role, or too large.
    """
    kind, _, language = role.partition(".")
    if kind not in ROLES or (language and kind != "tts"):
        raise UsageError(f"there is no role {role!r} to choose for; there are {', '.join(ROLES)}")
    if name == DEFAULT:
        if kind != "tts":
            return {_KEYS[kind]: None}
        return {f"tts.voices.{language or settings.general.language}": None}
    model = catalogue.get(name)
    if kind not in model.roles:
        raise ModelError(f"model {name} is for {', '.join(model.roles)}, not for {kind}")
    if not is_installed(model, models_dir):
        raise ModelError(f"model {name} is not installed; run `luna models pull {name}`")
    if kind == "tts":
        return {f"tts.voices.{_language(model, language)}": name}
    _check_memory(kind, model, settings, catalogue, models_dir)
    return {_KEYS[kind]: name}


def _language(model: Model, wanted: str) -> str:
    language = wanted or model.languages[0]
    if language not in model.languages:
        raise ModelError(f"voice {model.name} speaks {', '.join(model.languages)}, not {language}")
    return language


def _check_memory(
    role: str, model: Model, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> None:
    """Raise ModelError when the model cannot be in memory with those that stay there."""
    memory = machine_memory_mb()
    if role not in ("chat", "code", "vision"):
        if model.memory_mb > memory:
            raise ModelError(
                f"model {model.name} needs {model.memory_mb:,} MB, and this machine has {memory:,}"
            )
        return
    budget = memory * settings.llm.memory_budget // 100
    chat = role_models(settings.llm, catalogue, models_dir)["chat"].model
    beside = 0 if role == "chat" or chat.name == model.name else chat.memory_mb
    if model.memory_mb + beside > budget:
        words = f" beside the chat model's {beside:,} MB" if beside else ""
        raise ModelError(
            f"model {model.name} needs {model.memory_mb:,} MB{words}, and llm.memory_budget "
            f"leaves {budget:,} MB; choose a smaller one or raise the budget"
        )


# --- recommending --------------------------------------------------------------------------------


def busy() -> bool:
    """Return whether the machine does so much else that a measurement says little."""
    return os.getloadavg()[0] > BUSY * cores()


def recommendation(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    """Carry out `luna models recommend`; return the exit code.

    Raises:
        ConfigError: the configuration cannot be changed.
    """
    speed, source = _measure(settings, catalogue, models_dir)
    memory = machine_memory_mb()
    languages = tuple(dict.fromkeys((settings.general.language, *settings.general.languages)))
    choices = recommend(catalogue, speed, memory, settings.llm.memory_budget, languages)
    if arguments.json:
        print(json.dumps([_row(choice, models_dir) for choice in choices], indent=2))
    else:
        print(f"{memory:,} MB of memory, {source}")
        if busy():
            print("This machine is busy now, so that the figures are too low.")
        print(f"{'ROLE':9} {'MODEL':38} {'MEMORY':>8}  {'EXPECTED':16} NOTE")
        for choice in choices:
            print(_line(choice, models_dir))
    if arguments.apply:
        _apply(choices, models_dir)
    return 0


def _measure(settings: Settings, catalogue: Catalogue, models_dir: Path) -> tuple[Speed, str]:
    """Return this machine's speed, and how it is known.

    Models that are installed and in use are measured; without one the memory's speed tells.
    """
    from appliance.model_bench import bench

    used = in_use(settings, catalogue, models_dir)

    def measured(role: str) -> tuple[Model, Any] | None:
        for name, roles in used.items():
            if role in roles and is_installed(catalogue.get(name), models_dir):
                try:
                    return catalogue.get(name), bench(catalogue.get(name), models_dir, tokens=32)
                except LunaError as error:
                    sys.stderr.write(f"luna: {error}\n")
        return None

    bandwidth = memory_bandwidth(settings.llm.threads)
    rate, source = bandwidth * OF_BANDWIDTH, f"read at {bandwidth / 1e9:.1f} GB/s"
    if chat := measured("chat"):
        model, result = chat
        rate = result.tokens_per_s * model.bytes
        source += f"; {model.name} writes {result.tokens_per_s:.0f} tokens/s"
    speech = measured("stt")
    stt_rate = speech[0].bytes / speech[1].seconds if speech else 0.0
    return Speed(rate, stt_rate), source


def _row(choice: Choice, models_dir: Path) -> dict[str, Any]:
    model = choice.model
    return {
        "role": choice.role,
        "model": model.name if model else None,
        "memory_mb": model.memory_mb if model else None,
        "expected": round(choice.expected, 2) or None,
        "unit": "s" if choice.role == "stt" else "tokens/s",
        "installed": bool(model and is_installed(model, models_dir)),
        "note": choice.reason,
    }


def _line(choice: Choice, models_dir: Path) -> str:
    model = choice.model
    if model is None:
        return f"{choice.role:9} {'-':38} {'':8}  {'':16} {choice.reason}".rstrip()
    expected = ""
    if choice.expected:
        unit = "s for a command" if choice.role == "stt" else "tokens/s"
        expected = f"{choice.expected:.1f} {unit}"
    installed = is_installed(model, models_dir)
    note = choice.reason or ("" if installed else "to be installed")
    if not model.vouched_for:
        note = f"{note}, not verified".removeprefix(", ")
    return (
        f"{choice.role:9} {model.name:38} {model.memory_mb:5} MB  {expected:16} {note}"
    ).rstrip()


def _apply(choices: list[Choice], models_dir: Path) -> None:
    """Configure the choices that are installed; say how to get the others."""
    from appliance.config_edit import set_values

    values: dict[str, Any] = {}
    missing: list[str] = []
    for choice in choices:
        if choice.model is None or choice.role == "endpoint":
            continue
        if is_installed(choice.model, models_dir):
            key = _KEYS.get(choice.role, f"tts.voices.{choice.role.partition('.')[2]}")
            values[key] = choice.model.name
        else:
            missing.append(choice.model.name)
    if values:
        written = set_values(values)
        sys.stderr.write(f"Written to {written.path}; used from the next start of Luna on.\n")
    if missing:
        names = " ".join(dict.fromkeys(missing))
        sys.stderr.write(f"Not installed: run `luna models pull {names}`, and this again.\n")
