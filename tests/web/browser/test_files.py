"""The page's own files: all served, nothing from elsewhere, and what others wrote unchanged."""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from pathlib import PurePosixPath

from appliance.web.page_files import FILES

STATIC = resources.files("appliance") / "web/static"
VENDOR = STATIC / "vendor"
IMPORT = re.compile(r"(?:from |import\(|addModule\()\"([^\"]+\.js)\"")


def own_scripts() -> dict[str, str]:
    """Return the source of each module of the page, by the path that it is served at."""
    return {
        path: (resources.files("appliance") / file).read_text("utf-8")
        for path, (file, _) in FILES.items()
        if path.endswith(".js") and "/vendor/" not in path
    }


def test_what_others_wrote_is_unchanged_and_has_its_licence() -> None:
    lines = (VENDOR / "uplot.sha256").read_text("ascii").splitlines()
    manifest = {name: digest for digest, name in (line.split() for line in lines)}
    assert manifest.keys() == {"uplot.js", "uplot.css", "uplot.LICENSE"}
    for name, expected in manifest.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == expected, name
    assert "MIT" in (VENDOR / "uplot.LICENSE").read_text("utf-8")
    assert "v1.6.32" in (VENDOR / "uplot.js").read_text("utf-8")[:100]


def test_every_module_that_is_imported_is_served() -> None:
    for path, source in own_scripts().items():
        for name in IMPORT.findall(source):
            target = PurePosixPath(
                name if name.startswith("/") else PurePosixPath(path).parent / name
            )
            parts: list[str] = []
            for part in target.parts:
                parts = parts[:-1] if part == ".." else [*parts, part] if part != "." else parts
            assert str(PurePosixPath(*parts)) in FILES, f"{path} imports {name}"


def test_nothing_comes_from_elsewhere_and_nothing_is_inline() -> None:
    for path, source in own_scripts().items():
        addresses = set(re.findall(r"https?://[\w./]+", source))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
        ):
            assert forbidden not in source, f"{path}: {forbidden}"
    html = (STATIC / "index.html").read_text("utf-8")
    assert "http" not in html
    assert " style=" not in html
    assert not re.search(r"<script(?![^>]* src=)", html)
    assert not re.search(r"\son\w+=", html)
