"""Whether there is a network at all: one flag for every cloud provider.

An offline box must not pay a connection timeout in each turn. Two signs set the flag, and
neither costs a packet: the kernel has no default route over a link with a carrier (the cable is
out, the Wi-Fi gone), or every cloud provider was unreachable since the last success (the cable
is in, but the line behind it is dead). The first success clears it, and so does a route that
comes back. Behind a dead line the next real request after a growing pause is the probe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from appliance.clock import monotonic

PROC = Path("/proc/net")
SYS = Path("/sys/class/net")
_IPV6_ANY = "0" * 32
_RTF_UP = 0x1  # include/uapi/linux/route.h
_RTF_REJECT = 0x200


class Network:
    """The flag.

    Args:
        providers: the names of all cloud providers in use.
        first_s: pause before the first probe of a dead line, in seconds; it doubles.
        longest_s: its limit.
        clock: seconds, monotonic.
        proc: where the kernel lists its routes.
        sys: where it lists its links.
    """

    def __init__(
        self,
        providers: Collection[str],
        *,
        first_s: float = 30.0,
        longest_s: float = 600.0,
        clock: Callable[[], float] = monotonic,
        proc: Path = PROC,
        sys: Path = SYS,
    ) -> None:
        self._providers = frozenset(providers)
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._proc = proc
        self._sys = sys
        self._unreachable: set[str] = set()
        self._pause_s = first_s
        self._probe_at = 0.0
        self._had_route = True

    def offline(self) -> bool:
        """Return whether a cloud provider need not be tried now."""
        route = self._has_route()
        if route and not self._had_route:
            self._online()
        self._had_route = route
        return not route or (self._line_is_dead() and self._clock() < self._probe_at)

    def succeeded(self) -> None:
        """Note that a cloud provider answered."""
        self._online()

    def unreachable(self, name: str) -> None:
        """Note that no connection to *name* could be made."""
        again = self._line_is_dead()
        self._unreachable.add(name)
        if not self._line_is_dead():
            return
        self._pause_s = min(self._pause_s * 2, self._longest_s) if again else self._first_s
        self._probe_at = self._clock() + self._pause_s

    def _online(self) -> None:
        self._unreachable.clear()
        self._pause_s = self._first_s

    def _line_is_dead(self) -> bool:
        return self._unreachable >= self._providers and bool(self._providers)

    def _has_route(self) -> bool:
        """Return whether a default route leads over a link that is up."""
        if not self._proc.is_dir():
            return True  # a system that keeps no such list: only trying tells
        links = [*_ipv4_links(self._proc / "route"), *_ipv6_links(self._proc / "ipv6_route")]
        return any(self._carrier(link) for link in links)

    def _carrier(self, link: str) -> bool:
        """Return whether the cable is in; a link that does not say counts as connected."""
        try:
            return (self._sys / link / "carrier").read_text().strip() != "0"
        except OSError:
            # The kernel refuses the question (EINVAL) of a link that was switched off, but
            # such a link has no routes; a tunnel may have no such file at all.
            return True


def _ipv4_links(file: Path) -> list[str]:
    """Return the links of the default routes: lines of name, destination, gateway, flags, ..."""
    return [
        fields[0]
        for fields in _lines(file)
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and _usable(fields[3])  # noqa: PLR2004
    ]


def _ipv6_links(file: Path) -> list[str]:
    """Return the same for IPv6: destination, prefix length, ..., flags, link."""
    found = []
    for fields in _lines(file):
        default = len(fields) > 9 and fields[0] == _IPV6_ANY and fields[1] == "00"  # noqa: PLR2004
        if default and fields[-1] != "lo" and _usable(fields[8]):
            found.append(fields[-1])
    return found


def _lines(file: Path) -> list[list[str]]:
    try:
        return [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return []


def _usable(flags: str) -> bool:
    try:
        value = int(flags, 16)
    except ValueError:
        return False
    return bool(value & _RTF_UP) and not value & _RTF_REJECT
