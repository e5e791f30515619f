"""The configuration: every mistake in it, and what does not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from appliance import config, config_edit, paths
from appliance.doctor.finding import Box, Finding
from appliance.errors import ConfigError

EDIT = "luna config edit"


def check(box: Box) -> Iterator[Finding]:
    """Yield one finding a mistake."""
    try:
        files = [box.config_file] if box.config_file else paths.config_files()
        _, fatal = config.inspect(box.config_file, overrides=box.overrides)
        checks = config_edit.checks()
        _, all_of_them = config.inspect(box.config_file, overrides=box.overrides, checks=checks)
    except ConfigError as error:
        yield Finding("configuration.unreadable", "failure", {"detail": str(error)})
        return
    for mistake in fatal:
        yield Finding("configuration.mistake", "failure", {"mistake": mistake}, EDIT)
    # With these Luna runs, but not as the owner wants it.
    for mistake in all_of_them:
        if mistake not in fatal:
            yield Finding("configuration.unfit", "warning", {"mistake": mistake}, EDIT)
    if not all_of_them:
        yield Finding("configuration.ok", values={"count": len(files)})
