"""Talking to Luna by way of a browser: a fake microphone, everything else is real."""

from __future__ import annotations

import base64
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from tests.sound_card import write_wav
from tests.speech import RATE, say, understood
from tests.web.browser.chromium import LIMIT_MS, Luna, Watched, chromium, pair

pytestmark = [pytest.mark.slow, pytest.mark.models, pytest.mark.sound]
expect.set_options(timeout=LIMIT_MS)

BEFORE_S = 2.0
"""Quiet before the question: a browser that starts its audio takes a moment."""
RECORD_OUTPUT = """() => {
    // Whatever goes to the loudspeakers is recorded as well.
    const connect = AudioNode.prototype.connect;
    AudioNode.prototype.connect = function (to, ...rest) {
        if (to instanceof AudioDestinationNode) {
            const copy = this.context.createMediaStreamDestination();
            connect.call(this, copy);
            window.recorder = new MediaRecorder(copy.stream);
            window.pieces = [];
            window.recorder.ondataavailable = ({ data }) => window.pieces.push(data);
            window.recorder.start();
        }
        return connect.call(this, to, ...rest);
    };
}"""
RECORDED = """() => new Promise((resolve) => {
    window.recorder.onstop = async () => {
        const bytes = new Uint8Array(await new Blob(window.pieces).arrayBuffer());
        let text = "";
        for (const byte of bytes) text += String.fromCharCode(byte);
        resolve(btoa(text));
    };
    window.recorder.stop();
})"""


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a question; what the microphone hears."""
    path = tmp_path_factory.mktemp("question") / "question.wav"
    write_wav(path, say("What is two plus two?", before_s=BEFORE_S, after_s=3.0), RATE)
    return path


@pytest.fixture(scope="module")
def browser(question: Path) -> Iterator[Browser]:
    """A Chromium whose microphone plays the question."""
    with chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={question}%noloop",
    ) as one:
        yield one


@pytest.fixture
def page(luna: Luna, browser: Browser) -> Iterator[Page]:
    """The page, let in; what it plays is recorded."""
    watched = Watched(browser, luna)
    watched.context.add_init_script(f"({RECORD_OUTPUT})()")
    one = watched.page()
    pair(one, luna)
    expect(one.locator(".state")).to_have_text("Ready")
    yield one
    watched.close()


def spoken(page: Page) -> str:
    """Return what the page has said, as Whisper understands it."""
    data = base64.b64decode(page.evaluate(RECORDED))
    resampler = av.AudioResampler("s16", "mono", RATE)
    pieces: list[Any] = []
    with av.open(io.BytesIO(data), "r") as recording:
        for frame in recording.decode(audio=0):
            pieces += [one.to_ndarray()[0] for one in resampler.resample(frame)]
    return understood(np.concatenate(pieces).astype(np.int16))


def hold(page: Page, question_s: float) -> None:
    """Hold the talk button with the mouse while the question is asked."""
    button = page.get_by_role("button", name="Hold to talk")
    button.hover()
    page.mouse.down()
    expect(page.locator(".talk")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(question_s * 1000)
    page.mouse.up()


def test_asked_by_voice_and_answered_by_voice(page: Page, luna: Luna) -> None:
    hold(page, BEFORE_S + 3.0)
    expect(page.locator(".question")).to_contain_text(
        re.compile(r"(two|2) (plus|\+) (two|2)", re.I)
    )
    expect(page.locator(".answer")).to_contain_text(re.compile(r"\b(4|four)\b", re.I))
    ended = luna.service.until_type("turn_ended", source="page")[-1]
    assert ended["outcome"] == "answered"
    assert ended["timings"]["playback_ms"] > 0
    expect(page.locator(".state")).to_have_text("Ready")
    assert re.search(r"\b(4|four)\b", spoken(page))


def test_by_the_space_bar_and_stopped(page: Page, luna: Luna) -> None:
    page.locator("#main").focus()
    page.keyboard.down("Space")
    expect(page.locator(".talk")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout((BEFORE_S + 3.0) * 1000)
    page.keyboard.up("Space")
    expect(page.locator(".state")).to_have_text("Speaking")
    with contextlib.suppress(PlaywrightTimeoutError):  # a short answer may be over by then
        page.get_by_role("button", name="Stop").click(timeout=5_000)
    ended = luna.service.until_type("turn_ended", source="page")[-1]
    assert ended["outcome"] in ("interrupted", "answered")
    expect(page.locator(".state")).to_have_text("Ready")
