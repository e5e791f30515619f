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


def add() -> None:
    name = uuid.uuid4().hex[:12]
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
