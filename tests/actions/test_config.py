"""`luna config` as a person meets it; the editor is a real program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import LUNA

FILE = "# what I chose\n[audio]\nvolume = 30  # quiet\n"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    (tmp_path / "luna").mkdir()
    (tmp_path / "luna/luna.toml").write_text(FILE)
    return tmp_path


def luna(box: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LUNA, "config", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_CONFIG_HOME": str(box), **env},
        stdin=subprocess.DEVNULL,
    )


def editor(box: Path, program: str) -> str:
    """Return an editor that runs *program* on the text; it gets and leaves `text`."""
    path = box / "editor.py"
    path.write_text(
        "import sys, pathlib\n"
        "path = pathlib.Path(sys.argv[1])\n"
        f"text = path.read_text()\n{program}\npath.write_text(text)\n"
    )
    return f"{sys.executable} {path}"


def test_get_set_and_unset(box: Path) -> None:
    assert luna(box, "get", "audio.volume").stdout == "30\n"
    done = luna(box, "set", "audio.volume", "60")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("audio.volume = 60 (in ")
    assert luna(box, "get", "audio.volume").stdout == "60\n"
    assert (box / "luna/luna.toml").read_text() == FILE
    assert luna(box, "unset", "audio.volume").returncode == 0
    assert luna(box, "get", "audio.volume").stdout == "30\n"


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("general.language", "pt", "pt"),
        ("listen.wake_words", "hey_jarvis,alexa", '["hey_jarvis", "alexa"]'),
        ("tts.voices.pt", "espeak-ng", "espeak-ng"),
        ("panel.enabled", "false", "false"),
        ("tts.speed", "1.5", "1.5"),
    ],
)
def test_values_are_written_as_on_the_command_line(
    box: Path, key: str, value: str, shown: str
) -> None:
    assert luna(box, "set", key, value).returncode == 0
    assert luna(box, "get", key).stdout == f"{shown}\n"
    asked = json.loads(luna(box, "get", key, "--json").stdout)
    assert asked["key"] == key


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "audio.volume", "loud"), 3, "audio.volume"),
        (("set", "audio.volum", "1"), 3, "did you mean volume?"),
        (("set", "volume", "1"), 3, "is no key"),
        (("set", "audio.volume"), 2, "write luna config set KEY VALUE"),
        (("set", "providers.groq.api_key", "gsk_secret"), 3, "GROQ_API_KEY"),
        (("get", "audio.nothing"), 3, "there is no key"),
        (("get",), 2, "write luna config get KEY"),
        (("check", "audio.volume"), 2, "write luna config check"),
        (("edit", "--config", "x.toml"), 2, "--config names a file to read"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(
    box: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = luna(box, *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "gsk_secret" not in done.stderr
    assert sorted(path.name for path in box.rglob("*.toml")) == ["luna.toml"]


def test_edit_keeps_what_is_in_order(box: Path) -> None:
    done = luna(box, "edit", VISUAL=editor(box, "text = text.replace('30', '40')"))
    assert done.returncode == 0, done.stderr
    assert (box / "luna/luna.toml").read_text() == FILE.replace("30", "40")


def test_edit_never_leaves_a_broken_file(box: Path) -> None:
    for program in ("text = 'audio = ['", "text = text.replace('volume', 'volum')"):
        done = luna(box, "edit", VISUAL="", EDITOR=editor(box, program))
        assert done.returncode == 3
        assert "luna.toml" in done.stderr
        assert "Traceback" not in done.stderr
        assert (box / "luna/luna.toml").read_text() == FILE
    assert [path.name for path in (box / "luna").iterdir()] == ["luna.toml"]


def test_edit_without_change_and_with_a_broken_editor(box: Path) -> None:
    assert "Nothing was changed" in luna(box, "edit", VISUAL=editor(box, "")).stdout
    failed = luna(box, "edit", VISUAL=editor(box, "sys.exit(3)"))
    assert failed.returncode == 3
    assert "code 3" in failed.stderr
    nothing = luna(box, "edit", VISUAL="/nowhere/editor")
    assert nothing.returncode == 3
    assert len(nothing.stderr.splitlines()) == 1


def test_edit_makes_the_first_file(tmp_path: Path) -> None:
    done = luna(tmp_path, "edit", VISUAL=editor(tmp_path, "text += '[audio]\\nvolume = 5\\n'"))
    assert done.returncode == 0, done.stderr
    assert luna(tmp_path, "get", "audio.volume").stdout == "5\n"


def test_a_broken_configuration_is_told_by_every_action(box: Path) -> None:
    (box / "luna/luna.toml").write_text("[audio\n")
    for words in (("check",), ("show",), ("get", "audio.volume"), ("set", "audio.volume", "3")):
        done = luna(box, *words)
        assert done.returncode == 3
        assert "not TOML" in done.stderr
        assert "Traceback" not in done.stderr
    fixed = luna(box, "edit", VISUAL=editor(box, "text = '[audio]\\nvolume = 3\\n'"))
    assert fixed.returncode == 0
    assert luna(box, "check").returncode == 0


def test_edit_again_in_a_real_terminal(box: Path) -> None:
    """The first text is wrong; asked, the owner edits again, and the second is right."""
    import pty

    program = (
        "text = '[audio]\\nvolume = 7\\n' if 'loud' in text else text.replace('30', '\"loud\"')"
    )
    env = {**os.environ, "XDG_CONFIG_HOME": str(box), "VISUAL": editor(box, program)}
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*LUNA, "config", "edit"], stdin=follower, stdout=follower, stderr=follower, env=env
    ) as process:
        os.close(follower)
        seen = b""
        while b"[Y/n]" not in seen:
            seen += os.read(leader, 1000)
        assert b"audio.volume" in seen
        assert (box / "luna/luna.toml").read_text() == FILE
        os.write(leader, b"y\n")
        assert process.wait(timeout=60) == 0
    os.close(leader)
    assert luna(box, "get", "audio.volume").stdout == "7\n"
