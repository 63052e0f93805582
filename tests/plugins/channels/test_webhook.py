"""The signed webhook: what a receiver checks, several secrets while one is changed, gone for good."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from pydantic import ValidationError

from bot.errors import GaveUp
from bot.plugins.channels import webhook
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import Fault, Receiver, Request

NEW = "the-new-secret-0123456789"


def fits(request: Request, secret: str) -> bool:
    """As a receiver would do it, written from the documentation."""
    headers = request.headers
    signed = headers["X-Tocsin-Id"].encode() + b"." + headers["X-Tocsin-Timestamp"].encode() + b"." + request.body
    mine = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(mine, one) for one in headers["X-Tocsin-Signature"].split())


async def test_a_message_is_signed_with_its_id_and_the_time_of_the_attempt() -> None:
    async with house("webhook") as at:
        receipt = await at.send(address="ada")
    [request] = at.product.asked
    assert fits(request, Receiver.SECRET)
    assert not fits(request, NEW)
    assert request.headers["X-Tocsin-Id"] == receipt.provider_id == "page:7:1:ada:0"
    assert request.headers["X-Tocsin-Timestamp"] == str(int(at.clock().timestamp()))
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == {
        "version": 1,
        "id": "page:7:1:ada:0",
        "purpose": "page",
        "thread": "incident-7",
        "incident": 7,
        "to": "ada",
        "severity": "critical",
        "subject": "INC-7 Checkout fails (critical)",
        "body": "Checkout answers 500 in eu-1.\nSince 03:00.",
        "short": "INC-7: Checkout fails",
        "url": "https://slack.example/INC-7",
        "acknowledge_url": "https://tocsin.example/acknowledge/abc.def",
        "acknowledgeable": True,
        "facts": {"incident": "INC-7", "service": "checkout"},
    }
    assert receipt.delivered


async def test_a_signature_known_from_elsewhere_comes_out() -> None:
    """Computed with `printf '%s' 'id-1.1767225600.{}' | openssl dgst -sha256 -hmac 0123456789abcdef`."""
    digest = hmac.new(b"0123456789abcdef", b"id-1.1767225600.{}", "sha256").hexdigest()
    assert webhook.signature("0123456789abcdef", "id-1", "1767225600", b"{}") == digest


async def test_while_a_secret_is_changed_both_fit() -> None:
    async with house("webhook", secrets=[NEW, Receiver.SECRET]) as at:
        await at.send()
    [request] = at.product.asked
    assert fits(request, NEW)
    assert fits(request, Receiver.SECRET)


async def test_the_same_message_later_has_the_same_id_and_body_and_a_new_time() -> None:
    async with house("webhook") as at:
        await at.send()
        at.clock.forward(minutes=3)
        await at.send(again=True)
    first, second = at.product.asked
    assert (first.headers["X-Tocsin-Id"], first.body) == (second.headers["X-Tocsin-Id"], second.body)
    assert int(second.headers["X-Tocsin-Timestamp"]) - int(first.headers["X-Tocsin-Timestamp"]) == 180
    assert fits(second, Receiver.SECRET)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_success(status: int) -> None:
    async with house("webhook") as at:
        at.product.faults = [Fault(status)]
        assert (await at.send()).answer == f"the receiver answered {status}"


async def test_gone_is_gone_for_good() -> None:
    async with house("webhook") as at:
        at.product.faults = [Fault(410)]
        with pytest.raises(GaveUp, match=r"answered 410; the receiver is gone for good: take it out of tocsin.yaml"):
            await at.send()


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "é", "k" * 1000, "\x00"])
async def test_a_key_that_no_header_can_carry_is_sent_as_its_hash(key: str) -> None:
    async with house("webhook") as at:
        await at.send(PAGE.model_copy(update={"key": key}))
    [request] = at.product.asked
    assert request.headers["X-Tocsin-Id"] == request.json["id"] == hashlib.sha256(key.encode()).hexdigest()
    assert "X-Evil" not in request.headers


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"secrets": []}, "at least 1"),
        ({"secrets": ["short"]}, "at least 16 characters"),
        ({"secrets": [f"{n}" * 20 for n in range(6)]}, "at most 5"),
        ({"url": "ftp://x"}, "http:// or https://"),
        ({"url": "https://me:hunter2@x.example/"}, "without user"),
        ({"verify": False}, "verify"),
    ],
)
def test_what_cannot_be_set_up_is_refused_without_showing_it(params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words) as raised:
        webhook.Params.model_validate({"url": "https://x.example/hook", "secrets": [NEW], **params})
    assert "hunter2" not in str(raised.value)
    assert "short" not in json.dumps(str(raised.value)).replace("too_short", "")
