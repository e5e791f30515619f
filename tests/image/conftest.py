"""Builds the image once for all tests in this folder."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from appliance import paths
from image_build import qemu
from tests.image.box import TARGET
from tests.systemd.debian_root import PROJECT, cache, llama_wheel

MODELS = ("smollm2-135m-instruct-q4_1", "whisper-tiny.en", "smart-turn-v3.2")
"""The smallest of each kind. The voice is espeak-ng: a second of Piper's takes ten billion
multiplications, and an emulated one takes several nanoseconds."""
CONFIGURATION = """
[general]
languages = ["en"]
[llm]
chat_model = "smollm2-135m-instruct-q4_1"
code_model = "smollm2-135m-instruct-q4_1"
temperature = 0.0
[stt]
model = "whisper-tiny.en"
[tts.voices]
en = "espeak-ng"
[listen]
wait_for_speech_s = 60.0
[assistant]
filler_after_s = 0.0     # what is heard is the answer
give_up_after_s = 600.0
"""
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "depmod": "kmod",
}
"""Programs that building and booting need, and Debian's packages that have them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say loudly where nothing of this can be tested."""
    reason = ""
    if os.geteuid() != 0:
        reason = "building an image needs root; run this as root"
    elif platform.machine() != "x86_64":
        reason = "this machine is no x86-64, and nobody has tried to build the image on another"
    if reason:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=f"NOT TESTED: {reason}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a box said last when its test fails."""
    report = yield
    box = getattr(item, "funcargs", {}).get("box")
    if report.failed and box is not None:
        report.sections.append(("the box", box.last_words()))
    return report


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The image, by the real builder, with the smallest models."""
    missing = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
    if not qemu.FIRMWARE[TARGET.arch][0].exists():
        missing.append("ovmf" if TARGET.arch == "amd64" else "qemu-efi-aarch64")
    if missing:
        pytest.fail(f"install what the image needs: apt-get install {' '.join(missing)}")
    out = tmp_path_factory.mktemp("image")
    try:
        (out / "luna.toml").write_text(CONFIGURATION, encoding="utf-8")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "image_build", TARGET.name, "--config", out / "luna.toml"),
                *("--models-dir", paths.models_dir(), "--cache", cache() / "images"),
                *("--llama-wheel", llama_wheel("portable", TARGET.platform), "--out", out),
                *(word for name in MODELS for word in ("--model", name)),
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:]
        shutil.rmtree(out / f"{TARGET.name}.work")
        yield out / f"luna-{TARGET.name}.img"
    finally:
        shutil.rmtree(out)
