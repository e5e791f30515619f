"""Fingers and light on mock pins, in real time; and what bad pins have to say."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest

from appliance.errors import PanelError, ServiceError
from appliance.events import (
    ClockChanged,
    MuteSwitched,
    NetworkChanged,
    PanelChanged,
    ReminderChanged,
    ReminderDue,
    SpeakerChanged,
    SpeechStarted,
    VolumeRequested,
    WakeHeard,
)
from appliance.panel import chips, gpio
from appliance.panel.controller import Panel
from appliance.panel.device import Connected, Frame, PanelDevice, Report
from appliance.panel.gpio import GpioPanel, mock_pins
from appliance.panel.wiring import (
    Amplifier,
    Button,
    Encoder,
    Led,
    MuteSwitch,
    RgbLed,
    Strip,
    Wiring,
)
from appliance.settings import PanelSettings
from tests.panel.mock_panel import PLAIN, Mock

QUICK = {"mute_press_s": 1.0, "shutdown_press_s": 2.0, "short_press_s": 0.3}
"""The same gestures in less time; the real times are tested with a clock that is not real."""


# --- gestures ------------------------------------------------------------------------------------


async def test_a_press_opens_the_microphone_until_the_end_of_the_turn() -> None:
    async with Mock() as mock:
        await mock.press(0.1)
        await mock.until(lambda: mock.asked)
        await asyncio.sleep(0.5)
        assert mock.asked == ["button_pressed"]


async def test_a_press_opens_the_microphone_while_it_is_held() -> None:
    async with Mock(talk="hold", **QUICK) as mock:
        mock.pin(17).drive_low()
        await mock.until(lambda: mock.asked)
        mock.state("listening")
        mock.panel.handle(SpeechStarted(turn_id=1, position=0))
        await asyncio.sleep(1.2)
        assert mock.asked == ["button_pressed held=True"]
        mock.pin(17).drive_high()
        await mock.until(lambda: len(mock.asked) == 2)
        assert mock.asked[1] == "button_released"


@pytest.mark.parametrize("state", ["speaking", "thinking", "listening"])
async def test_a_short_press_stops(state: str) -> None:
    async with Mock() as mock:
        mock.state(state)
        await mock.press(0.1)
        await asyncio.sleep(0.6)
        assert mock.asked == ["stop_requested"]


async def test_talk_while_held_interrupts_and_a_short_press_only_stops() -> None:
    async with Mock(talk="hold", **QUICK) as mock:
        mock.state("speaking")
        await mock.press(0.1)
        await mock.until(lambda: len(mock.asked) == 2)
        assert mock.asked == ["button_pressed held=True", "stop_requested"]


async def test_a_double_press_repeats() -> None:
    async with Mock() as mock:
        await mock.press(0.1)
        await asyncio.sleep(0.1)
        mock.state("listening")
        await mock.press(0.1)
        await mock.until(lambda: len(mock.asked) == 2)
        await asyncio.sleep(0.5)
        assert mock.asked == ["button_pressed", "repeat_requested"]


async def test_holding_mutes_and_unmutes_and_shows_how_near_it_is() -> None:
    async with Mock(**QUICK | {"mute_press_s": 1.4, "shutdown_press_s": 5.0}) as mock:
        await mock.press(1.6)
        await mock.until(lambda: "muted" in mock.patterns())
        assert mock.asked == ["button_pressed", "stop_requested", "mute_requested muted=True"]
        assert mock.patterns()[-3:] == ["idle", "hold_to_mute", "muted"]
        levels = [max(f.colours)[0] for _, f in mock.frames if f.state == "hold_to_mute"]
        assert len(set(levels)) > 3, "it grows"
        await mock.press(1.6)
        await mock.until(lambda: len(mock.asked) == 4)
        assert mock.asked[3] == "mute_requested"  # muted=False is not printed


async def test_a_short_press_while_muted_is_answered_by_a_signal() -> None:
    async with Mock() as mock:
        mock.state("muted")
        await mock.press(0.1)
        await mock.until(lambda: mock.asked)
        assert mock.asked == ["button_pressed"]


async def test_holding_on_shuts_down_and_letting_go_is_the_way_out() -> None:
    async with Mock(**QUICK) as mock:
        await mock.press(1.8)
        await asyncio.sleep(0.5)
        assert mock.asked == ["button_pressed", "stop_requested"]
        assert "hold_to_shut_down" in mock.patterns()
        mock.pin(17).drive_low()
        await mock.until(lambda: "shutting_down" in mock.patterns())
        assert mock.asked[-1] == "shutdown_requested"
        mock.pin(17).drive_high()
        await asyncio.sleep(0.5)
        assert mock.asked.count("shutdown_requested") == 1


async def test_a_contact_that_bounces_presses_once() -> None:
    chance = random.Random(7)
    async with Mock() as mock:
        pin = mock.pin(17)
        for closed in (True, False):
            end = time.monotonic() + 0.015
            while time.monotonic() < end:
                pin.drive_low()
                await asyncio.sleep(chance.uniform(0, 0.003))
                pin.drive_high()
            (pin.drive_low if closed else pin.drive_high)()
            await asyncio.sleep(0.15)
        await asyncio.sleep(0.5)
        assert mock.asked == ["button_pressed"]


async def test_other_buttons_and_the_knob() -> None:
    wiring = Wiring(
        buttons=(Button(5, "volume_up"), Button(6, "volume_down"), Button(16, "mute")),
        encoder=Encoder(20, 21),
    )
    async with Mock(wiring) as mock:
        for line in (5, 6, 16):
            await mock.press(0.1, line)
            await asyncio.sleep(0.1)
        up, down, mute = (
            "volume_requested percent=-1 step=1",
            "volume_requested percent=-1 step=-1",
            ("mute_requested muted=True"),
        )
        await mock.until(lambda: len(mock.asked) == 3)
        assert mock.asked == [up, down, mute]
        a, b = mock.pin(20), mock.pin(21)
        for pin, low in ((a, True), (b, True), (a, False), (b, False)):
            (pin.drive_low if low else pin.drive_high)()
            await asyncio.sleep(0.01)
        await mock.until(lambda: len(mock.asked) == 4)
        assert mock.asked[3] == up


async def test_a_request_that_is_refused_hurts_nobody() -> None:
    async with Mock() as mock:
        mock.refuses = ServiceError("still starting")
        await mock.press(0.1)
        await asyncio.sleep(0.6)
        mock.refuses = None
        await mock.press(0.1)
        await mock.until(lambda: mock.asked == ["button_pressed"])


# --- the mute switch -----------------------------------------------------------------------------


async def test_the_switch_wins_from_the_first_moment() -> None:
    mock = Mock()
    mock.pins = mock_pins()
    # A switch that is on pulls its line down against the resistor, as soon as there is one.
    pin = mock.pin(5)
    pull = pin._set_pull
    pin._set_pull = lambda value: (pull(value), pin.drive_low())
    assert mock.shut == [True], "shut before anything was looked at"
    async with mock:
        assert mock.shut[-1] is True
        assert mock.asked == ["mute_requested muted=True"]
        assert mock.panel.muted_by_switch
        pin.drive_high()
        await mock.until(lambda: mock.shut[-1] is False)
        assert not mock.panel.muted_by_switch
        assert mock.asked[-1] == "mute_requested"
        moved = [e.muted for e in mock.published if isinstance(e, MuteSwitched)]
        assert moved == [True, False]


async def test_a_switch_that_is_off_opens_the_ring_once_it_is_known() -> None:
    mock = Mock()
    async with mock:
        assert mock.shut[0] is True
        assert mock.shut[-1] is False
        assert mock.asked == []
        mock.pin(5).drive_low()
        await mock.until(lambda: mock.shut[-1] is True)


async def test_without_a_panel_nothing_is_shut_and_mute_shuts() -> None:
    shut: list[bool] = []
    panel = Panel({}, PanelSettings(), lambda _e: None, lambda _e: None, shut.append)
    assert shut == [False]
    await panel.start()
    from appliance.events import MuteRequested

    panel.handle(MuteRequested(muted=True))
    assert shut[-1] is True
    panel.handle(MuteRequested(muted=False))
    assert shut[-1] is False


# --- light ---------------------------------------------------------------------------------------

SAID = {
    "starting": "starting",
    "idle": "idle",
    "listening": "listening",
    "thinking": "thinking",
    "speaking": "speaking",
    "muted": "muted",
    "error": "error",
    "updating": "updating",
}


@pytest.mark.parametrize("state", SAID)
@pytest.mark.parametrize("shape", ["pair", "single", "rgb", "strip", "ring"])
async def test_every_state_on_mock_pins(state: str, shape: str) -> None:
    wiring = {
        "pair": PLAIN,
        "single": Wiring(leds=(Led(23, active_low=True),)),
        "rgb": Wiring(rgb=RgbLed(22, 23, 24)),
        "strip": Wiring(strip=Strip(3, data=10, clock=11)),
        "ring": Wiring(strip=Strip(12, data=10, clock=11, ring=True)),
    }[shape]
    async with Mock(wiring) as mock:
        mock.state("thinking" if state != "thinking" else "idle")
        await mock.until(lambda: mock.frames)
        mock.state(state)
        await mock.until(lambda: mock.patterns()[-1:] == [state])
        await asyncio.sleep(0.02)
        if shape == "pair":
            green, red = mock.pin(23).state, mock.pin(24).state
            if state == "listening":
                assert green > 0.2
                assert red == 0
            elif state in ("muted", "error"):
                assert green == 0
                assert red > 0.1
            elif state == "idle":
                assert green == red == 0
        elif shape == "single" and state == "listening":
            assert mock.pin(23).state < 0.8, "active low"
        elif shape == "rgb" and state == "listening":
            assert mock.pin(24).state > mock.pin(22).state, "blue"


async def test_layers_and_conditions() -> None:
    async with Mock() as mock:
        await mock.until(lambda: mock.patterns()[-1:] == ["idle"])
        mock.panel.handle(NetworkChanged(online=False))
        await mock.until(lambda: mock.patterns()[-1] == "offline")
        mock.panel.handle(ClockChanged(trusted=False))
        await mock.until(lambda: mock.patterns()[-1] == "clock_not_set")
        due = ReminderDue(reminders=(3,), occurrences=("3-1",), text="", language="en")
        mock.panel.handle(due)
        await mock.until(lambda: mock.patterns()[-1] == "reminder_due")
        mock.panel.handle(WakeHeard(phrase="okay_nabu", score=1.0, position=0))
        mock.state("listening")
        await mock.until(lambda: mock.patterns()[-1] == "wake_heard")
        await mock.until(lambda: mock.patterns()[-1] == "listening")
        mock.panel.handle(VolumeRequested(percent=30))
        await mock.until(lambda: mock.patterns()[-1] == "volume")
        await mock.until(lambda: mock.patterns()[-1] == "listening")
        mock.state("idle")
        mock.panel.handle(ReminderChanged(reminder=3, change="done"))
        mock.panel.handle(ClockChanged(trusted=True))
        mock.panel.handle(NetworkChanged(online=True))
        await mock.until(lambda: mock.patterns()[-1] == "idle")


async def test_a_strip_is_bit_banged_as_its_data_sheet_says() -> None:
    async with Mock(Wiring(strip=Strip(2, data=10, clock=11)), brightness=100) as mock:
        await mock.until(lambda: mock.frames)
        data, clock = mock.pin(10), mock.pin(11)
        bits: list[bool] = []
        clock_out = clock._set_state

        def clocked(value: float) -> None:
            if value and not clock.state:
                bits.append(bool(data.state))
            clock_out(value)

        clock._set_state = clocked
        mock.state("listening")
        await mock.until(lambda: mock.patterns()[-1] == "listening" and len(bits) >= 136)
        words = [int("".join("01"[b] for b in bits[at : at + 32]), 2) for at in range(0, 96, 32)]
        blue, green, red = 255, 60, 0
        assert words == [0, *[0xFF << 24 | blue << 16 | green << 8 | red] * 2]


async def test_the_amplifier_is_on_while_the_speaker_is() -> None:
    async with Mock(Wiring(amplifier=Amplifier(16, active_low=True))) as mock:
        assert mock.pin(16).state
        mock.panel.handle(SpeakerChanged(status="open"))
        assert not mock.pin(16).state
        mock.panel.handle(SpeakerChanged(status="closed"))
        assert mock.pin(16).state


# --- bad pins ------------------------------------------------------------------------------------


def is_one_sentence(error: BaseException) -> bool:
    said = str(error)
    return "\n" not in said and 20 < len(said) < 300


async def fails(wiring: Wiring, pins: object = mock_pins) -> PanelError:
    panel: PanelDevice = GpioPanel(wiring, pins)  # type: ignore[arg-type]
    with pytest.raises(PanelError) as caught:
        await panel.start(lambda _report: None)
    assert is_one_sentence(caught.value)
    assert panel.layout.count == 0
    return caught.value


async def test_a_line_used_twice() -> None:
    error = await fails(Wiring(buttons=(Button(17),), leds=(Led(17),)))
    assert "GPIO line 17 (LED 1) is used twice" in str(error)


async def test_a_line_that_does_not_exist() -> None:
    assert "no such line" in str(await fails(Wiring(buttons=(Button(99),))))


async def test_a_resistor_that_holds_the_button() -> None:
    error = await fails(Wiring(buttons=(Button(17, active_low=True, pull="down"),)))
    assert "pull = 'down' holds it pressed" in str(error)


async def test_a_line_that_is_busy() -> None:
    import lgpio

    pins = mock_pins()

    def busy(*_: object, **__: object) -> None:
        raise lgpio.error("GPIO busy")

    pins.factory.pin = busy
    error = await fails(Wiring(buttons=(Button(17),)), lambda _wiring: pins)
    assert "GPIO line 17 (the button talk) is busy" in str(error)
    assert "gpioinfo" in str(error)


async def test_luna_runs_without_a_panel_that_fails() -> None:
    mock = Mock(Wiring(buttons=(Button(99),)))
    async with mock:
        changed = [e for e in mock.published if isinstance(e, PanelChanged)]
        assert [c.status for c in changed] == ["failed"]
        assert "no such line" in changed[0].detail
        assert mock.shut[-1] is False
        mock.state("listening")
        await asyncio.sleep(0.05)


async def test_leds_that_fail_later_are_reported_once_and_buttons_go_on() -> None:
    async with Mock() as mock:

        def broken(_value: object) -> None:
            raise OSError(5, "Input/output error")

        mock.pin(23)._set_state = broken
        mock.state("listening")
        await mock.until(lambda: [e for e in mock.published if getattr(e, "status", "") == "lost"])
        mock.state("idle")
        await mock.press(0.1)
        await mock.until(lambda: mock.asked == ["button_pressed"])
        assert sum(getattr(e, "status", "") == "lost" for e in mock.published) == 1


# --- chips ---------------------------------------------------------------------------------------


def info(label: str, lines: int = 54) -> bytes:
    return (
        b"gpiochip".ljust(32, b"\0") + label.encode().ljust(32, b"\0") + lines.to_bytes(4, "little")
    )


def machine(folder: Path, **labels: str) -> tuple[Path, chips.ReadInfo]:
    for name in labels:
        (folder / name).touch()
    return folder, lambda path: info(labels[path.name])


def test_the_header_of_a_pi_5_is_found_by_its_label(tmp_path: Path) -> None:
    dev, read = machine(
        tmp_path, gpiochip10="gpio-brcmstb@107d508500", gpiochip0="pinctrl-rp1", gpiochip4="x"
    )
    assert chips.find("", dev, read).number == 0
    assert chips.find("brcmstb", dev, read).number == 10


def test_other_boards_name_their_chip(tmp_path: Path) -> None:
    dev, read = machine(tmp_path, gpiochip0="300b000.pinctrl", gpiochip1="7022000.pinctrl")
    assert chips.find("7022000", dev, read) == chips.Chip(1, "7022000.pinctrl", 54)
    with pytest.raises(PanelError, match=r"no GPIO chip is labelled 'gpio4'.*300b000") as caught:
        chips.find("gpio4", dev, read)
    assert is_one_sentence(caught.value)
    with pytest.raises(PanelError, match="no GPIO chip of a known header"):
        chips.find("", dev, read)


def test_no_chip_at_all(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="there is no GPIO chip") as caught:
        chips.find("", tmp_path)
    assert is_one_sentence(caught.value)


def test_permission_denied_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()

    def refused(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PanelError, match=r"add user .* to group gpio") as caught:
        chips.find("", tmp_path, refused)
    assert is_one_sentence(caught.value)


def test_a_file_that_is_no_chip(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    with pytest.raises(PanelError, match="gpiochip0 cannot be opened"):
        chips.find("", tmp_path)


async def test_this_machine_without_a_chip() -> None:
    if list(Path("/dev").glob("gpiochip*")):
        pytest.skip("this machine has GPIO chips")
    assert "there is no GPIO chip" in str(await fails(PLAIN, gpio.hardware_pins))


def test_the_kernel_names_of_pins_on_any_chip() -> None:
    from appliance.panel.lgpio_factory import board

    lines = board(chips.Chip(0, "300b000.pinctrl", 288))
    assert [pin.name for _, pin in lines.find_pin(270)] == ["GPIO270"]
    assert not list(lines.find_pin(288))


async def test_reports_come_in_order() -> None:
    reports: list[Report] = []
    panel = GpioPanel(Wiring(mute_switch=MuteSwitch(5)), mock_pins)
    await panel.start(reports.append)
    panel.show(Frame("idle", ()))
    assert isinstance(reports[-1], Connected)
    assert type(reports[0]).__name__ == "MuteSwitched"
    await panel.close()
