"""Which models the configuration uses and the disk lacks, and how much of them has come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from appliance.llm.roles import in_use, is_installed
from appliance.models.catalogue import Catalogue, Model
from appliance.settings import Settings


@dataclass(frozen=True)
class Missing:
    """Models that are not installed; of none it is all zero."""

    names: tuple[str, ...] = ()
    percent: int = 0
    """So much of their bytes is here already, from an installation that goes on or was cut off."""


def missing(settings: Settings, catalogue: Catalogue, models_dir: Path) -> Missing:
    """Return the models that are used and not installed. Nothing is read of any of them.

    Those that nobody vouches for are left out: an owner must agree to their hashes first.

    Raises:
        ModelError: the configuration names a model that is not in the catalogue.
    """
    used = map(catalogue.get, in_use(settings, catalogue, models_dir))
    absent = [m for m in used if m.vouched_for and not is_installed(m, models_dir)]
    here = sum(min(_begun(model, models_dir), model.bytes) for model in absent)
    total = sum(model.bytes for model in absent)
    return Missing(tuple(model.name for model in absent), 100 * here // total if total else 0)


def _begun(model: Model, models_dir: Path) -> int:
    """Return the bytes of a model whose installation was begun."""
    folder = models_dir / ".partial" / model.name
    found = 0
    for file in folder.glob("*"):
        try:
            found += file.stat().st_size if file.is_file() else 0
        except OSError:  # it has just come to its place
            continue
    return found
