"""The SQL of what people change about on-call by themselves. Called by transaction.SqlTx; `lock` holds the roster until the commit.

One lock for all of it, taken before anything else: changes are few, and nobody ever waits for somebody who waits for them. It also holds what is not
there yet (the first method of a person). Every save counts the counter `roster` up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from bot.domain.roster import Feed, OwnMethod, Preferences, Roster, Swap
from bot.domain.schedule import Override
from bot.store import locks
from bot.store.alerts import counter, next_id
from bot.store.statements import put
from bot.store.tables import feeds, overrides, own_methods, preferences, swaps

ROSTER = "roster"


def roster(conn: Connection, now: datetime) -> Roster:
    """The version comes first: what is read after it may be newer than it says, and is then read once more, but never older."""
    version = counter(conn, ROSTER)
    lasting = select(overrides.c.doc).where(overrides.c.ends > now, overrides.c.ended_at.is_(None))
    methods = select(own_methods.c.doc).where(own_methods.c.removed_at.is_(None))
    chosen = map(Preferences.model_validate_json, conn.execute(select(preferences.c.doc)).scalars())
    calendars = map(Feed.model_validate_json, conn.execute(select(feeds.c.doc)).scalars())
    return Roster(
        version=version,
        overrides=_overrides(conn, lasting),
        methods=by_person(map(OwnMethod.model_validate_json, conn.execute(methods).scalars())),
        preferences={one.person: one for one in chosen},
        feeds={one.name: one for one in calendars},
    )


def by_person(methods: Iterable[OwnMethod]) -> dict[str, tuple[OwnMethod, ...]]:
    """Each person's in the order in which they were entered."""
    found: dict[str, tuple[OwnMethod, ...]] = {}
    for one in sorted(methods, key=lambda one: (one.person, one.added_at, one.method.key)):
        found[one.person] = (*found.get(one.person, ()), one)
    return found


def _overrides(conn: Connection, query: Select[tuple[str]]) -> tuple[Override, ...]:
    """By number. The database would go through all of them to have them in order; those that count are few."""
    found = map(Override.model_validate_json, conn.execute(query).scalars())
    return tuple(sorted(found, key=lambda one: one.number))


def override(conn: Connection, number: int, lock: bool) -> Override | None:
    doc = _found(conn, overrides, number, lock)
    return None if doc is None else Override.model_validate_json(doc)


def swap(conn: Connection, number: int, lock: bool) -> Swap | None:
    doc = _found(conn, swaps, number, lock)
    return None if doc is None else Swap.model_validate_json(doc)


def _found(conn: Connection, table: Table, number: int, lock: bool) -> str | None:
    if lock:
        locks.hold(conn, ROSTER)
    doc: str | None = conn.execute(select(table.c.doc).where(table.c.number == number)).scalar()
    return doc


def overrides_between(conn: Connection, since: datetime, until: datetime, schedule: str) -> tuple[Override, ...]:
    touching = select(overrides.c.doc).where(overrides.c.ends > since, overrides.c.starts < until)
    return _overrides(conn, touching.where(overrides.c.schedule == schedule) if schedule else touching)


def swaps_asked(conn: Connection, now: datetime) -> tuple[Swap, ...]:
    query = select(swaps.c.doc).where(swaps.c.ends > now, swaps.c.state == "asked")
    found = map(Swap.model_validate_json, conn.execute(query).scalars())
    return tuple(sorted(found, key=lambda one: one.number))


def methods_of(conn: Connection, person: str, lock: bool) -> tuple[OwnMethod, ...]:
    if lock:
        locks.hold(conn, ROSTER)
    query = select(own_methods.c.doc).where(own_methods.c.person == person, own_methods.c.removed_at.is_(None))
    return by_person(map(OwnMethod.model_validate_json, conn.execute(query).scalars())).get(person, ())


def save_override(conn: Connection, saved: Override) -> None:
    values = {
        "number": saved.number,
        "schedule": saved.schedule,
        "starts": saved.starts,
        "ends": saved.ends,
        "ended_at": saved.ended_at,
    }
    _save(conn, overrides, {**values, "doc": saved.model_dump_json()})


def save_swap(conn: Connection, saved: Swap) -> None:
    values = {"number": saved.number, "state": saved.state, "ends": saved.ends}
    _save(conn, swaps, {**values, "doc": saved.model_dump_json()})


def save_method(conn: Connection, saved: OwnMethod) -> None:
    values = {"person": saved.person, "key": saved.method.key, "removed_at": saved.removed_at}
    _save(conn, own_methods, {**values, "doc": saved.model_dump_json()})


def save_preferences(conn: Connection, saved: Preferences) -> None:
    _save(conn, preferences, {"person": saved.person, "doc": saved.model_dump_json(by_alias=True)})


def save_feed(conn: Connection, saved: Feed) -> None:
    _save(conn, feeds, {"name": saved.name, "doc": saved.model_dump_json()})


def _save(conn: Connection, table: Table, values: dict[str, Any]) -> None:
    locks.hold(conn, ROSTER)
    next_id(conn, ROSTER)
    put(conn, table, [values])
