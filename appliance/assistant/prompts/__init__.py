"""The system prompts: Jinja2 files beside this one, a folder a language.

They are short, because every token is evaluated once on a slow machine, and they never change
within a session (no date, no time, no names from the conversation): then the evaluated prompt is
kept, in memory and over restarts. What changes belongs into the user's message.
"""

from __future__ import annotations

import functools

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from appliance.errors import LunaError

NAME = "Luna"


@functools.cache
def system_prompt(language: str, role: str = "chat") -> str:
    """Return the system prompt of *role* in *language* (a code such as ``en``).

    Raises:
        LunaError: there is no such prompt.
    """
    environment = SandboxedEnvironment(
        loader=jinja2.PackageLoader("appliance.assistant", "prompts"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        text = environment.get_template(f"{language}/{role}.j2").render(name=NAME)
    except jinja2.TemplateNotFound as error:
        raise LunaError(
            f"there is no prompt for the role {role!r} in the language {language!r}: add "
            f"appliance/assistant/prompts/{language}/{role}.j2"
        ) from error
    return " ".join(text.split())
