"""What the router costs: everything between a request and its answer that is not the model.

Luna's router (with the real client, ledger and outbound log) and LiteLLM's ask the same server
on loopback, in turns, in one run; a bare HTTP request measures what the server itself takes, and
is subtracted from both. Failover is measured at the servers: from the moment one has written
its error to the moment the other has the request.

LiteLLM keeps nothing on a disk. Luna does not send a metered request before its reservation is
synchronised, which takes what the disk takes. So she is measured twice: with her files in memory
(the figure with a target) and on the disk, with the time of one bare sync beside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from appliance.assistant.answers import Finished
from appliance.assistant.router import Router
from appliance.providers.assembly import assemble
from appliance.providers.base import ChatRequest
from appliance.providers.circuit_breaker import CircuitBreaker, Limits
from appliance.providers.offline import Network
from appliance.settings import (
    GeneralSettings,
    ProviderSettings,
    RoutingSettings,
    Settings,
)

LITELLM = "1.100.4"
"""The newest whose requirements could all be installed when this was written."""
ENVIRONMENT = Path("build/benchmarks/litellm")
ROUND = 20
"""Requests of one router before the other has its turn."""
MESSAGES = ({"role": "user", "content": "What time is it in the kitchen?"},)
PIECES = ("It", " is", " late", " in", " the", " kitchen", ".")


# --- the server, a process of its own -------------------------------------------------------


def serve() -> None:
    """Serve an answer at ``/good``, an error at ``/failing``, and the failover times."""
    error_at = [0.0]
    failovers: list[float] = []

    async def good(request: web.Request) -> web.StreamResponse:
        if error_at[0]:
            failovers.append((time.perf_counter() - error_at[0]) * 1000.0)
            error_at[0] = 0.0
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(_events())
        await response.write_eof()
        return response

    async def failing(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.json_response({"error": {"message": "broken"}}, status=500)
        await response.prepare(request)
        await response.write_eof()
        error_at[0] = time.perf_counter()
        return response

    async def times(_: web.Request) -> web.Response:
        found = list(failovers)
        failovers.clear()
        return web.json_response(found)

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/good/chat/completions", good)
        app.router.add_post("/failing/chat/completions", failing)
        app.router.add_get("/times", times)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


def _events() -> bytes:
    base = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "small"}
    usage = {"prompt_tokens": 12, "completion_tokens": len(PIECES), "total_tokens": 19}
    chunks: list[dict[str, Any]] = [
        {**base, "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]}
        for piece in PIECES
    ]
    chunks.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({**base, "choices": [], "usage": usage})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


@contextmanager
def _process(*command: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run *command*; give it and its first line of output."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline().strip()
        if not first:
            raise RuntimeError(f"{command[0]} did not start")
        yield process, first
    finally:
        process.kill()
        process.wait()


# --- who is measured ---------------------------------------------------------------------------


def _environment() -> str:
    """Return the Python of an environment with LiteLLM, made if it is not there."""
    python = ENVIRONMENT / "bin/python"
    installed = (
        subprocess.run([python, "-c", "import litellm"], capture_output=True, check=False)
        if python.exists()
        else None
    )
    if installed is None or installed.returncode:
        sys.stderr.write("router: installing LiteLLM ...\n")
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, f"litellm=={LITELLM}"], check=True)
    return str(python)


class _Bare:
    """One HTTP request and its answer, without any reading of it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def ask(self) -> float:
        began = time.perf_counter()
        body = {"model": "small", "messages": MESSAGES, "stream": True}
        async with self._session.post(f"{self._url}/chat/completions", json=body) as response:
            await response.read()
        return time.perf_counter() - began


class _Luna:
    """The router with everything that stands behind it in the service."""

    def __init__(self, folder: Path, *urls: str) -> None:
        tables = {
            f"provider-{number}": ProviderSettings(
                base_url=url, models={"chat": "small"}, daily_limit_tokens=1_000_000_000
            )
            for number, url in enumerate(urls)
        }
        settings = Settings(
            general=GeneralSettings(data_dir=str(folder)),
            routing=RoutingSettings(policy={"chat": "cloud"}),
            providers=tables,
        )
        keys = {f"PROVIDER_{number}_API_KEY": "key" for number in range(len(urls))}
        self.parts = assemble(settings, on_event=_ignore, environ=keys)
        self._router = Router(
            self.parts.clients,
            ledger=self.parts.ledger,
            # It must not learn: each of the failing requests shall fail.
            breaker=CircuitBreaker(Limits(failures=1_000_000)),
            network=Network(tables, proc=Path("/nowhere")),
            policy=self.parts.policy,
            publish=_ignore,
        )
        self._confirmed = asyncio.Event()
        self._confirmed.set()

    async def ask(self) -> float:
        request = ChatRequest(role="chat", messages=MESSAGES, max_tokens=40, temperature=0.0)
        began = time.perf_counter()
        took = 0.0
        async for answer in self._router.answer(request, confirmed=self._confirmed):
            if isinstance(answer, Finished):
                took = time.perf_counter() - began  # what follows is booked behind its back
        return took


def _ignore(_: object) -> None:
    """Events are for others."""


# --- the run -----------------------------------------------------------------------------------


def run(quick: bool) -> dict[str, float]:
    """Return overheads and failover times in milliseconds, and our share of LiteLLM's."""
    python = _environment()
    with _process(sys.executable, "-m", "tests.benchmarks.router") as (_, port):
        url = f"http://127.0.0.1:{port}"
        worker = str(Path(__file__).with_name("litellm_worker.py"))
        with _process(python, worker, f"{url}/good", f"{url}/failing") as (litellm, _):
            with (
                tempfile.TemporaryDirectory(prefix="luna-", dir="/dev/shm") as memory,
                tempfile.TemporaryDirectory(prefix="luna-", dir=ENVIRONMENT.parent) as disk,
            ):
                folders = Path(memory), Path(disk)
                return asyncio.run(_measure(url, litellm, *folders, 5 if quick else 25))


async def _measure(
    url: str, litellm: subprocess.Popen[str], memory: Path, disk: Path, rounds: int
) -> dict[str, float]:
    times: dict[str, list[float]] = {"bare": [], "ours": [], "ours_on_disk": [], "litellm": []}
    failovers: dict[str, list[float]] = {"ours": [], "litellm": []}
    luna = _Luna(memory / "good", f"{url}/good")
    on_disk = _Luna(disk / "good", f"{url}/good")
    failing = _Luna(disk / "failing", f"{url}/failing", f"{url}/good")
    async with aiohttp.ClientSession() as session:
        bare = _Bare(f"{url}/good", session)
        for number in range(rounds + 1):
            found = {
                "bare": [await bare.ask() for _ in range(ROUND)],
                "ours": [await luna.ask() for _ in range(ROUND)],
                "ours_on_disk": [await on_disk.ask() for _ in range(ROUND)],
                "litellm": await _theirs(litellm, "good"),
            }
            _ = [await failing.ask() for _ in range(ROUND)]
            ours = await _failovers(session, url)
            await _theirs(litellm, "failing")
            theirs = await _failovers(session, url)
            if number:  # the first round warms up
                for name, seconds in found.items():
                    times[name] += seconds
                failovers["ours"] += ours
                failovers["litellm"] += theirs
    for router in (luna, on_disk, failing):
        await router.parts.close()
    server = statistics.median(times["bare"])
    result = {"bare_ms": server * 1000.0, "disk_sync_ms": _sync_ms(disk / "sync")}
    for name in ("ours", "ours_on_disk", "litellm"):
        result[f"{name}_overhead_ms"] = (statistics.median(times[name]) - server) * 1000.0
        result[f"{name}_overhead_p95_ms"] = (_p95(times[name]) - server) * 1000.0
    for name, found_ms in failovers.items():
        result[f"{name}_failover_ms"] = statistics.median(found_ms)
        result[f"{name}_failover_max_ms"] = max(found_ms)
    result["overhead_ratio"] = result["ours_overhead_ms"] / result["litellm_overhead_ms"]
    result["requests"] = len(times["ours"])
    return result


async def _theirs(litellm: subprocess.Popen[str], which: str) -> list[float]:
    def ask() -> list[float]:
        assert litellm.stdin is not None
        assert litellm.stdout is not None
        litellm.stdin.write(f"{ROUND} {which}\n")
        litellm.stdin.flush()
        found: list[float] = json.loads(litellm.stdout.readline())
        return found

    return await asyncio.to_thread(ask)


async def _failovers(session: aiohttp.ClientSession, url: str) -> list[float]:
    async with session.get(f"{url}/times") as response:
        found: list[float] = await response.json()
        return found


def _sync_ms(file: Path) -> float:
    """Return the median time of appending a few bytes and synchronising them."""
    times = []
    with file.open("ab", buffering=0) as stream:
        for _ in range(50):
            began = time.perf_counter()
            stream.write(b"x" * 300)
            os.fdatasync(stream.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000.0


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    serve()
