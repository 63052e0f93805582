"""Why: from the log for what came in, as triage would judge it for what might; nothing is changed by asking."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.incident import State
from bot.domain.matching import matcher
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.domain.silencing import Wish
from bot.domain.storm import Storm
from bot.domain.why import lines
from bot.errors import BadInput
from bot.flow.why import Explain
from bot.store import open_store
from bot.store.memory import MemoryStore
from tests.support.house import ADA, House, rules

DISKS = Wish(matchers=('alertname="Broken"',), reason="replacing disks", lasts=timedelta(hours=2))
PRIVATE = Route(
    policy="shop",
    routes=(
        Route(path="root/0", key="root/secret", matchers=(matcher('team="secret"'),), policy="shop", private=True),
    ),
)


@pytest.fixture
async def house() -> House:
    return House(await open_store("memory://"))


def explain(house: House) -> Explain:
    return Explain(house.store, house.clock, lambda: house.rules)


async def outcomes(house: House, *fingerprints: str) -> list[str]:
    alerts = [house.alert(fingerprint=one, service=one) for one in fingerprints]
    return [one.outcome for one in await explain(house).hypothetical(alerts)]


# ------------------------------------------------------------------------------------------------ what would be


async def test_asking_changes_nothing(house: House) -> None:
    assert isinstance(house.store, MemoryStore)
    asked = explain(house)
    await asked.hypothetical([house.alert()])
    await asked.hypothetical([house.alert()])
    with pytest.raises(BadInput, match="INC-1"):
        await asked.incident(1)
    with pytest.raises(BadInput, match="No alert is called 'f1'"):
        await asked.alert("f1")
    assert await house.store.next_due(house.clock() + timedelta(days=1)) is None
    assert [one.outcome for one in await house.receive(house.alert())] == ["opened"]


async def test_what_is_foretold_is_what_happens(house: House) -> None:
    alerts = [house.alert(), house.alert(fingerprint="f2"), house.alert("Other", fingerprint="f3")]
    await house.receive(house.alert("Other", fingerprint="f9"))
    foretold = await explain(house).hypothetical(alerts)
    verdicts = await house.receive(*alerts)
    assert [(one.outcome, one.reason) for one in foretold] == [(one.outcome, one.reason) for one in verdicts]
    assert [one.incident_id for one in foretold] == [one.incident_id for one in verdicts] == [2, 2, 1]
    assert [bool(one.paged.calls) for one in foretold] == [True, False, False], "two alerts of one problem page once"


async def test_a_repeat_and_an_end_are_foretold_too(house: House) -> None:
    await house.receive(house.alert())
    again, over = await explain(house).hypothetical([house.alert(), house.alert(firing=False)])
    assert (again.outcome, over.outcome) == ("repeated", "resolved")
    assert "INC-1" in again.paged.nobody


async def test_a_test_is_no_part_of_a_storm_and_makes_none(house: House) -> None:
    house.rules = rules(signal=Signal(Routing(Route(policy="shop")), storm=Storm(2, timedelta(minutes=5))))
    tests = [house.alert(fingerprint=f"t{n}", service=f"t{n}", tocsin_test="true") for n in range(5)]
    assert [one.outcome for one in await house.receive(*tests)] == ["opened"] * 5
    assert await outcomes(house, "a") == ["opened"]
    await house.receive(*(house.alert(fingerprint=one, service=one) for one in "abc"))
    storm = await house.incident(8)
    assert storm.storm_at is not None
    late = house.alert(fingerprint="t9", service="t9", tocsin_test="true")
    (verdict,) = await house.receive(late)
    assert (verdict.outcome, verdict.incident_id) == ("opened", 9), "nor does it join the storm"
    assert (await house.incident(9)).test


async def test_a_test_can_be_sent_and_ended_as_often_as_one_likes(house: House) -> None:
    for _ in range(6):
        await house.receive(house.alert(tocsin_test="true"))
        house.clock.forward(seconds=5)
        await house.receive(house.alert(firing=False, tocsin_test="true"))
        assert (await house.incident()).state is State.RESOLVED, "it does not flap"
        house.clock.forward(seconds=5)


async def test_a_test_does_not_join_what_is_real_nor_the_other_way_round(house: House) -> None:
    await house.receive(house.alert(), house.alert(fingerprint="t1", tocsin_test="true"), house.alert(fingerprint="f2"))
    assert [(await house.incident(number)).alerts for number in (1, 2)] == [2, 1]


# ------------------------------------------------------------------------------------------------ what was


async def test_a_silenced_alert_tells_the_silence_with_author_and_reason(house: House) -> None:
    await house.silences.create(DISKS, ADA)
    await house.receive(house.alert())
    (told,) = await explain(house).alert("f1")
    assert told.incident is None
    assert told.state.held is not None
    (decision,) = told.decisions
    assert decision.stage == "silenced"
    assert "silence 1 of Ada until" in lines(decision)[0]
    assert "replacing disks" in lines(decision)[0]
    (held,) = await explain(house).held()
    assert held.by.startswith("silence 1 of Ada until")
    await house.wait(hours=3)
    (told,) = await explain(house).alert("test/f1")
    assert [one.outcome for one in told.decisions] == ["opened", "silenced"], "the newest first"


async def test_a_thousand_repeats_do_not_bury_the_decision(house: House) -> None:
    await house.receive(house.alert())
    for _ in range(8):
        await house.receive(*[house.alert()] * 100)
    (told,) = await explain(house).alert("f1")
    assert [one.outcome for one in told.decisions] == ["opened"]


async def test_what_is_held_again_and_again_by_the_same_is_one_decision(house: House) -> None:
    await house.silences.create(DISKS, ADA)
    for _ in range(10):
        await house.receive(house.alert())
        house.clock.forward(minutes=1)
    (told,) = await explain(house).alert("f1")
    assert [one.outcome for one in told.decisions] == ["silenced"]


async def test_an_incident_tells_its_alerts_and_who_was_paged(house: House) -> None:
    await house.receive(house.alert())
    assert (await explain(house).incident(1)).nobody == "No page has left yet."
    await house.settle()
    await house.incidents.acknowledge(1, ADA)
    account = await explain(house).incident(1)
    assert [one.kind for one in account.paging] == ["paged", "page_sent", "acknowledged"]
    assert account.nobody == ""
    assert [one.state.alert.fingerprint for one in account.alerts] == ["f1"]


async def test_an_incident_opened_by_hand_has_no_alerts(house: House) -> None:
    await house.incidents.declare("checkout is down", "", ADA)
    assert (await explain(house).incident(1)).alerts == ()


async def test_private_is_what_belongs_to_a_private_incident_or_is_on_the_way_to_one(house: House) -> None:
    house.rules = replace(house.rules, signal=Signal(Routing(PRIVATE)))
    await house.silences.create(replace(DISKS, matchers=('alertname=~"Held.*"',)), ADA)
    await house.receive(
        house.alert("HeldSecret", fingerprint="h1", team="secret"),
        house.alert("HeldOpen", fingerprint="h2"),
        house.alert("Secret", fingerprint="s1", team="secret"),
        house.alert("Open", fingerprint="o1"),
    )
    asked = explain(house)
    assert {one.state.alert.fingerprint: one.private for one in await asked.held()} == {"h1": True, "h2": False}
    private = {key: (await asked.alert(key))[0].private for key in ("h1", "h2", "s1", "o1")}
    assert private == {"h1": True, "h2": False, "s1": True, "o1": False}


@pytest.mark.parametrize("text", ["", " ", "nothing", "%", "_"])
async def test_what_nothing_is_called_is_said(house: House, text: str) -> None:
    await house.receive(house.alert())
    with pytest.raises(BadInput, match="No alert is called"):
        await explain(house).alert(text)
