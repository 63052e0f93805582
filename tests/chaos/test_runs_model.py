"""P4 for any story: random runbooks, people, policies, worlds and deaths in any order (hypothesis), with the promises checked after every delivery.

The model knows nothing of how runs are made: it keeps its own ledger of who clicked on what, of what was done to the world, and of how it ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pydantic import BaseModel

from bot.domain.effects import advance_run
from bot.domain.people import TOCSIN, Actor, Directory
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.domain.policy import Policy
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.step import ACTING, StepRun, StepState
from bot.domain.timeline import first_broken
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.worker import LEASE
from bot.store.memory import MemoryStore
from tests.chaos.test_a_run_is_killed_anywhere import Death, Killed, MortalStore
from tests.flow.run_house import book, policy, sets
from tests.support.clock import HandClock
from tests.support.fakes import SetAction
from tests.support.house import ADA, BOB, MALLORY, PEOPLE, House, rules

pytestmark = pytest.mark.chaos

WHO = st.sampled_from([ADA, ADA, BOB, BOB, MALLORY])
ROLES: tuple[dict[str, tuple[str, ...]], ...] = (
    {"responders": ("ada", "bob")},
    {"responders": ("bob",)},
    {"responders": ("ada",), "others": ("bob",)},
)
NAMES = ("checkout", "b")
UNATTENDED = [{"actions": ["fake.*"], "namespaces": ["shop"], "unattended": True}]
FROZEN = [{"name": "frozen", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}]
POLICIES = {
    "usual": policy(runbooks={"break_glass": ["responders"]}),
    "auto": policy(allow=UNATTENDED, runbooks={"undo": "auto", "give_up": {"runs": 1}}),
    "nothing": Policy(),
    "frozen": policy(runbooks={"freeze": FROZEN, "break_glass": ["responders"]}),
    "frozen auto": policy(allow=UNATTENDED, runbooks={"freeze": FROZEN}),
    "cool": policy(runbooks={"cooldown": "PT10M", "runs_per_hour": 2, "break_glass": ["responders"]}),
}
OFTEN_USUAL = st.sampled_from(["usual", "usual", "auto", "auto", *sorted(POLICIES)])
TROUBLES = (
    "none",
    "refused",
    "lost before",
    "lost after",
    "fault",
    "overtaken before",
    "overtaken after",
    "slow",
    "dead",
)
SEQUELS = (["lost before", "refused"], ["lost after", "refused"], ["dead", "refused"], ["lost before", "fault", "none"])
CHECK = {"every": "PT5S", "within": "PT20S"}
ON_FAILURE = ("stop", "continue", "undo", "escalate", "end")


def pokes(step_id: str, name: str, **parts: Any) -> dict[str, Any]:
    return {"id": step_id, "action": "fake.poke", "with": {"name": name, "safe": parts.pop("safe", False)}, **parts}


def shape(number: int, on_failure: str, people: int, tries: int) -> Runbook:
    """A runbook of one of a few shapes."""
    retry: dict[str, Any] = {"retry": {"times": tries, "wait": "PT30S"}}
    bad: dict[str, Any] = {"verify": {"until": "state.value > 99", **CHECK}}
    shapes: tuple[list[dict[str, Any]], ...] = (
        [sets("one", **retry)],
        [pokes("one", "checkout", **retry), sets("two", name="b", **bad, **retry)],
        [sets("one", **retry), pokes("two", "checkout", safe=True, **retry)],
        [
            {
                "id": "both",
                "parallel": [sets("left", **retry), pokes("right", "b", **retry), sets("off", name="c", **bad)],
            }
        ],
        [sets("each", name="{{ item }}", to=6, foreach=["checkout", "b", "d"], at_once=2, **retry)],
        [{"id": "inner", "call": "inner"}, sets("after", name="b", to=8, **retry)],
        [_ask("which"), sets("one", **{"if": "steps.which.answer == 'yes'"}, **retry), sets("two", name="b", **retry)],
        [
            sets("one", to=3),
            {"id": "rest", "action": "wait", "with": {"for": "PT1M"}},
            _tell("tell"),
            pokes("two", "b"),
        ],
    )
    return book(
        *shapes[number % len(shapes)],
        name=f"book-{number}",
        on_failure=on_failure,
        approve={"people": people, "expires": "PT10M", "not_requester": number % 3 == 2},
        **({"start": "auto", "match": ['alertname="Broken"']} if number % 2 else {}),
    )


def _ask(step_id: str) -> dict[str, Any]:
    return {"id": step_id, "action": "ask", "with": {"question": "Well?", "choices": ["yes", "no"], "expires": "PT10M"}}


def _tell(step_id: str) -> dict[str, Any]:
    return {"id": step_id, "action": "slack.post", "with": {"channel": "ops", "text": "half way"}}


INNER = book(sets("put", to=4), pokes("push", "b"), name="inner")


class PokeParams(BaseModel):
    name: str
    safe: bool = False


class PokeAction(SetAction):
    """Something that does not show in the world: a message, a request. Whoever is poked knows each key once."""

    observable = False

    def __init__(self) -> None:
        super().__init__({})
        self.Params = PokeParams
        self.keys: Counter[str] = Counter()

    def repeatable(self, params: Any) -> bool:
        return bool(params.safe)

    def target(self, params: Any) -> Target:
        return Target(action="fake.poke", namespace="shop", name=params.name)

    async def look(self, params: Any) -> dict[str, Any]:
        return {"value": 0}

    def plan(self, state: Mapping[str, Any], params: Any) -> Plan:
        return Plan(target=f"poke {params.name}", diffs=(Diff(what="poke", before="no", after="yes"),))

    async def do(self, plan: Plan, params: Any, key: str) -> dict[str, Any]:
        self.keys[key] += 1
        return {}

    def verify(self, state: Mapping[str, Any], params: Any) -> str | None:
        return None

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Any) -> Undo | None:
        return Undo(action="fake.poke", with_={"name": params.name, "safe": params.safe})


@dataclass
class Ledger:
    """What the model knows itself: clicks that counted, by run, step and digest; acts whose end nobody knows; what was said."""

    yes: dict[tuple[int, str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    glass: set[tuple[int, str, str]] = field(default_factory=set)
    decided: Counter[str] = field(default_factory=Counter)
    unknown: dict[tuple[int, str], str] = field(default_factory=dict)
    acts: Counter[str] = field(default_factory=Counter)
    over: dict[tuple[int, str], StepState] = field(default_factory=dict)
    ended: dict[int, Run] = field(default_factory=dict)
    doing: dict[tuple[int, str, int], str] = field(default_factory=dict)


class Watched:
    """An action in front of the real one: what is about to be done must be allowed, and things go wrong as the story says."""

    def __init__(self, inner: Any, story: Story, house: House) -> None:
        self._inner = inner
        self._story = story
        self._house = house

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def do(self, plan: Plan, params: Any, key: str) -> dict[str, Any]:
        trouble = self._story.troubles.pop(0) if self._story.troubles else "none"
        act = self._story.about_to_act(plan, key, self.target(params))
        if trouble == "refused":
            raise GaveUp("forbidden")
        if trouble == "fault":
            raise KeyError("a fault")
        self._story.ledger.unknown[act] = key
        if trouble == "dead":
            raise Killed
        if trouble == "lost before":
            raise TryLater("no answer", uncertain=True)
        if trouble == "overtaken before":
            await self._overtaken()
        result: dict[str, Any] = await self._inner.do(plan, params, key)
        if trouble == "overtaken after":
            await self._overtaken()
        if trouble == "lost after":
            raise TryLater("the answer was lost", uncertain=True)
        if trouble == "slow":
            self._story.clock.forward(seconds=3)
        if self._story.ledger.unknown.get(act) == key and not trouble.startswith("overtaken"):
            del self._story.ledger.unknown[act]
        return result

    async def _overtaken(self) -> None:
        """The lease runs out while this is done, and another worker has a go."""
        self._story.clock.forward(seconds=LEASE.total_seconds() + 1)
        await self._story.other.worker.drain(3)


class Story(RuleBasedStateMachine):
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.kept = MemoryStore()
        self.clock = HandClock()
        self.death = Death()
        self.ledger = Ledger()
        self.troubles: list[str] = []
        self.wrong: list[str] = []
        self.world: dict[str, int] = {"checkout": 1}
        self.set, self.poke = SetAction(self.world), PokeAction()
        self.given = rules(actions=POLICIES["usual"])

    @initialize(
        picked=st.lists(
            st.tuples(st.integers(0, 7), st.sampled_from(ON_FAILURE), st.sampled_from([1, 1, 2]), st.integers(0, 2)),
            min_size=1,
            max_size=3,
            unique_by=lambda one: one[0],
        ),
        named=OFTEN_USUAL,
        further=st.integers(0, 15),
    )
    def begin(self, picked: list[tuple[int, str, int, int]], named: str, further: int) -> None:
        books = [shape(*one) for one in picked]
        self.given = replace(self.given, runbooks={one.name: one for one in (*books, INNER)}, actions=POLICIES[named])
        self.house, self.other = self._house("house"), self._house("other")
        self.act(self.house.receive(self.house.alert()))
        self.act(self.house.worker.drain(further))

    def _house(self, owner: str) -> House:
        """A program over the store that is kept."""
        store: Any = MortalStore(self.kept, self.death)
        house = House(store, self.given, clock=self.clock)
        house.worker._owner, house.worker._spread = owner, lambda: 1.0
        house.actions |= {
            "fake.set": Watched(self.set, self, house),
            "fake.poke": Watched(self.poke, self, house),
        }
        return house

    # ---------------------------------------------------------------------------------------- how things are done

    def act(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do it; if the program dies of it, another one begins."""
        try:
            return self.runner.run(work)
        except Killed:
            self.death.armed = False
            self.house = self._house("house")
            self.runner.run(self.house.worker.take_back())
            return None

    def click(self, kind: str, work: Callable[[], Coroutine[Any, Any, str]]) -> bool:
        """Whether it counted."""
        return bool(self.act(self._clicked(kind, work)))

    async def _clicked(self, kind: str, work: Callable[[], Coroutine[Any, Any, str]]) -> bool:
        try:
            await work()
        except BadInput:
            return False
        self.ledger.decided[kind] += 1
        return True

    @property
    def runs(self) -> list[Run]:
        return sorted(self.kept._tables.runs.values(), key=lambda run: run.id)

    def some_run(self, pick: int) -> Run | None:
        going = [run for run in self.runs if not run.ended] or self.runs
        return going[pick % len(going)] if going else None

    def asking(self, pick: int, *states: StepState) -> tuple[Run, StepRun] | None:
        found = [(run, step) for run in self.runs for step in run.under_way if step.state in states]
        return found[pick % len(found)] if found else None

    def has_role(self, actor: Actor) -> bool:
        return self.given.directory.has_role(actor, "responders")

    def is_told(self, kind: str) -> int:
        return sum(entry.kind == kind for entries in self.kept._tables.timeline.values() for entry in entries)

    # ---------------------------------------------------------------------------------------- what people do

    @rule(pick=st.integers(0, 5), actor=WHO)
    def start(self, pick: int, actor: Actor) -> None:
        names = sorted(self.given.runbooks)
        name = names[pick % len(names)]
        self.click("started", lambda: self._started(name, actor))

    async def _started(self, name: str, actor: Actor) -> str:
        newest = max(self.kept._tables.incidents)
        return (await self.house.runbooks.start(newest, name, {}, actor)).ref

    @rule(
        pick=st.integers(0, 5),
        actor=WHO,
        right=st.sampled_from([True, True, True, False]),
        delivered=st.sampled_from([0, 0, 3]),
    )
    def approve(self, pick: int, actor: Actor, right: bool, delivered: int) -> None:
        """Also while something is being delivered."""
        found = self.asking(pick, StepState.WAITING)
        if found is None:
            return
        run, step = found
        assert step.plan is not None
        key = (run.id, step.id, step.plan.digest)
        digest = step.plan.digest if right else "0" * 16
        known = actor.id in self.ledger.yes[key]
        may = right and self.has_role(actor) and not known
        fresh = step.expires_at is not None and self.clock() < step.expires_at
        self.ledger.yes[key].add(actor.id)  # before the click: it may be acted upon before its answer is here

        async def both() -> bool:
            clicking = self._clicked(
                "run_approved", lambda: self.house.decisions.approve(run.id, step.id, digest, actor)
            )
            return (await asyncio.gather(clicking, self.other.worker.drain(delivered)))[0]

        counted = self.act(both())
        assert not counted or (may and fresh), f"{actor.name} approved {run.ref} {step.id} and must not"
        if not counted and not known:
            self.ledger.yes[key].discard(actor.id)

    @rule(
        troubles=st.lists(st.sampled_from(TROUBLES), max_size=3) | st.sampled_from(SEQUELS),
        drifts=st.sampled_from([False, False, True]),
        times=st.integers(1, 4),
        further=st.integers(0, 8),
    )
    def all_goes_on(self, troubles: list[str], drifts: bool, times: int, further: int) -> None:
        """What waits is approved and delivered; then things go wrong, and everything stops somewhere."""
        for _ in range(times):
            self.settle()
            for pick, actor in product(range(len(self.runs)), (BOB, ADA)):
                self.approve(pick, actor, True, 0)
            self.troubles = list(troubles)
        if drifts:
            self.drift("checkout", 9)
        for _ in range(further):
            self.act(self.house.worker.drain(1))
            self.promises_hold()
            self.clock.forward(seconds=1)

    @rule(pick=st.integers(0, 5), actor=WHO)
    def break_glass(self, pick: int, actor: Actor) -> None:
        found = self.asking(pick, StepState.WAITING)
        if found is None or found[1].plan is None:
            return
        run, step = found
        digest = found[1].plan.digest
        work = lambda: self.house.decisions.break_glass(run.id, step.id, digest, "the shop is down", actor)  # noqa: E731
        if self.click("run_glass_broken", work):
            assert self.given.actions.runbooks.break_glass
            assert self.has_role(actor)
            self.ledger.glass.add((run.id, step.id, digest))

    @rule(pick=st.integers(0, 5), actor=WHO)
    def refuse(self, pick: int, actor: Actor) -> None:
        found = self.asking(pick, StepState.WAITING)
        if found is None or found[1].plan is None:
            return
        run, step = found
        digest = found[1].plan.digest
        self.click("refused", lambda: self.house.decisions.refuse(run.id, step.id, digest, actor))

    @rule(pick=st.integers(0, 5), actor=WHO, answer=st.sampled_from(["yes", "no", "?"]))
    def answer(self, pick: int, actor: Actor, answer: str) -> None:
        found = self.asking(pick, StepState.ASKING)
        if found is not None:
            run, step = found
            self.click("run_answered", lambda: self.house.decisions.answer(run.id, step.id, answer, actor))

    @rule(
        pick=st.integers(0, 5),
        actor=WHO,
        what=st.sampled_from(["pause", "resume", "resume", "cancel", "undo", "undo"]),
        delivered=st.sampled_from([0, 0, 2]),
    )
    def steer(self, pick: int, actor: Actor, what: str, delivered: int) -> None:
        run = self.runs[pick % len(self.runs)] if what == "undo" and self.runs else self.some_run(pick)
        if run is None:
            return
        before = run.state

        async def both() -> bool:
            clicking = self._clicked(what, lambda: getattr(self.house.decisions, what)(run.id, actor))
            return (await asyncio.gather(clicking, self.other.worker.drain(delivered)))[0]

        counted = self.act(both())
        assert not counted or any(self.given.directory.has_role(actor, role) for role in self.given.directory.roles)
        assert not counted or what == "undo" or not run.ended, f"{what} of a run that is {before}"

    # ---------------------------------------------------------------------------------------- what the world does

    @rule(firing=st.booleans())
    def alert(self, firing: bool) -> None:
        self.act(self.house.receive(self.house.alert(firing=firing)))

    @rule(name=st.sampled_from(NAMES), value=st.integers(0, 9))
    def drift(self, name: str, value: int) -> None:
        self.world[name] = value
        self.ledger.acts.clear()  # what is done again after this is done to another world

    @rule(seconds=st.sampled_from([1, 5, 6, 31, 61, 301, 601, 901]))
    def time_passes(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    @rule(what=st.sampled_from(TROUBLES))
    def trouble_comes(self, what: str) -> None:
        self.troubles = [what]

    @rule(named=OFTEN_USUAL)
    def policy_changes(self, named: str) -> None:
        self._now_given(replace(self.given, actions=POLICIES[named]))

    @rule(roles=st.sampled_from(ROLES))
    def roles_change(self, roles: dict[str, tuple[str, ...]]) -> None:
        self._now_given(replace(self.given, directory=Directory(people=PEOPLE, roles=roles)))

    def _now_given(self, new: Any) -> None:
        self.given = self.house.rules = self.other.rules = new

    # ---------------------------------------------------------------------------------------- what the program does

    @rule(times=st.integers(1, 6))
    def deliver(self, times: int) -> None:
        for _ in range(times):
            self.act(self.house.worker.drain(1))
            self.promises_hold()

    @rule()
    def settle(self) -> None:
        for _ in range(60):
            if not self.act(self.house.worker.drain(1)):
                return
            self.promises_hold()

    @rule(times=st.integers(1, 4))
    def deliver_by_both(self, times: int) -> None:
        async def both() -> None:
            await asyncio.gather(self.house.worker.drain(times), self.other.worker.drain(times))

        self.troubles = []  # two that act, and one of them dies, is two stories
        self.act(both())

    @rule(what=st.sampled_from(["before", "after", "claim"]), at=st.integers(1, 6))
    def die(self, what: str, at: int) -> None:
        self.death.what, self.death.at, self.death.seen, self.death.armed = what, at, 0, True
        self.act(self.house.worker.drain(at + 1))
        self.death.armed = False

    # ---------------------------------------------------------------------------------------- what must hold

    def about_to_act(self, plan: Plan, key: str, target: Target) -> tuple[int, str]:
        """Called at every act. What is wrong is kept for later: an action that fails is nothing new to the worker."""
        try:
            run, step = self._right_to_act(plan, key, target)
        except AssertionError as error:
            self.wrong.append(str(error))
            raise
        return run.id, step.id

    def _right_to_act(self, plan: Plan, key: str, target: Target) -> tuple[Run, StepRun]:
        """It is of a step that is being done, as planned, of a run that has the target, and not for the second time."""
        found = [(run, step) for run in self.runs for step in run.steps if run.key(step) == key]
        assert len(found) == 1, f"{key} is the key of {len(found)} steps"
        run, step = found[0]
        assert (run.ended, step.state) == (False, StepState.DOING), f"{key}: {run.state}, {step.state}"
        assert step.plan is not None
        assert step.plan.digest == plan.digest, f"{key}: another plan than was approved"
        assert self.given.actions.refusal(target, plan) is None, f"{key}: policy does not allow it"
        assert self.kept._tables.holds.get(target.locked) == run.id, f"{key}: {target} is not its own"
        earlier = self.ledger.unknown.get((run.id, step.id))
        safe = step.spec.action == "fake.set" or step.params.get("safe")
        assert earlier is None or safe, f"{key}: it may have taken effect already, and must not be repeated"
        assert earlier in (None, key), f"{key}: done again with another key"
        return run, step

    @invariant()
    def promises_hold(self) -> None:
        if not hasattr(self, "house"):
            return
        assert not self.wrong
        for run in self.runs:
            self._one_run(run)
        holders = {lock: self.kept._tables.runs[number] for lock, number in self.kept._tables.holds.items()}
        assert not [run.ref for run in holders.values() if run.ended], "a run that has ended holds something"
        acting = [
            (step.target.locked, run.id)
            for run in self.runs
            for step in run.steps
            if step.state is StepState.DOING and step.target
        ]
        assert all(holders[lock].id == number for lock, number in acting), "two runs at one target"
        for entries in self.kept._tables.timeline.values():
            assert first_broken(entries) is None
        assert all(count == 1 for count in self.poke.keys.values() if not self._may_repeat()), "poked twice"

    def _may_repeat(self) -> bool:
        return any(step.params.get("safe") for run in self.runs for step in run.steps)

    def _one_run(self, run: Run) -> None:
        last = self.ledger.ended.get(run.id)
        if last is not None:
            same = {"message_ts": last.message_ts, "undone_by": last.undone_by}
            assert run.model_copy(update=same) == last, f"{run.ref} has ended and changed"
        for step in run.steps:
            self._one_step(run, step)
        if run.ended:
            self.ledger.ended[run.id] = run
            assert not [step.id for step in run.steps if step.state in ACTING], f"{run.ref} ended in flight"
            return
        rows = self.kept._tables.outbox
        waited = [step for step in run.steps if step.state in ACTING]
        if not run.paused_by and not run.stopping:
            waited += run.under_way
        for step in waited:
            row = rows.get(advance_run(run.id, step.id, self.clock()).key)
            assert row is not None, f"nobody ever comes back to {run.ref} {step.id}, {step.state}"
            assert row.state in ("pending", "leased"), f"nobody comes back to {run.ref} {step.id}, {step.state}"
            if step.state in (StepState.WAITING, StepState.ASKING):
                assert step.expires_at is not None

    def _one_step(self, run: Run, step: StepRun) -> None:
        was = self.ledger.over.get((run.id, step.id))
        assert was is None or was is step.state, f"{run.ref} {step.id} was {was} and is {step.state}"
        if step.over:
            self.ledger.over[run.id, step.id] = step.state
        if step.state is StepState.WAITING and step.plan is not None and not step.approvals:
            self.ledger.yes.pop((run.id, step.id, step.plan.digest), None)  # asked anew: what was said before is void
            self.ledger.glass.discard((run.id, step.id, step.plan.digest))
        if step.state is StepState.DOING:
            self._begun(run, step)

    def _begun(self, run: Run, step: StepRun) -> None:
        """The intent is on record: was it right to begin?"""
        assert step.plan is not None
        this = (run.id, step.id, step.tries)
        if self.ledger.doing.get(this) == step.plan.digest:
            return
        self.ledger.doing[this] = step.plan.digest
        key = (run.id, step.id, step.plan.digest)
        glass = key in self.ledger.glass
        if not glass:
            assert not self.given.actions.runbooks.freeze, f"{run.ref} {step.id} was begun in a freeze"
        if not glass and len(self.ledger.yes[key]) < run.approval(step).people:
            assert [one.actor.id for one in step.approvals] == [TOCSIN.id], f"{run.ref} {step.id}: nobody approved it"
            assert run.requested_by.id == TOCSIN.id
            unattended = any(rule.unattended for rule in self.given.actions.allow) and run.runbook.start == "auto"
            undoing = run.undoes is not None and self.given.actions.runbooks.undo == "auto"
            assert unattended or undoing, f"{run.ref} {step.id}: policy does not let it run unattended"

    def teardown(self) -> None:
        """Whatever has happened: once time has passed, every run has ended or somebody has paused it, and every decision is told."""
        if not hasattr(self, "house"):
            return
        self.troubles = []
        for _ in range(40):
            if all(run.ended or run.paused_by for run in self.runs):
                break
            self.clock.forward(minutes=3)
            self.settle()
        self.promises_hold()
        left = [f"{run.ref} {run.state} {[step.state for step in run.steps]}" for run in self.runs]
        assert all(run.ended or run.paused_by for run in self.runs), left
        dead = [row.error for row in self.kept._tables.outbox.values() if row.state == "dead"]
        assert not dead, dead
        self._nothing_began_while_paused()
        for kind in ("run_approved", "run_glass_broken", "run_answered"):
            assert self.is_told(kind) >= self.ledger.decided[kind], f"{kind}: not every decision is told"

    def _nothing_began_while_paused(self) -> None:
        paused: set[str] = set()
        for entry in (entry for entries in self.kept._tables.timeline.values() for entry in entries):
            run = str(entry.data.get("run", ""))
            if entry.kind in ("run_paused", "run_resumed"):
                (paused.add if entry.kind == "run_paused" else paused.discard)(run)
            assert entry.kind not in ("run_doing", "run_told", "run_asked") or run not in paused, entry.text


@pytest.fixture
def story() -> Iterator[type[Story]]:
    with asyncio.Runner() as runner:
        yield type("Story", (Story,), {"runner": runner})


@pytest.mark.timeout(300)
def test_whatever_happens_in_whatever_order_the_promises_hold(story: type[Story]) -> None:
    checked = settings(
        max_examples=400,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(story, settings=checked)


@pytest.mark.parametrize("troubles", SEQUELS[:3])
def test_what_may_have_been_done_is_not_done_again_with_another_key(story: type[Story], troubles: list[str]) -> None:
    """One story that chance seldom tells: an answer is lost, and the next attempt fails for good, of a step that would be tried again."""
    told = story()
    told.begin([(0, "stop", 1, 2)], "usual", 15)
    told.start(0, ADA)
    told.all_goes_on(troubles, False, 1, 8)
    assert told.ledger.unknown
    told.teardown()
