"""The list of contents: complete, and the same for the same contents."""

from __future__ import annotations

import json
from pathlib import Path

from image_build import sbom
from image_build.root_tree import LIBRARY
from image_build.targets import TARGETS


def test_packages_kernel_and_models_are_listed(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.12.1-rpi").write_bytes(b"kernel")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    status = "Package: bash\nStatus: install ok installed\nVersion: 5.2\n"
    (tmp_path / "var/lib/dpkg/status").write_text(status)
    info = tmp_path / LIBRARY / "typing_extensions-4.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: Typing_Extensions\nVersion: 4.0\n")
    model = tmp_path / "models/tiny/model.bin"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"weights")
    bill = sbom.bill_of_materials(tmp_path, TARGETS["pi5"], [model])
    assert [part["name"] for part in bill["components"]] == [
        "bash",
        "linux",
        "Typing_Extensions",
        "tiny/model.bin",
    ]
    assert bill["components"][0]["purl"].startswith("pkg:deb/debian/bash@5.2?arch=arm64")
    assert bill["components"][1]["version"] == "6.12.1-rpi"
    assert bill["components"][2]["purl"] == "pkg:pypi/typing-extensions@4.0"
    assert bill["components"][3]["hashes"][0]["content"] == sbom.sha256(model)
    again = sbom.bill_of_materials(tmp_path, TARGETS["pi5"], [model])
    assert json.dumps(bill) == json.dumps(again)
    model.write_bytes(b"others")
    other = sbom.bill_of_materials(tmp_path, TARGETS["pi5"], [model])
    assert other["serialNumber"] != bill["serialNumber"]
