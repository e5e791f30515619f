"""`luna wake test`: mistakes of the wake word over recordings, by threshold."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.errors import UsageError
from appliance.settings import Settings
from appliance.texts import text

if TYPE_CHECKING:
    from appliance.listen.wake_trial import Recording, Row, Tally

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".webm")
"""What is taken of a folder; a file that is named itself may be called anything."""
MAX_FILES = 100_000
MOST_NAMED = 10
ENOUGH_HOURS = 6.0
"""With no false accept in so long there is hardly more than one in two hours: of a rare event
that was not seen, there are fewer than 3 in that time (95 %, the rule of three)."""
Labelled = tuple[Path, bool]


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna wake test`; return the exit code.

    Raises:
        UsageError: there are no recordings, or it is not known which hold the wake word.
        ConfigError: there is no such wake word.
        AudioError: a recording cannot be read.
    """
    from appliance.audio.file_device import read_sound
    from appliance.listen.wake_trial import THRESHOLDS, Tally, score
    from appliance.listen.wake_word import MicroWakeWords

    words = tuple(arguments.word) or settings.listen.wake_words
    if not words:
        raise UsageError("no wake word is configured; name one with --word")
    model = MicroWakeWords(words, settings.listen.wake_threshold)
    files = recordings(arguments, words)
    tally = Tally()
    for number, (path, positive) in enumerate(files, 1):
        _progress(arguments, f"{number}/{len(files)} {path.name}")
        tally.recordings.append(score(str(path), read_sound(path), model, positive=positive))
    _progress(arguments, "")
    present = set(model.limits.values())
    rows = [tally.row(threshold) for threshold in sorted({*THRESHOLDS, *present})]
    suggested = tally.suggest(rows)
    if arguments.json:
        print(json.dumps(_report(tally, rows, model.limits, suggested), ensure_ascii=False))
    else:
        _print(tally, rows, model.limits, suggested, settings.general.language)
    return 0


# --- which recordings ----------------------------------------------------------------------------


def recordings(arguments: argparse.Namespace, words: tuple[str, ...]) -> list[Labelled]:
    """Return the recordings with their labels.

    Raises:
        UsageError: there are none, or too many, or one has no label.
    """
    found: dict[Path, bool] = {}
    for names, positive in ((arguments.positive, True), (arguments.negative, False)):
        for name in names:
            found |= dict.fromkeys(_files(name), positive)
    for name in arguments.words:
        for path in _files(name):
            found[path] = _label(path, words)
    if not found:
        raise UsageError(
            "name recordings: luna wake test --positive FOLDER --negative FOLDER, "
            "or files named positive... and negative..."
        )
    if len(found) > MAX_FILES:
        raise UsageError(f"these are {len(found):,} recordings; {MAX_FILES:,} is the limit")
    return sorted(found.items())


def _files(name: str) -> Iterator[Path]:
    path = Path(name)
    if not path.is_dir():
        yield path
        return
    inside = [one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file()]
    if not inside:
        raise UsageError(f"there is no sound file in {path}")
    yield from inside


def _label(path: Path, words: tuple[str, ...]) -> bool:
    """Return whether the wake word is in *path*, by the name of the file or else of its folder."""
    for name in (path.stem.lower(), path.absolute().parent.name.lower()):
        if name.startswith(("negative", "neg_", "neg-")):
            return False
        if name.startswith(("positive", "pos_", "pos-", *words)):
            return True
    raise UsageError(
        f"it is not known whether the wake word is in {path}: use --positive or --negative, "
        "or begin its name with one of these words"
    )


# --- what is said --------------------------------------------------------------------------------


def _progress(arguments: argparse.Namespace, words: str) -> None:
    if sys.stderr.isatty() and not arguments.json:
        sys.stderr.write(f"\r\x1b[K{words[:79]}")
        sys.stderr.flush()


def _report(tally: Tally, rows: list[Row], limits: Any, suggested: float | None) -> dict[str, Any]:
    return {
        "words": dict(limits),
        "positives": tally.positives,
        "negative_hours": round(tally.negative_hours, 5),
        "rows": [
            {
                "threshold": row.threshold,
                "false_accepts": row.false_accepts,
                "false_accepts_per_hour": tally.accepts_per_hour(row),
                "false_rejects": row.false_rejects,
                "false_reject_rate": tally.reject_rate(row),
            }
            for row in rows
        ],
        "suggested": suggested,
        "recordings": [
            {"file": one.name, "positive": one.positive, "peak": round(one.peak, 3)}
            for one in tally.recordings
        ],
    }


def _print(
    tally: Tally, rows: list[Row], limits: Any, suggested: float | None, language: str
) -> None:
    negatives = len(tally.recordings) - tally.positives
    print(
        text(
            "wake.recordings",
            language,
            words=", ".join(limits),
            positives=tally.positives,
            negatives=negatives,
            time=_time(tally.negative_hours),
        )
    )
    print(text("wake.header", language))
    for row in rows:
        per_hour, missed = tally.accepts_per_hour(row), tally.reject_rate(row)
        now = [word for word, limit in limits.items() if limit == row.threshold]
        mark = text("wake.now", language, words=", ".join(now)) if now else ""
        print(
            f"{row.threshold:9.2f} {row.false_accepts:8} {_number(per_hour):>8} "
            f"{row.false_rejects:8} {_percent(missed):>8}  {mark}".rstrip()
        )
    for sentence in _verdict(tally, suggested, language):
        print("\n".join(textwrap.wrap(sentence, 80)))
    if wrong := _wrong(tally, min(limits.values())):
        print(text("wake.wrong", language))
        for one in wrong[:MOST_NAMED]:
            print(f"  {one.peak:.2f}  {one.name}")


def _verdict(tally: Tally, suggested: float | None, language: str) -> Iterator[str]:
    if suggested is None:
        yield text("wake.one_sided", language)
    else:
        yield text("wake.suggested", language, threshold=f"{suggested:.2f}")
    if 0.0 < tally.negative_hours < ENOUGH_HOURS:
        most = f"{3.0 / tally.negative_hours:.1f}"
        yield text("wake.little", language, time=_time(tally.negative_hours), most=most)


def _wrong(tally: Tally, threshold: float) -> list[Recording]:
    """Return the recordings that are missed, or falsely heard, at *threshold*."""
    return [one for one in tally.recordings if one.positive != (one.peak > threshold)]


def _time(hours: float) -> str:
    if hours >= 1.0:
        return f"{hours:.1f} h"
    minutes = hours * 60.0
    return f"{minutes:.1f} min"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f} %"
