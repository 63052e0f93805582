"""PagerDuty: trigger, acknowledge and resolve one alert by its dedup_key; severities, links, and what a wrong key says."""

from __future__ import annotations

import pytest

from bot.domain.notice import Notice
from bot.errors import BadInput
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import PagerDuty


def of(purpose: str) -> Notice:
    return PAGE.model_copy(update={"purpose": purpose, "key": f"7:{purpose}"})


async def test_an_incident_is_one_alert_from_the_page_to_the_recovery() -> None:
    async with house("pagerduty") as at:
        for purpose, state in (
            ("page", "triggered"),
            ("reminder", "triggered"),
            ("acknowledged", "acknowledged"),
            ("page", "acknowledged"),
            ("recovery", "resolved"),
        ):
            receipt = await at.send(of(purpose))
            assert at.product.states == {"incident-7": state}
            assert receipt.provider_id == "incident-7"
    assert [one.json["event_action"] for one in at.product.asked] == [
        "trigger",
        "trigger",
        "acknowledge",
        "trigger",
        "resolve",
    ]


async def test_a_trigger_has_what_people_need_to_know() -> None:
    async with house("pagerduty") as at:
        await at.send()
    assert at.product.asked[0].path == "/v2/enqueue"
    assert at.product.asked[0].json == {
        "routing_key": PagerDuty.KEY,
        "event_action": "trigger",
        "dedup_key": "incident-7",
        "payload": {
            "summary": "INC-7 Checkout fails (critical)",
            "source": "checkout",
            "severity": "critical",
            "class": "page",
            "custom_details": {
                "incident": "INC-7",
                "service": "checkout",
                "details": "Checkout answers 500 in eu-1.\nSince 03:00.",
            },
        },
        "client": "Tocsin",
        "client_url": "https://slack.example/INC-7",
        "links": [
            {"href": "https://tocsin.example/acknowledge/abc.def", "text": "Acknowledge"},
            {"href": "https://slack.example/INC-7", "text": "Open"},
        ],
    }


async def test_an_acknowledgement_carries_the_key_and_nothing_else() -> None:
    async with house("pagerduty") as at:
        await at.send(of("acknowledged"))
    assert at.product.asked[0].json == {
        "routing_key": PagerDuty.KEY,
        "event_action": "acknowledge",
        "dedup_key": "incident-7",
    }


@pytest.mark.parametrize(
    ("severity", "purpose", "theirs"),
    [
        ("critical", "page", "critical"),
        ("error", "page", "error"),
        ("warning", "page", "warning"),
        ("info", "page", "info"),
        ("sev2", "page", "error"),
        ("nobody's", "page", "critical"),
        ("", "alarm", "critical"),
        ("", "test", "info"),
        ("", "handover", "info"),
    ],
)
async def test_severities_become_pagerdutys_four(severity: str, purpose: str, theirs: str) -> None:
    async with house("pagerduty", severities={"sev2": "error"}) as at:
        await at.send(PAGE.model_copy(update={"severity": severity, "purpose": purpose}))
    assert at.product.asked[0].json["payload"]["severity"] == theirs


async def test_what_belongs_to_no_incident_is_an_alert_of_its_own() -> None:
    async with house("pagerduty") as at:
        for key in ("test:1", "test:2"):
            await at.send(PAGE.model_copy(update={"purpose": "test", "thread": "", "key": key}))
    assert set(at.product.kept) == {"test:1", "test:2"}


async def test_an_address_is_another_services_key() -> None:
    async with house("pagerduty", routing_key="0" * 32) as at:
        await at.send(address=PagerDuty.KEY)
        with pytest.raises(BadInput, match="Event object is invalid: Invalid routing key"):
            await at.send()
    assert len(at.product.kept) == 1


async def test_a_key_that_is_none_is_not_sent() -> None:
    async with house("pagerduty", routing_key="") as at:
        with pytest.raises(BadInput, match=r"routing_key of my-pagerduty in tocsin.yaml is no integration key"):
            await at.send()
    assert at.product.asked == []
