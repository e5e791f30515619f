"""A parser in its own process: what it may not do, and what becomes of its failures."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance import sandbox, seccomp
from appliance.errors import StorageError, UsageError
from appliance.sandbox import Limits

HERE = "tests.test_sandbox"
MARK = Path("/tmp/luna-must-not-be")


def run(function: str, data: bytes = b"", limits: Limits | None = None, *arguments: str) -> bytes:
    """Run a function of this module."""
    return sandbox.run(f"{HERE}:{function}", data, arguments, limits)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this module importable there, by the way in which a box finds Luna herself."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


# --- what is run there ---------------------------------------------------------------------


def reverse(data: bytes, *words: str) -> bytes:
    return data[::-1] + "".join(words).encode()


def refuse(_: bytes) -> bytes:
    raise UsageError("is not\nwanted \x1b[31m" + "x" * 1000)


def fail(_: bytes) -> bytes:
    raise ValueError("secret text of the document")


def swell(_: bytes) -> bytes:
    return bytes(bytearray(2 << 30))


def pour(_: bytes) -> bytes:
    return b"x" * 2_000_000


def loop(_: bytes) -> bytes:
    while True:
        pass


def sleep(_: bytes) -> bytes:
    time.sleep(60)
    return b""


def crash(_: bytes) -> bytes:
    os.abort()


def thread(data: bytes) -> bytes:
    result: list[bytes] = []
    worker = threading.Thread(target=lambda: result.append(data))
    worker.start()
    worker.join()
    return result[0]


def attempt(_: bytes, act: str) -> bytes:
    """Carry out *act*; return how the kernel refused it."""
    try:
        ACTS[act]()
    except PermissionError:
        return b"refused"
    return b"done"


def _native_socket() -> None:
    """The same without Python's own module: no audit hook would see it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0) < 0:
        raise OSError(ctypes.get_errno(), "socket")


ACTS: dict[str, Callable[[], object]] = {
    "socket": lambda: socket.socket().close(),
    "unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "native socket": _native_socket,
    "write": lambda: MARK.write_text("x"),
    "append": lambda: os.open(MARK, os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    "remove": MARK.unlink,
    "make a folder": MARK.mkdir,
    "rename": lambda: os.rename("/etc/hostname", MARK),
    "program": lambda: subprocess.Popen(["true"]),
    "fork": os.fork,
    "signal": lambda: os.kill(os.getppid(), 0),
    "exec": lambda: os.execv("/bin/true", ["true"]),
}

# --- tests ----------------------------------------------------------------------------------


def test_data_and_words_go_in_and_bytes_come_out() -> None:
    assert run("reverse", b"abc", None, "d", "é") == "cbadé".encode()
    assert run("thread", b"threads are allowed") == b"threads are allowed"


@pytest.mark.parametrize("act", ACTS)
def test_it_has_no_means_to_do_harm(act: str) -> None:
    assert run("attempt", b"", None, act) == b"refused"
    assert not MARK.exists()


def test_a_refusal_is_one_printable_sentence() -> None:
    with pytest.raises(UsageError) as caught:
        run("refuse")
    said = str(caught.value)
    assert said.startswith("is not wanted  [31m")
    assert len(said) == sandbox.MAX_SENTENCE


def test_nothing_of_the_content_is_in_an_error() -> None:
    with pytest.raises(UsageError, match="is damaged") as caught:
        run("fail")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("function", ["swell", "pour", "crash"])
def test_too_much_of_anything_ends_it(function: str) -> None:
    limits = Limits(output_bytes=100_000)
    with pytest.raises(UsageError, match=r"too much|damaged"):
        run(function, b"", limits)


def test_endless_work_ends() -> None:
    with pytest.raises(UsageError, match="too much"):
        run("loop", b"", Limits(cpu_s=1))
    with pytest.raises(UsageError, match="within"):
        run("sleep", b"", Limits(wall_s=1.0))


def test_the_filter_of_each_machine_is_well_formed() -> None:
    for machine in ("x86_64", "aarch64"):
        for lines in (seccomp.parser_program(machine), seccomp.no_network_program(machine)):
            assert len(lines) % 8 == 0
            assert lines[-8] == seccomp.RETURN
    with pytest.raises(OSError, match="riscv64"):
        seccomp.parser_program("riscv64")


def test_a_process_that_does_not_start_is_no_damaged_file() -> None:
    with pytest.raises(StorageError, match="did not start"):
        sandbox.run("no_such_module:parse", b"whole")
