"""Alerts over real HTTP: what is accepted, and what the sender is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bot.errors import Overloaded, TryLater
from tests.entry.webhook_fakes import BEARER, Intake, serving

RECORDED = Path(__file__).parents[1] / "plugins/sources/alertmanager"
MIXED = (RECORDED / "mixed-4.json").read_bytes()


def group(*alerts: dict[str, Any]) -> bytes:
    return json.dumps({"version": "4", "alerts": alerts}).encode()


async def test_every_alert_of_a_delivery_is_answered_for_in_order() -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post("/webhooks/alertmanager", data=MIXED, headers=BEARER)
        assert response.status == 200
        told = await response.json()
    assert told["accepted"] == 4
    assert told["bad"] == []
    assert [one["fingerprint"] for one in told["alerts"]] == [alert.fingerprint for alert in intake.alerts]
    assert told["alerts"][1] == {
        "fingerprint": "296335ed06284fec",
        "outcome": "opened",
        "incident": "INC-1",
        "reason": "nothing is open for this group",
    }
    assert told["alerts"][0]["incident"] is None


async def test_a_delivery_is_accepted_as_one() -> None:
    intake = Intake()
    async with serving(intake) as client:
        await client.post("/webhooks/alertmanager", data=MIXED, headers=BEARER)
    assert (intake.calls, len(intake.alerts)) == (1, 4)


async def test_a_delivery_without_alerts_is_accepted_and_stores_nothing() -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post("/webhooks/alertmanager", data=group(), headers=BEARER)
        nothing = {"accepted": 0, "acknowledged": 0, "changes": 0, "alerts": [], "bad": []}
        assert (response.status, await response.json()) == (200, nothing)
    assert intake.calls == 0


async def test_one_alert_that_cannot_be_read_costs_only_itself() -> None:
    intake = Intake()
    body = group({"labels": {"alertname": "A"}}, {"labels": "what"}, {"labels": {"alertname": "B"}})
    async with serving(intake) as client:
        response = await client.post("/webhooks/alertmanager", data=body, headers=BEARER)
        told = await response.json()
    assert response.status == 200
    assert [alert.name for alert in intake.alerts] == ["A", "B"]
    assert told["bad"] == [
        {"index": 1, "reason": 'alerts[1].labels: found the text "what"; expected an object of names and values'}
    ]
    assert intake.counted("tocsin_alerts_received_total", source="alertmanager", outcome="bad") == 1


async def test_a_delivery_in_which_nothing_can_be_read_is_refused() -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post(
            "/webhooks/alertmanager", data=group({"labels": 7}, {"status": "on"}), headers=BEARER
        )
        told = await response.json()
    assert response.status == 400
    assert told["error"].startswith("none of the alerts could be read: alerts[0].labels: found the number 7")
    assert [one["index"] for one in told["bad"]] == [0, 1]
    assert intake.calls == 0


async def test_secrets_are_gone_before_an_alert_is_accepted() -> None:
    intake = Intake()
    alert = {
        "labels": {"alertname": "A", "dsn": "db:hunter2@x", "password": "letmein"},
        "annotations": {"summary": "login with hunter2 failed"},
        "generatorURL": "https://prom.example/?token=hunter2",
    }
    async with serving(intake) as client:
        response = await client.post("/webhooks/alertmanager", data=group(alert), headers=BEARER)
        assert "hunter2" not in await response.text()
    (accepted,) = intake.alerts
    assert "hunter2" not in repr(accepted)
    assert accepted.labels["dsn"] == "db:[redacted: word]@x"
    assert "letmein" not in repr(accepted)


async def test_secrets_are_not_echoed_in_reasons() -> None:
    body = group({"labels": "hunter2"}, {"labels": {}})
    async with serving(Intake()) as client:
        response = await client.post("/webhooks/alertmanager", data=body, headers=BEARER)
        assert "hunter2" not in await response.text()


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", ""]
)
async def test_the_content_type_does_not_matter(content_type: str) -> None:
    async with serving(Intake()) as client:
        headers = {**BEARER, "Content-Type": content_type}
        response = await client.post("/webhooks/alertmanager", data=MIXED, headers=headers)
        assert response.status == 200


async def test_a_gzip_body_is_read() -> None:
    intake = Intake()
    async with serving(intake) as client:
        headers = {**BEARER, "Content-Encoding": "gzip"}
        response = await client.post("/webhooks/alertmanager", data=gzip.compress(MIXED), headers=headers)
        assert response.status == 200
    assert len(intake.alerts) == 4


async def test_a_mapped_source_reads_a_plain_title_and_status() -> None:
    intake = Intake()
    async with serving(intake) as client:
        body = {"title": "Disk full", "status": "firing", "service": "db"}
        response = await client.post("/webhooks/generic", json=body, headers=BEARER)
        assert response.status == 200
    assert (intake.alerts[0].name, intake.alerts[0].service) == ("Disk full", "db")


@pytest.mark.parametrize(
    ("failure", "retry_after"),
    [
        (Overloaded("1,000 requests are waiting", retry_after=7), "7"),
        (TryLater("database is locked"), "5"),
        (TryLater("database is locked", delay=0.2), "1"),
    ],
)
async def test_a_sender_is_asked_to_come_again_when_there_is_no_room(failure: Exception, retry_after: str) -> None:
    async with serving(Intake(fails=failure)) as client:
        response = await client.post("/webhooks/alertmanager", data=MIXED, headers=BEARER)
        told = await response.json()
    assert (response.status, response.headers["Retry-After"]) == (503, retry_after)
    assert told["hint"] == f"send it again in {retry_after} s"


async def test_a_resolve_of_an_alert_that_never_fired_is_accepted_and_said_to_be_ignored() -> None:
    body = (RECORDED / "resolved-orphan.json").read_bytes()
    async with serving(Intake()) as client:
        response = await client.post("/webhooks/alertmanager", data=body, headers=BEARER)
        told = await response.json()
    assert (response.status, told["alerts"][0]["outcome"]) == (200, "ignored")


async def test_what_came_in_is_counted_by_source_and_outcome() -> None:
    intake = Intake()
    async with serving(intake) as client:
        await client.post("/webhooks/alertmanager", data=MIXED, headers=BEARER)
        await client.post("/webhooks/nowhere", data=MIXED, headers=BEARER)
    assert intake.counted("tocsin_alerts_received_total", source="alertmanager", outcome="opened") == 3
    assert intake.counted("tocsin_alerts_received_total", source="alertmanager", outcome="ignored") == 1
    assert intake.counted("tocsin_webhook_seconds_count", source="alertmanager", code="200") == 1
    assert intake.counted("tocsin_webhook_seconds_count", source="unknown", code="404") == 1
