"""P4 for runs that use everything the language has: the program is stopped dead before and after every commit of a run, and at every act with
its answer lost; a new one over the same database goes on. No step takes effect twice, every run ends or asks a person, nothing is left running.

The program is cut off within this process: nothing that it remembers is used again but the store, here the one in memory, which the contract tests
hold to be as good as the databases. kill -9 of a real process over SQLite is in test_killed_at_every_commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bot.domain.incident import State
from bot.domain.ports import Store
from bot.domain.run import Run, RunState
from bot.domain.step import StepState
from bot.errors import BadInput, TryLater
from bot.store import open_store
from tests.flow.run_house import book, policy, sets
from tests.support.clock import HandClock
from tests.support.house import ADA, BOB, House, rules

pytestmark = pytest.mark.chaos

INNER = book(sets("put", name="called", to="{{ params.to }}"), name="inner", params={"to": {"type": "integer"}})
EVERYTHING = book(
    {"id": "which", "action": "ask", "with": {"question": "Which?", "choices": ["one", "other"]}},
    {"id": "both", "parallel": [sets("left", name="left"), sets("right", name="right")]},
    sets("each", name="{{ item }}", foreach=["a", "b", "c"], at_once=2, most=3),
    {"id": "more", "call": "inner", "with": {"to": "7"}},
    {"id": "rest", "action": "wait", "with": {"for": "PT1M"}},
    {"id": "tell", "action": "slack.post", "with": {"channel": "ops", "text": "half way"}},
    sets("last", name="last", verify={"until": "state.value > 99", "within": "PT10S", "every": "PT5S"}),
    on_failure="undo",
)
AFTERWARDS = dict.fromkeys(("left", "right", "a", "b", "c", "called", "last"), 0) | {"checkout": 1}


class Killed(BaseException):
    """The program is gone at this point."""


@dataclass
class Death:
    """`at`: the commit or act, counted over all lives from 1 (0: never) once it is `armed`; `what`: what dies there."""

    what: str = "none"
    at: int = 0
    seen: int = 0
    armed: bool = False

    def strikes(self, what: str) -> bool:
        if what != self.what or not self.armed:
            return False
        self.seen += 1
        return self.seen == self.at


class MortalStore:
    def __init__(self, inner: Store, death: Death) -> None:
        self._inner = inner
        self._death = death
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, work: Any) -> Any:
        return await self._commit(lambda: self._inner.write(work))

    async def claim(self, *args: Any) -> Any:
        """Dead before it, nothing is different; dead after it, something is leased."""
        claimed = await self._inner.claim(*args)
        if claimed and self._death.strikes("claim"):
            raise Killed
        return claimed

    async def _commit(self, commit: Callable[[], Any]) -> Any:
        self.commits += 1
        if self._death.strikes("before"):
            raise Killed
        result = await commit()
        if self._death.strikes("after"):
            raise Killed
        return result


class Lives:
    """A program that is started again whenever it was killed; the world, the people and the clock outlive it."""

    def __init__(self, death: Death, *, safe: bool = True) -> None:
        self._kept: Store | None = None
        self.death = death
        self._safe = safe
        self.world: dict[str, int] = {"checkout": 1}
        self.effects: Counter[tuple[str, int]] = Counter()
        self.posts: Counter[str] = Counter()
        self.clock = HandClock()
        self.commits = self.acts = self.lives = 0
        self._house: House | None = None

    async def house(self) -> House:
        if self._house is None:
            self.lives += 1
            self._kept = self._kept or await open_store("memory://")
            store = MortalStore(self._kept, self.death)
            given = policy(runbooks={"undo": "auto"})
            house = House(store, rules(runbooks={"mine": EVERYTHING, "inner": INNER}, actions=given), clock=self.clock)  # type: ignore[arg-type]
            house.action.world = house.world = self.world
            house.action.safe = self._safe
            house.action.after_do = [self._acted]
            await house.worker.take_back()
            self._house = house
        return self._house

    def _acted(self, name: str, value: int) -> None:
        """The world has changed; the answer may be lost, and the program with it."""
        self.effects[name, value] += 1
        self.acts += 1
        if self.death.strikes("act"):
            raise Killed
        if self.death.strikes("answer"):
            raise TryLater("the answer was lost", uncertain=True)

    async def alive(self, what: Callable[[House], Any]) -> None:
        """Do it, over deaths if need be: whoever was not answered asks again."""
        while True:
            try:
                house = await self.house()
                await what(house)
                return
            except Killed:
                self.posts.update(act[2] for act in house.room.said("post"))
                self.commits += house.store.commits  # type: ignore[attr-defined]
                self._house = None
                assert self.lives < 4, "it dies again and again"

    async def runs(self) -> list[Run]:
        house = await self.house()
        return list(reversed(await house.store.read(lambda tx: tx.recent_runs())))

    async def story(self) -> list[Run]:
        """From the alert to the end of all runs; people answer and approve whatever asks."""
        await self.alive(_incident)
        await self.alive(lambda house: house.settle())
        self.death.armed = True
        before = (await self.house()).store.commits  # type: ignore[attr-defined]
        await self.alive(_started)
        for _ in range(60):
            await self.alive(lambda house: house.settle())
            await self.alive(_click)
            await self.alive(lambda house: house.settle())
            runs = await self.runs()
            if len(runs) > 1 and all(run.ended for run in runs):
                break
            if any(run.state is RunState.UNSURE for run in runs):
                break
            self.clock.forward(seconds=5)
        house = await self.house()
        self.posts.update(act[2] for act in house.room.said("post"))
        self.commits += house.store.commits - before  # type: ignore[attr-defined]
        return await self.runs()


async def _incident(house: House) -> None:
    if not await house.incidents.listing():
        await house.receive(house.alert())


async def _started(house: House) -> None:
    if not await house.runbooks.history():
        await house.runbooks.start(1, "mine", {}, ADA)


async def _click(house: House) -> None:
    for run in await house.runbooks.history():
        for step in run.under_way:
            try:
                if step.state is StepState.WAITING and step.plan:
                    await house.decisions.approve(run.id, step.id, step.plan.digest, BOB)
                elif step.state is StepState.ASKING:
                    await house.decisions.answer(run.id, step.id, "one", BOB)
            except BadInput:
                continue  # the click before the kill has counted


def ending(runs: list[Run]) -> list[Any]:
    return [(run.state, {step.id: step.state for step in run.steps}, run.undoes, run.undone_by) for run in runs]


async def test_the_story_without_a_kill_takes_everything_back() -> None:
    lives = Lives(Death())
    first, undo = await lives.story()
    assert (first.state, undo.state) == (RunState.FAILED, RunState.SUCCEEDED)
    assert lives.world == AFTERWARDS
    assert set(lives.effects.values()) == {1}
    assert lives.posts == {"half way": 1}
    assert lives.lives == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ["before", "after", "claim", "act", "answer"])
async def test_a_run_that_is_cut_off_anywhere_ends_as_if_nothing_had_happened(what: str) -> None:
    calm = Lives(Death())
    wanted = ending(await calm.story())
    points = calm.acts if what in ("act", "answer") else calm.commits
    assert points > (10 if what in ("act", "answer") else 100)
    wrong = []
    for at in range(1, points + 1):
        lives = Lives(Death(what, at))
        found = ending(await lives.story())
        twice = [one for one, count in lives.effects.items() if count > 1]
        if found != wanted or lives.world != AFTERWARDS or twice or lives.posts["half way"] not in (1, 2):
            wrong.append((at, found, lives.world, twice))
    assert not wrong, f"{len(wrong)} of {points}: {wrong[:2]}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", ["act", "answer"])
async def test_an_act_that_must_not_be_repeated_is_never_repeated_and_a_person_is_asked(
    what: str,
) -> None:
    """An act that shows in the world is seen to be done, so the run goes on; what cannot be known ends as unsure. Never twice."""
    calm = Lives(Death(), safe=False)
    await calm.story()
    for at in range(1, calm.acts + 1):
        lives = Lives(Death(what, at), safe=False)
        runs = await lives.story()
        assert max(lives.effects.values()) == 1, f"{what} {at}"
        assert all(run.ended for run in runs), f"{what} {at}: {ending(runs)}"


async def test_a_killed_run_is_never_left_behind_by_the_end_of_its_incident() -> None:
    lives = Lives(Death("after", 12))
    await lives.alive(_incident)
    lives.death.armed = True
    await lives.alive(_started)
    await lives.alive(lambda house: house.settle())
    await lives.alive(lambda house: house.incidents.resolve(1, ADA))
    for _ in range(40):
        await lives.alive(lambda house: house.settle())
        lives.clock.forward(seconds=30)
    house = await lives.house()
    assert (await house.incident()).state in (State.RESOLVED, State.CLOSED)
    assert all(run.ended for run in await lives.runs())
