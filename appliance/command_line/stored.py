"""Commands that look after what is stored."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "what is stored"


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
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
        action="backup:run",
    )
    restore.add_argument("file", metavar="FILE", help="a file that `luna backup` made")
