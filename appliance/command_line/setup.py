"""Commands around configuration, models and the command line itself."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "configuration and models"


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
    config = add(
        "config",
        "look at the configuration, and change it",
        "luna config set audio.volume 60",
        settings=False,
    )
    config.add_argument(
        "action",
        choices=("check", "show", "get", "set", "unset", "edit"),
        help="`check` reports every mistake, `show` prints it all, `get`, `set` and `unset` one "
        "key, `edit` opens an editor",
    )
    config.add_argument("key", nargs="?", default="", metavar="KEY", help="such as audio.volume")
    config.add_argument("value", nargs="?", metavar="VALUE", help="for `set`, as in luna.toml")

    models = add("models", "look after the model files", "luna models pull whisper-base")
    models.add_argument(
        "action",
        choices=("list", "pull", "verify", "missing", "remove", "use", "bench", "recommend"),
        help="`pull` installs, `missing` names what is used and not installed (exit code 1: "
        "nothing), `use` takes a ROLE and a NAME, `bench` measures, `recommend` says what suits "
        "this machine",
    )
    models.add_argument("words", nargs="*", metavar="NAME", help="models; none means the defaults")
    models.add_argument(
        "--from", dest="source", metavar="PATH", help="pull: from a folder, archive or file"
    )
    models.add_argument(
        "--sha256",
        action="append",
        default=[],
        metavar="[FILE=]HASH",
        help="pull: the hash of a file that nobody has verified",
    )
    models.add_argument(
        "--missing", action="store_true", help="pull: what is used and not installed"
    )
    models.add_argument("--yes", action="store_true", help="pull: trust what the hub publishes")
    models.add_argument("--force", action="store_true", help="remove: also what is in use")
    models.add_argument("--apply", action="store_true", help="recommend: configure it")

    completion = add(
        "completion",
        "print what lets a shell complete the words of `luna`",
        "luna completion bash > ~/.local/share/bash-completion/completions/luna",
        json=False,
        settings=False,
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))

    man = add(
        "man",
        "write the manual pages",
        "luna man --to ~/.local/share/man/man1",
        json=False,
        settings=False,
    )
    man.add_argument("--to", metavar="FOLDER", help="where; else luna.1 is printed")
