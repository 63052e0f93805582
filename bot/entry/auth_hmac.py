"""Senders that sign the body with a shared secret: as Tocsin does itself, or as their product does. Used like the others in entry/auth."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.domain.alert import OnceOnly
from bot.domain.incoming import HmacStyle, Incoming
from bot.entry.problems import Refused

MOST_SIGNATURES = 10
LONGEST_SIGNATURE = 4_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"(\{body\}|\{timestamp\}|\{id\})")


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
        _not_empty(self.secrets)

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        self._given(head.headers, now)
        return head

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        signature, timestamp, at = self._given(incoming.headers, now)
        signed = b"v0:" + timestamp.encode() + b":" + incoming.body
        if not _fits([bytes.fromhex(signature)], [one.encode() for one in self.secrets], signed, "sha256"):
            raise self._refused(
                "the signature does not fit the body",
                "sign `v0:{timestamp}:{body}` with the secret that tocsin.yaml refers to",
            )
        return OnceOnly(f"signature:{signature}", at + 2 * self.tolerance)

    def _given(self, headers: Mapping[str, str], now: datetime) -> tuple[str, str, datetime]:
        names = (self.signature_header, self.timestamp_header)
        signature, timestamp = (headers.get(name.lower(), "") for name in names)
        for name, value in zip(names, (signature, timestamp), strict=True):
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
        at = EPOCH + timedelta(seconds=int(timestamp))
        if abs(now - at) > self.tolerance:
            raise self._refused(*_too_far(now, at, self.tolerance))
        return digest, timestamp, at

    def _refused(self, error: str, hint: str) -> Refused:
        return _refused(self.signature_header, error, hint)


@dataclass(slots=True)
class SignedAs:
    """As the product `style` signs. Products send the very same request again when an answer got lost, so a signature may come more than once."""

    style: HmacStyle
    secrets: tuple[str, ...]
    tolerance: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        _not_empty(self.secrets)

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        self._signatures(head.headers)
        self._timestamp(head.headers, now)
        self._id(head.headers)
        return head

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        headers = incoming.headers
        given, parts = self._signatures(headers), {"{body}": incoming.body}
        parts |= {"{timestamp}": self._timestamp(headers, now).encode(), "{id}": self._id(headers).encode()}
        signed = b"".join(parts.get(part, part.encode()) for part in _PLACE.split(self.style.signed))
        keys = [key_of(secret, self.style) for secret in self.secrets]
        if not _fits(given, keys, signed, self.style.algorithm):
            hint = "the secret that tocsin.yaml refers to must be the one that the sender was given"
            raise self._refused("the signature does not fit the body", hint)
        return None

    def _signatures(self, headers: Mapping[str, str]) -> list[bytes]:
        """All digests in the header; what is none of this style (`v0=` beside `v1=`) is left out."""
        style, given = self.style, headers.get(self.style.header, "")
        if not given:
            raise self._refused(f"the {style.header} header is missing", "set the signing secret on the sender's side")
        parts = given[:LONGEST_SIGNATURE].split(style.separator) if style.separator else [given]
        digests = [_read(part.strip(), style) for part in parts[:MOST_SIGNATURES]]
        found = [digest for digest in digests if digest]
        if not found:
            shape = f"{style.prefix}<{style.algorithm} in {style.encoding}>"
            raise self._refused(f"{style.header} is not a signature", f"it must be like {shape}")
        return found

    def _timestamp(self, headers: Mapping[str, str], now: datetime) -> str:
        """As it was sent, which is how it was signed. Seconds or milliseconds since 1970."""
        name = self.style.timestamp_header
        if not name:
            return ""
        timestamp = headers.get(name, "")
        if not timestamp:
            raise self._refused(f"the {name} header is missing", "it belongs to the signature")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 14):
            raise self._refused(f"{name} is not a time", "expected whole seconds since 1970")
        at = EPOCH + timedelta(seconds=int(timestamp) / (1000 if len(timestamp) > 11 else 1))
        if abs(now - at) > self.tolerance:
            raise self._refused(*_too_far(now, at, self.tolerance))
        return timestamp

    def _id(self, headers: Mapping[str, str]) -> str:
        name = self.style.id_header
        if name and not headers.get(name):
            raise self._refused(f"the {name} header is missing", "it belongs to the signature")
        return headers[name] if name else ""

    def _refused(self, error: str, hint: str) -> Refused:
        return _refused(self.style.header, error, hint)


def key_of(secret: str, style: HmacStyle) -> bytes:
    """What a product signs with, of the secret that it shows to people. Raises ValueError when that is not base64 behind its prefix."""
    if not style.secret_prefix or not secret.startswith(style.secret_prefix):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(style.secret_prefix).encode("ascii"), validate=True)


def _fits(given: Iterable[bytes], keys: Iterable[bytes], signed: bytes, algorithm: str) -> bool:
    """Whether any of the digests is that of `signed` by any of the keys; all are compared, whichever it is."""
    expected = [hmac.new(key, signed, algorithm).digest() for key in keys]
    fits = [hmac.compare_digest(one, right) for one in given for right in expected]
    return any(fits)


def _read(text: str, style: HmacStyle) -> bytes:
    """One digest; empty when it is none."""
    if not text.startswith(style.prefix) or not text.isascii():
        return b""
    text = text.removeprefix(style.prefix)
    try:
        digest = bytes.fromhex(text) if style.encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
    return digest if len(digest) == hashlib.new(style.algorithm).digest_size else b""


def _not_empty(secrets: tuple[str, ...]) -> None:
    if not secrets or not all(secrets):
        raise ValueError("a signing secret must not be empty")


def _too_far(now: datetime, at: datetime, tolerance: timedelta) -> tuple[str, str]:
    most = int(tolerance.total_seconds())
    hint = f"sign anew with the time of sending; the clocks may differ by {most} s at most"
    return f"the timestamp is {int(abs((now - at).total_seconds()))} s away from now", hint


def _refused(header: str, error: str, hint: str) -> Refused:
    return Refused(401, error, hint, {"WWW-Authenticate": f'Signature realm="tocsin", headers="{header}"'})
