"""A phone call by Twilio, acknowledged by a key.

The message is read twice. *Acknowledge*: press 4; any other key reads it again. Where Twilio cannot call back (no public address, no `token`), it is
only read. *Delivered*: somebody answered the phone; busy, no answer, and with `machine_detection` a voice mailbox, count as failed. A mailbox is not
told from a person without it.

*Twice*: Twilio has no idempotency key, and a call that is listed does not say what it is about. After an attempt of unknown outcome a call from
the same number to this phone counts as this one when it was made in the last minute and is not known to be for another page; otherwise it is made
(again): best effort.

*Permissions*: an API key that may create and list calls is enough to call; the Auth Token is needed to verify call-backs.

*Formats*: https://www.twilio.com/docs/voice/api/call-resource, https://www.twilio.com/docs/voice/twiml/gather, https://www.twilio.com/docs/voice/twiml/say
"""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

from pydantic import Field

from bot.clients import twilio
from bot.clients.desk import Desk
from bot.domain.incoming import Incoming
from bot.domain.naming import clipped
from bot.domain.notice import Heard, Notice, Receipt
from bot.errors import BadInput

KIND = "call"
CALLS_BACK = True
BUNDLE = timedelta(minutes=2)
ACKNOWLEDGE_KEY = "4"
STATUS, PRESSED = "status", "pressed"
LONGEST_SPOKEN = 600  # bytes: it goes along in the address that Twilio calls when a key was pressed, and `Twiml` holds 4000 characters
LONGEST_KEY = 300
LONGEST_WORDS = 400
MADE_WITHIN = timedelta(minutes=1)
MOST_REMEMBERED = 1000
UNMADE = ("failed", "canceled")
PROMPT = f"Press {ACKNOWLEDGE_KEY} to acknowledge. Press any other key to hear this again."
WORDLESS = "This is Tocsin, with a page for you."
WHY = {"busy": "busy", "no-answer": "nobody answered", "failed": "the call could not be made", "canceled": "canceled"}


class Params(twilio.Account):
    sender: str = Field(alias="from", pattern=twilio.NUMBER, description="a number of the account that can call")
    to: str = Field(
        default="", pattern=twilio.NUMBER, description="the phone that `medium:<name>` means, when no person is meant"
    )
    voice: str = Field(
        default="", max_length=60, pattern=r"^[A-Za-z0-9.-]*$", description="Twilio's voice, like Polly.Amy"
    )
    language: str = Field(default="en-GB", pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{2,4})?$", description="of the voice")
    ring: int = Field(default=30, ge=5, le=120, description="seconds to let it ring; a mailbox often answers after 25")
    machine_detection: bool = Field(
        default=False,
        description="tell mailboxes from people (costs extra, and people wait some seconds for the first word)",
    )


class Plugin:
    """twilio_call"""

    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        self._twilio = twilio.Twilio(desk.http, desk.redact, params, desk.clock)
        self._called_back = bool(desk.public_url) and self._twilio.verifies
        self._known: OrderedDict[str, str] = OrderedDict()  # which page a call was for; only ever a hint

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        to = twilio.receiver(address or self._params.to, self._desk.name)
        before = await self._before(notice, to) if again else None
        if before is not None:
            return before
        sid, status = await self._twilio.make("Calls", self._fields(notice, to))
        self._remember(sid, notice.key)
        return Receipt(provider_id=sid, answer=status)

    def _fields(self, notice: Notice, to: str) -> dict[str, str]:
        spoken = fitting(self._desk.redact(notice.spoken or notice.short or notice.subject)) or WORDLESS
        acknowledgeable = notice.acknowledgeable and self._called_back
        said = self._asking(spoken, notice.key) if acknowledgeable else self._saying(spoken, 2)
        fields = {"To": to, "From": self._params.sender, "Twiml": twiml(said), "Timeout": str(self._params.ring)}
        if self._called_back:
            fields["StatusCallback"] = self._desk.callback(f"{STATUS}?{urlencode({'page': notice.key[:LONGEST_KEY]})}")
        if self._params.machine_detection:
            fields["MachineDetection"] = "Enable"
        return fields

    async def _before(self, notice: Notice, to: str) -> Receipt | None:
        """A call that may be this one."""
        for one in await self._twilio.made("Calls", to):
            made, sid = twilio.when(one), str(one.get("sid", ""))
            recent = made is not None and abs(self._desk.clock() - made) < MADE_WITHIN
            ours = one.get("from") == self._params.sender and one.get("status") not in UNMADE
            if recent and ours and self._known.get(sid, notice.key) == notice.key:
                self._remember(sid, notice.key)
                return Receipt(provider_id=sid, answer=f"it was called before: {one.get('status')}")
        return None

    def _remember(self, sid: str, key: str) -> None:
        self._known[sid] = key
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    async def heard(self, incoming: Incoming, what: str) -> tuple[Heard, ...]:
        form = self._twilio.form(incoming, self._desk.callback(incoming.path))
        key = incoming.query.get("page", "")[:LONGEST_KEY]
        if what == STATUS:
            return _status(form, key)
        if what != PRESSED:
            raise BadInput(f"there is no call-back {what[:40]!r} here; expected {STATUS} or {PRESSED}")
        sid, to = form.get("CallSid", "")[:40], form.get("To", "")[:40]
        if form.get("Digits", "").startswith(ACKNOWLEDGE_KEY):
            return (Heard(kind="acknowledged", provider_id=sid, key=key, address=to),)
        return (Heard(kind="other", provider_id=sid, key=key, address=to, text=_read(incoming.query.get("say", ""))),)

    def answer(self, heard: Sequence[Heard], words: str) -> tuple[bytes, str]:
        """TwiML: what became of it, or the message once more."""
        again = next((one for one in heard if one.kind == "other"), None)
        if words:
            said = self._saying(fitting(words), 1)
        elif again is not None:
            said = self._asking(fitting(again.text) or WORDLESS, again.key)
        else:
            said = ""
        return twiml(said).encode(), twilio.XML

    def _saying(self, spoken: str, times: int) -> str:
        voice = f" voice={quoteattr(self._params.voice)}" if self._params.voice else ""
        return f'<Say{voice} language={quoteattr(self._params.language)} loop="{times}">{escape(spoken)}</Say>'

    def _asking(self, spoken: str, key: str) -> str:
        """The message and a question. The text goes along in the address, so that it can be read again with nothing remembered here."""
        carried = base64.urlsafe_b64encode(spoken.encode()).decode().rstrip("=")
        action = self._desk.callback(f"{PRESSED}?{urlencode({'page': key[:LONGEST_KEY], 'say': carried})}")
        asked = self._saying(f"{spoken} {PROMPT}", 2)
        gathered = (
            f'<Gather input="dtmf" numDigits="1" timeout="8" method="POST" action={quoteattr(action)}>{asked}</Gather>'
        )
        return gathered + self._saying("No key was pressed. Goodbye.", 1)


def twiml(said: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{said}</Response>'


def fitting(spoken: str) -> str:
    """What a voice can read, at most LONGEST_SPOKEN bytes; signs that XML would have to escape, at five times their length, as words."""
    printable = "".join(char if char.isprintable() else " " for char in spoken[: 2 * LONGEST_SPOKEN])
    words = " ".join(printable.replace("&", " and ").replace("<", " ").replace(">", " ").split())
    return words.encode("utf-8", "replace")[:LONGEST_SPOKEN].decode("utf-8", "ignore").strip()


def _read(carried: str) -> str:
    try:
        return base64.urlsafe_b64decode(carried.encode() + b"=" * (-len(carried) % 4)).decode()
    except (ValueError, binascii.Error):
        return ""


def _status(form: Mapping[str, str], key: str) -> tuple[Heard, ...]:
    """How a call ended: https://www.twilio.com/docs/voice/api/call-resource#call-status-values."""
    sid, to, status = form.get("CallSid", "")[:40], form.get("To", "")[:40], form.get("CallStatus", "")
    mailbox = form.get("AnsweredBy", "").startswith(("machine", "fax"))
    if status == "completed" and not mailbox:
        return (Heard(kind="delivered", provider_id=sid, key=key, address=to, text="answered"),)
    if status == "completed" or status in WHY:
        why = "a mailbox or a fax answered" if mailbox else WHY[status]
        return (Heard(kind="failed", provider_id=sid, key=key, address=to, text=clipped(why, LONGEST_WORDS)),)
    return ()
