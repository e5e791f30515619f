"""`luna terminal`."""

from __future__ import annotations

import argparse
import sys
import termios

from appliance import paths
from appliance.errors import ConfigError, UsageError


def run(arguments: argparse.Namespace) -> int:
    """Open the terminal application; return the exit code.

    Raises:
        UsageError: this is no terminal.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("this is no terminal; over SSH use `ssh -t`, in a script `luna ask`")
    from appliance.assistant.code_blocks import CodeSplitter
    from appliance.terminal.app import Taste, TerminalApp
    from appliance.terminal.service import LunaService

    taste = Taste(
        language=arguments.language or _language(arguments),
        light=arguments.light,
        erase_is_ctrl_h=termios.tcgetattr(sys.stdin)[6][termios.VERASE] == b"\x08",
    )
    service = LunaService(paths.control_socket(), paths.api_socket())
    app = TerminalApp(service, CodeSplitter, taste)
    app.run()
    return app.return_code or 0


def _language(arguments: argparse.Namespace) -> str:
    """Return the configured language; a configuration that is broken may be mended from here."""
    from appliance.command_line.options import load_settings

    try:
        return load_settings(arguments).general.language
    except ConfigError:
        return "en"
