"""`make install` and `make uninstall`: below a folder, and in a Debian 12 without systemd running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.systemd.debian_root import PROJECT, cache, debian_root, files_of, needs_root
from tests.systemd.installing import SETUP, arguments, environment, make

pytestmark = [pytest.mark.slow, needs_root]

CONFIGURATION = {"/etc", "/etc/luna", "/etc/luna/luna.toml"}
VOLATILE = ("/proc", "/dev", "/sys", "/run", "/tmp", "/var/cache", "/var/log", "/work", "/root")


def test_below_a_folder_it_comes_twice_and_goes_without_a_trace(tmp_path: Path) -> None:
    root = tmp_path / "root"
    said = make("install", root)
    assert "Not done: the user" in said
    assert (root / "usr/bin/luna").stat().st_mode & 0o777 == 0o755
    first = files_of(root)
    for name in (
        "/usr/lib/systemd/system/luna.service",
        "/usr/lib/sysusers.d/luna.conf",
        "/usr/lib/tmpfiles.d/luna.conf",
        "/usr/lib/udev/rules.d/70-luna.rules",
        "/usr/share/polkit-1/rules.d/50-luna.rules",
        "/usr/share/man/man1/luna.1.gz",
        "/usr/share/bash-completion/completions/luna",
        "/etc/luna/luna.toml",
        "/opt/luna/bin/python",
    ):
        assert name in first
    version = [str(root / "opt/luna/bin/python"), "-P", "-m", "appliance.cli", "--version"]
    assert subprocess.run(version, capture_output=True, check=True).stdout.startswith(b"luna ")

    (root / "etc/luna/luna.toml").write_text("# mine\n")
    (root / "var/lib/luna").mkdir(parents=True)
    (root / "var/lib/luna/kept").write_text("kept")
    # What the version before had, and this one has no more.
    (root / "usr/share/old-part").write_text("")
    with (root / "opt/luna/files").open("a") as files:
        files.write("/usr/share/old-part\n")
    make("install", root)
    data = {"/var", "/var/lib", "/var/lib/luna", "/var/lib/luna/kept"}
    assert files_of(root) == first | data
    assert (root / "etc/luna/luna.toml").read_text() == "# mine\n"

    assert "Kept" in make("uninstall", root)
    assert files_of(root) == CONFIGURATION | data
    make("uninstall", root, PURGE="1")
    assert files_of(root) == set()


def test_in_a_debian_where_systemd_does_not_run(tmp_path: Path) -> None:
    """The scripts run inside, as on the machine itself; the build tools are this machine's."""
    with debian_root(tmp_path / "root") as debian:
        before = files_of(debian.folder, *VOLATILE)
        folders = {PROJECT, Path(sys.prefix), Path(sys.base_prefix), cache()}
        binds = tuple(path for path in folders if path != Path("/usr"))
        script = ["sh", str(SETUP / "install.sh"), *arguments()]
        said = debian.run(*script, environment=environment(), binds=binds).stdout
        assert "Not done: the start: systemd does not run here" in said
        assert "sudo -u luna luna models pull" in said

        assert debian.run("luna", "--version").stdout.startswith("luna ")
        debian.run("luna", "config", "check")
        assert debian.run("stat", "-c", "%U %a", "/var/lib/luna").stdout.split() == ["luna", "750"]
        wanted = debian.folder / "etc/systemd/system/multi-user.target.wants/luna.service"
        assert wanted.is_symlink()
        # Luna's user may read her own program, and may not change it.
        as_luna = ["runuser", "-u", "luna", "--"]
        assert debian.run(*as_luna, "luna", "--version").stdout.startswith("luna ")
        written = debian.run(*as_luna, "touch", "/opt/luna/x", check=False)
        assert written.returncode != 0

        (debian.folder / "var/lib/luna/kept").write_text("kept")
        script = ["sh", str(SETUP / "uninstall.sh")]
        debian.run(*script, binds=binds)
        left = files_of(debian.folder, *VOLATILE) - before
        assert "/var/lib/luna/kept" in left
        assert not {name for name in left if name.startswith(("/opt", "/usr"))}
        assert not wanted.is_symlink()

        debian.run(*script, environment={"PURGE": "1"}, binds=binds)
        left = files_of(debian.folder, *VOLATILE) - before
        assert not {name for name in left if "luna" in name}
        assert "luna:" not in (debian.folder / "etc/passwd").read_text()
