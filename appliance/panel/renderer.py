"""From events to light: layers decide what is most worth saying, a renderer draws it.

The renderer has no loop. It draws when something changes and when the pattern itself says that
another frame is due, so a light that stays as it is costs nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time

from appliance.clock import monotonic
from appliance.events import (
    ClockChanged,
    Event,
    NetworkChanged,
    ReminderChanged,
    ReminderDue,
    ShutdownRequested,
    Snapshot,
    StateChanged,
    Vitals,
    VolumeRequested,
    WakeHeard,
)
from appliance.panel.device import Frame, PanelDevice
from appliance.panel.gestures import Cue
from appliance.panel.leds import GAMMA, PATTERNS, PROGRESSING, WAKE_S, Pattern, next_change, render

VOLUME_S = 1.5
"""How long a new volume is shown."""
CONDITIONS = ("critical", "clock_not_set", "offline", "warning")
"""What is shown while Luna waits; the first that holds wins."""
ANSWERED = frozenset({"snoozed", "done", "cancelled", "unanswered"})
"""Changes of a reminder after which it is not due any more."""
LONGEST_SLEEP_S = 30.0
"""By then a light that stays the same is looked at again: night may have begun."""
_DARK = replace(PATTERNS["idle"], rhythm=((0.0, 0.0),))


@dataclass(frozen=True)
class Shown:
    """What the LEDs say now."""

    pattern: str
    progress: float = 1.0


class Layers:
    """What there is to say. Pure: times come in from outside."""

    def __init__(self) -> None:
        self.state = "starting"
        self.conditions: set[str] = set()
        """Of ``reminder_due`` and :data:`CONDITIONS` those that hold."""
        self._due: set[int] = set()
        self.cue: Callable[[float], Cue | None] = lambda _now: None
        """Asked for what a button that is held will do."""
        self.cue_from = 0.0
        """When that is to be asked for the next time."""
        self.closing = False
        self._wake_until = 0.0
        self._volume_until = 0.0
        self._volume = 0

    def apply(self, event: Event, now: float) -> bool:
        """Take an event; return whether the light may be another one now."""
        match event:
            case StateChanged() | Snapshot():
                self.state = event.state
            case WakeHeard():
                self._wake_until = now + WAKE_S
            case NetworkChanged():
                self._set("offline", not event.online)
            case ClockChanged():
                self._set("clock_not_set", not event.trusted)
            case Vitals():
                known = self.conditions.copy()
                for level in ("warning", "critical"):
                    self._set(level, event.level == level)
                return self.conditions != known
            case ReminderDue():
                self._due |= set(event.reminders)
                self._set("reminder_due", bool(self._due))
            case ReminderChanged() if event.change in ANSWERED:
                self._due -= {event.reminder}
                self._set("reminder_due", bool(self._due))
            case VolumeRequested():
                self._volume, self._volume_until = event.percent, now + VOLUME_S
            case ShutdownRequested():
                self.closing = True
            case _:
                return False
        return True

    def _set(self, condition: str, holds: bool) -> None:
        (self.conditions.add if holds else self.conditions.discard)(condition)

    def top(self, now: float) -> Shown:
        """Return what is most worth saying."""
        if self.closing:
            return Shown("shutting_down")
        if cue := self.cue(now):
            name = "hold_to_mute" if cue.what == "mute" else "hold_to_shut_down"
            return Shown(name, cue.progress)
        if now < self._volume_until:
            return Shown("volume", self._volume / 100)
        if now < self._wake_until and self.state in ("idle", "listening"):
            return Shown("wake_heard")
        if self.state in ("idle", "muted") and "reminder_due" in self.conditions:
            return Shown("reminder_due")
        if self.state == "idle":
            for condition in CONDITIONS:
                if condition in self.conditions:
                    return Shown(condition)
        return Shown(self.state if self.state in PATTERNS else "error")

    def next_change(self, now: float) -> float | None:
        """Return in how many seconds :meth:`top` may change by itself."""
        times = (self._wake_until, self._volume_until, self.cue_from)
        return min((at - now for at in times if at > now), default=None)


@dataclass(frozen=True)
class Look:
    """How bright the LEDs are; percent as the eye sees it."""

    brightness: int = 60
    night_brightness: int = 15
    night_from: time = time(22)
    night_to: time = time(7)
    idle_light: bool = False

    def light(self, clock: time) -> float:
        """Return the factor (0 to 1, linear) at this time of day."""
        begin, end = self.night_from, self.night_to
        night = begin <= clock < end if begin <= end else clock >= begin or clock < end
        percent = self.night_brightness if night else self.brightness
        return math.pow(percent / 100, GAMMA)


class Renderer:
    """Draws the layers on one device."""

    def __init__(
        self,
        device: PanelDevice,
        layers: Layers,
        look: Look,
        clock: Callable[[], float] = monotonic,
        time_of_day: Callable[[], time] = lambda: datetime.now().time(),
    ) -> None:
        self._device = device
        self._layers = layers
        self._look = look
        self._clock = clock
        self._time_of_day = time_of_day
        self._shown = ""
        self._since = 0.0
        self._frame: Frame | None = None
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self.frames = 0
        """Drawn so far."""

    def wake(self, *, again: bool = False) -> None:
        """Draw soon, because something has changed; *again* also sends what was sent before."""
        if again:
            self._frame = None
        self._plan(0.0)

    def look_like(self, look: Look) -> None:
        """Draw in another brightness from now on."""
        self._look = look
        self.wake()

    def stop(self) -> None:
        """Draw no more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def draw(self) -> float:
        """Show the frame of this moment; return the seconds until the next one is due."""
        now = self._clock()
        shown = self._layers.top(now)
        if shown.pattern != self._shown:
            self._shown, self._since = shown.pattern, now
        pattern = self._pattern(shown.pattern)
        layout, into = self._device.layout, now - self._since
        frame = Frame(
            shown.pattern,
            render(pattern, layout, into, shown.progress),
            self._look.light(self._time_of_day()),
        )
        if frame != self._frame:
            self._frame = frame
            self._device.show(frame)
            self.frames += 1
        due = next_change(pattern, layout, into)
        if shown.pattern in PROGRESSING and shown.pattern != "volume":
            due = 1.0 / min(pattern.fps, layout.fps or 1)
        waits = [LONGEST_SLEEP_S, due, self._layers.next_change(now)]
        return min(wait for wait in waits if wait is not None)

    def _pattern(self, name: str) -> Pattern:
        return _DARK if name == "idle" and not self._look.idle_light else PATTERNS[name]

    def _plan(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._run) if seconds else loop.call_soon(self._run)

    def _run(self) -> None:
        self._timer = None
        self._plan(self.draw())
