"""Random days of paging, with media that refuse and answers that get lost: nothing is left hanging, and whoever was told hears of the end."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.domain.media import MediumRules
from bot.domain.page import PageState
from bot.domain.severity import Taxonomy
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.auditor import next_steps
from tests.flow.paging_house import PEOPLE, PHONE_ONLY, given, house, pages, shop
from tests.support.house import ADA, BOB, House

ACTS = (
    ("fire",) * 3
    + ("wait",) * 5
    + ("fault",) * 2
    + ("stop", "acknowledge", "resolve", "severity", "escalate", "restart")
)
TOLD = ("page", "bundle")


def made(dice: random.Random) -> Any:
    beside = ("person:ada", "medium:pd") if dice.random() < 0.4 else ("person:ada",)
    deadlines = (
        {"remind_after": timedelta(minutes=4), "expires_after": timedelta(minutes=9)} if dice.random() < 0.5 else {}
    )
    sms = MediumRules("sms", bundle=timedelta(seconds=dice.choice([0, 20, 60])), per_minute=dice.choice([0, 0, 1, 3]))
    ada = dice.choice([PEOPLE["ada"], PHONE_ONLY])
    rules = given(shop(beside, ("person:bob",), repeat=dice.choice([0, 1]), **deadlines), {"ada": ada}, {"sms": sms})
    taxonomy = Taxonomy(media={}) if dice.random() < 0.5 else rules.signal.taxonomy
    return replace(rules, signal=replace(rules.signal, taxonomy=taxonomy))


def fault(dice: random.Random, it: House) -> None:
    medium = it.media[dice.choice(["sms", "sms", "voice", "pd"])]
    if dice.random() < 0.3:
        medium.lose += 1
    else:
        later = TryLater("not now", delay=dice.choice([1, 3, 30]))
        medium.failures += [dice.choice([later, TryLater("no answer", delay=2, uncertain=True), GaveUp("refused")])]


async def acted(it: House, what: str, dice: random.Random) -> None:
    service, severity = dice.choice(["one", "two", "three"]), dice.choice(["warning", "critical"])
    known = await it.incidents.listing(False)
    if what in ("fire", "stop"):
        labels = {"fingerprint": service, "severity": severity, "service": service}
        await it.receive(it.alert(f"Broken {service}", firing=what == "fire", **labels))
    elif what == "wait":
        for _ in range(dice.choice([1, 2, 6, 30])):
            await it.wait(seconds=dice.choice([0.5, 3, 5]))
    elif what == "fault":
        fault(dice, it)
    elif known:
        number = dice.choice(known).id
        changes = {
            "acknowledge": lambda: it.incidents.acknowledge(number, ADA),
            "resolve": lambda: it.incidents.resolve(number, ADA),
            "escalate": lambda: it.incidents.escalate(number, BOB),
            "severity": lambda: it.incidents.set_severity(number, severity, BOB),
        }
        await changes[what]()


async def lived(seed: int) -> House:
    """A day, and then an hour in which everything works."""
    dice = random.Random(seed)
    rules = made(dice)
    it = house(rules)
    for _ in range(dice.randint(5, 30)):
        what = dice.choice(ACTS)
        if what == "restart":
            media, it = it.media, house(rules, it.store, it.clock)
            it.media.update(media)
            continue
        try:
            await acted(it, what, dice)
        except BadInput:
            continue
        if dice.random() < 0.7:
            await it.settle()
    for medium in it.media.values():
        medium.failures, medium.lose = [], 0
    for _ in range(120):
        await it.wait(seconds=10)
    for _ in range(8):
        await it.wait(minutes=5)
    return it


async def kept(seed: int) -> None:
    it = await lived(seed)
    sent = [(name, address, one) for name, medium in it.media.items() for one, address in medium.sent]
    keys = [(name, address, one.key) for name, address, one in sent]
    assert len(keys) == len(set(keys)), "each message once: the media recognise those whose answer got lost"
    for incident in await it.incidents.listing(False):
        known = await pages(it, incident.id)
        hanging = (PageState.SENDING, PageState.WAITING)
        assert not [one for one in known if one.state in hanging or (one.state is PageState.BUNDLED and not one.answer)]
        wanted = {one.key for one in next_steps(incident, it.clock())} if incident.is_open else set()
        assert await it.store.read(lambda tx, keys=wanted: tx.undelivered(keys)) == wanted
        if incident.is_open:
            continue
        refused = {(one.medium, one.address) for one in known if one.purpose == "recovery" and one.state == "failed"}
        about = re.compile(rf"{incident.ref}\b")
        last = {
            (name, address): one.purpose
            for name, address, one in sent
            if one.purpose in (*TOLD, "recovery") and about.search(f"{one.subject} {one.body}")
        }
        assert [where for where, purpose in last.items() if purpose in TOLD and where not in refused] == []


@pytest.mark.parametrize("seed", range(20))
async def test_nothing_is_left_hanging_and_whoever_was_told_hears_of_the_end(seed: int) -> None:
    await kept(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
async def test_it_is_so_on_many_days(part: int) -> None:
    for seed in range(1000 + part * 100, 1100 + part * 100):
        await kept(seed)
