"""Commands that ask, say and listen."""

from __future__ import annotations

from appliance.command_line.parser import Add

TITLE = "talking to Luna"


def add_commands(add: Add) -> None:
    """Add the commands of this group."""
    ask = add(
        "ask",
        "ask in writing; the answer is written too",
        'luna ask "What is a moon?"',
        action="talk:ask",
        settings=False,
    )
    ask.add_argument("text", help="the question; - reads it from standard input")
    ask.add_argument("--image", metavar="FILE", help="a picture (JPEG, PNG, WebP) to ask about")
    ask.add_argument("--code", action="store_true", help="answer with code and nothing else")
    ask.add_argument("--speak", action="store_true", help="say the answer aloud as well")

    say = add(
        "say",
        "speak a text",
        'luna say --language pt "Bom dia!"',
        action="talk:say",
        settings=False,
    )
    say.add_argument("text", help="what to say; - reads it from standard input")
    say.add_argument("--language", choices=("en", "pt"), help="the language of the text")

    add(
        "listen",
        "one spoken turn: ask after the signal, hear the answer",
        "luna listen",
        action="talk:listen",
        settings=False,
    )

    turn = add(
        "turn",
        "one spoken turn from a sound file to a sound file",
        "luna turn --in question.wav --out answer.wav",
        action="talk:turn",
        settings=False,
    )
    turn.add_argument("--in", dest="source", required=True, metavar="WAV", help="the question")
    turn.add_argument("--out", dest="target", required=True, metavar="WAV", help="the answer")
    turn.add_argument("--wake", action="store_true", help="the recording begins with the wake word")
    turn.add_argument("--force", action="store_true", help="overwrite an existing answer file")

    terminal = add(
        "terminal",
        "chat in the terminal, with history and reminders",
        "luna terminal --language pt",
        json=False,
        settings=False,
    )
    terminal.add_argument("--language", choices=("en", "pt"), help="the language of the screen")
    terminal.add_argument("--light", action="store_true", help="dark letters on a light ground")
