"""What the owner does with the page, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser.chromium import LIMIT_MS, Luna
from tests.web.browser.conftest import OpenPage

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]
expect.set_options(timeout=LIMIT_MS)


def ask(page: Page, question: str) -> None:
    page.get_by_label("Write to Luna").fill(question)
    page.get_by_role("button", name="Send").click()


def test_the_answer_streams(page: Page) -> None:
    page.evaluate("""() => {
        window.lengths = [];
        new MutationObserver(() => window.lengths.push(document.querySelector(".answer").textContent.length))
            .observe(document.querySelector(".answer"), { childList: true, subtree: true, characterData: true });
    }""")
    ask(page, "Name the seven days of the week, from Monday on.")
    expect(page.locator(".question")).to_have_text(
        "Name the seven days of the week, from Monday on."
    )
    expect(page.locator(".source")).to_contain_text("Answered on the box")
    expect(page.locator(".answer")).to_contain_text("Sunday")
    expect(page.locator(".source")).to_contain_text("qwen2.5")
    lengths = page.evaluate("window.lengths")
    assert len(set(lengths)) > 3
    assert lengths == sorted(lengths)


def test_code_has_a_copy_button(open_page: OpenPage) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    ask(page, "Write a Python function that adds two numbers.")
    code = page.locator("figure.code code")
    expect(code).to_contain_text("def ")
    expect(page.locator(".source")).to_contain_text("began after")  # known at the end
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == code.text_content()


def test_markup_of_others_is_shown_as_text(page: Page) -> None:
    evil = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'>"
    ask(page, evil)
    expect(page.locator(".question")).to_have_text(evil)
    shown = page.evaluate(
        """async (evil) => {
            const { showAnswer } = await import("/static/answer.js");
            const place = document.createElement("div");
            document.body.append(place);
            showAnswer(place, evil + "\\n```html\\n" + evil + "\\n```\\n" + evil);
            const tags = [...place.querySelectorAll("*")].map((one) => one.localName);
            return { tags, text: place.querySelector("code").textContent };
        }""",
        evil,
    )
    assert not {"script", "img"} & set(shown["tags"])
    assert shown["text"].strip() == evil
    assert page.evaluate("window.evil") is None


def test_documents_come_and_go_and_their_names_are_text(open_page: OpenPage) -> None:
    page = open_page("/#knowledge")
    expect(page.get_by_text("No documents yet.")).to_be_visible()
    name = "<img src=x onerror=alert(1)>.md"
    page.locator("input[type=file]").set_input_files(
        {
            "name": name,
            "mimeType": "text/markdown",
            "buffer": b"# Boiler\n\nThe pressure is 1.5 bar.",
        }
    )
    expect(page.locator(".line-title")).to_have_text(name)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No documents yet.")).to_be_visible()


def test_mute(page: Page) -> None:
    button = page.get_by_role("button", name="Microphone of the box off")
    button.click()
    expect(page.locator(".state")).to_have_text("Muted")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(page.locator(".state")).to_have_text("Ready")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_volume(page: Page, luna: Luna) -> None:
    page.get_by_label("Volume of the box").fill("35")
    luna.service.until_type("volume_requested", percent=35)


def test_reminder_is_added_put_off_and_done(open_page: OpenPage) -> None:
    page = open_page("/#reminders")
    field = page.get_by_label("New reminder")
    field.fill("remind me to water the plants")
    field.press("Enter")
    expect(page.locator(".problem:visible")).not_to_be_empty()  # nobody said when
    field.fill("remind me to water the plants in two hours")
    field.press("Enter")
    line = page.locator(".reminders li").filter(has_text="water the plants")
    expect(line).to_have_count(1)
    before = line.locator(".soft").text_content()
    line.get_by_role("button", name="Later").click()
    expect(line.locator(".soft")).not_to_have_text(before or "")
    line.get_by_role("button", name="Done").click()
    expect(line).to_have_count(0)


def test_a_reminder_added_elsewhere_appears_by_itself(page: Page, luna: Luna) -> None:
    luna.command("reminders", "add", "remind me to feed the cat in three hours")
    line = page.locator(".glance li").filter(has_text="feed the cat")
    expect(line).to_be_visible()
    line.get_by_role("button", name="Done").click()
    expect(line).to_have_count(0)


def test_history_is_searched_and_read(open_page: OpenPage) -> None:
    page = open_page()
    ask(page, "What is the capital of Portugal?")
    expect(page.locator(".answer")).to_contain_text("Lisbon")
    page.goto("/#history")
    page.get_by_label("Search what was said").fill("Portugal")
    page.locator(".history .line-button").first.click()
    expect(page.locator(".message.hers").last).to_contain_text("Lisbon")
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_text("begins a new conversation")).to_be_visible()


def test_turns_are_shown_as_chart_and_table(open_page: OpenPage) -> None:
    page = open_page("/#activity")
    expect(page.locator(".chart canvas")).to_be_visible()
    page.get_by_text("As a table").first.click()
    expect(page.locator(".activity table tbody tr").first).to_contain_text(
        re.compile(r"\d[.,]\d+ s")
    )
    expect(page.get_by_text("No provider is set up")).to_be_visible()


def test_a_setting_is_kept_and_a_wrong_one_refused(open_page: OpenPage) -> None:
    page = open_page("/#settings")
    field = page.get_by_label("How sure of the wake word")
    field.fill("0.7")
    field.press("Tab")
    expect(page.get_by_text("waiting for Luna to be started again")).to_be_visible()
    field.fill("7")
    field.press("Tab")
    expect(page.locator("[data-setting='listen.wake_threshold'] .saved")).to_have_attribute(
        "data-bad", "yes"
    )
    page.reload()
    expect(page.get_by_label("How sure of the wake word")).to_have_value("0.7")


def test_the_log_comes_live(open_page: OpenPage, luna: Luna) -> None:
    page = open_page("/#logs")
    expect(page.locator(".log li").first).to_be_visible()
    page.get_by_label("Filter by words").fill("state: muted")
    expect(page.locator(".log li").filter(has_not_text="muted")).to_have_count(0)
    before = page.locator(".log li").count()
    luna.service.send("mute_requested", muted=True)
    expect(page.locator(".log li")).to_have_count(before + 1)
    luna.service.send("mute_requested", muted=False)


def test_backup_is_downloaded(open_page: OpenPage) -> None:
    page = open_page("/#settings")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download a backup").click()
    assert download.value.path().read_bytes()[:2] == b"\x1f\x8b"


def test_portuguese(open_page: OpenPage) -> None:
    page = open_page()
    page.get_by_role("button", name="Português").click()
    expect(page.get_by_role("link", name="Lembretes")).to_be_visible()
    expect(page.locator(".state")).to_have_text("Pronta")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    page.reload()
    expect(page.get_by_role("button", name="Segure para falar")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("link", name="Reminders")).to_be_visible()


def test_a_portuguese_browser_is_answered_in_portuguese(open_page: OpenPage) -> None:
    page = open_page(locale="pt-BR")
    expect(page.get_by_role("link", name="Histórico")).to_be_visible()


def test_dark_and_light(open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Dark or light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_without_a_permitted_microphone_it_says_so(page: Page) -> None:
    page.get_by_role("button", name="Hold to talk").click()
    expect(page.get_by_role("alert").filter(has_text="may not use the microphone")).to_be_visible()


def test_without_a_secure_context_it_says_what_to_do(open_page: OpenPage) -> None:
    page = open_page()
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page.reload()
    page.get_by_role("button", name="Hold to talk").click()
    expect(page.get_by_role("alert").filter(has_text="luna web cert make")).to_be_visible()


def test_the_space_bar_in_the_text_field_is_a_space(page: Page) -> None:
    field = page.get_by_label("Write to Luna")
    field.press_sequentially("a b")
    expect(field).to_have_value("a b")
    expect(page.get_by_role("button", name="Hold to talk")).to_have_attribute(
        "aria-pressed", "false"
    )


def test_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Go to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.get_by_role("navigation").get_by_role("link", name="Health").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Health", level=1)).to_be_visible()


def test_an_open_page_asks_for_nothing(page: Page) -> None:
    expect(page.locator(".state")).to_have_text("Ready")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4000)
    assert asked == []
