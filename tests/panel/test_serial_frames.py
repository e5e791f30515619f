"""The serial panel's frames: exact, and not to be confused by anything."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.panel import serial_frames as frames
from appliance.panel.device import Layout, Shape
from appliance.panel.serial_frames import FrameDecoder, Hello, Inputs, encode, parse
from appliance.panel.wiring import Role

PAYLOADS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7D), max_size=255)
NOISE = st.binary(max_size=40).map(lambda data: data.replace(b"~", b""))


def test_a_frame_as_the_document_shows_it() -> None:
    assert encode("inputs 01 0 0007") == b"~10inputs 01 0 000715a7157e\n"
    assert FrameDecoder().feed(b"~10inputs 01 0 000715a7157e\r\n") == ["inputs 01 0 0007"]


def test_the_document_shows_what_the_code_does() -> None:
    text = (Path(__file__).parents[2] / "docs/serial-panel.md").read_text()
    example = next(line for line in text.splitlines() if line.startswith("~1"))
    assert FrameDecoder().messages(example.encode() + b"\n") == [Inputs(1, False, 7)]
    assert f"is version `{frames.VERSION}`" in text
    assert f"({frames.MAX_FRAME} bytes)" in text
    assert f"`line` or `ring` 1 to {frames.MAX_LEDS}" in text
    assert f"modulo {frames.ENCODER_RANGE}," in text
    for word in (*get_args(Role), *get_args(Shape)):
        assert f"`{word}`" in text


@pytest.mark.parametrize("payload", ["a" * 256, "~", "\n", "\x1f", "\x7f", "é"])
def test_what_is_no_payload(payload: str) -> None:
    with pytest.raises(ValueError, match=r"payload|ascii"):
        encode(payload)


@pytest.mark.parametrize(
    "line",
    [
        b"~10inputs 01 0 000715A7157E\n",  # capitals
        b"~0Finputs 01 0 00071d05e0f0\n",
        b"~10inputs 01 0 000715a7157e \n",
        b"~10inputs 01 0 0007 15a7157e\n",
        b"~ 10inputs 01 0 000715a7157e\n",
        b"~10inputs 01 0 000715a7157e\r\r\n",
        b"~11inputs 01 0 000715a7157e\n",
        b"~00\n",
        b"~\n",
    ],
)
def test_there_is_one_way_to_write_a_frame(line: bytes) -> None:
    decoder = FrameDecoder()
    assert decoder.feed(line) == []
    assert (decoder.bad_frames, decoder.skipped_bytes) == (1, len(line))


@given(st.lists(st.tuples(NOISE, PAYLOADS)), st.data())
@settings(max_examples=200, deadline=None)
def test_every_whole_frame_comes_out_however_it_is_cut(
    parts: list[tuple[bytes, str]], data: st.DataObject
) -> None:
    stream = b"".join(noise + encode(payload) for noise, payload in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    decoder = FrameDecoder()
    found: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[start:end])
        assert decoder.kept < frames.MAX_FRAME
    assert found == [payload for _noise, payload in parts]
    assert decoder.skipped_bytes == sum(len(noise) for noise, _payload in parts)
    assert (decoder.frames, decoder.bad_frames, decoder.kept) == (len(parts), 0, 0)


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None)
def test_every_byte_is_accounted_for(data: bytes) -> None:
    decoder = FrameDecoder()
    accepted = sum(len(encode(payload)) for payload in decoder.feed(data))
    assert accepted + decoder.skipped_bytes + decoder.kept == len(data)
    decoder.reset()
    assert (accepted + decoder.skipped_bytes, decoder.kept) == (len(data), 0)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ("inputs 03 1 beef", Inputs(3, True, 0xBEEF)),
        (
            "hello 1 4f3a talk,stop ring 12 1 0 luna-pico",
            Hello(1, "4f3a", ("talk", "stop"), Layout("ring", 12), True, False, "luna-pico"),
        ),
        ("hello 1 0000 - none 0 0 0 x", Hello(1, "0000", (), Layout(), False, False, "x")),
        ("hello 2 4f3a whatever may come", Hello(2, "4f3a")),
        ("hello 2 4f3a", Hello(2, "4f3a")),
    ],
)
def test_messages(payload: str, message: Hello | Inputs) -> None:
    assert parse(payload) == message


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "inputs",
        "inputs 3 1 beef",
        "inputs 03 2 beef",
        "inputs 03 1 beef ",
        "inputs 03 1 BEEF",
        "button 1",
        "hello 1 4f3a",
        "hello 1 4f3a talk ring 41 1 0 x",
        "hello 1 4f3a talk ring 0 1 0 x",
        "hello 1 4f3a talk pair 1 1 0 x",
        "hello 1 4f3a talk disc 1 1 0 x",
        "hello 1 4f3a talk,talk ring 12 1 0 x",
        "hello 1 4f3a talk,shutdown ring 12 1 0 x",
        "hello 1 4f3a talk ring 12 1 0 " + "x" * 33,
        "hello one 4f3a",
        "hello 1 4F3A talk ring 12 1 0 x",
    ],
)
def test_what_is_no_message(payload: str) -> None:
    with pytest.raises(ValueError, match="not "):
        parse(payload)
    decoder = FrameDecoder()
    assert decoder.messages(encode(payload)) == []
    assert (decoder.frames, decoder.unknown, decoder.bad_frames) == (1, 1, 0)


def test_the_largest_frames_fit() -> None:
    assert len(frames.leds(bytes(3 * frames.MAX_LEDS))) <= frames.MAX_FRAME
    assert len(encode("x" * frames.MAX_PAYLOAD)) + 1 == frames.MAX_FRAME


def test_memory_stays_the_same_whatever_comes() -> None:
    decoder = FrameDecoder()
    pieces = [b"~" + b"0" * 4095, b"~" * 4096, b"\n" * 4096, bytes(4096), encode("alive") * 200]

    def flood(times: int) -> int:
        for _ in range(times):
            for piece in pieces:
                decoder.feed(piece)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = flood(2)
        assert flood(100) - before < 1024
    finally:
        tracemalloc.stop()


def say(message: Hello | Inputs) -> str:
    """Return the payload of *message*: the one way to write it."""
    if isinstance(message, Inputs):
        return f"inputs {message.buttons:02x} {message.mute_switch:d} {message.encoder:04x}"
    layout = message.layout
    about = (
        f" {','.join(message.buttons) or '-'} {layout.shape} {layout.count}"
        f" {message.encoder:d} {message.mute_switch:d} {message.name}"
    )
    return f"hello {message.version} {message.nonce}{about}"


MESSAGES = ("inputs 03 1 beef", "hello 1 4f3a talk,stop ring 12 1 0 luna-pico")


@given(
    st.sampled_from(MESSAGES),
    st.lists(
        st.tuples(st.integers(0, 50), st.sampled_from(" -,0123456789abcdefnorstuz")), max_size=4
    ),
)
@settings(max_examples=2000, deadline=None)
def test_a_message_that_is_accepted_is_written_in_the_one_way(
    payload: str, changes: list[tuple[int, str]]
) -> None:
    for place, character in changes:
        payload = payload[:place] + character + payload[place + 1 :]
    for message in FrameDecoder().messages(encode(payload)):
        if isinstance(message, Inputs) or message.version == frames.VERSION:
            assert say(message) == payload


def mutants(originals: list[bytes], count: int, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield *count* frames as (original, what became of it)."""
    numbers = np.random.default_rng(seed)
    kinds = 8
    table = np.frombuffer(b"".join(originals), np.uint8).reshape(len(originals), -1)
    width = table.shape[1]
    marks = np.frombuffer(b"~\n\r 0f", np.uint8)
    while count > 0:
        batch = min(count, 20_000)
        count -= batch
        chosen = numbers.integers(len(originals), size=batch)
        rows: npt.NDArray[np.uint8] = table[chosen].copy()
        kind = numbers.integers(kinds, size=batch)
        where = numbers.integers(width, size=(batch, 6))
        line = np.arange(batch)
        flips = np.uint8(1) << numbers.integers(8, size=batch, dtype=np.uint8)
        rows[line[kind == 0], where[kind == 0, 0]] ^= flips[kind == 0]  # one bit
        for place in range(6):  # up to six bytes, anything or what matters to the decoder
            some = kind == 1
            rows[line[some], where[some, place]] = numbers.integers(256, size=some.sum())
            some = (kind == 2) & (place < 1 + where[:, 0] % 6)
            rows[line[some], where[some, place]] = numbers.choice(marks, some.sum())
        some = kind == 3  # nothing but noise
        rows[some] = numbers.integers(256, size=(some.sum(), width), dtype=np.uint8)
        some = kind == 4  # another payload below the same CRC
        other = table[numbers.integers(len(originals), size=some.sum())]
        rows[some, : width - 9] = other[:, : width - 9]
        data, cuts = rows.tobytes(), where.tolist()
        for index, (which, what) in enumerate(zip(chosen.tolist(), kind.tolist(), strict=True)):
            frame = data[index * width : (index + 1) * width]
            first, second = cuts[index][:2]
            if what == 5:  # cut off
                frame = frame[:first]
            elif what == 6:  # a piece is missing, or is there twice
                frame = frame[:first] + frame[second:]
            yield originals[which], frame  # the seventh kind is whole


def test_a_million_random_and_mutated_frames() -> None:
    originals = [
        encode(f"inputs {n % 251:02x} {n % 2} {n * 7919 % 65521:04x}") for n in range(1000)
    ]
    sent, decoder = set(originals), FrameDecoder()
    count = whole = accepted = begun = fed = 0
    recent = b""
    for original, frame in mutants(originals, 1_000_000, seed=5):
        count += 1
        fed += len(frame)
        recent = recent[-frames.MAX_FRAME :] + frame
        found = decoder.feed(frame)
        begun = max(begun, decoder.kept)
        accepted += len(found)
        # What comes out was sent, and stands in what arrived, letter by letter.
        for payload in found:
            assert encode(payload) in sent
            assert encode(payload) in recent
        if original in frame:
            whole += 1
            assert encode(found[-1]) == original
    assert count == 1_000_000
    assert accepted >= whole > 100_000
    assert decoder.bad_frames > 500_000
    assert begun < frames.MAX_FRAME
    assert fed == accepted * len(originals[0]) + decoder.skipped_bytes + decoder.kept
