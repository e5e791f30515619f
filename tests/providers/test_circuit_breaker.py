"""The breaker and the offline flag, with time held still; both are pure bookkeeping."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import ProviderError
from appliance.providers.circuit_breaker import LONGEST_WAIT_S, CircuitBreaker, Limits
from appliance.providers.offline import Network


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(Limits(first_s=60.0, longest_s=600.0), clock)


def failure(kind: str = "server", retry_after_s: float | None = None) -> ProviderError:
    return ProviderError("groq: it failed", kind=kind, retry_after_s=retry_after_s)


def test_three_failures_in_a_quarter_of_an_hour_are_enough(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    for kind in ("server", "timeout"):
        breaker.failed("groq", failure(kind))
        assert breaker.admit("groq")
        clock.now += 400.0
    breaker.failed("groq", failure("malformed"))
    assert not breaker.admit("groq")
    assert breaker.health("groq").status == "degraded"
    assert breaker.cooldown_s("groq") == 60.0
    assert breaker.admit("openai")


def test_failures_that_lie_far_apart_are_not(breaker: CircuitBreaker, clock: Clock) -> None:
    for _ in range(10):
        breaker.failed("groq", failure())
        clock.now += 500.0
    assert breaker.admit("groq")


def test_a_success_forgives(breaker: CircuitBreaker) -> None:
    breaker.failed("groq", failure())
    breaker.failed("groq", failure())
    breaker.succeeded("groq")
    breaker.failed("groq", failure())
    assert breaker.admit("groq")


def test_one_429_is_enough_and_says_how_long(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed("groq", failure("rate_limited", retry_after_s=47.0))
    assert breaker.cooldown_s("groq") == 47.0
    clock.now += 46.9
    assert not breaker.admit("groq")
    clock.now += 0.2
    assert breaker.admit("groq")


def test_a_503_may_say_how_long_as_well(breaker: CircuitBreaker) -> None:
    breaker.failed("groq", failure("server", retry_after_s=20.0))
    assert breaker.cooldown_s("groq") == 20.0


def test_an_empty_account_is_left_alone_for_long(breaker: CircuitBreaker) -> None:
    breaker.failed("groq", failure("quota"))
    assert breaker.cooldown_s("groq") == 600.0


@pytest.mark.parametrize("seconds", [1e12, float("inf")])
def test_an_absurd_retry_after_is_a_day(breaker: CircuitBreaker, seconds: float) -> None:
    breaker.failed("groq", failure("rate_limited", retry_after_s=seconds))
    assert breaker.cooldown_s("groq") == LONGEST_WAIT_S


def test_a_shorter_retry_after_does_not_end_a_longer_one(breaker: CircuitBreaker) -> None:
    breaker.failed("groq", failure("rate_limited", retry_after_s=500.0))
    breaker.failed("groq", failure("rate_limited", retry_after_s=1.0))
    assert breaker.cooldown_s("groq") == 500.0


def test_the_time_grows_with_each_relapse_up_to_its_limit(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    waits = []
    breaker.failed("groq", failure("rate_limited"))
    for _ in range(6):
        waits.append(breaker.cooldown_s("groq"))
        clock.now += waits[-1]
        assert breaker.admit("groq")
        breaker.failed("groq", failure("server"))  # one is enough for a probe
    assert waits == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    clock.now += 600.0
    breaker.succeeded("groq")
    breaker.failed("groq", failure("rate_limited"))
    assert breaker.cooldown_s("groq") == 60.0


def test_one_request_alone_is_the_probe(breaker: CircuitBreaker, clock: Clock) -> None:
    breaker.failed("groq", failure("rate_limited"))
    clock.now += 60.0
    assert [breaker.admit("groq") for _ in range(3)] == [True, False, False]
    breaker.undecided("groq")  # it was cancelled: the next one may try
    assert breaker.admit("groq")
    breaker.succeeded("groq")
    assert [breaker.admit("groq") for _ in range(3)] == [True, True, True]


@pytest.mark.parametrize("kind", ["misconfigured", "rejected"])
def test_a_wrong_key_is_not_tried_again_soon(
    breaker: CircuitBreaker, clock: Clock, kind: str
) -> None:
    breaker.failed("groq", failure(kind))
    assert breaker.health("groq").status == "misconfigured"
    assert breaker.health("groq").last_error == "groq: it failed"
    clock.now += 599.0
    assert not breaker.admit("groq")
    clock.now += 1.0
    assert breaker.admit("groq")


@pytest.mark.parametrize("kind", ["unsupported", "offline", "lost"])
def test_what_is_not_the_providers_fault_does_not_count(breaker: CircuitBreaker, kind: str) -> None:
    for _ in range(5):
        breaker.failed("groq", failure(kind))
    assert breaker.admit("groq")


# --- the offline flag --------------------------------------------------------------------

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
LAN = "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
DEFAULT = "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
ANY = "0" * 32
REJECT6 = f"{ANY} 00 {ANY} 00 {ANY} ffffffff 00000001 00000000 00200200       lo\n"
DEFAULT6 = f"{ANY} 00 {ANY} 00 fe8{'0' * 28}1 00000400 00000003 00000000 00000003     wlan0\n"


class Kernel:
    """The files in which the kernel says what is connected."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.sys = folder / "proc", folder / "sys"
        self.proc.mkdir()
        (self.sys / "eth0").mkdir(parents=True)
        self.carrier("1")

    def routes(self, ipv4: str = "", ipv6: str = REJECT6) -> None:
        (self.proc / "route").write_text(HEAD + ipv4)
        (self.proc / "ipv6_route").write_text(ipv6)

    def carrier(self, value: str) -> None:
        (self.sys / "eth0" / "carrier").write_text(f"{value}\n")


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    kernel = Kernel(tmp_path)
    kernel.routes(LAN + DEFAULT)
    return kernel


@pytest.fixture
def network(kernel: Kernel, clock: Clock) -> Network:
    return Network({"groq", "openai"}, clock=clock, proc=kernel.proc, sys=kernel.sys)


def test_without_a_default_route_there_is_no_network(network: Network, kernel: Kernel) -> None:
    assert not network.offline()
    kernel.routes(LAN)
    assert network.offline()
    kernel.routes("", DEFAULT6)
    assert not network.offline()


def test_a_pulled_cable_is_noticed_though_the_route_stays(network: Network, kernel: Kernel) -> None:
    kernel.carrier("0")
    assert network.offline()
    kernel.carrier("1")
    assert not network.offline()


@pytest.mark.parametrize(
    "line", ["", "eth0", "eth0\t00000000\t0\tzz\t0\t0\t0\t00000000\t0\t0\t0", "\x00\n" * 3]
)
def test_a_strange_list_of_routes_does_no_harm(network: Network, kernel: Kernel, line: str) -> None:
    kernel.routes(line, line)
    assert network.offline()


def test_where_the_kernel_keeps_no_list_only_trying_tells(tmp_path: Path) -> None:
    assert not Network({"groq"}, proc=tmp_path / "none").offline()


def test_the_real_kernel_is_understood() -> None:
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()]
    if any(fields[1:2] == ["00000000"] for fields in routes):
        assert not Network({"groq"}).offline()


def test_a_dead_line_costs_one_attempt_each_growing_pause(network: Network, clock: Clock) -> None:
    network.unreachable("groq")
    assert not network.offline()  # perhaps only this one is down
    network.unreachable("openai")
    assert network.offline()
    for pause in (30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
        clock.now += pause - 0.1
        assert network.offline()
        clock.now += 0.1
        assert not network.offline()  # the next request is the probe
        network.unreachable("groq")
        assert network.offline()
    network.succeeded()
    assert not network.offline()
    network.unreachable("groq")
    assert not network.offline()


def test_a_route_that_comes_back_ends_the_pause(network: Network, kernel: Kernel) -> None:
    for name in ("groq", "openai"):
        network.unreachable(name)
    kernel.routes(LAN)
    assert network.offline()
    kernel.routes(LAN + DEFAULT)
    assert not network.offline()
