"""The auditor finds what should never be missing, asks for it once, says so, and tells the heartbeat outside how it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.domain import effects, oncall_effects, paging
from bot.domain.effects import Effect
from bot.domain.escalation import Level, Policy, Track
from bot.domain.incident import Incident, State, entered
from bot.domain.page import Page, PageState
from bot.errors import TryLater
from bot.flow.auditor import AT_ONCE, Auditor, next_steps
from bot.store.memory import MemoryStore
from tests.support.clock import HandClock

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Place:
    """A store, a clock, an auditor, and what it tells."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = HandClock()
        self.beats: list[bool] = []
        self.found: list[str] = []
        self.auditor = Auditor(self.store, self.clock, self.beat, self.found.append)

    async def beat(self, well: bool) -> None:
        self.beats.append(well)

    async def open(self, number: int = 1, **update: Any) -> Incident:
        """An open incident with all that it needs."""
        policy = Policy(key="shop", levels=(Level(targets=("person:ada",)),), expires_after=HOUR, remind_after=MINUTE)
        incident = Incident(
            id=number,
            title="Broken",
            group_key=f"group {number}",
            channel_name=f"inc-{number}",
            opened_at=self.clock(),
            tracks=(Track(policy=policy),),
            repeat=HOUR,
            **update,
        )
        change = entered(incident, "opened", "Opened", self.clock())
        waiting = [one.model_copy(update={"due": self.clock() + HOUR}) for one in next_steps(incident, self.clock())]
        await self.store.write(lambda tx: tx.save(change.ask(*waiting)))
        return change.incident

    async def lose(self, *kinds: str) -> None:
        """As a bug would: the rows of these kinds are gone."""
        rows = dict(self.store._tables.outbox)
        self.store._tables.outbox = {key: row for key, row in rows.items() if row.effect.kind not in kinds}

    def waiting(self, kind: str) -> list[Effect]:
        return [
            row.effect
            for row in self.store._tables.outbox.values()
            if row.effect.kind == kind and row.state == "pending"
        ]

    async def texts(self, number: int = 1) -> list[str]:
        return [
            entry.text for entry in await self.store.read(lambda tx: tx.timeline(number)) if entry.kind == "warning"
        ]

    async def next_pass(self) -> bool:
        self.clock.forward(minutes=1)
        with capture_logs():
            return await self.auditor.audit()


@pytest.fixture
def place() -> Place:
    return Place()


def acknowledged(place: Place) -> dict[str, Any]:
    return {"state": State.ACKNOWLEDGED, "acknowledged_by": "Ada", "still_at": place.clock()}


DAMAGES: list[tuple[str, Callable[[Place], dict[str, Any]], str]] = [
    ("escalate", lambda place: {}, "the next step of paging"),
    ("still_at_it", acknowledged, "the deadline of its acknowledgement"),
    ("remind", lambda place: {}, "the reminder"),
    ("remind", lambda place: {"state": State.MITIGATED}, "the reminder"),
]


@pytest.mark.parametrize(("kind", "update", "words"), DAMAGES)
async def test_what_is_missing_is_asked_for_once_and_said(
    place: Place, kind: str, update: Callable[[Place], dict[str, Any]], words: str
) -> None:
    await place.open(**update(place))
    await place.lose(kind)
    assert await place.next_pass()
    assert len(place.waiting(kind)) == 1
    (text,) = await place.texts()
    assert words in text
    assert (place.found, place.beats) == ([kind], [True])
    await place.next_pass()
    assert (len(await place.texts()), place.found, place.beats) == (1, [kind], [True, True])


async def test_paging_that_was_lost_goes_on_at_once_and_a_deadline_when_it_was_due(place: Place) -> None:
    await place.open(1)
    await place.open(2, **acknowledged(place))
    due = place.clock() + HOUR
    await place.lose("escalate", "still_at_it")
    await place.next_pass()
    assert [one.due for one in place.waiting("escalate")] == [place.clock()]
    assert [one.due for one in place.waiting("still_at_it")] == [due]


async def test_a_timer_that_was_delivered_without_a_trace_is_revived(place: Place) -> None:
    await place.open()
    key = effects.escalate(1, 1, 0, 0, place.clock()).key
    (delivery,) = [
        one
        for one in await place.store.claim("bug", place.clock() + 2 * HOUR, place.clock() + 3 * HOUR, 10)
        if one.effect.key == key
    ]
    row = place.store._tables.outbox[key]
    assert row.state == "leased"
    assert await place.next_pass()
    assert place.found == [], "whoever has it may be at work"
    from_bug = {**place.store._tables.outbox}
    from_bug[key] = type(row)(**{**{name: getattr(row, name) for name in row.__slots__}, "state": "done"})
    place.store._tables.outbox = from_bug
    await place.next_pass()
    assert place.found == ["escalate"]
    assert delivery.effect.key == place.waiting("escalate")[0].key


@pytest.mark.parametrize(
    "update",
    [
        {"state": State.RESOLVED},
        {"state": State.CLOSED},
        {"tracks": ()},
        {"tracks": (Track(policy=Policy(key="p", levels=()), exhausted=True),)},
        {"tracks": (Track(policy=Policy(key="p", levels=()), rests=1),)},
    ],
)
async def test_who_needs_no_paging_gets_none(place: Place, update: dict[str, Any]) -> None:
    incident = await place.open()
    await place.lose("escalate")
    changed = incident.model_copy(update=update)
    await place.store.write(lambda tx: tx.save(entered(changed, "note", "changed", place.clock())))
    await place.next_pass()
    assert place.waiting("escalate") == []


def page(place: Place, state: PageState = PageState.SENDING, **update: Any) -> Page:
    begun = place.clock()
    return Page(
        key="page:1:1:0:1:person:ada:sms",
        incident_id=1,
        epoch=1,
        target="person:ada",
        name="Ada",
        medium="sms",
        address="+49151",
        state=state,
        begun_at=begun,
        state_at=begun,
    ).model_copy(update=update)


async def test_a_page_that_was_begun_and_is_sent_by_nobody_goes_another_way(place: Place) -> None:
    await place.open()
    await place.store.write(lambda tx: tx.save_pages([page(place)]))
    await place.next_pass()
    await place.next_pass()
    (fall_back,) = place.waiting("fall_back")
    assert fall_back.payload["page"] == "page:1:1:0:1:person:ada:sms"
    assert fall_back.payload["asked"]["method"] == "sms"
    (lost,) = await place.store.read(lambda tx: tx.pages_of(1))
    assert lost.state is PageState.FAILED
    assert place.found == ["page_lost"]
    assert len(await place.texts()) == 1


@pytest.mark.parametrize("state", [state for state in PageState if state is not PageState.SENDING])
async def test_a_page_that_is_not_being_sent_is_left_alone(place: Place, state: PageState) -> None:
    await place.open()
    await place.store.write(lambda tx: tx.save_pages([page(place, state)]))
    await place.next_pass()
    await place.next_pass()
    assert place.found == []


async def test_a_page_whose_row_is_still_there_is_left_to_the_worker(place: Place) -> None:
    await place.open()
    sending = page(place)
    turn, target = oncall_effects.rung_of(sending.key) or pytest.fail("no turn")
    row = effects.card(1, place.clock() + HOUR).model_copy(update={"key": sending.key, "lane": sending.key})
    await place.store.write(lambda tx: tx.save_pages([sending]))
    await place.store.write(lambda tx: tx.ask([row]))
    await place.next_pass()
    await place.next_pass()
    assert (place.found, target, turn.step) == ([], "person:ada", 1)


async def test_what_is_due_and_not_taken_is_told_outside(place: Place) -> None:
    await place.store.write(lambda tx: tx.ask([effects.alarm("x", "broken", place.clock())]))
    await place.next_pass()
    await place.next_pass()
    assert place.beats == [True, False]
    assert place.found == ["late"]


async def test_of_several_replicas_one_looks_each_minute(place: Place) -> None:
    await place.open()
    other = Auditor(place.store, place.clock, place.beat)
    assert [await place.auditor.audit(), await other.audit(), await place.auditor.audit()] == [True, False, False]
    place.clock.forward(minutes=1)
    assert await other.audit()
    assert place.beats == [True, True]


class Refusing(MemoryStore):
    """Reads, and from a certain write on keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = -1

    async def write(self, work: Any) -> Any:
        self.writes -= 1
        if self.writes == 0:
            raise TryLater("database: full")
        return await super().write(work)


async def test_a_repair_that_fails_is_told_outside_and_tried_again(place: Place) -> None:
    place.store = Refusing()
    place.auditor = Auditor(place.store, place.clock, place.beat, place.found.append)
    await place.open()
    await place.lose("escalate")
    place.store.writes = 2
    await place.next_pass()
    assert (place.found, place.beats) == (["unrepaired"], [False])
    await place.next_pass()
    assert (place.found, place.beats) == (["unrepaired", "escalate"], [False, True])


async def test_whoever_cannot_look_does_not_say_that_all_is_well(place: Place) -> None:
    await place.store.close()
    with pytest.raises(TryLater):
        await place.next_pass()
    assert place.beats == []


async def test_ten_thousand_open_incidents_are_looked_at_page_by_page_and_left_alone(place: Place) -> None:
    count = 10_000
    begun = place.clock()
    steps: list[Effect] = []
    first = await place.open(1)
    every = {
        number: first.model_copy(update={"id": number, "group_key": f"g{number}"}) for number in range(1, count + 1)
    }
    for one in every.values():
        steps += next_steps(one, begun + HOUR)
    place.store._tables.incidents = every
    await place.store.write(lambda tx: tx.ask(steps))
    reads: Counter[str] = Counter()
    read = place.store.read

    async def counted(work: Any) -> Any:
        reads["read"] += 1
        return await read(work)

    place.store.read = counted  # type: ignore[method-assign]
    await place.next_pass()
    assert (place.found, place.beats) == ([], [True])
    assert reads["read"] <= count / AT_ONCE + 3
    assert await place.texts(1) == []


async def test_whoever_had_acknowledged_before_others_came_in_is_not_paged_by_the_auditor(place: Place) -> None:
    incident = await place.open(**acknowledged(place))
    further = Policy(key="database", levels=(Level(targets=("person:bob",)),))
    change = paging.paged_as_well(incident, [further], place.clock())
    await place.store.write(lambda tx: tx.save(change))
    wanted = {one.key for one in next_steps(change.incident, place.clock()) if one.kind == "escalate"}
    assert wanted == {effects.escalate(1, 2, 1, 0, place.clock()).key}, "the new policy's, not the first one's"
    place.clock.forward(seconds=1)
    assert await place.auditor.audit()
    assert place.found == []
