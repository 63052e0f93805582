"""P4: a click that arrives while a run is going to sleep, or while another click arrives, is never lost and never counts twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot.domain import effects
from bot.domain.people import Actor
from bot.domain.ports import Store
from bot.domain.routing import Route, Routing
from bot.domain.run import Run, RunState
from bot.domain.runbook import Runbook
from bot.domain.signal import Signal
from bot.domain.storm import Storm
from bot.errors import BadInput
from bot.flow.review import Review
from tests.support.fakes import PlainTemplates
from tests.support.house import ADA, BOB, FIX, House, rules
from tests.support.stores import KINDS, opened

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

CASES = {"memory": 400, "sqlite": 150, "postgres": 150}
RUNS_OF_AN_INCIDENT = 25  # each is read again for every card
LONGEST_HEAD_START = 30  # turns of the event loop


@dataclass(frozen=True)
class Race:
    """Where runs wait for clicks; `cases` of them."""

    house: House
    cases: int

    async def runs(self, share: int = 1) -> AsyncIterator[Run]:
        """Runs that wait for approval, one after the other; the cases divided by `share`."""
        for number in range(1, self.cases // share + 1):
            incident = (number - 1) // RUNS_OF_AN_INCIDENT + 1
            if (number - 1) % RUNS_OF_AN_INCIDENT == 0:
                await self.house.receive(
                    self.house.alert("Other", fingerprint=f"f{incident}", service=f"shop{incident}")
                )
            run = await self.house.runbooks.start(incident, "fix-it", {"name": f"s{number}"}, BOB)
            await self.house.settle()
            run = await self.house.run(run.id)
            assert run.state is RunState.WAITING
            yield run

    def times_done(self, run: Run) -> int:
        return self.house.action.writes_done.count(run.key(run.steps[0]))


@pytest.fixture(params=KINDS)
async def race(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Race]:
    async with opened(request.param, folder) as store:
        many = Signal(Routing(Route(policy="shop")), storm=Storm(more_than=0))  # each incident on its own
        yield Race(House(store, rules(signal=many)), CASES[request.param])


async def said(answer: Awaitable[str]) -> str:
    try:
        return await answer
    except BadInput as refused:
        return f"refused: {refused}"


async def later(turns: int, work: Awaitable[object]) -> object:
    for _ in range(turns):
        await asyncio.sleep(0)
    return await work


def click(house: House, run: Run, actor: Actor) -> Awaitable[str]:
    assert run.current.plan is not None
    return said(house.decisions.approve(run.id, "set", run.current.plan.digest, actor))


async def wake(house: House, run: Run) -> None:
    """Something else asks the run to look; it finds nothing to do and goes to sleep again."""
    await house.store.write(lambda tx: tx.ask([effects.advance_run(run.id, run.current.id, house.clock())]))


async def test_a_click_while_the_run_goes_to_sleep(race: Race) -> None:
    dice, house = random.Random(61), race.house
    async for run in race.runs():
        await wake(house, run)
        turns = dice.randrange(LONGEST_HEAD_START)
        first, second = house.worker.drain(), click(house, run, ADA)
        if dice.random() < 0.5:
            await asyncio.gather(first, later(turns, second))
        else:
            await asyncio.gather(later(turns, first), second)
        await house.settle()
        after = await house.run(run.id)
        assert after.state is RunState.SUCCEEDED, f"{run.ref}: the click was lost; {after.state}"
        assert len(after.steps[0].approvals) == 1, run.ref
        assert race.times_done(run) == 1, run.ref


async def test_two_clicks_at_once_while_the_run_goes_to_sleep(race: Race) -> None:
    dice, house = random.Random(400), race.house
    async for run in race.runs(share=3):
        await wake(house, run)
        clicks = asyncio.gather(click(house, run, ADA), click(house, run, dice.choice([ADA, BOB])))
        answers, _ = await asyncio.gather(clicks, later(dice.randrange(LONGEST_HEAD_START), house.worker.drain()))
        await house.settle()
        after = await house.run(run.id)
        assert after.state is RunState.SUCCEEDED, f"{run.ref}: {answers}"
        assert len([one for one in answers if one.startswith("Approved")]) == 1, f"{run.ref}: {answers}"
        assert len(after.steps[0].approvals) == 1, f"{run.ref}: {answers}"
        assert race.times_done(run) == 1, run.ref


async def test_a_yes_and_a_no_at_once(race: Race) -> None:
    dice, house = random.Random(17), race.house
    async for run in race.runs(share=3):
        assert run.current.plan is not None
        refusal = said(house.decisions.refuse(run.id, "set", run.current.plan.digest, BOB))
        drained = later(dice.randrange(20), house.worker.drain())
        yes, no, _ = await asyncio.gather(later(dice.randrange(5), click(house, run, ADA)), refusal, drained)
        await house.settle()
        approved = str(yes).startswith("Approved")
        expected = (RunState.SUCCEEDED, 1) if approved else (RunState.REFUSED, 0)
        assert ((await house.run(run.id)).state, race.times_done(run)) == expected, f"{run.ref}: {yes} {no}"
        assert str(no).startswith("refused:") == approved, f"{run.ref}: {yes} {no}"


async def test_a_click_in_the_moment_in_which_the_question_expires(race: Race) -> None:
    dice, house = random.Random(5), race.house
    async for run in race.runs(share=3):
        assert run.current.expires_at is not None
        house.clock.now = run.current.expires_at
        drained = later(dice.randrange(10), house.worker.drain())
        answer, _ = await asyncio.gather(later(dice.randrange(10), click(house, run, ADA)), drained)
        await house.settle()
        approved = str(answer).startswith("Approved")
        expected = (RunState.SUCCEEDED, 1) if approved else (RunState.EXPIRED, 0)
        assert ((await house.run(run.id)).state, race.times_done(run)) == expected, f"{run.ref}: {answer}"


TWO = {
    **{name: getattr(FIX, name) for name in ("title", "match", "params", "approve")},
    "name": "fix-it",
    "steps": [
        {"id": "before", "action": "fake.set", "with": {"name": "{{ params.name }} before", "to": 5}},
        {"id": "set", "action": "fake.set", "with": {"name": "{{ params.name }}", "to": 5}},
    ],
}


async def test_a_click_while_the_incident_ends_counts_or_says_that_it_does_not(race: Race) -> None:
    """A run that has changed something goes on after its incident; one that still asks when that is reviewed is over."""
    dice, house = random.Random(29), race.house
    house.rules = replace(house.rules, runbooks={"fix-it": Runbook.model_validate(TWO)})
    for number in range(1, race.cases // 6 + 1):
        await house.receive(house.alert("Other", fingerprint=f"f{number}", service=f"shop{number}"))
        run = await house.runbooks.start(number, "fix-it", {"name": f"s{number}"}, BOB)
        await house.settle()
        await said(house.decisions.approve(run.id, "before", digest(await house.run(run.id)), ADA))
        await house.settle()
        run = await house.run(run.id)
        assert run.current.id == "set"
        await house.incidents.resolve(number, ADA)
        reviewed = later(dice.randrange(20), house.worker.drain())
        answer, _ = await asyncio.gather(later(dice.randrange(60), click(house, run, ADA)), reviewed)
        await house.settle()
        after, approved = await house.run(run.id), str(answer).startswith("Approved")
        done = house.action.writes_done.count(run.key(run.steps[1]))
        expected = (RunState.SUCCEEDED, 1) if approved else (RunState.EXPIRED, 0)
        assert (after.state, done) == expected, f"{run.ref}: {answer}"


def digest(run: Run) -> str:
    assert run.current.plan is not None
    return run.current.plan.digest


class Between:
    """A store in which something is committed just after the runs of an incident were looked at."""

    def __init__(self, inner: Store, between: Callable[[], Awaitable[Any]]) -> None:
        self._inner = inner
        self._between = between

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await self._inner.write(lambda tx: work(_Looking(tx, self._between)))


class _Looking:
    def __init__(self, tx: Any, between: Callable[[], Awaitable[Any]]) -> None:
        self._tx = tx
        self._between = between

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)

    async def runs_of(self, incident_id: int) -> Any:
        found = await self._tx.runs_of(incident_id)
        await self._between()
        return found


async def test_a_click_after_the_review_has_looked_is_not_lost(folder: Path) -> None:
    """Only PostgreSQL lets a click commit inside another transaction."""
    async with opened("postgres", folder) as store:
        house = House(store)
        house.rules = replace(house.rules, runbooks={"fix-it": Runbook.model_validate(TWO)})
        await house.receive(house.alert("Other"))
        run = await house.runbooks.start(1, "fix-it", {"name": "s1"}, BOB)
        await house.settle()
        await house.decisions.approve(run.id, "before", digest(await house.run(run.id)), ADA)
        await house.settle()
        waiting = await house.run(run.id)
        answers: list[str] = []

        async def clicked() -> None:
            answers.append(await click(house, waiting, ADA))

        await house.incidents.resolve(1, ADA)
        between: Any = Between(store, clicked)
        house.handlers |= Review(between, house.room, house.clock, PlainTemplates(), house.documents).handlers()
        house.worker._handlers = house.handlers
        await house.settle()
        assert answers[0].startswith("Approved")
        after = await house.run(run.id)
        assert (after.state, house.world["s1"]) == (RunState.SUCCEEDED, 5)
