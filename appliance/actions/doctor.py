"""`luna doctor`: looks whether this box is well."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

from appliance import config
from appliance.control import Health, HealthRequested, ask
from appliance.doctor.finding import EXIT_CODES, Box, Finding
from appliance.doctor.report import COLUMNS, lines, summary, worst
from appliance.doctor.runner import Run, subjects
from appliance.errors import ConfigError, LunaError, ServiceError, UsageError
from appliance.settings import Settings
from appliance.texts import text

ANSWER_LIMIT_S = 5.0
Found = list[tuple[str, Finding]]


def run(arguments: argparse.Namespace) -> int:
    """Carry out `luna doctor`; return the exit code, which says how bad the worst finding is.

    Raises:
        UsageError: the root is no folder.
        StorageError: the bundle cannot be written.
    """
    box = _box(arguments)
    target = _target(arguments.bundle)
    language = box.settings.general.language
    examination = Run(subjects())
    found: Found = []
    last = ""
    for subject, finding in examination.findings(box):
        found.append((subject, finding))
        if not arguments.json:
            print("\n".join(lines(subject, finding, language, last)), flush=True)
            last = subject
    findings = [finding for _, finding in found]
    fixed = _fix(findings, language, quiet=arguments.json) if arguments.fix else []
    bundle = ""
    if target is not None:
        from appliance.doctor.bundle import write

        bundle = str(write(target, box, found))
    _end(arguments, found, fixed, bundle, language)
    code = EXIT_CODES[worst(findings)]
    if examination.stuck:
        # Python waits for its children at the end, and this one does not come.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _box(arguments: argparse.Namespace) -> Box:
    root = Path(arguments.root)
    if not root.is_dir():
        raise UsageError(f"--root {arguments.root}: there is no such folder")
    file = Path(arguments.config) if arguments.config else None
    overrides = tuple(arguments.set)
    try:
        settings, _ = config.inspect(file, overrides=overrides)
    except ConfigError:
        settings = Settings()  # the check of the configuration says what is wrong
    report, silence = None, ""
    try:
        health = asyncio.run(ask(HealthRequested(), Health, ANSWER_LIMIT_S))
        report = health.report if health else None
    except ServiceError as error:
        silence = str(error)
    return Box(
        settings,
        file,
        overrides,
        report,
        silence,
        root,
        play=not arguments.no_sound,
        ask_providers=arguments.providers,
    )


def _target(bundle: str | None) -> Path | None:
    """Return where the bundle goes; None: none is wanted."""
    if bundle is None:
        return None
    path = Path(bundle).expanduser()
    if not path.is_dir() and not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for the bundle")
    if path.is_file():
        raise UsageError(f"{path} exists already; name another file")
    return path


def _fix(findings: list[Finding], language: str, *, quiet: bool) -> list[dict[str, Any]]:
    """Mend what is safe to mend; say each before it is done."""

    def say(words: str) -> None:
        if not quiet:
            print(_wrapped(words), flush=True)

    done: list[dict[str, Any]] = []
    fixes = [finding for finding in findings if finding.fix]
    say("")
    if not fixes:
        say(text("doctor.nothing_to_fix", language))
    for finding in fixes:
        assert finding.fix is not None
        sentence = finding.fix.sentence(language)
        say(sentence)
        try:
            finding.fix.carry_out()
        except (LunaError, OSError) as error:
            detail = str(error)
            say(f"!! {text('doctor.not_fixed', language, detail=detail)}")
            done.append({"name": finding.name, "text": sentence, "ok": False, "detail": detail})
        else:
            done.append({"name": finding.name, "text": sentence, "ok": True, "detail": ""})
    return done


def _end(
    arguments: argparse.Namespace,
    found: Found,
    fixed: list[dict[str, Any]],
    bundle: str,
    language: str,
) -> None:
    from appliance.doctor.bundle import rows

    findings = [finding for _, finding in found]
    if arguments.json:
        answer = {
            "level": worst(findings),
            "findings": rows(found, language),
            "fixed": fixed,
            "bundle": bundle,
        }
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    print(f"\n{summary(findings, language)}")
    if any(finding.fix for finding in findings) and not arguments.fix:
        print(text("doctor.can_fix", language))
    if any(row["ok"] for row in fixed):
        print(text("doctor.look_again", language))
    if bundle:
        print(_wrapped(text("doctor.bundle", language, path=bundle)))


def _wrapped(words: str) -> str:
    return textwrap.fill(words, COLUMNS, break_long_words=False, break_on_hyphens=False)
