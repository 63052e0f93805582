"""Amazon SNS: signed messages with a certificate made here, everything that can be wrong with them, and confirming a subscription."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from bot.clients.http import Http, Reply
from bot.domain.incoming import Incoming, Parsed
from bot.entry.arrivals import SourceEntry
from bot.entry.auth_sns import Sns, fetching, of_sns
from bot.entry.problems import Refused
from bot.errors import BadInput, TryLater
from tests.entry.webhook_fakes import NOW, Intake, Saying, serving

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
SUBSCRIBE = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336"
NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(days: tuple[int, int] = (-1, 1), curve: bool = False) -> bytes:
    """Valid from and to so many days from NOW."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    signing = ec.generate_private_key(ec.SECP256R1()) if curve else key()
    first, last = (NOW + timedelta(days=day) for day in days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing.public_key())
        .serial_number(1)
        .not_valid_before(first)
        .not_valid_after(last)
        .sign(signing, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def message(version: str = "2", **members: Any) -> dict[str, Any]:
    """A signed message; `members` are there before it is signed, those that are None are not."""
    whole: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Subject": "ALARM: ü",
        "Message": '{"AlarmName": "cpu",\n "NewStateValue": "ALARM"}',
        "Timestamp": NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
        **members,
    }
    whole = {name: value for name, value in whole.items() if value is not None}
    names = NOTIFICATION if whole["Type"] == "Notification" else CONFIRMATION
    signed = "".join(f"{name}\n{whole[name]}\n" for name in names if name in whole)
    digest = hashes.SHA1() if version == "1" else hashes.SHA256()
    signature = key().sign(signed.encode(), padding.PKCS1v15(), digest)
    return {**whole, "Signature": base64.b64encode(signature).decode()}


def confirmation(**members: Any) -> dict[str, Any]:
    kind = {"Type": "SubscriptionConfirmation", "Subject": None, "Token": "2336", "SubscribeURL": SUBSCRIBE}
    return message(**{**kind, **members})


class Aws:
    """Gives what is at an address, and remembers what was asked for."""

    def __init__(self, answer: bytes | Exception | None = None) -> None:
        self.answer = certificate() if answer is None else answer
        self.asked: list[str] = []

    async def __call__(self, address: str) -> bytes:
        self.asked.append(address)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def judged(whole: dict[str, Any], aws: Aws | None = None, now: datetime = NOW) -> None:
    auth = Sns([TOPIC], aws or Aws())
    headers = {"x-amz-sns-topic-arn": TOPIC, "x-amz-sns-message-type": str(whole.get("Type"))}
    auth.admit(Incoming(b"", headers), now)
    assert await auth.check(Incoming(json.dumps(whole).encode(), headers), now) is None


RIGHT = {
    "version 1": lambda: message("1"),
    "version 2": lambda: message("2"),
    "no subject": lambda: message(Subject=None),
    "a subscription": lambda: confirmation(),
    "an unsubscription": lambda: confirmation(Type="UnsubscribeConfirmation"),
    "an hour ago": lambda: message(Timestamp="2026-11-21T11:00:00.000Z"),
    "what is not signed": lambda: {**message(), "Odd": 1},
}


@pytest.mark.parametrize("name", RIGHT)
async def test_a_message_of_amazon_is_let_in(name: str) -> None:
    await judged(RIGHT[name]())


WRONG: dict[str, tuple[Any, str]] = {
    "another topic": (
        lambda: message(TopicArn="arn:aws:sns:eu-west-1:999999999999:alarms"),
        "the topic is not one that may send here",
    ),
    "no topic": (lambda: message(TopicArn=None), "the topic is not one that may send here"),
    "a topic of another type": (lambda: {**message(), "TopicArn": [TOPIC]}, "the topic is not one that may send here"),
    "another text": (lambda: {**message(), "Message": "{}"}, "the signature does not fit the message"),
    "another subject": (lambda: {**message(), "Subject": "OK"}, "the signature does not fit the message"),
    "a subject that was put in": (lambda: {**message(Subject=None), "Subject": "x"}, "the signature does not fit"),
    "another subscription": (lambda: {**confirmation(), "SubscribeURL": SUBSCRIBE + "x"}, "the signature does not fit"),
    "the hash of the other version": (lambda: {**message("1"), "SignatureVersion": "2"}, "the signature does not fit"),
    "a third version": (lambda: message("3"), "SignatureVersion is neither 1 nor 2"),
    "no signature": (lambda: {**message(), "Signature": ""}, "the signature does not fit the message"),
    "no base64": (lambda: {**message(), "Signature": "ü%"}, "Signature is not base64"),
    "an old message": (
        lambda: message(Timestamp="2026-11-21T10:54:00.000Z"),
        "the message is 66 minutes away from now",
    ),
    "a message from the future": (lambda: message(Timestamp="2026-11-21T14:00:00.000Z"), "120 minutes away from now"),
    "no time": (lambda: message(Timestamp="noon"), "Timestamp is not a time"),
    "a foreign certificate": (
        lambda: message(SigningCertURL="https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"),
        "SigningCertURL is not an address of Amazon SNS",
    ),
    "a certificate that is no .pem": (
        lambda: message(SigningCertURL="https://sns.eu-west-1.amazonaws.com/?Action=x.pem"),
        "SigningCertURL is not an address of Amazon SNS",
    ),
    "no certificate": (lambda: message(SigningCertURL=None), "SigningCertURL is not an address of Amazon SNS"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_message_is_refused_that_has(name: str) -> None:
    make, error = WRONG[name]
    aws = Aws()
    with pytest.raises(Refused) as refused:
        await judged(make(), aws)
    assert refused.value.status == 401
    assert error in refused.value.error
    assert set(aws.asked) <= {CERTIFICATE}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (certificate((-30, -1)), "the certificate is not valid now (2026-10-22 to 2026-11-20)"),
        (certificate((1, 30)), "the certificate is not valid now"),
        (certificate(curve=True), "the certificate has no RSA key"),
        (b"<html>", "there is no certificate at SigningCertURL"),
        (BadInput("answered 404"), "there is no certificate at SigningCertURL"),
    ],
)
async def test_a_certificate_has_to_be_one_and_valid(answer: Any, error: str) -> None:
    with pytest.raises(Refused) as refused:
        await judged(message(), Aws(answer))
    assert error in refused.value.error


async def test_a_certificate_is_fetched_once_and_judged_each_time() -> None:
    aws = Aws()
    auth = Sns([TOPIC], aws)
    body = Incoming(json.dumps(message()).encode())
    for _ in range(3):
        await auth.check(body, NOW)
    assert aws.asked == [CERTIFICATE]
    later = NOW + timedelta(days=2)
    fresh = message(Timestamp=later.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    with pytest.raises(Refused, match="not valid now"):
        await auth.check(Incoming(json.dumps(fresh).encode()), later)


async def test_no_more_than_a_few_certificates_are_remembered() -> None:
    aws = Aws()
    auth = Sns([TOPIC], aws)
    for number in range(30):
        address = CERTIFICATE.replace("abcdef", f"{number:06}")
        await auth.check(Incoming(json.dumps(message(SigningCertURL=address)).encode()), NOW)
    assert len(auth._certificates) == 20


async def test_the_sender_comes_again_when_the_certificate_cannot_be_fetched() -> None:
    with pytest.raises(TryLater):
        await judged(message(), Aws(TryLater("cannot connect")))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 20_000, b'{"TopicArn": 1}', b"\xff"])
async def test_a_body_that_is_no_message_is_refused(body: bytes) -> None:
    aws = Aws()
    with pytest.raises((Refused, BadInput)):
        await Sns([TOPIC], aws).check(Incoming(body), NOW)
    assert aws.asked == []


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({"x-amz-sns-topic-arn": "arn:aws:sns:eu-west-1:1:x"}, "the topic is not one that may send here"),
        ({"x-amz-sns-rawdelivery": "true"}, "the message is raw, so it is not signed"),
    ],
)
async def test_a_stranger_is_refused_before_the_body_is_read(headers: dict[str, str], error: str) -> None:
    with pytest.raises(Refused, match=error):
        Sns([TOPIC], Aws()).admit(Incoming(b"", headers), NOW)


ADDRESSES = [
    ("https://sns.eu-west-1.amazonaws.com/x.pem", True),
    ("https://sns.us-gov-west-1.amazonaws.com/?Action=ConfirmSubscription", True),
    ("https://sns.cn-north-1.amazonaws.com.cn/x.pem", True),
    ("http://sns.eu-west-1.amazonaws.com/x.pem", False),
    ("https://sns.eu-west-1.amazonaws.com:8443/x.pem", False),
    ("https://user@sns.eu-west-1.amazonaws.com/x.pem", False),
    ("https://sns.eu-west-1.amazonaws.com@evil.example/x.pem", False),
    ("https://evil.example/sns.eu-west-1.amazonaws.com/x.pem", False),
    ("https://sns.eu-west-1.amazonaws.com.evil.example/x.pem", False),
    ("https://sns.evil.example.amazonaws.com/x.pem", False),
    ("https://evil.sns.eu-west-1.amazonaws.com/x.pem", False),
    ("https://s3.eu-west-1.amazonaws.com/x.pem", False),
    ("https://sns.eu-west-1.amazonaws.com\\@evil.example/x.pem", False),
    ("https://sns.eu-west-1.amazonaws.com\n.evil.example/x.pem", False),
    ("https://sns.eu-west-1.amazonaws.com/x.pem#.evil", False),
    ("https://SNS.eu-west-1.amazonaws.com/x.pem", False),
    ("https://[::1/x.pem", False),
    ("https://sns.eu-west-1.amazonaws.com:x/", False),
    ("", False),
    ("https://sns.eu-west-1.amazonaws.com/" + "x" * 3_000, False),
]


@pytest.mark.parametrize(("address", "right"), ADDRESSES)
def test_only_addresses_of_sns_itself_are_asked(address: str, right: bool) -> None:
    assert of_sns(address) == right


class Web:
    """Stands where the HTTP client stands: answers with where it ended up."""

    def __init__(self, ends_at: str) -> None:
        self.ends_at = ends_at
        self.bounds: dict[str, Any] = {}

    async def ask(self, method: str, url: str, **options: Any) -> Reply:
        self.bounds = options
        return Reply(method, self.ends_at or url, 200, {}, b"what is there")


async def test_what_is_fetched_is_bounded_and_from_where_it_was_asked_for() -> None:
    straight = Web("")
    assert await fetching(cast(Http, straight))(CERTIFICATE) == b"what is there"
    assert straight.bounds == {"answer_within": 5.0, "most_bytes": 65_536}
    with pytest.raises(BadInput, match="redirects, which is not followed"):
        await fetching(cast(Http, Web("https://sns.eu-west-1.amazonaws.com/other")))(CERTIFICATE)


CONFIRMS = Parsed(confirm=SUBSCRIBE)


@pytest.mark.parametrize(
    ("answer", "address", "status", "asked"),
    [
        (b"<ConfirmSubscriptionResponse/>", SUBSCRIBE, 200, [SUBSCRIBE]),
        (TryLater("cannot connect"), SUBSCRIBE, 503, [SUBSCRIBE]),
        (BadInput("answered 400"), SUBSCRIBE, 503, [SUBSCRIBE]),
        (b"", "https://evil.example/", 400, []),
    ],
)
async def test_a_subscription_is_confirmed_before_the_answer(
    answer: Any, address: str, status: int, asked: list[str]
) -> None:
    aws, confirm = Aws(), Aws(answer)
    source = SourceEntry("sns", Saying(Parsed(confirm=address)), None, Sns([TOPIC], aws))
    async with serving(Intake(), source, sinks={"confirm": confirm}) as client:
        response = await client.post("/webhooks/sns", json=confirmation())
    assert (response.status, confirm.asked) == (status, asked)


async def test_a_forged_subscription_is_not_confirmed() -> None:
    confirm = Aws(b"")
    source = SourceEntry("sns", Saying(CONFIRMS), None, Sns([TOPIC], Aws()))
    async with serving(Intake(), source, sinks={"confirm": confirm}) as client:
        response = await client.post("/webhooks/sns", json={**confirmation(), "Token": "forged"})
    assert (response.status, confirm.asked) == (401, [])


async def test_a_message_that_sns_sends_again_is_taken_again() -> None:
    source = SourceEntry("sns", Saying(), None, Sns([TOPIC], Aws()))
    async with serving(Intake(), source) as client:
        whole = message()
        statuses = [(await client.post("/webhooks/sns", json=whole)).status for _ in range(2)]
    assert statuses == [200, 200]


async def test_a_known_certificate_does_not_wait_for_one_that_a_stranger_made_us_ask_for() -> None:
    known, asked, go_on = Aws(), asyncio.Event(), asyncio.Event()

    async def fetch(address: str) -> bytes:
        if "slow" in address:
            asked.set()
            await go_on.wait()
        return await known(address)

    sns = Sns([TOPIC], fetch)
    whole = Incoming(json.dumps(message()).encode())
    await sns.check(whole, NOW)
    elsewhere = message(SigningCertURL=CERTIFICATE.replace("Simple", "slow"))
    stranger = asyncio.create_task(sns.check(Incoming(json.dumps(elsewhere).encode()), NOW))
    await asyncio.wait_for(asked.wait(), 5)
    async with asyncio.timeout(5):
        await sns.check(whole, NOW)
    go_on.set()
    await stranger
