"""Voices of providers, beside the box's own, within the ``tts`` worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from appliance.tts.piper import Voice
from appliance.tts.voices import Voices


class WithProviders:
    """:class:`~appliance.tts.voices.Voices` that also know those of providers.

    Args:
        local: the box's own voices.
        remotes: by provider, its voice for each language.
    """

    def __init__(self, local: Voices, remotes: Mapping[str, Mapping[str, Voice]]) -> None:
        self._local = local
        self._remotes = remotes
        self.detail = local.detail

    def candidates(self, language: str) -> Iterator[Voice]:
        """See :meth:`Voices.candidates`: those of the box."""
        return self._local.candidates(language)

    def of(self, provider: str, language: str) -> Voice | None:
        """Return the voice of *provider* for *language*."""
        return self._remotes.get(provider, {}).get(language)
