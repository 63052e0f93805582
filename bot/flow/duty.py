"""What happens around turns: whoever begins is told what is open, the Slack user group follows, and gaps are told before they hurt.

The timers are rows in the outbox, asked for ahead by `ask`, which housekeeping calls every minute. A turn that was moved meanwhile says nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta

import structlog

from bot.domain import coverage, duty_told, effects, oncall_effects, oncall_notices, oncall_told
from bot.domain import schedule as schedules
from bot.domain.duty_told import HandOver
from bot.domain.effects import Effect
from bot.domain.oncall_ports import UserGroups
from bot.domain.page import ARRIVED, PageState
from bot.domain.people import Directory
from bot.domain.ports import Clock, Delivery, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.schedule import Schedule
from bot.errors import BadInput
from bot.flow.delivery import Handler, Record, payload
from bot.flow.oncall import as_it_was, gaps_of
from bot.flow.roster import Rosters

MOMENT = timedelta(microseconds=1)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
LAST_TURN = timedelta(days=14)
LOOK_AHEAD = timedelta(days=7)
NEXT_WITHIN = timedelta(days=62)
REPAIRED_EVERY = timedelta(minutes=15)  # a user group that somebody changed by hand
WARNED_AT = time(9, 0)  # UTC
MOST_INCIDENTS = 500
CONTRADICTIONS = ("overrides", "calendar")  # not a hand-over while the clocks go back: that is meant
log = structlog.get_logger(__name__)


class Duty:
    """Handlers for `hand_over`, `user_group` and `coverage`."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, rosters: Rosters, groups: UserGroups) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._rosters = rosters
        self._groups = groups
        self._seen: Directory | None = None
        self._next: dict[str, datetime | None] = {}
        self._looked_at = datetime.min.replace(tzinfo=UTC)

    def handlers(self) -> Mapping[str, Handler]:
        return {"hand_over": self.hand_over, "user_group": self.user_group, "coverage": self.coverage}

    async def _directory(self, tx: Tx) -> Directory:
        return await self._rosters.directory(tx, self._rules(), self._clock())

    # -------------------------------------------------------------------------------------------- asked ahead

    async def ask(self) -> None:
        """Ask for the next change of every schedule, for today's look ahead, and for user groups to be looked at again."""
        now = self._clock()
        directory = await self._store.read(self._directory)
        if not directory.schedules:
            return
        await self._look(directory, now)
        wanted = [oncall_effects.hand_over(key, at) for key, at in self._next.items() if at is not None]
        due = max(now, datetime.combine(now.astimezone(UTC).date(), WARNED_AT, UTC))
        wanted.append(oncall_effects.coverage(f"{due:%Y-%m-%d}", due))
        grouped = [key for key, one in directory.schedules.items() if one.slack_group]

        async def work(tx: Tx) -> None:
            old = [key for key in grouped if await tx.once(f"user_group:{key}", now + REPAIRED_EVERY, now)]
            await tx.ask([*wanted, *(oncall_effects.user_group(key, now) for key in old)])

        await self._store.write(work)

    async def _look(self, directory: Directory, now: datetime) -> None:
        """The next change of each schedule, worked out again only when something may be different."""
        if directory is not self._seen or now - self._looked_at > DAY:
            self._seen, self._next, self._looked_at = directory, {}, now
        old = [key for key in directory.schedules if key not in self._next or (self._next[key] or now + DAY) <= now]
        self._next |= await asyncio.to_thread(lambda: {key: _change(directory.schedules[key], now) for key in old})

    # -------------------------------------------------------------------------------------------- a turn ends

    async def hand_over(self, delivery: Delivery) -> Record | None:
        """No outside act: what is told is decided in the transaction that settles the timer, and sent by rows of its own."""
        name: str = payload(delivery)["schedule"]
        changed_at = datetime.fromisoformat(payload(delivery)["at"])

        async def record(tx: Tx) -> None:
            now = self._clock()
            directory = await self._directory(tx)
            schedule = directory.schedules.get(name)
            if schedule is None:
                return
            schedule = await as_it_was(tx, schedule, changed_at - LAST_TURN, max(now, changed_at) + SECOND)
            before = schedules.on_call(schedule, changed_at - MOMENT)
            after = schedules.on_call(schedule, max(now, changed_at))
            if set(before) == set(after):
                return
            told = await _facts(tx, directory, schedule, (before, after), changed_at, now)
            begins = [key for key in after if key not in before]
            await tx.ask(_messages(told, directory, schedule, begins, changed_at, now))

        return record

    async def user_group(self, delivery: Delivery) -> Record | None:
        """Everybody who is on call in any schedule with this group. When nobody is, it stays as it was: Slack has no empty groups."""
        directory, now = await self._store.read(self._directory), self._clock()
        schedule = directory.schedules.get(payload(delivery)["schedule"])
        if schedule is None or not schedule.slack_group:
            return None
        together = [one for one in directory.schedules.values() if one.slack_group == schedule.slack_group]
        keys = dict.fromkeys(key for one in together for key in schedules.on_call(one, now))
        users = [directory.people[key].slack for key in keys if key in directory.people and directory.people[key].slack]
        if users:
            await self._groups.set_members(schedule.slack_group, users)
        return None

    # -------------------------------------------------------------------------------------------- gaps

    async def coverage(self, delivery: Delivery) -> Record | None:
        """Gaps and contradictions of the next seven days, to each schedule's channel (else the fallback channel); each schedule once a day."""
        directory, now = await self._store.read(self._directory), self._clock()
        day: str = payload(delivery)["day"]
        watched = [one for one in directory.schedules.values() if one.layers]
        names = {key: one.name for key, one in directory.people.items()}

        def look() -> list[Effect]:
            return [effect for one in watched for effect in _warnings(one, names, day, now)]

        wanted = await asyncio.to_thread(look)

        async def record(tx: Tx) -> None:
            await tx.ask(wanted)

        return record if wanted else None


def _change(schedule: Schedule, now: datetime) -> datetime | None:
    """Its next change; None also for a schedule that cannot be worked out, which must not hold up the others."""
    try:
        return schedules.next_change(schedule, now, NEXT_WITHIN)
    except BadInput as error:
        log.warning("a schedule cannot be worked out", schedule=schedule.key, why=str(error))
        return None


def _warnings(schedule: Schedule, names: Mapping[str, str], day: str, now: datetime) -> Iterator[Effect]:
    """What is wrong with a schedule within the next days: when nobody is on call, and where it says two things at once."""
    until = now + LOOK_AHEAD
    try:
        gaps = [] if schedule.gaps_are_meant else gaps_of(schedule, now, until)
        twice = [one.words for one in coverage.overlaps(schedule, now, until, names) if one.kind in CONTRADICTIONS]
    except BadInput as error:
        log.warning("a schedule cannot be worked out", schedule=schedule.key, why=str(error))
        return
    if gaps:
        yield _warning(schedule, "coverage", duty_told.said_gaps(schedule.key, gaps, schedule.zone, now), day, now)
    if twice:
        yield _warning(schedule, "contradictions", duty_told.said_contradictions(schedule.key, twice), day, now)


def _warning(schedule: Schedule, kind: str, told: tuple[str, str], day: str, now: datetime) -> Effect:
    subject, body = told
    key = f"{kind}:{schedule.key}:{day}"
    if schedule.tell:
        return oncall_notices.to_channel(schedule.tell, oncall_notices.handover(key, subject, body), now)
    return effects.alarm(key, f"{subject}.\n{body}", now)


async def _facts(
    tx: Tx,
    directory: Directory,
    schedule: Schedule,
    people: tuple[tuple[str, ...], tuple[str, ...]],
    changed_at: datetime,
    now: datetime,
) -> HandOver:
    """All that whoever begins should know."""
    before, after = people
    every = [one for one in await tx.list_incidents(only_open=True, limit=MOST_INCIDENTS) if not one.test]
    mine = [one for one in every if duty_told.concerns(one, schedule.key)]
    ending = [
        one
        for one in await tx.silences(now)
        if one.number and one.starts_at <= now and one.ends_at is not None and one.ends_at - now <= DAY
    ]
    theirs = await tx.incidents({one.incident_id for one in ending if one.incident_id is not None})
    private = {number for number, one in theirs.items() if one.private}
    shown = [one for one in ending if one.incident_id not in private]
    since = _turn_began(schedule, before, changed_at)
    targets = {f"person:{key}" for key in before}
    every_page = [one for one in await tx.pages_between(since, changed_at) if one.target in targets]
    pages = [one for one in every_page if one.purpose in ("page", "bundle") and one.state in ARRIVED]
    together = [one for one in every_page if one.state is PageState.BUNDLED and one.answer]
    return HandOver(
        schedule=schedule.key,
        before=tuple(oncall_told.name(directory, key) for key in before),
        after=tuple(oncall_told.name(directory, key) for key in after),
        until=schedules.next_change(schedule, max(now, changed_at), NEXT_WITHIN),
        open=tuple(one for one in mine if not one.private),
        private=sum(one.private for one in mine),
        silences=tuple(sorted(shown, key=lambda one: one.ends_at or now)),
        pages=len(pages),
        paged_for=len({one.incident_id for one in (*pages, *together) if one.incident_id is not None}),
        since=since,
    )


def _turn_began(schedule: Schedule, before: Sequence[str], changed_at: datetime) -> datetime:
    """When the turn that ends began, two weeks before at most."""
    turns = schedules.shifts(schedule, changed_at - LAST_TURN, changed_at)
    starts = [one.starts for one in turns if one.person in before and one.ends >= changed_at]
    return min(starts, default=changed_at - DAY)


def _messages(
    told: HandOver,
    directory: Directory,
    schedule: Schedule,
    begins: Sequence[str],
    changed_at: datetime,
    now: datetime,
) -> list[Effect]:
    key = f"handover:{schedule.key}:{int(changed_at.timestamp())}"
    subject = duty_told.subject(told, schedule.zone, now)
    found: list[Effect] = []
    if schedule.tell:
        body = duty_told.body(told, schedule.zone, now)
        found.append(oncall_notices.to_channel(schedule.tell, oncall_notices.handover(key, subject, body), now))
    elif not told.after and not schedule.gaps_are_meant:
        found.append(
            effects.alarm(key, f"{subject}. To fill it: `/oncall override {schedule.key} PERSON now for 4h`", now)
        )
    for one in begins:
        person = directory.people.get(one)
        if person is not None:
            zone = oncall_told.zone_for(directory, one, schedule.key)
            own = oncall_notices.handover(key, duty_told.yours(told, zone, now), duty_told.body(told, zone, now))
            found += oncall_notices.to_person(person, directory.media, own, now)
    if schedule.slack_group:
        found.append(oncall_effects.user_group(schedule.key, now))
    return found
