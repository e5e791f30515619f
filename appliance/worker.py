"""What every worker process has in common: start, message loop, pings, end.

A worker's ``process.py`` has a class with the four methods of :class:`Worker` and a function
``main(context, ...)`` that calls :func:`serve`. The message loop runs in the main thread and
must stay quick, so that a ping is answered at once; long work goes to threads of the worker's
own. A worker that hangs in its work reports it through :meth:`Worker.busy_s`.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from appliance.commands import Command, Ping, Shutdown
from appliance.errors import LunaError
from appliance.events import Logged, Pong
from appliance.ipc import WorkerChannel

_PR_SET_PDEATHSIG = 1


@dataclass
class WorkerContext:
    """What the supervisor hands to a worker process (picklable under ``spawn``)."""

    name: str
    socket: socket.socket
    output: Connection | None = None
    """Takes the place of standard output and error: what libraries print ends up in the log."""
    oom_score_adj: int = 0
    """Who is killed first when memory runs out: the higher, the sooner (-1000 to 1000)."""
    network: bool = True
    """Whether the worker may open sockets other than Unix ones."""


class Worker(Protocol):
    """The part of a worker that differs from the others."""

    def handle(self, command: Command) -> None:
        """Take a command; must return within milliseconds."""

    def busy_s(self) -> float:
        """Seconds the present job has run without progress; 0 when there is none."""

    def stats(self) -> dict[str, float]:
        """Counters for ``/health``."""

    def close(self) -> None:
        """Stop threads, release devices and files."""


def serve(context: WorkerContext, build: Callable[[WorkerChannel], Worker]) -> None:
    """Run a worker until it is told to stop or the main process is gone.

    *build* makes the worker and may take long; it sends ``Ready`` itself when it can work.
    """
    problem = _settle_in(context)
    channel = WorkerChannel(context.socket)
    try:
        if problem:
            channel.send(Logged(level="warning", text=problem, worker=context.name))
        worker = build(channel)
    except EOFError:
        return  # the main process went while the worker was loading
    except LunaError as error:
        with contextlib.suppress(EOFError):
            channel.send(Logged(level="error", text=str(error), worker=context.name))
        sys.exit(error.exit_code)
    try:
        while True:
            command = channel.receive()
            if isinstance(command, Ping):
                channel.send(Pong(n=command.n, busy_s=worker.busy_s(), stats=worker.stats()))
            elif isinstance(command, Shutdown):
                break
            elif isinstance(command, Command):
                worker.handle(command)
    except EOFError:
        pass  # the main process is gone: so is the reason to live
    finally:
        worker.close()
        channel.close()


def _settle_in(context: WorkerContext) -> str:
    """Tie the process to its parent and leave signals of the terminal to the main process.

    Returns what the owner should know, empty if nothing.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if context.output is not None:
        os.dup2(context.output.fileno(), 1)
        os.dup2(context.output.fileno(), 2)
        context.output.close()
    faulthandler.enable()
    with contextlib.suppress(OSError):
        # Not permitted below the present value without privileges; then the order stays as it is.
        Path("/proc/self/oom_score_adj").write_text(str(context.oom_score_adj), encoding="ascii")
    return "" if context.network else _without_network()


def _without_network() -> str:
    """Shut the network out; return what is wrong if that cannot be done.

    A box whose kernel is too simple for that still has to listen and to answer.
    """
    from appliance import seccomp

    try:
        seccomp.deny_network()
    except OSError as error:
        return f"this worker could reach the network, which it never uses: {error.strerror}"
    return ""
