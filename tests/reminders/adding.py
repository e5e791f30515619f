"""Adds reminders over the command line until it is killed, and sends each receipt.

A process that is forked has what the command imports, so that two hundred of them start quickly.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
import uuid
from multiprocessing.connection import Connection

import appliance.actions.reminders
import appliance.config
import appliance.reminders.answers
import appliance.reminders.book
import appliance.reminders.commands
import appliance.reminders.dialogue
import appliance.reminders.store
import appliance.storage.recovery  # noqa: F401
from appliance.cli import main

CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


def add() -> str:
    """Add one; return the receipt, ``ID TEXT``."""
    # Consonants alone: among hexadecimal digits there is now and then a date, such as "7feb".
    name = uuid.uuid4().hex[:12].translate(CONSONANTS)
    printed = io.StringIO()
    words = ["reminders", "add", f"remind me to see {name} tomorrow at nine", "--json"]
    with contextlib.redirect_stdout(printed):
        code = main(words)
    assert code == 0
    [row] = json.loads(printed.getvalue())["rows"]
    return f"{row['id']} {row['text']}"


def add_for_ever(receipts: Connection, environment: dict[str, str]) -> None:
    """Add reminders in this environment: the data folder is in ``DATA_DIR``."""
    os.environ.update(environment)
    time.tzset()
    while True:
        receipts.send_bytes(add().encode())
