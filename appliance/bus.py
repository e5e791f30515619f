"""The one stream of events: LEDs, page, terminal, metrics and log all hang on it.

Publishing never waits. A subscriber gets a snapshot of everything first and then the changes;
one that does not keep up is cut off, so that it cannot slow Luna down.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace

from appliance.clock import monotonic
from appliance.events import (
    AgentSwitch,
    CaptureDropped,
    ClockChanged,
    Complete,
    Content,
    Error,
    Event,
    Heard,
    JobFinished,
    LoopbackMeasured,
    MicrophoneChanged,
    MuteRequested,
    MuteSwitched,
    NetworkChanged,
    PanelChanged,
    ProviderChosen,
    ProviderTested,
    ProviderUsed,
    QuotaWarning,
    ReminderChanged,
    ReminderDue,
    ReminderMissed,
    RemindersAnswered,
    Snapshot,
    SoundMeasured,
    SpeakerChanged,
    StateChanged,
    Status,
    ToolCall,
    TurnEnded,
    TurnStarted,
    UpdateProgress,
    Vitals,
    VolumeRequested,
    WakeHeard,
    WorkerChanged,
)

PUBLIC = (
    AgentSwitch,
    CaptureDropped,
    ClockChanged,
    Complete,
    Content,
    Error,
    Heard,
    JobFinished,
    LoopbackMeasured,
    MicrophoneChanged,
    MuteRequested,
    MuteSwitched,
    NetworkChanged,
    PanelChanged,
    ProviderChosen,
    ProviderTested,
    ProviderUsed,
    QuotaWarning,
    ReminderChanged,
    ReminderDue,
    ReminderMissed,
    RemindersAnswered,
    SoundMeasured,
    SpeakerChanged,
    StateChanged,
    Status,
    ToolCall,
    TurnEnded,
    TurnStarted,
    UpdateProgress,
    Vitals,
    VolumeRequested,
    WakeHeard,
    WorkerChanged,
)
"""What clients see. The rest is talk between the workers and the coordinator."""

BACKLOG = 1000
"""Events that may wait for a subscriber before it is cut off."""


def apply(snapshot: Snapshot, event: Event) -> Snapshot:  # noqa: PLR0912 - one case an event
    """Return *snapshot* as it is after *event*."""
    match event:
        case StateChanged():
            return replace(snapshot, state=event.state, detail=event.detail, turn_id=event.turn_id)
        case MuteRequested():
            return replace(snapshot, muted=event.muted)
        case MuteSwitched():
            return replace(snapshot, mute_switch=event.muted)
        case VolumeRequested():
            return replace(snapshot, volume=event.percent)
        case MicrophoneChanged():
            return replace(snapshot, microphone=_fields(event))
        case SpeakerChanged():
            return replace(snapshot, speaker=_fields(event))
        case WorkerChanged():
            return replace(snapshot, workers={**snapshot.workers, event.worker: _fields(event)})
        case Vitals():
            return replace(snapshot, vitals=_fields(event))
        case TurnStarted():
            return replace(snapshot, last_turn={"turn_id": event.turn_id, "source": event.source})
        case Heard() if snapshot.last_turn.get("turn_id") == event.turn_id:
            return replace(
                snapshot,
                last_turn={
                    **snapshot.last_turn,
                    "question": event.text,
                    "language": event.language,
                },
            )
        case Content() if snapshot.last_turn.get("turn_id") == event.turn_id:
            answer = snapshot.last_turn.get("answer", "") + event.text
            return replace(snapshot, last_turn={**snapshot.last_turn, "answer": answer})
        case AgentSwitch() if snapshot.last_turn.get("turn_id") == event.turn_id:
            answers = {"role": event.role, "provider": event.provider, "model": event.model}
            return replace(snapshot, last_turn={**snapshot.last_turn, **answers})
        case ProviderChosen() if snapshot.last_turn.get("turn_id") == event.turn_id:
            chosen = {
                "provider": event.provider,
                "model": event.model,
                "reason": event.reason,
                "skipped": event.skipped,
            }
            return replace(snapshot, last_turn={**snapshot.last_turn, **chosen})
        case Error() if snapshot.last_turn.get("turn_id") == event.turn_id:
            return replace(snapshot, last_turn={**snapshot.last_turn, "error": event.text})
        case TurnEnded():
            ended = _fields(event)
            if event.turn_id == snapshot.last_turn.get("turn_id"):
                ended = {**snapshot.last_turn, **{k: v for k, v in ended.items() if v}}
            return replace(snapshot, last_turn=ended)
    return snapshot


def _fields(event: Event) -> dict[str, object]:
    values = asdict(event)
    del values["at"]
    return values


class EventBus:
    """Delivers each event to every subscriber, in order."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._started = monotonic()
        self._queues: set[asyncio.Queue[Event | None]] = set()
        self._listeners: list[Callable[[Event], None]] = []

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call *listener* with every event, public or not; it must be quick."""
        self._listeners.append(listener)

    def publish(self, event: Event) -> None:
        """Hand *event* to everybody. Never waits."""
        self.snapshot = apply(self.snapshot, event)
        for listener in self._listeners:
            listener(event)
        if not isinstance(event, PUBLIC):
            return
        for queue in list(self._queues):
            try:
                queue.put_nowait(event)
            except asyncio.QueueFull:
                self._cut_off(queue)

    def _cut_off(self, queue: asyncio.Queue[Event | None]) -> None:
        self._queues.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    def current(self) -> Snapshot:
        """Return the snapshot of this moment."""
        return replace(self.snapshot, uptime_s=round(monotonic() - self._started, 1))

    def subscribe(self) -> AsyncIterator[Event]:
        """Return an iterator: a snapshot of this moment, then every public event.

        It ends when the bus is closed or the subscriber was too slow.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG)
        queue.put_nowait(self.current())
        self._queues.add(queue)
        return self._drain(queue)

    async def _drain(self, queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End all subscriptions."""
        for queue in list(self._queues):
            self._cut_off(queue)
