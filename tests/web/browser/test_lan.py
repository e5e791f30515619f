"""The page on the network: in the clear without a microphone, and HTTPS where there is one."""

from __future__ import annotations

import http.client
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.web.browser.chromium import LIMIT_MS, Luna, Watched, chromium, pair
from tests.web.browser.quick import lan_address, quick_luna

pytestmark = [pytest.mark.slow]
expect.set_options(timeout=LIMIT_MS)


@pytest.fixture(scope="module")
def luna() -> Iterator[Luna]:
    with tempfile.TemporaryDirectory(prefix="luna-") as folder, quick_luna(Path(folder)) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium whose microphone may be used, where the page is safe."""
    with chromium("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as one:
        yield one


def test_in_the_clear_the_page_works_and_says_why_it_cannot_listen(
    luna: Luna, browser: Browser
) -> None:
    watched = Watched(browser, luna, origin=f"http://{lan_address()}:{luna.port}")
    page = watched.page()
    pair(page, luna)
    assert page.evaluate("window.isSecureContext") is False
    page.get_by_role("button", name="Hold to talk").click()
    why = page.get_by_role("alert").filter(has_text="The browser gives the microphone to safe")
    expect(why).to_contain_text("luna web cert make")
    page.get_by_label("Write to Luna").fill("What is the capital of France?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".answer")).to_contain_text("Paris")
    watched.close()


def test_with_a_certificate_the_lan_is_sent_to_https(luna: Luna, browser: Browser) -> None:
    address = lan_address()
    luna.pairing_code()
    luna.command("web", "cert", "make")
    plain = http.client.HTTPConnection(address, luna.port, timeout=20)
    plain.request("GET", "/?x=1")
    answer = plain.getresponse()
    assert answer.status == 308
    secure = f"https://{address}:{luna.https_port}"
    assert answer.getheader("Location") == f"{secure}/?x=1"
    plain.close()
    # What changes something is not redirected: it was already sent in the clear.
    plain.request("POST", "/api/v1/pair", b"{}", {"Content-Type": "application/json"})
    assert plain.getresponse().status == 403
    plain.close()
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"http://{address}:{luna.port}/")
    expect(page.get_by_role("heading", name="Pair this device")).to_be_visible()
    assert page.url == f"{secure}/"
    assert page.evaluate("window.isSecureContext") is True
    context.close()
