"""From a bouncing contact to what a finger meant. Pure: all times come in from outside.

    t = 0            press     the contact closed (told after the bounce window)
    let go
      before short_s short     and then single, or double if it is pressed again within double_s
      before mute_s  release
      before free_s  mute
      later          abandon   the way out of shutting down
    t = shutdown_s   shutdown  still held

Nothing is decided by a time before it has come to an end, except shutting down. A press during
which somebody speaks is push-to-talk: it grows into nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class GestureTimes:
    """Seconds; see the table of this module."""

    bounce_s: float = 0.025
    """Contacts that bounce for longer than this are worn out. Also how late a press is told."""
    short_s: float = 0.6
    double_s: float = 0.35
    """From letting go to the second press."""
    mute_s: float = 3.0
    shutdown_s: float = 10.0

    @property
    def cue_s(self) -> float:
        """From here on the LEDs show what holding on will do."""
        return self.mute_s / 3

    @property
    def free_s(self) -> float:
        """From here on, letting go means nothing."""
        return (self.mute_s + self.shutdown_s) / 2


class Gesture(Enum):
    """What a finger meant."""

    PRESS = "press"
    SHORT = "short"
    """Let go; SINGLE or DOUBLE follows."""
    SINGLE = "single"
    DOUBLE = "double"
    RELEASE = "release"
    MUTE = "mute"
    ABANDON = "abandon"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True)
class Seen:
    """A gesture and when it happened: at the edge, not when it became certain."""

    gesture: Gesture
    at: float


@dataclass(frozen=True)
class Cue:
    """What letting go (mute) or holding on (shutdown) will do."""

    what: str
    """``mute`` or ``shutdown``."""
    progress: float
    """0 to 1: how near it is."""


class Debouncer:
    """Turns a bouncing level into single changes.

    The first edge opens a window; the level at its end counts, with the time of that edge. Short
    disturbances of a quiet line leave no trace.
    """

    def __init__(self, window_s: float) -> None:
        self.closed = False
        self._window_s = window_s
        self._level = False
        self._since: float | None = None

    def feed(self, at: float, level: bool) -> list[tuple[float, bool]]:
        """Take an edge; return the changes (time, closed) that are certain now."""
        changes = self.advance(at)
        self._level = level
        if self._since is None and level != self.closed:
            self._since = at
        return changes

    def advance(self, now: float) -> list[tuple[float, bool]]:
        """Return the changes that the mere passing of time has made certain."""
        since = self._since
        if since is None or now < since + self._window_s:
            return []
        self._since = None
        if self._level == self.closed:
            return []
        self.closed = self._level
        return [(since, self.closed)]

    def deadline(self) -> float | None:
        """Return when :meth:`advance` has something to do; None: never."""
        return None if self._since is None else self._since + self._window_s


class TalkButton:
    """The gestures of the one button that does everything."""

    def __init__(self, times: GestureTimes = GestureTimes()) -> None:
        self._times = times
        self._debouncer = Debouncer(times.bounce_s)
        self._pressed: float | None = None
        """When the press began that may still become something."""
        self._let_go: float | None = None
        """When a short press ended that may still become a double one."""
        self._spoken = False

    def feed(self, at: float, closed: bool) -> list[Seen]:
        """Take an edge of the contact; return what became certain up to *at*."""
        return self._after(at, self._debouncer.feed(at, closed))

    def advance(self, now: float) -> list[Seen]:
        """Return what the mere passing of time has made certain."""
        return self._after(now, self._debouncer.advance(now))

    def somebody_speaks(self) -> None:
        """Make the present press push-to-talk, whatever its length."""
        self._spoken = True

    def deadline(self) -> float | None:
        """Return when :meth:`advance` has something to do; None: never."""
        times = self._times
        late = times.bounce_s
        found = [
            self._debouncer.deadline(),
            None if self._let_go is None else self._let_go + times.double_s + late,
            self._may_shut_down(),
        ]
        return min((at for at in found if at is not None), default=None)

    def cue(self, now: float) -> Cue | None:
        """Return what the LEDs shall say about the present press."""
        times = self._times
        if self._pressed is None or self._spoken:
            return None
        held = now - self._pressed
        if held < times.cue_s:
            return None
        if held < times.free_s:
            return Cue("mute", min(1.0, (held - times.cue_s) / (times.mute_s - times.cue_s)))
        rest = times.shutdown_s - times.free_s
        return Cue("shutdown", min(1.0, (held - times.free_s) / rest))

    # --- inside ---

    def _may_shut_down(self) -> float | None:
        if self._pressed is None or self._spoken:
            return None
        return self._pressed + self._times.shutdown_s + self._times.bounce_s

    def _after(self, now: float, changes: list[tuple[float, bool]]) -> list[Seen]:
        seen: list[Seen] = []
        for at, closed in changes:
            # What ran out before this edge comes first.
            seen += self._ran_out(at)
            seen += self._closed(at) if closed else self._opened(at)
        # An edge may still be waiting for its window: nothing younger than that is certain.
        return seen + self._ran_out(now - self._times.bounce_s)

    def _ran_out(self, now: float) -> list[Seen]:
        times, seen = self._times, []
        if self._let_go is not None and now >= self._let_go + times.double_s:
            seen.append(Seen(Gesture.SINGLE, self._let_go))
            self._let_go = None
        if self._pressed is not None and not self._spoken:
            end = self._pressed + times.shutdown_s
            if now >= end:
                self._pressed = None
                seen.append(Seen(Gesture.SHUTDOWN, end))
        return seen

    def _closed(self, at: float) -> list[Seen]:
        if self._let_go is not None:
            self._let_go = None  # the second press of a pair: holding it means nothing more
            return [Seen(Gesture.DOUBLE, at)]
        self._pressed, self._spoken = at, False
        return [Seen(Gesture.PRESS, at)]

    def _opened(self, at: float) -> list[Seen]:
        pressed, self._pressed = self._pressed, None
        if pressed is None:
            return []
        times, held = self._times, at - pressed
        if held < times.short_s:
            self._let_go = at
            return [Seen(Gesture.SHORT, at)]
        if self._spoken or held < times.mute_s:
            return [Seen(Gesture.RELEASE, at)]
        return [Seen(Gesture.MUTE if held < times.free_s else Gesture.ABANDON, at)]


class StepButton:
    """A button that acts when it is pressed, and again and again while it is held."""

    def __init__(
        self, window_s: float = 0.025, first_s: float = 0.5, every_s: float = 0.2, *, repeats: bool
    ) -> None:
        self._debouncer = Debouncer(window_s)
        self._first_s, self._every_s = first_s, every_s
        self._repeats = repeats
        self._next: float | None = None

    def feed(self, at: float, closed: bool) -> int:
        """Take an edge; return how many times the button acts."""
        return self._after(at, self._debouncer.feed(at, closed))

    def advance(self, now: float) -> int:
        """Return how many times it acts because time has passed."""
        return self._after(now, self._debouncer.advance(now))

    def deadline(self) -> float | None:
        """Return when :meth:`advance` has something to do; None: never."""
        found = (self._debouncer.deadline(), self._next)
        return min((at for at in found if at is not None), default=None)

    def _after(self, now: float, changes: list[tuple[float, bool]]) -> int:
        count = 0
        for at, closed in changes:
            count += closed
            self._next = at + self._first_s if closed and self._repeats else None
        if self._next is not None and now >= self._next:
            # Once, however late: steps that were missed are not made up for.
            count += 1
            self._next = now + self._every_s
        return count
