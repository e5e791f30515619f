"""Events are found wherever the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.providers.sse import EventStream, EventTooLarge

LINE_ENDS = [b"\n", b"\r\n", b"\r"]


def events_of(data: bytes, sizes: list[int]) -> list[bytes]:
    stream, found, at = EventStream(), [], 0
    for size in sizes:
        found += stream.feed(data[at : at + size])
        at += size
    return [*found, *stream.feed(data[at:]), *stream.close()]


@given(
    st.lists(st.binary(min_size=1, max_size=40).map(lambda b: b.translate(None, b"\r\n") or b"x")),
    st.sampled_from(LINE_ENDS),
    st.lists(st.integers(1, 9), max_size=80),
)
def test_wherever_it_is_cut(contents: list[bytes], end: bytes, sizes: list[int]) -> None:
    data = b"".join(b"data: " + content + end * 2 for content in contents)
    assert events_of(data, sizes) == contents


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b": comment\n\nevent: x\nid: 7\nretry: 1\ndata: a\n\n", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a", [b"a"]),
        (b"data\n\n", [b""]),
        (b"\n\n\n", []),
        (b"database: x\n\n", []),
        ("data: você\n\n".encode(), ["você".encode()]),
        ("data: a\u2028b\x0c\n\n".encode(), ["a\u2028b\x0c".encode()]),
    ],
)
def test_forms_of_events(data: bytes, events: list[bytes]) -> None:
    assert events_of(data, []) == events
    assert events_of(data, [1] * len(data)) == events


@pytest.mark.parametrize("data", [b"data: " + b"x" * 200, b"data: x\n" * 200])
def test_an_event_has_a_limit(data: bytes) -> None:
    with pytest.raises(EventTooLarge):
        EventStream(max_event_bytes=100).feed(data)
