"""`luna history`: look at the conversations that were kept, search and delete them."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from appliance import paths
from appliance.errors import UsageError
from appliance.settings import Settings

if TYPE_CHECKING:
    from appliance.assistant.conversations import Conversations

TITLE_CHARACTERS = 60


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna history ACTION [WORD...]`; return the exit code.

    Raises:
        UsageError: there is no such conversation, or a deletion was not confirmed.
        StorageError: the history cannot be used.
    """
    from appliance.assistant.conversations import Conversations

    conversations = Conversations(paths.data_dir(settings.general.data_dir))
    try:
        return _ACTIONS[arguments.action](conversations, arguments)
    finally:
        conversations.close()


def _list(conversations: Conversations, arguments: argparse.Namespace) -> int:
    found = conversations.newest()
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False))
    elif not found:
        print("No conversation was kept yet.")
    else:
        print(f"{'NUMBER':>6} {'LAST USED':16} {'MESSAGES':>8}  BEGINS WITH")
        for one in found:
            title = _harmless(" ".join(one.title.split()))[:TITLE_CHARACTERS]
            print(f"{one.id:6} {_time(one.updated)} {one.messages:8}  {title}")
    return 0


def _search(conversations: Conversations, arguments: argparse.Namespace) -> int:
    if not arguments.words:
        raise UsageError("name the words to look for: luna history search WORDS")
    found = conversations.search(" ".join(arguments.words))
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False))
    else:
        for one in found:
            snippet = _harmless(" ".join(one.snippet.split()))
            print(f"{one.conversation_id:6} {_time(one.at)} {one.role:9} {snippet}")
    return 0


def _show(conversations: Conversations, arguments: argparse.Namespace) -> int:
    numbers = _numbers(arguments) or [conversations.current()]
    for number in numbers:
        messages = conversations.show(number)
        if not messages and arguments.words:
            raise UsageError(f"there is no conversation {number}; see `luna history list`")
        if arguments.json:
            print(json.dumps([asdict(message) for message in messages], ensure_ascii=False))
            continue
        for message in messages:
            print(f"{_time(message.at)} {message.role}: {_harmless(message.content)}")
    return 0


def _new(conversations: Conversations, arguments: argparse.Namespace) -> int:
    number = conversations.begin()
    print(json.dumps({"conversation": number}) if arguments.json else f"Conversation {number}.")
    return 0


def _purge(conversations: Conversations, arguments: argparse.Namespace) -> int:
    numbers = _numbers(arguments)
    if not arguments.yes:
        what = f"conversation {', '.join(map(str, numbers))}" if numbers else "all conversations"
        raise UsageError(f"this deletes {what} for good; say so with --yes")
    removed = conversations.purge(numbers or None)
    print(json.dumps({"messages": removed}) if arguments.json else f"{removed} messages deleted.")
    return 0


def _numbers(arguments: argparse.Namespace) -> list[int]:
    try:
        return [int(word) for word in arguments.words]
    except ValueError as error:
        raise UsageError("name conversations by their numbers in `luna history list`") from error


def _harmless(text: str) -> str:
    """Return *text* without what could steer the terminal."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


_ACTIONS = {"list": _list, "search": _search, "show": _show, "new": _new, "purge": _purge}
