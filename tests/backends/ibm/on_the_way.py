"""What may stand between the client and its provider: certificates of every kind, and a proxy."""

import asyncio
import contextlib
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
_DAY = timedelta(days=1)


class Authority:
    """Who signs certificates, for one folder.

    Args:
        folder: Where certificates and keys are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        self._certificate = self._signed(self._name, self._key, _DAY, x509.BasicConstraints(True, None))
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def certificate(self, name: str, *, ends_in: timedelta = _DAY) -> Path:
        """The certificate and key of a server of this name, or address; `ends_in` may have passed."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signed = self._signed(subject, key, ends_in, x509.SubjectAlternativeName([alternative]))
        file = self._folder / f"{signed.serial_number}.pem"
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        file.write_bytes(
            key.private_bytes(pem, form, serialization.NoEncryption()) + signed.public_bytes(pem)
        )
        return file

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        ends_in: timedelta,
        extension: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * _DAY)
            .not_valid_after(now + ends_in)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )


class Relay:
    """A server that passes on what comes through, byte for byte, over TLS where it has a certificate.

    Args:
        port: Where to.
        certificate: See `Authority.certificate`.

    Attributes:
        heard: Bytes that came through, of all connections.
    """

    def __init__(self, port: int, certificate: Path | None = None) -> None:
        self._target = port
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._context = None if certificate is None else ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.heard = 0
        self.port = 0
        if certificate is not None:
            self.show(certificate)

    def show(self, certificate: Path) -> None:
        """Show this certificate from now on; connections that were made before are cut."""
        assert self._context is not None
        self._context.load_cert_chain(certificate)
        self._cut()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass_on, LOOPBACK, 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        assert self._server is not None
        self._server.close()
        self._cut()
        await self._server.wait_closed()

    def _cut(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._join(reader, writer, self._target)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, port)
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._copy(reader, back, count=True), self._copy(there, writer, count=False))
        finally:
            self._open -= {writer, back}
            for end in (writer, back):
                end.close()

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, count: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(65536):
                self.heard += len(chunk) if count else 0
                sink.write(chunk)
                await sink.drain()
        with contextlib.suppress(OSError):
            sink.close()


class Proxy(Relay):
    """A proxy that joins its caller to ports of this machine, by `CONNECT`.

    Args:
        answer: What it says instead, once it has heard the request; empty for a proxy that never says anything, None
            for one that does its work.

    Attributes:
        asked: Heads of the requests that it heard.
    """

    def __init__(self, answer: bytes | None = None) -> None:
        super().__init__(0)
        self._answer = answer
        self.asked: list[str] = []

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        if self._answer is not None:
            self._open.add(writer)
            writer.write(self._answer)
            await writer.drain()
            if self._answer:
                writer.close()
            return
        target = head.split(" ")[1]
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self._join(reader, writer, int(target.rpartition(":")[2]))
