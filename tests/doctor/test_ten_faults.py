"""Ten real faults in one box: `luna doctor` names all ten and none else; a healthy box gives none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.loop import loop, pactl
from tests.doctor.scratch import MODELS, Scratch
from tests.fake_provider import failing
from tests.service import Service, service
from tests.sound_card import VirtualSoundCard
from tests.threaded_provider import ThreadedProvider

pytestmark = [pytest.mark.slow]
TOO_BIG = {"box-code": ("code", 90_000)}
IN_1970 = ("faketime", "1970-01-01 00:20:00")


@contextmanager
def killed_again_and_again(luna: Service, worker: str) -> Iterator[None]:
    """Kill a worker as often as it comes, as one would end that is not well."""
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            if pid := asked(luna)[worker]["pid"]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            over.wait(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    # The pause after a failure doubles: from now on it is mostly waiting.
    while asked(luna)[worker]["restarts"] < 4:
        time.sleep(0.1)
    try:
        yield
    finally:
        over.set()
        killer.join(20)


def asked(luna: Service) -> dict[str, Any]:
    """Return what the service says of its workers, over a connection of its own."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(luna.folder / "luna/control.sock"))
    with connection, connection.makefile("rwb") as stream:
        stream.write(b'{"type":"health_requested"}\n')
        stream.flush()
        for line in stream:
            event = json.loads(line)
            if event["type"] == "health":
                return dict(event["report"]["workers"])
    raise AssertionError


def damage(file: Path) -> None:
    """Change one byte, as a bad card does."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.skipif(not shutil.which("faketime"), reason="needs faketime")
def test_ten_faults_beside_a_running_service(short_path: Path) -> None:
    with ThreadedProvider() as provider:
        provider.play(failing(401))
        box = Scratch(
            short_path,
            f'[providers.refusing]\nbase_url = "{provider.base_url}"\n'
            'models = { chat = "some" }\n',
            {"REFUSING_API_KEY": "a-key-that-was-withdrawn"},
        )
        settings = (box.config / "luna.toml").read_text()
        with _running(box) as luna:
            luna.until_ready()
            # 1 a wrong key in the configuration, 2 a damaged model, 3 a missing one, 4 one that
            # is too big, 5 a data folder that anybody may write, 6 a processor that is too hot,
            # 7 a muted microphone, 8 a worker that does not stay alive, 9 a provider that refuses
            # the key, 10 a clock that shows 1970
            (box.config / "luna.toml").write_text(settings.replace("[web]", "[web]\nprot = 1"))
            box.write_models({**MODELS, **TOO_BIG})
            damage(box.models / "box-hears/weights.bin")
            shutil.rmtree(box.models / "box-voice")
            box.data.chmod(0o777)
            box.put("sys/class/thermal/thermal_zone0/temp", "91000")
            assert box.luna("mute", "on").returncode == 0
            with killed_again_and_again(luna, "tts"):
                bad, code, answer = box.doctor("--providers", "--no-sound", before=IN_1970)
    assert len(bad) == 10, answer
    assert bad == {
        "configuration.mistake": "failure",
        "models.damaged": "failure",
        "models.missing": "failure",
        "models.too_big": "failure",
        "permissions.data_mode": "failure",
        "heat.temperature_c": "failure",
        "sound.muted": "warning",
        "workers.dead": "failure",
        "providers.failed": "failure",
        "clock.wrong": "failure",
    }
    assert code == 21


@pytest.mark.sound
def test_ten_faults_of_a_box_that_does_not_start(
    short_path: Path, sound_card: VirtualSoundCard
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger, full_disk(short_path / "full") as full:
        box = Scratch(
            short_path,
            # 1 the page's port is taken, 2 a speaker that is not there, 3 quiet hours with one
            # end, 4 a server on the LAN that is off
            '[audio]\noutput_device = "The one in the kitchen"\n'
            '[reminders]\nquiet_from = "22:00"\n'
            '[providers.attic]\nbase_url = "http://127.0.0.1:9/v1"\nlan = true\n'
            'models = { chat = "some" }\n',
            sound_card.env,
        )
        toml = box.config / "luna.toml"
        port = stranger.getsockname()[1]
        toml.write_text(toml.read_text().replace("port = 0", f"port = {port}"))
        # 5 the models' disk is full, 6 a mount became read-only, 7 a file system with errors,
        # 8 worn flash, 9 a secret that all may read, 10 low voltage since the start
        shutil.copytree(box.models, full, dirs_exist_ok=True)
        fill(full)
        box.put(
            "proc/mounts",
            f"/dev/root / ext4 rw 0 0\n/dev/mmcblk0p3 {box.data.resolve()} ext4 ro,noatime 0 0\n",
        )
        box.put("sys/fs/ext4/mmcblk0p3/errors_count", "7")
        box.put("sys/block/mmcblk0/device/life_time", "0x02 0x0b")
        box.put("sys/block/mmcblk0/device/pre_eol_info", "0x01")
        secret = box.data / "secrets/web-session.key"
        secret.parent.mkdir(mode=0o700)
        secret.write_bytes(os.urandom(32))
        secret.chmod(0o644)
        box.put("sys/devices/platform/soc/soc:firmware/get_throttled", "50000")
        bad, code, _ = box.doctor(LUNA_MODELS_DIR=str(full))
    assert bad == {
        "network.port_taken": "failure",
        "sound.speaker_unknown": "failure",
        "configuration.unfit": "warning",
        "providers.unreachable": "warning",
        "disk.full": "failure",
        "disk.read_only": "failure",
        "disk.errors": "failure",
        "disk.worn": "failure",
        "permissions.secret": "failure",
        "heat.was_throttled": "warning",
    }
    assert code == 21


@pytest.mark.sound
def test_a_healthy_box_gives_none(short_path: Path, sound_card: VirtualSoundCard) -> None:
    box = Scratch(short_path, env=sound_card.env)
    sound_card.noise()
    with loop(sound_card):
        bad, code, answer = box.doctor()
    assert bad == {}
    assert code == 0
    names = {row["name"] for row in answer["findings"]}
    assert {"models.ok", "disk.ok", "heat.ok", "permissions.ok"} <= names
    assert {"sound.ok", "sound.ok_echo"} & names  # a busy machine makes gaps that look like echoes


def test_a_healthy_box_with_a_running_service_gives_none(short_path: Path) -> None:
    box = Scratch(short_path)
    with _running(box) as luna:
        luna.until_ready()
        bad, code, answer = box.doctor("--no-sound")
    assert bad == {}
    assert code == 0
    names = {row["name"] for row in answer["findings"]}
    assert {"service.ok", "workers.ok", "crashes.ok"} <= names


@pytest.mark.sound
def test_a_microphone_that_is_muted_in_the_mixer(
    short_path: Path, sound_card: VirtualSoundCard
) -> None:
    box = Scratch(short_path, env=sound_card.env)
    pactl(sound_card, "set-source-mute", "luna_microphone", "1")
    with loop(sound_card):
        bad, _, _ = box.doctor()
    assert bad == {"sound.microphone_silent": "failure"}


# --- helpers -------------------------------------------------------------------------------------


@contextmanager
def _running(box: Scratch) -> Iterator[Service]:
    """Run the service with fake engines on the box's own folders."""
    with service(box.folder, "--fake", env=box.env) as luna:
        yield luna


@contextmanager
def full_disk(point: Path) -> Iterator[Path]:
    """Mount a disk of 4 MB while the context lasts."""
    point.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(point)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("mounting a disk needs root")
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", str(point)], check=True)


def fill(folder: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while file.write(bytes(65536)):
            pass
