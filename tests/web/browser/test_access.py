"""Who gets in by the page, and who lets them in."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.web.browser.chromium import LIMIT_MS, Luna, Watched, pair
from tests.web.browser.conftest import OpenPage

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]
expect.set_options(timeout=LIMIT_MS)


def test_only_the_code_lets_a_newcomer_in(luna: Luna, browser: Browser) -> None:
    watched = Watched(browser, luna)
    page = watched.page()
    page.goto("/")
    expect(page.get_by_role("heading", name="Pair this device")).to_be_visible()
    code = luna.pairing_code()
    page.get_by_label("Code").fill("000000" if code != "000000" else "111111")
    page.get_by_role("button", name="Pair", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="This is not the code")).to_be_visible()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Pair", exact=True).click()
    expect(page.locator(".state")).to_have_text("Ready")
    page.reload()
    expect(page.locator(".state")).to_have_text("Ready")
    watched.close()


def test_another_device_and_a_program_are_let_in(open_page: OpenPage) -> None:
    page = open_page("/#access")
    page.get_by_role("button", name="Pair another device").click()
    expect(page.locator(".big-code strong")).to_have_text(re.compile(r"^\d{6}$"))
    page.get_by_label("What is it for?").fill("editor")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".made code")).to_have_text(re.compile("^luna_"))
    page.reload()
    page.get_by_role("button", name="Revoke: editor").click()
    expect(page.get_by_text("No tokens.")).to_be_visible()


def test_password_lets_in_and_a_device_can_be_sent_away(luna: Luna, browser: Browser) -> None:
    first, second = Watched(browser, luna), Watched(browser, luna)
    owner, guest = first.page(), second.page()
    pair(owner, luna)
    owner.goto("/#access")
    owner.get_by_label("New password").fill("three green frogs")
    owner.get_by_role("button", name="Save").click()
    expect(owner.get_by_text("The password is set.")).to_be_visible()
    guest.goto("/")
    guest.get_by_label("Password").fill("three brown frogs")
    guest.get_by_role("button", name="Log in").click()
    expect(guest.get_by_text("This is not the password.")).to_be_visible()
    guest.get_by_label("Name of this device").fill("Ana's <b>phone</b>")
    guest.get_by_label("Password").fill("three green frogs")
    guest.get_by_role("button", name="Log in").click()
    expect(guest.locator(".state")).to_be_visible()
    owner.reload()
    # A name from outside is text, whatever is in it.
    owner.get_by_role("button", name="Revoke: Ana's <b>phone</b>").click()
    expect(guest.get_by_role("heading", name="Log in with the password")).to_be_visible()
    first.close()
    second.close()
