"""The store's contract, first part: state. What is saved comes back as it was, the same from memory, SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.domain import effects, lifecycle
from bot.domain import run as runs
from bot.domain import step as moves
from bot.domain.alert import Alert, AlertState, Received
from bot.domain.context import Context, Finding
from bot.domain.effects import Effect
from bot.domain.escalation import Level, Policy
from bot.domain.expand import begun
from bot.domain.incident import Change, Incident, State, entered
from bot.domain.lifecycle import Opening
from bot.domain.people import Actor
from bot.domain.plan import Diff, Plan, Undo
from bot.domain.policy import Touch
from bot.domain.ports import Store, Tx
from bot.domain.routing import Route
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.step import Approver, Look, StepRun
from bot.domain.timeline import first_broken
from bot.errors import TryLater
from bot.store.memory import MemoryStore
from bot.store.tables import approvals
from tests.support.stores import KINDS, opened

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ADA = Actor(id="ada", name="Ada Lovelace")


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as fresh:
        yield fresh


def alert(name: str = "HighLatency", *, firing: bool = True, **labels: str) -> Alert:
    return Alert(
        source="alertmanager",
        fingerprint=f"fp-{name}",
        firing=firing,
        labels={"alertname": name, "service": "checkout", **labels},
        annotations={"summary": "Läuft ‘langsam’ 🐌"},
        starts_at=NOW - timedelta(minutes=1),
        ends_at=None if firing else NOW,
        url="https://prometheus.example/graph?g0.expr=up",
    )


def seen(one: Alert, incident_id: int | None = None, at: datetime = NOW) -> AlertState:
    return AlertState(one, first_seen=at, last_seen=at, incident_id=incident_id)


def opening(number: int, group_key: str = 'root{service="checkout"}', now: datetime = NOW) -> Change:
    policy = Policy(key="shop", levels=(Level(targets=("person:ada",)),), repeat=1)
    return lifecycle.opened(
        number, [alert()], Opening(group_key, {"service": "checkout"}, "critical", (policy,), Route()), now
    )


def runbook() -> Runbook:
    step = {"id": "scale", "action": "scale", "with": {"replicas": 6}, "verify": {"within": "PT2M"}}
    return Runbook.model_validate(
        {"name": "more-checkout", "title": "More of it", "steps": [step, {**step, "id": "look"}]}
    )


async def saved(store: Store, *changes: Change) -> None:
    await store.write(lambda tx: tx.save(*changes))


# ------------------------------------------------------------------------------------------------ numbers and names


async def test_numbers_are_given_in_order_and_per_counter(store: Store) -> None:
    numbers = [await store.write(lambda tx: tx.next_id("incident")) for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert await store.write(lambda tx: tx.next_id("run")) == 1


async def test_a_number_that_was_rolled_back_is_given_to_the_next(store: Store) -> None:
    async def fails(tx: Tx) -> None:
        await tx.next_id("incident")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(fails)
    assert await store.write(lambda tx: tx.next_id("incident")) == 1


async def test_a_key_is_new_once_until_its_time_is_over(store: Store) -> None:
    until = NOW + timedelta(minutes=5)

    async def first(at: datetime) -> bool:
        return await store.write(lambda tx: tx.once("click", at + timedelta(minutes=5), at))

    assert await first(NOW)
    assert not await first(NOW)
    assert not await first(until - timedelta(microseconds=1))
    assert await first(until), "at that time it counts as new again"
    assert not await first(until), "and is kept for its new time"


async def test_a_name_can_be_locked_more_than_once_in_a_write(store: Store) -> None:
    async def work(tx: Tx) -> str:
        await tx.lock("deployment/checkout")
        await tx.lock("deployment/checkout")
        return "mine"

    assert await store.write(work) == "mine"


# ------------------------------------------------------------------------------------------------ alerts


async def test_alerts_come_back_as_they_were(store: Store) -> None:
    firing = seen(alert(), 7)
    over = seen(alert("DiskFull", firing=False))
    await store.write(lambda tx: tx.save_alerts([firing, over], []))
    found = await store.read(lambda tx: tx.alert_states([firing.alert.key, over.alert.key, "alertmanager/unknown"]))
    assert found == {firing.alert.key: firing, over.alert.key: over}


async def test_an_alert_is_replaced_by_its_newest_state(store: Store) -> None:
    state = seen(alert())
    await store.write(lambda tx: tx.save_alerts([state], []))
    later = replace(state, alert=alert(firing=False), last_seen=NOW + timedelta(minutes=3), deliveries=2)

    async def work(tx: Tx) -> None:
        assert await tx.alert_states([state.alert.key]) == {state.alert.key: state}
        await tx.save_alerts([later], [])
        assert await tx.alert_states([state.alert.key]) == {state.alert.key: later}, "a work sees what it wrote"

    await store.write(work)
    assert await store.read(lambda tx: tx.alert_states([state.alert.key])) == {state.alert.key: later}


async def test_an_alert_that_was_looked_for_in_vain_can_be_saved_several_times_in_the_same_write(store: Store) -> None:
    state = seen(alert())
    later = replace(state, last_seen=NOW + timedelta(minutes=3), deliveries=2)

    async def work(tx: Tx) -> None:
        assert await tx.alert_states([state.alert.key]) == {}
        await tx.save_alerts([state, later], [])
        await tx.save_alerts([later], [])

    await store.write(work)
    assert await store.read(lambda tx: tx.alert_states([state.alert.key])) == {state.alert.key: later}


async def test_many_alerts_are_found_at_once(store: Store) -> None:
    states = [seen(alert(f"Alert{number}")) for number in range(1200)]
    await store.write(lambda tx: tx.save_alerts(states, []))
    assert len(await store.read(lambda tx: tx.alert_states([state.alert.key for state in states]))) == 1200


async def test_the_alerts_of_an_incident_are_the_firing_ones_first_then_the_most_recent(store: Store) -> None:
    minute = timedelta(minutes=1)
    old = seen(alert("Old"), 1, NOW)
    new = seen(alert("New"), 1, NOW + minute)
    over = seen(alert("Over", firing=False), 1, NOW + 2 * minute)
    other = seen(alert("Other"), 2, NOW + 3 * minute)
    await store.write(lambda tx: tx.save_alerts([over, old, other, new], []))
    assert await store.read(lambda tx: tx.alerts_of(1)) == (new, old, over)
    assert await store.read(lambda tx: tx.alerts_of(1, limit=2)) == (new, old)


async def test_the_alert_log_gives_the_newest_lines_of_one_alert_first(store: Store) -> None:
    one, other = alert(), alert("Other")
    lines = [Received(NOW, one, "opened", f"reason {number}", ("routed: root",), 1) for number in range(4)]
    await store.write(lambda tx: tx.save_alerts([], [*lines[:2], Received(NOW, other, "ignored", "muted")]))
    await store.write(lambda tx: tx.save_alerts([], lines[2:]))
    assert await store.read(lambda tx: tx.alert_log(one.key)) == tuple(reversed(lines))
    assert await store.read(lambda tx: tx.alert_log(one.key, limit=2)) == (lines[3], lines[2])
    again = [Received(NOW, one, "repeated", f"again {number}") for number in range(9)]
    await store.write(lambda tx: tx.save_alerts([], again))
    assert await store.read(lambda tx: tx.alert_log(one.key, 2, ("repeated",))) == (lines[3], lines[2])
    assert await store.read(lambda tx: tx.alert_log(one.key, 9, ("repeated", "opened"))) == ()


async def test_text_that_a_database_cannot_hold_does_no_harm(store: Store) -> None:
    awkward = Alert(
        source="web\x00hook",
        fingerprint="half \ud83d pair",
        firing=True,
        labels={"alertname": "nul \x00 and \ud800", "long": "x" * 5000},
        annotations={},
        starts_at=NOW,
    )
    state = seen(awkward)
    await store.write(lambda tx: tx.save_alerts([state], [Received(NOW, awkward, "ignored", "nul \x00 \ud800 in it")]))
    assert await store.read(lambda tx: tx.alert_states([awkward.key])) == {awkward.key: state}
    (line,) = await store.read(lambda tx: tx.alert_log(awkward.key))
    assert line.alert == awkward
    assert line.reason.startswith("nul ")


async def test_long_keys_are_told_apart(store: Store) -> None:
    long = "root{" + "x" * 4000
    first, second = opening(1, group_key=long + "1}"), opening(2, group_key=long + "2}")
    await saved(store, first, second)
    found = await store.read(lambda tx: tx.incidents_of_groups([long + "1}", long + "2}", long]))
    assert found == {long + "1}": first.incident, long + "2}": second.incident}


async def test_times_keep_their_instant_whatever_their_zone(store: Store) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    change = opening(1, now=local)
    await saved(store, change)
    back = await store.read(lambda tx: tx.incident(1))
    assert back is not None
    assert back.opened_at == NOW
    assert first_broken(await store.read(lambda tx: tx.timeline(1))) is None


# ------------------------------------------------------------------------------------------------ incidents


async def test_an_incident_and_its_timeline_come_back_as_they_were(store: Store) -> None:
    change = opening(1).then(lambda current: lifecycle.acknowledged(current, ADA, NOW))
    await saved(store, change)
    assert await store.read(lambda tx: tx.incident(1)) == change.incident
    entries = await store.read(lambda tx: tx.timeline(1))
    assert entries == change.entries
    assert first_broken(entries) is None


async def test_the_chain_of_a_timeline_holds_for_every_kind_of_value(store: Store) -> None:
    data = {
        "nul": "\x00",
        "float": 1.0,
        "big": 10**30,
        "small": 1e-7,
        "nan": math.inf,
        "text": "é‘🐌",
        "nested": [{"b": 1, "a": None}],
    }
    change = opening(1).then(lambda current: entered(current, "note", "nul \x00 text", NOW, data=data))
    await saved(store, change)
    entries = await store.read(lambda tx: tx.timeline(1))
    assert entries == change.entries
    assert first_broken(entries) is None


async def test_a_timeline_is_appended_to(store: Store) -> None:
    change = opening(1)
    await saved(store, change)
    second = lifecycle.noted(change.incident, "looking", ADA, NOW)
    await saved(store, second)
    assert await store.read(lambda tx: tx.timeline(1)) == (*change.entries, *second.entries)
    assert await store.read(lambda tx: tx.timeline(2)) == ()


async def test_a_timeline_entry_cannot_be_written_twice(store: Store) -> None:
    change = opening(1)
    await saved(store, change)
    stale = lifecycle.noted(change.incident, "from an old view", ADA, NOW)
    await saved(store, lifecycle.noted(change.incident, "first", ADA, NOW))
    with pytest.raises(TryLater, match="conflict"):
        await saved(store, stale)
    assert [entry.text for entry in await store.read(lambda tx: tx.timeline(1))][1:] == ["first"]


async def test_a_work_that_lost_a_race_is_run_again_and_sees_who_won(store: Store) -> None:
    """The first run uses a view from before; a second one reads again."""
    change = opening(1)
    await saved(store, change)
    views: list[Incident] = [change.incident]
    await saved(store, lifecycle.noted(change.incident, "first", ADA, NOW))

    async def work(tx: Tx) -> None:
        current = views.pop() if views else await tx.incident(1)
        assert current is not None
        await tx.save(lifecycle.noted(current, "second", ADA, NOW))

    await store.write(work)
    entries = await store.read(lambda tx: tx.timeline(1))
    assert [entry.text for entry in entries][1:] == ["first", "second"]
    assert first_broken(entries) is None


async def test_incidents_are_found_by_number(store: Store) -> None:
    first, second = opening(1), opening(2, group_key="other")
    await saved(store, first, second)
    assert await store.read(lambda tx: tx.incidents([2, 1, 9])) == {1: first.incident, 2: second.incident}
    assert await store.write(lambda tx: tx.incident(2)) == second.incident
    assert await store.write(lambda tx: tx.incident(9)) is None


async def test_a_group_gives_its_newest_incident_that_is_not_closed(store: Store) -> None:
    first = opening(1).then(lambda current: lifecycle.resolved(current, ADA, "", NOW))
    second = opening(2).then(lambda current: lifecycle.resolved(current, ADA, "", NOW))
    await saved(store, first, second)
    key = first.incident.group_key
    assert await store.write(lambda tx: tx.incidents_of_groups([key, "unknown"])) == {key: second.incident}
    closed = lifecycle.closed(second.incident, ADA, NOW)
    await saved(store, closed)
    assert await store.write(lambda tx: tx.incidents_of_groups([key])) == {key: first.incident}


async def test_only_one_incident_of_a_group_is_open(store: Store) -> None:
    await saved(store, opening(1))
    with pytest.raises(TryLater, match="conflict"):
        await saved(store, opening(2))
    resolved = lifecycle.resolved(opening(1).incident, ADA, "", NOW)
    await saved(store, resolved)
    await saved(store, opening(2))
    with pytest.raises(TryLater, match="conflict"):
        await saved(store, lifecycle.reopened(resolved.incident, "again", NOW))


async def test_an_incident_is_found_by_its_channel(store: Store) -> None:
    change = opening(1)
    await saved(store, change, opening(2, group_key="other"))
    assert await store.read(lambda tx: tx.incident_of_channel("")) is None
    with_channel = change.incident.model_copy(update={"channel_id": "C1"})
    await saved(store, Change(with_channel))
    assert await store.read(lambda tx: tx.incident_of_channel("C1")) == with_channel
    assert await store.read(lambda tx: tx.incident_of_channel("C2")) is None


async def test_incidents_are_listed_newest_first(store: Store) -> None:
    changes = [opening(number, group_key=f"group {number}") for number in range(1, 5)]
    changes[2] = changes[2].then(lambda current: lifecycle.resolved(current, ADA, "", NOW))
    await saved(store, *changes)

    async def listed(only_open: bool, limit: int = 50) -> list[int]:
        found = await store.read(lambda tx: tx.list_incidents(only_open=only_open, limit=limit))
        return [one.id for one in found]

    assert await listed(only_open=False) == [4, 3, 2, 1]
    assert await listed(only_open=True) == [4, 2, 1]
    assert await listed(only_open=True, limit=2) == [4, 2]


async def test_resolved_incidents_are_found_until_they_are_closed(store: Store) -> None:
    hour = timedelta(hours=1)
    changes = [
        opening(number, group_key=f"group {number}").then(
            lambda current, at=NOW + number * hour: lifecycle.resolved(current, ADA, "", at)
        )
        for number in range(1, 4)
    ]
    await saved(store, *changes)
    assert [one.id for one in await store.read(lambda tx: tx.resolved_before(NOW + 3 * hour))] == [1, 2]
    await saved(store, lifecycle.closed(changes[0].incident, ADA, NOW + 4 * hour))
    assert [one.id for one in await store.read(lambda tx: tx.resolved_before(NOW + 9 * hour))] == [2, 3]
    assert [one.id for one in await store.read(lambda tx: tx.resolved_before(NOW + 9 * hour, limit=1))] == [2]


async def test_a_change_saves_its_effects_with_its_state(store: Store) -> None:
    change = opening(1)
    await saved(store, change)
    asked = {one.kind: one.pending for one in await store.backlog(NOW)}
    assert asked == {"escalate": 1, "open_channel": 1, "card": 1, "topic": 1, "gather": 1, "offer": 1}


# ------------------------------------------------------------------------------------------------ runs, context, post-mortem


def waiting_run() -> Run:
    plan = Plan(
        target="Deployment shop/checkout", diffs=(Diff(what="replicas", before="3", after="6"),), want={"generation": 4}
    )
    run = begun(1, opening(7).incident, runbook(), {"replicas": 6}, ADA, NOW)
    look = Look(params={"replicas": 6}, before={"replicas": 3}, plan=plan)
    return with_step(run, moves.planned(run.current, look, run.approval(run.current), NOW))


def with_step(run: Run, step: StepRun) -> Run:
    return runs.moved(run.with_steps(step.id, [step]), NOW)


async def test_a_run_comes_back_as_it_was_at_every_move(store: Store) -> None:
    waiting = waiting_run()
    assert waiting.current.plan is not None
    grace = Actor(id="grace", name="Grace")
    approver = Approver(actor=grace, digest=waiting.current.plan.digest, at=NOW, broke_glass="the shop is down")
    approved = with_step(waiting, moves.approved(waiting.current, approver, 1))
    undo = Undo(action="k8s.scale", with_={"replicas": 3})
    done = with_step(approved, moves.done(moves.intended(approved.current, undo), {"replicas": 6}, undo, NOW))
    ended = with_step(done, moves.finished(done.current, "6 of 6 are ready", NOW, {"ready": 6}))
    for state in (waiting, approved, done, ended):
        await store.write(lambda tx, state=state: tx.save_run(state))
        assert await store.write(lambda tx: tx.run(1)) == state
    assert await store.read(lambda tx: tx.run(2)) is None


async def test_the_runs_of_an_incident_come_in_order(store: Store) -> None:
    run = waiting_run()
    for number, incident_id in ((2, 7), (1, 7), (3, 8)):
        other = run.model_copy(update={"id": number, "incident_id": incident_id})
        await store.write(lambda tx, other=other: tx.save_run(other))
    assert [one.id for one in await store.read(lambda tx: tx.runs_of(7))] == [1, 2]


async def test_the_newest_runs_come_first_of_one_runbook_or_of_all(store: Store) -> None:
    run, hour = waiting_run(), timedelta(hours=1)
    other = run.runbook.model_copy(update={"name": "other"})
    for number in (1, 2, 3):
        book = other if number == 2 else run.runbook
        made = run.model_copy(update={"id": number, "runbook": book, "created_at": NOW + number * hour})
        await store.write(lambda tx, made=made: tx.save_run(made))

    async def found(**wanted: Any) -> list[int]:
        return [one.id for one in await store.read(lambda tx: tx.recent_runs(**wanted))]

    assert await found() == [3, 2, 1]
    assert await found(limit=2) == [3, 2]
    assert await found(runbook="other") == [2]
    assert await found(since=NOW + 3 * hour) == [3]
    assert await found(since=NOW, runbook="nothing of that name") == []


async def test_a_target_is_held_by_one_run_until_it_gives_it_back(store: Store) -> None:
    assert await store.write(lambda tx: tx.hold("shop/checkout", 1, NOW)) == 1
    assert await store.write(lambda tx: tx.hold("shop/checkout", 1, NOW)) == 1
    assert await store.write(lambda tx: tx.hold("shop/checkout", 2, NOW)) == 1
    assert await store.write(lambda tx: tx.hold("shop/cart", 2, NOW)) == 2
    await store.write(lambda tx: tx.release_holds(1))
    assert await store.write(lambda tx: tx.hold("shop/checkout", 3, NOW)) == 3
    assert await store.write(lambda tx: tx.hold("shop/cart", 3, NOW)) == 2


async def test_a_target_is_held_by_one_of_many_that_reach_for_it_at_once(store: Store) -> None:
    holders = await asyncio.gather(*(store.write(lambda tx, n=n: tx.hold("node/a", n, NOW)) for n in range(1, 11)))
    assert len(set(holders)) == 1


async def test_a_target_that_is_given_back_while_others_reach_for_it_is_always_somebodys(store: Store) -> None:
    async def taken_and_given_back(run_id: int) -> None:
        for _ in range(20):
            if await store.write(lambda tx: tx.hold("node/a", run_id, NOW)) == run_id:
                await store.write(lambda tx: tx.release_holds(run_id))

    await asyncio.gather(*(taken_and_given_back(number) for number in range(1, 9)))
    assert await store.write(lambda tx: tx.hold("node/a", 9, NOW)) == 9


async def test_one_who_approved_and_then_broke_the_glass_is_on_record_with_both(store: Store) -> None:
    run = waiting_run()
    assert run.current.plan is not None
    yes = Approver(actor=ADA, digest=run.current.plan.digest, at=NOW)
    both = (yes, yes.model_copy(update={"at": NOW + timedelta(minutes=1), "broke_glass": "the shop is down"}))
    after = with_step(run, run.current.to(approvals=both))
    await store.write(lambda tx: tx.save_run(after))
    await store.write(lambda tx: tx.save_run(after))
    if isinstance(store, MemoryStore):  # which keeps them in the run alone
        return
    query = select(approvals.c.broke_glass).order_by(approvals.c.at)
    found = await store.read(lambda tx: tx.look(lambda conn: conn.execute(query).scalars().all()))  # type: ignore[attr-defined]
    assert found == ["", "the shop is down"]


async def test_what_was_touched_is_known_newest_first_and_forgotten_in_time(store: Store) -> None:
    hour = timedelta(hours=1)
    touches = [Touch(lock=f"shop/{n}", action="k8s.scale", run_id=n, at=NOW + n * hour) for n in range(3)]
    for touch in touches:
        await store.write(lambda tx, touch=touch: tx.touch(touch))
    assert await store.read(lambda tx: tx.touches(NOW + hour)) == (touches[2], touches[1])
    assert await store.read(lambda tx: tx.touches(NOW, limit=1)) == (touches[2],)
    assert await store.prune(NOW + 2 * hour) == 2
    assert await store.read(lambda tx: tx.touches(NOW - hour)) == (touches[2],)


async def test_a_context_comes_back_with_its_pictures(store: Store) -> None:
    picture = Finding.model_validate({"gatherer": "charts", "title": "Latency", "picture": "iVBORw0KGgo="})
    missing = Finding(gatherer="logs", title="Logs", missing="no answer in 10 s")
    context = Context(incident_id=1, epoch=2, gathered_at=NOW, findings=(picture, missing))
    await store.write(lambda tx: tx.save_context(context))
    assert await store.read(lambda tx: tx.context(1, 2)) == context
    assert await store.read(lambda tx: tx.context(1, 1)) is None
    shown = context.model_copy(update={"message_ts": "17.1"})
    await store.write(lambda tx: tx.save_context(shown))
    assert await store.read(lambda tx: tx.context(1, 2)) == shown


async def test_a_postmortem_is_replaced_by_its_newest_text(store: Store) -> None:
    assert await store.read(lambda tx: tx.postmortem(1)) is None
    await store.write(lambda tx: tx.save_postmortem(1, "# INC-1\n\ndraft", NOW))
    await store.write(lambda tx: tx.save_postmortem(1, "# INC-1\n\nfinal", NOW))
    assert await store.read(lambda tx: tx.postmortem(1)) == "# INC-1\n\nfinal"


# ------------------------------------------------------------------------------------------------ transactions


async def test_nothing_is_kept_of_a_write_that_fails(store: Store) -> None:
    async def fails(tx: Tx) -> None:
        await tx.save_alerts([seen(alert())], [Received(NOW, alert(), "opened", "why")])
        await tx.save(opening(1))
        await tx.once("key", NOW + timedelta(hours=1), NOW)
        await tx.save_run(waiting_run())
        await tx.save_postmortem(1, "text", NOW)
        raise ValueError("at the very end")

    with pytest.raises(ValueError, match="at the very end"):
        await store.write(fails)

    async def look(tx: Tx) -> list[object]:
        return [
            await tx.alert_states([alert().key]),
            await tx.alert_log(alert().key),
            await tx.incident(1),
            await tx.timeline(1),
            await tx.run(1),
            await tx.postmortem(1),
        ]

    assert await store.read(look) == [{}, (), None, (), None, None]
    assert await store.backlog(NOW) == ()
    assert await store.write(lambda tx: tx.once("key", NOW + timedelta(hours=1), NOW))


async def test_a_read_sees_one_view_although_a_write_commits_meanwhile(store: Store) -> None:
    await saved(store, opening(1))

    async def look(tx: Tx) -> list[object]:
        before = await tx.incident(1)
        await saved(store, lifecycle.resolved(opening(1).incident, ADA, "", NOW), opening(2))
        after = await tx.incident(1)
        return [before == after, await tx.incident(2), len(await tx.timeline(1))]

    assert await store.read(look) == [True, None, 1]
    resolved = await store.read(lambda tx: tx.incident(1))
    assert resolved is not None
    assert resolved.state is State.RESOLVED


async def test_a_read_does_not_see_what_is_not_committed_and_does_not_wait_for_it(store: Store) -> None:
    async def work(tx: Tx) -> object:
        await tx.save(opening(1))
        return await store.read(lambda reading: reading.incident(1))

    assert await store.write(work) is None


async def test_nothing_can_be_written_in_a_read(store: Store) -> None:
    with pytest.raises(RuntimeError, match="nothing can be written"):
        await store.read(lambda tx: tx.save(opening(1)))
    with pytest.raises(RuntimeError, match="nothing can be written"):
        await store.read(lambda tx: tx.ask([effects.card(1, NOW)]))


async def test_locks_in_a_read_wait_for_nobody(store: Store) -> None:
    await saved(store, opening(1))

    async def work(tx: Tx) -> object:
        await tx.incident(1)
        await tx.lock("name")
        return await store.read(lambda reading: _locked(reading))

    async def _locked(tx: Tx) -> object:
        await tx.lock("name")
        return await tx.incident(1)

    assert await store.write(work) is not None


async def test_the_store_answers_that_it_is_well_until_it_is_closed(store: Store) -> None:
    await store.check()
    await store.close()
    await store.close()
    with pytest.raises(TryLater):
        await store.check()
    with pytest.raises(TryLater):
        await store.write(lambda tx: tx.next_id("incident"))


async def test_an_effect_keeps_its_payload(store: Store) -> None:
    payload = {"incident_id": 1, "text": "nul \x00, ‘quotes’", "people": ["ada"], "at": None}
    effect: Effect = effects.say(1, 1, "", NOW).model_copy(update={"payload": payload})
    await store.write(lambda tx: tx.ask([effect]))
    (delivery,) = await store.claim("me", NOW, NOW + timedelta(minutes=1), 10)
    assert delivery.effect == effect
