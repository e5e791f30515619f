"""`luna update`: checks a bundle, fills the idle slot with it, and lets it be tried.

The order makes every moment safe for a power cut: the idle slot loses its boot entry first, and
gets a new one last, when all that it names is on the disk and was read back.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance import __version__, whole_file
from appliance.errors import StorageError, UpdateError
from appliance.settings import BackupSettings
from appliance.storage.backup import backup, folder_of
from appliance.storage.files import FileLayer
from appliance.update import loaders, source, writer
from appliance.update.bundle import Manifest, Source, parse_version, read_keys, read_manifest
from appliance.update.slots import Entry, other, running_slot

SPARE_BYTES = 1024 * 1024
"""Left free on the boot partition."""
MAX_STATE = 100_000

Tell = Callable[[str, int], None]
"""Called with the stage (``writing``, ``checking``) and the percent of the whole."""


@dataclass(frozen=True)
class Places:
    """Where things lie; a test has a tree of its own."""

    root: Path = Path("/")

    @property
    def boot(self) -> Path:
        return self.root / "boot"

    @property
    def command_line(self) -> Path:
        return self.root / "proc/cmdline"

    @property
    def keys(self) -> tuple[Path, Path]:
        """The image's own, and one that the owner adds."""
        return self.root / "usr/share/luna/update.pub", self.root / "etc/luna/update.pub"

    @property
    def target(self) -> Path:
        """One line: the kind of machine that the image was built for."""
        return self.root / "usr/share/luna/target"

    @property
    def state(self) -> Path:
        return self.root / "data/system/update.json"

    def slot(self, name: str) -> Path:
        return self.root / "dev/disk/by-partlabel" / f"root_{name}"


class NoSlotsError(UpdateError):
    """This machine has no update slots, and never had."""


@dataclass(frozen=True)
class State:
    """What is remembered about updates."""

    floor: str = "0.0.0"
    """The highest version that ever passed its trial; nothing older is taken without force."""
    trial: str = ""
    """The version that was put on trial last; empty once it has passed."""


class Updater:
    """The slots of this machine.

    Args:
        places: where things lie.
        layer: makes the changes on the boot partition.

    Raises:
        NoSlotsError: this machine has no slots.
        UpdateError: its boot partition cannot be used.
    """

    def __init__(self, places: Places, layer: FileLayer | None = None) -> None:
        self.places = places
        self.layer = layer or FileLayer()
        try:
            line = places.command_line.read_text(encoding="utf-8", errors="replace")
        except OSError:
            line = ""
        self.running = running_slot(line)
        if not self.running:
            raise NoSlotsError(
                "this machine has no update slots: only Luna's own image has them; update Luna "
                "here as she was installed"
            )
        try:
            self.loader = loaders.find(places.boot, self.layer)
        except PermissionError as error:
            raise _not_root() from error

    # --- what there is -------------------------------------------------------------------------

    def state(self) -> State:
        """Return what is remembered; a file that cannot be read holds nothing back but updates.

        Raises:
            UpdateError: it is damaged.
        """
        try:
            with self.places.state.open("rb") as file:
                found = State(**json.loads(file.read(MAX_STATE)))
            parse_version(found.floor)
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, TypeError, UpdateError) as error:
            raise UpdateError(
                f"{self.places.state} is damaged; remove it to update, which also forgets which "
                "version is the oldest that may be installed"
            ) from error
        return found

    def slots(self) -> list[dict[str, object]]:
        """Return a row for each slot: what it has, and what is known about it."""
        entries, following = self.loader.entries(), self.loader.next()
        rows: list[dict[str, object]] = []
        for name in ("a", "b"):
            entry = entries.get(name)
            rows.append(
                {
                    "slot": name,
                    "version": entry.version if entry else "",
                    "status": entry.status if entry else "empty",
                    "running": name == self.running,
                    "next": name == following,
                    "tries_left": entry.left if entry else None,
                }
            )
        return rows

    @property
    def entry(self) -> Entry | None:
        """Return the running slot's entry."""
        return self.loader.entries().get(self.running)

    @property
    def on_trial(self) -> bool:
        """Return whether the running slot has still to prove itself."""
        return self.entry is not None and self.entry.left is not None

    def read_head(self, bundle: Source) -> Manifest:
        """Return the manifest of a bundle that a key of this box has signed.

        Raises:
            UpdateError: it is no such bundle.
        """
        return read_manifest(bundle, read_keys(self.places.keys))

    def refuse(self, manifest: Manifest, *, force: bool = False) -> None:
        """Raise UpdateError where this bundle must not be installed here.

        Args:
            manifest: of the bundle.
            force: take an older or the same version as well.
        """
        try:
            target = self.places.target.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UpdateError(
                f"{self.places.target} cannot be read: which machine this is, is not known"
            ) from error
        if manifest.target != target:
            raise UpdateError(f"this update is for {manifest.target}, and this box is {target}")
        if force:
            return
        version, floor = parse_version(manifest.version), self.state().floor
        if manifest.version == __version__:
            raise UpdateError(f"Luna {__version__} is what runs already (--force installs it)")
        if version < max(parse_version(floor), parse_version(__version__)):
            newest = max(floor, __version__, key=parse_version)
            raise UpdateError(
                f"Luna {manifest.version} is older than {newest}, which this box has had (--force "
                "goes back all the same)"
            )

    # --- what is done --------------------------------------------------------------------------

    def apply(
        self,
        place: str,
        tell: Tell,
        *,
        force: bool,
        data_dir: Path,
        backups: BackupSettings,
    ) -> Manifest:
        """Install the bundle at *place* into the idle slot, and let the next start try it.

        Safe to repeat after any interruption: it goes on with what the slot holds.

        Raises:
            UpdateError: it was refused, or failed; the running slot is as it was.
            StorageError: the backup before a new minor series could not be made.
        """
        with self.locked(), source.opened(place) as bundle:
            manifest = self.read_head(bundle)
            self.refuse(manifest, force=force)
            if self.on_trial:
                raise UpdateError(
                    "the version that runs has still to pass its trial; wait until it has"
                )
            if parse_version(manifest.version)[:2] != parse_version(__version__)[:2]:
                backup(data_dir, folder_of(backups, data_dir), keep=backups.keep)
            try:
                self._install(manifest, bundle, tell)
            except OSError as error:
                raise UpdateError(f"the update failed: {_why(error)}") from error
            return manifest

    def _install(self, manifest: Manifest, bundle: Source, tell: Tell) -> None:
        idle = other(self.running)
        with writer.opened(self.places.slot(idle)) as slot:
            self.fill(manifest, bundle, slot, tell)

    def fill(self, manifest: Manifest, bundle: Source, slot: writer.Slot, tell: Tell) -> None:
        """Write a checked bundle to the idle slot, and its boot entry last.

        Raises:
            UpdateError: it does not fit, or is damaged.
            OSError: the disk fails.
        """
        idle = other(self.running)
        folder = self.places.boot / idle
        self._check_room(manifest, slot, folder)
        report = _Meter(writer.work_of(manifest), tell)
        if self.loader.next() == idle:
            # Nothing may be started any more from what is about to be overwritten.
            self.loader.prefer(self.running)
        self.loader.retire(idle)
        writer.write_boot_files(manifest.boot, bundle, folder, self.layer, report.writing)
        writer.write_root(manifest.root, bundle, slot, report.writing)
        writer.check_root(manifest.root, slot, report.checking)
        self.remember(State(self.state().floor, trial=manifest.version))
        self.loader.try_next(idle, manifest.version, manifest.command_line)

    def _check_room(self, manifest: Manifest, slot: writer.Slot, folder: Path) -> None:
        if manifest.root_bytes > slot.size:
            raise UpdateError(
                f"the update needs a slot of {manifest.root_bytes} bytes, and this box's have "
                f"{slot.size}"
            )
        there = {name.lower(): name for name in _names(folder, self.layer)}
        free = shutil.disk_usage(folder if folder.is_dir() else self.places.boot).free
        for file in manifest.boot:
            # A file is written beside the old one of its name, which then goes.
            old = there.get(file.name.lower())
            old_bytes = self.layer.size(folder / old) if old else 0
            if file.bytes + SPARE_BYTES > free:
                raise UpdateError(
                    f"the boot partition is too full for this update ({free} bytes are free)"
                )
            free -= file.bytes - old_bytes

    def rollback(self) -> str:
        """Let the other slot be started from now on; return its version.

        An update that waits for its trial is called off instead: then it is the running version.

        Raises:
            UpdateError: there is nothing to go back to.
        """
        with self.locked():
            entries, idle = self.loader.entries(), other(self.running)
            entry, running = entries.get(idle), entries.get(self.running)
            try:
                if entry is not None and entry.status == "trial" and running is not None:
                    self.loader.retire(idle)
                    return running.version
                if entry is None or entry.status != "good":
                    raise UpdateError(
                        f"there is nothing to go back to: slot {idle} is "
                        f"{entry.status if entry else 'empty'}"
                    )
                self.loader.prefer(idle)
            except OSError as error:
                raise UpdateError(f"the boot partition fails: {_why(error)}") from error
            return entry.version

    def bless(self) -> None:
        """Keep the running slot, which has passed the boot gate.

        Raises:
            UpdateError: the disk fails.
        """
        try:
            floor = max(self.state().floor, __version__, key=parse_version)
            wanted = State(floor)
            if self.state() != wanted:
                self.remember(wanted)
            if self.on_trial:
                self.loader.bless(self.running)
        except OSError as error:
            raise UpdateError(f"the boot partition fails: {_why(error)}") from error

    def remember(self, state: State) -> None:
        """Keep *state*.

        Raises:
            OSError: the disk fails.
        """
        whole_file.replace(self.places.state, json.dumps(asdict(state)))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else change the slots meanwhile.

        Raises:
            UpdateError: somebody does, or this user may not.
        """
        try:
            # The folder itself: a lock file would need a place that may be written.
            descriptor = os.open(self.places.boot, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError as error:
            raise _not_root() from error
        except OSError as error:
            raise StorageError(f"{self.places.boot}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UpdateError("another update is at work") from error
            yield
        finally:
            os.close(descriptor)


class _Meter:
    """Turns bytes into percent, and tells each percent once."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._total = max(total, 1)
        self._tell = tell
        self._done = 0
        self._told = -1

    def writing(self, count: int) -> None:
        self._add("writing", count)

    def checking(self, count: int) -> None:
        self._add("checking", count)

    def _add(self, stage: str, count: int) -> None:
        self._done += count
        percent = self._done * 100 // self._total
        if percent > self._told:
            self._told = percent
            self._tell(stage, percent)


def _names(folder: Path, layer: FileLayer) -> list[str]:
    try:
        return layer.names(folder)
    except FileNotFoundError:
        return []


def _not_root() -> UpdateError:
    return UpdateError("only root looks after the slots: put sudo before it")


def _why(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "the partition is mounted read-only (is the card worn out?)"
    return error.strerror or str(error)
