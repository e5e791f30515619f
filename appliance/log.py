"""The log: one JSON object a line, systemd's journal with fields, or plain lines on a terminal.

Events become log lines here and nowhere else. What was said and answered appears only at the
level ``debug``: a log is read, copied and sent around.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any

from appliance.events import (
    CaptureDropped,
    ClockChanged,
    Error,
    Event,
    FindingChanged,
    GenerationFinished,
    Heard,
    JobFinished,
    Logged,
    MicrophoneChanged,
    ModelLoaded,
    ModelLoading,
    ModelUnloaded,
    NetworkChanged,
    PanelChanged,
    ProviderChosen,
    ProviderUsed,
    QuotaWarning,
    ReminderDue,
    ReminderMissed,
    ServiceStarted,
    SpeakerChanged,
    StateChanged,
    SynthesisFailed,
    Transcribed,
    TurnEnded,
    WakeHeard,
    WorkerChanged,
)

logger = logging.getLogger("luna")
# A command that runs Luna for itself shows errors in its own words; only a service keeps a log.
logger.addHandler(logging.NullHandler())
logger.propagate = False

_FOREIGN = ("asyncio", "aiohttp")
"""Libraries whose warnings belong into the same log, in the same form."""
LOGGERS = (logger, *map(logging.getLogger, _FOREIGN))

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_VERDICTS = {"warning": logging.WARNING, "critical": logging.ERROR}


def configure(level: str) -> None:
    """Send the log to the journal (under systemd), else to standard error."""
    handler = _journal() or _stream()
    logger.setLevel(_LEVELS[level])
    logger.handlers = [handler]
    for foreign in LOGGERS[1:]:
        foreign.handlers, foreign.propagate = [handler], False
        foreign.setLevel(logging.WARNING)


def _journal() -> logging.Handler | None:
    """Return a handler for systemd's journal, where standard error leads to it."""
    # A terminal of a desktop may inherit the variable: it holds for this very file alone.
    error = os.fstat(2)
    if os.environ.get("JOURNAL_STREAM") != f"{error.st_dev}:{error.st_ino}":
        return None
    try:
        from systemd.journal import JournalHandler
    except ImportError:
        return None

    class Handler(JournalHandler):  # type: ignore[misc]
        def emit(self, record: logging.LogRecord) -> None:
            for key, value in getattr(record, "fields", {}).items():
                setattr(record, f"LUNA_{key.upper()}", str(value))
            super().emit(record)

    handler: logging.Handler = Handler(SYSLOG_IDENTIFIER="luna")
    return handler


def _stream() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain() if sys.stderr.isatty() else _Json())
    return handler


class _Json(logging.Formatter):
    """One object a line: time, level, message, and the fields of the event."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).astimezone()
        line: dict[str, Any] = {
            "time": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.name != logger.name:
            line["logger"] = record.name
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Plain(logging.Formatter):
    """A line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).astimezone()
        mark = {"WARNING": "! ", "ERROR": "!! "}.get(record.levelname, "")
        line = f"{when:%H:%M:%S} {mark}{record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def log_event(event: Event) -> None:
    """Write the log line of *event*, if it deserves one."""
    found = _line(event)
    if found is None:
        return
    level, message, fields = found
    if turn_id := getattr(event, "turn_id", 0):
        fields = {"turn_id": turn_id, **fields}
    logger.log(level, "%s", message, extra={"fields": {"event": event.type, **fields}})


def _line(event: Event) -> tuple[int, str, dict[str, Any]] | None:  # noqa: PLR0912, PLR0915  (a list)
    match event:
        case Logged():
            where = {"worker": event.worker} if event.worker else {}
            return _LEVELS.get(event.level, logging.INFO), event.text, where
        case ServiceStarted():
            fields = {"version": event.version, "board": event.board, "cores": event.cores}
            fields |= {"memory_mb": event.memory_mb}
            return logging.INFO, f"Luna {event.version} begins", fields
        case ModelLoading():
            fields = {"role": event.role, "model": event.model, "expected_s": event.expected_s}
            return logging.INFO, f"model {event.model}: loading", fields
        case ModelLoaded():
            fields = {"role": event.role, "model": event.model, "load_ms": event.load_ms}
            fields |= {"memory_mb": event.memory_mb}
            return logging.INFO, f"model {event.model}: loaded", fields
        case ModelUnloaded():
            fields = {"model": event.model, "memory_mb": event.memory_mb}
            return logging.INFO, f"model {event.model}: made room", fields
        case WorkerChanged():
            level = logging.WARNING if event.status == "failed" else logging.INFO
            detail = f" ({event.detail})" if event.detail else ""
            fields = {"worker": event.worker, "pid": event.pid, "restarts": event.restarts}
            fields |= {"status": event.status}
            return level, f"{event.worker}: {event.status}{detail}", fields
        case MicrophoneChanged() | SpeakerChanged():
            part = "microphone" if isinstance(event, MicrophoneChanged) else "speaker"
            bad = event.status not in ("open", "closed", "muted")
            rest = " ".join(filter(None, (event.device, event.detail)))
            text = f"{part}: {event.status} {rest}".strip()
            fields = {"rate": event.rate, "channels": event.channels, "status": event.status}
            return logging.WARNING if bad else logging.INFO, text, fields
        case CaptureDropped():
            text = f"{event.blocks} captured blocks were lost ({event.where})"
            return logging.WARNING, text, {"blocks": event.blocks, "where": event.where}
        case FindingChanged():
            fields = {"finding": event.name, "verdict": event.level}
            fields |= {"value": event.value, "limit": event.limit}
            return _VERDICTS.get(event.level, logging.INFO), event.text, fields
        case QuotaWarning():
            text = f"{event.provider}: {event.percent} % of today's {event.limit} limit is used"
            return logging.WARNING, text, {"used": event.used, "allowed": event.allowed}
        case ProviderChosen():
            passed = ", ".join(f"{name} {why}" for name, why in event.skipped.items())
            text = f"{event.provider} answers ({event.reason})"
            fields = {"provider": event.provider, "model": event.model, "role": event.role}
            fields |= {"reason": event.reason, "skipped": event.skipped}
            fields |= {"first_token_ms": event.first_token_ms}
            return logging.INFO, f"{text}; passed over: {passed}" if passed else text, fields
        case ProviderUsed():
            tokens = f"{event.prompt_tokens} + {event.completion_tokens} tokens"
            about = ", estimated" if event.estimated else ""
            bad = event.outcome not in ("finished", "cancelled")
            fields = {"provider": event.provider, "model": event.model, "role": event.role}
            fields |= {"prompt_tokens": event.prompt_tokens, "outcome": event.outcome}
            fields |= {"completion_tokens": event.completion_tokens, "cost": event.cost}
            fields |= {"first_token_ms": event.first_token_ms}
            text = f"{event.provider}: {event.outcome}, {tokens}{about}"
            return logging.WARNING if bad else logging.INFO, text, fields
        case ReminderDue():
            fields = {"reminders": event.reminders, "late": event.late, "again": event.again}
            return logging.INFO, "a reminder is announced", fields
        case ReminderMissed():
            fields = {"reminder": event.reminder, "count": event.count}
            return logging.WARNING, "a reminder was missed", fields
        case ClockChanged():
            fields = {"reason": event.reason, "jump_s": event.jump_s}
            trust = "is believed" if event.trusted else f"is doubted ({event.reason})"
            return logging.INFO if event.trusted else logging.WARNING, f"the clock {trust}", fields
        case JobFinished():
            level = logging.INFO if event.ok else logging.ERROR
            fields = {"job": event.name, "took_s": event.took_s}
            return level, f"{event.name}: {'done' if event.ok else event.text}", fields
        case PanelChanged():
            level = logging.INFO if event.status == "connected" else logging.WARNING
            text = " ".join(filter(None, (f"panel {event.name}: {event.status}", event.detail)))
            return level, text, {"panel": event.name}
        case NetworkChanged():
            text = "the network is back" if event.online else "there is no network"
            return logging.INFO if event.online else logging.WARNING, text, {}
        case WakeHeard():
            return logging.INFO, f"wake word {event.phrase}", {"score": round(event.score, 3)}
        case StateChanged():
            return logging.INFO, f"state: {event.state}", {"state": event.state}
        case SynthesisFailed() | GenerationFinished(reason="failed"):
            return logging.ERROR, event.detail, {}
        case Error():
            return logging.WARNING, event.text, {}
        case Transcribed(dropped=reason) if reason:
            return logging.INFO, f"nothing intelligible ({reason})", {}
        case Heard():
            return logging.DEBUG, f"heard: {event.text}", {"language": event.language}
        case TurnEnded():
            fields = {"source": event.source, "outcome": event.outcome, **event.timings}
            fields |= {"provider": event.provider, "model": event.model, "role": event.role}
            if logger.isEnabledFor(logging.DEBUG):
                fields |= {"question": event.question, "answer": event.answer}
            first = event.timings.get("first_audio_ms", 0.0)
            sound = f", first sound after {first:.0f} ms" if first else ""
            return logging.INFO, f"turn {event.turn_id} {event.outcome}{sound}", fields
    return None
