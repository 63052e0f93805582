"""alertmanager.silence against an Alertmanager that keeps silences as the real one does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.plan import Plan
from bot.domain.redaction import Redactor
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins.actions.alertmanager_silence import Params, Plugin
from tests.clients.served import answering
from tests.support.alertmanager_api import AlertmanagerApi

KEY = "tocsin-run-1-hush"
SLOW = {"alertname": "Slow", "service": "checkout", "severity": "warning"}
BROKEN = {"alertname": "Broken", "service": "checkout", "severity": "critical"}


@dataclass
class World:
    api: AlertmanagerApi
    action: Plugin
    server: str

    def params(self, **options: Any) -> Params:
        given = {"server": self.server, "matchers": ['service="checkout"', 'severity=~"info|warning"'], "why": "INC-7"}
        return Params.model_validate({**given, **options})

    async def plan(self, **options: Any) -> Plan:
        params = self.params(**options)
        return self.action.plan(await self.action.look(params), params)

    async def do(self, **options: Any) -> tuple[Plan, dict[str, Any]]:
        plan = await self.plan(**options)
        return plan, await self.action.do(plan, self.params(**options), KEY)

    async def missing(self, **options: Any) -> str | None:
        params = self.params(**options)
        return self.action.verify(await self.action.look(params), params)

    def active(self) -> list[dict[str, Any]]:
        return [one for one in self.api.silences.values() if self.api.state(one) == "active"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    api = AlertmanagerApi()
    api.alerts = [SLOW, BROKEN]
    async with answering(api.answer) as server, Http(Redactor()) as http:
        yield World(api, Plugin(Kit(None, None, http, Redactor())), server)


async def test_a_silence_is_planned_made_and_found_again(world: World) -> None:
    plan, result = await world.do(duration="PT2H")
    assert [str(diff) for diff in plan.diffs] == [
        'silence: none -> service="checkout", severity=~"info|warning" for 2 h (for INC-7; hides 1 alert now: Slow)'
    ]
    (made,) = world.active()
    assert (made["createdBy"], made["comment"]) == ("tocsin", f"INC-7 (tocsin: {KEY})")
    assert (made["startsAt"], made["endsAt"]) == ("2026-11-21T03:00:00.000Z", "2026-11-21T05:00:00.000Z")
    assert result == {"silence": made["id"], "until": "2026-11-21T05:00:00+00:00"}
    assert await world.missing(duration="PT2H") is None
    world.api.forward(minutes=90)
    assert not await world.plan(duration="PT2H")
    assert not await world.plan(duration="PT1H", matchers=['severity=~"info|warning"', 'service="checkout"'])
    assert world.api.writes == 1


async def test_once_it_is_over_it_can_be_made_again(world: World) -> None:
    await world.do()
    world.api.forward(hours=2)
    assert await world.missing() == "no silence for INC-7 is active"
    await world.do()
    assert len(world.active()) == 1


async def test_a_longer_one_extends_the_one_that_is_there(world: World) -> None:
    await world.do(duration="PT1H")
    world.api.forward(minutes=30)
    plan, _ = await world.do(duration="PT4H")
    assert "silence: for 1 h since 2026-11-21T03:00:00+00:00 ->" in str(plan.diffs[0])
    (only,) = world.active()
    assert only["endsAt"] == "2026-11-21T07:30:00.000Z"
    assert not await world.plan(duration="PT4H")


@pytest.mark.parametrize(
    "other", [{"why": "INC-70"}, {"matchers": ['service="checkout"']}, {"matchers": ['service!="checkout"', 'a="b"']}]
)
async def test_another_reason_or_other_matchers_are_another_silence(world: World, other: dict[str, Any]) -> None:
    await world.do()
    assert await world.plan(**other)
    await world.do(**other)
    assert len(world.active()) == 2


async def test_a_silence_of_a_person_is_not_ours(world: World) -> None:
    await world.do()
    world.active()[0]["createdBy"] = "ada"
    assert await world.plan()


async def test_it_is_undone_by_ending_it_and_that_by_making_it_again(world: World) -> None:
    plan, _ = await world.do(duration="PT2H")
    undo = world.action.undo(plan, {}, world.params(duration="PT2H"))
    assert undo is not None and undo.action == "alertmanager.silence"
    params = Params.model_validate(undo.with_)
    back = world.action.plan(await world.action.look(params), params)
    assert [str(diff) for diff in back.diffs] == [
        'silence: service="checkout", severity=~"info|warning" -> ended (for INC-7)'
    ]
    await world.action.do(back, params, "tocsin-run-1-hush-undo")
    assert world.active() == []
    after = await world.action.look(params)
    assert not world.action.plan(after, params)
    assert world.action.verify(after, params) is None
    again = world.action.undo(back, {}, params)
    assert again is not None and Params.model_validate(again.with_) == world.params(duration="PT2H")


async def test_what_changed_since_the_plan_is_drift(world: World) -> None:
    plan = await world.plan()
    world.api.alerts.append({**SLOW, "alertname": "Slower"})
    with pytest.raises(Drifted):
        await world.action.do(plan, world.params(), KEY)
    assert world.active() == []


async def test_an_answer_that_is_lost_is_uncertain_and_then_found_done(world: World) -> None:
    world.api.lose = True
    with pytest.raises(TryLater) as raised:
        await world.do()
    assert raised.value.uncertain
    assert not await world.plan()


async def test_how_many_it_hides_is_exact_up_to_ten_then_rough(world: World) -> None:
    def hiding(number: int) -> None:
        world.api.alerts = [{**SLOW, "pod": str(each)} for each in range(number)]

    hiding(0)
    assert "hides no alert now" in str((await world.plan()).diffs[0])
    hiding(10)
    assert "hides 10 alerts now: Slow" in str((await world.plan()).diffs[0])
    hiding(34)
    first = await world.plan()
    assert "hides at least 30 alerts now: Slow" in str(first.diffs[0])
    hiding(36)
    assert (await world.plan()).digest == first.digest


async def test_names_of_alerts_are_redacted(world: World) -> None:
    world.api.alerts = [{**SLOW, "alertname": "token=abc123def"}]
    assert "abc123def" not in (await world.plan()).model_dump_json()


def test_an_approval_is_of_exactly_this_silence() -> None:
    action = Plugin(Kit(None, None, Http(str), str))
    one = {"server": "http://am:9093", "matchers": ['a="b"'], "why": "INC-7"}
    digests = set()
    for change in (
        {},
        {"why": "INC-8"},
        {"matchers": ['a="c"']},
        {"matchers": ['a!="b"', 'x="y"']},
        {"duration": "PT90M"},
    ):
        params = Params.model_validate({**one, **change})
        digests.add(action.plan(action.facts({}, params), params).digest)
    assert len(digests) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"matchers": []},
        {"matchers": ["not a matcher"]},
        {"matchers": ['severity=~".*"']},
        {"matchers": ['severity!="critical"']},
        {"duration": "PT25H"},
        {"duration": "PT1S"},
        {"why": ""},
        {"server": "alertmanager:9093"},
    ],
)
def test_bad_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate({"server": "http://am:9093", "matchers": ['a="b"'], "why": "INC-7", **wrong})


@pytest.mark.parametrize(
    ("options", "given"),
    [({}, {}), ({}, {"hides": ["Slow"]}), ({"duration": "PT2H"}, {"silenced_for": "PT1H"}), ({"state": "expired"}, {})],
)
def test_given_facts_make_a_plan_that_is_empty_once_it_is_done(options: dict[str, Any], given: dict[str, Any]) -> None:
    action = Plugin(Kit(None, None, Http(str), str))
    params = Params.model_validate({"server": "http://am:9093", "matchers": ['a="b"'], "why": "INC-7", **options})
    state = action.facts(given, params)
    plan = action.plan(state, params)
    assert plan
    after = action.after(state, plan, params)
    assert not action.plan(after, params)
    assert action.verify(after, params) is None
    with pytest.raises(BadInput, match='did you mean "hides"'):
        action.facts({"hide": []}, params)
