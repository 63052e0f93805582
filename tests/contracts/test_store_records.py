"""The store's contract, sixth part: silences, what was changed in the world, incidents by time, and what is forgotten in the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain import lifecycle
from bot.domain.alert import Alert, Received
from bot.domain.effects import Effect, Priority
from bot.domain.incident import Change, Incident
from bot.domain.incoming import ChangeEvent
from bot.domain.lifecycle import Opening
from bot.domain.ports import Settled, Store, Tx
from bot.domain.routing import Route
from bot.domain.silence import Silence
from bot.domain.windows import Window
from bot.store.types import LONGEST_KEY
from tests.support.stores import KINDS, opened

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONG = "é" * LONGEST_KEY
ALERT = Alert("prometheus", "disk", True, {"alertname": "DiskFull"}, {}, NOW)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as fresh:
        yield fresh


# ------------------------------------------------------------------------------------------------ silences


def silence(number: int, ends_at: datetime | None = NOW + HOUR, starts_at: datetime = NOW - HOUR) -> Silence:
    return Silence(
        number=number, matchers=('alertname="DiskFull"',), starts_at=starts_at, ends_at=ends_at, created_at=NOW - DAY
    )


async def silenced(store: Store, *silences: Silence) -> None:
    for one in silences:
        await store.write(lambda tx, one=one: tx.save_silence(one))


async def test_a_silence_comes_back_as_it_was_until_it_is_replaced(store: Store) -> None:
    nights = Window.model_validate({"between": ["18:00", "08:05"], "days": ["mon", "fri"], "zone": "Europe/Berlin"})
    once = Window.model_validate({"from": "2026-03-01T18:00:00+01:00", "until": "2026-03-02T00:00:00Z"})
    made = silence(7, None).model_copy(
        update={
            "kind": "maintenance",
            "name": "nightly",
            "author": "Ada",
            "reason": "nul \x00, ‘quotes’",
            "windows": (nights, once),
            "incident_id": 3,
            "imported_from": "alertmanager",
        }
    )
    await silenced(store, made)
    assert await store.read(lambda tx: tx.silence(7)) == made
    assert await store.read(lambda tx: tx.silence(8)) is None
    ended = made.model_copy(update={"ends_at": NOW})
    await silenced(store, ended)
    assert await store.read(lambda tx: tx.silence(7)) == ended
    assert await store.read(lambda tx: tx.silences(NOW - SECOND)) == (ended,)


async def test_silences_that_are_not_over_come_by_number_and_all_of_them_the_newest_first(store: Store) -> None:
    future = silence(2, NOW + DAY, starts_at=NOW + HOUR)
    await silenced(store, silence(5, None), silence(1, NOW), future, silence(4, NOW + SECOND), silence(3, NOW - SECOND))

    async def numbers(**asked: Any) -> list[int]:
        return [one.number for one in await store.read(lambda tx: tx.silences(NOW, **asked))]

    assert await numbers() == [2, 4, 5], "one that ends now is over"
    assert await numbers(limit=2) == [2, 4]
    assert await numbers(over=True) == [5, 4, 3, 2, 1]
    assert await numbers(over=True, limit=2) == [5, 4]


# ------------------------------------------------------------------------------------------------ what was changed


def event(key: str, at: datetime = NOW, state: str = "success", source: str = "github") -> ChangeEvent:
    return ChangeEvent(source, key, "deployment", "checkout 1.4.2", at, state, "checkout", labels={"b": "2", "a": "1"})


async def told(store: Store, *events: ChangeEvent) -> int:
    return await store.write(lambda tx: tx.save_events(events))


async def known(store: Store, since: datetime = NOW - DAY, until: datetime = NOW + DAY) -> tuple[ChangeEvent, ...]:
    return await store.read(lambda tx: tx.events(since, until))


async def test_an_event_comes_back_as_it_was(store: Store) -> None:
    whole = ChangeEvent(
        source="gitlab",
        key="deploy \x00 1",
        kind="workflow",
        title="half \ud83d pair",
        at=NOW,
        state="failed",
        service="shop \x00",
        environment="production",
        author="Ada",
        url="https://gitlab.example/1",
        labels={"nul": "\x00", LONG: "x"},
    )
    long = event(LONG + "1", NOW - SECOND, source=LONG)
    other = event(LONG + "2", NOW - MINUTE, source=LONG)
    assert await told(store, whole, other, long) == 3
    assert await known(store) == (whole, long, other)


async def test_the_newest_that_is_told_of_an_event_counts(store: Store) -> None:
    begun, done = event("1", NOW, "started"), event("1", NOW + MINUTE, "success")
    assert await told(store, begun) == 1
    assert await told(store, begun) == 0, "told again"
    assert await told(store, replace(begun, labels={"a": "1", "b": "2"})) == 0, "in another order"
    assert await told(store, replace(begun, state="queued")) == 1, "as new as what is known"
    assert await told(store, done) == 1
    assert await told(store, begun) == 0, "out of order"
    assert await known(store) == (done,)
    other = event("1", NOW, source="gitlab")
    assert await told(store, other, event("2")) == 2
    assert await known(store) == (done, event("2"), other)


async def test_the_newest_of_one_delivery_counts(store: Store) -> None:
    first, second, third = (event("1", NOW + n * MINUTE, str(n)) for n in range(3))
    same = replace(third, state="at the same time")
    assert await told(store, second, third, same, first) == 1
    assert await known(store) == (same,)
    assert await told(store) == 0


async def test_the_newest_events_of_a_time_come_first(store: Store) -> None:
    events = [event(str(number), NOW + number * MINUTE) for number in range(5)]
    await told(store, *events)
    await told(store, event("same time", NOW + 3 * MINUTE, source="a"))
    found = await known(store, NOW + MINUTE, NOW + 3 * MINUTE)
    assert [one.key for one in found] == ["same time", "3", "2", "1"]
    assert [one.key for one in await store.read(lambda tx: tx.events(NOW, NOW + HOUR, limit=2))] == ["4", "same time"]
    assert await known(store, NOW + HOUR) == ()


# ------------------------------------------------------------------------------------------------ incidents by time


def opening(number: int, at: datetime, group_key: str = "") -> Change:
    return lifecycle.opened(number, [ALERT], Opening(group_key or f"root{number}", {}, "critical", (), Route()), at)


async def test_incidents_are_found_by_when_they_were_opened(store: Store) -> None:
    changes = [opening(3, NOW), opening(1, NOW), opening(2, NOW - HOUR), opening(4, NOW + HOUR, LONG + "4")]
    await store.write(lambda tx: tx.save(*changes))

    async def between(since: datetime, until: datetime, limit: int = 5000) -> list[int]:
        return [one.id for one in await store.read(lambda tx: tx.incidents_between(since, until, limit))]

    assert await between(NOW - HOUR, NOW + HOUR) == [2, 1, 3]
    assert await between(NOW - HOUR, NOW + DAY, limit=2) == [2, 1]
    assert await between(NOW + DAY, NOW + 2 * DAY) == []
    newest = ((LONG + "4", NOW + HOUR), ("root3", NOW), ("root1", NOW))
    assert await store.read(lambda tx: tx.opened_since(NOW)) == newest
    assert await store.read(lambda tx: tx.opened_since(NOW, limit=2)) == newest[:2]
    assert await store.read(lambda tx: tx.incidents_between(NOW - HOUR, NOW)) == (changes[2].incident,)


async def test_an_incident_keeps_all_that_is_known_of_it(store: Store) -> None:
    change = opening(1, NOW)
    full = change.incident.model_copy(
        update={
            "media": ("slack", "sms"),
            "storm_at": NOW,
            "problems": ("a", "b"),
            "flapping": ("DiskFull",),
            "news_at": NOW + SECOND,
            "interval": 7 * MINUTE,
            "repeat": HOUR,
        }
    )
    await store.write(lambda tx: tx.save(Change(full)))
    assert await store.read(lambda tx: tx.incident(1)) == full


def test_an_incident_of_an_older_version_is_read() -> None:
    fields = {"id": 1, "title": "t", "group_key": "g", "opened_at": "2026-03-01T12:00:00Z", "channel_name": "inc-1"}
    assert Incident.model_validate(fields).problems == ()


# ------------------------------------------------------------------------------------------------ forgetting


async def test_records_are_forgotten_the_oldest_first_and_in_pieces(store: Store) -> None:
    lines = tuple(Received(NOW + n * SECOND, ALERT, "opened", str(n)) for n in range(6))
    await store.write(lambda tx: tx.save_alerts((), [lines[5], *lines[:5]]))
    assert await store.prune_log(NOW) == 0
    assert await store.prune_log(NOW + 5 * SECOND, limit=2) == 2
    left = await store.read(lambda tx: tx.log_between(NOW, NOW + HOUR))
    assert [line.reason for _, line in left] == ["2", "3", "4", "5"]
    assert await store.prune_log(NOW + 5 * SECOND, limit=100) == 3
    assert await store.prune_log(NOW + 5 * SECOND, limit=100) == 0
    assert await store.read(lambda tx: tx.alert_log(ALERT.key)) == (lines[5],)


async def test_silences_that_ended_and_events_are_forgotten_too(store: Store) -> None:
    await silenced(store, silence(1, NOW - SECOND), silence(2, NOW), silence(3, None, starts_at=NOW - DAY))
    await told(store, event("old", NOW - SECOND), event("new"))
    assert await store.prune(NOW) == 0, "not yet"
    assert await store.prune_log(NOW) == 2
    assert [one.number for one in await store.read(lambda tx: tx.silences(NOW, over=True))] == [3, 2]
    assert [one.key for one in await known(store)] == ["new"]
    assert await told(store, event("old", NOW - SECOND)) == 1, "what was forgotten is new again"


async def test_dead_rows_are_forgotten_late(store: Store) -> None:
    effects = [
        Effect(kind="say", key=key, lane=key, priority=Priority.CARD, due=NOW) for key in ("done", "dead", "pending")
    ]
    await store.write(lambda tx: tx.ask(effects))
    for delivery in await store.claim("me", NOW, NOW + HOUR, 2):
        outcome = Settled("dead", error="no") if delivery.effect.key == "dead" else Settled("done")
        await store.write(lambda tx, one=delivery, outcome=outcome: tx.settle(one, outcome, NOW))
    assert await store.prune_log(NOW) == 0
    assert [one.key for one, _ in await store.read(lambda tx: tx.dead())] == ["dead"]
    assert await store.prune_log(NOW + SECOND) == 1
    assert await store.read(lambda tx: tx.dead()) == ()
    assert await store.prune(NOW + SECOND) == 1, "delivered ones are not touched by it"
    assert [one.pending for one in await store.backlog(NOW)] == [1]


# ------------------------------------------------------------------------------------------------ transactions


async def test_nothing_is_kept_of_a_work_that_fails_after_it_has_saved_records(store: Store) -> None:
    async def fails(tx: Tx) -> None:
        await tx.save_silence(silence(1))
        assert await tx.save_events([event("1")]) == 1
        await tx.next_id("silences")
        assert len(await tx.silences(NOW)) == len(await tx.events(NOW, NOW)) == 1
        raise ValueError("at the very end")

    with pytest.raises(ValueError, match="at the very end"):
        await store.write(fails)
    assert await store.read(lambda tx: tx.silences(NOW)) == ()
    assert await store.read(lambda tx: tx.silence(1)) is None
    assert await store.read(lambda tx: tx.counter("silences")) == 0
    assert await known(store) == ()


async def test_a_read_sees_one_view_of_the_records(store: Store) -> None:
    await silenced(store, silence(1))

    async def look(tx: Tx) -> list[int]:
        before = await tx.silences(NOW)
        await silenced(store, silence(2))
        await told(store, event("1"))
        return [len(before), len(await tx.silences(NOW)), len(await tx.events(NOW, NOW))]

    assert await store.read(look) == [1, 1, 0]
    assert len(await store.read(lambda tx: tx.silences(NOW))) == 2


@pytest.mark.parametrize("act", [lambda tx: tx.save_silence(silence(1)), lambda tx: tx.save_events([event("1")])])
async def test_no_record_is_saved_in_a_read(store: Store, act: Callable[[Tx], Awaitable[Any]]) -> None:
    with pytest.raises(RuntimeError, match="nothing can be written"):
        await store.read(act)
