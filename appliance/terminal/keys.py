"""The one table of what can be done in the terminal: footer, help, palette and menu come from it.

Many keys are taken on the way: tmux and screen keep their prefix, terminals keep their own
shortcuts, and most send the same byte for Ctrl+H and Backspace. So each has a second key and
most a written command; ``docs/terminal.md`` lists the conflicts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Deed:
    """Something a person can do."""

    name: str
    """The app's method ``action_<name>``; its texts are ``terminal.do_<name>`` (a word or two)
    and ``terminal.about_<name>`` (a sentence)."""
    keys: tuple[str, ...]
    """In Textual's names; the footer shows the first."""
    words: tuple[str, ...] = ()
    """Commands behind a slash, in both languages."""
    footer: bool = False
    palette: bool = True


DEEDS = (
    Deed("help_page", ("f1", "ctrl+g"), ("help", "ajuda"), footer=True),
    Deed("new_conversation", ("ctrl+t", "f5"), ("new", "nova"), footer=True),
    Deed("history", ("ctrl+h", "f2"), ("history", "historico", "histórico"), footer=True),
    Deed("persona", ("ctrl+e", "f3"), ("persona", "alma"), footer=True),
    Deed("reminders", ("ctrl+r", "f9"), ("reminders", "lembretes"), footer=True),
    Deed("code_mode", ("ctrl+o", "f6"), ("code", "codigo", "código"), footer=True),
    Deed("quit", ("ctrl+q", "f10"), ("quit", "sair"), footer=True),
    Deed("copy_code", ("ctrl+y", "alt+c")),
    Deed("copy_or_stop", ("ctrl+c", "ctrl+insert"), ("stop", "pare")),
    Deed("paste", ("ctrl+v", "shift+insert")),
    Deed("cut", ("ctrl+x", "shift+delete")),
    Deed("select_all", ("ctrl+a", "f7")),
    Deed("context_menu", ("shift+f10", "f12")),
    Deed("config", ("f8",), ("config",)),
    Deed("light", ("f11",), ("light", "claro")),
    Deed("health", ("f4", "ctrl+l"), ("health", "saude", "saúde"), footer=True),
    Deed("commands", ("ctrl+p", "alt+x"), palette=False),
)

TYPING = (
    ("send", ("enter",)),
    ("new_line", ("ctrl+j", "shift+enter", "alt+enter")),
    ("talk", ("space",)),
    ("back", ("escape",)),
    ("earlier", ("up", "down")),
    ("scroll", ("pageup", "pagedown")),
)
"""What the keys of the prompt do: for the help page."""

MENU = ("copy_or_stop", "paste", "select_all", "new_conversation", "history", "quit")
"""What the context menu offers."""
KEYS = {deed.name: deed.keys[0] for deed in DEEDS}
WORDS = {word: deed.name for deed in DEEDS for word in deed.words}


def spoken_key(key: str) -> str:
    """Return a key as it stands on a keyboard: ``Ctrl+H``, ``F1``, ``PgUp``."""
    names = {
        "up": "↑",
        "down": "↓",
        "escape": "Esc",
        "pageup": "PgUp",
        "pagedown": "PgDn",
        "insert": "Ins",
        "delete": "Del",
    }
    return "+".join(names.get(part, part.capitalize()) for part in key.split("+"))


def short_key(key: str) -> str:
    """Return a key in as few columns as can be: ``^H``, ``F1``."""
    return "^" + key[5:].upper() if key.startswith("ctrl+") else spoken_key(key)
