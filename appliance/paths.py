"""Where things lie: as a system service, and for an ordinary user (XDG base directories)."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from appliance.errors import ConfigError, ServiceError

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
    return (Path(value) if value.startswith("/") else _expand(f"~/{fallback}")) / "luna"


def _expand(name: str) -> Path:
    """Return the path *name* with its ``~`` replaced.

    Raises:
        ConfigError: there is no such home folder.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{name}: no such home folder; write the whole path") from error


def config_dir() -> Path:
    """Return the folder of what the owner writes: configuration, prompts, models of his own."""
    return Path("/etc/luna") if is_service() else _xdg("XDG_CONFIG_HOME", ".config")


def config_files() -> list[Path]:
    """Return the configuration files, the later ones overriding the earlier.

    What is there but cannot be read is among them: the owner must hear of it.

    Raises:
        ConfigError: the folder ``conf.d`` cannot be listed.
    """
    folder = config_dir()
    names = ["luna.toml", *(f"conf.d/{name}" for name in _fragments(folder / "conf.d"))]
    return [folder / name for name in names if _is_there(folder / name)]


def _fragments(folder: Path) -> list[str]:
    """Return the names of the TOML files in *folder*; hidden ones belong to editors."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read: {error.strerror}") from error
    return sorted(name for name in names if name.endswith(".toml") and name[0] != ".")


def _is_there(file: Path) -> bool:
    """Return whether there is something of this name, even a link to nowhere."""
    try:
        file.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # reading it will say what is wrong
    return True


def data_dir(configured: str = "") -> Path:
    """Return the folder of all state that must survive (``DATA_DIR``)."""
    if configured or (configured := os.environ.get("DATA_DIR", "")):
        return _expand(configured)
    return Path("/var/lib/luna") if is_service() else _xdg("XDG_DATA_HOME", ".local/share")


def cache_dir() -> Path:
    """Return the folder of what can be made again, such as evaluated prompts."""
    return Path("/var/cache/luna") if is_service() else _xdg("XDG_CACHE_HOME", ".cache")


def models_dir(configured: str = "") -> Path:
    """Return the folder of the model files."""
    if configured or (configured := os.environ.get("LUNA_MODELS_DIR", "")):
        return _expand(configured)
    return cache_dir() / "models"


def first_boot_report() -> Path:
    """Return the report of an image's first start; other machines have none."""
    base = "/run" if is_service() else os.environ.get("XDG_RUNTIME_DIR", "/run")
    return Path(base) / "luna-first-boot.json"


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
        found = folder.stat()
        if found.st_uid != os.getuid():
            raise ServiceError(f"{folder} belongs to another user; set XDG_RUNTIME_DIR")
        if found.st_mode & 0o077:
            folder.chmod(0o700)
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


def api_socket() -> Path:
    """Return the socket of the HTTP API for this machine's own commands, beside the other."""
    return control_socket().with_name("api.sock")
