"""Apprise: in a thread with a deadline, what each service said, and nothing of the addresses in what comes out."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.breaker import FAILURES
from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.domain.redaction import Redactor
from bot.errors import BadInput, GaveUp, TryLater
from bot.plugins.channels import apprise
from tests.plugins.channels.set_up import PAGE
from tests.support.clock import HandClock
from tests.support.media_servers import AnyJson, Fault, serving

# Apprise loads all its services, and one of them what Python 3.13 no longer has.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")
SECRET = "token0123456789abcdef"


@asynccontextmanager
async def set_up(*more: str, tail: str = "", **params: Any) -> AsyncIterator[tuple[apprise.Plugin, AnyJson]]:
    product = AnyJson()
    async with serving(product) as url:
        urls = [f"{url.replace('http', 'json')}/{SECRET}{tail}", *more]
        made = apprise.Params.model_validate({"urls": urls, **params})
        yield apprise.Plugin(Desk("other", Http(str), Redactor(), HandClock()), made), product


async def test_a_page_arrives_as_plain_words_with_its_links() -> None:
    async with set_up() as (plugin, product):
        receipt = await plugin.send(PAGE.model_copy(update={"body": "@channel is <b>down</b> \\n"}), "", False)
    [message] = product.kept.values()
    assert message["title"] == "INC-7 Checkout fails (critical)"
    assert message["message"] == (
        "@\u200bchannel is <b>down</b> \\n\nAcknowledge: https://tocsin.example/acknowledge/abc.def\nOpen: https://slack.example/INC-7"
    )
    assert message["type"] == "failure"
    assert receipt.answer == "Apprise: 1 service took it"


async def test_the_kind_is_what_the_configuration_says() -> None:
    async with set_up(kind="sms") as (plugin, _):
        assert plugin.kind == "sms"
    with pytest.raises(ValidationError):
        apprise.Params.model_validate({"urls": ["json://x"], "kind": "pigeon"})


async def test_a_persons_address_takes_its_place_and_cannot_leave_it() -> None:
    async with set_up(tail="/to/{address}") as (plugin, product):
        await plugin.send(PAGE, "+4930/../x?y=z", False)
        with pytest.raises(BadInput, match="other needs a person's address"):
            await plugin.send(PAGE, "", False)
    assert product.asked[0].path == f"/{SECRET}/to/+4930/../x?y=z" or product.asked[0].path.startswith(
        f"/{SECRET}/to/+4930"
    )
    assert product.asked[0].query == {}


async def test_an_address_without_a_place_for_it_is_refused() -> None:
    async with set_up() as (plugin, product):
        with pytest.raises(BadInput, match=r"have no {address}"):
            await plugin.send(PAGE, "ada", False)
    assert product.asked == []


@pytest.mark.parametrize("fault", [Fault(500), Fault(401), Fault(429), Fault()], ids=["500", "401", "429", "hangs up"])
async def test_every_failure_is_uncertain_since_apprise_tells_no_status(fault: Fault) -> None:
    async with set_up() as (plugin, product):
        product.faults = [fault]
        with pytest.raises(TryLater, match=r"Apprise \(other\): not taken by") as raised:
            await plugin.send(PAGE, "", False)
        await plugin.send(PAGE, "", True)
    assert raised.value.uncertain
    assert "Sent again" in product.kept["message-1"]["message"]


async def test_a_lost_answer_gives_a_duplicate_that_says_so() -> None:
    """As the documentation of the medium says: Apprise passes no key on."""
    async with set_up() as (plugin, product):
        product.faults = [Fault(taken=True)]
        with pytest.raises(TryLater):
            await plugin.send(PAGE, "", False)
        await plugin.send(PAGE, "", True)
    assert len(product.kept) == 2


async def test_a_part_that_failed_is_told_and_the_message_counts_as_sent() -> None:
    dead = AnyJson()
    async with serving(dead) as url, set_up(f"{url.replace('http', 'json')}/{SECRET}/dead") as (plugin, product):
        dead.faults = [Fault(500)]
        receipt = await plugin.send(PAGE, "", False)
    assert len(product.kept) == 1
    assert receipt.answer.startswith("Apprise: 1 of 2 services took it; not ")
    assert SECRET not in receipt.answer


async def test_a_service_that_hangs_holds_up_nothing_but_itself() -> None:
    async with set_up(deadline=1.0) as (plugin, product):
        product.faults = [Fault(hang=True)]
        with pytest.raises(TryLater) as raised:
            await plugin.send(PAGE, "", False)
        await plugin.send(PAGE, "", True)
    assert raised.value.uncertain
    assert len(product.kept) == 1


async def test_a_dead_service_is_not_tried_for_a_while() -> None:
    async with set_up() as (plugin, product):
        product.faults = [Fault(500)] * FAILURES
        for _ in range(FAILURES):
            with pytest.raises(TryLater, match="not taken by"):
                await plugin.send(PAGE, "", False)
        with pytest.raises(TryLater, match="not tried"):
            await plugin.send(PAGE, "", False)
    assert len(product.asked) == FAILURES


def test_an_address_that_apprise_does_not_know_is_told_by_its_number() -> None:
    with pytest.raises(ValidationError, match="number 2 is no address that Apprise knows") as raised:
        apprise.Params.model_validate({"urls": ["json://localhost", f"nosuchservice://{SECRET}"]})
    assert SECRET not in str(raised.value)


async def test_one_that_turns_out_to_be_none_with_a_persons_address_is_given_up() -> None:
    async with set_up(f"nosuchservice://{SECRET}/{{address}}") as (plugin, product):
        with pytest.raises(GaveUp, match="number 2 of urls of other in tocsin") as raised:
            await plugin.send(PAGE, "ada", False)
    assert SECRET not in str(raised.value)
    assert product.asked == []


@pytest.mark.parametrize("fault", [Fault(500, SECRET), Fault(401, SECRET), Fault()], ids=["500", "401", "hangs up"])
async def test_nothing_that_comes_out_shows_an_address(fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with set_up() as (plugin, product):
        product.faults = [fault]
        with pytest.raises(TryLater) as raised:
            await plugin.send(PAGE, "", False)
        shown = [str(raised.value), "".join(traceback.format_exception(raised.value)), repr(plugin), caplog.text]
    assert [one for one in shown if SECRET in one] == []
