"""The ``llm`` process: how it is built and started; its work is in :mod:`appliance.llm.worker`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from appliance.clock import milliseconds_since, monotonic
from appliance.events import Ready
from appliance.ipc import WorkerChannel
from appliance.llm.engine import always
from appliance.llm.pool import EnginePool
from appliance.llm.roles import RoleModel
from appliance.llm.worker import LlmWorker
from appliance.settings import LlmSettings
from appliance.worker import WorkerContext, serve

SPIN_COUNT = "300"
"""How often a thread of llama.cpp looks for its next piece of work before it sleeps.

By default it looks for milliseconds. That is best on an idle machine, and ruins everything on a
busy one, which is what speaking while thinking makes of two cores: a thread that spins keeps the
one it waits for off its core. A 0.5B model on two x86 cores, tokens/s idle and beside one busy
process (medians): default 48 and 3; 3000: 46 and 7; 1000: 47 and 13; 300: 46 and 22; 100: 34;
0, which is to sleep at once: 28 and 13.
"""


def load(
    roles: dict[str, RoleModel], models_dir: Path, state_dir: Path, settings: LlmSettings
) -> EnginePool:
    """Return the models of *roles*, of which none is in memory yet.

    *state_dir* takes evaluated prompt prefixes (a cache: it may be deleted at any time).
    """
    # Read once, by the OpenMP library that llama.cpp brings in.
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    from appliance.llm.source import CatalogueModels  # llama.cpp is heavy
    from appliance.models.catalogue import machine_memory_mb

    threads = settings.threads or min(os.cpu_count() or 1, 4)
    source = CatalogueModels(roles, models_dir, state_dir, threads)
    return EnginePool(source, machine_memory_mb() * 10_000 * settings.memory_budget)


def main(
    context: WorkerContext, build: Callable[[], EnginePool], history_tokens: int = 1000
) -> None:
    """Run the worker; *build* makes the pool of models in the new process.

    The chat model is loaded before the worker is ready, the others when they are asked for.
    *history_tokens* limits how much of a conversation goes into a prompt besides its system
    prompt.
    """

    def start(channel: WorkerChannel) -> LlmWorker:
        began = monotonic()
        pool = build()
        chat = pool.engine("chat", always, channel.send)
        worker = LlmWorker(channel, pool, history_tokens)
        channel.send(
            Ready(worker=context.name, detail=chat.name, load_ms=milliseconds_since(began))
        )
        return worker

    serve(context, start)
