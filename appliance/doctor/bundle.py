"""An archive for a bug report: what is wrong with the box, and nothing of what was said to it.

    luna-doctor-20260301T030000Z/
        findings.json       the report of `luna doctor`
        configuration.json  the settings that differ from the defaults, without secrets
        versions.json       Luna, Python, kernel, board, libraries
        health.json         the running service's report on itself
        log.jsonl           the end of the log, without what was said
        README.txt          what is in here, and what is not

Two nets catch secrets. What goes in is chosen: known figures and words of each source, no raw
file. And all of it then passes :class:`Scrubber`, which knows the secrets of this box and the
looks of others'.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from appliance.diagnose.entries import Entry
from appliance.doctor.crashes import recent_entries
from appliance.doctor.finding import Box, Finding
from appliance.doctor.versions import about, libraries
from appliance.errors import LunaError, StorageError
from appliance.settings import Settings
from appliance.storage.backup import SECRETS

LINES = 2000
MAX_TEXT = 500
HIDDEN = "***"
_LEAST = 6
"""Characters of a secret. What is shorter would be found everywhere."""
_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH", re.IGNORECASE)
_MAX_SECRET_FILE = 65_536
_LOOKS = (
    re.compile(r"(?i)\b(bearer|basic)\s+[\w.+/=~-]{6,}"),
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    re.compile(r"(?i)\b(?:sk|gsk|pk|xai|hf|ghp|luna)[-_][\w-]{8,}"),
    re.compile(
        r"(?i)((?:api[-_]?)?key|token|secret|password|passwd)(['\"]?\s*[=:]\s*['\"]?)[^\s'\",}]+"
    ),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),  # a JSON web token
    re.compile(r"\b(?=[\w+/-]*\d)(?=[\w+/-]*[A-Za-z])[A-Za-z0-9+_-]{32,}={0,2}"),
    re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
    re.compile(r"(?<![\d.])\d{6}(?![\d.])"),  # a code for pairing
)
_QUOTED = re.compile(
    r"'[^'\n]{2,}'|\"[^\"\n]{2,}\"|“[^”\n]+”|«[^»\n]+»|[\u2018][^\u2019\n]+[\u2019]"
)
"""What a log line quotes may be somebody's words."""
_FILE_NAMES = re.compile(
    r"\S+\.(?:pdf|docx?|odt|txt|md|html?|epub|csv|xlsx?|pptx?|rtf|jpe?g|png|webp|wav|mp3|ogg)\b",
    re.I,
)
_PRIVATE_FIELDS = frozenset(
    {"question", "answer", "text", "row", "rows", "arguments", "reminders", "traceback", "name"}
)
"""Of a log line: what people said, wrote or named. Of a traceback only the places stay."""
_PLACE = re.compile(r'File "[^"]*?(appliance/[^"]+)", line (\d+), in (\w+)')
_SETTINGS_LEFT_OUT = ("privacy.redact", "web.names")
"""Names of people, and of the house."""
_WORDS_LEFT_OUT = frozenset({"extra", "voices"})
README = """\
Made by `luna doctor --bundle` on {date}, for a report of a fault.

In here: the findings of `luna doctor`, the settings that differ from the defaults, versions, the
running service's figures, and the end of its log. Left out: keys, tokens and passwords, what was
said, asked and answered, reminders, names of documents, the names that [privacy] lists.

These are plain texts: look at them before you send them.
"""


class Scrubber:
    """Hides secrets in texts: those of this box, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {secret for secret in secrets if len(secret) >= _LEAST}
        # The longest first: one may be the beginning of another.
        ordered = sorted(found, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """Return *text* without secrets."""
        if self._known:
            text = self._known.sub(HIDDEN, text)
        for look in _LOOKS:
            text = look.sub(HIDDEN, text)
        return text

    def all(self, value: Any) -> Any:
        """Return *value*, made of JSON's types, with every text in it scrubbed, keys as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.all(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.all(item) for item in value]
        return value


def secrets_of(box: Box, environ: Mapping[str, str] | None = None) -> set[str]:
    """Return the secrets that this process can find on the box.

    From the environment (by the names of variables), systemd's credentials, the folder of
    secrets, and what the owner lists in ``privacy.redact``.
    """
    environ = os.environ if environ is None else environ
    found = {value.strip() for name, value in environ.items() if _NAMES.search(name)}
    folders = [box.data_dir / SECRETS]
    if credentials := environ.get("CREDENTIALS_DIRECTORY"):
        folders.append(Path(credentials))
    for folder in folders:
        for file in _files(folder):
            found |= _forms(file)
    # Whole file names and paths are no secrets, though a variable may be called so.
    found = {value for value in found if not value.startswith("/")}
    return found | set(box.settings.privacy.redact)


def _files(folder: Path) -> list[Path]:
    try:
        return [file for file in folder.iterdir() if file.is_file()]
    except OSError:
        return []


def _forms(file: Path) -> set[str]:
    """Return how the content of a secret file may be written in a text."""
    try:
        data = file.read_bytes()[:_MAX_SECRET_FILE]
    except OSError:
        return set()
    forms = {data.hex(), base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()}
    forms |= {form.rstrip("=") for form in forms}
    return forms | {line.strip() for line in data.decode("utf-8", "ignore").splitlines()}


def write(
    target: Path,
    box: Box,
    findings: list[tuple[str, Finding]],
    *,
    environ: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Path:
    """Write the archive; return where it is.

    Args:
        target: a file, which must not be there yet, or a folder.
        box: what was looked at.
        findings: what was found, with subjects.
        environ: the environment; None means the process's own.
        now: the time that goes into the name.

    Raises:
        StorageError: it cannot be written.
    """
    now = now or datetime.now(UTC)
    stem = f"luna-doctor-{now:%Y%m%dT%H%M%SZ}"
    path = target / f"{stem}.tar.gz" if target.is_dir() else target
    scrubber = Scrubber(secrets_of(box, environ))
    contents = {
        "findings.json": _json(scrubber.all(rows(findings, "en"))),
        "configuration.json": _json(scrubber.all(settings_shown(box.settings))),
        "versions.json": _json({**about(), "libraries": libraries()}),
        "health.json": _json(scrubber.all(_health(box.report))),
        "log.jsonl": _log(box, scrubber),
        "README.txt": README.format(date=f"{now:%Y-%m-%d}"),
    }
    try:
        # Nobody else may read it, and nothing is overwritten.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for name, text in contents.items():
                data = text.encode()
                info = tarfile.TarInfo(f"{stem}/{name}")
                info.size, info.mode, info.mtime = len(data), 0o600, int(now.timestamp())
                archive.addfile(info, io.BytesIO(data))
    except FileExistsError as error:
        raise StorageError(f"{path} exists already; name another file") from error
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    return path


def rows(findings: list[tuple[str, Finding]], language: str) -> list[dict[str, Any]]:
    """Return the findings as JSON objects."""
    return [
        {
            "subject": subject,
            "name": finding.name,
            "level": finding.level,
            "skipped": finding.skipped,
            "text": finding.sentence(language),
            "command": finding.command,
        }
        for subject, finding in findings
    ]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n"


# --- the configuration ---------------------------------------------------------------------------


def settings_shown(settings: Settings) -> dict[str, Any]:
    """Return what differs from the defaults, without what may hold a secret or a name."""
    return _changed(asdict(settings), asdict(Settings()), "")


def _changed(values: dict[str, Any], defaults: dict[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{where}.{key}" if where else str(key)
        default = defaults.get(key)
        if value == default or value in ({}, None):
            continue
        if name in _SETTINGS_LEFT_OUT:
            found[key] = f"{len(value)} entries"
        elif key in _WORDS_LEFT_OUT and isinstance(value, dict):
            found[key] = sorted(value)  # which there are, not what is in them
        elif isinstance(value, dict):
            found[key] = _changed(value, default if isinstance(default, dict) else {}, name)
        elif key == "base_url":
            found[key] = re.sub(r"[?#].*", "", str(value))
        else:
            found[key] = value
    return found


# --- the service ---------------------------------------------------------------------------------


def _health(report: dict[str, Any] | None) -> dict[str, Any]:
    """Return the report without what somebody's words may stand in."""
    if report is None:
        return {}
    found = dict(report)
    found["workers"] = {
        name: {**worker, "detail": _plain(worker["detail"])}
        for name, worker in report.get("workers", {}).items()
    }
    found["providers"] = [
        {**row, "last_error": _plain(str(row.get("last_error", "")))}
        for row in report.get("providers", ())
    ]
    return found


def _log(box: Box, scrubber: Scrubber) -> str:
    """Return the end of the log as lines of JSON; the reason where there is none."""
    try:
        entries = recent_entries(box) or []
    except LunaError as error:
        return json.dumps({"error": scrubber.text(str(error))}) + "\n"
    kept = [entry for entry in entries if entry.level != "debug"][-LINES:]
    return "".join(f"{json.dumps(scrubber.all(_line(e)), ensure_ascii=False)}\n" for e in kept)


def _line(entry: Entry) -> dict[str, Any]:
    fields = {key: value for key, value in entry.fields.items() if key not in _PRIVATE_FIELDS}
    line = {
        "time": entry.time.isoformat(timespec="milliseconds"),
        "level": entry.level,
        "event": entry.event,
        "worker": entry.worker,
        "turn": entry.turn_id,
        "text": "" if entry.event == "heard" else _plain(entry.text),
        "fields": {k: _plain(v) if isinstance(v, str) else v for k, v in fields.items()},
    }
    if traceback := entry.word("traceback"):
        line["places"] = [":".join(place) for place in _PLACE.findall(traceback)]
    return line


def _plain(text: str) -> str:
    """Return *text* without what it quotes, without names of documents, and not too long."""
    return _FILE_NAMES.sub(HIDDEN, _QUOTED.sub(f"'{HIDDEN}'", text))[:MAX_TEXT]
