"""Pushover: emergencies that ring until somebody has it, and stop then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.errors import BadInput, GaveUp
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import Fault, Pushover


async def test_a_critical_page_is_an_emergency_with_a_receipt() -> None:
    async with house("pushover") as at:
        receipt = await at.send()
    assert at.product.asked[0].form == {
        "token": Pushover.TOKEN,
        "user": Pushover.USER,
        "title": "INC-7 Checkout fails (critical)",
        "message": "Checkout answers 500 in eu-1.\nSince 03:00.\nOpen: https://slack.example/INC-7",
        "priority": "2",
        "url": "https://tocsin.example/acknowledge/abc.def",
        "url_title": "Acknowledge",
        "retry": "60",
        "expire": "3600",
        "tags": "tocsin-incident-7",
    }
    assert receipt.provider_id == "rLqVuqTRh62UzxtmqiaLzQmVcPgiCy"


@pytest.mark.parametrize(
    ("purpose", "severity", "priority"),
    [
        ("page", "error", "1"),
        ("reminder", "critical", "0"),
        ("alarm", "", "1"),
        ("test", "", "0"),
        ("summon", "critical", "2"),
        ("page", "sev1", "2"),
    ],
)
async def test_only_pages_that_are_bad_enough_ring(purpose: str, severity: str, priority: str) -> None:
    async with house("pushover", emergencies=["critical", "sev1"]) as at:
        await at.send(PAGE.model_copy(update={"purpose": purpose, "severity": severity}))
    assert at.product.asked[0].form["priority"] == priority
    assert ("retry" in at.product.asked[0].form) == (priority == "2")


async def test_it_stops_ringing_when_somebody_has_it_and_says_nothing_more() -> None:
    async with house("pushover") as at:
        await at.send()
        assert at.product.ringing == {"tocsin-incident-7"}
        receipt = await at.send(PAGE.model_copy(update={"purpose": "acknowledged"}))
    assert at.product.ringing == set()
    assert len(at.product.kept) == 1
    assert receipt.answer == "Pushover has stopped ringing (1 cancelled)"


async def test_it_stops_ringing_when_it_is_over_and_says_so() -> None:
    async with house("pushover") as at:
        await at.send()
        await at.send(PAGE.model_copy(update={"purpose": "recovery", "subject": "INC-7 is over"}))
    assert at.product.ringing == set()
    assert [one["title"] for one in at.product.kept.values()] == ["INC-7 Checkout fails (critical)", "INC-7 is over"]


async def test_how_often_and_how_long_it_rings_is_set_within_pushovers_bounds() -> None:
    async with house("pushover", retry=timedelta(seconds=30), expire=timedelta(hours=3), sound="siren") as at:
        await at.send()
    form: dict[str, Any] = at.product.asked[0].form
    assert (form["retry"], form["expire"], form["sound"]) == ("30", "10800", "siren")


async def test_a_key_that_is_wrong_is_told_in_pushovers_words_with_what_to_do() -> None:
    async with house("pushover") as at:
        with pytest.raises(GaveUp, match=r"user identifier is not a valid user.*they look it up at pushover.net"):
            await at.send(address="u" * 30)
    async with house("pushover", token="t" * 30) as at:
        with pytest.raises(GaveUp, match="application token is invalid; check the application's token"):
            await at.send()


async def test_a_month_that_is_used_up_is_no_reason_to_wait() -> None:
    async with house("pushover") as at:
        at.product.faults = [
            Fault(429, '{"errors": ["message limit reached"], "status": 0}', {"X-Limit-App-Remaining": "0"})
        ]
        with pytest.raises(GaveUp, match="used up its messages for this month"):
            await at.send()


async def test_an_address_too_long_for_its_place_stands_in_the_text_and_nobody_is_nobody() -> None:
    long = "https://tocsin.example/acknowledge/" + "a" * 600
    async with house("pushover") as at:
        await at.send(PAGE.model_copy(update={"acknowledge_url": long}))
        with pytest.raises(BadInput, match="there is nobody to send to"):
            await at.send(address="")
    form = at.product.asked[0].form
    assert form["url"] == "https://slack.example/INC-7"
    assert len(form["message"]) <= 1024
