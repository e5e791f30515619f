"""The list of what is in an image (CycloneDX 1.5), and the hashes of what was built."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from appliance import __version__
from image_build.debian_packages import installed
from image_build.root_tree import LIBRARY
from image_build.targets import DEBIAN, Target


def bill_of_materials(root: Path, target: Target, models: Iterable[Path]) -> dict[str, Any]:
    """Return the components of *root* and the model files, in CycloneDX's form."""
    components = [*_debian(root, target), *_kernel(root), *_python(root)]
    components += [_model(file) for file in models]
    identifier = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{identifier}",
        "version": 1,
        "metadata": {
            "component": {"type": "operating-system", "name": "luna", "version": __version__}
        },
        "components": components,
    }


def _debian(root: Path, target: Target) -> Iterable[dict[str, Any]]:
    for name, version in installed(root).items():
        yield {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:deb/debian/{name}@{version}?arch={target.arch}&distro={DEBIAN}",
        }


def _kernel(root: Path) -> Iterable[dict[str, Any]]:
    """Yield the kernel itself: a vendor's belongs to no package here."""
    for file in sorted((root / "boot").glob("vmlinuz-*")):
        yield {
            "type": "operating-system",
            "name": "linux",
            "version": file.name.removeprefix("vmlinuz-"),
            "hashes": [{"alg": "SHA-256", "content": sha256(file)}],
        }


def _python(root: Path) -> Iterable[dict[str, Any]]:
    for metadata in sorted((root / LIBRARY).glob("*.dist-info/METADATA")):
        fields = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
        name, version = fields["Name"], fields["Version"]
        purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
        yield {"type": "library", "name": name, "version": version, "purl": purl}


def _model(file: Path) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": sha256(file)}]
    return {"type": "machine-learning-model", "name": f"{file.parent.name}/{file.name}"} | {
        "hashes": hashes
    }


def sha256(file: Path) -> str:
    """Return the hash of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
