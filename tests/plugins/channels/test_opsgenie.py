"""Opsgenie: create, acknowledge and close one alert by its alias; priorities, responders, and where the account is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.errors import BadInput, GaveUp
from bot.plugins.channels import opsgenie
from tests.plugins.channels.set_up import PAGE, house
from tests.support.clock import HandClock
from tests.support.media_servers import Fault, Opsgenie


async def test_an_incident_is_one_alert_from_the_page_to_the_recovery() -> None:
    async with house("opsgenie") as at:
        for purpose, state in (("page", "open"), ("acknowledged", "acknowledged"), ("recovery", "closed")):
            receipt = await at.send(PAGE.model_copy(update={"purpose": purpose}))
            assert at.product.states == {"incident-7": state}
            assert receipt.provider_id.startswith("r-")
    paths = [one.path for one in at.product.asked]
    assert paths == ["/v2/alerts", "/v2/alerts/incident-7/acknowledge", "/v2/alerts/incident-7/close"]


async def test_an_alert_has_what_people_need_to_know() -> None:
    async with house("opsgenie", responders=["team:payments"]) as at:
        await at.send()
    assert at.product.asked[0].json == {
        "message": "INC-7 Checkout fails (critical)",
        "alias": "incident-7",
        "description": "Checkout answers 500 in eu-1.\nSince 03:00.\nAcknowledge: https://tocsin.example/acknowledge/abc.def\n"
        "Open: https://slack.example/INC-7",
        "priority": "P1",
        "source": "Tocsin",
        "entity": "checkout",
        "tags": ["tocsin", "page"],
        "details": {"incident": "INC-7", "service": "checkout"},
        "responders": [{"type": "team", "name": "payments"}],
    }
    assert at.product.asked[0].headers["Authorization"] == f"GenieKey {Opsgenie.KEY}"


@pytest.mark.parametrize(
    ("severity", "purpose", "priority"),
    [
        ("critical", "page", "P1"),
        ("error", "page", "P2"),
        ("warning", "page", "P3"),
        ("info", "page", "P5"),
        ("minor", "page", "P4"),
        ("nobody's", "page", "P1"),
        ("", "alarm", "P1"),
        ("", "test", "P5"),
    ],
)
async def test_severities_become_priorities(severity: str, purpose: str, priority: str) -> None:
    async with house("opsgenie", priorities={"minor": "P4"}) as at:
        await at.send(PAGE.model_copy(update={"severity": severity, "purpose": purpose}))
    assert at.product.asked[0].json["priority"] == priority


@pytest.mark.parametrize(
    ("address", "responder"),
    [
        ("team:payments", {"type": "team", "name": "payments"}),
        ("user:ada@example.com", {"type": "user", "username": "ada@example.com"}),
        ("schedule:shop", {"type": "schedule", "name": "shop"}),
    ],
)
async def test_an_address_is_a_responder(address: str, responder: dict[str, Any]) -> None:
    async with house("opsgenie", responders=["team:others"]) as at:
        await at.send(address=address)
    assert at.product.asked[0].json["responders"] == [responder]


async def test_a_responder_that_is_none_is_refused() -> None:
    async with house("opsgenie") as at:
        with pytest.raises(BadInput, match="'ada' is no responder"):
            await at.send(address="ada")
    with pytest.raises(ValidationError, match="'ada' is no responder; expected team:…, user:…"):
        async with house("opsgenie", responders=["ada"]):
            pytest.fail("set up")


@pytest.mark.parametrize(("region", "host"), [("us", "api.opsgenie.com"), ("eu", "api.eu.opsgenie.com")])
async def test_the_region_says_where_the_account_is(region: str, host: str) -> None:
    params = opsgenie.Params.model_validate({"key": Opsgenie.KEY, "region": region})
    plugin = opsgenie.Plugin(Desk("ops", Http(str), str, HandClock()), params)
    assert plugin._url == f"https://{host}"


async def test_a_wrong_key_says_so_and_what_to_look_at() -> None:
    async with house("opsgenie", key="wrong-key-wrong-key") as at:
        with pytest.raises(GaveUp, match="403: Could not authenticate; check key and region of my-opsgenie"):
            await at.send()


async def test_a_thread_with_odd_characters_stays_one_alias() -> None:
    async with house("opsgenie") as at:
        for purpose in ("page", "recovery"):
            await at.send(PAGE.model_copy(update={"purpose": purpose, "thread": "incident 7/ä?x"}))
    assert at.product.asked[1].query == {"identifierType": "alias"}
    assert at.product.states == {"incident 7/ä?x": "closed"}


async def test_what_it_cannot_read_is_said_member_by_member() -> None:
    async with house("opsgenie") as at:
        at.product.faults = [
            Fault(422, '{"message": "Request body is not processable.", "errors": {"message": "is too long"}}')
        ]
        with pytest.raises(BadInput, match=r"422: Request body is not processable.: message: is too long"):
            await at.send()
