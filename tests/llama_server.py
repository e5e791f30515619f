"""llama-cpp-python's own server as a real OpenAI-compatible provider on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODEL = "smollm2-135m-instruct-q4_1/SmolLM2-135M-Instruct.Q4_1.gguf"
START_S = 120.0


@dataclass(frozen=True)
class LlamaServer:
    """A running server."""

    base_url: str
    model: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def llama_server(model_file: Path, *, threads: int = 1) -> Iterator[LlamaServer]:
    """Run the server with *model_file* on a free port of loopback until the block ends.

    One thread: several would wait for each other while other tests use the cores.
    """
    port = _free_port()
    command = [
        *(sys.executable, "-m", "llama_cpp.server"),
        *("--model", str(model_file), "--model_alias", "small"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--n_ctx", "2048", "--verbose", "False"),
        *("--n_threads", str(threads), "--n_threads_batch", str(threads)),
        # Otherwise a request ends the answer that is being written to another.
        *("--interrupt_requests", "False"),
    ]
    # Nothing of the test's own configuration may reach it (pydantic-settings reads variables).
    environ = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    process = subprocess.Popen(
        command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        base_url = f"http://127.0.0.1:{port}/v1"
        _wait_for(f"{base_url}/models", process)
        yield LlamaServer(base_url, "small", process)
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"the server did not answer within {START_S:g} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
