"""What the page says of a first start on which something was wrong, in both languages."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from appliance.first_boot.places import Places
from appliance.first_boot.report import Report, sentence
from appliance.first_boot.setup import set_up
from tests.web.browser.chromium import LIMIT_MS, Luna, Watched
from tests.web.browser.quick import quick_luna

pytestmark = [pytest.mark.slow]
expect.set_options(timeout=LIMIT_MS)

SECRET = "correct horse battery"
LUNA_TXT = f"""\
host_name = Küche
{SECRET} = wifi_password
wifi_pasword = {SECRET}
<img src=x onerror=alert(1)> = 1
language = pt
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a first start with a file that has four wrong lines, and one that is right."""
    places = Places(tmp_path_factory.mktemp("card"))
    for folder in (places.boot, places.data / "luna"):
        folder.mkdir(parents=True)
    (places.boot / "luna.txt").write_text(LUNA_TXT, encoding="utf-8")
    made = Report()
    set_up(places, made)
    assert [one["line"] for one in made.all()] == [1, 2, 3, 4]
    # As if somebody could write into the file in /run.
    made.add("first_boot.unreadable", "<img src=x onerror=document.title='owned'>")
    return made


@pytest.fixture(scope="module")
def luna(report: Report) -> Iterator[Luna]:
    """A running Luna on the box that started so."""
    with tempfile.TemporaryDirectory(prefix="luna-") as folder:
        report.write(Path(folder) / "luna-first-boot.json")
        with quick_luna(Path(folder)) as started:
            yield started


@pytest.mark.parametrize(("language", "locale"), [("en", "en-GB"), ("pt", "pt-BR")])
@pytest.mark.parametrize("width", [1280, 360])
def test_each_line_is_named_on_the_page(
    luna: Luna,
    browser: Browser,
    paired: dict[str, Any],
    report: Report,
    language: str,
    locale: str,
    width: int,
) -> None:
    options: dict[str, Any] = {"locale": locale, "viewport": {"width": width, "height": 900}}
    watched = Watched(browser, luna, storage_state=paired, **options)
    page = watched.page()
    page.goto("/#health")
    lines = page.locator(".section.health .findings li")
    for problem in report.all():
        told = lines.filter(has_text=sentence(problem, language))
        expect(told).to_have_attribute("data-level", "warning")
    assert page.locator("img[src=x]").count() == 0
    assert page.title() != "owned"
    assert SECRET not in page.content()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    bad = [one for one in Axe().run(page).response["violations"] if one["impact"] == "critical"]
    assert not bad
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/first-start-{language}-{width}.png")
    watched.close()


def test_the_same_is_said_elsewhere(luna: Luna, report: Report) -> None:
    said = " ".join(luna.command("status").split())
    for problem in report.all():
        assert sentence(problem, "en") in said
    metrics = luna.service.health()["vitals"]["measured"]["setup_problems"]
    assert metrics == {"value": float(len(report.all())), "level": "warning"}
    assert SECRET not in luna.service.log()
