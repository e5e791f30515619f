"""Asks a person for the wiring of a board that no profile describes.

Buttons are found by pressing them: inputs harm nothing. LEDs are not: a line is driven only when
the person named it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import tomli_w

from appliance.errors import PanelError, StorageError
from appliance.panel.boards import lint
from appliance.panel.boards import profile as profiles
from appliance.panel.boards.profile import Profile
from appliance.panel.chips import HEADERS
from appliance.panel.wiring import Button, Led, LedColour, Pull, Role, Wiring
from appliance.texts import text

WAIT_S = 20.0
"""For a press; then the other polarity is tried."""
POLL_S = 0.005
STEADY_POLLS = 5
"""A level counts after 25 ms without change: contacts bounce for up to 20 ms."""
MAX_LEDS = 8
SKIP = ("", "-")


class Pin(Protocol):
    """What is used of a pin of gpiozero."""

    function: str
    pull: str
    state: Any

    def close(self) -> None:
        """Give the line back."""


class PinFactory(Protocol):
    """What is used of a pin factory of gpiozero."""

    def pin(self, name: int) -> Pin:
        """Return the pin on a line."""


@dataclass
class Wizard:
    """One conversation with a person at the terminal."""

    factory: PinFactory
    ask: Callable[[str], str]
    say: Callable[[str], None]
    language: str
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, base: Profile, name: str, chip: str = "") -> Profile:
        """Return a profile with the sound card of *base* and the panel that was asked for.

        *chip* is the label of the GPIO chip; empty for a Raspberry Pi's.

        Raises:
            PanelError: the name or the answers make no working profile.
        """
        if base.unsupported:
            raise PanelError(f"{base.title} is not supported: {base.unsupported}")
        on_pi = not chip or any(chip in label for label in HEADERS)
        profile = replace(
            base,
            name=name,
            title=name,
            description={"en": "Made by `luna board wizard`."},
            computer="raspberry-pi" if on_pi else "other",
            panel=Wiring(chip=chip),
            serial_panel=False,
            drawing="",
            identity=profiles.Identity(),
            not_verified=(),
        )
        # Before the first question: a wrong name would be a pity afterwards.
        profile = profiles.parse(_plain(asdict(profile)), name)
        profile = self._with_buttons(profile)
        profile = self._with_leds(profile)
        if mistakes := lint.mistakes(profile):
            raise PanelError(f"these answers make no working profile: {mistakes[0]}")
        return profile

    def _text(self, key: str, **values: object) -> str:
        return text(f"board.wizard.{key}", self.language, **values)

    # --- buttons -----------------------------------------------------------------------------

    def _with_buttons(self, profile: Profile) -> Profile:
        role: Role | None = "talk"
        while role is not None:
            free = self._free_lines(profile)
            self.say(self._text("press", role=role))
            found = self._pressed(free, "up") or self._pressed(free, "down")
            if found is None:
                self.say(self._text("nothing_pressed"))
            else:
                line, pull = found
                self.say(self._text("pressed", line=line))
                button = Button(line, role, active_low=pull == "up", pull=pull)
                panel = replace(profile.panel, buttons=(*profile.panel.buttons, button))
                profile = replace(profile, panel=panel)
            role = cast(Role | None, self._choice("more_buttons", get_args(Role)))
        return profile

    def _free_lines(self, profile: Profile) -> list[int]:
        if profile.computer == "raspberry-pi":
            return lint.free_lines(profile)
        # The lines of other computers drive memory and network as well: none is touched unasked.
        return self._lines("button_lines")

    def _pressed(self, lines: Sequence[int], pull: Pull) -> tuple[int, Pull] | None:
        """Wait until one of *lines* leaves its level of rest; None after ``WAIT_S``."""
        with self._pins(lines) as pins:
            for pin in pins.values():
                pin.function = "input"
                pin.pull = {"up": "up", "down": "down", "none": "floating"}[pull]
            rest = 1 if pull == "up" else 0
            # A line that is not at rest now is tied to something: no button in its rest position.
            idle = {line: pin for line, pin in pins.items() if int(pin.state) == rest}
            steady = dict.fromkeys(idle, 0)
            until = self.clock() + WAIT_S
            while self.clock() < until:
                for line, pin in idle.items():
                    steady[line] = steady[line] + 1 if int(pin.state) != rest else 0
                    if steady[line] >= STEADY_POLLS:
                        return line, pull
                self.sleep(POLL_S)
        return None

    # --- LEDs ---------------------------------------------------------------------------------

    def _with_leds(self, profile: Profile) -> Profile:
        taken = profile.panel.lines()
        for line in self._lines("led_lines")[:MAX_LEDS]:
            candidate = Led(line)
            trial = replace(
                profile, panel=replace(profile.panel, leds=(*profile.panel.leds, candidate))
            )
            if line in taken or lint.mistakes(trial):
                self.say(self._text("line_taken", line=line))
                continue
            if led := self._lit(line):
                panel = replace(profile.panel, leds=(*profile.panel.leds, led))
                profile = replace(profile, panel=panel)
        return profile

    def _lit(self, line: int) -> Led | None:
        """Switch the line high, then low, and ask which LED shines."""
        with self._pins([line]) as pins:
            if line not in pins:
                self.say(self._text("line_taken", line=line))
                return None
            pins[line].function = "output"
            for level in (1, 0):
                pins[line].state = level
                colour = self._choice("which_led", get_args(LedColour), line=line)
                if colour is not None:
                    return Led(line, active_low=level == 0, colour=cast(LedColour, colour))
        return None

    # --- asking ---------------------------------------------------------------------------------

    def _choice(self, key: str, choices: Iterable[str], **values: object) -> str | None:
        """Return one of *choices*, which may be begun only; None for an empty answer."""
        choices = list(choices)
        while True:
            question = self._text(key, choices=", ".join(choices), **values)
            answer = self.ask(question).strip().lower()
            if answer in SKIP:
                return None
            fitting = [choice for choice in choices if choice.startswith(answer)]
            if answer in choices or len(fitting) == 1:
                return answer if answer in choices else fitting[0]
            self.say(self._text("not_a_choice", answer=answer))

    def _lines(self, key: str) -> list[int]:
        """Return line numbers, without repetition."""
        while True:
            answer = self.ask(self._text(key)).replace(",", " ")
            if all(part.isdecimal() and len(part) <= 3 for part in answer.split()):  # noqa: PLR2004
                return list(dict.fromkeys(map(int, answer.split())))
            self.say(self._text("not_a_choice", answer=answer.strip()))

    @contextmanager
    def _pins(self, lines: Sequence[int]) -> Iterator[dict[int, Pin]]:
        """Yield those of *lines* that are free; afterwards all are inputs again, and given back."""
        pins: dict[int, Pin] = {}
        try:
            for line in lines:
                # lgpio has an error class of its own, without a base that says more.
                with contextlib.suppress(Exception):
                    pins[line] = self.factory.pin(line)
            yield pins
        finally:
            for pin in pins.values():
                pin.function = "input"
                pin.close()


def save(profile: Profile, folder: Path) -> Path:
    """Write *profile* into the owner's *folder*; return the file.

    Raises:
        StorageError: it cannot be written.
    """
    file = folder / f"{profile.name}.toml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(tomli_w.dumps(_plain(asdict(profile))), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror}") from error
    return file


def _plain(value: Any) -> Any:
    """Return *value* as TOML has it: no None, no tuples, keys of text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if item not in (None, "", ())}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
