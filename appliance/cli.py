"""The command `luna`: what can be typed. What each command does is in :mod:`appliance.cli_actions`.

Only the parser lives here, so that ``luna --help`` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

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
  8    a provider of answers failed
  9    something could not be stored, or not be read
  10   buttons, LEDs or the board's profile cannot be used
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
    ask.add_argument("--image", metavar="FILE", help="a picture (JPEG, PNG, WebP) to ask about")
    ask.add_argument("--code", action="store_true", help="answer with code and nothing else")
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

    _add_storage(add)
    _add_answers(add)
    _add_reminders(add)
    _add_board(add)
    _add_panel(add)
    return parser


def _add_storage(add: Callable[..., _Parser]) -> None:
    """Add the commands that look after what is stored."""
    storage = add("storage", "look after what is stored", "luna storage check")
    storage.add_argument(
        "action",
        choices=("check", "compact", "stats"),
        help="`check` reads everything and reports damage, `compact` rewrites it, `stats` counts",
    )
    storage.add_argument("names", nargs="*", metavar="NAME", help="stores; none means all")

    backup = add("backup", "save everything Luna keeps in one file", "luna backup --to /mnt/stick")
    backup.add_argument("--to", metavar="FOLDER", help="where; else the configured folder")
    backup.add_argument("--secrets", action="store_true", help="put the secrets into it as well")

    restore = add(
        "restore",
        "go back to a backup; what is there now is kept beside it",
        "luna restore luna-backup-20260301T030000Z.tar.gz",
    )
    restore.add_argument("file", metavar="FILE", help="a file that `luna backup` made")


def _add_answers(add: Callable[..., _Parser]) -> None:
    """Add the commands around answers: who gives them, from what, and which were given."""
    providers = add("providers", "who may answer, and how they are", "luna providers test groq")
    providers.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "test", "log"),
        help="`list` (the default), `test` one with a real request, `log` of what was sent",
    )
    providers.add_argument("name", nargs="?", default="", help="a provider, for `test` and `log`")
    providers.add_argument("--count", type=int, default=20, metavar="N", help="entries of the log")

    quota = add("quota", "what providers used, and what is left today", "luna quota --days 30")
    quota.add_argument(
        "--days", type=int, default=7, metavar="N", help="so many days, today included; default 7"
    )

    knowledge = add(
        "knowledge", "look after the documents Luna knows", "luna knowledge add manual.pdf"
    )
    knowledge.add_argument("action", choices=("add", "list", "search", "remove"))
    knowledge.add_argument(
        "words", nargs="*", metavar="WORD", help="files to add, words to find, names to remove"
    )

    history = add("history", "look at past conversations", "luna history search bread")
    history.add_argument("action", choices=("list", "search", "show", "new", "purge"))
    history.add_argument(
        "words", nargs="*", metavar="WORD", help="words to find, or numbers of conversations"
    )
    history.add_argument("--yes", action="store_true", help="really delete")


def _add_panel(add: Callable[..., _Parser]) -> None:
    """Add the commands around LEDs and volume."""
    panel = add("panel", "what the light on the box means", "luna panel demo", json=False)
    panel.add_argument("action", choices=("demo",), help="`demo` draws every pattern")
    panel.add_argument("--png", metavar="FILE", help="write one picture of all instead")
    panel.add_argument("--markdown", action="store_true", help="print docs/leds.md instead")
    panel.add_argument("--seconds", type=float, default=30.0, metavar="S", help="default 30")

    volume = add("volume", "how loud Luna speaks", "luna volume 60", json=False)
    volume.add_argument(
        "level", nargs="?", default="", metavar="N|up|down", help="percent; none: print it"
    )


def _add_board(add: Callable[..., _Parser]) -> None:
    """Add the command that sets the system up for a sound board with button and LEDs."""
    board = add(
        "board", "set up a board with sound, button and LEDs", "luna board apply codec-zero"
    )
    board.add_argument(
        "action",
        choices=("list", "show", "detect", "apply", "wizard"),
        help="`detect` looks which is there, `wizard` asks for the wiring of another",
    )
    board.add_argument("name", nargs="?", default="", help="a profile, for `show` and `apply`")
    board.add_argument("--root", default="/", metavar="DIR", help="work on the tree in DIR")
    board.add_argument("--dry-run", action="store_true", help="show the changes only")
    board.add_argument("--yes", action="store_true", help="do not ask before writing")


def _add_reminders(add: Callable[..., _Parser]) -> None:
    """Add the commands around reminders and scheduled jobs."""
    reminders = add(
        "reminders",
        "reminders, timers and alarms",
        'luna reminders add "remind me to call Ana tomorrow at nine"',
    )
    reminders.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "add", "show", "change", "snooze", "done", "cancel", "cancel-all"),
        help="`list` is the default; the others want NUMBERs, `change` and `snooze` then a time",
    )
    reminders.add_argument("words", nargs="*", metavar="WORD", help="what, or which and when")
    reminders.add_argument("--language", choices=("en", "pt"), help="the language of the words")
    reminders.add_argument("--all", action="store_true", help="list what is over as well")
    reminders.add_argument("--always", action="store_true", help="add: say it in quiet hours too")
    reminders.add_argument("--yes", action="store_true", help="really cancel all")

    jobs = add("jobs", "what happens by itself", "luna jobs run daily-report")
    jobs.add_argument("action", nargs="?", default="list", choices=("list", "run"))
    jobs.add_argument("name", nargs="?", default="", metavar="NAME", help="a job, for `run`")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; options may also stand between an action and its words.

    argparse gives the words up where an option follows the action, and calls them unknown.
    """
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and (hasattr(arguments, "words") and not any(word.startswith("-") for word in rest)):
        arguments.words = [*arguments.words, *rest]
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = _parse(argv)
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
