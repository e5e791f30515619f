"""`luna diagnose`: what went wrong, by the log."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from appliance.settings import Settings


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna diagnose [FILE]`; return the exit code.

    Raises:
        UsageError: the file cannot be read, or holds nothing of Luna's.
        ServiceError: there is no log here.
    """
    from appliance.diagnose import sources
    from appliance.diagnose.entries import parse
    from appliance.diagnose.report import as_json, as_text, diagnose
    from appliance.errors import UsageError

    ago = sources.duration(arguments.since) if arguments.since else None
    if arguments.file:
        parsed = parse(sources.of_file(arguments.file))
        if not parsed.entries:
            raise UsageError(
                f"{arguments.file}: nothing of Luna's is in it; make it with "
                "journalctl -u luna -o json, or luna logs --json"
            )
        # Of a log from elsewhere the last hour is the one before it ends.
        end = parsed.entries[-1].time if parsed.entries else datetime.now(UTC)
    else:
        end = datetime.now(UTC)
        parsed = parse(sources.recent(end - ago if ago else None))
    if ago:
        parsed.entries = [entry for entry in parsed.entries if entry.time >= end - ago]
    report = diagnose(parsed, settings.thresholds)
    language = settings.general.language
    if arguments.json:
        print(json.dumps(as_json(report, language), ensure_ascii=False, indent=2))
    else:
        print(as_text(report, language))
    return 0
