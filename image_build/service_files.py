"""Puts the files of the service into a tree: `python -m image_build.service_files FOLDER`.

It prints the path of each file below the tree, so that they can be removed again.
"""

from __future__ import annotations

import gzip
import shutil
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent
SYSTEMD = PROJECT / "systemd"
UNITS = "usr/lib/systemd/system"
FOLDERS = {
    "sysusers.d": "usr/lib/sysusers.d",
    "tmpfiles.d": "usr/lib/tmpfiles.d",
    "udev": "usr/lib/udev/rules.d",
    "polkit": "usr/share/polkit-1/rules.d",
}
"""Where the folders of systemd/ go."""
JOURNAL = ("journald.conf.d", "usr/lib/systemd/journald.conf.d")
"""For a box of its own; on a computer with other work the journal is not Luna's."""
SERVICE_UNITS = (
    "luna.service",
    "luna-retry.service",
    "luna-backup.service",
    "luna-backup.timer",
)
"""What a computer with other work needs; the image has units for its two slots as well."""
DOCUMENTS = "usr/share/doc/luna"
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/luna",
    "zsh": "usr/share/zsh/vendor-completions/_luna",
    "fish": "usr/share/fish/vendor_completions.d/luna.fish",
}


def put_for_an_image(root: Path) -> None:
    """Put all units, and the folders of systemd/, into *root*."""
    for unit in sorted(SYSTEMD.glob("luna*")):
        _copy(unit, root / UNITS / unit.name)
    for name, folder in (*FOLDERS.items(), JOURNAL):
        _copy_folder(SYSTEMD / name, root / folder)


def put(root: Path) -> list[Path]:
    """Put units, rules, manual pages, completions and documents into *root*; return their paths."""
    files = [_copy(SYSTEMD / name, root / UNITS / name) for name in SERVICE_UNITS]
    for name, folder in FOLDERS.items():
        files += _copy_folder(SYSTEMD / name, root / folder)
    files += _copy_folder(SYSTEMD / JOURNAL[0], root / DOCUMENTS / "examples" / JOURNAL[0])
    files += _manual(root)
    for name in ("README.md", "docs/service.md", "docs/configuration.md"):
        files.append(_copy(PROJECT / name, root / DOCUMENTS / Path(name).name))
    return files


def _manual(root: Path) -> list[Path]:
    """Write manual pages and completions, which Luna makes from her command line."""
    from appliance.actions.completion import script
    from appliance.actions.man import pages

    files = []
    for name, text in pages().items():
        page = root / "usr/share/man/man1" / f"{name}.gz"
        page.parent.mkdir(parents=True, exist_ok=True)
        # Without a time, so that the same page is the same file.
        page.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
        files.append(page)
    for shell, path in COMPLETIONS.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script(shell) + "\n", encoding="utf-8")
        files.append(file)
    for file in files:
        file.chmod(0o644)
    return files


def _copy_folder(source: Path, target: Path) -> list[Path]:
    return [_copy(file, target / file.name) for file in sorted(source.iterdir())]


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o644)
    return target


def main() -> int:
    """Put the files into the tree that the command line names, and print their paths in it."""
    root = Path(sys.argv[1])
    for file in put(root):
        sys.stdout.write(f"/{file.relative_to(root)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
