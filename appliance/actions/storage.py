"""`luna storage`: check, compact and count what is stored."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance import paths
from appliance.errors import StorageError, UsageError
from appliance.settings import Settings
from appliance.storage.backup import stores
from appliance.storage.files import FileLayer
from appliance.storage.flash import FlashStorage
from appliance.storage.recovery import load


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna storage ACTION [NAME...]`; return the exit code.

    Raises:
        UsageError: there is no store of this name.
        StorageError: a store cannot be compacted.
    """
    data_dir = paths.data_dir(settings.general.data_dir)
    chosen = _chosen(data_dir, arguments.names)
    actions = {"check": _check, "compact": _compact, "stats": _stats}
    rows = {name: actions[arguments.action](folder) for name, folder in chosen.items()}
    if arguments.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif not rows:
        print(f"Nothing is stored in {data_dir} yet.")
    for name, row in rows.items() if not arguments.json else ():
        print(f"{name}: {row.pop('finding', None) or _listed(row)}")
    damaged = any(row.get("damaged") or row.get("error") for row in rows.values())
    return StorageError.exit_code if damaged else 0


def _chosen(data_dir: Path, names: list[str]) -> dict[str, Path]:
    found = {folder.relative_to(data_dir).as_posix(): folder for folder in stores(data_dir)}
    if unknown := [name for name in names if name not in found]:
        known = ", ".join(found) or "none"
        raise UsageError(f"there is no store {unknown[0]} in {data_dir}; there are: {known}")
    return {name: found[name] for name in names} if names else found


def _check(folder: Path) -> dict[str, Any]:
    """Read the whole store, also while Luna runs; report what is wrong with it."""
    try:
        loaded = load(FileLayer(), folder)
    except StorageError as error:
        return {"error": str(error), "finding": str(error)}
    finding = f"ok, {loaded.documents} documents"
    if loaded.damaged:
        rest = f"{loaded.lost} changes are lost" if loaded.lost else "nothing is lost"
        finding = (
            f"damaged: {', '.join(loaded.damaged)}; {rest}, and Luna repairs it when she opens it"
        )
    elif loaded.torn_bytes:
        finding += f"; an unfinished change of {loaded.torn_bytes} bytes will be cut off"
    row = asdict(loaded)
    del row["tables"]
    return {**row, "documents": loaded.documents, "finding": finding}


def _compact(folder: Path) -> dict[str, Any]:
    storage = FlashStorage(folder, schema=None)
    try:
        before = storage.stats()["journal_bytes"]
        storage.compact()
        after = storage.stats()
    finally:
        storage.close()
    finding = f"{before} bytes of journal became a snapshot of {after['snapshot_bytes']}"
    return {**after, "journal_bytes_before": before, "finding": finding}


def _stats(folder: Path) -> dict[str, Any]:
    loaded = load(FileLayer(), folder)
    return {
        "documents": loaded.documents,
        "tables": {name: len(table) for name, table in loaded.tables.items()},
        "revision": loaded.revision,
        "schema": loaded.schema,
        "generation": loaded.generation,
        "snapshot_bytes": loaded.snapshot_bytes,
        "journal_bytes": loaded.journal_bytes,
    }


def _listed(row: dict[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items())
