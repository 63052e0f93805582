"""Signatures as products make them: which are let in, which are not, and what the sender is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.incoming import HmacStyle, Incoming
from bot.entry.arrivals import SourceEntry
from bot.entry.auth_hmac import SignedAs
from bot.entry.problems import Refused
from tests.entry.webhook_fakes import NOW, Intake, Saying, serving

BODY = '{"event": {"id": "1", "title": "ü"}}'.encode()
NEW, OLD = "the-secret-of-today", "the-secret-of-yesterday"
AT = str(int(NOW.timestamp()))

GITHUB = HmacStyle(header="x-hub-signature-256", prefix="sha256=")
PAGERDUTY = HmacStyle(header="x-pagerduty-signature", prefix="v1=", separator=",")
PLAIN = HmacStyle(header="sentry-hook-signature")
OLDER = HmacStyle(header="x-hub-signature", prefix="sha1=", algorithm="sha1")
LONG = HmacStyle(header="x-sig", encoding="base64", algorithm="sha512")
TIMED = HmacStyle(header="x-sig", signed="{timestamp}.{body}", timestamp_header="x-time")
STANDARD = HmacStyle(
    header="webhook-signature",
    prefix="v1,",
    encoding="base64",
    separator=" ",
    signed="{id}.{timestamp}.{body}",
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    secret_prefix="whsec_",
)


def digest(signed: bytes, secret: str | bytes = NEW, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode() if isinstance(secret, str) else secret, signed, algorithm).digest()


def coded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


HEX = digest(BODY).hex()
GOOD: list[tuple[str, HmacStyle, dict[str, str]]] = [
    ("a prefix", GITHUB, {"x-hub-signature-256": f"sha256={HEX}"}),
    ("capital letters", GITHUB, {"x-hub-signature-256": f"sha256={HEX.upper()}"}),
    ("the older secret", GITHUB, {"x-hub-signature-256": f"sha256={digest(BODY, OLD).hex()}"}),
    ("nothing but the digest", PLAIN, {"sentry-hook-signature": HEX}),
    ("one of several", PAGERDUTY, {"x-pagerduty-signature": f"v1={'0' * 64},v1={HEX}"}),
    ("one of another version beside it", PAGERDUTY, {"x-pagerduty-signature": f"v0=what, v1={HEX}"}),
    ("SHA-1", OLDER, {"x-hub-signature": f"sha1={digest(BODY, algorithm='sha1').hex()}"}),
    ("SHA-512 in base64", LONG, {"x-sig": coded(digest(BODY, algorithm="sha512"))}),
    ("a time", TIMED, {"x-sig": digest(f"{AT}.".encode() + BODY).hex(), "x-time": AT}),
    ("a time in ms", TIMED, {"x-sig": digest(f"{AT}000.".encode() + BODY).hex(), "x-time": f"{AT}000"}),
    (
        "an id",
        STANDARD,
        {
            "webhook-signature": f"v1,{coded(b'0' * 32)} v1,{coded(digest(f'm1.{AT}.'.encode() + BODY))}",
            "webhook-timestamp": AT,
            "webhook-id": "m1",
        },
    ),
]


@pytest.mark.parametrize(("style", "headers"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
async def test_a_body_is_let_in_that_is_signed_with(style: HmacStyle, headers: dict[str, str]) -> None:
    auth = SignedAs(style, (NEW, OLD))
    incoming = Incoming(BODY, headers)
    assert auth.admit(replace(incoming, body=b""), NOW).headers == headers
    assert await auth.check(incoming, NOW) is None  # not once only: products send the same again


FORGED: list[tuple[str, HmacStyle, dict[str, str], str]] = [
    ("no header", GITHUB, {}, "the x-hub-signature-256 header is missing"),
    ("another header", GITHUB, {"x-hub-signature": f"sha256={HEX}"}, "the x-hub-signature-256 header is missing"),
    ("an empty header", GITHUB, {"x-hub-signature-256": ""}, "the x-hub-signature-256 header is missing"),
    ("no prefix", GITHUB, {"x-hub-signature-256": HEX}, "x-hub-signature-256 is not a signature"),
    ("another prefix", GITHUB, {"x-hub-signature-256": f"sha1={HEX}"}, "is not a signature"),
    ("half of it", GITHUB, {"x-hub-signature-256": f"sha256={HEX[:32]}"}, "is not a signature"),
    ("no hexadecimal digits", GITHUB, {"x-hub-signature-256": "sha256=" + "z" * 64}, "is not a signature"),
    ("odd digits", GITHUB, {"x-hub-signature-256": "sha256=" + "\u0664" * 64}, "is not a signature"),
    ("bytes that are no text", PLAIN, {"sentry-hook-signature": "\udcff\ud800"}, "is not a signature"),
    ("no base64", LONG, {"x-sig": "%%%"}, "is not a signature"),
    ("an endless header", PAGERDUTY, {"x-pagerduty-signature": "v1=," * 100_000}, "is not a signature"),
    ("too many", PAGERDUTY, {"x-pagerduty-signature": "v1=00," * 20 + f"v1={HEX}"}, "is not a signature"),
    ("another secret", PAGERDUTY, {"x-pagerduty-signature": f"v1={digest(BODY, 'guess').hex()}"}, "does not fit the body"),
    ("another body", PLAIN, {"sentry-hook-signature": digest(b"{}").hex()}, "does not fit the body"),
    ("an empty secret", PLAIN, {"sentry-hook-signature": digest(BODY, "").hex()}, "does not fit the body"),
    ("no time", TIMED, {"x-sig": HEX}, "the x-time header is missing"),
    ("an odd time", TIMED, {"x-sig": HEX, "x-time": "noon"}, "x-time is not a time"),
    ("a time beyond all", TIMED, {"x-sig": HEX, "x-time": "9" * 15}, "x-time is not a time"),
    ("a time far away", TIMED, {"x-sig": HEX, "x-time": "99999999999999"}, "s away from now"),
    ("another time", TIMED, {"x-sig": digest(b"1." + BODY).hex(), "x-time": AT}, "does not fit the body"),
    ("an old time", TIMED, {"x-sig": HEX, "x-time": str(int(AT) - 301)}, "the timestamp is 301 s away"),
    ("no id", STANDARD, {"webhook-signature": f"v1,{coded(digest(BODY))}", "webhook-timestamp": AT}, "webhook-id header"),
]  # fmt: skip


@pytest.mark.parametrize(("style", "headers", "error"), [case[1:] for case in FORGED], ids=[case[0] for case in FORGED])
async def test_a_body_is_refused_that_has(style: HmacStyle, headers: dict[str, str], error: str) -> None:
    with pytest.raises(Refused) as refused:
        await judged(SignedAs(style, (NEW, OLD)), headers)
    assert (refused.value.status, "WWW-Authenticate" in refused.value.headers) == (401, True)
    assert error in refused.value.error
    assert not [secret for secret in (NEW, OLD) if secret in refused.value.error + refused.value.hint]


async def judged(auth: SignedAs, headers: dict[str, str]) -> None:
    auth.admit(Incoming(b"", headers), NOW)
    await auth.check(Incoming(BODY, headers), NOW)


async def test_a_secret_with_a_prefix_is_the_base64_behind_it() -> None:
    auth = SignedAs(STANDARD, ("whsec_" + coded(b"raw bytes \xff"),))
    signature = coded(digest(f"m1.{AT}.".encode() + BODY, b"raw bytes \xff"))
    headers = {"webhook-signature": f"v1,{signature}", "webhook-timestamp": AT, "webhook-id": "m1"}
    assert await auth.check(Incoming(BODY, headers), NOW) is None


async def test_what_the_body_says_of_a_place_is_not_filled_in() -> None:
    body = b'{"a": "{timestamp} {body}"}'
    headers = {"x-sig": digest(f"{AT}.".encode() + body).hex(), "x-time": AT}
    assert await SignedAs(TIMED, (NEW,)).check(Incoming(body, headers), NOW) is None


async def test_a_signature_of_a_product_may_be_as_old_as_the_tolerance_says() -> None:
    auth = SignedAs(TIMED, (NEW,), timedelta(minutes=20))
    headers = {"x-sig": HEX, "x-time": str(int(AT) - 1200)}
    assert auth.admit(Incoming(b"", headers), NOW)
    with pytest.raises(Refused):
        auth.admit(Incoming(b"", headers), NOW + timedelta(seconds=1))


async def test_the_same_delivery_of_a_product_may_come_again() -> None:
    source = SourceEntry("pagerduty", Saying(), None, SignedAs(PAGERDUTY, (NEW,)))
    headers = {"X-PagerDuty-Signature": f"v1={hmac.new(NEW.encode(), BODY, hashlib.sha256).hexdigest()}"}
    async with serving(Intake(), source) as client:
        statuses = [(await client.post("/webhooks/pagerduty", data=BODY, headers=headers)).status for _ in range(2)]
        changed = await client.post("/webhooks/pagerduty", data=BODY + b" ", headers=headers)
    assert (statuses, changed.status) == ([200, 200], 401)
