"""The wizard finds buttons by a press and LEDs by a look, on gpiozero's mock pins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from appliance.errors import PanelError
from appliance.panel.boards import profile, wizard
from appliance.panel.wiring import Button, Led


class Hands:
    """A person with a finger on the board and eyes on it; time is what the wizard sleeps."""

    def __init__(self, factory: MockFactory, answers: list[str]) -> None:
        self.factory = factory
        self.answers = iter(answers)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.now = 0.0
        self.moves: list[tuple[float, Callable[[], None]]] = []
        self.lights: list[tuple[int, bool]] = []

    def at(self, seconds: float, move: Callable[[], None]) -> None:
        self.moves.append((self.now + seconds, move))

    def press(self, line: int, *, high: bool = False, bounces: int = 3) -> None:
        """Close the contact a second from now; it bounces for 20 ms."""
        pin = self.factory.pin(line)
        close, open_ = (pin.drive_high, pin.drive_low) if high else (pin.drive_low, pin.drive_high)
        for bounce in range(bounces):
            self.at(1.0 + bounce * 0.006, close)
            self.at(1.0 + bounce * 0.006 + 0.003, open_)
        self.at(1.02, close)
        self.at(1.3, open_)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        due = [move for move in self.moves if move[0] <= self.now]
        self.moves = [move for move in self.moves if move[0] > self.now]
        for _, move in sorted(due, key=lambda move: move[0]):
            move()

    def ask(self, question: str) -> str:
        self.asked.append(question)
        for pin in self.factory.pins.values():
            if pin.function == "output":
                self.lights.append((pin.info.name.removeprefix("GPIO"), bool(pin.state)))
        return next(self.answers)

    def say(self, text: str) -> None:
        self.said.append(text)
        if text.startswith(("Now press", "Agora aperte")):
            self.on_press()

    def on_press(self) -> None:
        """What the finger does; a test sets it."""


@pytest.fixture
def factory() -> Iterator[MockFactory]:
    made = MockFactory()
    yield made
    made.reset()


def ask(
    hands: Hands, base: str = "plain", language: str = "en", name: str = "mine", chip: str = ""
) -> profile.Profile:
    dialogue = wizard.Wizard(
        hands.factory, hands.ask, hands.say, language, hands.sleep, lambda: hands.now
    )
    return dialogue.run(profile.find(base), name, chip)


def test_button_and_leds(factory: MockFactory, tmp_path: Path) -> None:
    hands = Hands(factory, ["", "22, 23 18", "g", "", "red"])
    hands.on_press = lambda: hands.press(26)
    made = ask(hands)
    assert made.panel.buttons == (Button(26, "talk"),)
    assert made.panel.leds == (Led(22, colour="green"), Led(23, active_low=True, colour="red"))
    assert "A button on line 26." in hands.said
    assert "Line 18 is not free." in hands.said, "it belongs to the I2S bus"
    lit = [("22", True), ("23", True), ("23", False)]
    assert [light for light in hands.lights if light[0] in ("22", "23")] == lit
    assert all(pin.function == "input" for pin in factory.pins.values()), "no line is left driven"
    file = wizard.save(made, tmp_path / "boards")
    assert profile.load(file) == made


def test_a_button_to_the_supply_is_found_with_the_other_resistor(factory: MockFactory) -> None:
    hands = Hands(factory, ["", ""])

    def press() -> None:
        hands.at(wizard.WAIT_S, lambda: hands.press(5, high=True))

    hands.on_press = press
    assert ask(hands).panel.buttons == (Button(5, "talk", active_low=False, pull="down"),)


def test_more_buttons_and_nobody_presses(factory: MockFactory) -> None:
    hands = Hands(factory, ["what", "volume_up", "", ""])
    lines = iter([6])

    def press() -> None:
        for line in lines:
            hands.press(line)

    hands.on_press = press
    made = ask(hands, language="pt")
    assert [button.line for button in made.panel.buttons] == [6]
    assert "Não entendo what." in hands.said
    assert "Não percebi nenhum botão." in hands.said


def test_noise_shorter_than_a_press_is_no_button(factory: MockFactory) -> None:
    hands = Hands(factory, ["", ""])

    def glitch() -> None:
        pin = factory.pin(16)
        hands.at(1.0, pin.drive_low)
        hands.at(1.0 + 2 * wizard.POLL_S, pin.drive_high)

    hands.on_press = glitch
    assert ask(hands).panel.buttons == ()


def test_lines_that_somebody_has_are_left_alone(factory: MockFactory) -> None:
    hands = Hands(factory, ["", "17", ""])
    real = factory.pin

    def busy(line: int) -> Any:
        if line == 17:
            raise RuntimeError("GPIO busy")
        return real(line)

    factory.pin = busy
    assert ask(hands).panel.leds == ()
    assert "Line 17 is not free." in hands.said


def test_the_sound_card_of_another_profile_is_kept(factory: MockFactory) -> None:
    hands = Hands(factory, ["", ""])
    hands.on_press = lambda: hands.press(22)
    made = ask(hands, base="codec-zero")
    assert made.sound == profile.find("codec-zero").sound
    assert made.boot == profile.find("codec-zero").boot
    assert made.identity == profile.Identity(), "its EEPROM says nothing of this wiring"
    assert made.panel.buttons == (Button(22, "talk"),)


def test_other_computers_are_asked_for_their_lines(factory: MockFactory) -> None:
    hands = Hands(factory, ["seventeen", "17 27", "", ""])
    hands.on_press = lambda: None
    assert ask(hands, chip="300b000.pinctrl").computer == "other"
    assert "I do not understand seventeen." in hands.said
    assert {pin.info.name for pin in factory.pins.values()} == {"GPIO17", "GPIO27"}


def test_bad_beginnings_and_ends_are_one_sentence(factory: MockFactory) -> None:
    hands = Hands(factory, [])
    with pytest.raises(PanelError, match="is not supported: its AC108"):
        ask(hands, base="respeaker-4mic")
    with pytest.raises(PanelError, match="name: should have no characters but"):
        ask(hands, name="../etc/passwd")
    hands = Hands(factory, ["5", "", ""])
    hands.on_press = lambda: hands.press(5)
    with pytest.raises(PanelError, match="make no working profile: only a Raspberry Pi has a boot"):
        ask(hands, base="codec-zero", chip="gpio3")
