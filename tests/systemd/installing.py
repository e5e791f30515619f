"""`make install` and `make uninstall`, as tests call them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.systemd.debian_root import PROJECT, cache

SETUP = PROJECT / "image_build/setup"


def arguments() -> list[str]:
    """Return install.sh's arguments: the tools are this machine's."""
    return [sys.executable, str(cache() / "wheels"), str(cache() / "install")]


def environment(**more: str) -> dict[str, str]:
    """Return install.sh's variables."""
    return {"PIP_CACHE_DIR": str(cache() / "pip"), "WITH_MODELS": "no", **more}


def make(what: str, folder: Path, **more: str) -> str:
    """Do as `make install` or `make uninstall` does, below *folder*."""
    words = arguments() if what == "install" else []
    done = subprocess.run(
        ["sh", str(SETUP / f"{what}.sh"), *words],
        env={**os.environ, **environment(DESTDIR=str(folder), **more)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
