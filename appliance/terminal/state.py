"""What the terminal knows of Luna, kept up to date by her events. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from appliance.control import Health
from appliance.events import (
    AgentSwitch,
    Event,
    MicrophoneChanged,
    MuteRequested,
    MuteSwitched,
    Snapshot,
    SpeakerChanged,
    StateChanged,
    Status,
    TurnEnded,
    WorkerChanged,
)
from appliance.terminal.service import QuotaLeft

WORKERS = ("audio", "listen", "stt", "llm", "tts")


@dataclass
class Known:
    """What is known at the moment."""

    connected: bool = False
    state: str = ""
    detail: str = ""
    muted: bool = False
    mute_switch: bool = False
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    microphone: str = ""
    speaker: str = ""
    provider: str = ""
    model: str = ""
    tokens_per_second: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    quota: list[QuotaLeft] = field(default_factory=list)
    lost_blocks: float | None = None
    gaps: float | None = None
    findings: list[dict[str, Any]] = field(default_factory=list)
    """What is not well, as in ``Vitals``."""

    def take(self, event: Event) -> None:
        """Learn from an event."""
        match event:
            case Snapshot():
                self._begin(event)
            case StateChanged():
                self.state, self.detail = event.state, event.detail
            case Status():
                self.detail = event.text
            case MuteRequested():
                self.muted = event.muted
            case MuteSwitched():
                self.mute_switch = event.muted
            case WorkerChanged():
                self.workers[event.worker] = {"status": event.status, "restarts": event.restarts}
            case MicrophoneChanged():
                self.microphone = event.status
            case SpeakerChanged():
                self.speaker = event.status
            case AgentSwitch():
                self.provider, self.model = event.provider, event.model
            case TurnEnded():
                self._ended(event)
            case Health():
                self._report(event.report)
            case _ if event.type == "vitals":
                self.findings = list(getattr(event, "findings", ()))

    @property
    def quota_left(self) -> QuotaLeft | None:
        """The limit that is nearest: of who answers, else of all."""
        limited = [quota for quota in self.quota if quota.percent is not None]
        own = [quota for quota in limited if quota.provider == self.provider]
        return max(own or limited, key=lambda quota: quota.percent or 0.0, default=None)

    def _begin(self, snapshot: Snapshot) -> None:
        self.connected = True
        self.state, self.detail = snapshot.state, snapshot.detail
        self.muted, self.mute_switch = snapshot.muted, snapshot.mute_switch
        self.workers = dict(snapshot.workers)
        self.microphone = str(snapshot.microphone.get("status", ""))
        self.speaker = str(snapshot.speaker.get("status", ""))
        self.findings = list(getattr(snapshot, "vitals", {}).get("findings", ()))

    def _ended(self, ended: TurnEnded) -> None:
        if ended.timings:
            self.timings = ended.timings
        self.tokens_per_second = ended.timings.get("tokens_per_second", 0.0)
        self.provider = ended.provider or self.provider
        self.model = ended.model or self.model

    def _report(self, report: dict[str, Any]) -> None:
        workers = report.get("workers", {})
        listen = workers.get("listen", {}).get("stats", {})
        audio = workers.get("audio", {}).get("stats", {})
        self.lost_blocks = listen.get("overruns")
        self.gaps = audio.get("underruns")
