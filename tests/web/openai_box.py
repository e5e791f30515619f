"""A box for OpenAI's client: real workers, the real server on a real port, a token of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from openai import AsyncOpenAI

from appliance import engines, page_openai
from appliance.app import App, Plan
from appliance.engines import Engines
from appliance.events import Event, ProviderUsed, TextAsked, TurnEnded
from appliance.settings import Settings, WebSettings
from appliance.web import openai_audio, openai_chat
from appliance.web.access import Access
from appliance.web.openai_parts import OpenAiParts
from appliance.web.server import WebServer
from appliance.web.store import AccessStore
from appliance.web.tokens import Tokens

LIMIT_S = 120.0


class _Keys:
    """Only tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def session(self, cookie: str) -> Access | None:
        return None

    def token(self, token: str) -> Access | None:
        return self._tokens.find(token)

    def csrf(self, session: str) -> str:
        return "none"


@dataclass
class Box:
    """A running box and its client."""

    app: App
    parts: OpenAiParts
    client: AsyncOpenAI
    url: str
    """Ends with ``/v1``."""
    token: str
    used: list[ProviderUsed]
    """What was booked."""

    async def ask_aloud(self, text: str) -> TurnEnded:
        """Have a turn as a person at the box would; return its end."""
        events = self.app.events()
        await anext(events)
        self.app.request(TextAsked(text=text))
        async for event in events:
            if isinstance(event, TurnEnded):
                return event
        raise AssertionError("Luna stopped")

    def another(self, token: str) -> AsyncOpenAI:
        """Return a client with another token."""
        return AsyncOpenAI(base_url=self.url, api_key=token, max_retries=0, timeout=LIMIT_S)


@asynccontextmanager
async def box(
    folder: Path,
    *workers: str,
    settings: Settings | None = None,
    parts_of: Engines | None = None,
    scope: str = "talk",
) -> AsyncIterator[Box]:
    """Run a box with these workers while the context lasts."""
    settings = settings or Settings()
    chosen = parts_of or engines.fake(settings)
    store = AccessStore(folder)
    tokens = Tokens(store)
    token = (await tokens.create("a client", scope))["token"]
    try:
        async with App(settings, chosen, Plan(workers=workers)) as app:
            await app.ready()
            assert app.brain is not None
            used: list[ProviderUsed] = []

            def note(event: Event) -> None:
                if isinstance(event, ProviderUsed):
                    used.append(event)

            app.bus.listen(note)
            parts = page_openai.build(app.brain, app.sound_jobs, app.bus, settings)
            routes = [*openai_chat.routes(parts), *openai_audio.routes(parts)]
            server = WebServer(WebSettings(port=0), routes, keys=_Keys(tokens))
            await server.start()
            url = f"http://127.0.0.1:{server.port}/v1"
            client = AsyncOpenAI(base_url=url, api_key=token, max_retries=0, timeout=LIMIT_S)
            try:
                yield Box(app, parts, client, url, token, used)
            finally:
                await client.close()
                await server.stop()
    finally:
        store.close()
