"""Amazon SNS: its signatures, over certificates that are fetched from AWS and nowhere else. Used like the others in entry/auth.

A message is let in when its topic is one of those configured, its certificate comes over https from `sns.<region>.amazonaws.com`, is valid now, and
its signature fits. SNS sends a message that was not answered again as it was, so it may come more than once.
Source: https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bot.clients.http import Http, place
from bot.domain.alert import OnceOnly
from bot.domain.incoming import Incoming
from bot.entry.problems import Refused
from bot.errors import BadInput
from bot.plugins import payload

Fetch = Callable[[str], Awaitable[bytes]]
"""The body at an address, by GET, bounded in size and time. Raises BadInput and TryLater."""

# An endpoint is tried again for an hour at most: https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html
OLDEST = timedelta(minutes=65)
MOST_CERTIFICATES = 20
MOST_BYTES = 65_536
FETCH_SECONDS = 5.0
LONGEST_ADDRESS = 2_000
HEADERS = {"WWW-Authenticate": 'Signature realm="tocsin"'}
_HOST = re.compile(r"sns\.[a-z]{2}(-[a-z]{1,12}){1,3}-\d{1,2}\.amazonaws\.com(\.cn)?\Z")
_HASHES: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}


def fetching(http: Http) -> Fetch:
    """Fetches by the program's own HTTP client, within bounds, from the very address that was asked for."""

    async def fetch(address: str) -> bytes:
        reply = await http.ask("GET", address, answer_within=FETCH_SECONDS, most_bytes=MOST_BYTES)
        if reply.url != address:
            raise BadInput(f"{place(address)} redirects, which is not followed")
        return reply.body

    return fetch


class Sns:
    """`topics` are ARNs. Certificates are remembered, and fetched one at a time, so that a stranger cannot make us ask AWS much."""

    def __init__(self, topics: Collection[str], fetch: Fetch) -> None:
        if not topics or not all(topics):
            raise ValueError("a topic must not be empty")
        self._topics = frozenset(topics)
        self._fetch = fetch
        self._certificates: dict[str, x509.Certificate] = {}
        self._fetching = asyncio.Lock()

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        """What its headers say is only a first look: they are not signed."""
        if head.headers.get("x-amz-sns-rawdelivery", "").lower() == "true":
            hint = "turn off raw message delivery for this subscription"
            raise Refused(401, "the message is raw, so it is not signed", hint, HEADERS)
        topic = head.headers.get("x-amz-sns-topic-arn")
        if topic is not None:
            self._known(topic)
        return head

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        message = payload.load(incoming.body)
        if not isinstance(message, dict):
            raise BadInput(f"body: {payload.found(message)}; expected a message as Amazon SNS sends it")
        self._known(_text(message, "TopicArn"))
        signed, signature, digest = _signed(message)
        _near(_text(message, "Timestamp"), now)
        certificate = await self._certificate(_text(message, "SigningCertURL"))
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            dates = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
            raise _refused(f"the certificate is not valid now ({dates})", "look at the clock of this machine")
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            raise _refused("the certificate has no RSA key", "Amazon SNS signs with RSA")
        try:
            key.verify(signature, signed, padding.PKCS1v15(), digest)
        except (InvalidSignature, UnsupportedAlgorithm) as error:
            raise _refused(
                "the signature does not fit the message", "nothing between SNS and Tocsin may change it"
            ) from error
        return None

    def _known(self, topic: str) -> None:
        if topic not in self._topics:
            raise _refused(
                "the topic is not one that may send here", "add its ARN to `sns.topics` of the source in tocsin.yaml"
            )

    async def _certificate(self, address: str) -> x509.Certificate:
        parts = urlsplit(address) if of_sns(address) else None
        if parts is None or not parts.path.endswith(".pem") or parts.query:
            raise _refused(
                "SigningCertURL is not an address of Amazon SNS",
                "only https://sns.<region>.amazonaws.com/….pem is trusted",
            )
        if address in self._certificates:  # never behind those that wait for one
            return self._certificates[address]
        async with self._fetching:
            if address not in self._certificates:
                try:
                    certificate = x509.load_pem_x509_certificate(await self._fetch(address))
                except (BadInput, ValueError) as error:
                    raise _refused(
                        "there is no certificate at SigningCertURL", "the message is not from Amazon SNS"
                    ) from error
                if len(self._certificates) >= MOST_CERTIFICATES:
                    self._certificates.pop(next(iter(self._certificates)))
                self._certificates[address] = certificate
            return self._certificates[address]


def of_sns(address: str) -> bool:
    """Whether an address is one of SNS itself: https, its host, and neither a port nor a user."""
    if len(address) > LONGEST_ADDRESS or not address.isascii() or not address.isprintable() or "\\" in address:
        return False
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    plain = port is None and parts.netloc == parts.hostname and not parts.fragment
    return parts.scheme == "https" and plain and _HOST.match(parts.netloc) is not None


def _signed(message: Mapping[str, Any]) -> tuple[bytes, bytes, hashes.HashAlgorithm]:
    """What is signed, by what, and with which hash."""
    names = _SIGNED.get(_text(message, "Type"))
    if names is None:
        raise BadInput(
            f"Type: {payload.found(message.get('Type'))}; expected {', '.join(_SIGNED)}, as Amazon SNS sends it"
        )
    digest = _HASHES.get(_text(message, "SignatureVersion"))
    if digest is None:
        raise _refused("SignatureVersion is neither 1 nor 2", "set SignatureVersion of the topic to 2")
    present = [(name, message[name]) for name in names if message.get(name) is not None]
    lines = "".join(f"{name}\n{payload.text(value, most=1 << 20)}\n" for name, value in present)
    try:
        signature = base64.b64decode(_text(message, "Signature").encode("ascii"), validate=True)
        return lines.encode(), signature, digest
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _refused("Signature is not base64", "nothing between SNS and Tocsin may change the message") from error


def _near(timestamp: str, now: datetime) -> None:
    at = payload.time(timestamp)
    if at is None:
        raise _refused("Timestamp is not a time", "SNS sends it like 2026-01-05T09:00:00.000Z")
    if abs(now - at) > OLDEST:
        minutes = int(abs(now - at).total_seconds() // 60)
        raise _refused(
            f"the message is {minutes} minutes away from now",
            "SNS gives up after an hour; look at the clock of this machine",
        )


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    return str(value) if isinstance(value, str) else ""


def _refused(error: str, hint: str) -> Refused:
    return Refused(401, error, hint, HEADERS)
