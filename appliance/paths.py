"""Where things lie: as a system service, and for an ordinary user (XDG base directories)."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from appliance.errors import ServiceError

SERVICE_USER = "luna"


def is_service() -> bool:
    """Return whether this is the system service: systemd says so, or the user is ``luna``."""
    if os.environ.get("RUNTIME_DIRECTORY") or os.environ.get("STATE_DIRECTORY"):
        return True
    try:
        return pwd.getpwuid(os.getuid()).pw_name == SERVICE_USER
    except KeyError:
        return False


def _xdg(variable: str, fallback: str) -> Path:
    """Return the user's folder for Luna below an XDG base directory (absolute ones only count)."""
    value = os.environ.get(variable, "")
    base = Path(value) if value.startswith("/") else Path.home() / fallback
    return base / "luna"


def config_files() -> list[Path]:
    """Return the configuration files that exist, the later ones overriding the earlier."""
    folder = Path("/etc/luna") if is_service() else _xdg("XDG_CONFIG_HOME", ".config")
    files = [folder / "luna.toml", *sorted((folder / "conf.d").glob("*.toml"))]
    return [file for file in files if file.exists()]


def data_dir(configured: str = "") -> Path:
    """Return the folder of all state that must survive (``DATA_DIR``)."""
    if configured or (configured := os.environ.get("DATA_DIR", "")):
        return Path(configured).expanduser()
    return Path("/var/lib/luna") if is_service() else _xdg("XDG_DATA_HOME", ".local/share")


def cache_dir() -> Path:
    """Return the folder of what can be made again, such as evaluated prompts."""
    return Path("/var/cache/luna") if is_service() else _xdg("XDG_CACHE_HOME", ".cache")


def models_dir(configured: str = "") -> Path:
    """Return the folder of the model files."""
    if configured or (configured := os.environ.get("LUNA_MODELS_DIR", "")):
        return Path(configured).expanduser()
    return cache_dir() / "models"


def runtime_dir() -> Path:
    """Return the folder of the control socket, made for the owner alone if it is not there.

    Never a guessable place that others can write to: without ``XDG_RUNTIME_DIR`` the user's own
    cache serves.

    Raises:
        ServiceError: it cannot be made, or belongs to somebody else.
    """
    if is_service():
        return Path(os.environ.get("RUNTIME_DIRECTORY", "/run/luna").split(":")[0])
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(base) / "luna" if base.startswith("/") else cache_dir() / "run"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise ServiceError(f"{folder} belongs to another user; set XDG_RUNTIME_DIR")
    except OSError as error:
        raise ServiceError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return folder


def control_socket() -> Path:
    """Return the socket by which commands reach the running service.

    A client that is not the service itself looks for the system's service first.
    """
    service = Path("/run/luna/control.sock")
    if service.exists() and not os.environ.get("LUNA_OWN_SERVICE"):
        return service
    return runtime_dir() / "control.sock"
