"""Once a day: what was held, and which rules are noise. The timer is a row in the outbox, asked for by housekeeping; the CLI asks for quality."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from functools import partial

from bot.domain import effects
from bot.domain.alert import Received
from bot.domain.digest import Counting, Digest, at_night, digest_of, next_due
from bot.domain.digest_times import DigestTimes
from bot.domain.ports import Clock, Delivery, Room, Store, Tx
from bot.domain.quality import Handled, RuleQuality, Tally, handled, noisy
from bot.domain.rules import CurrentRules
from bot.flow.delivery import Handler, Record, payload

PAGE = 2000
DAY, WEEK = timedelta(days=1), timedelta(days=7)


class Digests:
    """Handler for `digest`; `ask` is called by housekeeping every minute, and asks for each day's once."""

    def __init__(self, store: Store, room: Room, clock: Clock, rules: CurrentRules) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._rules = rules

    def handlers(self) -> Mapping[str, Handler]:
        return {"digest": self.post}

    async def ask(self) -> None:
        times = self._rules().digest
        if times is None:
            return
        day, due = next_due(times, self._clock())
        await self._store.write(lambda tx: tx.ask([effects.digest(day, due)]))

    async def post(self, delivery: Delivery) -> Record | None:
        """The digest of the day before its due time. Switched off meanwhile: none; on a day without anything: none either."""
        times = self._rules().digest
        due = datetime.fromisoformat(payload(delivery)["due"])
        if times is None:
            return None
        digest = await self.digest(due - DAY, due)
        if digest.quieted or digest.still or digest.noisy:
            await self._room.digest(times.channel, digest, delivery.effect.key, delivery.again)
        return None

    async def digest(self, since: datetime, until: datetime) -> Digest:
        """What was held in this time; what is noise, over the week before its end."""
        counting = Counting()
        async for line in self._lines(since, until):
            counting.add(line)
        done = await self._handled(since, until)
        pages = sum(len(one.pages) for one in done.values())
        still = await self._store.read(lambda tx: tx.held_alerts(200))
        return digest_of(counting, (since, until), pages, still, noisy(await self.quality(until - WEEK, until)))

    async def quality(self, since: datetime, until: datetime) -> tuple[RuleQuality, ...]:
        """Every alert rule that fired in this time."""
        tally = Tally()
        async for line in self._lines(since, until):
            tally.add(line)
        zone = (self._rules().digest or DigestTimes()).zone
        return tally.result(await self._handled(since, until), lambda _, at: at_night(at, zone))

    async def _lines(self, since: datetime, until: datetime) -> AsyncIterator[Received]:
        """In pages: the log of a week may be long, and no transaction should be."""
        after = 0
        while True:
            page = await self._store.read(partial(_page, since=since, until=until, after=after))
            for _, line in page:
                yield line
            if len(page) < PAGE:
                return
            after = page[-1][0]

    async def _handled(self, since: datetime, until: datetime) -> dict[int, Handled]:
        async def work(tx: Tx) -> list[Handled]:
            incidents = await tx.incidents_between(since, until)
            return [handled(one, await tx.timeline(one.id)) for one in incidents if not one.test]

        return {one.incident_id: one for one in await self._store.read(work)}


async def _page(tx: Tx, since: datetime, until: datetime, after: int) -> tuple[tuple[int, Received], ...]:
    return await tx.log_between(since, until, after, PAGE)
