"""The outbox of the memory store: pure functions over its rows, and the readable statement of what `outbox.py` says in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.domain.effects import Effect, Priority
from bot.domain.ports import Backlog, Delivery, Settled
from bot.store.failures import Conflict

Rows = dict[str, "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One effect that was asked for. `asked_at` is the due time of the oldest request that it still stands for.

    `unsure`: an attempt may have taken effect; `again`: what `unsure` was before the attempt in flight.
    """

    id: int
    effect: Effect
    asked_at: datetime
    due: datetime
    state: str = "pending"
    attempts: int = 0
    generation: int = 1
    unsure: bool = False
    again: bool = False
    owner: str = ""
    lease_until: datetime | None = None
    settled_at: datetime | None = None
    error: str = ""

    def leased(self, now: datetime) -> bool:
        return self.state == "leased" and self.lease_until is not None and self.lease_until > now

    def claimable(self, now: datetime) -> bool:
        return (self.state == "pending" and self.due <= now) or (self.state == "leased" and not self.leased(now))

    def in_line(self, now: datetime) -> bool:
        """Whether later rows of its lane have to wait for it: due, being retried, or left behind by a worker that is gone."""
        return self.claimable(now) or (self.state == "pending" and self.attempts > 0)

    def belongs_to(self, delivery: Delivery) -> bool:
        """Whether that delivery still holds the lease. Each life of a key has its own id, each claim of it its own number."""
        return (
            self.state == "leased"
            and self.id == delivery.id
            and self.owner == delivery.owner
            and self.attempts == delivery.attempts
        )


def _next_id(counters: dict[str, int]) -> int:
    counters["outbox row"] = counters.get("outbox row", 0) + 1
    return counters["outbox row"]


def ask(rows: Rows, counters: dict[str, int], effect: Effect) -> bool:
    """Whether anything changed by asking."""
    row = rows.get(effect.key)
    if row is None or (effect.latest_wins and row.state in ("done", "dead")):
        # A new life goes to the end of its lane: a card that is asked for all the time must not keep everything else waiting.
        rows[effect.key] = Row(_next_id(counters), effect, effect.due, effect.due)
        return True
    if not effect.latest_wins:
        return False
    # Asking for a card again does not shorten its wait after a failure.
    patient = min(row.effect.priority, effect.priority) > Priority.APPROVAL
    snoozed = row.state == "pending" and row.attempts > 0 and patient
    due = max(row.due, effect.due) if snoozed else effect.due
    newest = row.effect.model_copy(update={"priority": effect.priority, "due": due, "payload": effect.payload})
    asked_at = min(row.asked_at, effect.due) if row.state == "pending" else effect.due
    rows[effect.key] = replace(row, effect=newest, due=due, asked_at=asked_at, generation=row.generation + 1)
    return True


def settle(rows: Rows, counters: dict[str, int], delivery: Delivery, settled: Settled, now: datetime) -> bool:
    key = delivery.effect.key
    row = rows.get(key)
    if row is None or not row.belongs_to(delivery):
        return False
    asked_again = row.generation != delivery.generation
    free = replace(row, owner="", lease_until=None, again=False, error=settled.error)
    if settled.outcome == "later":
        due = row.due if asked_again else settled.due or now
        rows[key] = replace(free, state="pending", due=due, unsure=settled.unsure or row.again)
    elif asked_again:
        rows[key] = Row(_next_id(counters), row.effect, row.asked_at, row.due)
    else:
        rows[key] = replace(
            free, state=settled.outcome, settled_at=now, unsure=settled.outcome == "dead" and row.unsure
        )
    return True


def _ready(rows: Mapping[str, Row], now: datetime) -> list[Row]:
    """The head of each lane that can be claimed, the most urgent first."""
    busy = {row.effect.lane for row in rows.values() if row.leased(now)}
    heads: dict[str, Row] = {}
    for row in rows.values():
        lane = row.effect.lane
        if lane in busy or not row.in_line(now):
            continue
        head = heads.get(lane)
        if head is None or (row.effect.priority, row.id) < (head.effect.priority, head.id):
            heads[lane] = row
    ready = [row for row in heads.values() if row.claimable(now)]
    return sorted(ready, key=lambda row: (row.effect.priority, row.due, row.id))


def claim(
    rows: Rows,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    priorities: Sequence[Priority] = tuple(Priority),
) -> list[Delivery]:
    claimed = []
    for row in [one for one in _ready(rows, now) if one.effect.priority in priorities][:limit]:
        taken = replace(
            row,
            state="leased",
            owner=owner,
            lease_until=lease_until,
            effect=row.effect.model_copy(update={"priority": max(row.effect.priority, Priority.PAGE)}),
            attempts=row.attempts + 1,
            again=row.unsure,
            unsure=True,
        )
        rows[row.effect.key] = taken
        effect = taken.effect.model_copy(update={"due": row.due})
        claimed.append(Delivery(row.id, effect, taken.attempts, taken.again, row.asked_at, row.generation, owner))
    return claimed


def renew(rows: Rows, deliveries: Sequence[Delivery], lease_until: datetime) -> set[int]:
    renewed = set()
    for delivery in deliveries:
        row = rows.get(delivery.effect.key)
        if row is not None and row.belongs_to(delivery):
            rows[delivery.effect.key] = replace(row, lease_until=lease_until)
            renewed.add(row.id)
    return renewed


def release(rows: Rows, owner: str, now: datetime) -> int:
    mine = [row for row in rows.values() if row.state == "leased" and row.owner == owner]
    for row in mine:
        rows[row.effect.key] = replace(
            row, state="pending", owner="", lease_until=None, again=False, due=min(row.due, now)
        )
    return len(mine)


def due_timers(rows: Mapping[str, Row], now: datetime, limit: int) -> list[Delivery]:
    """The earliest first."""
    ready = [row for row in _ready(rows, now) if row.effect.priority is Priority.TIMER and row.state == "pending"]
    return [
        Delivery(
            row.id,
            row.effect.model_copy(update={"due": row.due}),
            row.attempts + 1,
            row.unsure,
            row.asked_at,
            row.generation,
            "",
        )
        for row in ready[:limit]
    ]


def settle_timers(rows: Rows, deliveries: Sequence[Delivery], now: datetime) -> None:
    """What was asked for again meanwhile stays due."""
    for delivery in deliveries:
        row = rows.get(delivery.effect.key)
        if row is None or row.id != delivery.id or row.state != "pending":
            raise Conflict("a timer was taken by somebody else")
        if row.generation == delivery.generation:
            rows[delivery.effect.key] = replace(row, state="done", settled_at=now, error="", unsure=False)


def shift(rows: Rows, by: timedelta, keep: Collection[str]) -> None:
    """The clock has jumped. What stands for a time of the wall clock stays, unless it is being retried."""
    for key, row in rows.items():
        if row.state in ("pending", "leased") and (row.attempts or row.effect.kind not in keep):
            lease_until = row.lease_until + by if row.lease_until else None
            rows[key] = replace(row, due=row.due + by, asked_at=row.asked_at + by, lease_until=lease_until)


def next_due(
    rows: Mapping[str, Row], now: datetime, priorities: Sequence[Priority] = tuple(Priority)
) -> datetime | None:
    ready = [row for row in _ready(rows, now) if row.effect.priority in priorities]
    if ready:
        return min(ready[0].due, now)
    wanted = [row for row in rows.values() if row.effect.priority in priorities]
    pending = [row.due for row in wanted if row.state == "pending" and row.due > now]
    leases = [row.lease_until for row in rows.values() if row.leased(now) and row.lease_until]
    return min((*pending, *leases), default=None)


def backlog(rows: Mapping[str, Row], now: datetime) -> tuple[Backlog, ...]:
    kinds = sorted({row.effect.kind for row in rows.values() if row.state != "done"})
    return tuple(_backlog(kind, [row for row in rows.values() if row.effect.kind == kind], now) for kind in kinds)


def _backlog(kind: str, rows: Iterable[Row], now: datetime) -> Backlog:
    states = [(row.state, row.due) for row in rows]
    undelivered = [due for state, due in states if state in ("pending", "leased")]
    due = [at for at in undelivered if at <= now]
    dead = sum(state == "dead" for state, _ in states)
    return Backlog(kind, len(due), len(undelivered), dead, min(due, default=None))


def dead(rows: Mapping[str, Row], limit: int) -> tuple[tuple[Effect, str], ...]:
    found = [(row.settled_at, row.id, row) for row in rows.values() if row.state == "dead" and row.settled_at]
    newest_first = sorted(found, key=lambda one: one[:2], reverse=True)[:limit]
    return tuple((row.effect.model_copy(update={"due": row.due}), row.error) for _, _, row in newest_first)


def forget(rows: Rows, state: str, before: datetime, limit: int) -> int:
    """Delete what was settled in this way before then, the oldest first."""
    settled = [row for row in rows.values() if row.state == state and row.settled_at and row.settled_at < before]
    oldest = sorted(settled, key=lambda row: (row.settled_at or before, row.id))[:limit]
    for row in oldest:
        del rows[row.effect.key]
    return len(oldest)
