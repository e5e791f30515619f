"""Which panels there are, by the settings."""

from __future__ import annotations

from collections.abc import Callable

from appliance.panel.device import PanelDevice
from appliance.panel.gpio import GpioPanel, Pins, hardware_pins
from appliance.panel.wiring import Wiring
from appliance.settings import PanelSettings


def build(
    settings: PanelSettings, pins: Callable[[Wiring], Pins] = hardware_pins
) -> dict[str, PanelDevice]:
    """Return the panels by name; nothing is opened yet.

    Raises:
        PanelError: the board's profile cannot be used.
    """
    panels: dict[str, PanelDevice] = {}
    if not settings.enabled:
        return panels
    usb_ids = settings.serial_usb_ids
    if settings.board:
        from appliance.panel.boards import profile

        found = profile.find(settings.board)
        if found.panel.all_lines():
            panels["gpio"] = GpioPanel(found.panel, pins)
        if found.serial_panel and not usb_ids:
            usb_ids = found.identity.usb
    if settings.serial_port or usb_ids:
        from appliance.panel.serial import SerialPanel

        panels["serial"] = SerialPanel(settings.serial_port, usb_ids)
    return panels
