"""`luna models`: list, install, check, remove, choose and measure models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance import paths
from appliance.errors import ModelError, UsageError
from appliance.llm.roles import is_installed
from appliance.models.catalogue import Catalogue, Model, load_catalogue, verify
from appliance.settings import Settings

_ONLY = {
    "source": "pull",
    "sha256": "pull",
    "missing": "pull",
    "force": "remove",
    "apply": "recommend",
}
"""Options that belong to one action."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna models ACTION [NAME...]`; return the exit code.

    Raises:
        UsageError: the words do not fit.
        ModelError: a model is unknown, cannot be installed, measured or used.
        ConfigError: the configuration cannot be changed.
    """
    for option, action in _ONLY.items():
        if getattr(arguments, option) and arguments.action != action:
            name = {"source": "from"}.get(option, option)
            raise UsageError(f"--{name} belongs to `luna models {action}`")
    catalogue = load_catalogue()
    models_dir = paths.models_dir(settings.general.models_dir)
    return _ACTIONS[arguments.action](arguments, settings, catalogue, models_dir)


# --- looking -------------------------------------------------------------------------------------


def _list(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    from appliance.llm.roles import in_use

    names = arguments.words or list(catalogue.models)
    used = in_use(settings, catalogue, models_dir)
    rows: list[dict[str, Any]] = [
        {
            "name": model.name,
            "title": model.title,
            "roles": model.roles,
            "languages": model.languages,
            "licence": model.licence,
            "megabytes": model.bytes // 1_000_000,
            "memory_mb": model.memory_mb,
            "installed": is_installed(model, models_dir),
            "verified": model.vouched_for,
            "used_for": used.get(model.name, []),
        }
        for model in map(catalogue.get, names)
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'':2}{'NAME':35} {'ROLES':10} {'DISK':>8}  {'LICENCE':18} USED FOR")
    for row in rows:
        mark = "*" if row["installed"] else " " if row["verified"] else "?"
        roles, used_for = ",".join(row["roles"]), ",".join(row["used_for"])
        line = f"{mark} {row['name']:35} {roles:10} {row['megabytes']:5} MB"
        print(f"{line}  {row['licence'][:18]:18} {used_for}".rstrip())
    print(f"* installed in {models_dir}. `luna models pull NAME` installs a model.")
    if not all(row["verified"] for row in rows):
        print("? not verified: `pull` asks the hub for its hash, or takes yours (--sha256).")
    return 0


def _verify(
    arguments: argparse.Namespace, _settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    names = arguments.words or [
        name
        for name, model in catalogue.models.items()
        if name in catalogue.default_set() or model.folder(models_dir).exists()
    ]
    findings: dict[str, str] = {}
    for name in names:
        try:
            verify(catalogue.get(name), models_dir)
            findings[name] = "ok"
        except ModelError as error:
            if arguments.words and name not in catalogue.models:
                raise
            findings[name] = str(error)
    if arguments.json:
        print(json.dumps(findings, indent=2))
    else:
        for name, finding in findings.items():
            print(f"{name}: {finding}" if finding == "ok" else finding)
    return 0 if set(findings.values()) == {"ok"} else ModelError.exit_code


def _missing(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    from appliance.missing_models import missing

    found = missing(settings, catalogue, models_dir)
    if arguments.json:
        print(json.dumps({"missing": found.names, "percent": found.percent}))
    elif found.names:
        print("\n".join(found.names))
    return 0 if found.names else 1


# --- installing and removing ---------------------------------------------------------------------


def _pull(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    from appliance.models.bundle import Bundle
    from appliance.models.install import pull
    from appliance.models.progress import ProgressLine

    names = arguments.words
    if arguments.missing:
        from appliance.missing_models import missing

        names = list(missing(settings, catalogue, models_dir).names)
        if not names:
            return 0
    bundle = None
    if arguments.source:
        bundle = Bundle(Path(arguments.source))
        names = names or [m.name for m in catalogue.models.values() if bundle.holds(m)]
        if not names:
            raise ModelError(f"there is no model of the catalogue in {arguments.source}")
    if arguments.sha256 and len(names) != 1:
        raise UsageError("--sha256 goes with one model: name it")
    models = [catalogue.get(name) for name in names or catalogue.default_set()]
    for model in models:

        def wait(name: str = model.name) -> None:
            sys.stderr.write(f"Another command is installing {name}; waiting for it ...\n")

        vouched = model if model.vouched_for else _vouch(arguments, model, models_dir)
        pull(vouched, models_dir, ProgressLine(), bundle=bundle, on_wait=wait)
    if bundle:
        bundle.close()
    if arguments.json:
        print(json.dumps({"installed": [model.name for model in models]}))
    return 0


def _vouch(arguments: argparse.Namespace, model: Model, models_dir: Path) -> Model:
    """Return *model* with the hashes that the owner gives, or agrees to."""
    from appliance.models import vouch
    from appliance.models.catalogue import ModelFile
    from appliance.models.download import size_of
    from appliance.models.hub import address

    def size(file: ModelFile) -> int:
        if not arguments.source:
            return size_of(address(file))
        source = Path(arguments.source)
        found = [source, source / file.name, source / model.name / file.name]
        for path in found:
            if path.is_file() and path.name == file.name:
                return path.stat().st_size
        raise ModelError(f"there is no {file.name} of model {model.name} in {source}")

    given = vouch.hashes(model, arguments.sha256)
    try:
        scratch = models_dir / ".partial" / f"{model.name}.small"
        scratch.parent.mkdir(parents=True, exist_ok=True)
        vouched = vouch.described(model, given, scratch, size)
    except OSError as error:
        raise ModelError(f"{models_dir} cannot be written ({error.strerror})") from error
    published = [file for file in vouched.files if file.name not in given]
    if published and not arguments.yes:
        _ask(model, published)
    path = vouch.remember(vouched)
    sys.stderr.write(f"Its size and hash are kept in {path}.\n")
    return vouched


def _ask(model: Model, files: list[Any]) -> None:
    """Show what the hub publishes; raise UsageError unless the owner agrees."""
    out = sys.stderr.write
    out(f"Nobody has verified {model.name} for Luna. The hub publishes:\n")
    for file in files:
        out(f"  {file.hub} {file.bytes:,} bytes\n    sha256 {file.sha256}\n")
    out("Compare them with the page of the publisher if you can.\n")
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to agree to these hashes; --yes agrees, or use --sha256")
    out("Trust these hashes from now on? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "s", "sim"):
        raise UsageError("nothing was installed")


def _remove(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    from appliance.llm.roles import in_use
    from appliance.models.install import remove

    if not arguments.words:
        raise UsageError("name the models: luna models remove NAME...")
    models = [catalogue.get(name) for name in arguments.words]
    used = in_use(settings, catalogue, models_dir)
    for model in models:
        if model.name in used and not arguments.force:
            raise ModelError(
                f"model {model.name} is used for {', '.join(used[model.name])}; choose another "
                "with `luna models use`, or write --force"
            )
    freed = {model.name: remove(model, models_dir) for model in models}
    if arguments.json:
        print(json.dumps({"removed": freed}))
    else:
        for name, size in freed.items():
            print(f"{name}: {size // 1_000_000:,} MB freed" if size else f"{name}: nothing there")
    return 0


# --- choosing and measuring ----------------------------------------------------------------------


def _use(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    from appliance.actions.model_roles import ROLES, change_for
    from appliance.config_edit import set_values

    words = 2
    if len(arguments.words) != words:
        raise UsageError(f"write luna models use ROLE NAME; the roles are {', '.join(ROLES)}")
    role, name = arguments.words
    values = change_for(role, name, settings, catalogue, models_dir)
    written = set_values(values)
    if arguments.json:
        print(json.dumps({"path": str(written.path), "values": values}, default=list))
    else:
        for key, value in values.items():
            print(f"{key} = {value or 'the default'} (in {written.path})")
        print("It is used from the next start of Luna on.")
    return 0


def _bench(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    from dataclasses import asdict

    from appliance.actions.model_roles import busy
    from appliance.llm.roles import in_use
    from appliance.model_bench import bench, lines, measurable

    names = arguments.words or [
        name
        for name in in_use(settings, catalogue, models_dir)
        if is_installed(catalogue.get(name), models_dir) and measurable(catalogue.get(name))
    ]
    if not names:
        raise ModelError("no model is installed; `luna models pull` installs the defaults")
    disturbed = busy()
    results = []
    for model in map(catalogue.get, names):
        threads = settings.stt.threads if "stt" in model.roles else settings.llm.threads
        result = bench(model, models_dir, threads)
        results.append(asdict(result))
        if not arguments.json:
            print("\n".join(lines(result)), flush=True)
    if arguments.json:
        print(json.dumps(results, indent=2))
    if disturbed:
        sys.stderr.write("This machine was busy, so that the figures are too low.\n")
    return 0


def _recommend(
    arguments: argparse.Namespace, settings: Settings, catalogue: Catalogue, models_dir: Path
) -> int:
    from appliance.actions.model_roles import recommendation

    return recommendation(arguments, settings, catalogue, models_dir)


_Action = Callable[[argparse.Namespace, Settings, Catalogue, Path], int]
_ACTIONS: dict[str, _Action] = {
    "list": _list,
    "pull": _pull,
    "verify": _verify,
    "missing": _missing,
    "remove": _remove,
    "use": _use,
    "bench": _bench,
    "recommend": _recommend,
}
