"""`luna providers`: who may answer, how they are, what was sent to them; and a real test."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from appliance import paths
from appliance.control import Health, HealthRequested, ask
from appliance.errors import ProviderError, UsageError
from appliance.events import Event
from appliance.providers import assembly, policy
from appliance.providers.quota_day import Day
from appliance.settings import Settings

ANSWER_LIMIT_S = 5.0
MAX_ENTRIES = 100_000
MAX_SHOWN = 500
"""Characters of one message in the log, where it is shown to a person."""


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna providers [ACTION [NAME]]`; return the exit code.

    Raises:
        UsageError: the words do not fit.
        ProviderError: the provider that was tested does not work.
        ServiceError: the running service does not answer.
        StorageError: ledger or log cannot be read.
    """
    match arguments.action:
        case "test":
            return _test(arguments, settings)
        case "log":
            return _log(arguments, settings)
    return _list(arguments, settings)


# --- who there is ------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace, settings: Settings) -> int:
    rows = asyncio.run(_running_report()) or _static_report(settings)
    day = _today(settings)
    limits = {name: p.limits.tokens for name, p in policy.in_use(settings).items()}
    for row in rows:
        total = day.total(row["name"]) if day else None
        row["tokens_today"] = total.tokens_in + total.tokens_out if total else 0
        row["limit_tokens"] = limits.get(row["name"])
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    print(
        f"{'':2} {'NAME':14} {'WHERE':5} {'STATE':13} {'AGAIN IN':>9} {'TOKENS TODAY':>19}  ERROR"
    )
    for number, row in enumerate(rows, 1):
        wait = f"{row['cooldown_s']:.0f} s" if row["cooldown_s"] else ""
        limit = row["limit_tokens"]
        used = f"{row['tokens_today']:,}" + ("" if limit is None else f" / {limit:,}")
        used = "" if row["place"] == "box" else used
        line = (
            f"{number:2} {row['name']:14} {row['place']:5} {row['status']:13} {wait:>9} {used:>19}"
        )
        print(f"{line}  {row['last_error']}".rstrip())
    roles = ", ".join(f"{role} {policy.from_settings(settings).of(role)}" for role in _ROLES)
    print(f"Policy: {roles}.")
    return 0


_ROLES = ("chat", "code", "vision")


async def _running_report() -> list[dict[str, Any]] | None:
    """Return what the running service knows; None when there is none."""
    health = await ask(HealthRequested(), Health, ANSWER_LIMIT_S)
    if health is None:
        return None
    rows: list[dict[str, Any]] | None = health.report.get("providers")
    return rows


def _static_report(settings: Settings) -> list[dict[str, Any]]:
    """Return what the configuration says; how they are, only the running service knows."""
    parts = assembly.assemble(settings, on_event=_ignore)
    able = {*parts.clients, *assembly.usable(settings, "stt"), *assembly.usable(settings, "tts")}
    return [
        {
            "name": candidate.name,
            "place": candidate.place,
            "status": "ready"
            if candidate.place == "box" or candidate.name in able
            else "misconfigured",
            "cooldown_s": 0.0,
            "last_error": "",
        }
        for candidate in parts.policy.order("chat")
    ]


def _ignore(_: Event) -> None:
    """Nobody listens to this command."""


def _today(settings: Settings) -> Day | None:
    """Return what was used today, without disturbing the service that counts it."""
    from appliance.providers.quota_store import LedgerStore, on_flash

    data_dir = paths.data_dir(settings.general.data_dir)
    if not (data_dir / "quota").is_dir():
        return None
    store = LedgerStore(on_flash(data_dir, read_only=True))
    try:
        live, _, clock = store.load()
    finally:
        store.close()
    today = datetime.now(UTC).astimezone(assembly.owner_zone()).date()
    today = clock.observe(today) if clock else today
    return next((day for day in live if day.date == today), None)


# --- a real test ---------------------------------------------------------------------------------


def _test(arguments: argparse.Namespace, settings: Settings) -> int:
    if not arguments.name:
        raise UsageError("name the provider to be tested: luna providers test NAME")
    names = policy.in_use(settings)
    if arguments.name not in names:
        known = ", ".join(names) or "none"
        raise UsageError(f"{arguments.name} is not configured; configured are: {known}")
    from appliance.assistant.provider_check import tested

    result = asyncio.run(tested(arguments.name, settings))
    if arguments.json:
        print(json.dumps(asdict(result), ensure_ascii=False))
        return 0 if result.ok else ProviderError.exit_code
    if not result.ok:
        raise ProviderError(result.detail, kind="failed")
    print(
        f"{result.provider} works: {result.model} sent its first token after "
        f"{result.first_token_ms:.0f} ms ({result.prompt_tokens} + {result.completion_tokens} "
        "tokens)"
    )
    return 0


# --- what was sent -------------------------------------------------------------------------------


def _log(arguments: argparse.Namespace, settings: Settings) -> int:
    from appliance.providers import outbound_log

    folder = assembly.outbound_folder(settings)
    if arguments.count < 1:
        raise UsageError("--count must be at least 1")
    # Of one provider the latest may lie far back among the others'.
    count = MAX_ENTRIES if arguments.name else arguments.count
    entries = outbound_log.read(folder, count, max_days=settings.privacy.log_days)
    if arguments.name:
        entries = [entry for entry in entries if entry.provider == arguments.name]
    entries = entries[-arguments.count :]
    if arguments.json:
        print(json.dumps([asdict(entry) for entry in entries], ensure_ascii=False))
        return 0
    if not settings.privacy.log_outbound:
        print("What is sent is not kept at present: privacy.log_outbound is off.")
    if not entries:
        print("Nothing has left this box, as far as this log goes back.")
    for entry in entries:
        when = datetime.fromtimestamp(entry.at, UTC).astimezone()
        hidden = ", private parts replaced" if entry.redacted else ""
        print(
            f"{when:%Y-%m-%d %H:%M:%S}  {entry.provider} ({entry.host}), {entry.role}, "
            f"{entry.model}, {entry.sent_bytes} bytes{hidden}"
        )
        for message in entry.messages:
            print(f"    {_shown(message)}")
    return 0


def _shown(message: Any) -> str:
    if not isinstance(message, dict):
        return _printable(str(message))
    content = message.get("content")
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False)
    return _printable(f"{message.get('role', '')}: {content}")


def _printable(text: str) -> str:
    """Return *text* as one line that cannot move the terminal's cursor."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]} …"
