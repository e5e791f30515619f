"""The lock of Debian's versions, and where packages come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_build import debian_packages
from image_build.targets import COMMON_PACKAGES, TARGETS

STATUS = """\
Package: zlib1g
Status: install ok installed
Version: 1:1.2.13.dfsg-1
Architecture: arm64
Description: a library
 in two lines

Package: gone
Status: deinstall ok config-files
Version: 1

Package: adduser
Status: install ok installed
Version: 3.134
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    return tmp_path


def test_what_is_installed(root: Path) -> None:
    found = debian_packages.installed(root)
    assert list(found.items()) == [("adduser", "3.134"), ("zlib1g", "1:1.2.13.dfsg-1")]


def test_the_lock_says_what_differs(root: Path) -> None:
    lock, found = root / "lock", debian_packages.installed(root)
    assert debian_packages.differences(lock, found) == ["there is no lock; --write-lock makes one"]
    debian_packages.write_lock(lock, found)
    assert lock.read_text() == "adduser=3.134\nzlib1g=1:1.2.13.dfsg-1\n"
    assert debian_packages.differences(lock, found) == []
    assert debian_packages.differences(lock, {"adduser": "3.135", "bash": "5"}) == [
        "adduser is 3.135 and not 3.134",
        "bash 5 is not in the lock",
        "zlib1g 1:1.2.13.dfsg-1 is in the lock and was not installed",
    ]


def test_where_packages_come_from() -> None:
    assert debian_packages.sources("") == []
    assert debian_packages.sources("http://mirror/debian") == ["http://mirror/debian"]
    lines = debian_packages.sources("20261121T000000Z")
    assert len(lines) == 3
    assert all("snapshot.debian.org" in line and "20261121T000000Z" in line for line in lines)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_the_locks_have_what_the_targets_ask_for(name: str) -> None:
    lines = debian_packages.lock_file(TARGETS[name]).read_text().splitlines()
    locked = {line.partition("=")[0] for line in lines}
    assert {*COMMON_PACKAGES, *TARGETS[name].packages} <= locked
