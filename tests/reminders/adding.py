"""Adds reminders over the command line until it is killed; prints each receipt.

``python -m tests.reminders.adding``: each line is ``ID TEXT``. The data folder is in ``DATA_DIR``.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import uuid

from appliance.cli import main

CONSONANTS = str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst")


def add() -> None:
    # Consonants alone: among hexadecimal digits there is now and then a date, such as "7feb".
    name = uuid.uuid4().hex[:12].translate(CONSONANTS)
    printed = io.StringIO()
    words = ["reminders", "add", f"remind me to see {name} tomorrow at nine", "--json"]
    with contextlib.redirect_stdout(printed):
        code = main(words)
    assert code == 0
    [row] = json.loads(printed.getvalue())["rows"]
    os.write(1, f"{row['id']} {row['text']}\n".encode())


if __name__ == "__main__":
    while True:
        add()
