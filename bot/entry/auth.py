"""Who may send: bearer tokens and signed bodies. Used by entry/webhooks and entry/api; without either, nobody may.

A check has two halves, so that a stranger's body is never read: `admit` looks at the headers, `check` at the whole body.
"""

from __future__ import annotations

import hashlib
import hmac
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bot.domain.alert import OnceOnly
from bot.entry.problems import Refused

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tocsin"'}


class Auth(Protocol):
    """Raises Refused. `check` returns what makes the delivery good once, if anything does: intake remembers it together with the alerts."""

    def admit(self, headers: Mapping[str, str], now: datetime) -> None: ...
    def check(self, headers: Mapping[str, str], body: bytes, now: datetime) -> OnceOnly | None: ...


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nothing is configured, so nobody may. `setting` names what to set."""

    setting: str = "token"

    def admit(self, headers: Mapping[str, str], now: datetime) -> None:
        raise Refused(
            403, "nothing is configured that could let a sender in here", f"set `{self.setting}` in tocsin.yaml"
        )

    def check(self, headers: Mapping[str, str], body: bytes, now: datetime) -> OnceOnly | None:
        raise AssertionError("admit refuses everybody")


class Bearer:
    """`Authorization: Bearer <token>`. Several tokens may be valid at a time, so that they can be changed without a gap."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = tuple(_digest(token) for token in tokens)
        if not self._digests or _digest("") in self._digests:
            raise ValueError("a bearer token must not be empty")

    def admit(self, headers: Mapping[str, str], now: datetime) -> None:
        given = headers.get("Authorization", "")
        scheme, _, token = given.partition(" ")
        if not given:
            raise Refused(401, "the Authorization header is missing", "send `Authorization: Bearer <token>`", CHALLENGE)
        if scheme.lower() != "bearer":
            raise Refused(
                401,
                "the Authorization header is not of the Bearer scheme",
                "send `Authorization: Bearer <token>`",
                CHALLENGE,
            )
        digest = _digest(token.strip())
        if not any(hmac.compare_digest(digest, one) for one in self._digests):
            raise Refused(
                401, "the bearer token is wrong", "compare it with the one that tocsin.yaml refers to", CHALLENGE
            )

    def check(self, headers: Mapping[str, str], body: bytes, now: datetime) -> OnceOnly | None:
        return None


@dataclass(slots=True)
class Signed:
    """HMAC-SHA256 in hex over `v0:{timestamp}:{body}`, as Slack signs: `X-Tocsin-Signature: v0=…`, `X-Tocsin-Timestamp: <epoch seconds>`.

    The body is signed as it is before any Content-Encoding. A signature is good once, and only near its time.
    """

    secrets: tuple[str, ...]
    tolerance: timedelta = timedelta(minutes=5)
    signature_header: str = "X-Tocsin-Signature"
    timestamp_header: str = "X-Tocsin-Timestamp"

    def __post_init__(self) -> None:
        if not self.secrets or not all(self.secrets):
            raise ValueError("a signing secret must not be empty")

    def admit(self, headers: Mapping[str, str], now: datetime) -> None:
        self._given(headers, now)

    def check(self, headers: Mapping[str, str], body: bytes, now: datetime) -> OnceOnly | None:
        signature, timestamp, at = self._given(headers, now)
        signed = b"v0:" + timestamp.encode() + b":" + body
        expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in self.secrets]
        if not any(hmac.compare_digest(signature, one) for one in expected):
            raise self._refused(
                "the signature does not fit the body",
                "sign `v0:{timestamp}:{body}` with the secret that tocsin.yaml refers to",
            )
        return OnceOnly(f"signature:{signature}", at + 2 * self.tolerance)

    def _given(self, headers: Mapping[str, str], now: datetime) -> tuple[str, str, datetime]:
        signature, timestamp = headers.get(self.signature_header, ""), headers.get(self.timestamp_header, "")
        for name, value in ((self.signature_header, signature), (self.timestamp_header, timestamp)):
            if not value:
                raise self._refused(
                    f"the {name} header is missing", "sign `v0:{timestamp}:{body}` and send both headers"
                )
        digest = signature.removeprefix("v0=")
        if digest == signature or len(digest) != 64 or not set(digest) <= set(string.hexdigits.lower()):
            raise self._refused(
                f"{self.signature_header} is not a signature", "send `v0=` and 64 lower-case hexadecimal digits"
            )
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
            raise self._refused(f"{self.timestamp_header} is not a time", "send whole seconds since 1970")
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(timestamp))
        if abs(now - at) > self.tolerance:
            most = int(self.tolerance.total_seconds())
            hint = f"sign anew with the time of sending; the clocks may differ by {most} s at most"
            raise self._refused(f"the timestamp is {int(abs((now - at).total_seconds()))} s away from now", hint)
        return digest, timestamp, at

    def _refused(self, error: str, hint: str) -> Refused:
        return Refused(
            401, error, hint, {"WWW-Authenticate": f'Signature realm="tocsin", headers="{self.signature_header}"'}
        )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
