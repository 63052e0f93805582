"""A mail server on this machine that keeps what it gets and fails as it is told to. Real SMTP, by aiosmtpd."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "tocsin", "a-mail-password"


@dataclass
class MailServer:
    """`answers`: what it says at `EHLO` is normal; at "MAIL", "RCPT", an address, "DATA" or "AUTH" it says this instead (of "AUTH"
    nothing: it breaks off). `lose`: it takes the next message
    and breaks off before it says so. `hang`: it takes the next message and says nothing."""

    answers: dict[str, str] = field(default_factory=dict)
    lose: bool = False
    hang: bool = False
    port: int = 0
    taken: list[Envelope] = field(default_factory=list)
    hello: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(_bytes(one), policy=policy.default) for one in self.taken]  # type: ignore[arg-type]

    @property
    def raw(self) -> list[bytes]:
        return [_bytes(one) for one in self.taken]

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.hello.append(hostname)
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refused = self.answers.get("RCPT") or self.answers.get(address)
        if refused:
            return refused
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.taken.append(envelope)
        self.encrypted.append(session.ssl is not None)
        if self.lose:
            self.lose = False
            assert server.transport is not None
            server.transport.abort()
        if self.hang:
            self.hang = False
            await self.released.wait()
        return f"250 2.0.0 Ok: queued as {len(self.taken)}"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.users.append(data.login.decode())
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        if self.answers.get("AUTH") == "":
            assert server.transport is not None
            server.transport.abort()
        if "AUTH" in self.answers:
            return AuthResult(success=False, handled=False, message=self.answers["AUTH"])
        return AuthResult(success=right, handled=False)


def _bytes(envelope: Envelope) -> bytes:
    content = envelope.content
    assert isinstance(content, bytes)
    return content


@asynccontextmanager
async def mail_server(
    *, starttls: ssl.SSLContext | None = None, implicit: ssl.SSLContext | None = None, auth: bool = False
) -> AsyncIterator[MailServer]:
    """Plain; or with STARTTLS; or encrypted from the beginning. `auth`: nobody may send without USER and PASSWORD."""
    kept = MailServer()

    def talk() -> SMTP:
        return SMTP(
            kept,
            hostname="mail.example",
            tls_context=starttls,
            authenticator=kept.authenticate if auth else None,
            auth_required=auth,
            auth_require_tls=starttls is not None,
        )

    server = await asyncio.get_running_loop().create_server(talk, "127.0.0.1", 0, ssl=implicit)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        kept.released.set()
        server.close()
        await server.wait_closed()


def certificate(folder: Path, name: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """A self-made certificate for this machine: its file (to trust), and what a server needs to use it."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, secret)
    return cert, context
