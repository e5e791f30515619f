"""The pure core, and that systemd-boot's order is what it believes it to be."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.update.slots import (
    Entry,
    after_start,
    entry_text,
    next_boot,
    next_number,
    one_a_slot,
    parse_entry,
    running_slot,
)
from image_build import boot_files
from image_build.targets import TARGETS

ENTRIES = st.builds(
    Entry,
    slot=st.sampled_from(["a", "b"]),
    number=st.integers(0, 50),
    version=st.sampled_from(["0.1.0", "1.2.3", "10.0.1"]),
    left=st.none() | st.integers(0, 3),
    done=st.integers(0, 3),
)


@given(ENTRIES)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    text = entry_text(entry.slot, entry.number, entry.version, "x={slot}")
    found = parse_entry(entry.name, text)
    assert found is not None
    assert (found.slot, found.number, found.version) == (entry.slot, entry.number, entry.version)
    assert (found.left, found.status) == (entry.left, entry.status)
    assert f"options x={entry.slot}\n" in text


def test_the_image_s_own_entry_is_understood() -> None:
    text = boot_files.entry(TARGETS["virt-amd64"], "a", "0.1.0").decode()
    assert parse_entry("luna-a.conf", text) == Entry("a", 0, "0.1.0")
    own = boot_files.command_line(TARGETS["virt-amd64"], "{slot}")
    assert entry_text("a", 1, "0.1.0", own).replace("1-0.1.0", "0.1.0") == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other.conf", "version 1"),
        ("luna-c.conf", "version 1"),
        ("luna-a.conf.new", "version 1"),
        ("luna-a+.conf", "version 1"),
        ("luna-a.conf", ""),
        ("luna-a.conf", "title x\n"),
    ],
)
def test_what_is_no_entry(name: str, text: str) -> None:
    assert parse_entry(name, text) is None


@given(st.lists(ENTRIES, max_size=5))
def test_a_new_trial_is_always_next_and_never_for_ever(entries: list[Entry]) -> None:
    trial = Entry("b", next_number(entries), "0.1.1", left=2)
    others = [entry for entry in entries if entry.slot == "a"]
    assert next_boot([*others, trial]) == trial
    for _ in range(2):
        trial = after_start(trial)
    if any(entry.left != 0 for entry in others):
        chosen = next_boot([*others, trial])
        assert chosen is not None
        assert chosen.slot == "a"


def test_the_better_of_two_entries_counts() -> None:
    old, good = Entry("b", 3, "0.1.1", 1, 1), Entry("b", 3, "0.1.1")
    assert one_a_slot([Entry("b", 3, "0.1.1", 0, 2), good])["b"] == good
    assert one_a_slot([old, Entry("b", 4, "0.1.2", 2)])["b"].number == 4


def test_the_running_slot() -> None:
    assert running_slot("root=PARTLABEL=root_b ro luna.slot=b quiet\n") == "b"
    assert running_slot("quiet xluna.slot=b luna.slot=c") == ""


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize(
    ("higher", "lower"),
    [("1-0.1.0", "0.9.9"), ("2-0.1.0", "1-9.9.9"), ("10-0.1.0", "9-0.1.0"), ("2-1.0.0", "1.99.99")],
)
def test_systemd_orders_versions_by_the_number_in_front(higher: str, lower: str) -> None:
    done = subprocess.run(["systemd-analyze", "compare-versions", higher, "gt", lower], check=False)
    assert done.returncode == 0
