"""The page for every eye, hand and device; and how little it costs to open it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.web.browser.chromium import LIMIT_MS, Luna, Watched
from tests.web.browser.conftest import OpenPage

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]
expect.set_options(timeout=LIMIT_MS)

SECTIONS = (
    "now", "reminders", "history", "health", "activity", "knowledge", "settings", "logs", "access",
)  # fmt: skip
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
SERIOUS = ("serious", "critical")
MAX_BYTES = 250_000
MAX_PICTURE = 200_000
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module", autouse=True)
def _lived_in(luna: Luna) -> None:
    """Something in every section."""
    for words in (
        "remind me to call Ana tomorrow at nine",
        "remind me to take the bread out of the oven in 40 minutes",
        "wake me at seven every working day",
    ):
        luna.command("reminders", "add", words)
    luna.command("ask", "Write a Python function that adds two numbers.")
    luna.command("ask", "What is the capital of France?")


def violations(page: Page) -> list[str]:
    """Return what keeps people with a disability out, and where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found if one["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: OpenPage, theme: str) -> None:
    page = open_page(color_scheme=theme, reduced_motion="reduce")
    for section in SECTIONS:
        page.goto(f"/#{section}")
        page.locator(f"section.{section}").wait_for()
        page.wait_for_timeout(500)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert violations(page) == [], section


def test_axe_finds_nothing_serious_at_the_door(luna: Luna, browser: Browser) -> None:
    watched = Watched(browser, luna)
    page = watched.page()
    page.goto("/")
    page.get_by_label("Code").wait_for()
    assert violations(page) == []
    watched.close()


def test_on_a_phone(open_page: OpenPage) -> None:
    page = open_page(**PHONE)
    button = page.get_by_role("button", name="Hold to talk")
    expect(button).to_be_in_viewport()
    too_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    for section in SECTIONS:
        link = page.locator(f"nav a[href='#{section}']")
        if not link.is_visible():
            page.get_by_role("button", name="More").tap()
        link.tap()
        page.locator(f"section.{section}").wait_for()
        page.wait_for_timeout(300)
        assert not page.evaluate(too_wide), section


def test_nothing_moves_where_motion_is_not_wanted(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    expect(page.locator(".state")).to_have_text("Ready")
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_first_load_is_small(luna: Luna, browser: Browser, paired: dict[str, Any]) -> None:
    watched = Watched(browser, luna, storage_state=paired)
    page = watched.page()
    session = watched.context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto("/")
    expect(page.locator(".state")).to_have_text("Ready")
    page.wait_for_timeout(500)
    watched.close()
    assert len(sizes) > 10
    print(f"first load: {sum(sizes) / 1000:.0f} kB")
    assert sum(sizes) < MAX_BYTES


def small(png: bytes, width: int) -> bytes:
    """Return a picture made small enough for the documentation."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture = picture.resize(
        (width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS
    )
    out = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "section", "options", "width"),
    [
        ("light", "now", {"color_scheme": "light"}, 1000),
        ("dark", "now", {"color_scheme": "dark"}, 1000),
        ("pt", "reminders", {"color_scheme": "light", "locale": "pt-BR"}, 1000),
        ("health", "health", {"color_scheme": "dark"}, 1000),
        ("activity", "activity", {"color_scheme": "light"}, 1000),
        ("phone", "now", {"color_scheme": "dark", **PHONE}, 480),
    ],
)
def test_pictures(
    open_page: OpenPage, tmp_path: Path, name: str, section: str, options: Any, width: int
) -> None:
    """Make the pictures of docs/page.md; UPDATE_PICTURES=1 keeps them there."""
    page = open_page(f"/#{section}", reduced_motion="reduce", **options)
    page.locator(f"section.{section}").wait_for()
    if section == "now":
        expect(page.locator(".answer")).to_contain_text("Paris")
    page.wait_for_timeout(1000)
    folder = DOCS if os.environ.get("UPDATE_PICTURES") else tmp_path
    picture = small(page.screenshot(), width)
    (folder / f"page-{name}.png").write_bytes(picture)
    assert len(picture) < MAX_PICTURE
