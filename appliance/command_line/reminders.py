"""Commands around reminders and jobs."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "reminders"


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
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
