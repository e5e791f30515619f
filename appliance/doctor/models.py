"""The models in use: whether each is there, whole, and fits into the memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from appliance import vitals
from appliance.doctor.finding import Box, Finding, Fix
from appliance.errors import ModelError
from appliance.llm.roles import in_use, is_installed, role_models
from appliance.models.catalogue import (
    Catalogue,
    Model,
    load_catalogue,
    machine_memory_mb,
    verify,
)
from appliance.models.install import pull
from appliance.models.progress import ProgressLine

LANGUAGE_ROLES = ("chat", "code", "vision")
RECOMMEND = "luna models recommend"


def check(box: Box) -> Iterator[Finding]:
    """Yield what is wrong with each model that the configuration uses."""
    try:
        catalogue = load_catalogue()
        used = in_use(box.settings, catalogue, box.models_dir)
        models = {name: catalogue.get(name) for name in used}
        roles = role_models(box.settings.llm, catalogue, box.models_dir)
    except ModelError as error:
        yield Finding("models.unknown", "failure", {"detail": str(error)}, "luna models list")
        return
    bad = False
    for finding in _files(box, catalogue, used):
        bad = True
        yield finding
    memory = round(vitals.memory(box.proc).get("MemTotal") or machine_memory_mb())
    chat = roles["chat"].model
    for model in {role.model.name: role.model for role in roles.values()}.values():
        big = _memory(box, model, chat, memory) if model.name in models else None
        if big is not None:
            bad = True
            yield big
    if not bad:
        yield Finding("models.ok", values={"count": len(used)})


def _files(box: Box, catalogue: Catalogue, used: dict[str, list[str]]) -> Iterator[Finding]:
    for name, roles in used.items():
        model = catalogue.get(name)
        values = {"name": name, "roles": ", ".join(roles)}
        command = f"luna models pull {name}"
        size = {"name": name, "megabytes": max(1, model.bytes // 1_000_000)}
        fix = Fix("pull", partial(_pull, model, box.models_dir), size)
        if not is_installed(model, box.models_dir):
            yield Finding("models.missing", "failure", values, command, fix)
            continue
        try:
            verify(model, box.models_dir)
        except ModelError as error:
            values["detail"] = str(error)
            yield Finding("models.damaged", "failure", values, command, fix)


def _pull(model: Model, models_dir: Path) -> None:
    pull(model, models_dir, ProgressLine())


def _memory(box: Box, model: Model, chat: Model, memory_mb: int) -> Finding | None:
    """Return the finding on a language model that does not fit, by the rules of its worker."""
    budget = memory_mb * box.settings.llm.memory_budget // 100
    values = {"name": model.name, "needs": model.memory_mb, "budget": budget, "memory": memory_mb}
    if model.memory_mb > budget:
        return Finding("models.too_big", "failure", values, RECOMMEND)
    if model is not chat and chat.memory_mb <= budget < model.memory_mb + chat.memory_mb:
        values |= {"chat": chat.name}
        return Finding("models.not_beside", "warning", values, RECOMMEND)
    return None
