"""A signed webhook: Tocsin's messages as JSON, to a program of your own.

*Set-up*: give the receiver's address as `url` and at least one secret (16 characters or more) in `secrets`, by reference. Each request is a POST
with `X-Tocsin-Id` (the message's key, the same each time it is sent), `X-Tocsin-Timestamp` (seconds since 1970, of this attempt) and
`X-Tocsin-Signature`: `v1=` and HMAC-SHA256 in lower-case hexadecimal over `<id>.<timestamp>.<body>`, one for each secret, with spaces between. To
change the secret put the new one first, let the receiver take it, then take the old one out. The receiver compares in constant time, refuses what
is older than five minutes, and answers 2xx once it has kept the message.
*Permissions*: none.
*Deduplication*: by the receiver: an id that it has seen is answered 2xx and left alone. The body is the same each time.
*Acknowledging*: `acknowledge_url` in the body opens Tocsin's page (with `server.public_url` and `server.secret`); a program uses the API.

2xx is success; 410 means gone for good; 429 and 5xx are tried again later, as are requests without an answer; after five failures in a row nothing
is sent for half a minute. Redirects are not followed.

The scheme is that of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md with headers of its own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.clients.desk import Desk
from bot.clients.media_http import Answer, Outlet, SecretUrl, as_json
from bot.clients.media_text import said
from bot.domain.notice import Notice, Receipt

KIND = "webhook"
CALLS_BACK = False
VERSION = 1
SHORTEST = 16
ID = 255


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretUrl = Field(description="where to send to, by reference")
    secrets: Sequence[SecretStr] = Field(
        min_length=1, max_length=5, description="what requests are signed with, by reference; the new one first"
    )

    @field_validator("secrets")
    @classmethod
    def _long_enough(cls, secrets: Sequence[SecretStr]) -> Sequence[SecretStr]:
        if any(0 < len(one.get_secret_value()) < SHORTEST for one in secrets):
            raise ValueError(f"each must have at least {SHORTEST} characters")
        return tuple(secrets)


class Plugin:
    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._url = params.url.get_secret_value()
        self._secrets = [one.get_secret_value() for one in params.secrets]
        explain = f"check url and secrets of {desk.name} in tocsin.yaml"
        self._outlet = Outlet(desk, "webhook", self._url, secrets=self._secrets, explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        body = as_json(self._message(notice, address))
        key, timestamp = header(notice.identity), str(int(self._desk.clock().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-Tocsin-Id": key,
            "X-Tocsin-Timestamp": timestamp,
            "X-Tocsin-Signature": " ".join(f"v1={signature(secret, key, timestamp, body)}" for secret in self._secrets),
        }
        answer = await self._outlet.send(self._url, body, headers, hint=_hint)
        return Receipt(provider_id=key, delivered=True, answer=f"the receiver answered {answer.status}")

    def _message(self, notice: Notice, address: str) -> dict[str, Any]:
        words = said(notice, self._desk.redact)
        links = dict(words.links)
        return {
            "version": VERSION,
            "id": header(notice.identity),
            "purpose": notice.purpose,
            "thread": notice.thread,
            "incident": notice.incident_id,
            "to": address,
            "severity": notice.severity,
            "subject": words.subject,
            "body": words.body,
            "short": words.short,
            "url": links.get("Open", ""),
            "acknowledge_url": links.get("Acknowledge", ""),
            "acknowledgeable": notice.acknowledgeable,
            "facts": dict(words.facts),
        }


def signature(secret: str, key: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 in hexadecimal over `<id>.<timestamp>.<body>`."""
    return hmac.new(secret.encode(), f"{key}.{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


def header(key: str) -> str:
    """The message's key as a header can carry it."""
    if key.isascii() and key.isprintable() and len(key) <= ID:
        return key
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


def _hint(answer: Answer) -> str:
    return (
        "the receiver is gone for good: take it out of tocsin.yaml, or give its new address"
        if answer.status == 410
        else ""
    )
