"""The page of a Luna with a provider: pictures, why it was asked, usage, report, what is not well."""

from __future__ import annotations

import base64
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.fake_provider import answer, failing
from tests.threaded_provider import ThreadedProvider
from tests.web.browser.chromium import LIMIT_MS, Luna, chromium
from tests.web.browser.conftest import OpenPage
from tests.web.browser.quick import quick_luna

pytestmark = [pytest.mark.slow]
expect.set_options(timeout=LIMIT_MS)

SMALL = "thresholds.memory_free_percent=[99.9, 99.8]"
FULL = "thresholds.disk_free_mb=[1e12, 0]"
DROP = """([selector, name, type, base64, size]) => {
    const bytes = [Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)), new Uint8Array(size)];
    const data = new DataTransfer();
    data.items.add(new File(bytes, name, { type }));
    const place = document.querySelector(selector);
    for (const kind of ["dragover", "drop"]) {
        place.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
    }
}"""
PT = {"locale": "pt-BR"}


@pytest.fixture(scope="module")
def groq() -> Iterator[ThreadedProvider]:
    with ThreadedProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def luna(groq: ThreadedProvider) -> Iterator[Luna]:
    """A Luna that finds her memory and disk too small."""
    with (
        tempfile.TemporaryDirectory(prefix="luna-") as folder,
        quick_luna(Path(folder), groq.base_url, "--set", SMALL, "--set", FULL) as one,
    ):
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def picture() -> FilePayload:
    out = io.BytesIO()
    Image.new("RGB", (320, 200), "crimson").save(out, "PNG")
    return {"name": "red.png", "mimeType": "image/png", "buffer": out.getvalue()}


def choose(page: Page, file: FilePayload) -> None:
    page.locator(".composer input[type=file]").set_input_files(file)


def drop(page: Page, selector: str, name: str, kind: str, data: bytes, more: int = 0) -> None:
    """Let a file fall on the page, as if from another window; *more* zeros follow the data."""
    page.evaluate(DROP, [selector, name, kind, base64.b64encode(data).decode(), more])


def ask(page: Page, question: str) -> None:
    page.get_by_label("Write to Luna").fill(question)
    page.get_by_role("button", name="Send").click()


def pictures_in(body: dict[str, Any]) -> list[str]:
    """Return the pictures of the last message that a provider was sent."""
    content = body["messages"][-1]["content"]
    parts = content if isinstance(content, list) else []
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


# --- pictures -------------------------------------------------------------------------------


def test_a_picture_is_looked_at_taken_away_and_asked_about(
    open_page: OpenPage, groq: ThreadedProvider
) -> None:
    page = open_page()
    groq.play(answer("It is all red."))
    preview = page.get_by_label("Picture to ask about")
    choose(page, picture())
    expect(preview).to_be_visible()
    red = "(one) => [...one.getContext('2d').getImageData(5, 5, 1, 1).data].slice(0, 3)"
    shown = preview.evaluate(red)
    assert shown[0] > 200
    assert max(shown[1:]) < 80
    page.get_by_role("button", name="Remove the picture").click()
    expect(preview).to_be_hidden()
    choose(page, picture())
    expect(preview).to_be_visible()
    ask(page, "What colour is this?")
    expect(page.locator(".answer")).to_have_text("It is all red.")
    expect(page.locator(".source")).to_contain_text("groq")
    expect(page.locator(".source")).to_contain_text("seer")
    expect(preview).to_be_hidden()
    (sent,) = pictures_in(groq.requests[-1].body)
    assert sent.startswith("data:image/jpeg;base64,")
    groq.play(answer("Blue is a colour."))
    ask(page, "Tell me about another colour.")
    expect(page.locator(".answer")).to_have_text("Blue is a colour.")
    assert pictures_in(groq.requests[-1].body) == []  # the picture was for one question


def test_a_picture_is_dropped_and_a_wrong_file_refused(open_page: OpenPage) -> None:
    page = open_page()
    preview = page.get_by_label("Picture to ask about")
    choose(page, {"name": "red.png", "mimeType": "image/png", "buffer": b"not a picture"})
    note = page.get_by_role("alert").filter(has_text="not a picture that can be read")
    expect(note).to_be_visible()
    expect(preview).to_be_hidden()
    drop(page, ".composer", "red.png", "image/png", picture()["buffer"])
    expect(preview).to_be_visible()
    expect(note).to_be_hidden()


# --- why, how much, how well ------------------------------------------------------------------


def test_why_this_one_is_still_known_after_a_reload(
    open_page: OpenPage, groq: ThreadedProvider
) -> None:
    page = open_page()
    groq.play(answer("The sea is deep."))
    ask(page, "Tell me about the sea.")
    expect(page.locator(".answer")).to_have_text("The sea is deep.")
    expect(page.locator(".source")).to_contain_text("began after")
    for _ in range(2):
        page.get_by_text("Why this one?").click()
        expect(page.locator(".why p")).to_contain_text("It is the first choice")
        expect(page.locator(".source")).to_contain_text("Answered by groq")
        page.reload()
    # Nor does something that Luna says by herself take it away.
    page.get_by_text("Why this one?").click()
    expect(page.locator(".why p")).to_contain_text("It is the first choice")


def test_usage_is_counted_against_its_limit(open_page: OpenPage, groq: ThreadedProvider) -> None:
    page = open_page("/#activity")
    groq.play(answer("One two three.", prompt_tokens=8500))
    meter = page.get_by_role("progressbar", name="groq: Tokens")
    page.goto("/#now")
    ask(page, "Count to three for me.")
    expect(page.locator(".answer")).to_have_text("One two three.")
    page.goto("/#activity")
    expect(meter).to_have_attribute("data-level", "warning")
    figures = page.locator(".provider .figure").all_inner_texts()
    assert any(re.match(r"[89],\d{3} of 10,000", text) for text in figures), figures
    assert any(re.match(r"US\$0\.00|\$0\.00", text) for text in figures), figures
    assert page.locator(".days span").count() == 30
    shares = page.locator(".days span").evaluate_all(
        "(all) => all.map((one) => Number(one.style.getPropertyValue('--share')))"
    )
    assert shares[-1] == 1
    assert sum(shares) == 1  # nothing on the days before
    page.locator(".activity details").last.get_by_text("As a table").click()
    row = page.locator(".activity tbody tr").filter(has_text="groq").filter(has_text="$")
    expect(row).to_have_count(1)


def test_the_report_of_the_day_comes_by_itself(open_page: OpenPage, luna: Luna) -> None:
    page = open_page("/#activity")
    expect(page.get_by_text("There is no report yet")).to_be_visible()
    luna.command("reminders", "add", "remind me to call Ana in two hours")
    luna.command("jobs", "run", "daily-report")
    expect(page.locator(".report")).to_contain_text("Ana")
    expect(page.get_by_text("There is no report yet")).to_be_hidden()


def test_what_is_not_well_is_amber_and_red(open_page: OpenPage) -> None:
    page = open_page("/#health")
    found = page.locator(".section.health .findings li")
    critical = found.filter(has_text="percent of the memory").first
    expect(critical).to_have_attribute("data-level", "critical")
    expect(critical.locator(".unseen")).to_have_text("Critical: ")
    warning = found.filter(has_text="MB of the disk").first
    expect(warning).to_have_attribute("data-level", "warning")
    expect(page.locator("[data-figure=memory]")).to_have_attribute("data-level", "critical")
    expect(page.locator("[data-figure^=disk]").first).to_have_attribute("data-level", "warning")
    colours = [
        one.evaluate("(line) => getComputedStyle(line, '::before').backgroundColor + "
                     "getComputedStyle(line).color + getComputedStyle(line).borderLeftColor")
        for one in (critical, warning)
    ]  # fmt: skip
    assert colours[0] != colours[1]
    page.goto("/#now")
    expect(page.locator(".glance .findings li[data-level=critical]").first).to_be_visible()


# --- what others wrote, and what is refused -----------------------------------------------------


def test_the_name_of_a_document_is_shown_whole(open_page: OpenPage) -> None:
    page = open_page("/#knowledge")
    name = "Boiler <b>manual</b>.md"
    drop(page, ".section.knowledge", name, "text/markdown", b"# Boiler\n\nIt has 1.5 bar.")
    expect(page.locator(".line-title")).to_have_text(name)
    expect(page.locator(".line-words .soft")).to_contain_text("md")
    page.reload()
    expect(page.locator(".line-title")).to_have_text(name)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name=f"Delete: {name}").click()
    expect(page.locator(".line-title")).to_have_count(0)


def test_refusals_are_in_the_language_of_the_page(open_page: OpenPage, luna: Luna) -> None:
    page = open_page("/#knowledge", **PT)
    drop(page, ".section.knowledge", "a.txt", "text/plain", b"PK\x03\x04\0\0\0")
    expect(page.get_by_text("Isto não é texto, página HTML nem PDF")).to_be_visible()
    drop(page, ".section.knowledge", "a.pdf", "application/pdf", b"%PDF-1.7 nothing more")
    expect(page.get_by_text("Este documento não pode ser lido")).to_be_visible()
    drop(page, ".section.knowledge", "b.txt", "text/plain", b"x", more=20_000_000)
    expect(page.get_by_text("Um documento pode ter no máximo 20 MB.")).to_be_visible()
    page.goto("/#settings")
    field = page.locator("[data-setting='listen.follow_up_s']")
    field.locator("input").fill("-1")
    field.locator("input").press("Tab")
    expect(field.locator(".saved")).to_contain_text("Deve estar entre")
    # The server says the same, whatever the page lets through.
    refused = page.evaluate("""async () => {
        const { patch } = await import("/static/api.js");
        return patch("config", { "listen.follow_up_s": -1 }).catch((error) => error.message);
    }""")
    assert refused.startswith("Deve estar entre")
    page.goto("/#reminders")
    page.get_by_label("Novo lembrete").fill("me lembre de regar as plantas")
    page.get_by_label("Novo lembrete").press("Enter")
    expect(page.locator(".problem:visible")).to_have_text(re.compile(r"[Qq]uando"))


def test_too_many_questions_are_refused_in_the_language_of_the_page(
    open_page: OpenPage, groq: ThreadedProvider
) -> None:
    page = open_page(**PT)
    groq.play(answer("Um dois três.", before_first_s=3.0))
    refused = page.evaluate("""async () => {
        const { ask } = await import("/static/api.js");
        const tried = Array.from({ length: 16 }, (_, i) => ask({ text: `Conte até ${i}.` }).catch((error) => error.message));
        for (const answer of await Promise.all(tried)) if (answer) return answer;
        return "";
    }""")
    assert refused.startswith("A Luna está ocupada")


# --- sound ------------------------------------------------------------------------------------


def test_the_resampler_of_browsers_that_record_at_their_own_rate(open_page: OpenPage) -> None:
    """A tone of the speech band keeps its pitch and level; what 16 kHz cannot hold is gone."""
    page = open_page()
    measure = """async ([rate, hertz]) => {
        const { Resampler } = await import("/static/talk/resampler.js");
        const resampler = new Resampler(rate, 16000);
        const out = [];
        // In quanta of 128 samples, as the audio thread has them.
        for (let at = 0; at < rate; at += 128) {
            const piece = Float32Array.from({ length: 128 }, (_, i) => 0.5 * Math.sin(2 * Math.PI * hertz * (at + i) / rate));
            out.push(...resampler.feed(piece));
        }
        const steady = out.slice(1000, -1000);
        const level = Math.sqrt(steady.reduce((sum, one) => sum + one * one, 0) / steady.length);
        let crossings = 0;
        for (let i = 1; i < steady.length; i++) if (steady[i - 1] < 0 && steady[i] >= 0) crossings++;
        let jump = 0;
        for (let i = 1; i < steady.length; i++) jump = Math.max(jump, Math.abs(steady[i] - steady[i - 1]));
        return { count: out.length, level, hertz: crossings * 16000 / steady.length, jump };
    }"""
    for rate in (44_100, 48_000, 96_000):
        kept = page.evaluate(measure, [rate, 1000])
        assert abs(kept["count"] - 16_000) < 40, kept
        assert kept["level"] == pytest.approx(0.5 / 2**0.5, rel=0.02)
        assert kept["hertz"] == pytest.approx(1000, rel=0.01)
        assert kept["jump"] < 0.5 * 0.4  # no step between two quanta: 2 pi 1000 / 16000 is 0.39
        aliased = page.evaluate(measure, [rate, 12_000])
        assert aliased["level"] < 0.5 / 2**0.5 * 10 ** (-40 / 20), aliased


def test_the_recorder_at_another_rate_sends_16_khz(open_page: OpenPage) -> None:
    """The worklet itself, in an audio context of 48 kHz."""
    page = open_page()
    found = page.evaluate("""async () => {
        const context = new AudioContext({ sampleRate: 48000 });
        await context.audioWorklet.addModule("/static/talk/recorder_worklet.js");
        const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
        const samples = [];
        const enough = new Promise((resolve) => {
            node.port.onmessage = ({ data }) => { samples.push(...data); if (samples.length >= 16000) resolve(); };
        });
        const tone = new OscillatorNode(context, { frequency: 500 });
        tone.connect(node);
        node.port.postMessage("open");
        tone.start();
        await context.resume();
        await enough;
        await context.close();
        const steady = samples.slice(4000, 12000);
        let crossings = 0;
        for (let i = 1; i < steady.length; i++) if (steady[i - 1] < 0 && steady[i] >= 0) crossings++;
        return { hertz: crossings * 16000 / steady.length, peak: Math.max(...steady) };
    }""")
    assert found["hertz"] == pytest.approx(500, rel=0.02)
    assert 31_000 < found["peak"] <= 32_767


# --- and when nobody answers --------------------------------------------------------------------


def test_an_answer_that_fails_is_no_loss_of_contact(
    open_page: OpenPage, groq: ThreadedProvider
) -> None:
    """Last: after it the provider is left alone for a while."""
    page = open_page()
    groq.play(failing(400))
    choose(page, picture())
    expect(page.get_by_label("Picture to ask about")).to_be_visible()
    ask(page, "What is this here?")
    expect(page.locator(".exchange .problem")).to_contain_text("cannot answer")
    page.wait_for_timeout(2000)  # longer than the page waits before it tells of a loss
    expect(page.locator("#lost")).to_be_hidden()
