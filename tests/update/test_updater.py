"""`luna update` on the tree of a box: refusals, resuming, going back."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance import __version__
from appliance.errors import UpdateError, UsageError
from appliance.settings import BackupSettings
from appliance.update.updater import Places, State, Updater
from tests.update.bundles import NEXT, box, bundle, public_key, root_of
from tests.update.test_source import server


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return box(tmp_path)


def apply(
    places: Places, file: Path | str, *, force: bool = False, data: Path | None = None
) -> list[int]:
    percents: list[int] = []
    Updater(places).apply(
        str(file),
        lambda _stage, percent: percents.append(percent),
        force=force,
        data_dir=data or places.root,
        backups=BackupSettings(),
    )
    return percents


def refused(places: Places, file: Path | str, sentence: str) -> None:
    """Check that it is refused with one sentence, and that nothing else has happened."""
    with pytest.raises(UpdateError, match=sentence) as caught:
        apply(places, file)
    assert "\n" not in str(caught.value)
    assert Updater(places).loader.next() == "a"
    assert list(Updater(places).loader.entries()) == ["a"]


def test_an_update_is_tried_next(places: Places, tmp_path: Path) -> None:
    percents = apply(places, bundle(tmp_path))
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert places.slot("b").read_bytes().startswith(root_of(NEXT))
    rows = Updater(places).slots()
    assert [row["status"] for row in rows] == ["good", "trial"]
    assert [row["next"] for row in rows] == [False, True]
    assert rows[1]["version"] == NEXT
    assert sorted(p.name for p in (places.boot / "b").iterdir()) == ["initrd", "linux"]
    assert Updater(places).state() == State("0.0.0", NEXT)


def test_no_slots_no_update(places: Places) -> None:
    places.command_line.write_text("root=/dev/sda1 quiet")
    with pytest.raises(UpdateError, match="has no update slots"):
        Updater(places)


def test_refusals(places: Places, tmp_path: Path) -> None:
    good = bundle(tmp_path)
    data = good.read_bytes()
    wrong = tmp_path / "wrong"
    refused(places, bundle(tmp_path, target="pi5"), "this update is for pi5, and this box is virt")
    refused(places, bundle(tmp_path, root=b"\1" * 9 * 4096), "needs a slot of 36864 bytes")
    refused(places, bundle(tmp_path, __version__), "is what runs already")
    refused(places, bundle(tmp_path, "0.0.9"), f"older than {__version__}")
    refused(places, bundle(tmp_path, key=Ed25519PrivateKey.generate()), "not signed with a key")
    for cut in (len(data) - 1, len(data) // 2, 100, 10, 0):
        wrong.write_bytes(data[:cut])
        refused(places, wrong, "cut off|not an update bundle")
    wrong.write_bytes(data[:-20] + bytes(20))
    refused(places, wrong, "is damaged")
    places.keys[0].unlink()
    refused(places, bundle(tmp_path), "no key, no update")
    places.keys[0].write_bytes(public_key())
    places.target.unlink()
    refused(places, bundle(tmp_path), "which machine this is")


def test_the_floor_holds_until_force(places: Places, tmp_path: Path) -> None:
    updater = Updater(places)
    updater.remember(State(floor="0.1.5"))
    refused(places, bundle(tmp_path, "0.1.4"), "older than 0.1.5")
    apply(places, bundle(tmp_path, "0.1.4"), force=True)
    places.state.write_text("rubbish")
    with pytest.raises(UpdateError, match="is damaged; remove it"):
        updater.state()


def test_passing_raises_the_floor(places: Places) -> None:
    Updater(places).bless()
    assert Updater(places).state() == State(__version__)


def test_an_update_goes_on_where_it_stopped(places: Places, tmp_path: Path) -> None:
    good = bundle(tmp_path).read_bytes()
    half = tmp_path / "half"
    half.write_bytes(good[:-100])
    with pytest.raises(UpdateError):
        apply(places, half)
    with server() as (address, _):
        with pytest.raises(UpdateError, match="not an update bundle"):
            apply(places, address)
    half.write_bytes(good)
    apply(places, half)
    assert Updater(places).loader.next() == "b"


def test_a_new_minor_series_takes_a_backup_first(places: Places, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "note").write_text("kept")
    apply(places, bundle(tmp_path), data=data)
    assert not (data / "backups").exists()
    apply(places, bundle(tmp_path, "0.2.0"), data=data)
    assert len(list((data / "backups").glob("luna-backup-*"))) == 1


def test_only_one_at_a_time(places: Places, tmp_path: Path) -> None:
    with Updater(places).locked():
        with pytest.raises(UpdateError, match="another update is at work"):
            apply(places, bundle(tmp_path))


def test_going_back(places: Places, tmp_path: Path) -> None:
    updater = Updater(places)
    with pytest.raises(UpdateError, match="nothing to go back to: slot b is empty"):
        updater.rollback()
    apply(places, bundle(tmp_path))
    assert updater.rollback() == __version__  # the trial is called off
    assert updater.loader.next() == "a"
    apply(places, bundle(tmp_path))
    places.command_line.write_text("luna.slot=b")
    new = Updater(places)
    assert new.on_trial
    with pytest.raises(UpdateError, match="has still to pass its trial"):
        apply(places, bundle(tmp_path, "0.1.10"))
    new.bless()
    assert not new.on_trial
    assert new.rollback() == __version__
    assert new.loader.next() == "a"


def test_a_missing_slot(places: Places, tmp_path: Path) -> None:
    places.slot("b").unlink()
    refused(places, bundle(tmp_path), "cannot be opened: No such file")
    with pytest.raises(UsageError):
        apply(places, tmp_path / "none.luna")
