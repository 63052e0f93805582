"""Signed webhooks: good once, near their time, and for one body only."""

from __future__ import annotations

import json

import pytest

from bot.errors import TryLater
from tests.entry.webhook_fakes import NOW, SECRET, Intake, serving, signature

FIRING = b'{"alerts": [{"status": "firing", "labels": {"alertname": "A"}}]}'


async def test_a_signed_body_is_accepted_once() -> None:
    intake = Intake()
    async with serving(intake) as client:
        headers = signature(FIRING)
        first = await client.post("/webhooks/signed", data=FIRING, headers=headers)
        second = await client.post("/webhooks/signed", data=FIRING, headers=headers)
        told = await second.json()
    assert (first.status, second.status, len(intake.alerts)) == (200, 409, 1)
    assert told["error"] == "this signed request was received before"


async def test_a_body_signed_with_the_older_secret_is_accepted() -> None:
    async with serving(Intake()) as client:
        response = await client.post(
            "/webhooks/signed", data=FIRING, headers=signature(FIRING, secret="an-older-secret")
        )
        assert response.status == 200


async def test_a_used_signature_is_remembered_until_its_time_is_over() -> None:
    intake = Intake()
    async with serving(intake) as client:
        await client.post("/webhooks/signed", data=FIRING, headers=signature(FIRING))
    (until,) = intake.used.values()
    assert (until - NOW).total_seconds() == 600


async def test_a_signed_request_that_failed_may_be_sent_again_as_it_is() -> None:
    intake = Intake(fails=TryLater("database is locked"))
    async with serving(intake) as client:
        headers = signature(FIRING)
        first = await client.post("/webhooks/signed", data=FIRING, headers=headers)
        intake.fails = None
        second = await client.post("/webhooks/signed", data=FIRING, headers=headers)
        third = await client.post("/webhooks/signed", data=FIRING, headers=headers)
    assert (first.status, second.status, third.status) == (503, 200, 409)


FORGED: list[tuple[str, dict[str, str], str]] = [
    ("no headers", {}, "X-Tocsin-Signature header is missing"),
    ("no timestamp", {"X-Tocsin-Signature": "v0=" + "0" * 64}, "X-Tocsin-Timestamp header is missing"),
    ("another body", signature(b"{}"), "does not fit the body"),
    ("another secret", signature(FIRING, secret="guess"), "does not fit the body"),
    (
        "another time",
        {**signature(FIRING), "X-Tocsin-Timestamp": str(int(NOW.timestamp()) + 1)},
        "does not fit the body",
    ),
    ("another version", {**signature(FIRING), "X-Tocsin-Signature": "v1=" + "0" * 64}, "is not a signature"),
    ("a short signature", {**signature(FIRING), "X-Tocsin-Signature": "v0=00"}, "is not a signature"),
    ("odd digits", {**signature(FIRING), "X-Tocsin-Signature": "v0=" + "\u0664" * 64}, "is not a signature"),
    ("odd time", {**signature(FIRING), "X-Tocsin-Timestamp": "now"}, "is not a time"),
    ("negative time", {**signature(FIRING), "X-Tocsin-Timestamp": "-1"}, "is not a time"),
    ("endless time", {**signature(FIRING), "X-Tocsin-Timestamp": "9" * 400}, "is not a time"),
    ("an hour ago", signature(FIRING, NOW.replace(hour=11)), "the timestamp is 3600 s away"),
    ("in an hour", signature(FIRING, NOW.replace(hour=13)), "the timestamp is 3600 s away"),
]


@pytest.mark.parametrize(
    ("headers", "error"), [(headers, error) for _, headers, error in FORGED], ids=[name for name, _, _ in FORGED]
)
async def test_a_request_that_is_not_signed_right_is_refused(headers: dict[str, str], error: str) -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post("/webhooks/signed", data=FIRING, headers=headers)
        told = await response.json()
    assert response.status == 401
    assert "WWW-Authenticate" in response.headers
    assert error in told["error"]
    assert (intake.calls, intake.used) == (0, {})
    assert SECRET not in json.dumps(told)
