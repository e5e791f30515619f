"""Commands that start, stop and watch the assistant."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "the assistant"
MAX_COUNT = 10**9


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
    run = add(
        "run",
        "start the assistant and keep it running",
        "luna run",
        json=False,
        action="serve:run",
    )
    run.add_argument(
        "--fake", action="store_true", help="real processes, but no sound card and no models"
    )
    add(
        "status",
        "what the running assistant is doing, and whether it is well",
        "luna status",
        action="service:status",
        settings=False,
    )
    add(
        "stop",
        "stop whatever the running assistant is doing",
        "luna stop",
        json=False,
        action="service:stop",
        settings=False,
    )
    restart = add(
        "restart",
        "start a part of Luna anew, or all of her",
        "luna restart stt",
        settings=False,
    )
    restart.add_argument(
        "worker",
        nargs="?",
        choices=("audio", "listen", "stt", "tts", "llm"),
        help="this part alone; none: the whole service",
    )
    mute = add(
        "mute",
        "switch the microphone off or on",
        "luna mute on",
        json=False,
        action="service:mute",
        settings=False,
    )
    mute.add_argument("switch", choices=("on", "off"), help="`on` mutes, `off` unmutes")
    volume = add(
        "volume", "how loud Luna speaks", "luna volume 60", json=False, action="panel:volume"
    )
    volume.add_argument(
        "level", nargs="?", default="", metavar="N|up|down", help="percent; none: print it"
    )
    logs = add(
        "logs",
        "what Luna wrote into her log",
        "luna logs -f --level warning",
        settings=False,
    )
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what is to come")
    logs.add_argument(
        "-n", "--lines", type=_count, default=0, metavar="N", help="so many at most, the last ones"
    )
    logs.add_argument("--turn", type=_count, default=0, metavar="ID", help="of this turn alone")
    logs.add_argument(
        "--level",
        choices=("debug", "info", "warning", "error"),
        default="debug",
        help="at least this level",
    )
    logs.add_argument("--since", metavar="TIME", help="not older than this: 90s, 30m, 1h, 7d")
    logs.add_argument(
        "--earlier",
        action="store_true",
        help="the errors of earlier starts, which an image keeps when its journal is gone",
    )
    doctor = add(
        "doctor",
        "look whether this box is well, and what mends what is not",
        "luna doctor --fix",
        settings=False,
    )
    doctor.add_argument(
        "--providers",
        action="store_true",
        help="ask each provider for one word, which may cost a few tokens",
    )
    doctor.add_argument("--no-sound", action="store_true", help="play no chirp")
    doctor.add_argument("--fix", action="store_true", help="mend what is safe to mend")
    doctor.add_argument(
        "--bundle",
        nargs="?",
        const=".",
        metavar="FILE",
        help="write an archive for the report of a fault, without secrets and private words",
    )
    doctor.add_argument(
        "--root", default="/", metavar="DIR", help="look for /proc, /sys and /dev in DIR"
    )
    diagnose = add(
        "diagnose",
        "what went wrong and why, by the log",
        "luna diagnose --since 1h",
    )
    diagnose.add_argument(
        "file", nargs="?", metavar="FILE", help="a log, also of another box; - is standard input"
    )
    diagnose.add_argument("--since", metavar="TIME", help="only the last 90s, 30m, 1h, 7d of it")


def _count(words: str) -> int:
    """Return the number in *words*; what is wrong with it is argparse's to say."""
    number = int(words)
    if not 0 < number < MAX_COUNT:
        raise ValueError
    return number


_count.__name__ = "number"
