"""One alert all the way: channel, page, fix, resolved, post-mortem; over a memory store with fakes at the ports."""

from __future__ import annotations

import json

import pytest

from bot.domain.incident import State
from bot.domain.run import RunState
from bot.domain.step import StepState
from bot.domain.timeline import first_broken
from bot.errors import BadInput
from bot.store import open_store
from tests.support.house import ADA, BOB, MALLORY, House


@pytest.fixture
async def house() -> House:
    return House(await open_store("memory://"))


async def test_an_alert_opens_one_incident_with_a_channel_a_card_a_page_and_an_offered_plan(house: House) -> None:
    (verdict,) = await house.receive(house.alert())
    assert verdict.outcome == "opened"
    assert verdict.incident_id == 1
    await house.settle()
    assert house.room.said("open_channel") == [("open_channel", "inc-1-checkout-broken")]
    assert house.room.said("card") == [("card", "INC-1")]
    assert house.room.said("page") == [("page", "person:ada", "1")]
    run = await house.run()
    assert run.state is RunState.WAITING
    assert run.current.plan is not None
    assert run.current.plan.lines() == ["  number checkout", "- value: 1", "+ value: 5"]
    assert house.world == {"checkout": 1}


async def test_the_approved_plan_is_done_once_verified_and_mitigates(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    run = await house.run()
    await house.incidents.acknowledge(1, ADA)
    assert run.current.plan is not None
    answer = await house.decisions.approve(1, "set", run.current.plan.digest, ADA)
    assert answer == "Approved: RUN-1 goes on."
    await house.settle()
    run = await house.run()
    assert run.state is RunState.SUCCEEDED
    assert house.world == {"checkout": 5}
    assert house.action.writes_done == ["tocsin-run-1-set"]
    assert (await house.incident()).state is State.MITIGATED


async def test_the_resolve_of_the_last_alert_resolves_and_the_post_mortem_is_shared_once(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    house.clock.forward(minutes=3)
    await house.receive(house.alert(firing=False))
    await house.settle()
    await house.wait(minutes=2)
    incident = await house.incident()
    assert incident.state is State.RESOLVED
    assert incident.postmortem_path == "memory/INC-1.md"
    assert len(house.room.said("share_postmortem")) == 1
    facts = json.loads(house.documents.files["INC-1.md"])
    assert facts["times"]["resolve"] == 180
    timeline = (await house.incidents.show(1)).timeline
    assert first_broken(timeline) is None
    _, again = await house.review.draft(1)
    assert again == house.documents.files["INC-1.md"]


async def test_a_run_that_waits_for_a_click_ends_when_its_incident_resolves(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    await house.receive(house.alert(firing=False))
    await house.settle()
    run = await house.run()
    assert run.state is RunState.EXPIRED
    assert house.world == {"checkout": 1}
    assert run.current.plan is not None
    with pytest.raises(BadInput, match="not waiting for this approval any more"):
        await house.decisions.approve(1, "set", run.current.plan.digest, ADA)


async def test_the_same_alert_again_and_again_is_one_incident_and_says_nothing_new(house: House) -> None:
    alert = house.alert()
    await house.receive(alert)
    await house.settle()
    acts = len(house.room.acts)
    for _ in range(20):
        (verdict,) = await house.receive(alert)
        assert verdict.outcome == "repeated"
        assert verdict.reason == "it is firing already and belongs to INC-1"
    await house.settle()
    assert len(house.room.acts) == acts


async def test_a_problem_that_comes_back_in_time_reopens_its_incident_and_pages_anew(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=10)
    (verdict,) = await house.receive(house.alert())
    assert verdict.outcome == "reopened"
    await house.settle()
    incident = await house.incident()
    assert incident.state is State.TRIGGERED
    assert incident.epoch == 2
    assert len(house.room.said("page")) == 2
    assert len(house.room.said("open_channel")) == 1


async def test_a_problem_that_comes_back_too_late_is_a_new_incident(house: House) -> None:
    await house.receive(house.alert())
    await house.receive(house.alert(firing=False))
    house.clock.forward(minutes=31)
    await house.housekeeping.tidy()
    (verdict,) = await house.receive(house.alert())
    assert (verdict.outcome, verdict.incident_id) == ("opened", 2)
    assert (await house.incident(1)).state is State.CLOSED


async def test_an_incident_resolved_by_hand_opens_again_when_its_alert_goes_on_firing(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    await house.incidents.resolve(1, BOB, "it looks fine")
    await house.settle()
    (verdict,) = await house.receive(house.alert())
    assert verdict.outcome == "repeated"
    house.clock.forward(minutes=31)
    (verdict,) = await house.receive(house.alert())
    assert (verdict.outcome, verdict.incident_id) == ("opened", 2)


async def test_a_burst_in_one_delivery_is_one_incident_that_counts_every_alert(house: House) -> None:
    burst = [house.alert(fingerprint=f"f{number}", pod=f"pod-{number}") for number in range(30)]
    verdicts = await house.receive(*burst)
    assert [verdict.outcome for verdict in verdicts] == ["opened"] + ["joined"] * 29
    incident = await house.incident()
    assert (incident.firing, incident.alerts) == (30, 30)
    await house.receive(*[house.alert(firing=False, fingerprint=f"f{number}") for number in range(30)])
    assert (await house.incident()).state is State.RESOLVED


async def test_firing_and_resolving_within_one_delivery_opens_and_resolves(house: House) -> None:
    verdicts = await house.receive(house.alert(), house.alert(firing=False))
    assert [verdict.outcome for verdict in verdicts] == ["opened", "resolved"]
    assert (await house.incident()).state is State.RESOLVED


async def test_a_resolve_for_an_unknown_alert_does_nothing_and_says_so(house: House) -> None:
    (verdict,) = await house.receive(house.alert(firing=False))
    assert verdict.outcome == "ignored"
    assert "nothing to resolve" in verdict.reason
    assert await house.incidents.listing(only_open=False) == ()


class TestClicksThatMustNotCount:
    async def test_a_click_by_somebody_outside_the_role(self, house: House) -> None:
        await house.receive(house.alert())
        await house.settle()
        run = await house.run()
        assert run.current.plan is not None
        with pytest.raises(BadInput, match="Only the role responders may approve"):
            await house.decisions.approve(1, "set", run.current.plan.digest, MALLORY)
        await house.settle()
        assert house.world == {"checkout": 1}

    async def test_a_click_on_another_plan(self, house: House) -> None:
        await house.receive(house.alert())
        await house.settle()
        with pytest.raises(BadInput, match="The plan of RUN-1 has changed"):
            await house.decisions.approve(1, "set", "0" * 16, ADA)

    async def test_a_second_click(self, house: House) -> None:
        await house.receive(house.alert())
        await house.settle()
        run = await house.run()
        assert run.current.plan is not None
        await house.decisions.approve(1, "set", run.current.plan.digest, ADA)
        with pytest.raises(BadInput, match="not waiting for this approval any more"):
            await house.decisions.approve(1, "set", run.current.plan.digest, BOB)
        await house.settle()
        assert len(house.action.writes_done) == 1

    async def test_a_click_after_the_expiry(self, house: House) -> None:
        await house.receive(house.alert())
        await house.settle()
        run = await house.run()
        assert run.current.plan is not None
        await house.wait(minutes=31)
        assert (await house.run()).state is RunState.EXPIRED
        with pytest.raises(BadInput):
            await house.decisions.approve(1, "set", run.current.plan.digest, ADA)
        assert house.world == {"checkout": 1}


class TestWhatHappensBetweenApprovalAndAct:
    async def approved(self, house: House) -> None:
        await house.receive(house.alert())
        await house.settle()
        run = await house.run()
        assert run.current.plan is not None
        await house.decisions.approve(1, "set", run.current.plan.digest, ADA)

    async def test_drift_shows_the_new_plan_and_asks_again(self, house: House) -> None:
        await self.approved(house)
        house.world["checkout"] = 2
        await house.settle()
        run = await house.run()
        assert run.state is RunState.WAITING
        assert run.current.drifted
        assert run.current.approvals == ()
        assert house.world == {"checkout": 2}
        assert run.current.plan is not None
        await house.decisions.approve(1, "set", run.current.plan.digest, BOB)
        await house.settle()
        assert (await house.run()).state is RunState.SUCCEEDED
        assert house.world == {"checkout": 5}

    async def test_drift_at_the_last_moment_is_refused_by_the_world_and_asked_again(self, house: House) -> None:
        await self.approved(house)

        def meddle() -> None:
            house.world["checkout"] = 3
            house.action.before_do.clear()

        house.action.before_do.append(meddle)
        await house.settle()
        run = await house.run()
        assert run.state is RunState.WAITING
        assert house.action.writes_done == []

    async def test_a_lost_answer_is_looked_for_before_anything_is_repeated(self, house: House) -> None:
        await self.approved(house)
        house.action.lose_answers = 1
        await house.settle()
        await house.wait(minutes=1)
        assert (await house.run()).state is RunState.SUCCEEDED
        assert house.action.writes_done == ["tocsin-run-1-set"]

    async def test_somebody_elses_fix_counts_and_nothing_is_done(self, house: House) -> None:
        await self.approved(house)
        house.world["checkout"] = 5
        await house.settle()
        run = await house.run()
        assert run.state is RunState.SUCCEEDED
        assert house.action.writes_done == []
        assert run.current.state is StepState.DONE
        assert (await house.incident()).state is State.TRIGGERED
