"""The owner's password: checked for strength, hashed with argon2, compared one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from appliance.errors import ServiceError, StorageError, UsageError
from appliance.web.store import AccessStore

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

MIN_LENGTH, MAX_LENGTH = 10, 256
DISTINCT = 5
"""Different characters that a password must have."""
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
"""OWASP Password Storage Cheat Sheet: argon2id with 19 MiB, 2 passes, 1 lane."""
MAX_WAITING = 8
"""Log-ins that may wait for the one that is being looked at."""
TABLE, ROW = "password", "owner"
MAX_HASH = 300

COMMON = frozenset(
    """
    1234567890 12345678910 123456789a 1234567891 0123456789 0987654321 9876543210 qwertyuiop
    qwerty1234 qwerty12345 qwerty123456 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc q1w2e3r4t5 asdfghjkl1
    asdfghjkl; zxcvbnm123 qazwsxedc1 password12 password123 password1234 passw0rd12 passw0rd123
    p@ssw0rd12 p@ssword123 letmein123 iloveyou12 iloveyou123 welcome123 welcome1234 admin12345
    administrator changeme12 changeme123 sunshine12 princess12 football12 baseball12 superman12
    trustno1234 michael123 jennifer12 charlie123 abcdefghij abcdefghijk abcde12345 abc1234567
    abcd123456 abcd1234567 a123456789 a1234567890 q123456789 aa12345678 secret1234 mypassword
    mypassword1 luna123456 lunaluna123 lunapassword raspberrypi raspberry1 raspberry123
    senha12345 senha123456 minhasenha minhasenha1 mudar12345 brasil1234 brasil2026 flamengo12
    flamengo123 corinthians palmeiras1 teamomuito 12345senha amorzinho1 felicidade deusefiel1
    deuseamor1 jesuscristo jesuschrist
    """.split()  # noqa: SIM905 - eight to a line
)
"""Of the passwords that are tried first, those that are long enough to be taken otherwise."""


def check_strength(password: str) -> None:
    """Refuse a password that is easily guessed.

    Raises:
        UsageError: it is; the sentence says why.
    """
    if len(password) < MIN_LENGTH:
        raise UsageError(f"the password must have {MIN_LENGTH} characters or more").worded(
            "refusal.password_short", length=MIN_LENGTH
        )
    if len(password) > MAX_LENGTH:
        raise UsageError(f"the password may have {MAX_LENGTH} characters at most")
    if password.casefold() in COMMON or len(set(password)) < DISTINCT:
        raise UsageError(
            "this password is one of those that are tried first; choose another"
        ).worded("refusal.password_weak")


def hash_of(password: str) -> str:
    """Return the argon2 hash of *password*, for ``luna.txt``.

    Raises:
        UsageError: it is easily guessed.
    """
    check_strength(password)
    return _hasher().hash(password)


def is_hash(text: str) -> bool:
    """Return whether *text* is a hash that :meth:`Passwords.verify` can compare with."""
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    try:
        extract_parameters(text)
    except (InvalidHashError, ValueError):
        return False
    return len(text) <= MAX_HASH


def _read(file: Path) -> str | None:
    try:
        with file.open("r", encoding="ascii") as opened:
            return opened.read(MAX_HASH + 1).strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
    except OSError as error:
        raise StorageError(f"{file} cannot be read: {error.strerror}") from error


def _remove(file: Path) -> None:
    try:
        file.unlink()
    except OSError as error:
        raise StorageError(f"{file} cannot be removed: {error.strerror}") from error


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(PASSES, MEMORY_KIB, LANES)


class Passwords:
    """The one password there is, or none."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self._one = asyncio.Lock()
        self._waiting = 0

    @property
    def is_set(self) -> bool:
        """Whether there is a password."""
        return ROW in self._store.table(TABLE)

    async def set(self, password: str) -> None:
        """Make *password* the owner's.

        Raises:
            UsageError: it is easily guessed.
            ServiceError: too many wait for their turn.
            StorageError: it could not be stored.
        """
        check_strength(password)
        hashed = await self._alone(lambda hasher: hasher.hash(password))
        await self._store.put(TABLE, ROW, {"hash": hashed})

    async def adopt(self, file: Path) -> bool:
        """Make the hash in *file* the owner's password, and remove the file; return whether.

        An image's first start puts it there. It is removed once it is stored, and where it is no
        hash at all.

        Raises:
            StorageError: it could not be stored; the file stays.
        """
        hashed = await asyncio.to_thread(_read, file)
        if hashed is None:
            return False
        good = is_hash(hashed)
        if good:
            await self._store.put(TABLE, ROW, {"hash": hashed})
        await asyncio.to_thread(_remove, file)
        if not good:
            raise StorageError(f"{file} had no hash as `luna web password --hash` prints it")
        return True

    async def verify(self, password: str) -> bool:
        """Return whether this is the password.

        Raises:
            ServiceError: too many wait for their turn.
        """
        from argon2.exceptions import InvalidHashError, VerificationError

        row = self._store.table(TABLE).get(ROW)
        if row is None or len(password) > MAX_LENGTH:
            return False

        def compare(hasher: PasswordHasher) -> bool:
            try:
                return bool(hasher.verify(row["hash"], password))
            except (VerificationError, InvalidHashError):
                return False

        return await self._alone(compare)

    async def _alone(self, work: Callable[[PasswordHasher], T]) -> T:
        """Work in a thread; one at a time, so that guesses cannot fill the memory."""
        if self._waiting >= MAX_WAITING:
            raise ServiceError("too many are logging in; try again in a moment")
        self._waiting += 1
        try:
            async with self._one:
                return await asyncio.to_thread(work, _hasher())
        finally:
            self._waiting -= 1
