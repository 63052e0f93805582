"""Once a day: what was held, and which rules are noise. The timer is a row in the outbox, asked for by housekeeping; the CLI asks for quality."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime, timedelta
from functools import partial

from bot.domain import effects
from bot.domain.alert import Alert, Held, Received
from bot.domain.digest import Counting, Digest, Still, at_night, day_before, digest_of, named, next_due
from bot.domain.digest_times import DigestTimes
from bot.domain.passing import Passing
from bot.domain.ports import Clock, Delivery, Room, Store, Tx
from bot.domain.quality import Handled, RuleQuality, Tally, handled, noisy
from bot.domain.rules import CurrentRules, Rules
from bot.flow.delivery import Handler, Record, payload
from bot.flow.holding import goes_private, holders

PAGE = 2000
INCIDENTS = 200  # whose timelines are read in one transaction
MOST_HELD = 200
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
        """The digest of the time since the one before. Switched off meanwhile: none; on a day without anything: none either."""
        times = self._rules().digest
        due = datetime.fromisoformat(payload(delivery)["due"])
        if times is None:
            return None
        digest = await self.digest(day_before(times, due), due)
        if not digest.empty:
            await self._room.digest(times.channel, digest, delivery.effect.key, delivery.again)
        return None

    async def digest(self, since: datetime, until: datetime) -> Digest:
        """What was held in this time; what is noise, over the week before its end. It is for everybody: of what is private only numbers."""
        private = _privacy(self._rules())
        counting = Counting()
        async for line in self._lines(since, until):
            counting.add(line, private=private(line.alert))
        opened = await self._store.read(lambda tx: tx.incidents_between(since - DAY, until))
        done = await self._handled({one.id for one in opened if not one.test})
        pages = sum(len(one.between(since, until).pages) for one in done.values())
        rules = await self.quality(until - WEEK, until, leave_out=private)
        found = digest_of(counting, (since, until), pages, await self._still(), noisy(rules))
        held = [Held(one.outcome, one.by) for one in found.quieted if one.by]
        return named(found, await self._store.read(lambda tx: holders(tx, held, self._rules(), until)))

    async def quality(
        self, since: datetime, until: datetime, leave_out: Callable[[Alert], bool] = lambda alert: False
    ) -> tuple[RuleQuality, ...]:
        """Every alert rule that fired in this time. Night is what it is in the zone of the digest."""
        tally = Tally()
        async for line in self._lines(since, until):
            if not leave_out(line.alert):
                tally.add(line)
        done = await self._handled(tally.incidents)
        zone = (self._rules().digest or DigestTimes()).zone
        within = {number: one.between(since, until) for number, one in done.items()}
        return tally.result(within, lambda _, at: at_night(at, zone))

    async def _still(self) -> list[Still]:
        rules = self._rules()

        async def work(tx: Tx) -> list[Still]:
            states = [one for one in await tx.held_alerts(MOST_HELD) if one.held and not one.alert.test]
            words = await holders(tx, [one.held for one in states if one.held], rules, self._clock())
            return [
                Still(
                    "A private alert" if goes_private(one.alert, rules) else one.alert.summary,
                    words[one.held.outcome, one.held.by],
                )
                for one in states
                if one.held
            ]

        return await self._store.read(work)

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

    async def _handled(self, numbers: Collection[int]) -> dict[int, Handled]:
        asked, found = sorted(numbers), dict[int, Handled]()
        for start in range(0, len(asked), INCIDENTS):
            found |= await self._store.read(partial(_handled, numbers=asked[start : start + INCIDENTS]))
        return found


async def _handled(tx: Tx, numbers: Collection[int]) -> dict[int, Handled]:
    incidents = await tx.incidents(numbers)
    return {number: handled(one, await tx.timeline(number)) for number, one in incidents.items()}


async def _page(tx: Tx, since: datetime, until: datetime, after: int) -> tuple[tuple[int, Received], ...]:
    return await tx.log_between(since, until, after, PAGE)


def _privacy(rules: Rules) -> Callable[[Alert], bool]:
    """Whether an alert of the log, which is as its sender said it, goes to a private incident."""
    if not rules.signal.routing.any_private:
        return lambda alert: False
    return lambda alert: goes_private(Passing(alert, rules.signal).alert, rules)
