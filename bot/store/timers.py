"""The SQL of timers that are decided together: which are due, that they are done, and how a jump of the clock moves them. Called by the stores.

Nothing is leased: whoever decides has them only as long as the transaction lasts, so a worker that dies leaves them due.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, func, select, text, update

from bot.domain.effects import Priority
from bot.domain.ports import CLOCK_SHIFTS, Decide, Delivery
from bot.store import alerts, claims, locks
from bot.store.claims import HEAD_OF_LANE
from bot.store.failures import Conflict
from bot.store.rows import effect_of
from bot.store.statements import chunks, put
from bot.store.tables import counters, outbox
from bot.store.transaction import SqlTx
from bot.store.types import Utc

_TIMER = int(Priority.TIMER)
_NAMES = ", ".join(f"candidate.{column.name}" for column in outbox.c)
DUE_SQL = f"""
    select {_NAMES} from outbox as candidate
    where candidate.state = 'pending' and candidate.priority = {_TIMER} and candidate.due <= :now and {HEAD_OF_LANE}
    order by candidate.due, candidate.id limit :wanted
"""  # noqa: S608  names of columns
_DUE = text(DUE_SQL).bindparams(bindparam("now", type_=Utc())).columns(*outbox.c)
_FIRST = text(
    f"select due from outbox where state = 'pending' and priority = {_TIMER} order by due limit 1"  # noqa: S608  a number
).columns(due=Utc())
_ASKED = select(outbox.c.id, outbox.c.generation).where(
    outbox.c.id.in_(bindparam("ids", expanding=True)), outbox.c.state == "pending"
)
_DONE = (
    update(outbox)
    .where(outbox.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="done", settled_at=bindparam("at"), error="", unsure=False)
)


async def settle_due(tx: SqlTx, now: datetime, limit: int, known: int | None, decide: Decide) -> int:
    """Have those that are due decided, and settle them in the same transaction; how many. `known`: as in `followed`."""
    deliveries = await tx.change(due, now, limit, known)
    if deliveries:
        await decide(tx, deliveries)
        await tx.change(settle, deliveries, now)
        tx.woke = True
    return len(deliveries)


def due(conn: Connection, now: datetime, limit: int, known: int | None) -> list[Delivery]:
    """The earliest first."""
    if not followed(conn, known):
        return []
    rows = conn.execute(_DUE, {"now": now, "wanted": limit})
    return [
        Delivery(row.id, effect_of(row), row.attempts + 1, row.unsure, row.asked_at, row.generation, "") for row in rows
    ]


def claim(
    conn: Connection,
    known: int | None,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    priorities: Sequence[Priority],
) -> list[Delivery]:
    """`claims.claim`, unless the clock has not followed a jump."""
    return claims.claim(conn, owner, now, lease_until, limit, priorities) if followed(conn, known) else []


def next_due(conn: Connection, now: datetime, priorities: Sequence[Priority]) -> datetime | None:
    """`claims.next_due`; timers alone are asked for all the time, and their lanes do not matter."""
    if tuple(priorities) != (Priority.TIMER,):
        return claims.next_due(conn, now, priorities)
    found = conn.execute(_FIRST).first()
    return found.due if found else None


def settle(conn: Connection, deliveries: Sequence[Delivery], now: datetime) -> None:
    """What was asked for again meanwhile, also by these decisions, stays due. Conflict when somebody else has taken one."""
    decided = {delivery.id: delivery.generation for delivery in deliveries}
    for ids in chunks(decided):
        asked = dict(conn.execute(_ASKED.order_by(outbox.c.id).with_for_update(), {"ids": ids}).tuples().all())
        if len(asked) < len(ids):
            raise Conflict("a timer was taken by somebody else")
        conn.execute(_DONE, {"ids": [one for one in ids if asked[one] == decided[one]], "at": now})


def followed(conn: Connection, known: int | None) -> bool:
    """Whether the caller's clock has followed all jumps by which timers were moved (None: it does not watch for any): else what it takes for
    due may not be."""
    return known is None or alerts.counter(conn, CLOCK_SHIFTS) == known


def shift(conn: Connection, by: timedelta, keep: Collection[str]) -> int:
    """Move everything undelivered, and its leases, but what stands for a time of the wall clock (`keep`: kinds) unless it is being retried."""
    moved = 0
    waiting = outbox.c.state.in_(["pending", "leased"])
    bound = outbox.c.kind.in_(sorted(keep)) & (outbox.c.attempts == 0)
    ids = (
        conn.execute(select(outbox.c.id).where(waiting, ~bound).order_by(outbox.c.id).with_for_update()).scalars().all()
    )
    for some in chunks(ids):
        rows = conn.execute(
            select(outbox.c.id, outbox.c.due, outbox.c.asked_at, outbox.c.lease_until).where(outbox.c.id.in_(some))
        ).all()
        moved += len(rows)
        conn.execute(
            _MOVE,
            [
                {
                    "moved": one.id,
                    "to": one.due + by,
                    "asked": one.asked_at + by,
                    "lease": one.lease_until and one.lease_until + by,
                }
                for one in rows
            ],
        )
    return moved


_MOVE = (
    update(outbox)
    .where(outbox.c.id == bindparam("moved"))
    .values(due=bindparam("to"), asked_at=bindparam("asked"), lease_until=bindparam("lease"))
)


def shift_once(conn: Connection, by: timedelta, keep: Collection[str], before: int, notes: Mapping[str, int]) -> int:
    """`shift`, unless somebody else has for the same jump: then more than `before` are counted already. How many are counted now."""
    locks.hold(conn, CLOCK_SHIFTS)
    count = alerts.counter(conn, CLOCK_SHIFTS)
    if count == before:
        shift(conn, by, keep)
        count += 1
        note(conn, {**notes, CLOCK_SHIFTS: count})
    return count


def note(conn: Connection, notes: Mapping[str, int]) -> None:
    """Set counters."""
    put(conn, counters, [{"name": name, "value": value} for name, value in sorted(notes.items())])


def database_clock(conn: Connection) -> datetime | None:
    """PostgreSQL's; None on SQLite, which has none of its own."""
    if conn.dialect.name == "sqlite":
        return None
    found: datetime = conn.execute(select(func.clock_timestamp())).scalar_one()
    return found
