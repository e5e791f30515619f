"""Fixtures of the providers' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from appliance import paths
from appliance.chat import ChatMessage
from appliance.providers.base import ChatRequest, Delta
from appliance.providers.known import resolve
from appliance.providers.openai_compatible import OpenAICompatible
from appliance.settings import ProviderSettings
from tests.fake_provider import FakeProvider
from tests.llama_server import MODEL, LlamaServer, llama_server

MakeClient = Callable[..., OpenAICompatible]


@pytest.fixture
async def fake_provider() -> AsyncIterator[FakeProvider]:
    """A remote server that plays what the test wants."""
    async with FakeProvider() as server:
        yield server


@pytest.fixture
async def make_client(fake_provider: FakeProvider) -> AsyncIterator[MakeClient]:
    """Make clients of the fake provider; they are closed after the test."""
    clients = []

    def make(
        *, key: Any = None, redactor: Any = None, outbound: Any = None, **settings: Any
    ) -> OpenAICompatible:
        values = {"base_url": fake_provider.base_url, "lan": True, "models": {"chat": "m"}}
        provider = resolve("box", ProviderSettings(**{**values, **settings}))
        client = OpenAICompatible(provider, key, redactor=redactor, outbound=outbound)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture(scope="session")
def real_server() -> Iterator[LlamaServer]:
    """llama.cpp behind its Python server, with a small model."""
    with llama_server(paths.models_dir() / MODEL) as server:
        yield server


def request_for(*messages: ChatMessage, **changes: Any) -> ChatRequest:
    """Return a request for *messages*, or for a greeting."""
    values = {
        "role": "chat",
        "messages": messages or ({"role": "user", "content": "Hello"},),
        "max_tokens": 50,
        "temperature": 0.0,
    }
    return ChatRequest(**{**values, **changes})


async def answer_of(client: OpenAICompatible, request: ChatRequest | None = None) -> list[Delta]:
    """Return all pieces of an answer."""
    return [delta async for delta in client.stream(request or request_for())]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)
