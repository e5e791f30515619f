"""What systemd says of Luna's unit, where there is a systemd."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from appliance.diagnose.sources import UNIT
from appliance.errors import ServiceError

LIMIT_S = 10.0
START_LIMIT_S = 120.0
_PROPERTIES = "LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,Result"


@dataclass(frozen=True)
class Unit:
    """The unit as it is now."""

    active: str
    """``active``, ``inactive``, ``failed``, ``activating`` ..."""
    enabled: bool
    """It is started with the machine."""
    pid: int
    restarts: int
    """By systemd, since the machine started or somebody reset it."""
    result: str
    """Why it ended last: ``success``, ``exit-code``, ``signal``, ``oom-kill`` ..."""


def unit() -> Unit | None:
    """Return the state of Luna's unit; None without systemd, or where it has no such unit."""
    try:
        done = subprocess.run(
            ["systemctl", "show", UNIT, "--property", _PROPERTIES],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    rows = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    if rows.get("LoadState") != "loaded":
        return None
    return Unit(
        rows.get("ActiveState", ""),
        rows.get("UnitFileState") in ("enabled", "enabled-runtime", "static"),
        _number(rows.get("MainPID")),
        _number(rows.get("NRestarts")),
        rows.get("Result", ""),
    )


def restart() -> None:
    """Have systemd restart the unit; returns when it has.

    Raises:
        ServiceError: this user may not, or it does not start.
    """
    try:
        done = subprocess.run(
            ["systemctl", "--no-ask-password", "restart", UNIT],
            capture_output=True,
            text=True,
            timeout=START_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"systemctl did not restart {UNIT}; see `luna doctor`") from error
    if not done.returncode:
        return
    said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
    if any(word in said.lower() for word in ("authentication", "denied", "authoriz")):
        raise ServiceError(f"you may not restart Luna; use: sudo systemctl restart {UNIT}")
    raise ServiceError(f"systemctl did not restart {UNIT} ({said[:120]}); see `luna doctor`")


def _number(word: str | None) -> int:
    return int(word) if word and word.isdigit() else 0
