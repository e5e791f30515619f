"""Which Python packages go into a tree, and that the tree does not tell when it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_build import python_tree
from image_build.targets import TARGETS

TEXT = """\
alpha==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:ab
arm-only==2.0 ; platform_machine == 'aarch64' \\
    --hash=sha256:bb
llama-cpp-python==0.3.16 \\
    --hash=sha256:cc
new-python==3.0 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
old-python==4.0 ; python_full_version < '3.12' \\
    --hash=sha256:ee
"""


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("virt-amd64", ["alpha", "old-python"]),
        ("virt-arm64", ["alpha", "arm-only", "old-python"]),
        ("pi5", ["alpha", "arm-only", "old-python"]),
    ],
)
def test_the_lines_that_hold_for_a_target(tmp_path: Path, target: str, names: list[str]) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(TEXT)
    lines = python_tree.lock_for(TARGETS[target], lock).splitlines()
    assert [line.partition("==")[0] for line in lines if "==" in line] == names
    assert "    --hash=sha256:ab" in lines, "a package without its hashes would not be installed"
    assert not any(";" in line or "sha256:cc" in line for line in lines)


def test_the_lock_of_the_project_holds_for_every_target() -> None:
    for target in TARGETS.values():
        text = python_tree.lock_for(target, python_tree.LOCK)
        assert "\nnumpy==" in text
        assert "llama-cpp-python" not in text


def test_compiled_twice_in_different_folders_is_the_same(tmp_path: Path) -> None:
    compiled = []
    for name in ("one", "another"):
        library = tmp_path / name / "opt/lib"
        library.mkdir(parents=True)
        for module in ("first", "second"):
            (library / f"{module}.py").write_text(f"NAMES = ('{module}', 'x')\ndef f(): return 1\n")
        python_tree.compile_all(tmp_path / name, ("opt/lib",))
        python_tree.set_times(tmp_path / name, 1_700_000_000)
        files = sorted(library.rglob("*.pyc"))
        assert len(files) == 2
        assert {int(path.stat().st_mtime) for path in (library, *files)} == {1_700_000_000}
        compiled.append([file.read_bytes() for file in files])
    assert compiled[0] == compiled[1]
    assert b"/opt/lib/first.py" in compiled[0][0], "a traceback names the file on the box"
