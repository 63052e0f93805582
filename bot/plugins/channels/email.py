"""E-mail, by a mail server of yours (SMTP).

All messages about one incident are one thread: they refer to the same message and have the same subject. The Message-ID is computed from what the
message is, so a message that is sent again after an attempt of unknown outcome carries the same one.

*Acknowledge*: by the link in the message, which opens a page with a button. *Delivered*: unknown; the mail server's answer is kept. *Twice*: SMTP
cannot be asked whether a message was taken, so it is sent again; whoever deduplicates by Message-ID shows it once. *Formats*: RFC 5321, RFC 5322
(threads: 3.6.4), RFC 3834 (Auto-Submitted).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, SecretStr, model_validator

from bot.clients.desk import Desk
from bot.clients.mail import PORTS, Mail, Server, Tls
from bot.clients.media_text import links, redacted
from bot.domain.naming import clipped
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "email"
CALLS_BACK = False
LONGEST_SUBJECT = 200
LONGEST_BODY = 20_000
POLICY = SMTP.clone(cte_type="7bit")  # so that no server has to know 8BITMIME
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_NAMED = re.compile(r"(?P<name>[^<>]{0,100})<(?P<address>[^<>]+)>")
_STYLE = "font-family:sans-serif;font-size:15px;line-height:1.45;color:#1d1c1d;max-width:40em"
_BUTTON = (
    "display:inline-block;padding:10px 18px;border-radius:6px;background:#007a5a;color:#ffffff;text-decoration:none;"
)


def _plain_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"found {text[:100]!r}; expected an e-mail address, like ada@example.com")
    return text


def _sender(text: str) -> str:
    named = _NAMED.fullmatch(text.strip())
    _plain_address(named["address"].strip() if named else text)
    return text.strip()


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    host: str = Field(min_length=1, max_length=255, description="the mail server")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="default: 587, with implicit TLS 465, without 25"
    )
    tls: Tls = Field(default="starttls", description="`starttls` (required, not merely tried), `implicit`, or `none`")
    insecure: bool = Field(default=False, description="allow `tls: none` to another machine than this one")
    ca: FilePath | None = Field(
        default=None,
        description="file with certificates (PEM) to trust instead of the system's, for a mail server of your own",
    )
    user: str = Field(default="", max_length=255, description="empty: no authentication")
    password: SecretStr | None = Field(default=None, description="by reference, like env:SMTP_PASSWORD")
    sender: Annotated[str, AfterValidator(_sender)] = Field(
        alias="from", max_length=300, description="whom messages are from, like `Tocsin <tocsin@example.com>`"
    )
    to: tuple[Annotated[str, AfterValidator(_plain_address)], ...] = Field(
        default=(), max_length=20, description="who gets what is for `medium:<name>` rather than for a person"
    )
    name: str = Field(
        default="",
        max_length=255,
        pattern=r"^[A-Za-z0-9.:\[\]-]*$",
        description="what this machine calls itself (EHLO); default: the domain of `from`",
    )
    within: float = Field(default=10.0, gt=0, le=60, description="seconds for handing in one message")

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if self.tls == "none" and not self.insecure and not _local(self.host):
            raise ValueError(
                "tls: `none` to another machine sends everything in clear; use TLS, or say `insecure: true`"
            )
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password: give both, or neither")
        return self


class Plugin:
    """email"""

    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        named = _NAMED.fullmatch(params.sender)
        self._from = named["address"].strip() if named else params.sender
        self._from_name = named["name"].strip(' "') if named else ""
        self._domain = self._from.rpartition("@")[2]
        context = None if params.tls == "none" else ssl.create_default_context(cafile=params.ca)
        server = Server(
            params.host,
            params.port or PORTS[params.tls],
            params.tls,
            context,
            params.user,
            params.password.get_secret_value() if params.password else "",
            params.name or self._domain,
            params.within,
        )
        self._mail = Mail(server, desk.redact, desk.clock)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        recipients = (address,) if address else self._params.to
        if not recipients:
            raise BadInput(f"{self._desk.name}: nobody is named; set `to` of this medium in tocsin.yaml")
        for one in recipients:
            if not _ADDRESS.fullmatch(one):
                raise BadInput(
                    f"{self._desk.name}: found {one[:100]!r}; expected an e-mail address, like ada@example.com"
                )
        message = self._message(self._redacted(notice), recipients)
        answer = await self._mail.send(self._from, recipients, message.as_bytes())
        return Receipt(provider_id=str(message["Message-ID"]), answer=answer)

    def _redacted(self, notice: Notice) -> Notice:
        """Its words without what looks like a secret; its own links stay."""
        own = [url for _, url in links(notice)]

        def clean(value: str) -> str:
            return redacted(value[:LONGEST_BODY], self._desk.redact, own)

        facts = {name: clean(value) for name, value in notice.facts.items()}
        return notice.model_copy(update={"subject": clean(notice.subject), "body": clean(notice.body), "facts": facts})

    def _message(self, notice: Notice, recipients: tuple[str, ...]) -> EmailMessage:
        message = EmailMessage(policy=POLICY)
        try:
            message["From"] = Address(_line(self._from_name), addr_spec=self._from)
            message["To"] = [Address(addr_spec=one) for one in recipients]
        except (ValueError, MessageError) as error:
            raise BadInput(f"{self._desk.name}: an address cannot be written: {str(error)[:200]}") from error
        message["Subject"] = subject(notice)
        message["Date"] = format_datetime(self._desk.clock())
        message["Message-ID"] = self._id("message", notice.identity)
        if notice.thread:
            root = self._id("thread", notice.thread)
            message["In-Reply-To"] = root
            message["References"] = root
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"  # Exchange: no answers about absences
        message.set_content(text(notice))
        message.add_alternative(html(notice), subtype="html")
        return message

    def _id(self, what: str, key: str) -> str:
        """Always the same for the same: <32 hexadecimal digits@domain of the sender>."""
        return f"<{hashlib.sha256(f'{what} {key}'.encode()).hexdigest()[:32]}@{self._domain}>"


def subject(notice: Notice) -> str:
    """One for all messages of an incident (mail programs put into one thread only what has one subject), else the message's own."""
    incident, title = notice.facts.get("incident", ""), notice.facts.get("title", "")
    told = f"[{incident}] {title}" if notice.thread and incident and title else notice.subject
    return clipped(_line(told), LONGEST_SUBJECT) or "Tocsin"


def text(notice: Notice) -> str:
    """The message as plain text: what it is about, its lines, the links."""
    parts = [_lines(notice.subject), _lines(notice.body)]
    if notice.acknowledge_url:
        parts.append(f"Acknowledge: {_line(notice.acknowledge_url)}")
    if notice.url:
        parts.append(f"Details: {_line(notice.url)}")
    return "\n\n".join(part for part in parts if part) + "\n"


def html(notice: Notice) -> str:
    """The same as HTML; everything that came from outside is escaped."""
    body = escape(_lines(notice.body)).replace("\n", "<br>\n")
    parts = [f"<p><strong>{escape(_line(notice.subject))}</strong></p>", f"<p>{body}</p>" if body else ""]
    if _web(notice.acknowledge_url):
        parts.append(f'<p><a href="{escape(notice.acknowledge_url)}" style="{_BUTTON}">Acknowledge</a></p>')
    if _web(notice.url):
        parts.append(f'<p><a href="{escape(notice.url)}">Details</a></p>')
    inner = "\n".join(part for part in parts if part)
    return f'<!DOCTYPE html>\n<html lang="en"><body><div style="{_STYLE}">\n{inner}\n</div></body></html>\n'


def _web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def _line(value: str) -> str:
    """On one line, without control characters and without what a header would decode (RFC 2047): nothing in it can begin another header."""
    printable = "".join(char if char.isprintable() else " " for char in value[:LONGEST_BODY])
    return " ".join(printable.replace("=?", "= ?").split())


def _lines(value: str) -> str:
    kept = (char if char.isprintable() or char == "\n" else " " for char in value[:LONGEST_BODY])
    return "".join(kept).strip()
