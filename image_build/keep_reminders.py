"""Runs in the box of ``power_cuts.py``: keeps reminders, and prints what it acknowledged.

    python3 keep_reminders.py FIRST

It is the part of the service that keeps reminders, with the service's own store on the box's own
disk, and without models and sound. It prints ``HAVE`` with the numbers that are there, then
``SAVED N`` for each further one as soon as the answer to its request has come.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys

from appliance.diary import Diary
from appliance.events import Event, RemindersAnswered, RemindersRequested
from appliance.reminders.keeper import Voice
from appliance.settings import Settings


async def _never() -> None:
    """Wait until one may speak, which is never: there is nothing to speak with."""
    await asyncio.Event().wait()


async def _silent(_text: str, _language: str) -> bool:
    return False


async def keep(first: int) -> None:
    """Print what is there, and save reminders from *first* on, until the power fails."""
    answers: asyncio.Queue[RemindersAnswered] = asyncio.Queue()

    def publish(event: Event) -> None:
        if isinstance(event, RemindersAnswered):
            answers.put_nowait(event)

    diary = Diary(Settings(), Voice(_never, _silent), publish, health=list)
    await diary.start()
    diary.request(RemindersRequested(action="list", everything=True, request="list"))
    there = await answers.get()
    numbers = re.findall(r"item (\d+)\b", " ".join(str(row["text"]) for row in there.rows))
    print("HAVE", *numbers, flush=True)
    for number in itertools.count(first):
        words = f"remind me to check item {number} in 300 days"
        diary.request(RemindersRequested(action="add", text=words, language="en", request="add"))
        answer = await answers.get()
        print("SAVED" if answer.ok else f"REFUSED {answer.text}", number, flush=True)


if __name__ == "__main__":
    asyncio.run(keep(int(sys.argv[1])))
