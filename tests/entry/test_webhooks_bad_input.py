"""Whatever comes in: a clear 4xx or a sane acceptance, no stack trace, and nothing half-stored."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.entry.webhook_fakes import BEARER, NOW, Intake, serving

FIRING = b'{"alerts": [{"status": "firing", "labels": {"alertname": "A"}}]}'

BODIES: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "body: it is empty"),
    ("blanks", b" \n ", "body: it is empty"),
    ("broken JSON", b'{"alerts": [', "body: line 1, column 13"),
    ("two values", b"{} {}", "Extra data"),
    ("a raw line break in a text", b'{"alerts": "a\nb"}', "Invalid control character"),
    ("a list", b"[]", "body: found a list of 0; expected an object"),
    ("a text", b'"firing"', 'body: found the text "firing"'),
    ("a number", b"1e999", "body: found the number 1e999"),
    ("null", b"null", "body: found nothing"),
    ("no alerts", b'{"receiver": "x"}', "alerts: found nothing; expected a list of alerts. The body has receiver"),
    ("alerts of the wrong type", b'{"alerts": {"a": 1}}', "alerts: found an object with a; expected a list"),
    ("another version", b'{"version": "2", "data": []}', 'version: found "2", the nearest supported one is "4"'),
    ("an alert of the wrong type", b'{"alerts": [[]]}', "alerts[0]: found a list of 0; expected an object"),
    ("labels of the wrong type", b'{"alerts": [{"labels": []}]}', "alerts[0].labels: found a list of 0"),
    ("annotations of the wrong type", b'{"alerts": [{"annotations": 1}]}', "alerts[0].annotations: found the number 1"),
    (
        "an unknown status",
        b'{"alerts": [{"status": "alerting"}]}',
        'alerts[0].status: found the text "alerting"; expected "firing"',
    ),
    ("a status of the wrong type", b'{"alerts": [{"status": true}]}', "alerts[0].status: found true"),
    ("invalid UTF-8", b'{"alerts": "\xff"}', "body: byte 12 is not UTF-8 (0xff)"),
    ("UTF-16", '{"alerts": []}'.encode("utf-16"), "is not UTF-8"),
    ("deep lists", b"[" * 200_000, "nested too deeply"),
    ("deep objects", b'{"alerts":' * 50_000, "nested too deeply"),
    ("deep labels", b'{"alerts":[{"labels":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}", "nested too deeply"),
]


@pytest.mark.parametrize(
    ("body", "error"), [(body, error) for _, body, error in BODIES], ids=[name for name, _, _ in BODIES]
)
async def test_a_body_that_is_no_delivery_is_refused_with_the_place_and_what_was_expected(
    body: bytes, error: str
) -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post("/webhooks/alertmanager", data=body, headers=BEARER)
        told = await response.json()
    assert response.status == 400
    assert error in told["error"]
    assert told["hint"]
    assert "Traceback" not in json.dumps(told)
    assert intake.calls == 0


ODD_ALERTS: list[tuple[str, dict[str, Any]]] = [
    ("markup", {"labels": {"alertname": "A\n`rm -rf`", "x": "<!channel> <@U1> &amp; *b*"}}),
    ("10,000 characters", {"labels": {"alertname": "A" * 10_001}, "annotations": {"summary": "x" * 100_000}}),
    ("NUL and half surrogates", {"labels": {"alertname": "A\x00\ud800"}, "fingerprint": "f\x00"}),
    ("odd names", {"labels": {"": "empty", "a b": "1", "ünï": "2", "__proto__": "3", "a" * 5_000: "4"}}),
    ("1,000 labels", {"labels": {f"l{number}": "x" for number in range(1_000)}}),
    ("numbers and booleans", {"labels": {"alertname": 5, "a": True, "b": 1.5, "c": None, "d": [1], "e": {"f": 2}}}),
    ("an orphan resolve", {"status": "resolved", "labels": {"alertname": "A"}}),
    ("a clock ahead", {"labels": {"alertname": "A"}, "startsAt": "2099-01-01T00:00:00Z"}),
    ("no fields", {}),
    ("nulls", dict.fromkeys(["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"])),
    ("odd times", {"startsAt": "yesterday", "endsAt": -1, "labels": {}}),
    ("impossible times", {"startsAt": "0001-01-01T00:00:00+23:59", "endsAt": "9999-12-31T23:59:59-23:59"}),
]


@pytest.mark.parametrize("alert", [alert for _, alert in ODD_ALERTS], ids=[name for name, _ in ODD_ALERTS])
async def test_an_odd_alert_is_accepted_in_a_form_that_can_be_stored(alert: dict[str, Any]) -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post("/webhooks/alertmanager", json={"alerts": [alert]}, headers=BEARER)
        assert response.status == 200, await response.text()
    (accepted,) = intake.alerts
    texts = [*accepted.labels, *accepted.labels.values(), *accepted.annotations.values(), accepted.fingerprint]
    assert all(
        type(text) is str and "\x00" not in text and text.encode() and len(text) <= 10_000 for text in texts if text
    )
    assert accepted.fingerprint
    assert len(accepted.labels) <= 200
    assert accepted.starts_at <= NOW


async def test_a_large_body_is_refused_before_it_is_sent() -> None:
    async with serving(Intake()) as client:
        response = await client.post("/webhooks/alertmanager", data=io.BytesIO(b" " * 10_000_000), headers=BEARER)
        assert response.status == 413
        told = await response.json()
        assert "larger than 5242880 bytes" in told["error"]
        assert told["hint"].endswith("or raise server.max_body_bytes"), "the key as tocsin.yaml has it"


async def test_a_large_body_without_a_length_is_refused_while_it_arrives() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b" " * 65_536

    async with serving(Intake()) as client:
        response = await client.post("/webhooks/alertmanager", data=endless(), headers=BEARER)
        assert response.status == 413


def bomb() -> bytes:
    """200 MiB of blanks in about 199 KiB of gzip."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * 1024 * 1024) for _ in range(200)) + packer.flush()


async def test_a_gzip_bomb_is_refused_without_being_unpacked() -> None:
    async with serving(Intake()) as client:
        headers = {**BEARER, "Content-Encoding": "gzip"}
        async with asyncio.timeout(20):
            response = await client.post("/webhooks/alertmanager", data=bomb(), headers=headers)
        assert response.status == 413


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 400), ("deflate", 400), ("gzip, gzip", 415), ("lzma", 415)])
async def test_a_body_that_is_not_encoded_as_it_says_is_refused(encoding: str, status: int) -> None:
    intake = Intake()
    async with serving(intake) as client:
        headers = {**BEARER, "Content-Encoding": encoding}
        response = await client.post("/webhooks/alertmanager", data=FIRING, headers=headers)
        assert (response.status, intake.calls) == (status, 0)


async def test_a_gzip_body_that_breaks_off_is_refused() -> None:
    intake = Intake()
    async with serving(intake) as client:
        headers = {**BEARER, "Content-Encoding": "gzip"}
        response = await client.post("/webhooks/alertmanager", data=gzip.compress(FIRING)[:-12], headers=headers)
        assert (response.status, intake.calls) == (400, 0)


async def test_a_sender_that_does_not_finish_its_body_is_not_waited_for() -> None:
    hold = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield FIRING[:20]
        await hold.wait()

    intake = Intake()
    async with serving(intake, read_seconds=0.05) as client:
        response = await client.post("/webhooks/alertmanager", data=stalling(), headers=BEARER)
        assert (response.status, intake.calls) == (408, 0)
        hold.set()


async def test_an_unknown_source_is_answered_with_the_nearest_name() -> None:
    async with serving(Intake()) as client:
        response = await client.post("/webhooks/alertmanger", data=FIRING, headers=BEARER)
        assert response.status == 404
        assert (await response.json())["hint"] == "did you mean /webhooks/alertmanager?"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"])
async def test_only_posts_are_for_webhooks(method: str) -> None:
    async with serving(Intake()) as client:
        response = await client.request(method, "/webhooks/alertmanager", headers=BEARER)
        assert (response.status, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("header", "error"),
    [
        (None, "the Authorization header is missing"),
        ("Bearer", "the bearer token is wrong"),
        ("Bearer wrong", "the bearer token is wrong"),
        ("Bearer \xe9\xff", "the bearer token is wrong"),
        ("Basic dG9jc2luOng=", "not of the Bearer scheme"),
        ("a-token-that-opens-the-door", "not of the Bearer scheme"),
    ],
)
async def test_without_the_right_token_nothing_is_read(header: str | None, error: str) -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post(
            "/webhooks/alertmanager", data=b"{", headers={"Authorization": header} if header else {}
        )
        told = await response.json()
    assert response.status == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert error in told["error"]
    assert intake.calls == 0


@pytest.mark.parametrize("token", ["Bearer a-token-that-opens-the-door", "bearer an-older-token"])
async def test_each_configured_token_opens(token: str) -> None:
    async with serving(Intake()) as client:
        response = await client.post("/webhooks/alertmanager", data=FIRING, headers={"Authorization": token})
        assert response.status == 200


async def test_a_source_without_token_or_secret_lets_nobody_in() -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post("/webhooks/closed", data=FIRING, headers=BEARER)
        told = await response.json()
    assert (response.status, intake.calls) == (403, 0)
    assert "sources.closed.bearer" in told["hint"]


async def test_a_bug_is_told_by_its_number_only() -> None:
    async with serving(Intake(fails=RuntimeError("password=hunter2 in line 7"))) as client:
        with capture_logs() as logs:
            response = await client.post("/webhooks/alertmanager", data=FIRING, headers=BEARER)
            text = await response.text()
    told = json.loads(text)
    assert response.status == 500
    assert "hunter2" not in text
    assert "RuntimeError" not in text
    (logged,) = [line for line in logs if line["event"] == "request failed"]
    assert logged["id"] == told["id"]
    assert isinstance(logged["exc_info"], RuntimeError)
