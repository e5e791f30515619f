"""Commands around answers: who gives them, from what, and which were given."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "answers"


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
    history = add("history", "look at past conversations", "luna history search bread")
    history.add_argument("action", choices=("list", "search", "show", "new", "purge"))
    history.add_argument(
        "words", nargs="*", metavar="WORD", help="words to find, or numbers of conversations"
    )
    history.add_argument("--yes", action="store_true", help="really delete")

    knowledge = add(
        "knowledge", "look after the documents Luna knows", "luna knowledge add manual.pdf"
    )
    knowledge.add_argument("action", choices=("add", "list", "search", "remove"))
    knowledge.add_argument(
        "words", nargs="*", metavar="WORD", help="files to add, words to find, names to remove"
    )

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
