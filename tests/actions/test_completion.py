"""Completion in real shells, and manual pages that a real formatter reads."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.actions import man
from appliance.actions.completion import commands, script
from appliance.cli import build_parser
from tests.service import LUNA

COMPLETE = """
source "$1"
complete -p luna >&2
shift
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
COMP_LINE="${COMP_WORDS[*]}"
COMP_POINT=${#COMP_LINE}
function=$(complete -p luna | sed 's/.*-F \\([^ ]*\\).*/\\1/')
COMPREPLY=()
"$function" luna "${COMP_WORDS[$COMP_CWORD]}" "${COMP_WORDS[$COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "luna"
    done = subprocess.run([*LUNA, "completion", "bash"], capture_output=True, text=True, check=True)
    path.write_text(done.stdout)
    return path


def completed(bash_script: Path, *words: str) -> set[str]:
    """Return what a real bash offers after *words*, the last of which may be a beginning."""
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE, "bash", str(bash_script), "luna", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "-F" in done.stderr
    return {word.strip() for word in done.stdout.splitlines() if word.strip()}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("mo",), {"models"}),
        (("con",), {"config"}),
        (("models", "re"), {"recommend", "remove"}),
        (("models", "pull", "whisper-b"), {"whisper-base"}),
        (("models", "use", "ch"), {"chat"}),
        (
            ("config", "set", "audio.vol"),
            {"audio.volume", "audio.volume_limit", "audio.volume_step"},
        ),
        (("providers", "test", "gro"), {"groq"}),
        (("board", "show", "codec"), {"codec-zero"}),
        (("mute", ""), {"on", "off"}),
        (("models", "--ap"), {"--apply"}),
    ],
)
def test_bash_completes(bash_script: Path, words: tuple[str, ...], offered: set[str]) -> None:
    assert completed(bash_script, *words) == offered


def test_bash_offers_every_command(bash_script: Path) -> None:
    assert set(commands(build_parser())) <= completed(bash_script, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_a_script_that_it_reads(shell: str, tmp_path: Path) -> None:
    text = script(shell)
    assert "whisper-base" in text
    path = tmp_path / "script"
    path.write_text(text)
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(path)], check=True)


def test_there_is_a_page_for_each_command_with_all_its_options() -> None:
    pages = man.pages()
    parser = build_parser()
    assert set(pages) == {"luna.1", *(f"luna-{name}.1" for name in commands(parser))}
    for name, command in commands(parser).items():
        assert f"luna\\-{name} (1)" in pages["luna.1"]
        for action in command._actions:
            for option in action.option_strings:
                assert option.replace("-", "\\-") in pages[f"luna-{name}.1"]


@pytest.mark.skipif(not shutil.which("groff"), reason="groff is not installed")
def test_the_pages_are_formatted_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run([*LUNA, "man", "--to", str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 0
    for page in sorted(tmp_path.glob("*.1")):
        made = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", str(page)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert not made.stderr, page.name
        assert "EXIT STATUS" in re.sub(".\b", "", made.stdout)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [*LUNA, "man", "--to", str(tmp_path / "file/man")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
