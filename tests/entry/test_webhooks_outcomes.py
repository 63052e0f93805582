"""What a delivery brings beside alerts, in which order it is kept, and what the sender is told of it."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, ChangeEvent, Incoming, Parsed
from bot.entry.arrivals import SourceEntry
from bot.entry.auth import Bearer
from bot.entry.auth_hmac import Signed
from bot.errors import BadInput, TryLater
from tests.entry.webhook_fakes import BEARER, NOW, SECRET, TOKEN, Intake, Saying, arrivals, serving, signature

ALERT = Alert("pd", "1", True, {"alertname": "A"}, {}, NOW)
CHANGE = ChangeEvent("pd", "deploy/1", "deployment", "checkout 1.4.2", NOW, "success", "checkout", "prod", "ada")
WHOLE = Parsed((ALERT,), acknowledged=(Acknowledged("2", "ada"),), changes=(CHANGE,))


def saying(parsed: Parsed, methods: tuple[str, ...] = ("POST",)) -> SourceEntry:
    return SourceEntry("pd", Saying(parsed), None, Bearer([TOKEN]), methods)


async def answered(intake: Intake, parsed: Parsed, **settings: Any) -> tuple[int, dict[str, Any]]:
    async with serving(intake, saying(parsed), **settings) as client:
        response = await client.post("/webhooks/pd", data=b"{}", headers=BEARER)
        return response.status, json.loads(await response.text())


async def test_alerts_are_kept_first_then_changes_then_acknowledgements() -> None:
    intake = Intake()
    status, told = await answered(intake, WHOLE)
    assert (status, intake.order) == (200, ["alerts", "changes", "acknowledge"])
    assert (told["accepted"], told["changes"], told["acknowledged"], told["bad"]) == (1, 1, 1, [])
    assert intake.changes == [CHANGE]
    assert intake.acknowledged == [("pd", Acknowledged("2", "ada"))]


async def test_a_delivery_may_bring_an_acknowledgement_alone() -> None:
    intake = Intake()
    status, told = await answered(intake, Parsed(acknowledged=(Acknowledged("2"),)))
    assert (status, told["accepted"], told["acknowledged"], intake.calls) == (200, 0, 1, 0)


async def test_what_nobody_takes_is_told_to_be_none() -> None:
    status, told = await answered(Intake(), WHOLE, sinks={"acknowledge": None, "keep_changes": None})
    assert (status, told["accepted"], told["changes"], told["acknowledged"]) == (200, 1, 0, 0)


async def test_after_a_failure_beside_the_alerts_the_sender_comes_again_and_all_is_kept() -> None:
    intake = Intake(fails_beside=TryLater("database is locked"))
    async with serving(intake, saying(WHOLE)) as client:
        first = await client.post("/webhooks/pd", data=b"{}", headers=BEARER)
        intake.fails_beside = None
        second = await client.post("/webhooks/pd", data=b"{}", headers=BEARER)
    assert (first.status, second.status) == (503, 200)
    assert (len(intake.changes), len(intake.acknowledged)) == (1, 1)


async def test_a_signed_delivery_whose_changes_failed_may_come_again_for_them() -> None:
    intake = Intake(fails_beside=TryLater("database is locked"))
    source = SourceEntry("pd", Saying(WHOLE), None, Signed((SECRET,)))
    async with serving(intake, source) as client:
        headers = signature(b"{}")
        first = await client.post("/webhooks/pd", data=b"{}", headers=headers)
        intake.fails_beside = None
        second = await client.post("/webhooks/pd", data=b"{}", headers=headers)
    assert (first.status, second.status, len(intake.alerts)) == (503, 409, 1)
    assert (len(intake.changes), len(intake.acknowledged)) == (1, 1)


async def test_nothing_beside_is_kept_when_the_alerts_are_not() -> None:
    intake = Intake(fails=TryLater("database is locked"))
    status, _ = await answered(intake, WHOLE)
    assert (status, intake.order) == (503, ["alerts"])


async def test_secrets_are_gone_from_changes_and_from_who_acknowledged() -> None:
    intake = Intake()
    secret = "x hunter2"
    change = replace(
        CHANGE, title=secret, state=secret, service=secret, environment=secret, author=secret,
        url="https://x.example/?t=hunter2", labels={"a": secret, "password": "letmein"},
    )  # fmt: skip
    await answered(intake, Parsed(changes=(change,), acknowledged=(Acknowledged("2", secret),)))
    kept = repr((intake.changes, intake.acknowledged))
    assert len(intake.changes) == len(intake.acknowledged) == 1
    assert "hunter2" not in kept
    assert "letmein" not in kept


async def test_a_source_may_answer_in_its_products_words() -> None:
    reply = {"status": "success", "dedup_key": "ü/1"}
    assert await answered(Intake(), replace(WHOLE, status=202, reply=reply)) == (202, reply)


async def test_what_is_bad_is_told_whatever_the_product_expects() -> None:
    parsed = replace(WHOLE, status=202, reply={"status": "success"}, bad=((1, "alerts[1]: hunter2"),))
    status, told = await answered(Intake(), parsed)
    assert (status, told["accepted"], told["bad"]) == (200, 1, [{"index": 1, "reason": "alerts[1]: [redacted: word]"}])


async def test_a_delivery_in_which_all_is_bad_is_refused() -> None:
    intake = Intake()
    status, told = await answered(intake, Parsed(bad=((0, "alerts[0]: no"),), status=202, reply={}))
    assert (status, told["bad"], intake.order) == (400, [{"index": 0, "reason": "alerts[0]: no"}], [])


async def test_a_reason_does_not_echo_a_secret() -> None:
    def parse(*_: Any) -> Parsed:
        raise BadInput('status: found the text "hunter2"')

    async with serving(Intake(), SourceEntry("pd", parse, None, Bearer([TOKEN]))) as client:
        response = await client.post("/webhooks/pd", data=b"{}", headers=BEARER)
        assert (response.status, "hunter2" in await response.text()) == (400, False)


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 200), ("GET", 200), ("DELETE", 200), ("PUT", 405), ("HEAD", 405), ("PURGE", 405)]
)
async def test_a_source_says_by_which_methods_it_is_reached(method: str, status: int) -> None:
    async with serving(Intake(), saying(WHOLE, ("POST", "GET", "DELETE"))) as client:
        response = await client.request(method, "/webhooks/pd/v2/alerts", headers=BEARER)
        assert response.status == status
        assert status == 200 or response.headers["Allow"] == "POST, GET, DELETE"


async def test_a_source_that_takes_e_mail_takes_no_requests() -> None:
    intake = Intake()
    async with serving(intake, saying(WHOLE, ())) as client:
        response = await client.post("/webhooks/pd", headers=BEARER)
        assert (response.status, (await response.json())["error"]) == (404, "this source takes e-mail, not requests")
    assert intake.order == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/webhooks/pd/" + "x" * 1_900, 200),
        ("/webhooks/pd/" + "x" * 2_000, 414),
        ("/webhooks/pd?a=" + "x" * 1_990, 200),
        ("/webhooks/pd?a=" + "x" * 2_000, 414),
        ("/webhooks/pd?" + "&".join(f"a{number}=1" for number in range(64)), 200),
        ("/webhooks/pd?" + "&".join(f"a{number}=1" for number in range(65)), 414),
        ("/webhooks/" + "x" * 5_000, 414),
    ],
)
async def test_an_address_has_bounds(path: str, status: int) -> None:
    async with serving(Intake(), saying(WHOLE)) as client:
        assert (await client.post(path, headers=BEARER)).status == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("&".join(["a=1"] * 1_000), 200),
        ("&".join(["a=1"] * 1_001), 413),
        ('{"a": "' + "&" * 2_000 + '"}', 200),
    ],
)
async def test_a_form_has_bounds(body: str, status: int) -> None:
    async with serving(Intake(), saying(WHOLE)) as client:
        headers = {**BEARER, "Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        assert (await client.post("/webhooks/pd", data=body.encode(), headers=headers)).status == status


@pytest.mark.parametrize(("size", "apart"), [(100, False), (100_000, True)])
async def test_a_large_body_is_parsed_apart_so_that_nobody_waits_for_it(size: int, apart: bool) -> None:
    threads: list[int] = []

    def parse(incoming: Incoming, source: str, params: Any, now: datetime) -> Parsed:
        threads.append(threading.get_ident())
        return Parsed()

    outcome = await arrivals(Intake()).taken(SourceEntry("any", parse, None, Bearer([TOKEN])), Incoming(b"x" * size))
    assert outcome.status == 200
    assert (threads != [threading.get_ident()]) is apart
