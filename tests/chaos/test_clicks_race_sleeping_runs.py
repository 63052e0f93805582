"""P4: a click that arrives while a run is going to sleep, or while another click arrives, is never lost and never counts twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest

from bot.domain import effects
from bot.domain.people import Actor
from bot.domain.run import Run, RunState
from bot.errors import BadInput
from tests.support.house import ADA, BOB, House
from tests.support.stores import KINDS, opened

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

CASES = 400
LONGEST_HEAD_START = 30  # turns of the event loop


@pytest.fixture(params=KINDS)
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(request.param, tmp_path) as store:
        yield House(store)


async def waiting_run(house: House, number: int) -> Run:
    """A new incident whose run waits for approval."""
    house.world[f"s{number}"] = 1
    await house.receive(house.alert(service=f"s{number}", fingerprint=f"f{number}"))
    await house.settle()
    run = await house.run(number)
    assert run.state is RunState.WAITING
    return run


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
    return said(house.runbooks.approve(run.id, "set", run.current.plan.digest, actor))


async def wake(house: House, run: Run) -> None:
    """Something else asks the run to look; it finds nothing to do and goes to sleep again."""
    await house.store.write(lambda tx: tx.ask([effects.advance_run(run.id, house.clock())]))


async def test_a_click_while_the_run_goes_to_sleep(house: House) -> None:
    dice = random.Random(61)
    for number in range(1, CASES + 1):
        run = await waiting_run(house, number)
        await wake(house, run)
        turns = dice.randrange(LONGEST_HEAD_START)
        first, second = house.worker.drain(), click(house, run, ADA)
        if dice.random() < 0.5:
            await asyncio.gather(first, later(turns, second))
        else:
            await asyncio.gather(later(turns, first), second)
        await house.settle()
        after = await house.run(number)
        assert after.state is RunState.SUCCEEDED, f"case {number}: the click was lost; {after.state}"
        assert len(after.steps[0].approvals) == 1, f"case {number}"
    assert Counter(house.action.writes_done) == Counter({f"tocsin-run-{n}-set": 1 for n in range(1, CASES + 1)})


async def test_two_clicks_at_once_while_the_run_goes_to_sleep(house: House) -> None:
    dice = random.Random(400)
    for number in range(1, CASES // 4 + 1):
        run = await waiting_run(house, number)
        await wake(house, run)
        clicks = [click(house, run, ADA), click(house, run, dice.choice([ADA, BOB]))]
        answers, _ = await asyncio.gather(asyncio.gather(*clicks), later(dice.randrange(LONGEST_HEAD_START), house.worker.drain()))
        await house.settle()
        after = await house.run(number)
        assert after.state is RunState.SUCCEEDED, f"case {number}: {answers}"
        assert len([one for one in answers if one.startswith("Approved")]) == 1, f"case {number}: {answers}"
        assert (await house.kinds(number)).count("run_approved") == 1, f"case {number}"
    assert set(Counter(house.action.writes_done).values()) == {1}


async def test_a_yes_and_a_no_at_once(house: House) -> None:
    dice = random.Random(17)
    for number in range(1, CASES // 4 + 1):
        run = await waiting_run(house, number)
        assert run.current.plan is not None
        refusal = said(house.runbooks.refuse(run.id, "set", run.current.plan.digest, BOB))
        yes, no, _ = await asyncio.gather(
            later(dice.randrange(5), click(house, run, ADA)), refusal, later(dice.randrange(20), house.worker.drain())
        )
        await house.settle()
        after, done = await house.run(number), house.action.writes_done.count(f"tocsin-run-{number}-set")
        expected = (RunState.SUCCEEDED, 1) if str(yes).startswith("Approved") else (RunState.REFUSED, 0)
        assert (after.state, done) == expected, f"case {number}: {yes} {no}"
        assert str(no).startswith("refused:") == str(yes).startswith("Approved"), f"case {number}: {yes} {no}"


async def test_a_click_in_the_moment_in_which_the_question_expires(house: House) -> None:
    dice = random.Random(5)
    for number in range(1, CASES // 4 + 1):
        run = await waiting_run(house, number)
        assert run.current.expires_at is not None
        house.clock.now = run.current.expires_at
        answer, _ = await asyncio.gather(
            later(dice.randrange(10), click(house, run, ADA)), later(dice.randrange(10), house.worker.drain())
        )
        await house.settle()
        after, done = await house.run(number), house.action.writes_done.count(f"tocsin-run-{number}-set")
        approved = str(answer).startswith("Approved")
        assert (after.state, done) == ((RunState.SUCCEEDED, 1) if approved else (RunState.EXPIRED, 0)), f"case {number}: {answer}"
