"""Which model of the catalogue answers in which role. Light: no model is opened here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ModelError, UsageError
from appliance.models.catalogue import Catalogue, Model
from appliance.settings import LlmSettings, Settings

CLASSIFY = "classify"
"""The chat model with a small context of its own, for ``Classify``."""
CLASSIFY_CONTEXT_TOKENS = 1024
ROLES = ("chat", "code", "vision", CLASSIFY)


@dataclass(frozen=True)
class RoleModel:
    """A role's model and the size of its context."""

    model: Model
    context_tokens: int


def role_models(
    settings: LlmSettings, catalogue: Catalogue, models_dir: Path
) -> dict[str, RoleModel]:
    """Return the model of each role; of vision only where the catalogue describes one.

    Raises:
        ModelError: a configured model is not in the catalogue, or cannot take its role.
    """
    chat = catalogue.get(settings.chat_model or catalogue.default("chat"))
    code = catalogue.get(settings.code_model or catalogue.default("code"))
    found = {
        "chat": RoleModel(chat, settings.context_tokens),
        "code": RoleModel(code, settings.code_context_tokens),
        CLASSIFY: RoleModel(chat, min(CLASSIFY_CONTEXT_TOKENS, settings.context_tokens)),
    }
    if vision := _vision(settings, catalogue, models_dir):
        found["vision"] = RoleModel(vision, settings.vision_context_tokens)
    return found


def _vision(settings: LlmSettings, catalogue: Catalogue, models_dir: Path) -> Model | None:
    if settings.vision_model:
        model = catalogue.get(settings.vision_model)
        if not model.mmproj:
            raise ModelError(
                f"model {model.name} cannot see (the catalogue names no mmproj file for it); "
                "choose another llm.vision_model"
            )
        return model
    models = catalogue.for_role("vision")
    installed = [model for model in models if is_installed(model, models_dir)]
    # Of those that are not there, only one that `luna models pull` would bring without asking.
    return next(iter(installed or [model for model in models if model.vouched_for]), None)


def is_installed(model: Model, models_dir: Path) -> bool:
    """Return whether the files of *model* are there; their hashes are checked when it is opened."""
    return all((model.folder(models_dir) / file.name).exists() for file in model.files)


def in_use(settings: Settings, catalogue: Catalogue, models_dir: Path) -> dict[str, list[str]]:
    """Return the roles of each model that the configuration and the catalogue's defaults use.

    Raises:
        ModelError: the configuration names a model that is not in the catalogue.
    """
    used: dict[str, list[str]] = {}
    for role, found in role_models(settings.llm, catalogue, models_dir).items():
        named = role != "vision" or settings.llm.vision_model
        if role != CLASSIFY and (named or is_installed(found.model, models_dir)):
            used.setdefault(found.model.name, []).append(role)
    used.setdefault(settings.stt.model or catalogue.default("stt"), []).append("stt")
    if settings.listen.smart_turn:
        used.setdefault(catalogue.default("endpoint"), []).append("endpoint")
    if settings.knowledge.embedding_model:
        used.setdefault(settings.knowledge.embedding_model, []).append("embedding")
    voices = {str(language): name for language, name in settings.tts.voices.items()}
    for language in settings.general.languages:
        name = voices.get(language) or catalogue.voice(language)
        if name in catalogue.models:
            used.setdefault(name, []).append(f"tts.{language}")
    return used


def model_for(roles: dict[str, RoleModel], role: str) -> RoleModel:
    """Return the model of *role*.

    Raises:
        UsageError: there is no such role.
        ModelError: there is no model for it; the sentence says how to get one.
    """
    if role in roles:
        return roles[role]
    if role == "vision":
        raise ModelError(
            "there is no model that can see; describe one in models.toml beside luna.toml (how: "
            "docs/models.md) and install it with `luna models pull NAME`"
        )
    raise UsageError(f"there is no role {role!r}; there are {', '.join(ROLES)}")
