"""Providers that transcribe, beside the box's own model, within the ``stt`` worker.

The worker decides nothing: a provider is asked when the command names it, once, and its failure
is reported (see :mod:`appliance.assistant.hearing`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from appliance.errors import ProviderError
from appliance.stt.whisper import Samples, Transcriber, Transcript


class Remote(Protocol):
    """One provider."""

    def transcribe(self, pcm: bytes, language: str, turn_id: int) -> tuple[str, str]:
        """Return the words in *pcm* (mono int16 at 16 kHz), and their language if it is told.

        Raises:
            ProviderError: the kind says why.
        """


class WithProviders:
    """A :class:`~appliance.stt.whisper.Transcriber` that can also have others transcribe.

    Args:
        local: the box's own model.
        remotes: the providers by name.
        languages: those that may be spoken; what a provider takes for another is left open.
    """

    def __init__(
        self, local: Transcriber, remotes: Mapping[str, Remote], languages: tuple[str, ...]
    ) -> None:
        self._local = local
        self._remotes = remotes
        self._languages = languages
        self.name = local.name

    def transcribe(self, samples: Samples, language: str = "") -> Transcript:
        """See :class:`~appliance.stt.whisper.Transcriber`: the box itself."""
        return self._local.transcribe(samples, language)

    def ask(self, provider: str, samples: Samples, language: str, turn_id: int) -> Transcript:
        """Return what *provider* hears.

        Raises:
            ProviderError: it did not answer, or is not set up here.
        """
        remote = self._remotes.get(provider)
        if remote is None:
            raise ProviderError(f"{provider} cannot transcribe here", kind="misconfigured")
        text, heard = remote.transcribe(samples.tobytes(), language, turn_id)
        known = heard if heard in self._languages else ""
        return Transcript(text, known, 1.0 if known else 0.0)
