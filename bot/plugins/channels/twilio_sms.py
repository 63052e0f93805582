"""SMS by Twilio, acknowledged by an answer.

*Acknowledge*: answer `7` or `INC-7` (that incident), or `ack`, `ok`, `yes` or `y` (the newest page to this phone). Whatever else comes back is
answered with what to write; STOP, START and HELP are left to Twilio. Where nobody can answer (no public address, no `token`, `replies: false`, a
sender that is a name), the message has the link instead. *Delivered*: as Twilio's status call-backs say.

*Twice*: Twilio has no idempotency key. Each text ends with a mark of its own, `(7f3a2c)`, and after an attempt of unknown outcome the messages that
Twilio lists for this phone are searched for it. What it does not list yet, or lists without its text (redaction), is sent again: best effort.

*Permissions*: an API key that may create and list messages is enough to send; the Auth Token is needed to verify call-backs.

*Formats*: https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/messaging/twiml,
https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Self
from xml.sax.saxutils import escape

from pydantic import Field, model_validator

from bot.clients import twilio
from bot.clients.desk import Desk
from bot.clients.media_text import said
from bot.domain.incoming import Incoming
from bot.domain.naming import clipped
from bot.domain.notice import Heard, Notice, Receipt
from bot.errors import BadInput

KIND = "sms"
CALLS_BACK = True
BUNDLE = timedelta(minutes=1)
LONGEST = 1500  # characters; Twilio takes 1600
LONGEST_SHORT = 300
LONGEST_ANSWER = 300
SENT_WITHIN = timedelta(hours=1)
EXPLAINED_EVERY, MOST_EXPLAINED = timedelta(minutes=10), 1000
SENDER = r"^(\+[1-9][0-9]{6,14}|[0-9]{3,8}|[A-Za-z0-9 ]{1,11})$"  # a number, a short code, a name
STATUS, REPLY = "status", "reply"
HOW = "Not understood. Answer ack for the newest page, or the number of an incident, like 7."
# https://help.twilio.com/articles/223134027: Twilio answers these itself.
TWILIOS = frozenset(
    ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke", "start", "unstop", "help", "info")
)
UNSENT = ("failed", "undelivered", "canceled")
# https://www.twilio.com/docs/api/errors: why a message that was taken did not arrive.
WHY = {
    "30003": "the phone is off or out of reach",
    "30004": "the receiver blocks messages",
    "30005": "the number is unknown or not in service",
    "30006": "a landline, or a network that takes no messages",
    "30007": "filtered by the network",
    "30034": "the sender is not registered with the networks (A2P 10DLC)",
}
_ANSWER = re.compile(
    r"(?:(?P<word>ack|acknowledged?|ok|okay|yes|y)\b)?[\s:,#]*(?:(?:inc[\s-]?)?(?P<number>[0-9]{1,9}))?[\s.!]*",
    re.ASCII | re.IGNORECASE,
)


class Params(twilio.Account):
    sender: str = Field(
        default="",
        alias="from",
        pattern=SENDER,
        description="a number of the account, or a name (then nobody can answer)",
    )
    service: str = Field(
        default="", pattern=r"^(MG[0-9a-fA-F]{32})?$", description="Messaging Service (MG…), instead of `from`"
    )
    to: str = Field(
        default="", pattern=twilio.NUMBER, description="the phone that `medium:<name>` means, when no person is meant"
    )
    replies: bool = Field(
        default=True,
        description="the incoming messages of the number come here, so answers acknowledge; false: the link is sent",
    )

    @model_validator(mode="after")
    def _one_sender(self) -> Self:
        if bool(self.sender) == bool(self.service):
            raise ValueError("from: give it or `service`, not both")
        return self


class Plugin:
    """twilio_sms"""

    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        self._twilio = twilio.Twilio(desk.http, desk.redact, params, desk.clock)
        self._called_back = bool(desk.public_url) and self._twilio.verifies
        named = any(char.isalpha() for char in params.sender)
        self._answered = self._called_back and params.replies and not named
        self._explained: OrderedDict[str, datetime] = OrderedDict()

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        to = twilio.receiver(address or self._params.to, self._desk.name)
        before = await self._before(notice, to) if again else None
        if before is not None:
            return before
        fields = {"To": to, "Body": self.body(notice, known=bool(address))}
        fields |= (
            {"From": self._params.sender} if self._params.sender else {"MessagingServiceSid": self._params.service}
        )
        if self._called_back:
            fields["StatusCallback"] = self._desk.callback(STATUS)
        sid, status = await self._twilio.make("Messages", fields)
        return Receipt(provider_id=sid, answer=status)

    def body(self, notice: Notice, *, known: bool = True) -> str:
        """The text, how to acknowledge, and the mark by which this message is found again.

        `known`: it goes to somebody's own number. An answer from the medium's own phone says nothing of whose page it is about.
        """
        parts = [clipped(said(notice, self._desk.redact).short, LONGEST_SHORT)]
        if notice.acknowledgeable and self._answered and known:
            parts.append(f"Reply {notice.incident_id or 'ack'} to acknowledge")
        elif notice.acknowledgeable and notice.acknowledge_url:
            parts.append(f"Acknowledge: {notice.acknowledge_url}")
        text = "\n".join(" ".join(part.split()) for part in parts)
        return f"{clipped(text, LONGEST)} {_mark(notice)}"

    async def _before(self, notice: Notice, to: str) -> Receipt | None:
        """This message, if Twilio has it already. Its text is not compared whole: Twilio replaces characters (Smart Encoding)."""
        for one in await self._twilio.made("Messages", to):
            made = twilio.when(one)
            recent = made is None or self._desk.clock() - made < SENT_WITHIN
            ours = str(one.get("direction", "")).startswith("outbound") and one.get("status") not in UNSENT
            if recent and ours and str(one.get("body", "")).endswith(_mark(notice)):
                return Receipt(provider_id=str(one.get("sid", "")), answer=f"it was sent before: {one.get('status')}")
        return None

    async def heard(self, incoming: Incoming, what: str) -> tuple[Heard, ...]:
        form = self._twilio.form(incoming, self._desk.callback(incoming.path))
        if what == STATUS:
            return _status(form)
        if what == REPLY:
            return (reply(form),)
        raise BadInput(f"there is no call-back {what[:40]!r} here; expected {STATUS} or {REPLY}")

    def answer(self, heard: Sequence[Heard], words: str) -> tuple[bytes, str]:
        """TwiML: a message back to whoever wrote, or nothing."""
        told = words or next(
            (HOW for one in heard if one.kind == "other" and one.text and self._first(one.address)), ""
        )
        shown = "".join(
            char if char.isprintable() else " " for char in clipped(told, LONGEST_ANSWER)
        )  # XML cannot hold the others
        message = f"<Message>{escape(shown)}</Message>" if shown else ""
        return f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'.encode(), twilio.XML

    def _first(self, address: str) -> bool:
        """Whether this phone was not told how to answer just now: two machines that answer each other would never stop."""
        now = self._desk.clock()
        told = self._explained.get(address)
        if told is not None and abs(now - told) < EXPLAINED_EVERY:
            return False
        self._explained[address] = now
        while len(self._explained) > MOST_EXPLAINED:
            self._explained.popitem(last=False)
        return True


def _mark(notice: Notice) -> str:
    return f"({hashlib.sha256(notice.identity.encode()).hexdigest()[:6]})"


def reply(form: Mapping[str, str]) -> Heard:
    """What somebody wrote back. `text` of an acknowledgement: the incident's number, or empty for the newest page."""
    sender, sid = form.get("From", "")[:40], form.get("MessageSid", "")[:40]
    body = form.get("Body", "").strip()[:LONGEST]
    if form.get("OptOutType") or body.lower().rstrip(".!") in TWILIOS:
        return Heard(kind="other", provider_id=sid, address=sender)
    found = _ANSWER.fullmatch(body.strip(" \t\r\n\"'“”‘’«»"))
    if found and (found["word"] or found["number"]):
        return Heard(kind="acknowledged", provider_id=sid, address=sender, text=found["number"] or "")
    return Heard(kind="other", provider_id=sid, address=sender, text=body or "(nothing)")


def _status(form: Mapping[str, str]) -> tuple[Heard, ...]:
    """Only what ends a message; that it is queued or sent is known already."""
    sid, status, code = form.get("MessageSid", "")[:40], form.get("MessageStatus", ""), form.get("ErrorCode", "")[:10]
    to = form.get("To", "")[:40]
    if status in ("delivered", "read"):
        return (Heard(kind="delivered", provider_id=sid, address=to, text=status),)
    if status in UNSENT:
        told = [status, code and f"({code})", WHY.get(code, "")]
        return (Heard(kind="failed", provider_id=sid, address=to, text=" ".join(part for part in told if part)),)
    return ()
