"""The SQL of the worker's side of the outbox: which rows may be delivered now, and who has them. Called by the stores.

Written as text: the literals must match the partial indexes, and the head of a lane must be looked up by its index, row by row, however
many timers are waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, TextClause, TextualSelect, and_, bindparam, case, func, select, text, update

from bot.domain.effects import Priority
from bot.domain.ports import Backlog, Delivery
from bot.store.rows import effect_of
from bot.store.tables import outbox
from bot.store.types import Utc

# Nobody holds the lane, and nothing that is due, being retried or left behind stands before this row in it.
HEAD_OF_LANE = """
    not exists (select 1 from outbox as busy where busy.lane = candidate.lane and busy.state = 'leased' and busy.lease_until > :now)
    and candidate.id = (
        select head.id from outbox as head
        where head.lane = candidate.lane and head.state in ('pending', 'leased')
          and (head.due <= :now or head.attempts > 0)
        order by head.priority, head.id limit 1
    )
"""
# Priority by priority, so that the timers that are not due yet are never read.
_DUE = """
    select * from (
        select id, priority, due from outbox as candidate
        where candidate.state = 'pending' and candidate.priority = {priority} and candidate.due <= :now and {head}
        order by due, id limit :wanted
    ) as due_{name}
"""
_LEFT_BEHIND = """
    select * from (
        select id, priority, due from outbox as candidate
        where candidate.state = 'leased' and candidate.lease_until <= :now and candidate.priority in ({priorities}) and {head}
        order by priority, due, id limit :wanted
    ) as left_behind
"""
_COMING = "select min(due) as due from outbox where state = 'pending' and priority = {priority} and due > :now"
_LEASE_ENDS = "select min(lease_until) as due from outbox where state = 'leased' and lease_until > :now"
EVERY = tuple(Priority)
# Looked through one after the other, until there is enough: behind many urgent rows stand as many that are not the head of their lane, and to
# walk along those at each claim would take longer than everything else.
GROUPS = (
    (Priority.TIMER, Priority.PAGE),
    (Priority.CHANNEL, Priority.APPROVAL),
    (Priority.CARD, Priority.CONTEXT, Priority.COSMETICS),
)


def ready_sql(priorities: Sequence[Priority] = EVERY) -> str:
    """Which rows of these priorities may be delivered now, the most urgent first."""
    parts = [_DUE.format(priority=int(one), name=one.name.lower(), head=HEAD_OF_LANE) for one in priorities]
    among = ", ".join(str(int(one)) for one in priorities)
    parts.append(_LEFT_BEHIND.format(head=HEAD_OF_LANE, priorities=among))
    return " union all ".join(parts) + " order by priority, due, id limit :wanted"


READY_SQL = ready_sql()


def _timed(sql: str) -> TextClause:
    return text(sql).bindparams(bindparam("now", type_=Utc()))


@cache
def _ready(priorities: tuple[Priority, ...]) -> TextualSelect:
    return _timed(ready_sql(priorities)).columns(id=outbox.c.id.type, due=Utc())


def _first_ready(conn: Connection, now: datetime, wanted: int, priorities: Sequence[Priority]) -> list[Row[Any]]:
    """Those that may be delivered now, the most urgent first: `id` and `due`."""
    found: list[Row[Any]] = []
    for group in GROUPS:
        if asked := tuple(one for one in group if one in priorities):
            found += conn.execute(_ready(asked), {"now": now, "wanted": wanted - len(found)})
        if len(found) >= wanted:
            break
    return found


@cache
def _next(priorities: tuple[Priority, ...]) -> TextualSelect:
    parts = [_COMING.format(priority=int(one)) for one in priorities]
    return _timed(" union all ".join([*parts, _LEASE_ENDS])).columns(due=Utc())


_CLAIMABLE = and_(
    outbox.c.id.in_(bindparam("ids", expanding=True)),
    (and_(outbox.c.state == "pending", outbox.c.due <= bindparam("now")))
    | (and_(outbox.c.state == "leased", outbox.c.lease_until <= bindparam("now"))),
)
_CLAIM = (
    update(outbox)
    .where(outbox.c.id.in_(select(outbox.c.id).where(_CLAIMABLE).with_for_update(skip_locked=True)))
    .values(
        state="leased",
        owner=bindparam("new_owner"),
        lease_until=bindparam("until"),
        attempts=outbox.c.attempts + 1,
        # A timer that could not be decided together with others is tried again like a page.
        priority=case((outbox.c.priority < int(Priority.PAGE), int(Priority.PAGE)), else_=outbox.c.priority),
        again=outbox.c.unsure,
        unsure=True,
    )
    .returning(*outbox.c)
)


def claim(
    conn: Connection,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    priorities: Sequence[Priority] = EVERY,
) -> list[Delivery]:
    """On PostgreSQL the caller holds the claim lock, so that no lane is given out twice."""
    ids = [row.id for row in _first_ready(conn, now, limit, priorities)]
    if not ids:
        return []
    claimed = conn.execute(_CLAIM, {"ids": ids, "now": now, "until": lease_until, "new_owner": owner}).all()
    urgent = sorted(claimed, key=lambda row: (row.priority, row.due, row.id))
    return [
        Delivery(row.id, effect_of(row), row.attempts, row.again, row.asked_at, row.generation, owner) for row in urgent
    ]


def renew(conn: Connection, deliveries: Sequence[Delivery], lease_until: datetime) -> set[int]:
    renewed = set()
    for delivery in deliveries:
        mine = and_(
            outbox.c.id == delivery.id,
            outbox.c.state == "leased",
            outbox.c.owner == delivery.owner,
            outbox.c.attempts == delivery.attempts,
        )
        if conn.execute(update(outbox).where(mine).values(lease_until=lease_until)).rowcount:
            renewed.add(delivery.id)
    return renewed


def release(conn: Connection, owner: str, now: datetime) -> int:
    mine = and_(outbox.c.state == "leased", outbox.c.owner == owner)
    at_once = case((outbox.c.due > now, now), else_=outbox.c.due)
    freed = update(outbox).where(mine).values(state="pending", owner="", lease_until=None, again=False, due=at_once)
    return conn.execute(freed).rowcount


def next_due(conn: Connection, now: datetime, priorities: Sequence[Priority] = EVERY) -> datetime | None:
    for ready in _first_ready(conn, now, 1, priorities):
        due: datetime = ready.due
        return min(due, now)
    coming: list[datetime] = [
        row.due for row in conn.execute(_next(tuple(priorities)), {"now": now}) if row.due is not None
    ]
    return min(coming, default=None)


def backlog(conn: Connection, now: datetime) -> tuple[Backlog, ...]:
    undelivered = outbox.c.state.in_(["pending", "leased"])
    due = and_(undelivered, outbox.c.due <= now)
    counted = select(
        outbox.c.kind,
        func.count(case((due, 1))),
        func.count(case((undelivered, 1))),
        func.count(case((outbox.c.state == "dead", 1))),
        func.min(case((due, outbox.c.due))),
    )
    query = counted.where(outbox.c.state != "done").group_by(outbox.c.kind).order_by(outbox.c.kind)
    return tuple(Backlog(*row) for row in conn.execute(query))
