"""The store's contract, second part: the outbox. What is asked for comes in the order of its lane, to one worker at a time, until it is settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.effects import Effect, Priority
from bot.domain.ports import Backlog, Delivery, LostLease, Settled, Store, Tx
from tests.support.stores import KINDS, opened

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
DONE = Settled("done")


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as fresh:
        yield fresh


def effect(
    key: str,
    lane: str = "",
    due: datetime = NOW,
    priority: Priority = Priority.CARD,
    *,
    latest: bool = False,
    **payload: int,
) -> Effect:
    return Effect(
        kind=key.partition(":")[0],
        key=key,
        lane=lane or key,
        priority=priority,
        due=due,
        payload=payload,
        latest_wins=latest,
    )


async def ask(store: Store, *effects: Effect) -> None:
    await store.write(lambda tx: tx.ask(effects))


async def claim(store: Store, now: datetime = NOW, owner: str = "one", limit: int = 10) -> list[Delivery]:
    return await store.claim(owner, now, now + MINUTE, limit)


async def keys(store: Store, now: datetime = NOW, owner: str = "one", limit: int = 10) -> list[str]:
    return [delivery.effect.key for delivery in await claim(store, now, owner, limit)]


async def settle(store: Store, delivery: Delivery, settled: Settled = DONE, now: datetime = NOW) -> bool:
    return await store.write(lambda tx: tx.settle(delivery, settled, now))


def later(due: datetime, *, unsure: bool = False) -> Settled:
    return Settled("later", due, "slack: 429", unsure)


# ------------------------------------------------------------------------------------------------ asking


async def test_asking_twice_is_asking_once(store: Store) -> None:
    await ask(store, effect("say:1", text=1), effect("say:1", text=2))
    await ask(store, effect("say:1", text=3))
    (delivery,) = await claim(store)
    assert delivery.effect.payload == {"text": 1}
    assert await settle(store, delivery)
    await ask(store, effect("say:1", text=4))
    assert await claim(store) == []


async def test_the_latest_request_replaces_the_pending_one(store: Store) -> None:
    await ask(store, effect("card:1", latest=True, version=1))
    newest = effect("card:1", due=NOW + SECOND, priority=Priority.PAGE, latest=True, version=2)
    await ask(store, newest)
    assert await claim(store) == [], "it is due when the newest request says"
    (delivery,) = await claim(store, NOW + SECOND)
    assert delivery.effect == newest
    assert delivery.asked_at == NOW, "it still stands for the oldest request"


async def test_a_timer_can_be_moved_forward(store: Store) -> None:
    await ask(store, effect("run:1", due=NOW + MINUTE, latest=True))
    assert await store.next_due(NOW) == NOW + MINUTE
    await ask(store, effect("run:1", due=NOW, latest=True))
    (delivery,) = await claim(store)
    assert (delivery.effect.due, delivery.asked_at) == (NOW, NOW)


async def test_the_latest_request_revives_what_was_delivered(store: Store) -> None:
    await ask(store, effect("card:1", latest=True, version=1))
    (first,) = await claim(store)
    await settle(store, first)
    await ask(store, effect("card:1", due=NOW + SECOND, latest=True, version=2))
    (second,) = await claim(store, NOW + SECOND)
    assert second.effect.payload == {"version": 2}
    assert (second.attempts, second.again, second.asked_at) == (1, False, NOW + SECOND)


async def test_the_latest_request_revives_what_was_dead(store: Store) -> None:
    await ask(store, effect("card:1", latest=True), effect("say:1"))
    for delivery in await claim(store):
        await settle(store, delivery, Settled("dead", error="channel is gone"))
    await ask(store, effect("card:1", latest=True), effect("say:1"))
    assert [one.key for one, _ in await store.read(lambda tx: tx.dead())] == ["say:1"]
    (revived,) = await claim(store)
    assert (revived.effect.key, revived.attempts, revived.again) == ("card:1", 1, False)


async def test_what_is_asked_for_in_flight_is_delivered_again_at_once(store: Store) -> None:
    await ask(store, effect("card:1", latest=True, version=1))
    (first,) = await claim(store)
    await ask(store, effect("card:1", latest=True, version=2))
    assert await claim(store) == [], "it is in flight"
    assert await settle(store, first)
    (second,) = await claim(store)
    assert second.effect.payload == {"version": 2}
    assert (second.attempts, second.again) == (1, False)
    assert await settle(store, second)
    assert await claim(store) == []


async def test_what_is_asked_for_in_flight_comes_when_it_was_asked_for(store: Store) -> None:
    await ask(store, effect("run:1", latest=True))
    (first,) = await claim(store)

    async def work(tx: Tx) -> bool:
        await tx.ask([effect("run:1", due=NOW + MINUTE, latest=True)])
        return await tx.settle(first, DONE, NOW)

    assert await store.write(work)
    assert await store.next_due(NOW) == NOW + MINUTE


async def test_asking_after_settling_in_the_same_write_is_the_same_as_before_it(store: Store) -> None:
    await ask(store, effect("run:1", latest=True))
    (first,) = await claim(store)

    async def work(tx: Tx) -> bool:
        ours = await tx.settle(first, DONE, NOW)
        await tx.ask([effect("run:1", due=NOW + MINUTE, latest=True)])
        return ours

    assert await store.write(work)
    (second,) = await claim(store, NOW + MINUTE)
    assert second.attempts == 1


async def test_asking_for_a_card_again_does_not_shorten_its_wait(store: Store) -> None:
    """A storm of alerts asks for it all the time; Slack has said when it may come again."""
    await ask(store, effect("card:1", latest=True), effect("run:1", priority=Priority.APPROVAL, latest=True))
    for delivery in await claim(store):
        assert await settle(store, delivery, later(NOW + MINUTE))
    await ask(store, effect("card:1", latest=True, due=NOW + SECOND, click=1))
    await ask(store, effect("run:1", priority=Priority.APPROVAL, latest=True, due=NOW + SECOND))
    assert await keys(store, NOW + SECOND) == ["run:1"], "for an approval somebody waits"
    (card,) = await claim(store, NOW + MINUTE)
    assert card.effect.payload == {"click": 1}


@pytest.mark.parametrize("settled", [later(NOW + MINUTE), Settled("dead", error="no")])
async def test_what_is_asked_for_in_flight_is_not_lost_by_a_failure(store: Store, settled: Settled) -> None:
    await ask(store, effect("run:1", latest=True))
    (first,) = await claim(store)
    await ask(store, effect("run:1", due=NOW + SECOND, latest=True, click=1))
    assert await settle(store, first, settled)
    (second,) = await claim(store, NOW + SECOND)
    assert second.effect.payload == {"click": 1}
    assert second.attempts == (2 if settled.outcome == "later" else 1)


async def test_a_card_that_is_asked_for_all_the_time_does_not_starve_its_lane(store: Store) -> None:
    await ask(store, effect("card:1", "incident:1", latest=True), effect("say:1", "incident:1"))
    (card,) = await claim(store)
    await ask(store, effect("card:1", "incident:1", latest=True))
    await settle(store, card)
    assert await keys(store) == ["say:1"]


# ------------------------------------------------------------------------------------------------ claiming


async def test_a_claim_takes_the_most_urgent_first(store: Store) -> None:
    await ask(
        store,
        effect("topic", due=NOW - MINUTE, priority=Priority.COSMETICS),
        effect("card", due=NOW - SECOND),
        effect("older card", due=NOW - MINUTE),
        effect("page", priority=Priority.PAGE),
        effect("not yet", due=NOW + SECOND, priority=Priority.PAGE),
    )
    assert await keys(store, limit=3) == ["page", "older card", "card"]
    assert await keys(store, limit=3) == ["topic"]
    assert await keys(store) == []


async def test_a_lane_is_delivered_in_order_one_at_a_time(store: Store) -> None:
    await ask(
        store,
        effect("say:1", "incident:1"),
        effect("say:2", "incident:1"),
        effect("open", "incident:1", priority=Priority.CHANNEL),
        effect("other", "incident:2"),
    )
    first = await claim(store)
    assert [one.effect.key for one in first] == ["open", "other"]
    assert await keys(store, owner="two") == [], "both lanes are busy"
    for expected in ("say:1", "say:2"):
        await settle(store, first[0])
        first = await claim(store)
        assert [one.effect.key for one in first] == [expected]


async def test_a_row_that_is_being_retried_holds_up_its_lane(store: Store) -> None:
    await ask(store, effect("open", "incident:1", priority=Priority.CHANNEL), effect("say:1", "incident:1"))
    (opening,) = await claim(store)
    await settle(store, opening, later(NOW + MINUTE))
    assert await keys(store) == []
    await ask(store, effect("page", "incident:1", priority=Priority.PAGE))
    assert await keys(store) == ["page"], "what is more urgent goes before it"
    assert await store.release("one", NOW)
    (page,) = await claim(store)
    await settle(store, page)
    assert await keys(store, NOW + MINUTE) == ["open"]


async def test_a_timer_that_has_not_come_due_holds_up_nobody(store: Store) -> None:
    await ask(store, effect("timer", "incident:1", NOW + MINUTE, Priority.PAGE), effect("say:1", "incident:1"))
    assert await keys(store) == ["say:1"]
    assert await keys(store, NOW + MINUTE - SECOND) == []


async def test_a_busy_lane_holds_up_a_timer_that_comes_due(store: Store) -> None:
    await ask(store, effect("timer", "incident:1", NOW + SECOND, Priority.PAGE), effect("say:1", "incident:1"))
    (saying,) = await claim(store)
    assert await keys(store, NOW + SECOND) == []
    await settle(store, saying)
    assert await keys(store, NOW + SECOND) == ["timer"]


async def test_a_delivery_says_which_attempt_it_is(store: Store) -> None:
    await ask(store, effect("say:1"))
    for attempt in (1, 2, 3):
        (delivery,) = await claim(store, owner=f"worker {attempt}")
        assert (delivery.attempts, delivery.owner) == (attempt, f"worker {attempt}")
        assert await settle(store, delivery, later(NOW))


# ------------------------------------------------------------------------------------------------ leases


async def test_an_expired_lease_is_taken_over_and_the_act_may_have_happened(store: Store) -> None:
    await ask(store, effect("say:1", "incident:1"), effect("say:2", "incident:1"))
    (lost,) = await claim(store)
    assert await keys(store, NOW + MINUTE - SECOND, "two") == []
    (taken,) = await claim(store, NOW + MINUTE, "two")
    assert (taken.effect.key, taken.attempts, taken.again) == ("say:1", 2, True)
    assert not await settle(store, lost)
    assert await store.renew([lost, taken], NOW + 3 * MINUTE) == {taken.id}
    assert await settle(store, taken)
    assert await keys(store) == ["say:2"]


async def test_nothing_is_written_by_whoever_lost_the_lease(store: Store) -> None:
    await ask(store, effect("say:1"))
    (lost,) = await claim(store)
    (taken,) = await claim(store, NOW + MINUTE, "two")

    async def work(tx: Tx) -> None:
        await tx.save_postmortem(1, "written by a worker that is gone", NOW)
        if not await tx.settle(lost, DONE, NOW):
            raise LostLease

    with pytest.raises(LostLease):
        await store.write(work)
    assert await store.read(lambda tx: tx.postmortem(1)) is None
    assert await settle(store, taken)


async def test_a_lease_that_nobody_took_over_still_counts(store: Store) -> None:
    await ask(store, effect("say:1"))
    (delivery,) = await claim(store)
    assert await settle(store, delivery, DONE, NOW + 5 * MINUTE)
    assert await claim(store, NOW + 5 * MINUTE) == []


async def test_a_delivery_is_settled_once(store: Store) -> None:
    await ask(store, effect("say:1"), effect("card:1", latest=True))
    for delivery in await claim(store):
        assert await settle(store, delivery)
        assert not await settle(store, delivery)
        assert not await settle(store, delivery, later(NOW))


async def test_an_old_delivery_does_not_settle_a_new_life_of_its_key(store: Store) -> None:
    await ask(store, effect("card:1", latest=True))
    (old,) = await claim(store)
    (taken,) = await claim(store, NOW + MINUTE, "two")
    await settle(store, taken)
    await ask(store, effect("card:1", latest=True))
    (fresh,) = await claim(store)
    assert (fresh.attempts, fresh.owner) == (old.attempts, old.owner)
    assert not await settle(store, old)
    assert await settle(store, fresh)


async def test_somebody_elses_delivery_is_not_settled(store: Store) -> None:
    await ask(store, effect("say:1"))
    (delivery,) = await claim(store)
    assert not await settle(store, replace(delivery, owner="two"))
    assert not await settle(store, replace(delivery, attempts=2))
    assert await settle(store, delivery)


async def test_a_renewed_lease_is_not_taken_over(store: Store) -> None:
    await ask(store, effect("say:1"), effect("say:2"))
    held = await claim(store)
    assert await store.renew(held, NOW + 2 * MINUTE) == {one.id for one in held}
    assert await keys(store, NOW + MINUTE, "two") == []
    await settle(store, held[0])
    assert await store.renew(held, NOW + 3 * MINUTE) == {held[1].id}
    assert await store.renew([], NOW) == set()


async def test_a_worker_that_stops_gives_back_what_it_holds(store: Store) -> None:
    await ask(store, effect("say:1"), effect("say:2"))
    (mine,) = await claim(store, limit=1)
    (theirs,) = await claim(store, owner="two")
    assert await store.release("one", NOW) == 1
    assert await store.release("one", NOW) == 0
    assert not await settle(store, mine)
    (again,) = await claim(store, owner="three")
    assert (again.effect.key, again.attempts, again.again) == ("say:1", 2, True)
    assert await settle(store, theirs)


async def test_a_worker_that_stops_gives_back_what_was_asked_for_again_later(store: Store) -> None:
    await ask(store, effect("run:1", latest=True))
    await claim(store)
    await ask(store, effect("run:1", due=NOW + MINUTE, latest=True))
    await store.release("one", NOW)
    assert await keys(store) == ["run:1"], "the first request has not been delivered"


# ------------------------------------------------------------------------------------------------ settling


async def test_a_clean_failure_leaves_no_doubt(store: Store) -> None:
    await ask(store, effect("say:1"))
    (first,) = await claim(store)
    await settle(store, first, later(NOW + SECOND))
    (second,) = await claim(store, NOW + SECOND)
    assert not second.again


async def test_doubt_stays_until_it_is_delivered(store: Store) -> None:
    await ask(store, effect("say:1"))
    (first,) = await claim(store)
    await settle(store, first, later(NOW, unsure=True))
    (second,) = await claim(store)
    assert second.again
    await settle(store, second, later(NOW))
    (third,) = await claim(store)
    assert third.again, "the first attempt may still have taken effect"


async def test_a_failed_row_comes_when_it_is_said(store: Store) -> None:
    await ask(store, effect("say:1"))
    (first,) = await claim(store)
    await settle(store, first, later(NOW + SECOND))
    assert await store.next_due(NOW) == NOW + SECOND
    assert await claim(store) == []
    assert await keys(store, NOW + SECOND) == ["say:1"]


async def test_dead_rows_are_shown_with_their_reason_newest_first(store: Store) -> None:
    effects = [effect(f"say:{number}", number=number) for number in range(3)]
    await ask(store, *effects)
    for number, delivery in enumerate(await claim(store)):
        await settle(store, delivery, Settled("dead", error=f"reason {number}"), NOW + number * SECOND)
    assert await store.read(lambda tx: tx.dead()) == tuple((effects[n], f"reason {n}") for n in (2, 1, 0))
    assert await store.read(lambda tx: tx.dead(limit=1)) == ((effects[2], "reason 2"),)
    assert await claim(store, NOW + MINUTE) == []


async def test_a_dead_row_frees_its_lane(store: Store) -> None:
    await ask(store, effect("say:1", "incident:1"), effect("say:2", "incident:1"))
    (first,) = await claim(store)
    await settle(store, first, Settled("dead", error="no"))
    assert await keys(store) == ["say:2"]


# ------------------------------------------------------------------------------------------------ looking and cleaning up


async def test_the_next_due_time_is_when_a_claim_can_give_something_new(store: Store) -> None:
    assert await store.next_due(NOW) is None
    await ask(
        store, effect("say:1", "incident:1"), effect("say:2", "incident:1"), effect("timer", due=NOW + 2 * MINUTE)
    )
    assert await store.next_due(NOW) == NOW
    (first,) = await claim(store)
    assert await store.next_due(NOW) == NOW + MINUTE, "say:2 waits for its lane, at most until the lease ends"
    await settle(store, first)
    assert await store.next_due(NOW + SECOND) == NOW
    assert await keys(store) == ["say:2"]
    assert await store.next_due(NOW + MINUTE) == NOW, "an expired lease can be claimed"


async def test_the_backlog_counts_what_is_not_delivered(store: Store) -> None:
    assert await store.backlog(NOW) == ()
    await ask(
        store,
        effect("say:1", due=NOW - SECOND),
        effect("say:2", due=NOW - MINUTE),
        effect("say:3", due=NOW + MINUTE),
        effect("card:1"),
        effect("topic:1"),
        effect("page:1", due=NOW + SECOND),
    )
    by_key = {one.effect.key: one for one in await claim(store)}
    await settle(store, by_key["card:1"], Settled("dead", error="no"))
    await settle(store, by_key["topic:1"])
    assert await store.backlog(NOW) == (
        Backlog("card", 0, 0, 1, None),
        Backlog("page", 0, 1, 0, None),
        Backlog("say", 2, 3, 0, NOW - MINUTE),
    )


async def test_pruning_removes_old_delivered_rows_and_expired_keys_only(store: Store) -> None:
    await ask(
        store, *(effect(f"say:{number}") for number in range(5)), effect("dead"), effect("timer", due=NOW + MINUTE)
    )
    for delivery in await claim(store):
        dead = delivery.effect.key == "dead"
        await settle(store, delivery, Settled("dead", error="no") if dead else DONE, NOW)
    for number in range(3):
        await store.write(lambda tx, number=number: tx.once(f"key {number}", NOW + number * SECOND, NOW - MINUTE))
    assert await store.prune(NOW) == 0
    assert await store.prune(NOW + SECOND, limit=2) == 3, "two rows and one key"
    assert await store.prune(NOW + SECOND, limit=2) == 2
    assert await store.prune(NOW + SECOND, limit=2) == 1
    assert await store.prune(NOW + SECOND, limit=2) == 0
    assert [(one.kind, one.pending, one.dead) for one in await store.backlog(NOW)] == [("dead", 0, 1), ("timer", 1, 0)]
    assert not await store.write(lambda tx: tx.once("key 1", NOW + MINUTE, NOW))
    await ask(store, effect("say:0"))
    assert await keys(store) == ["say:0"], "what was pruned is forgotten"


# ------------------------------------------------------------------------------------------------ waking


async def test_a_commit_wakes_whoever_waits_for_work(store: Store) -> None:
    await store.wait_for_work(0)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(store.wait_for_work(60))
        await asyncio.sleep(0)
        assert not waiting.done()
        tasks.create_task(ask(store, effect("say:1")))


async def test_a_commit_between_looking_and_waiting_is_not_missed(store: Store) -> None:
    await store.wait_for_work(0)
    await ask(store, effect("say:1"))
    async with asyncio.timeout(5):
        await store.wait_for_work(60)


async def test_settling_wakes_because_the_lane_is_free_again(store: Store) -> None:
    await ask(store, effect("say:1", "incident:1"), effect("say:2", "incident:1"))
    (first,) = await claim(store)
    await store.wait_for_work(0)
    await settle(store, first)
    async with asyncio.timeout(5):
        await store.wait_for_work(60)


async def test_waiting_ends_by_itself(store: Store) -> None:
    await store.wait_for_work(0)
    await store.wait_for_work(0.01)


# ------------------------------------------------------------------------------------------------ timers that are decided together


def timer(key: str, due: datetime = NOW, *, latest: bool = False, **payload: int) -> Effect:
    return effect(key, due=due, priority=Priority.TIMER, latest=latest, **payload)


async def decided(store: Store, now: datetime = NOW, limit: int = 10) -> list[str]:
    """The keys of what was decided by one transaction."""
    found: list[str] = []

    async def decide(tx: Tx, deliveries: Sequence[Delivery]) -> None:
        found[:] = [delivery.effect.key for delivery in deliveries]

    assert await store.settle_timers(lambda: now, limit, decide) == len(found)
    return found


async def test_timers_are_decided_once_the_earliest_first_and_not_before_they_are_due(store: Store) -> None:
    await ask(
        store,
        *(timer(f"escalate:{number}", NOW - number * SECOND) for number in range(5)),
        timer("escalate:later", NOW + SECOND),
        effect("page:1", due=NOW - MINUTE, priority=Priority.PAGE),
    )
    assert await store.next_due(NOW, (Priority.TIMER,)) == NOW - 4 * SECOND
    assert await decided(store, limit=3) == ["escalate:4", "escalate:3", "escalate:2"]
    assert await decided(store) == ["escalate:1", "escalate:0"]
    assert await decided(store) == []
    assert await store.next_due(NOW, (Priority.TIMER,)) == NOW + SECOND
    assert await decided(store, NOW + SECOND) == ["escalate:later"]
    assert await store.next_due(NOW, (Priority.TIMER,)) is None


async def test_what_is_decided_is_committed_with_its_settling_or_not_at_all(store: Store) -> None:
    await ask(store, timer("escalate:1"), timer("escalate:2"))

    async def decide(tx: Tx, deliveries: Sequence[Delivery]) -> None:
        await tx.ask([effect("page:1")])
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await store.settle_timers(lambda: NOW, 10, decide)
    assert await keys(store) == ["escalate:1", "escalate:2"], "still due, and nothing else"


async def test_what_is_asked_for_again_by_the_decision_itself_stays_due(store: Store) -> None:
    await ask(store, timer("escalate:1", latest=True, step=1), timer("escalate:2", latest=True))

    async def decide(tx: Tx, deliveries: Sequence[Delivery]) -> None:
        await tx.ask([timer("escalate:1", NOW + MINUTE, latest=True, step=2)])

    assert await store.settle_timers(lambda: NOW, 10, decide) == 2
    assert await decided(store) == []
    (again,) = await claim(store, NOW + MINUTE)
    assert (again.effect.key, again.effect.payload) == ("escalate:1", {"step": 2})


async def test_a_timer_that_was_decided_can_be_asked_for_again(store: Store) -> None:
    await ask(store, timer("escalate:1", latest=True))
    assert await decided(store) == ["escalate:1"]
    await ask(store, timer("escalate:1", latest=True))
    assert await decided(store) == ["escalate:1"]


async def test_a_timer_that_is_leased_is_not_decided_and_counts_as_a_page_afterwards(store: Store) -> None:
    await ask(store, timer("escalate:1"))
    (delivery,) = await store.claim("one", NOW, NOW + MINUTE, 10, (Priority.TIMER,))
    assert delivery.effect.priority is Priority.PAGE
    assert await decided(store) == []
    await settle(store, delivery, later(NOW + SECOND))
    assert await decided(store, NOW + SECOND) == []
    assert await keys(store, NOW + SECOND) == ["escalate:1"]


async def test_only_rows_of_the_wanted_priorities_are_claimed(store: Store) -> None:
    rows = [effect(f"row:{one.name}", priority=one) for one in Priority]
    await ask(store, *rows)
    first = await store.claim("one", NOW, NOW + MINUTE, 10, (Priority.PAGE, Priority.CARD))
    assert [one.effect.key for one in first] == ["row:PAGE", "row:CARD"]
    assert await store.next_due(NOW, (Priority.PAGE,)) == NOW + MINUTE, "when its lease ends"
    rest = [one.effect.key for one in await claim(store)]
    assert rest == ["row:TIMER", "row:CHANNEL", "row:APPROVAL", "row:CONTEXT", "row:COSMETICS"]


async def test_many_that_wait_behind_others_of_their_lane_do_not_hide_what_is_ready(store: Store) -> None:
    waiting = [effect(f"say:{number}", f"lane {number}", priority=Priority.CARD) for number in range(20)]
    first = [effect(f"open:{number}", f"lane {number}", priority=Priority.CHANNEL) for number in range(20)]
    await ask(store, *waiting, *first, effect("card:free"))
    assert await keys(store, limit=5) == [f"open:{number}" for number in range(5)]
    assert sorted(await keys(store, limit=16)) == sorted(["card:free", *(f"open:{n}" for n in range(5, 20))])
    assert await keys(store) == []


async def test_many_rows_are_asked_for_at_once_as_one_by_one(store: Store) -> None:
    await ask(store, *(effect(f"say:{number}", latest=number % 2 == 0, number=number) for number in range(100)))
    await ask(
        store,
        *(effect(f"say:{number}", due=NOW - SECOND, latest=number % 2 == 0, number=-number) for number in range(100)),
    )
    found = {one.effect.key: one for one in await claim(store, limit=200)}
    assert len(found) == 100
    assert all(found[f"say:{n}"].effect.payload == {"number": -n if n % 2 == 0 else n} for n in range(100))
    assert all(found[f"say:{n}"].effect.due == (NOW - SECOND if n % 2 == 0 else NOW) for n in range(100))


# ------------------------------------------------------------------------------------------------ a clock that jumps


async def test_a_jump_moves_what_waits_and_its_leases_but_not_what_stands_for_a_time_of_day(store: Store) -> None:
    await ask(
        store,
        effect("page:1", due=NOW + MINUTE),
        effect("digest:1", due=NOW + MINUTE),
        effect("digest:2"),
        effect("say:1"),
    )
    tried, leased = await claim(store, limit=2)
    assert (tried.effect.key, leased.effect.key) == ("digest:2", "say:1")
    await settle(store, tried, later(NOW + MINUTE))
    assert await store.shift(60 * MINUTE, {"digest"}, 0, {"noted": 5}) == 1
    assert await store.next_due(NOW) == NOW + MINUTE, "the digest"
    moved = NOW + 60 * MINUTE
    (digest,) = await claim(store, NOW + MINUTE)
    assert (digest.effect.key, await settle(store, digest)) == ("digest:1", True)
    assert await keys(store, moved) == [], "what was leased still is, and what was tried waits as long as it had to"
    assert sorted(await keys(store, moved + MINUTE)) == ["digest:2", "page:1", "say:1"]
    assert await store.read(lambda tx: tx.counter("noted")) == 5


async def test_one_jump_moves_the_timers_once_whoever_sees_it(store: Store) -> None:
    await ask(store, effect("page:1", due=NOW + MINUTE))
    assert await store.shift(MINUTE, set(), 0, {"noted": 1}) == 1
    assert await store.shift(MINUTE, set(), 0, {"noted": 2}) == 1
    assert await store.next_due(NOW) == NOW + 2 * MINUTE
    assert await store.read(lambda tx: tx.counter("noted")) == 1
    assert await store.shift(-MINUTE, set(), 1, {}) == 2
    assert await store.next_due(NOW) == NOW + MINUTE


async def test_whoever_has_not_followed_a_jump_gets_nothing(store: Store) -> None:
    await ask(store, effect("page:1"), timer("escalate:1"))
    store.follow(0)
    assert await store.shift(-MINUTE, set(), 0, {}) == 1
    assert await claim(store) == []
    assert await decided(store) == []
    store.follow(1)
    assert await decided(store) == ["escalate:1"]
    assert await keys(store) == ["page:1"]


async def test_what_is_noted_is_what_counts_from_then_on(store: Store) -> None:
    await store.note({"a": 7, "b": -3})
    await store.note({"a": 8})
    assert await store.read(lambda tx: tx.counter("a")) == 8
    assert await store.read(lambda tx: tx.counter("b")) == -3
