"""A box of its own for a test: folders, small models, and the kernel's files in a tree."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.service import LUNA

ROUTE = """\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""
MODELS = {
    "box-chat": ("chat", 300),
    "box-code": ("code", 300),
    "box-hears": ("stt", 100),
    "box-ends": ("endpoint", 50),
    "box-voice": ("tts", 50),
}
DEFAULTS = """\
[defaults]
chat = "box-chat"
code = "box-code"
stt = "box-hears"
stt_small = "box-hears"
endpoint = "box-ends"
tts = { en = "box-voice" }
"""
LAX = """
[thresholds]
cpu_wait_percent = [101.0, 101.0]
capture_queue = [1e6, 1e6]
capture_drops = [1e6, 1e6]
playback_gaps = [1e6, 1e6]
memory_free_percent = [0.0, 0.0]
disk_free_mb = [1.0, 0.5]
restarts = [1000.0, 1000.0]
"""
"""What the machine that runs the tests is busy with is none of the box's faults."""


@dataclass
class Scratch:
    """Makes the box, and runs commands in it."""

    folder: Path
    """Short: Unix sockets have room for about 100 characters."""
    settings: str = ""
    """More for luna.toml."""
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.folder / "root"
        self.data = self.folder / "data"
        self.models = self.folder / "models"
        self.config = self.folder / "luna"
        self.data.mkdir(mode=0o700)
        for name, text in {
            "proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n",
            "proc/net/route": ROUTE,
            "proc/mounts": "/dev/root / ext4 rw,noatime 0 0\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "48000",
        }.items():
            self.put(name, text)
        self.config.mkdir()
        self.write_settings(self.settings)
        self.write_models(MODELS)
        self.env = {
            **os.environ,
            **self.env,
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "DATA_DIR": str(self.data),
            "LUNA_MODELS_DIR": str(self.models),
            "LUNA_OWN_SERVICE": "1",
        }

    def put(self, name: str, text: str) -> None:
        """Write a file of the kernel's."""
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def write_settings(self, text: str) -> None:
        (self.config / "luna.toml").write_text(f"[web]\nport = 0\n{LAX}\n{text}\n")

    def write_models(self, models: dict[str, tuple[str, int]]) -> None:
        """Describe models and put their files there; each has a role and a need of memory (MB)."""
        tables = [DEFAULTS]
        for name, (role, memory) in models.items():
            content = hashlib.sha256(name.encode()).digest() * 1000
            (self.models / name).mkdir(parents=True, exist_ok=True)
            (self.models / name / "weights.bin").write_bytes(content)
            tables.append(
                f'[[model]]\nname = "{name}"\ntitle = "Test"\nroles = ["{role}"]\n'
                f'licence = "MIT"\nlanguages = ["en", "pt"]\nmemory_mb = {memory}\n'
                f'prompt_format = "chatml"\n[[model.files]]\nname = "weights.bin"\n'
                f'bytes = {len(content)}\nsha256 = "{hashlib.sha256(content).hexdigest()}"\n'
                f'url = "http://127.0.0.1:9/{name}"\n'
            )
        (self.config / "models.toml").write_text("\n".join(tables))

    def luna(self, *words: str, before: tuple[str, ...] = (), **env: str) -> Any:
        """Run a command; *before* stands before `luna`."""
        return subprocess.run(
            [*before, *LUNA, *words],
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def doctor(
        self, *words: str, before: tuple[str, ...] = (), **env: str
    ) -> tuple[dict[str, str], int, dict[str, Any]]:
        """Run `luna doctor`; return what is not well (name and level), code and whole answer."""
        done = self.luna("doctor", "--json", "--root", str(self.root), *words, before=before, **env)
        assert done.stdout, done.stderr
        answer = json.loads(done.stdout)
        bad = {row["name"]: row["level"] for row in answer["findings"] if row["level"] != "ok"}
        names = [row["name"] for row in answer["findings"] if row["level"] != "ok"]
        assert len(names) == len(bad), f"two of one name: {answer['findings']}"
        return bad, done.returncode, answer
