"""The certificate of the LAN side: made here and signed by itself, or the owner's own.

Key and certificates lie in one file, so that they are always replaced together. A new file is
read at the next connection.
"""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from appliance.errors import UsageError

FILE = Path("secrets") / "web.pem"
DAYS = 825
"""Longer ones are refused by Apple's devices (support.apple.com/HT210176)."""
MAX_BYTES = 256 * 1024
_SIOCGIFADDR = 0x8915
"""Linux: the IPv4 address of an interface (netdevice(7))."""
_LINK_LOCAL = "20"


@dataclass(frozen=True)
class About:
    """What a person may want to know of a certificate."""

    fingerprint: str
    """SHA-256, as browsers show it."""
    names: tuple[str, ...]
    ends: str
    """ISO 8601, UTC."""
    self_signed: bool

    def row(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


class Certificates:
    """The certificate in the data folder.

    Args:
        data_dir: ``DATA_DIR``.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE
        self._known: tuple[tuple[int, int], ssl.SSLContext] | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return what a server needs; None: there is no certificate that can be used."""
        try:
            found = self._path.stat()
            version = found.st_mtime_ns, found.st_ino
            if self._known is None or self._known[0] != version:
                self._known = version, _context(self._path)
        except (OSError, ssl.SSLError):
            self._known = None
            return None
        return self._known[1]

    def about(self) -> About | None:
        """Return what the certificate says; None: there is none."""
        try:
            return describe(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read: {error.strerror}") from error

    def use(self, pem: bytes) -> About:
        """Make a certificate (chain) and its key, both PEM, the one that is used.

        Raises:
            UsageError: they do not belong together, or cannot be read or stored.
        """
        about = describe(pem)
        unfinished = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            _context(unfinished)
            unfinished.rename(self._path)
        except ssl.SSLError as error:
            unfinished.unlink(missing_ok=True)
            raise UsageError(
                "certificate and key do not belong together, or the key has a password"
            ) from error
        except OSError as error:
            raise UsageError(f"{self._path} cannot be written: {error.strerror}") from error
        return about


def _context(path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # Without this OpenSSL asks at the terminal for the password of a key that has one.
    context.load_cert_chain(path, password=lambda: b"")
    return context


def describe(pem: bytes) -> About:
    """Return what the first certificate in *pem* says.

    Raises:
        UsageError: there is none.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        if len(pem) > MAX_BYTES:
            raise ValueError("too large")
        certificate = x509.load_pem_x509_certificates(pem)[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound) as error:
        raise UsageError("this is no certificate in PEM form with names in it") from error
    digest = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    return About(
        fingerprint=digest,
        names=(
            *names.get_values_for_type(x509.DNSName),
            *map(str, names.get_values_for_type(x509.IPAddress)),
        ),
        ends=certificate.not_valid_after_utc.isoformat(timespec="seconds"),
        self_signed=certificate.issuer == certificate.subject,
    )


def make(names: Iterable[str], now: datetime | None = None) -> bytes:
    """Return a new key and a certificate that it has signed itself, for *names* and addresses."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = now or datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Luna")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clock of a phone may be a little behind
        .not_valid_after(now + timedelta(days=DAYS - 1))
        .add_extension(
            x509.SubjectAlternativeName([_general_name(name) for name in sorted(set(names))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _general_name(name: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        raise UsageError(f"{name!r} is no host name; see [web] names") from error


def own_addresses() -> set[str]:
    """Return the addresses of this machine's network interfaces, as Linux tells them."""
    found = {"127.0.0.1", "::1"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, request)
            except OSError:
                continue  # it has no IPv4 address
            found.add(socket.inet_ntoa(answer[20:24]))
    try:
        lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        return found  # no IPv6
    for line in lines:
        address, _, _, scope, _, _ = line.split()
        if scope != _LINK_LOCAL:
            found.add(str(ip_address(bytes.fromhex(address))))
    return found
