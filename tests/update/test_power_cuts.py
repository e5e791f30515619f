"""The power fails at each single step of an update: there is always one slot that starts."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance import __version__
from appliance.errors import UpdateError
from appliance.update.loaders import SystemdBoot, Tryboot, autoboot
from appliance.update.slots import Entry, after_start, entry_text, next_boot, parse_entry
from appliance.update.updater import Places, Updater
from tests.update.bundles import (
    COMMAND_LINE,
    NEXT,
    as_source,
    boot_of,
    box,
    bundle,
    random_bytes,
    root_of,
)
from tests.update.simulated import Card, Image

SLOT = 8 * 4096
BOARD = b"[all]\ndtoverlay=rpi-codeczero\n"
VARIANTS = 6
"""Random states of the card, for each place of a cut."""


def fresh(kind: str) -> Image:
    """Return the card of a box on which slot A runs, and B holds something of long ago."""
    files = {f"a/{name}": data for name, data in boot_of(__version__).items()}
    files |= {"b/linux": b"old", "b/left-over": b"old"}
    if kind == "efi":
        files["loader/entries/luna-a.conf"] = entry_text("a", 0, __version__, COMMAND_LINE).encode()
    else:
        files |= {"a/luna.version": f"# luna {__version__}\n".encode(), "a/luna.good": b"\n"}
        files["a/board.txt"] = BOARD
        files["autoboot.txt"] = autoboot("a").encode()
    slots = {"a": root_of(__version__).ljust(SLOT, b"\0"), "b": random_bytes(SLOT)}
    return Image(files, slots)


def as_booted(image: Image, kind: str, *, trial: bool = False) -> str:
    """Return the version that the boot loader starts from *image*: whole, or the test fails.

    This is the boot loader's own rule, written down once more.
    """
    if kind == "pi":
        default, tried = re.findall(
            r"(?m)^boot_partition=(\d)$", image.files["autoboot.txt"].decode()
        )
        slot = {"2": "a", "3": "b"}[tried if trial else default]
        assert image.files.get(f"{slot}/board.txt", BOARD) == BOARD
    else:
        entry = _chosen(image)
        slot = entry.slot
    version = image.slots[slot].split(b"\1")[0].decode()
    assert image.slots[slot].startswith(root_of(version)), f"slot {slot} is torn"
    for name, data in boot_of(version).items():
        assert image.files[f"{slot}/{name}"] == data, f"{name} of slot {slot} is torn"
    if kind == "efi":
        text = image.files[f"loader/entries/{entry.name}"].decode()
        assert text == entry_text(slot, entry.number, version, COMMAND_LINE)
    return version


def _chosen(image: Image) -> Entry:
    """Return the entry that is taken; one that names no kernel is none."""
    found = []
    for name, data in image.files.items():
        if name.startswith("loader/entries/") and name.endswith(".conf"):
            found.append(parse_entry(Path(name).name, data.decode()))
    entry = next_boot([entry for entry in found if entry])
    assert entry is not None, "there is nothing to start"
    return entry


def started(image: Image) -> Image:
    """Return the card after systemd-boot has started what it chose."""
    entry = _chosen(image)
    files = dict(image.files)
    text = files.pop(f"loader/entries/{entry.name}")
    files[f"loader/entries/{after_start(entry).name}"] = text
    return Image(files, image.slots)


class Cut(BaseException):
    """The power failed."""


@pytest.fixture(params=["efi", "pi"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return bundle(tmp_path).read_bytes()


def updater(folder: Path, image: Image, kind: str, running: str = "a") -> tuple[Updater, Card]:
    """Return the updater of a box with a simulated card; its own state is kept for real."""
    target = folder / running
    places = Places(target / "box") if target.exists() else box(target, running=running)
    card = Card(places.boot, image)
    made = Updater(places, card)
    made.loader = (SystemdBoot if kind == "efi" else Tryboot)(places.boot, card)
    return made, card


def install(made: Updater, card: Card, data: bytes) -> None:
    source = as_source(data)
    manifest = made.read_head(source)
    made.fill(manifest, source, card.slots["b"], lambda _stage, _percent: None)


def cuts(made: Updater, card: Card, work: object, seed: int) -> Iterator[Image]:
    """Yield what may be left of each cut during ``work()``, and last what it leaves itself."""
    left: list[Image] = []
    rng = random.Random(seed)
    card.on_operation = lambda: left.extend(card.images(rng, VARIANTS))
    work()  # type: ignore[operator]
    yield from left
    (end, *_) = card.images(rng, 0)
    yield end


def test_there_is_always_a_slot_that_starts(tmp_path: Path, data: bytes, kind: str) -> None:
    made, card = updater(tmp_path, fresh(kind), kind)
    images = list(cuts(made, card, lambda: install(made, card, data), 1))
    assert len(images) > 100
    for image in images[:-1]:
        assert as_booted(image, kind) in (__version__, NEXT)
    end = images[-1]
    assert as_booted(end, kind, trial=True) == NEXT
    if kind == "pi":
        assert as_booted(end, kind) == __version__  # a start that nobody asked to be a trial


def test_an_update_goes_on_after_any_cut(tmp_path: Path, data: bytes, kind: str) -> None:
    made, card = updater(tmp_path, fresh(kind), kind)
    images = list(cuts(made, card, lambda: install(made, card, data), 2))
    for image in random.Random(3).sample(images[:-1], 60):
        if as_booted(image, kind) != __version__:
            continue  # it had come to the end
        again, left = updater(tmp_path, image, kind)
        install(again, left, data)
        (end, *_) = left.images(random.Random(0), 0)
        assert as_booted(end, kind, trial=True) == NEXT


def on_trial(folder: Path, data: bytes, kind: str) -> Image:
    made, card = updater(folder, fresh(kind), kind)
    install(made, card, data)
    (end, *_) = card.images(random.Random(0), 0)
    return started(end) if kind == "efi" else end


def test_a_new_slot_that_passes_stays_whenever_the_power_fails(
    tmp_path: Path, data: bytes, kind: str
) -> None:
    image = on_trial(tmp_path, data, kind)
    made, card = updater(tmp_path, image, kind, running="b")
    images = list(cuts(made, card, lambda: made.loader.bless("b"), 4))
    for left in images:
        # On a Raspberry Pi a start that is no trial takes what was blessed before.
        assert as_booted(left, kind) in ((NEXT,) if kind == "efi" else (__version__, NEXT))
    assert as_booted(images[-1], kind) == NEXT
    assert made.loader.entries()["b"].status == "good"
    if kind == "efi":
        assert as_booted(started(started(started(images[-1]))), kind) == NEXT


def test_a_new_slot_that_fails_is_left_after_two_tries(tmp_path: Path, data: bytes) -> None:
    image = on_trial(tmp_path, data, "efi")  # the first try is spent
    assert as_booted(image, "efi") == NEXT
    image = started(image)
    for _ in range(3):
        assert as_booted(image, "efi") == __version__
        image = started(image)
    made, card = updater(tmp_path, image, "efi")
    assert made.loader.entries()["b"].status == "failed"
    install(made, card, data)  # and it may be tried anew
    assert made.loader.next() == "b"


def test_going_back_is_safe_at_each_moment(tmp_path: Path, data: bytes, kind: str) -> None:
    image = on_trial(tmp_path, data, kind)
    made, card = updater(tmp_path, image, kind, running="b")
    made.loader.bless("b")
    images = list(cuts(made, card, made.rollback, 5))
    for left in images:
        assert as_booted(left, kind) in (__version__, NEXT)
    assert as_booted(images[-1], kind) == __version__
    made.loader.prefer("b")
    assert made.loader.next() == "b"


def test_a_slot_that_is_next_is_given_up_before_it_is_overwritten(
    tmp_path: Path, data: bytes, kind: str
) -> None:
    """The owner went back, did not restart, and updates."""
    image = on_trial(tmp_path, data, kind)
    made, card = updater(tmp_path, image, kind, running="b")
    made.loader.bless("b")
    made.loader.prefer("a")
    other = bundle(tmp_path, "0.1.10").read_bytes()

    def work() -> None:
        source = as_source(other)
        manifest = made.read_head(source)
        made.fill(manifest, source, card.slots["a"], lambda _stage, _percent: None)

    images = list(cuts(made, card, work, 6))
    for left in images:
        assert as_booted(left, kind) in (__version__, NEXT, "0.1.10")
    assert as_booted(images[-1], kind, trial=True) == "0.1.10"


def test_a_damaged_bundle_leaves_the_running_slot(tmp_path: Path, data: bytes, kind: str) -> None:
    made, card = updater(tmp_path, fresh(kind), kind)
    with pytest.raises(UpdateError):
        install(made, card, data[:-1] + bytes([data[-1] ^ 1]))
    (end, *_) = card.images(random.Random(0), 0)
    assert as_booted(end, kind) == __version__
    assert made.loader.next() == "a"


def test_nobody_goes_back_to_a_slot_that_is_half_written(
    tmp_path: Path, data: bytes, kind: str
) -> None:
    """The slot that is overwritten had been a good one."""
    image = on_trial(tmp_path, data, kind)
    made, card = updater(tmp_path, image, kind, running="b")
    made.loader.bless("b")
    other = bundle(tmp_path, "0.1.10").read_bytes()

    def work() -> None:
        source = as_source(other)
        manifest = made.read_head(source)
        made.fill(manifest, source, card.slots["a"], lambda _stage, _percent: None)

    for left in list(cuts(made, card, work, 7)):
        again, rest = updater(tmp_path, left, kind, running="b")
        with contextlib.suppress(UpdateError):
            again.rollback()
        (end, *_) = rest.images(random.Random(0), 0)
        as_booted(end, kind)
