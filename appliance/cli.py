"""The command `luna`: what can be typed. What each command does is in :mod:`appliance.cli_actions`.

Only the parser lives here, so that ``luna --help`` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from appliance import __version__
from appliance.errors import LunaError

EXIT_CODES = """\
exit codes:
  0    done
  1    another failure
  2    wrong words or unusable input
  3    wrong configuration
  4    a model is missing, damaged or cannot be loaded
  5    a sound device or sound file cannot be used
  6    Luna is not running, or does not answer
  7    the turn ended without an answer
  130  interrupted with Ctrl+C
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where to read more."""

    def error(self, message: str) -> None:  # type: ignore[override]
        sys.stderr.write(f"{self.prog}: {message} (see `{self.prog} --help`)\n")
        sys.exit(2)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    common = _Parser(add_help=False)
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

    parser = _Parser(
        prog="luna",
        description="Luna: a voice assistant that listens, thinks and speaks on this machine.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"luna {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, summary: str, example: str, *, json: bool = True) -> _Parser:
        command: _Parser = commands.add_parser(
            name,
            parents=[common],
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if json:
            command.add_argument("--json", action="store_true", help="print JSON, for scripts")
        return command

    run = add("run", "start the assistant and keep it running", "luna run", json=False)
    run.add_argument(
        "--fake", action="store_true", help="real processes, but no sound card and no models"
    )

    ask = add("ask", "ask in writing; the answer is written too", 'luna ask "What is a moon?"')
    ask.add_argument("text", help="the question; - reads it from standard input")
    ask.add_argument("--speak", action="store_true", help="say the answer aloud as well")

    say = add("say", "speak a text", 'luna say --language pt "Bom dia!"')
    say.add_argument("text", help="what to say; - reads it from standard input")
    say.add_argument("--language", choices=("en", "pt"), help="the language of the text")

    add("listen", "one spoken turn: ask after the signal, hear the answer", "luna listen")

    turn = add(
        "turn",
        "one spoken turn from a sound file to a sound file, no sound card needed",
        "luna turn --in question.wav --out answer.wav",
    )
    turn.add_argument("--in", dest="source", required=True, metavar="WAV", help="the question")
    turn.add_argument("--out", dest="target", required=True, metavar="WAV", help="the answer")
    turn.add_argument("--wake", action="store_true", help="the recording begins with the wake word")
    turn.add_argument("--force", action="store_true", help="overwrite an existing answer file")

    add("status", "what the running assistant is doing, and whether it is well", "luna status")
    add("devices", "the microphones and speakers of this machine", "luna devices")
    add("stop", "stop whatever the running assistant is doing", "luna stop", json=False)

    mute = add("mute", "switch the microphone off or on", "luna mute on", json=False)
    mute.add_argument("switch", choices=("on", "off"), help="`on` mutes, `off` unmutes")

    config = add("config", "look at the configuration", "luna config check")
    config.add_argument(
        "action", choices=("check", "show"), help="`check` reports every mistake, `show` prints it"
    )

    models = add("models", "look after the model files", "luna models pull whisper-base")
    models.add_argument("action", choices=("list", "pull", "verify"), help="what to do")
    models.add_argument("names", nargs="*", metavar="NAME", help="models; none means the defaults")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = build_parser().parse_args(argv)
    from appliance import cli_actions

    try:
        return cli_actions.run(arguments)
    except LunaError as error:
        if arguments.debug:
            raise
        sys.stderr.write(f"luna: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has had enough (`luna ask ... | head`).
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
