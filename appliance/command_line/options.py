"""The options that every command has, and the configuration that they lead to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.command_line.parser import Parser

if TYPE_CHECKING:
    from appliance.config import Check
    from appliance.settings import Settings


def common_options() -> Parser:
    """Return the parent parser of the options that every command has."""
    common = Parser(add_help=False)
    group = common.add_argument_group("everywhere")
    group.add_argument("--config", metavar="FILE", help="read this file instead of the usual ones")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="override one setting; may be repeated",
    )
    group.add_argument("--debug", action="store_true", help="log more, show tracebacks of errors")
    return common


def load_settings(arguments: argparse.Namespace, checks: Sequence[Check] = ()) -> Settings:
    """Return the configuration, with what the command line overrides.

    Raises:
        ConfigError: it has mistakes, or one of *checks* found some.
    """
    from appliance import config

    path = Path(arguments.config) if arguments.config else None
    overrides = list(arguments.set)
    if arguments.debug:
        overrides.append("general.log_level=debug")
    return config.load(path, overrides=overrides, checks=checks)
