"""Looks every minute whether each open incident has its next step in time, and asks for what is missing (P3). Called by app, on every replica.

What it finds should never happen: a timer that is gone although nobody has acknowledged, a page that was handed over and never heard of again. It is
repaired, said in the timeline and counted. A pass that could look at everything tells the heartbeat outside; one that could not is silent, which is
what a dead man's switch waits for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from bot.domain import effects, oncall_effects
from bot.domain.contact import Method, Step
from bot.domain.effects import Effect
from bot.domain.incident import Incident, State, warned
from bot.domain.page import Page, PageState
from bot.domain.ports import CLOCK_SHIFTS, Clock, Store, Tx

AT_ONCE = 500  # incidents that are read together
REPAIRED_AT_ONCE = 50
LATE = timedelta(minutes=1)
EVERY = timedelta(minutes=1)
LOOKED_BACK = timedelta(hours=6)  # how old a page is at most that is looked for
URGENT = frozenset({"alarm", "bundle", "escalate", "fall_back", "page", "still_at_it", "summon"})

Beat = Callable[[bool], Awaitable[object]]


async def no_heartbeat(well: bool) -> None:
    """Nobody outside is told."""


class Auditor:
    """`beat(well)` tells the outside; `observe(what)` counts what was found: the kind of a missing effect, `page_lost`, `late` or `unrepaired`."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        beat: Beat = no_heartbeat,
        observe: Callable[[str], None] = lambda what: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._beat = beat
        self._observe = observe
        self._log = structlog.get_logger("auditor")

    async def audit(self) -> bool:
        """One pass, by one replica each minute; whether this one made it. Raises what keeps it from looking; then nobody is told that all is well."""
        now = self._clock()
        minute = int(now.timestamp() // EVERY.total_seconds())

        async def first(tx: Tx) -> bool:
            """A minute that comes a second time, because the clock was set back, is another one."""
            shifts = await tx.counter(CLOCK_SHIFTS)
            return await tx.once(f"audit:{shifts}:{minute}", now + 10 * EVERY, now)

        if not await self._store.write(first):
            return False
        damaged = await self._damaged(now)
        lost = await self._store.read(lambda tx: _lost_pages(tx, now))
        unrepaired = await self._repaired(damaged) + await self._found_again(lost)
        late = await self._late(now)
        await self._beat(not unrepaired and not late)
        return True

    async def _damaged(self, now: datetime) -> list[int]:
        """Numbers of the incidents that lack something."""
        found: list[int] = []
        after = 0

        async def look(tx: Tx) -> tuple[Incident, ...]:
            page = await tx.open_incidents(after, AT_ONCE)
            wanted = {one.id: {effect.key for effect in next_steps(one, now)} for one in page}
            there = await tx.undelivered(set().union(*wanted.values())) if page else set()
            found.extend(number for number, keys in wanted.items() if not keys <= there)
            return page

        while page := await self._store.read(look):
            after = page[-1].id
            if len(page) < AT_ONCE:
                break
        return found

    async def _repaired(self, numbers: Sequence[int]) -> int:
        """How many could not be."""
        failed = 0
        for start in range(0, len(numbers), REPAIRED_AT_ONCE):
            some = numbers[start : start + REPAIRED_AT_ONCE]
            try:
                missing = await self._store.write(lambda tx, some=some: self._repair(tx, some))  # type: ignore[misc]
            except Exception as error:
                self._log.error("missing timers could not be asked for", incidents=some, error=str(error))
                self._observe("unrepaired")
                failed += len(some)
                continue
            for kind in missing:
                self._observe(kind)
        return failed

    async def _repair(self, tx: Tx, numbers: Sequence[int]) -> list[str]:
        """Looked at once more, now that nobody else changes them; the kinds of what was missing."""
        now = self._clock()
        kinds: list[str] = []
        for incident in (await tx.incidents(numbers)).values():
            steps = next_steps(incident, now) if incident.is_open else ()
            there = await tx.undelivered({effect.key for effect in steps})
            missing = [effect for effect in steps if effect.key not in there]
            if missing:
                await tx.save(warned(incident, _words(missing), now).ask(*missing))
                kinds += [effect.kind for effect in missing]
                self._log.error("timers were missing", incident=incident.ref, keys=[one.key for one in missing])
        return kinds

    async def _found_again(self, pages: Sequence[Page]) -> int:
        """Pages that nobody sends any more although they were begun; how many could not be dealt with."""
        failed = 0
        for page in pages:
            try:
                if await self._store.write(lambda tx, page=page: self._fall_back(tx, page)):  # type: ignore[misc]
                    self._observe("page_lost")
            except Exception as error:
                self._log.error("a lost page could not be made up for", key=page.key, error=str(error))
                self._observe("unrepaired")
                failed += 1
        return failed

    async def _fall_back(self, tx: Tx, lost: Page) -> bool:
        now = self._clock()
        incident = await tx.incident(lost.incident_id) if lost.incident_id is not None else None
        page = (await tx.pages([lost.key])).get(lost.key)
        if page is None or page.state is not PageState.SENDING or await tx.undelivered([page.key]):
            return False
        answer = "its delivery was lost; whether it arrived is not known"
        update = {"state": PageState.FAILED, "state_at": now, "answer": answer}
        await tx.save_pages([page.model_copy(update=update)])
        if incident is not None:
            text = f"A page to {page.name} was begun at {page.begun_at:%H:%M:%S} UTC and never heard of again"
            await tx.save(warned(incident, text, now).ask(*_otherwise(page, now)))
        self._log.error("a page was lost", key=page.key)
        return True

    async def _late(self, now: datetime) -> list[str]:
        """Kinds of what people are waiting for that has been due for long, and nobody takes."""
        backlog = await self._store.backlog(now)
        late = [one.kind for one in backlog if one.kind in URGENT and one.oldest_due and one.oldest_due < now - LATE]
        if late:
            self._log.error("what is due is not delivered", kinds=late)
            self._observe("late")
        return late


def next_steps(incident: Incident, now: datetime) -> tuple[Effect, ...]:
    """What must be waiting for an open incident; asked for again it is due now, or when it was due if that can be told."""
    steps: list[Effect] = []
    if incident.state is State.TRIGGERED:
        steps += [
            effects.escalate(incident.id, incident.epoch, number, track.step, now)
            for number, track in enumerate(incident.tracks)
            if not track.exhausted and track.rests != incident.epoch
        ]
    if incident.state is State.ACKNOWLEDGED and incident.still_at is not None:
        steps += _deadlines(incident, incident.still_at, now)
    if incident.repeat is not None:
        steps.append(effects.remind(incident.id, incident.epoch, now))
    return tuple(steps)


def _deadlines(incident: Incident, since: datetime, now: datetime) -> Iterable[Effect]:
    """The question is asked once: when its time is over, it may have been."""
    for stage, after in (("remind", incident.reminds_after), ("expire", incident.expires_after)):
        if after and (stage == "expire" or since + after > now):
            due = max(now, since + after)
            yield oncall_effects.still_at_it(incident.id, incident.epoch, since, stage, due)


def _words(missing: Sequence[Effect]) -> str:
    named = {
        "escalate": "the next step of paging",
        "still_at_it": "the deadline of its acknowledgement",
        "remind": "the reminder",
    }
    what = " and ".join(dict.fromkeys(named.get(effect.kind, effect.kind) for effect in missing))
    return f"Tocsin had lost {what}; it goes on now"


async def _lost_pages(tx: Tx, now: datetime) -> tuple[Page, ...]:
    begun = await tx.pages_between(now - LOOKED_BACK, now - LATE)
    sending = {page.key: page for page in begun if page.state is PageState.SENDING and page.state_at < now - LATE}
    there = await tx.undelivered(sending.keys()) if sending else set()
    return tuple(page for key, page in sending.items() if key not in there)


def _otherwise(page: Page, now: datetime) -> tuple[Effect, ...]:
    """The next method of whoever was to be paged, if it was for an escalation."""
    found = oncall_effects.rung_of(page.key)
    if found is None:
        return ()
    rung, target = found
    method = Method(key=page.key.split(":", 6)[-1].partition(":")[2], medium=page.medium, address=page.address)
    return (oncall_effects.fall_back(oncall_effects.page(rung, target, Step(method=method), now), now),)
