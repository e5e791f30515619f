"""What the service needs of the panel, in one piece: fingers, light, volume, mute switch, power."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from appliance import paths
from appliance.errors import LunaError, PanelError, ServiceError, StorageError
from appliance.events import (
    Event,
    Logged,
    MuteRequested,
    PanelChanged,
    ShutdownRequested,
    VolumeRequested,
)
from appliance.panel.controller import Panel
from appliance.panel.device import PanelDevice
from appliance.panel.volume import FILE, SETTLED_S, Volume
from appliance.settings import PanelSettings, Settings
from appliance.texts import text

GOODBYE_S = 2.5
"""How long the LEDs say that Luna is going before the machine is shut down."""


class Bus(Protocol):
    """What is needed of :class:`appliance.bus.EventBus`."""

    def publish(self, event: Event) -> None: ...
    def listen(self, listener: Callable[[Event], None]) -> None: ...


class Ring(Protocol):
    """What is needed of the capture ring."""

    shut: bool


class Front:
    """The front of the box.

    Args:
        settings: all of them.
        build: returns the panels; see :func:`appliance.panel.build.build`.
        request: takes what a person asks for.
        bus: the event stream.
        ring: shut from now on until it is known that nothing mutes the microphone.
    """

    def __init__(
        self,
        settings: Settings,
        build: Callable[[PanelSettings], Mapping[str, PanelDevice]],
        request: Callable[[Event], None],
        bus: Bus,
        ring: Ring,
    ) -> None:
        self._bus = bus
        self._language = settings.general.language
        self._tasks: set[asyncio.Task[None]] = set()
        self._saving: asyncio.TimerHandle | None = None
        audio = settings.audio
        self.volume = Volume(
            paths.data_dir(settings.general.data_dir) / FILE,
            default=audio.volume,
            limit=audio.volume_limit,
            step=audio.volume_step,
        )
        panels: Mapping[str, PanelDevice] = {}
        try:
            panels = build(settings.panel)
        except PanelError as error:
            bus.publish(PanelChanged(name="board", status="failed", detail=str(error)))

        def shut(closed: bool) -> None:
            ring.shut = closed

        self.panel = Panel(panels, settings.panel, request, bus.publish, shut)
        bus.listen(self._handle)

    async def start(self) -> None:
        """Start the panels; what fails is reported, and Luna runs without it."""
        await self.panel.start()

    async def stop(self) -> None:
        """Switch the LEDs off, release everything, keep the volume."""
        for task in self._tasks:
            task.cancel()
        await self.panel.stop()
        if self._saving:
            self._saving.cancel()
            self._save()

    def admit(self, event: Event) -> Event:
        """Return the request as it is to be carried out.

        Raises:
            ServiceError: the mute switch forbids it.
        """
        match event:
            case VolumeRequested():
                return replace(event, percent=self.volume.wanted(event), step=0)
            case MuteRequested(muted=False) if self.panel.muted_by_switch:
                said = text("panel.mute_switch", self._language)
                raise ServiceError(said).worded("panel.mute_switch")
        return event

    def _handle(self, event: Event) -> None:
        self.panel.handle(event)
        match event:
            case VolumeRequested():
                self.volume.percent = event.percent
                if self._saving:
                    self._saving.cancel()
                self._saving = asyncio.get_running_loop().call_later(SETTLED_S, self._save)
            case ShutdownRequested():
                task = asyncio.create_task(self._shut_down())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _save(self) -> None:
        self._saving = None
        try:
            self.volume.save()
        except StorageError as error:
            self._bus.publish(Logged(level="warning", text=str(error)))

    async def _shut_down(self) -> None:
        await asyncio.sleep(GOODBYE_S)
        try:
            await power_off()
        except LunaError as error:
            self._bus.publish(Logged(level="error", text=str(error)))
            self.panel.stay()


async def power_off() -> None:
    """Shut the machine down.

    Raises:
        PanelError: this is no box but somebody's computer, or systemd refuses.
    """
    if not paths.is_service():
        raise PanelError("only the system service shuts the machine down; this Luna is your own")
    process = await asyncio.create_subprocess_exec(
        "systemctl", "poweroff", stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        reason = said.decode(errors="replace").strip().partition("\n")[0]
        raise PanelError(f"the machine cannot be shut down: {reason or 'systemctl refused'}")
