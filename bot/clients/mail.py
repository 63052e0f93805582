"""Hands a message to a mail server (SMTP, RFC 5321): encrypted, authenticated, bounded in time, and clear about what may have gone out all the same.

Used by plugins/channels/email. One connection for each message: pages are rare, and a connection that a server is just closing would leave it open
whether the message was taken.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPTimeoutError,
)

from bot.clients.breaker import Breaker
from bot.clients.http import quoted
from bot.domain.ports import Clock, Redact
from bot.errors import BadInput, GaveUp, TryLater

Tls = Literal["starttls", "implicit", "none"]
PORTS = {"starttls": 587, "implicit": 465, "none": 25}
LONGEST_QUOTE = 300
GOODBYE_WITHIN = 1.0  # seconds; the message is taken by then


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how mail is handed in. `name` is what this machine calls itself (EHLO). `within`: seconds for the whole of it."""

    host: str
    port: int
    tls: Tls
    context: ssl.SSLContext | None
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = "localhost"
    within: float = 10.0


class Mail:
    """`send` hands one message in. Errors carry the server's words, without secrets."""

    def __init__(self, server: Server, redact: Redact, clock: Clock) -> None:
        self._server = server
        self._redact = redact
        self._breaker = Breaker(self._where, clock)

    async def send(self, sender: str, recipients: Sequence[str], message: bytes) -> str:
        """What the server said, and which of several recipients it refused.

        TryLater: not now (4xx, no connection, no answer); `uncertain` once the message was being sent. BadInput: the address or the message is
        refused for good. GaveUp: the server takes no mail from here as it is set up (credentials, certificate, no encryption).
        """
        with self._breaker.attempt():
            said = await self._exchanged(sender, recipients, message)
        if isinstance(said, TryLater):
            raise said
        return said

    async def _exchanged(self, sender: str, recipients: Sequence[str], message: bytes) -> str | TryLater:
        """What the server said. `not now` as an answer is none that the breaker counts: it may be about one recipient, and the server is alive."""
        exchange = _Exchange(self._server)
        try:
            async with asyncio.timeout(self._server.within):
                said = await exchange.run(sender, recipients, message)
        except (TimeoutError, SMTPTimeoutError):
            words = f"{self._where} did not answer within {self._server.within:g} s"
            raise TryLater(words, uncertain=exchange.sending) from None
        except (SMTPException, OSError) as error:
            # Without where it came from: that has the server's words as they are, and a traceback would show them.
            failure = self._failure(error, exchange)
            answered = isinstance(error, SMTPResponseException | _NobodyLeft) and not isinstance(
                error, SMTPConnectError
            )
            if isinstance(failure, TryLater) and answered and not failure.uncertain:
                return failure
            raise failure from None
        except ValueError as error:  # aiosmtplib refuses what would be a second command
            raise BadInput(f"the message cannot be sent to {self._where}: {self._quote(str(error))}") from None
        else:
            await exchange.goodbye()
        finally:
            exchange.hang_up()
        refused = [self._refusal(one) for one in exchange.refused]
        return self._quote("; ".join([said, *refused]))

    @property
    def _where(self) -> str:
        return f"the mail server {self._server.host}:{self._server.port}"

    def _quote(self, text: str) -> str:
        plain = text.replace(self._server.password, "[redacted]") if self._server.password else text
        return quoted(" ".join(plain.split()), self._redact, LONGEST_QUOTE)

    def _refusal(self, error: SMTPRecipientRefused) -> str:
        return f"not for {error.recipient}: {error.code} {error.message}"

    def _failure(self, error: Exception, exchange: _Exchange) -> Exception:
        refused = None if exchange.sending else _no_tls(error)
        if refused is not None:
            words = f"{self._where}: no encrypted connection: {self._quote(str(refused))}"
            return GaveUp(f"{words}; check host, port, tls and ca of this medium")
        match error:
            case _NoEncryption():
                hint = "set `tls: implicit` (port 465), or `tls: none` where the network is trusted"
                return GaveUp(f"{self._where} does not offer STARTTLS; {hint}")
            case _NobodyLeft():
                each = "; ".join(self._refusal(one) for one in error.refused)
                words = f"{self._where} refused the recipient: {self._quote(each)}"
                return TryLater(words) if any(_passing(one.code) for one in error.refused) else BadInput(words)
            case SMTPAuthenticationError() if not _passing(error.code):
                said = self._quote(f"{error.code} {error.message}")
                return GaveUp(f"{self._where} refused the user or the password ({said}); check both in tocsin.yaml")
            case SMTPResponseException():
                return self._answered(error, exchange)
            case SMTPException() if exchange.stage == "login" and not isinstance(error, ConnectionError):
                return GaveUp(f"{self._where}: {self._quote(str(error))}; leave user and password out, or use TLS")
        return TryLater(f"{self._where}: {self._quote(str(error) or type(error).__name__)}", uncertain=exchange.sending)

    def _answered(self, error: SMTPResponseException, exchange: _Exchange) -> Exception:
        """A refusal by code: RFC 5321, 4.2.1. Whatever is no code at all is a connection gone wrong."""
        said = self._quote(f"{error.code} {error.message}")
        words = f"{self._where} refused {exchange.stage}: {said}"
        if 500 <= error.code < 600:
            return BadInput(words) if isinstance(error, SMTPDataError) else GaveUp(words)
        return TryLater(words, uncertain=exchange.sending and not _passing(error.code))


class _NoEncryption(SMTPException):
    """The server does not offer STARTTLS."""


class _NobodyLeft(SMTPException):
    """All recipients were refused."""

    def __init__(self, refused: Sequence[SMTPRecipientRefused]) -> None:
        super().__init__("no recipient")
        self.refused = refused


class _Exchange:
    """One conversation with the server. `stage`: what was being said; `sending`: from then on the message may have been taken."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.stage = "the connection"
        self.sending = False
        self.refused: list[SMTPRecipientRefused] = []
        self._client = SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.name,
            timeout=server.within,
            use_tls=server.tls == "implicit",
            start_tls=False,
            tls_context=server.context,
        )

    async def run(self, sender: str, recipients: Sequence[str], message: bytes) -> str:
        client = self._client
        await client.connect()
        await self._said("EHLO", client.ehlo)
        if self._server.tls == "starttls":
            if not client.supports_extension("starttls"):
                raise _NoEncryption("no STARTTLS")
            await self._said("STARTTLS", client.starttls)
            await self._said("EHLO", client.ehlo)
        if self._server.user:
            self.stage = "login"
            await client.login(self._server.user, self._server.password)
        self.stage = "the sender"
        await client.mail(sender, options=[f"size={len(message)}"] if client.supports_extension("size") else [])
        await self._recipients(recipients)
        self.stage, self.sending = "the message", True
        answer = await client.data(message)
        return f"{answer.code} {answer.message}"

    async def _recipients(self, recipients: Sequence[str]) -> None:
        self.stage = "the recipient"
        for one in recipients:
            try:
                await self._client.rcpt(one)
            except SMTPRecipientRefused as error:
                self.refused.append(error)
        if len(self.refused) == len(recipients):
            raise _NobodyLeft(self.refused)

    async def _said(self, stage: str, step: Callable[[], Awaitable[object]]) -> None:
        self.stage = stage
        await step()

    async def goodbye(self) -> None:
        """The message is taken: whatever happens to the farewell changes nothing."""
        try:
            async with asyncio.timeout(min(GOODBYE_WITHIN, self._server.within)):
                await self._client.quit()
        except (SMTPException, OSError):
            return

    def hang_up(self) -> None:
        self._client.close()


def _passing(code: int) -> bool:
    return 400 <= code < 500


def _no_tls(error: BaseException | None) -> ssl.SSLError | None:
    """Why there can be no encrypted connection (a certificate, a version), when that is behind it; one that merely broke off is none."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return error
        error = error.__cause__ or error.__context__
    return None
