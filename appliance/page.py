"""The page as a whole: its routes, who may come in, and when the doors are open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance import control
from appliance.errors import ServiceError, StorageError
from appliance.events import Event, Logged, SayRequested
from appliance.settings import Settings
from appliance.texts import text
from appliance.web import certificates, openapi
from appliance.web.certificates import About, Certificates
from appliance.web.keyring import Keyring
from appliance.web.login import Login
from appliance.web.routing import Route
from appliance.web.security import own_names
from appliance.web.server import WebServer
from appliance.web.services import Services
from appliance.web.store import AccessStore

if TYPE_CHECKING:
    from appliance.app import App

NOTE_S = 3600.0
FIRST_HASH = "page_password_hash"
"""In the data folder: :mod:`appliance.first_boot` writes it."""


def routes_of(app: App, services: Services) -> list[Route]:
    """Return all routes except those of log-in and of the page's files."""
    from appliance import page_openai
    from appliance.web import (
        api,
        events_stream,
        health,
        logs,
        metrics,
        openai_audio,
        openai_chat,
        talk,
        turns,
    )

    assert app.brain is not None
    openai = page_openai.build(app.brain, app.sound_jobs, app.bus, app.settings)
    return [
        *api.routes(services),
        *events_stream.routes(services),
        *turns.routes(services),
        *health.routes(services),
        *logs.routes(services),
        *metrics.routes(services),
        *talk.routes(app.page_sound.connect),
        *openai_chat.routes(openai),
        *openai_audio.routes(openai),
    ]


class Page:
    """The running page.

    Args:
        settings: of the whole service.
        data_dir: where what must survive is kept.
        routes: what may be asked for, besides the page's files and log-in.
        request: takes what is to be said.
        publish: takes what is for the log.
        stack: what is closed after the doors.
    """

    def __init__(
        self,
        settings: Settings,
        data_dir: Path,
        routes: Sequence[Route],
        request: Callable[[Event], None],
        publish: Callable[[Event], None],
        stack: AsyncExitStack | None = None,
    ) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._routes = routes
        self._request = request
        self._publish = publish
        self._stack = stack or AsyncExitStack()

    @property
    def url(self) -> str:
        """The address on this machine."""
        return self.server.url

    async def start(self, unix_socket: Path | None = None) -> None:
        """Open the doors.

        Raises:
            ServiceError: the port is taken.
            StorageError: what decides who gets in cannot be read.
        """
        try:
            store = AccessStore(self._data_dir)
            self._stack.callback(store.close)
            self.keyring = Keyring(store, self._changed, self._revoked)
            self.certificates = Certificates(self._data_dir)
            routes = [*self._routes, *Login(self.keyring, self).routes()]
            routes.append(openapi.route(lambda: routes))
            self.server = WebServer(
                self._settings.web,
                routes,
                keys=self.keyring,
                admits=control.admitted,
                certificate=self.certificates.context,
            )
            await self.server.start(unix_socket)
            if unix_socket is not None:
                control.share(unix_socket)
            self._stack.push_async_callback(self.server.stop)
            await self._take_password()
        except BaseException:
            await self._stack.aclose()
            raise
        noting = asyncio.create_task(self._note_seen())
        self._stack.callback(noting.cancel)
        self._changed()

    async def _take_password(self) -> None:
        """Take the password that the owner wrote into ``luna.txt``, as its hash."""
        try:
            await self.keyring.adopt_password(self._data_dir / FIRST_HASH)
        except StorageError as error:
            self._publish(Logged(level="error", text=f"the page's password is as it was: {error}"))

    async def _note_seen(self) -> None:
        """Keep on the disk, roughly, when each session was used last."""
        while True:
            await asyncio.sleep(NOTE_S)
            try:
                await self.keyring.sessions.note_seen()
            except StorageError as error:
                self._publish(Logged(level="warning", text=str(error)))

    async def stop(self) -> None:
        """Close connections and ports."""
        await self._stack.aclose()

    # --- doors ---

    def _changed(self) -> None:
        """Listen on the LAN or not, as is right now."""
        problem = self.server.lan_problem
        self.server.listen_on_lan(self.keyring.lan_wanted)
        if self.server.lan_problem and self.server.lan_problem != problem:
            self._publish(Logged(level="warning", text=self.server.lan_problem))

    def _revoked(self, owner: str) -> None:
        self.server.doors.hang_up(owner=owner)

    # --- what log-in needs ---

    def pair(self) -> str:
        """Open the pairing window, have the code spoken, and return it."""
        code = self.keyring.pairing.open()
        language = self._settings.general.language
        digits = ", ".join(text(f"pairing.digit_{digit}", language) for digit in code)
        try:
            self._request(
                SayRequested(text=text("pairing.code", language, digits=digits), language=language)
            )
        except ServiceError as error:
            # It is still shown to whoever asked in writing.
            self._publish(Logged(level="warning", text=f"the code was not spoken: {error}"))
        return code

    def status(self) -> dict[str, Any]:
        """Return where Luna listens, and who may come in."""
        about = self.certificates.about()
        keyring = self.keyring
        return {
            "url": self.server.url,
            "lan": self.server.lan,
            "lan_urls": self._lan_urls(),
            "lan_allowed": self._settings.web.lan,
            "lan_problem": self.server.lan_problem,
            "https_port": self.server.https_port,
            "password": keyring.passwords.is_set,
            "sessions": len(keyring.sessions.listed()),
            "tokens": len(keyring.tokens.listed()),
            "pairing_s": round(keyring.pairing.left_s()),
            "certificate": about.row() if about else None,
            "connections": self.server.doors.count(),
        }

    def _lan_urls(self) -> list[str]:
        """Return how other devices reach the page: by name, and by this machine's addresses."""
        if not self.server.lan:
            return []
        secure = self.server.https_port
        scheme, port = ("https", secure) if secure else ("http", self.server.port)
        names = [f"{socket.gethostname().partition('.')[0].lower()}.local"]
        found = sorted(certificates.own_addresses())
        names += [one for one in found if ":" not in one and not one.startswith("127.")]
        return [f"{scheme}://{name}:{port}/" for name in names]

    async def use_certificate(self, pem: bytes) -> About:
        """Use this certificate and key from now on; empty: make one."""
        if not pem:
            names = own_names() | certificates.own_addresses() | set(self._settings.web.names)
            pem = certificates.make(names)
        about = self.certificates.use(pem)
        self._changed()
        return about


async def open_page(app: App, unix_socket: Path) -> Page:
    """Build the page of the running service, and open its doors.

    Raises:
        ServiceError: the port is taken.
        StorageError: what decides who gets in cannot be read.
    """
    from appliance import paths
    from appliance.page_services import services_of

    stack = AsyncExitStack()
    try:
        settings = app.settings
        services = services_of(app, stack)
        routes = routes_of(app, services)
        data_dir = paths.data_dir(settings.general.data_dir)
        page = Page(settings, data_dir, routes, app.request, app.bus.publish, stack)
        await page.start(unix_socket)
        stack.callback(services.events.close)  # before the doors: streams end as they should
    except BaseException:
        await stack.aclose()
        raise
    return page
