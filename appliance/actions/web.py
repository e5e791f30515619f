"""`luna web`: who may use the page and the API, from a terminal on the box."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from appliance import api_client, paths
from appliance.errors import ServiceError, UsageError
from appliance.settings import Settings
from appliance.web import certificates, passwords
from appliance.web.keyring import Keyring
from appliance.web.security import own_names
from appliance.web.store import AccessStore

MAX_LINE = 4 * passwords.MAX_LENGTH
Row = dict[str, Any]


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out `luna web ...`; return the exit code.

    Raises:
        UsageError: wrong words, a weak password, an unknown id.
        ServiceError: it needs the running service.
        StorageError: it could not be stored.
    """
    if arguments.hash:
        if arguments.action != "password":
            raise UsageError("--hash belongs to `luna web password`")
        made = passwords.hash_of(_read_password())
        print(json.dumps({"hash": made}) if arguments.json else made)
        return 0
    desk = Desk(settings)
    words: list[str] = arguments.words
    actions: dict[str, Callable[[], Awaitable[tuple[Row, str]]]] = {
        "status": desk.status,
        "pair": desk.pair,
        "password": desk.password,
        "sessions": lambda: desk.sessions(words),
        "tokens": lambda: desk.tokens(words, arguments.scope),
        "cert": lambda: desk.certificate(words),
    }
    if words and arguments.action in ("status", "pair", "password"):
        # A password on the command line would be in the shell's history.
        raise UsageError(f"`luna web {arguments.action}` takes no words")
    row, text = asyncio.run(_awaited(actions[arguments.action]))
    print(json.dumps(row, ensure_ascii=False) if arguments.json else text)
    return 0


async def _awaited(action: Callable[[], Awaitable[tuple[Row, str]]]) -> tuple[Row, str]:
    return await action()


class Desk:
    """Each action returns its result for scripts and for people.

    Where the service runs it does the work; otherwise it is done here, on its files.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data_dir = paths.data_dir(settings.general.data_dir)

    async def _ask(
        self, method: str, path: str, here: Callable[[Keyring], Awaitable[Row]], body: Any = None
    ) -> Row:
        answer = await _call(method, path, body)
        if answer is not None:
            return answer
        store = AccessStore(self._data_dir)
        try:
            return await here(Keyring(store, lambda: None, lambda _: None))
        finally:
            store.close()

    async def status(self) -> tuple[Row, str]:
        """Where Luna listens, and who may come in."""

        async def here(keyring: Keyring) -> Row:
            about = certificates.Certificates(self._data_dir).about()
            return {
                "url": "",
                "lan": False,
                "lan_urls": [],
                "lan_allowed": self._settings.web.lan,
                "lan_problem": "",
                "https_port": 0,
                "password": keyring.passwords.is_set,
                "sessions": len(keyring.sessions.listed()),
                "tokens": len(keyring.tokens.listed()),
                "pairing_s": 0,
                "certificate": about.row() if about else None,
            }

        row = await self._ask("GET", "/access", here)
        about = row["certificate"]
        lan = "open" if row["lan"] else "closed" if row["lan_allowed"] else "closed by [web] lan"
        lines = [
            f"page         {row['url'] or 'Luna is not running'}",
            f"LAN          {row['lan_problem'] or lan}",
            f"password     {'set' if row['password'] else 'none'}",
            f"sessions     {row['sessions']}",
            f"tokens       {row['tokens']}",
            f"certificate  {about['fingerprint'] if about else 'none'}",
        ]
        lines[2:2] = [f"             {url}" for url in row["lan_urls"]]
        if row["pairing_s"]:
            lines.append(f"pairing      open for {row['pairing_s']} s")
        return row, "\n".join(lines)

    async def pair(self) -> tuple[Row, str]:
        """A code by which another device gets in."""
        row = await _call("POST", "/pairing")
        if row is None:
            raise ServiceError("Luna is not running; start it with `luna run`")
        where = await _call("GET", "/access") or {}
        minutes = round(row["seconds"] / 60)
        addresses = where.get("lan_urls") or [where.get("url", "")]
        shown = "\n".join(f"  {address}" for address in addresses)
        return {**row, "addresses": addresses}, (
            f"{row['code']}\n"
            f"Open one of these on the other device and type the code, within {minutes} minutes:\n"
            f"{shown}"
        )

    async def password(self) -> tuple[Row, str]:
        """Set the password."""
        password = _read_password()
        passwords.check_strength(password)

        async def here(keyring: Keyring) -> Row:
            await keyring.set_password(password)
            return {"done": True}

        row = await self._ask("POST", "/password", here, {"password": password})
        return row, "The password is set; who was logged in has to log in again."

    async def sessions(self, words: list[str]) -> tuple[Row, str]:
        """List the devices that are logged in, or log them out."""
        match words:
            case []:

                async def listed(keyring: Keyring) -> Row:
                    return {"sessions": keyring.sessions.listed()}

                row = await self._ask("GET", "/sessions", listed)
                lines = [f"{one['id']}  {one['seen']}  {one['name']}" for one in row["sessions"]]
                return row, "\n".join(lines) or "Nobody is logged in."
            case ["revoke", "all"]:

                async def all_ended(keyring: Keyring) -> Row:
                    return {"ended": await keyring.end_all_sessions()}

                row = await self._ask("DELETE", "/sessions", all_ended)
                return row, f"{row['ended']} sessions have ended."
            case ["revoke", key]:

                async def ended(keyring: Keyring) -> Row:
                    await keyring.end_session(key)
                    return {"done": True}

                return await self._ask("DELETE", f"/sessions/{_id(key)}", ended), "It has ended."
        raise UsageError("write `luna web sessions`, or `luna web sessions revoke ID|all`")

    async def tokens(self, words: list[str], scope: str) -> tuple[Row, str]:
        """List API tokens, make one, or revoke one."""
        match words:
            case []:

                async def listed(keyring: Keyring) -> Row:
                    return {"tokens": keyring.tokens.listed()}

                row = await self._ask("GET", "/tokens", listed)
                lines = [f"{one['id']}  {one['scope']:5}  {one['name']}" for one in row["tokens"]]
                return row, "\n".join(lines) or "There are no tokens."
            case ["create", name]:

                async def made(keyring: Keyring) -> Row:
                    return await keyring.tokens.create(name, scope)

                row = await self._ask("POST", "/tokens", made, {"name": name, "scope": scope})
                return row, f"{row['token']}\nIt is shown this once."
            case ["revoke", key]:

                async def ended(keyring: Keyring) -> Row:
                    await keyring.end_token(key)
                    return {"done": True}

                return await self._ask("DELETE", f"/tokens/{_id(key)}", ended), "It is void."
        raise UsageError("write `luna web tokens`, `... create NAME --scope S`, `... revoke ID`")

    async def certificate(self, words: list[str]) -> tuple[Row, str]:
        """Show the certificate, make one, or use the owner's."""
        kept = certificates.Certificates(self._data_dir)
        match words:
            case [] | ["show"]:
                about = (await self.status())[0]["certificate"]
                return about or {}, _described(about) if about else "There is no certificate."
            case ["make"]:
                pem = ""
            case ["use", certificate, key]:
                pem = _pem(certificate) + _pem(key)
            case _:
                raise UsageError("write `luna web cert make`, `... use CERT KEY` or `... show`")
        row = await _call("POST", "/certificate", {"pem": pem})
        if row is None:
            names = own_names() | certificates.own_addresses() | set(self._settings.web.names)
            row = kept.use(pem.encode() if pem else certificates.make(names)).row()
        return row, _described(row)


async def _call(method: str, path: str, body: object = None) -> Row | None:
    """Return the running service's answer; None: there is no service."""
    try:
        answer = await asyncio.to_thread(api_client.ask, paths.api_socket(), method, path, body)
    except api_client.NoServiceError:
        return None
    return dict(answer)


def _described(row: Row) -> str:
    return (
        f"SHA-256 fingerprint (compare it with what the browser shows):\n{row['fingerprint']}\n"
        f"good until {row['ends']}, for {', '.join(row['names'])}"
    )


def _id(word: str) -> str:
    """Return an id that may go into a path."""
    if not word.isalnum():
        raise UsageError(f"{word!r} is no id")
    return word


def _pem(name: str) -> str:
    try:
        with Path(name).open(encoding="ascii") as file:
            text = file.read(certificates.MAX_BYTES + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read as PEM") from error
    if len(text) > certificates.MAX_BYTES:
        raise UsageError(f"{name} is too large for PEM")
    return text if text.endswith("\n") else text + "\n"


def _read_password() -> str:
    """Return the password, from the keyboard twice or from standard input once."""
    if not sys.stdin.isatty():
        line = sys.stdin.buffer.readline(MAX_LINE).decode("utf-8", errors="replace")
        return line.rstrip("\r\n")
    first = getpass.getpass("New password: ")
    if getpass.getpass("Once more: ") != first:
        raise UsageError("the two are not the same; nothing was changed")
    return first
