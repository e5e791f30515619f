"""The client against a server that plays every fault."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import socket
import ssl
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from appliance.errors import ProviderError
from appliance.providers.base import Usage
from appliance.providers.http import translated
from appliance.providers.keys import Secret
from appliance.providers.known import resolve
from appliance.providers.openai_compatible import GO_ON, OpenAICompatible
from appliance.providers.outbound_log import OutboundLog, read
from appliance.providers.redaction import Redactor
from appliance.settings import ProviderSettings
from tests.fake_provider import (
    FakeProvider,
    Play,
    answer,
    cut,
    failing,
    hanging,
    hanging_port,
    huge,
    malformed,
    never_ending,
    rate_limited,
    redirect,
    refused_port,
    slow,
)
from tests.providers.conftest import MakeClient, answer_of, request_for, text_of

TEXT = "É tarde, são dez e meia."


async def error_of(client: OpenAICompatible, **changes: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await answer_of(client, request_for(**changes))
    return caught.value


# --- answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "play",
    [
        answer(TEXT),
        answer(TEXT, write_bytes=1),
        answer(TEXT, write_bytes=7, line_end="\r\n"),
        answer(TEXT, line_end="\r", write_bytes=3),
        answer(TEXT, end="no_done"),
        answer(TEXT, streamed=False),
    ],
    ids=["streamed", "byte by byte", "CRLF", "CR", "no DONE", "in one piece"],
)
async def test_an_answer_arrives_whatever_its_form(
    fake_provider: FakeProvider, make_client: MakeClient, play: Play
) -> None:
    fake_provider.play(play)
    deltas = await answer_of(make_client())
    assert text_of(deltas) == TEXT
    assert [d.finish for d in deltas if d.finish] == ["stop"]
    assert deltas[-1].usage == Usage(prompt_tokens=12, completion_tokens=6)


async def test_the_request_says_what_is_wanted(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    tool = {"type": "function", "function": {"name": "light", "parameters": {}}}
    client = make_client(key=Secret("sk-123"), extra={"seed": 7})
    await answer_of(client, request_for(tools=(tool,), max_tokens=99, temperature=0.5))
    [received] = fake_provider.requests
    assert received.path == "/v1/chat/completions"
    assert received.headers["Authorization"] == "Bearer sk-123"
    assert received.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 99,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [tool],
        "seed": 7,
    }


async def test_a_server_that_cannot_stream_is_not_asked_to(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    deltas = await answer_of(make_client(supports=("tools",)))
    assert text_of(deltas) == "Hello there."
    assert fake_provider.requests[0].body["stream"] is False
    assert "stream_options" not in fake_provider.requests[0].body


@pytest.mark.parametrize("streamed", [True, False])
async def test_tool_calls_are_put_together(
    fake_provider: FakeProvider, make_client: MakeClient, streamed: bool
) -> None:
    calls = (("light", '{"on": true}'), ("volume", '{"level": 40}'))
    fake_provider.play(Play(pieces=("",), tool_calls=calls, streamed=streamed))
    deltas = await answer_of(make_client())
    [last] = [delta for delta in deltas if delta.finish]
    assert last.finish == "tool_calls"
    assert [(c["function"]["name"], c["function"]["arguments"]) for c in last.tool_calls] == list(
        calls
    )


@pytest.mark.parametrize("usage", ["none", "wrong"])
async def test_what_is_not_counted_is_estimated(
    fake_provider: FakeProvider, make_client: MakeClient, usage: Any
) -> None:
    fake_provider.play(answer("one two three", usage=usage))
    client = make_client()
    used = (await answer_of(client))[-1].usage
    assert used is not None
    assert used.estimated
    assert used.prompt_tokens == client.count_tokens(request_for().messages, "m")
    assert used.completion_tokens == len("one two three")


async def test_a_count_that_cannot_be_true_is_not_believed(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    fake_provider.play(answer("yes", prompt_tokens=3))
    question = {"role": "user", "content": "word " * 500}
    used = (await answer_of(make_client(), request_for(question)))[-1].usage
    assert used is not None
    assert used.estimated
    assert used.prompt_tokens > 500


async def test_the_first_words_come_before_the_last_are_written(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    fake_provider.play(never_ending(between_s=0.01))
    stream = make_client().stream(request_for())
    first = await anext(stream)
    assert first.text == "Hello"
    assert fake_provider.running == 1
    await stream.aclose()  # type: ignore[attr-defined]
    await _until(lambda: fake_provider.running == 0)
    assert fake_provider.abandoned == 1


async def test_a_connection_is_used_again(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    client = make_client()
    for _ in range(3):
        await answer_of(client)
    assert len({received.port for received in fake_provider.requests}) == 1


async def test_requests_at_once_do_not_disturb_each_other(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    fake_provider.play(*(answer(f"number {n}", between_s=0.005) for n in range(20)))
    client = make_client()
    answers = await asyncio.gather(*(answer_of(client) for _ in range(20)))
    assert sorted(map(text_of, answers)) == sorted(f"number {n}" for n in range(20))


# --- faults ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (rate_limited(), "rate_limited"),
        (failing(500), "server"),
        (failing(503), "server"),
        (failing(400), "rejected"),
        (failing(422), "rejected"),
        (failing(400, error="API key not valid"), "misconfigured"),
        (failing(401), "misconfigured"),
        (failing(403), "misconfigured"),
        (failing(404), "misconfigured"),
        (failing(402), "quota"),
        (failing(429, error="insufficient_quota"), "quota"),
        (redirect("http://127.0.0.1:1/elsewhere"), "misconfigured"),
        (cut("one two three", 0), "broken"),
        (cut("one two three", 2), "broken"),
        (answer("one two", end="no_finish"), "broken"),
        (malformed(0), "malformed"),
        (malformed(2), "malformed"),
        (huge(), "malformed"),
        (Play(error_after=1), "server"),
        (Play(body=b"[1, 2]", content_type="application/json"), "malformed"),
        (Play(body=b"not JSON", content_type="application/json"), "malformed"),
        (Play(body=b'data: {"choices": 5}\n\n'), "malformed"),
        (Play(body=b'data: {"choices": [{"delta": {"content": 5}}]}\n\n'), "malformed"),
        (Play(body=b"data: " + b"[" * 100_000 + b"\n\n"), "malformed"),
        (Play(body=b"<html>hotel login</html>", content_type="text/html"), "broken"),
        (Play(tool_calls=(("light", "{broken"),)), "malformed"),
    ],
)
async def test_each_failure_has_its_kind(
    fake_provider: FakeProvider, make_client: MakeClient, play: Play, kind: str
) -> None:
    fake_provider.play(play)
    assert (await error_of(make_client())).kind == kind
    assert len(fake_provider.requests) == 1  # asked once: the router alone retries


async def test_what_was_written_before_a_cut_was_passed_on(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    fake_provider.play(cut("one two three", 2))
    stream = make_client().stream(request_for())
    assert [(await anext(stream)).text, (await anext(stream)).text] == ["one", " two"]
    with pytest.raises(ProviderError):
        await anext(stream)


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "47"}, 47, 47),
        ({"Retry-After": "1.5"}, 1.5, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25, 0.25),
        ({"Retry-After": "in an hour"}, 3500, 3700),
        ({"Retry-After": "an hour ago"}, 0, 0),
        ({"Retry-After": "99999999"}, 86_400, 86_400),
    ],
)
async def test_the_time_to_wait_is_understood(
    fake_provider: FakeProvider,
    make_client: MakeClient,
    headers: dict[str, str],
    low: float,
    high: float,
) -> None:
    dates = {"in an hour": 3600, "an hour ago": -3600}  # from when the test runs
    sent = {
        name: formatdate(time.time() + dates[value], usegmt=True) if value in dates else value
        for name, value in headers.items()
    }
    fake_provider.play(failing(429, headers=sent))
    wait = (await error_of(make_client())).retry_after_s
    assert wait is not None
    assert low <= wait <= high


@pytest.mark.parametrize("text", ["", "soon", "-5", "nan", "1e999"])
async def test_a_time_to_wait_that_means_nothing_is_none(
    fake_provider: FakeProvider, make_client: MakeClient, text: str
) -> None:
    fake_provider.play(rate_limited(text))
    error = await error_of(make_client())
    assert (error.kind, error.retry_after_s) == ("rate_limited", None)


@pytest.mark.parametrize(
    ("play", "settings", "kind", "words"),
    [
        (hanging(), {"first_token_timeout_s": 0.2}, "timeout", "begin"),
        (slow(30.0), {"first_token_timeout_s": 0.2}, "timeout", "begin"),
        (Play(between_s=30.0), {"between_tokens_timeout_s": 0.2}, "timeout", "middle"),
        (never_ending(between_s=0.02), {"total_timeout_s": 0.3}, "timeout", "finish"),
    ],
)
async def test_each_wait_has_its_limit(
    fake_provider: FakeProvider,
    make_client: MakeClient,
    play: Play,
    settings: dict[str, float],
    kind: str,
    words: str,
) -> None:
    fake_provider.play(play)
    error = await error_of(make_client(**settings), max_tokens=5000)
    assert error.kind == kind
    assert words in str(error)
    await _until(lambda: fake_provider.running == 0)


async def test_comments_and_thoughts_are_no_first_word(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    thought = b': waiting\n\ndata: {"choices": [{"delta": {"reasoning": "hm"}}]}\n\n'
    fake_provider.play(Play(body=thought * 1000, write_bytes=len(thought), between_s=0.02))
    assert (await error_of(make_client(first_token_timeout_s=0.3))).kind == "timeout"


async def test_a_count_that_never_comes_does_not_hold_up_the_end(
    fake_provider: FakeProvider, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.providers.openai_compatible.USAGE_WAIT_S", 0.1)
    chunk = b'data: {"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]}\n\n'
    fake_provider.play(Play(body=chunk * 2, write_bytes=len(chunk), between_s=30.0))
    deltas = await answer_of(make_client())
    assert text_of(deltas) == "Yes."
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.estimated


async def test_no_connection_is_unreachable() -> None:
    async with refused_port() as refused:
        with hanging_port() as stuck:
            for port in (refused, stuck):
                client = _client_of(f"http://127.0.0.1:{port}/v1", connect_timeout_s=0.2)
                assert (await error_of(client)).kind == "unreachable"
                await client.close()


@pytest.mark.parametrize(
    ("cause", "lan", "kind"),
    [
        (OSError(errno.ENETUNREACH, "unreachable"), False, "offline"),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), False, "offline"),
        (socket.gaierror(socket.EAI_NONAME, "no such name"), False, "unreachable"),
        (OSError(errno.ECONNREFUSED, "refused"), False, "unreachable"),
        (OSError(errno.ENETUNREACH, "unreachable"), True, "unreachable"),
    ],
)
def test_no_network_at_all_is_told_apart(cause: OSError, lan: bool, kind: str) -> None:
    provider = resolve("box", ProviderSettings(base_url="https://example.com/v1", lan=lan))
    with pytest.raises(ProviderError) as caught, translated(provider):
        raise aiohttp.ClientConnectorError(None, cause)  # type: ignore[arg-type]
    assert caught.value.kind == kind


async def test_a_certificate_is_verified() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with FakeProvider(ssl_context=context) as server:
        client = _client_of(server.base_url)
        error = await error_of(client)
        await client.close()
    assert error.kind == "unreachable"
    assert "certificate" in str(error)
    assert not server.requests


async def test_an_answer_without_end_is_cut_off(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    fake_provider.play(never_ending())
    deltas = await answer_of(make_client(), request_for(max_tokens=10))
    assert [d.finish for d in deltas if d.finish] == ["length"]
    assert len(text_of(deltas)) < 250
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion_tokens == 10
    await _until(lambda: fake_provider.running == 0)


async def test_neither_key_nor_words_get_into_an_error_or_a_log(
    fake_provider: FakeProvider, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    question = {"role": "user", "content": "my secret wish"}
    for status in (400, 401, 429, 500):
        fake_provider.play(failing(status, error="sk-very-secret asked for my secret wish"))
        client = make_client(key=Secret("sk-very-secret"))
        with pytest.raises(ProviderError) as caught:
            await answer_of(client, request_for(question))
        everything = f"{caught.value!r} {caught.value} {caplog.text} {vars(client)}"
        assert "sk-very-secret" not in everything
        assert "secret wish" not in everything


async def test_what_a_provider_cannot_do_is_not_sent(
    fake_provider: FakeProvider, make_client: MakeClient
) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    looking = {"role": "user", "content": [picture]}
    client = make_client(supports=("stream",))
    for request in (
        request_for(looking),
        request_for(tools=({"type": "function"},)),
        request_for(role="code"),
        request_for(role="vision"),
    ):
        with pytest.raises(ProviderError) as caught:
            await answer_of(client, request)
        assert caught.value.kind == "unsupported"
    assert not fake_provider.requests


# --- going on ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["instruction", "trailing", "prefix", "continue_final"])
async def test_an_answer_is_continued(
    fake_provider: FakeProvider, make_client: MakeClient, how: str
) -> None:
    said = "The moon is far. "
    fake_provider.play(answer("The moon is far. It takes three days."))
    deltas = await answer_of(make_client(continues=how), request_for(continues=said))
    assert said + text_of(deltas) == "The moon is far. It takes three days."
    body = fake_provider.requests[0].body
    trailing = {"role": "assistant", "content": said.rstrip()}
    expected = {
        "instruction": [trailing, {"role": "user", "content": GO_ON}],
        "trailing": [trailing],
        "prefix": [{**trailing, "prefix": True}],
        "continue_final": [trailing],
    }[how]
    assert body["messages"][1:] == expected
    assert body.get("continue_final_message", False) is (how == "continue_final")


async def test_a_continuation_may_have_an_address_of_its_own(fake_provider: FakeProvider) -> None:
    known = resolve("deepseek", ProviderSettings())
    assert known.continue_url.endswith("/beta")
    elsewhere = resolve("deepseek", ProviderSettings(base_url="http://127.0.0.1:1/v1"))
    assert not elsewhere.continue_url


# --- privacy -----------------------------------------------------------------------------


@pytest.mark.parametrize("split", [0, 1, 5])
async def test_private_words_stay_at_home(
    fake_provider: FakeProvider, make_client: MakeClient, tmp_path: Path, split: int
) -> None:
    outbound = OutboundLog(tmp_path / "outbound", max_bytes=100_000, max_days=1)
    client = make_client(redact=True, redactor=Redactor(["Ana Souza"]), outbound=outbound)
    question = {"role": "user", "content": "Write to ana souza, ana@example.com"}
    fake_provider.play(
        Play(
            pieces=tuple("Dear [NAME_1], [EMAIL_1] [NAME_2]"),
            tool_calls=(("send", '{"to": "[EMAIL_1]"}'),),
            write_bytes=split,
        )
    )
    deltas = await answer_of(client, request_for(question))
    outbound.close()
    assert text_of(deltas) == "Dear ana souza, ana@example.com [NAME_2]"
    [call] = next(delta.tool_calls for delta in deltas if delta.tool_calls)
    assert json.loads(call["function"]["arguments"]) == {"to": "ana@example.com"}
    sent = json.dumps(fake_provider.requests[0].body).lower()
    assert "souza" not in sent
    assert "example.com" not in sent
    [entry] = read(tmp_path / "outbound")
    assert entry.redacted
    assert entry.messages == fake_provider.requests[0].body["messages"]


async def test_what_left_the_box_is_noted(
    fake_provider: FakeProvider, make_client: MakeClient, tmp_path: Path
) -> None:
    outbound = OutboundLog(tmp_path, max_bytes=100_000, max_days=1)
    client = make_client(
        key=Secret("sk-very-secret"), outbound=outbound, models={"chat": "m", "vision": "v"}
    )
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}
    content = [{"type": "text", "text": "What is this?"}, picture]
    looking = request_for({"role": "user", "content": content}, role="vision", turn_id=7)
    await answer_of(client, looking)
    outbound.close()
    [entry] = read(tmp_path)
    assert (entry.provider, entry.host, entry.model) == ("box", "127.0.0.1", "v")
    assert (entry.role, entry.turn_id, entry.redacted) == ("vision", 7, False)
    assert entry.sent_bytes > 5000
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert "What is this?" in text
    assert "AAAA" not in text
    assert "sk-very-secret" not in text


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def _client_of(base_url: str, **settings: Any) -> OpenAICompatible:
    values = {"base_url": base_url, "lan": True, "models": {"chat": "m"}}
    return OpenAICompatible(resolve("box", ProviderSettings(**{**values, **settings})))
