"""Commands around the box: sound card, board, light."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "the box"
LONGEST_TEST_S = 86_400.0


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
    add(
        "devices",
        "the microphones and speakers of this machine",
        "luna devices",
        action="service:devices",
        settings=False,
    )
    mic = add(
        "mic",
        "hear what the box hears: level, noise, wake word",
        "luna mic test --seconds 10",
    )
    mic.add_argument("action", choices=("test",), help="`test` shows it until Ctrl+C")
    mic.add_argument(
        "--seconds", type=_seconds, default=0.0, metavar="N", help="end by itself after so long"
    )
    mic.add_argument(
        "--alone", action="store_true", help="Luna does not answer to the wake word meanwhile"
    )

    speaker = add("speaker", "hear whether the speaker works", "luna speaker test")
    speaker.add_argument("action", choices=("test",), help="`test` plays tones and a sentence")
    speaker.add_argument(
        "--tones", action="store_true", help="no sentence, for which a voice is needed"
    )

    wake = add(
        "wake",
        "how well the wake word is recognised, over recordings",
        "luna wake test --positive my-voice/ --negative radio/",
    )
    wake.add_argument("action", choices=("test",), help="`test` counts mistakes at each threshold")
    wake.add_argument(
        "words",
        nargs="*",
        metavar="FILE",
        help="sound files or folders, named positive or negative",
    )
    wake.add_argument(
        "--positive",
        action="append",
        default=[],
        metavar="PATH",
        help="a file or folder; the wake word is said once in each recording",
    )
    wake.add_argument(
        "--negative",
        action="append",
        default=[],
        metavar="PATH",
        help="a file or folder of anything but the wake word",
    )
    wake.add_argument(
        "--word", action="append", default=[], metavar="NAME", help="another than the configured"
    )

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

    panel = add(
        "panel",
        "what the light on the box means",
        "luna panel demo",
        json=False,
        action="panel:panel",
    )
    panel.add_argument("action", choices=("demo",), help="`demo` draws every pattern")
    panel.add_argument("--png", metavar="FILE", help="write one picture of all instead")
    panel.add_argument("--markdown", action="store_true", help="print docs/leds.md instead")
    panel.add_argument("--seconds", type=float, default=30.0, metavar="S", help="default 30")

    update = add(
        "update",
        "from one version to the next, and back",
        "luna update check",
    )
    update.add_argument(
        "action",
        choices=("check", "apply", "rollback", "slots"),
        help="`check` looks for one, `apply` installs it, `rollback` goes back, `slots` shows both",
    )
    update.add_argument(
        "place", nargs="?", default="", metavar="FILE|URL", help="a bundle; none: the configured"
    )
    update.add_argument("--force", action="store_true", help="also what is older or the same")
    update.add_argument(
        "--if-newer", action="store_true", help="do nothing where there is nothing newer"
    )
    update.add_argument(
        "--no-restart", action="store_true", help="leave the restart that tries it to you"
    )
    health = add(
        "health",
        "let Luna examine herself, and say a sentence to herself",
        "luna health",
        settings=False,
    )
    health.add_argument(
        "--boot", action="store_true", help="keep the version that runs if all is well"
    )
    health.add_argument(
        "--within", type=float, default=30.0, metavar="S", help="so long it may start; default 30"
    )


def _seconds(words: str) -> float:
    """Return the seconds in *words*; what is wrong with it is argparse's to say."""
    number = float(words)
    if not 0.0 < number <= LONGEST_TEST_S:
        raise ValueError
    return number


_seconds.__name__ = "number of seconds"
