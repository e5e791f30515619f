"""Commands around the page and the API."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "the page"


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
    web = add("web", "who may use the page and the API, and how", "luna web pair")
    web.add_argument(
        "action",
        nargs="?",
        default="status",
        choices=("status", "pair", "password", "sessions", "tokens", "cert"),
        help="`status` is the default; `pair` shows a code for another device",
    )
    web.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="sessions: revoke ID|all; tokens: create NAME, revoke ID; cert: make, use CERT KEY, "
        "show",
    )
    web.add_argument(
        "--hash",
        action="store_true",
        help="password: only show its hash, for page_password_hash in an image's luna.txt",
    )
    web.add_argument(
        "--scope",
        choices=("read", "talk", "admin"),
        default="read",
        help="tokens create: what may be done with it (default: read)",
    )
