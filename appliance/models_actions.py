"""`luna models`: list, install and check the model files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from appliance import paths
from appliance.errors import ModelError
from appliance.models.catalogue import Catalogue, Model, load_catalogue, verify
from appliance.models.install import pull, show_progress
from appliance.settings import Settings


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna models ACTION [NAME...]`; return the exit code.

    Raises:
        ModelError: a model is unknown, or cannot be installed.
    """
    catalogue = load_catalogue()
    models_dir = paths.models_dir(settings.general.models_dir)
    if arguments.action == "list":
        return _list(catalogue, models_dir, as_json=arguments.json)
    models = [catalogue.get(name) for name in arguments.names or catalogue.default_set()]
    if arguments.action == "pull":
        for model in models:
            pull(model, models_dir, show_progress)
        return 0
    return _verify(models, models_dir, as_json=arguments.json)


def _list(catalogue: Catalogue, models_dir: Path, *, as_json: bool) -> int:
    rows: list[dict[str, Any]] = [
        {
            "name": model.name,
            "title": model.title,
            "roles": model.roles,
            "licence": model.licence,
            "megabytes": model.bytes // 1_000_000,
            "memory_mb": model.memory_mb,
            "installed": model.folder(models_dir).is_dir(),
        }
        for model in catalogue.models.values()
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'':2}{'NAME':38} {'ROLES':11} {'DISK':>8}  LICENCE")
    for row in rows:
        mark = "*" if row["installed"] else " "
        roles = ",".join(row["roles"])
        print(f"{mark} {row['name']:38} {roles:11} {row['megabytes']:5} MB  {row['licence']}")
    print(f"* installed in {models_dir}. `luna models pull NAME` installs a model.")
    return 0


def _verify(models: list[Model], models_dir: Path, *, as_json: bool) -> int:
    findings: dict[str, str] = {}
    for model in models:
        try:
            verify(model, models_dir)
            findings[model.name] = "ok"
        except ModelError as error:
            findings[model.name] = str(error)
    if as_json:
        print(json.dumps(findings, indent=2))
    else:
        for name, finding in findings.items():
            print(f"{name}: {finding}" if finding == "ok" else finding)
    return 0 if set(findings.values()) == {"ok"} else ModelError.exit_code
