"""What the page shows when something of Luna dies, and when it comes back."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import expect

from tests.web.browser.chromium import LIMIT_MS, Luna
from tests.web.browser.conftest import OpenPage

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]
expect.set_options(timeout=LIMIT_MS)


def test_a_killed_worker_goes_red_and_comes_back(open_page: OpenPage, luna: Luna) -> None:
    page = open_page("/#health")
    tile = page.locator("[data-worker=tts]")
    expect(tile).to_have_attribute("data-level", "ok")
    levels = """() => {
        window.levels = [];
        new MutationObserver(() => {
            const level = document.querySelector("[data-worker=tts]")?.dataset.level;
            if (level && window.levels.at(-1) !== level) window.levels.push(level);
        }).observe(document.querySelector(".tiles"), { childList: true, subtree: true, attributes: true });
    }"""
    page.evaluate(levels)
    os.kill(luna.service.pid("tts"), signal.SIGKILL)
    expect(tile).to_contain_text("restarts: 1")
    expect(tile).to_have_attribute("data-level", "ok")
    assert "critical" in page.evaluate("window.levels")


def test_a_worker_is_restarted_from_the_page(open_page: OpenPage, luna: Luna) -> None:
    page = open_page("/#health")
    before = luna.service.pid("stt")
    page.get_by_role("button", name="Restart: Speech recognition").click()
    tile = page.locator("[data-worker=stt]")
    expect(tile).to_contain_text("restarts: 1")
    expect(tile).to_have_attribute("data-level", "ok")
    assert luna.service.pid("stt") != before


def test_the_page_finds_luna_again_after_a_restart(open_page: OpenPage, luna: Luna) -> None:
    page = open_page()
    expect(page.locator(".state")).to_have_text("Ready")
    luna.stop()
    lost = page.locator("#lost")
    expect(lost).to_have_text("No contact with Luna. Trying again …")
    luna.start()
    expect(lost).to_be_hidden()
    expect(page.locator(".state")).to_have_text("Ready")
    # It is as alive as before: what it sends is taken, what happens is shown.
    page.get_by_label("Write to Luna").fill("What is two plus two?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer")).to_contain_text(re.compile("4|four", re.I))


def test_the_page_notices_a_cable_that_was_pulled(open_page: OpenPage, luna: Luna) -> None:
    page = open_page()
    page.clock.install()
    page.reload()
    expect(page.locator(".state")).to_have_text("Ready")
    with page.expect_event("console", lambda message: message.text == "heartbeat"):
        page.evaluate("""() => {
            const source = new EventSource("/events");
            source.addEventListener("heartbeat", () => { console.log("heartbeat"); source.close(); });
        }""")
    os.kill(luna.service.process.pid, signal.SIGSTOP)  # the connection stays, nothing comes
    try:
        page.clock.fast_forward(45_000)
        expect(page.locator("#lost")).to_have_text("No contact with Luna. Trying again …")
    finally:
        os.kill(luna.service.process.pid, signal.SIGCONT)
    expect(page.locator("#lost")).to_be_hidden()
