"""`luna volume` and `luna mute` against a running service of fakes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.service import LUNA, service


def test_volume_of_the_running_service(short_path: Path) -> None:
    with service(short_path, "--fake") as luna:
        luna.until_ready("audio", "listen")

        def volume(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [*LUNA, "volume", *words],
                env=luna.env,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )

        said = [volume(*words).stdout for words in ((), ("40",), ("up",), ("down",), ("down",), ())]
        assert said == ["80 %\n", "40 %\n", "45 %\n", "40 %\n", "35 %\n", "35 %\n"]
        wrong = volume("loud")
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert wrong.stderr.startswith("luna: the volume is a number from 0 to 100, up or down")
    # Stopped before the volume had settled: it is kept all the same.
    assert (short_path / "data/volume.json").read_text() == '{"percent": 35}'
