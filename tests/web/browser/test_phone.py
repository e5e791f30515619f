"""A person with a phone on the same network: pairs, talks, reads, stops. 360 pixels, by touch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.sound_card import write_wav
from tests.speech import RATE, say
from tests.web.browser.chromium import LIMIT_MS, Luna, Watched, chromium, pair
from tests.web.browser.quick import lan_address

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]
expect.set_options(timeout=LIMIT_MS)

BEFORE_S = 2.0
"""Quiet before the question: a browser that starts its audio takes a moment."""
HOLD_S = BEFORE_S + 3.0
PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium whose microphone hears a question with a longer answer."""
    path = tmp_path_factory.mktemp("question") / "question.wav"
    words = "What are the seven days of the week?"
    write_wav(path, say(words, before_s=BEFORE_S, after_s=4.0), RATE)
    with chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}%noloop",
    ) as one:
        yield one


class Finger:
    """Touches the screen, as long as it likes."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._devtools = page.context.new_cdp_session(page)

    def down(self, selector: str) -> None:
        self._page.locator(selector).scroll_into_view_if_needed()
        box = self._page.locator(selector).bounding_box()
        assert box
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self._devtools.send(
            "Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]}
        )

    def up(self) -> None:
        self._devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def talk(page: Page) -> None:
    """Hold the talk button with a finger while the question is asked."""
    finger = Finger(page)
    button = page.locator(".talk")
    finger.down(".talk")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(HOLD_S * 1000)
    # A finger that stays down is no long press: no menu, nothing marked.
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("getSelection().toString()") == ""
    finger.up()
    expect(button).to_have_attribute("aria-pressed", "false")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_on_the_lan_a_phone_pairs_talks_and_reads(luna: Luna, browser: Browser) -> None:
    origin = f"https://{lan_address()}:{luna.https_port}"
    luna.command("web", "cert", "make")
    watched = Watched(browser, luna, origin=origin, ignore_https_errors=True, **PHONE)
    page = watched.page()
    pair(page, luna)
    expect(page.locator(".state")).to_have_text("Ready")
    talk(page)
    expect(page.locator(".question")).to_contain_text(re.compile("days of the week", re.I))
    expect(page.locator(".answer")).to_contain_text(re.compile("monday.*sunday", re.I | re.S))
    ended = luna.service.until_type("turn_ended", source="page")[-1]
    assert ended["outcome"] == "answered"
    page.locator(".answer").scroll_into_view_if_needed()
    expect(page.locator(".answer")).to_be_in_viewport()
    assert fits(page)
    watched.close()


def test_a_phone_stops_the_answer(luna: Luna, browser: Browser) -> None:
    watched = Watched(browser, luna, **PHONE)
    page = watched.page()
    pair(page, luna)
    expect(page.locator(".state")).to_have_text("Ready")
    talk(page)
    expect(page.locator(".state")).to_have_text("Speaking")
    page.get_by_role("button", name="Stop").tap()
    ended = luna.service.until_type("turn_ended", source="page")[-1]
    assert ended["outcome"] == "interrupted"
    expect(page.locator(".state")).to_have_text("Ready")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    expect(page.locator(".question")).to_contain_text(re.compile("days of the week", re.I))
    assert fits(page)
    watched.close()
