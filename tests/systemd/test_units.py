"""The units: what systemd says of them without running them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parent.parent.parent / "systemd").glob("luna*.service"))
EXPOSURE = 2.0
"""`systemd-analyze security` gives 0 (closed) to 10 (open)."""

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="this machine has no systemd-analyze"
)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_no_unit_is_more_open_than_it_must_be(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    assert float(found[1]) <= EXPOSURE


def test_there_is_a_unit_for_each_task() -> None:
    names = {unit.stem for unit in UNITS}
    assert names == {
        "luna",
        "luna-backup",
        "luna-health",
        "luna-last-errors",
        "luna-models",
        "luna-note-errors",
        "luna-retry",
        "luna-update",
    }
