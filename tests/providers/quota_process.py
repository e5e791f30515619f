"""A process that uses a quota ledger until it is killed, and says what it knows to be stored.

``python -m tests.providers.quota_process FOLDER SEED``; each line on standard output is one of
``reserved ID TOKENS``, ``settling ID TOKENS``, ``settled ID``, ``releasing ID``, ``released ID``
and ``refused``.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.providers.base import Usage
from appliance.providers.quota import Limits, QuotaExceededError, QuotaLedger, on_flash

LIMIT = 40_000
AT_ONCE = 20
ZONE = ZoneInfo("America/Sao_Paulo")


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def requests(ledger: QuotaLedger, rng: random.Random) -> None:
    """One request after the other, until there is no budget left."""
    while True:
        tokens = rng.randrange(2, 400)
        try:
            reservation = await ledger.reserve(
                "groq", "chat", prompt_tokens=tokens // 2, max_tokens=tokens - tokens // 2
            )
        except QuotaExceededError:
            say("refused")
            return
        say("reserved", reservation.id, tokens)
        await asyncio.sleep(rng.random() * 0.003)
        if rng.random() < 0.2:
            say("releasing", reservation.id)
            await ledger.release(reservation)
            say("released", reservation.id)
            continue
        used = rng.randrange(tokens // 2, tokens + 1)
        usage = Usage(prompt_tokens=tokens // 2, completion_tokens=used - tokens // 2)
        say("settling", reservation.id, used)
        await ledger.settle(reservation, usage)
        say("settled", reservation.id)


async def main(folder: Path, seed: int) -> None:
    ledger = QuotaLedger(
        on_flash(folder),
        {"groq": Limits(tokens=LIMIT)},
        ZONE,
        on_event=lambda event: None,
    )
    await ledger.start()
    say("started")
    await asyncio.gather(*(requests(ledger, random.Random(seed + n)) for n in range(AT_ONCE)))
    await ledger.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
