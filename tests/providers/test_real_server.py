"""The client against llama.cpp's own server with a real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from appliance import paths
from appliance.errors import ProviderError
from appliance.providers.base import Delta
from appliance.providers.known import resolve
from appliance.providers.openai_compatible import OpenAICompatible
from appliance.settings import ProviderSettings
from tests.llama_server import MODEL, LlamaServer, llama_server
from tests.providers.conftest import answer_of, request_for, text_of

pytestmark = [pytest.mark.models, pytest.mark.slow]
QUESTION = {"role": "user", "content": "What is the capital of France?"}


def _client(server: LlamaServer, **settings: Any) -> OpenAICompatible:
    values = {"base_url": server.base_url, "lan": True, "models": {"chat": server.model}}
    return OpenAICompatible(resolve("house", ProviderSettings(**{**values, **settings})))


@pytest.fixture
async def client(real_server: LlamaServer) -> AsyncIterator[OpenAICompatible]:
    client = _client(real_server)
    yield client
    await client.close()


async def test_a_streamed_answer(client: OpenAICompatible) -> None:
    deltas = await answer_of(client, request_for(QUESTION))
    assert "France" in text_of(deltas)
    assert len([delta for delta in deltas if delta.text]) > 3
    assert deltas[-2].finish in ("stop", "length")
    assert deltas[-1].usage is not None


async def test_an_answer_in_one_piece(real_server: LlamaServer) -> None:
    client = _client(real_server, supports=())
    deltas = await answer_of(client, request_for(QUESTION, max_tokens=20))
    await client.close()
    assert text_of(deltas).strip()
    used = deltas[-1].usage
    assert used is not None
    assert not used.estimated
    assert 0 < used.completion_tokens <= 20


async def test_the_bound_holds_for_a_real_conversation(real_server: LlamaServer) -> None:
    client = _client(real_server, supports=())
    messages: list[Any] = [{"role": "system", "content": "You are Luna. Answer shortly."}]
    for question in ("Olá, tudo bem?", "Quanto é 7 * 8?", "E agora em inglês, por favor."):
        messages.append({"role": "user", "content": question})
        bound = client.count_tokens(tuple(messages), "small")
        deltas = await answer_of(client, request_for(*messages, max_tokens=16))
        used = deltas[-1].usage
        assert used is not None
        assert used.prompt_tokens <= bound
        messages.append({"role": "assistant", "content": text_of(deltas)})
    await client.close()


async def test_the_output_limit_is_kept(client: OpenAICompatible) -> None:
    story = {"role": "user", "content": "Tell me a long story about the sea."}
    deltas = await answer_of(client, request_for(story, max_tokens=8))
    assert deltas[-2].finish == "length"


async def test_an_answer_is_continued_without_repetition(client: OpenAICompatible) -> None:
    said = "The capital of France is"
    deltas = await answer_of(client, request_for(QUESTION, continues=said, max_tokens=20))
    assert said not in text_of(deltas)


async def test_a_server_that_is_killed_breaks_the_stream() -> None:
    with llama_server(paths.models_dir() / MODEL) as server:
        client = _client(server)
        story = {"role": "user", "content": "Tell me a long story about the sea."}
        stream = client.stream(request_for(story, max_tokens=1000))
        assert (await anext(stream)).text
        server.kill()
        with pytest.raises(ProviderError) as caught:
            await _read_to_the_end(stream)
        assert caught.value.kind == "broken"
        with pytest.raises(ProviderError) as caught:
            await answer_of(client, request_for(QUESTION))
        assert caught.value.kind == "unreachable"
        await client.close()


async def _read_to_the_end(stream: AsyncIterator[Delta]) -> None:
    async with asyncio.timeout(20):
        async for _ in stream:
            pass


async def test_an_unknown_path_is_misconfigured(real_server: LlamaServer) -> None:
    client = _client(real_server, base_url=f"{real_server.base_url}/nothing")
    with pytest.raises(ProviderError) as caught:
        await answer_of(client)
    await client.close()
    assert caught.value.kind == "misconfigured"
