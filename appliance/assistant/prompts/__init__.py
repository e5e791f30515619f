"""The system prompts: Jinja2 files beside this one, a folder a language, made of parts.

They are short, because every token is evaluated once on a slow machine, and they never change
within a session (no date, no time, no names from the conversation): then the evaluated prompt is
kept, in memory and over restarts. What changes belongs into the user's message.

An owner's file of the same name in their own folder (``en/persona.j2``) takes the place of the
one here; ``en/notes.j2`` is theirs alone: what Luna shall know about them. ``en/persona.txt`` is
plain text that the page edits; it stands at the end (see :mod:`appliance.assistant.persona`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from appliance.assistant import persona
from appliance.errors import ConfigError

NAME = "Luna"
MAX_FILE_BYTES = 20_000
"""Of an owner's template."""
MAX_CHARACTERS = 4000
"""Of a prompt without the persona: about a thousand tokens."""
_LANGUAGES = ("en", "pt")
CODE_ONLY = "code_only"
"""The role that has no manner of speaking."""


@dataclass(frozen=True)
class Facts:
    """What is known of the device; the same for the whole session. Empty: nothing is said."""

    owner: str = ""
    place: str = ""
    device: str = ""


@dataclass(frozen=True)
class Prompt:
    """A system prompt, ready for a model."""

    text: str
    private: bool = False
    """The owner's notes or persona are in it: what is answered from them is for nobody else."""

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change with every letter of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


class Prompts:
    """Renders system prompts.

    Args:
        folder: the owner's templates; what it lacks comes from the package.
        facts: of the device.
    """

    def __init__(self, folder: Path | None = None, facts: Facts | None = None) -> None:
        own = [_OwnersLoader(folder)] if folder else []
        self._folder = folder
        self._facts = facts or Facts()
        self._environment = SandboxedEnvironment(
            loader=jinja2.ChoiceLoader(
                [*own, jinja2.PackageLoader("appliance.assistant", "prompts")]
            ),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, language: str, role: str = "chat") -> Prompt:
        """Return the prompt of *role* (``chat``, ``code``, ``vision``, ``code_only``).

        A template that is missing in *language* (a code such as ``en``) is taken from another.

        Raises:
            ConfigError: there is no such prompt, or an owner's template cannot be used.
        """

        def part(name: str) -> list[str]:
            return [f"{code}/{name}.j2" for code in sorted(_LANGUAGES, key=lambda c: c != language)]

        try:
            template = self._environment.select_template(part(role))
            text = " ".join(
                template.render(name=NAME, language=language, facts=self._facts, part=part).split()
            )
        except jinja2.TemplateNotFound as error:
            name = Path(error.name or role).stem
            raise ConfigError(
                f"there is no prompt {name!r} in any language: add prompts/{language}/{name}.j2"
            ) from error
        except jinja2.TemplateSyntaxError as error:
            raise ConfigError(
                f"the prompt {error.filename or error.name}:{error.lineno} cannot be used: "
                f"{error.message}"
            ) from error
        except (jinja2.TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as error:
            raise ConfigError(
                f"the prompt for the role {role!r} in {language!r} cannot be used: {error}"
            ) from error
        if len(text) > MAX_CHARACTERS:
            raise ConfigError(
                f"the prompt for the role {role!r} in {language!r} has {len(text)} characters; "
                f"shorten it to {MAX_CHARACTERS}"
            )
        own = persona.read(self._folder, language) if self._folder and role != CODE_ONLY else ""
        return Prompt(" ".join([text, *own.split()]), private=bool(own) or self._has(part("notes")))

    def _has(self, names: list[str]) -> bool:
        try:
            self._environment.select_template(names)
        except jinja2.TemplateNotFound:
            return False
        return True


class _OwnersLoader(jinja2.FileSystemLoader):
    """Reads the owner's templates; only small files in UTF-8 are such."""

    def get_source(
        self, environment: jinja2.Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        file = Path(self.searchpath[0], *jinja2.loaders.split_template_path(template))
        try:
            if file.exists() and file.stat().st_size > MAX_FILE_BYTES:
                raise ConfigError(f"{file}: larger than {MAX_FILE_BYTES} bytes; shorten it")
            return super().get_source(environment, template)
        except jinja2.TemplateNotFound:
            raise  # it is an OSError as well
        except OSError as error:
            raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{file}: not UTF-8 text (byte {error.start})") from error


def system_prompt(language: str, role: str = "chat") -> str:
    """Return the prompt of *role* as the package has it.

    Raises:
        ConfigError: there is no such prompt.
    """
    return Prompts().render(language, role).text
