"""Workers without network: what the kernel refuses them, and that they work all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.engines import fake, real
from appliance.settings import ProviderSettings, RoutingSettings, Settings
from tests.service import LUNA, Service, service
from tests.speech import say_to

PROBE = """
import errno, os, socket, subprocess, sys, threading, ctypes
from appliance import seccomp

def refusal(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"

go, done, early = threading.Event(), threading.Event(), []
def older():
    go.wait()
    early.append(refusal(lambda: socket.socket(socket.AF_INET).close()))
    done.set()
threading.Thread(target=older).start()
seccomp.deny_network()
go.set()
done.wait()

libc = ctypes.CDLL(None, use_errno=True)
def raw(number, *arguments):
    if libc.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

print("older thread", early[0])
for name in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK"):
    family = getattr(socket, name)
    print(name, refusal(lambda: socket.socket(family, socket.SOCK_RAW if name == "AF_PACKET" else socket.SOCK_DGRAM).close()))
print("pair", refusal(lambda: socket.socketpair(socket.AF_INET)))
print("io_uring", refusal(lambda: raw(425, 1, None)))
print("pidfd_getfd", refusal(lambda: raw(438, 0, 0, 0)))
print("unix", refusal(lambda: [end.close() for end in socket.socketpair()]))
print("lookup", refusal(lambda: socket.create_connection(("127.0.0.1", 9), 1)))
child = "import socket\\ntry: socket.socket()\\nexcept OSError: print('refused')"
print("child", subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.strip())
sys.stdout.flush()
os._exit(0)
"""


def test_a_process_without_network_has_unix_sockets_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=60
    )
    found = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    assert found == {
        "older thread": "EAFNOSUPPORT",
        "AF_INET": "EAFNOSUPPORT",
        "AF_INET6": "EAFNOSUPPORT",
        "AF_NETLINK": "EAFNOSUPPORT",
        "AF_PACKET": "EAFNOSUPPORT",
        "AF_VSOCK": "EAFNOSUPPORT",
        "pair": "EAFNOSUPPORT",
        "io_uring": "EPERM",
        "pidfd_getfd": "EPERM",
        "unix": "done",
        "lookup": "EAFNOSUPPORT",
        "child": "refused",
    }


def test_only_workers_that_ask_providers_are_online() -> None:
    assert real(Settings()).online == frozenset()
    assert fake(Settings()).online == frozenset()
    asked = Settings(
        routing=RoutingSettings(provider={"stt": "groq"}),
        providers={"groq": ProviderSettings()},
    )
    assert real(asked).online == frozenset({"stt"})


@pytest.fixture(scope="module")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("offline")
    with service(folder, "--fake", env=dict(os.environ)) as running:
        running.until_ready()
        yield running


def _seccomp_modes(pid: int) -> set[str]:
    """Return what /proc says of each thread: 0 is no filter, 2 a filter."""
    return {
        line.split()[1]
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("Seccomp:")
    }


@pytest.mark.parametrize("worker", ["stt", "tts", "llm"])
def test_every_thread_of_these_workers_is_under_the_filter(luna: Service, worker: str) -> None:
    (before,) = _seccomp_modes(os.getpid())
    assert _seccomp_modes(luna.pid(worker)) == {"2"}
    if before == "0":
        assert _seccomp_modes(luna.process.pid) == {"0"}  # the router needs the network


def test_a_worker_that_came_back_is_under_it_too(luna: Service) -> None:
    old = luna.pid("llm")
    os.kill(old, 9)
    luna.until_type("worker_changed", worker="llm", status="ready")
    assert luna.pid("llm") != old
    assert _seccomp_modes(luna.pid("llm")) == {"2"}


@pytest.mark.slow
@pytest.mark.models
def test_real_models_load_hear_think_and_speak_without_network(short_path: Path) -> None:
    """A whole turn between two sound files; the workers are the same as in the service."""
    say_to(short_path / "q.wav", "What is the capital of France?")
    command = [*LUNA, "turn", "--in", str(short_path / "q.wav"), "--out", str(short_path / "a.wav")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert "france" in done.stdout.lower()
    assert "paris" in done.stdout.lower()
    assert "could reach the network" not in done.stdout + done.stderr
    assert (short_path / "a.wav").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.models
def test_the_real_workers_of_the_service_are_under_it(short_path: Path) -> None:
    with service(short_path, env=dict(os.environ)) as running:
        running.until_ready("stt", "tts", "llm")
        for worker in ("stt", "tts", "llm"):
            assert _seccomp_modes(running.pid(worker)) == {"2"}
        asked = [*LUNA, "ask", "What is the capital of France?"]
        said = subprocess.run(
            asked, env=running.env, capture_output=True, text=True, timeout=120, check=True
        )
        assert "paris" in said.stdout.lower()
        assert "could reach the network" not in running.log()
