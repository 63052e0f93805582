"""Twilio: its REST API, how it signs what it sends to us, and its refusals in words. Used by plugins/channels/twilio_sms and twilio_call.

API: https://www.twilio.com/docs/usage/api, errors: https://www.twilio.com/docs/api/errors, signatures:
https://www.twilio.com/docs/usage/security#validating-requests
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from bot.clients.api import Server, host
from bot.clients.breaker import Breaker
from bot.clients.http import LONGEST_QUOTE, Http, Reply, quoted
from bot.clients.retry_after import seconds
from bot.domain.incoming import Incoming
from bot.domain.ports import Clock, Redact
from bot.errors import BadInput, GaveUp, NotSigned, TryLater

VERSION = "2010-04-01"
MOST_FIELDS = 200
MOST_LISTED = 50
XML = "text/xml"
NUMBER = r"^\+[1-9][0-9]{6,14}$"  # E.164
_PUNCTUATION = re.compile(r"[\s().\-/\u00a0]")

CREDENTIALS = "check account, token, key and key_secret of this medium in tocsin.yaml"
SENDER = "check `from` (or `service`) of this medium in tocsin.yaml, and the number in the Twilio Console"
ACCOUNT = "look at the account in the Twilio Console"
# What no repetition mends and is not the receiver's fault: (code, what to do).
SET_UP = {
    10001: ACCOUNT,
    20003: CREDENTIALS,
    20005: ACCOUNT,
    20006: CREDENTIALS,
    20008: "the credentials are test credentials, which reach nobody; use the live ones",
    20404: CREDENTIALS,
    21210: SENDER,
    21212: SENDER,
    21213: SENDER,
    21602: "the message is empty",
    21603: SENDER,
    21606: SENDER,
    21609: "server.public_url in tocsin.yaml is no address that Twilio can call back",
    21660: SENDER,
    21701: SENDER,
    21703: SENDER,
}
# What is about one receiver's number.
RECEIVER = {
    21211: "the number does not exist; write it like +4915112345678",
    21214: "this number cannot be called",
    21215: "calls to this country are off; turn them on under Voice > Geographic Permissions in the Twilio Console",
    21216: "calls to this number are not allowed for this account",
    21217: "the number does not exist; write it like +4915112345678",
    21219: "a trial account reaches verified numbers only; verify it in the Twilio Console, or upgrade",
    21408: "messages to this country are off; turn them on under Messaging > Geo Permissions in the Twilio Console",
    21608: "a trial account reaches verified numbers only; verify it in the Twilio Console, or upgrade",
    21610: "they answered STOP and get nothing more; they have to send START to the number",
    21612: "this sender cannot reach that number; another sender may",
    21614: "it is no mobile number; give it to a voice medium instead",
    21635: "it is a landline; give it to a voice medium instead",
}
LATER = (20429, 21611)  # too many requests; the sender's queue is full


def _account(sid: str) -> str:
    if not re.fullmatch(r"AC[0-9a-fA-F]{32}", sid):
        raise ValueError("expected the Account SID: AC and 32 hexadecimal digits")
    return sid


class Account(BaseModel):
    """The part of the settings that both media have."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    account: Annotated[str, AfterValidator(_account)] = Field(description="Account SID (AC…)")
    token: SecretStr | None = Field(
        default=None, description="Auth Token, by reference; without it call-backs cannot be verified and are refused"
    )
    key: str = Field(default="", max_length=100, description="API key SID (SK…), to send with instead of the token")
    key_secret: SecretStr | None = Field(default=None, description="the API key's secret, by reference")
    api: Server = Field(default="https://api.twilio.com", description="for a region: like https://api.ie1.twilio.com")
    within: float = Field(default=8.0, gt=0, le=60, description="seconds for one request")

    @model_validator(mode="after")
    def _able(self) -> Self:
        if bool(self.key) != (self.key_secret is not None):
            raise ValueError("key and key_secret: give both, or neither")
        if self.api.startswith("http://") and host(self.api) not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("api: must be an https:// address, since the credentials are sent there")
        if self.token is None and not self.key:
            raise ValueError("token: needed, unless there is a key and key_secret")
        return self


class Twilio:
    """The API of one account. Sends once, asks what there is, and checks who calls back."""

    def __init__(self, http: Http, redact: Redact, account: Account, clock: Clock) -> None:
        self._http = http
        self._breaker = Breaker(f"Twilio ({host(account.api)})", clock)
        self._redact = redact
        self._account = account
        self._token = account.token.get_secret_value() if account.token else ""
        key_secret = account.key_secret.get_secret_value() if account.key_secret else ""
        user, password = (account.key, key_secret) if account.key else (account.account, self._token)
        self._secrets = [one for one in (self._token, key_secret) if one]
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}", "Accept": "application/json"}

    @property
    def verifies(self) -> bool:
        """Whether call-backs can be told from forged ones."""
        return bool(self._token)

    async def make(self, what: str, fields: Mapping[str, str]) -> tuple[str, str]:
        """POST to `Messages` or `Calls`: (SID, status). Raises TryLater, BadInput (the receiver) and GaveUp (the account)."""
        with self._breaker.attempt():
            reply = await self._http.request(
                "POST",
                self._url(what),
                headers={**self._headers, "Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(fields).encode(),
                answer_within=self._account.within,
            )
            if reply.status >= 500:
                raise self._refused(reply)
        if not 200 <= reply.status < 300:
            raise self._refused(reply)
        made = _object(reply)
        return _text(made.get("sid")), _text(made.get("status")) or f"answered {reply.status}"

    async def made(self, what: str, to: str) -> list[dict[str, Any]]:
        """The newest to that number, whatever their state. No filter by date: what is still queued has none.

        It is asked after an attempt of unknown outcome; as long as there is no answer (TryLater), that stays unknown.
        """
        query = urlencode({"To": to, "PageSize": str(MOST_LISTED)})
        try:
            reply = await self._http.request(
                "GET", f"{self._url(what)}?{query}", headers=self._headers, answer_within=self._account.within
            )
            if not 200 <= reply.status < 300:
                raise self._refused(reply)
        except TryLater as error:
            raise TryLater(str(error), error.delay, uncertain=True) from error
        listed = _object(reply).get(what.lower())
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

    def form(self, incoming: Incoming, url: str) -> dict[str, str]:
        """The fields of a call-back to that address. NotSigned when Twilio did not sign it, BadInput when there is too much in it."""
        if not self.verifies:
            raise NotSigned("call-backs are not taken: this medium has no `token` to verify them with")
        try:
            pairs = parse_qsl(incoming.body.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError as error:
            raise BadInput(f"the body is no form in UTF-8 of at most {MOST_FIELDS} fields") from error
        given = incoming.headers.get("x-twilio-signature", "").encode(errors="replace")
        right = [hmac.compare_digest(signature(self._token, one, pairs).encode(), given) for one in _ports(url)]
        if not any(right):
            raise NotSigned(
                "X-Twilio-Signature does not fit; expected a call-back signed with this medium's `token`, to the address "
                f"that begins with server.public_url ({url.partition('?')[0]})"
            )
        return dict(pairs)

    def _url(self, what: str) -> str:
        return f"{self._account.api}/{VERSION}/Accounts/{self._account.account}/{what}.json"

    def _refused(self, reply: Reply) -> Exception:
        """What a refusal means: https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions."""
        told = _object(reply)
        given = told.get("code")
        code = given if isinstance(given, int) else 0
        said = self._quote(_text(told.get("message")) or reply.text)
        words = f"Twilio answered {reply.status}" + (f" ({code})" if code else "") + (f": {said}" if said else "")
        delay = seconds(reply.headers.get("retry-after", ""))
        if reply.status >= 500:
            return TryLater(words, delay, uncertain=reply.method == "POST")
        if reply.status == 429 or code in LATER:
            return TryLater(words, delay)
        if code in RECEIVER:
            return BadInput(f"{words}; {RECEIVER[code]}")
        if code in SET_UP or reply.status in (401, 403, 404):
            return GaveUp(f"{words}; {SET_UP.get(code, CREDENTIALS)}")
        return BadInput(words)

    def _quote(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        return " ".join(quoted(text, self._redact, LONGEST_QUOTE).split())


def signature(token: str, url: str, pairs: list[tuple[str, str]]) -> str:
    """Base64 of HMAC-SHA1 over the address and every distinct field, sorted by name and value, with nothing in between."""
    signed = url + "".join(f"{name}{value}" for name, value in sorted(set(pairs)))
    digest = hmac.new(token.encode(), signed.encode(errors="surrogateescape"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def _ports(url: str) -> tuple[str, str]:
    """With and without the usual port: Twilio signs either."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    bare = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return url.replace(f"//{host}", f"//{bare}", 1), url.replace(f"//{host}", f"//{bare}:{port}", 1)


def receiver(text: str, medium: str) -> str:
    """The phone that gets a message. BadInput when none is named, or it is no number."""
    if not text:
        raise BadInput(f"{medium}: nobody is named; set `to` of this medium in tocsin.yaml")
    return number(text, medium)


def number(text: str, medium: str) -> str:
    """A phone number as Twilio takes it (E.164), from how people write it. BadInput."""
    plain = _PUNCTUATION.sub("", text)
    if not re.match(NUMBER, plain):
        raise BadInput(f"{medium}: found {text[:40]!r}; expected a phone number with its country, like +4915112345678")
    return plain


def when(listed: Mapping[str, Any]) -> datetime | None:
    """When a listed message or call was made (Twilio writes RFC 2822); None when it does not say."""
    try:
        return parsedate_to_datetime(_text(listed.get("date_created")))
    except ValueError:
        return None


def _object(reply: Reply) -> dict[str, Any]:
    """An answer that cannot be read says nothing: whether it worked is in its status."""
    try:
        told = reply.json()
    except BadInput:
        return {}
    return told if isinstance(told, dict) else {}


def _text(value: object) -> str:
    return value[:200] if isinstance(value, str) else ""
