"""The screens as text, small and large, in both languages; colours are looked at by people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from appliance.events import Content
from appliance.terminal.service import Message, Reminder, Setting
from tests.terminal.fake_service import FakeService
from tests.terminal.harness import LARGE, SMALL, Terminal, compare, terminal

ANSWERS = {
    "en": """Here is a function that **doubles** a number:

```python
def double(x: float) -> float:
    \"\"\"Return twice x.\"\"\"
    return 2 * x
```

- Pass *any* number.
- Get twice as much.

| call | result |
|---|---|
| `double(2)` | 4 |
""",
    "pt": """Aqui está uma função que **dobra** um número:

```python
def dobro(x: float) -> float:
    \"\"\"Devolve o dobro de x.\"\"\"
    return 2 * x
```

- Passe *qualquer* número.
- Receba o dobro.

| chamada | resultado |
|---|---|
| `dobro(2)` | 4 |
""",
}
WORDS = {
    "en": (
        "A function that doubles a number",
        "What time is it?",
        "A quarter past nine.",
        "call Ana",
    ),
    "pt": (
        "Uma função que dobra um número",
        "Que horas são?",
        "Nove e quinze.",
        "ligar para a Ana",
    ),
}


def luna_of(language: str) -> FakeService:
    asked, spoken, told, remind = WORDS[language]
    luna = FakeService(
        kept_reminders=[Reminder(1, "reminder", remind, "open", "9:00")],
        config=[
            Setting("listen.wake_threshold", "float", 0.5, 0.5, 0, 1, restart=True),
            Setting("general.language", "choice", language, "en", choices=["en", "pt"]),
        ],
        words={"en": "You are Luna.", "pt": "Você é a Luna."},
    )
    luna.kept = {
        1: [Message("user", asked, 86400.0), Message("assistant", ANSWERS[language], 86405.0)],
        2: [Message("user", spoken, 90000.0), Message("assistant", told, 90005.0)],
    }
    return luna


async def chat(t: Terminal, language: str) -> None:
    asked, spoken, told, _ = WORDS[language]
    await t.ask(asked, ANSWERS[language])
    t.luna.begin(2, "wake", spoken)
    t.luna.finish(2, told, "wake")
    await t.settle()


async def code(t: Terminal, language: str) -> None:
    await t.ask(WORDS[language][0], ANSWERS[language])
    await t.press("ctrl+o")


async def waiting(t: Terminal, language: str) -> None:
    await t.press(*"oi", "enter")
    t.luna.begin(1)
    t.luna.say(Content(turn_id=1, text="..."))
    await t.settle()
    t.luna.stop()
    await t.settle()


def opened(*keys: str) -> Callable[[Terminal, str], Awaitable[None]]:
    async def open_it(t: Terminal, _: str) -> None:
        await t.press(*keys)

    return open_it


SCENES: dict[str, Callable[[Terminal, str], Awaitable[None]]] = {
    "start": opened(),
    "chat": chat,
    "code": code,
    "waiting": waiting,
    "health": opened("f4"),
    "history": opened("ctrl+h"),
    "delete": opened("ctrl+h", "delete"),
    "persona": opened("ctrl+e"),
    "reminders": opened("ctrl+r"),
    "config": opened("f8"),
    "help": opened("f1"),
    "commands": opened("ctrl+p"),
    "menu": opened("shift+f10"),
}


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("size", [SMALL, LARGE], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", SCENES)
async def test_screen(scene: str, size: tuple[int, int], language: str) -> None:
    async with terminal(luna_of(language), size, language) as t:
        await SCENES[scene](t, language)
        compare(f"{scene}-{size[0]}x{size[1]}-{language}", t.screen())
