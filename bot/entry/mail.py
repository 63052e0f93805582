"""Where alerts come in by e-mail: an SMTP server for `<source>+<token>@<any domain>` and nothing else. Started by app beside the HTTP site.

It relays nothing, lets nobody log in and tells nobody which addresses there are. A message is answered with 250 only after the commit; what is wrong
with it is answered with 554, and 451 asks the sender to come again. Sources of the type `email` read it.
Source: https://www.rfc-editor.org/rfc/rfc5321
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import ssl
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, AnyStr, cast

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from bot.config.server import Smtp
from bot.domain.incoming import Incoming
from bot.entry.arrivals import Arrivals, Outcome, SourceEntry
from bot.entry.auth import PathToken
from bot.entry.problems import Refused, refusal
from bot.errors import BadInput

MOST_RECIPIENTS = 5
MOST_CONNECTIONS = 20
MOST_COMMANDS = 100  # of each kind, in one connection
IDLE_SECONDS = 60.0
LONGEST_LINE = 16_384  # more than RFC 5321 has: HTML mail often has long lines
LONGEST_ANSWER = 400
LONGEST_ADDRESS = 320
MOST_AROUND = 1_000_000  # bytes beside a message: commands that come together
NO_SUCH = "550 5.1.1 No such address. Send to <source>+<token>@..., with the source's name and token of tocsin.yaml"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MailSettings:
    """`host` empty: all addresses. `most_bytes`: the largest message. `tls`: offer STARTTLS."""

    host: str
    port: int
    hostname: str
    most_bytes: int
    tls: ssl.SSLContext | None = None
    idle_seconds: float = IDLE_SECONDS
    most_connections: int = MOST_CONNECTIONS

    @classmethod
    def of(cls, smtp: Smtp) -> MailSettings:
        """As tocsin.yaml has it. Raises BadInput when the certificate and the key cannot be used."""
        tls = None
        if smtp.tls_cert and smtp.tls_key:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            try:
                tls.load_cert_chain(smtp.tls_cert, smtp.tls_key)
            except (ssl.SSLError, OSError) as error:
                raise BadInput(f"server.smtp: tls_cert and tls_key cannot be used together: {error}") from error
        return cls(smtp.host, smtp.port, smtp.hostname or socket.gethostname(), smtp.max_message_bytes, tls)


@dataclass(slots=True)
class MailSite:
    """start() and stop(); `port` is known in between. stop() lets messages that have arrived finish, for `finish_seconds` at most."""

    sources: Mapping[str, SourceEntry]
    arrivals: Arrivals
    settings: MailSettings
    finish_seconds: float = 5.0
    open: set[_Connection] = field(default_factory=set)
    _at_work: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        logging.getLogger("mail.log").disabled = True  # aiosmtpd's: it has every address, and so every token
        loop, settings = asyncio.get_running_loop(), self.settings
        self._server = await loop.create_server(self._connected, settings.host or None, settings.port)
        log.info("listening for e-mail", host=settings.host, port=self.port, sources=sorted(self.sources))

    @property
    def port(self) -> int:
        """Where it listens (settings.port may be 0: any)."""
        if self._server is None:
            return self.settings.port
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        try:
            async with asyncio.timeout(self.finish_seconds):
                while self._at_work:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            log.warning("e-mail was not stored in time; its senders will come again", messages=self._at_work)
        for connection in list(self.open):
            connection.hang_up()

    def _connected(self) -> asyncio.Protocol:
        if len(self.open) >= self.settings.most_connections:
            return _Busy()
        return _Connection(self)

    # ------------------------------------------------------------------------------------------------ called by aiosmtpd, by name

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [one for one in responses if not one.startswith("250-AUTH")]

    async def handle_VRFY(self, server: SMTP, session: Session, envelope: Envelope, address: str) -> str:
        return "502 5.5.1 VRFY is off"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """The recipient is kept without its token."""
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return f"452 4.5.3 Too many recipients: {MOST_RECIPIENTS} at most"
        local, _, domain = address.rpartition("@")
        name, _, token = local.partition("+")
        entry = self.sources.get(name.lower())
        if len(address) > LONGEST_ADDRESS or entry is None or not _fits(entry, token):
            log.warning("e-mail refused", source=entry.name if entry else "unknown", peer=_peer(session))
            return NO_SUCH
        envelope.rcpt_tos.append(f"{entry.name}@{domain}")
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self._at_work += 1
        try:
            return await self._taken(envelope)
        finally:
            self._at_work -= 1
            self._idle.set()

    async def handle_exception(self, error: Exception) -> str:
        return _unforeseen(error)

    # ------------------------------------------------------------------------------------------------ one message

    async def _taken(self, envelope: Envelope) -> str:
        """The answer for all recipients together: come again when one has to, else refused when all are."""
        answers = [await self._answer(address, envelope) for address in dict.fromkeys(envelope.rcpt_tos)]
        return min(answers, key=lambda answer: ("451", "250", "554").index(answer[:3]))

    async def _answer(self, address: str, envelope: Envelope) -> str:
        entry = self.sources[address.partition("@")[0]]
        content = envelope.content
        body = content if isinstance(content, bytes) else str(content or "").encode("utf-8", "replace")
        headers = {"x-envelope-from": envelope.mail_from or "", "x-envelope-to": address}
        try:
            incoming = Incoming(body, headers, path=entry.name, method="SMTP")
            outcome = await self.arrivals.taken(entry, incoming)
        except Exception as error:
            refused = refusal(error)
            return _unforeseen(error) if refused is None else _refused(entry, refused)
        if outcome.status >= 400:
            return _line(f"554 5.6.0 {outcome.body.get('error', 'it was refused')}")
        return _line(f"250 2.0.0 {_counted(outcome)}")


class _Connection(SMTP):
    """One sender's connection, within the site's bounds."""

    line_length_limit = LONGEST_LINE

    def __init__(self, site: MailSite) -> None:
        settings = site.settings
        super().__init__(
            site,
            data_size_limit=settings.most_bytes,
            hostname=settings.hostname,
            ident="Tocsin",
            tls_context=settings.tls,
            timeout=settings.idle_seconds,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=MOST_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        self._site = site
        self._received = 0  # bytes since the last answer
        self.command_size_limits = defaultdict(lambda: SMTP.command_size_limit)  # else it is one for all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._site.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._site.open.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """aiosmtpd keeps a line without an end for as long as it goes on, so more than one message needs is not read."""
        self._received += len(data)
        if self._received > 2 * self._site.settings.most_bytes + MOST_AROUND:
            log.warning("e-mail broken off: it is far too large", peer=_peer(self.session))
            self.hang_up()
            return
        super().data_received(data)

    async def push(self, status: AnyStr) -> None:
        """What is answered was read: the next message has a count of its own."""
        self._received = 0
        await super().push(status)

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """The parser of the standard library fails with whatever it stumbles over (`<a@`): that is an address which is none."""
        try:
            address, rest = super()._getaddr(arg)
            return address, rest
        except (IndexError, AttributeError, ValueError, TypeError):
            return None, None

    async def smtp_AUTH(self, arg: str) -> None:
        await self.push("502 5.5.1 Nobody logs in here: the address holds the token")


class _Busy(asyncio.Protocol):
    """For one connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(b"421 4.7.0 Too many connections; come again\r\n")
        transport.close()


def _fits(entry: SourceEntry, token: str) -> bool:
    return isinstance(entry.auth, PathToken) and entry.auth.fits(token)


def _refused(entry: SourceEntry, refused: Refused) -> str:
    if refused.status >= 500:
        log.warning("asked the sender to come again", source=entry.name, reason=refused.error)
        return _line(f"451 4.3.0 {refused.error}; {refused.hint}")
    return _line(f"554 5.6.0 {refused.error}")


def _unforeseen(error: Exception) -> str:
    number = secrets.token_hex(4)
    log.error("e-mail failed", id=number, exc_info=error)
    return f"451 4.3.0 An error inside Tocsin ({number}); come again"


def _counted(outcome: Outcome) -> str:
    body: Mapping[str, Any] = outcome.body
    count = body.get("accepted", 0)
    return f"kept: {count} alert{'' if count == 1 else 's'}"


def _line(text: str) -> str:
    """One line of ASCII, as an answer has to be."""
    plain = " ".join(text.encode("ascii", "replace").decode().split())
    return plain if len(plain) <= LONGEST_ANSWER else f"{plain[: LONGEST_ANSWER - 3]}..."


def _peer(session: Session | None) -> str:
    peer: Any = session.peer if session is not None else None
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""
