"""Silences and maintenance windows, from Slack, the API or the command line: made, moved, ended, shown; and the word that one ends soon.

What they do to alerts is triage's; a silence that is ended or shortened lets go of what it holds at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.domain import effects, silence_told, silencing
from bot.domain.alert import AlertState
from bot.domain.incident import State, entered
from bot.domain.matching import all_match, matcher
from bot.domain.naming import clipped
from bot.domain.people import Actor
from bot.domain.ports import Clock, Delivery, Redact, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.silence import Silence
from bot.domain.silence_told import Hidden, Listed, Made, Matching, Moved, Shown, TakenOver
from bot.domain.silencing import NoSuchSilence, Wish
from bot.errors import BadInput
from bot.flow.delivery import Handler, Record, payload
from bot.flow.incidents import known as known_incident
from bot.flow.judging import SILENCES

RECENTLY = timedelta(days=5)  # as long as Alertmanager keeps what is over
MOST_OVER = 500
MOST_LOOKED_AT = 10_000
PAGE = 1000
AT_ONCE = 100  # in one transaction, while alerts wait
MOST_NAMES = 5
log = structlog.get_logger(__name__)


class Silences:
    """Every function raises BadInput in words for the person. What people write goes through `redact` first."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, redact: Redact) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._redact = redact

    def handlers(self) -> Mapping[str, Handler]:
        return {"silence_ends": self.ends_soon}

    def now(self) -> datetime:
        """For whoever turns `until 09:00` into a time."""
        return self._clock()

    # -------------------------------------------------------------------------------------------- making

    async def create(self, wish: Wish, actor: Actor) -> Made:
        """A new one. Made for an incident it acknowledges that, and stands in its timeline."""

        now = self._clock()
        silence = await self._store.write(lambda tx: self._made(tx, wish, actor, now))
        matching = await self._store.read(lambda tx: self._matching(tx, silence.matchers))  # alerts do not wait for it
        return Made(silence, matching, silence_told.said_made(silence, matching, now))

    async def take_over(self, given: Sequence[tuple[Wish, Actor]]) -> list[TakenOver]:
        """Those of another system, by their `imported_from`: made the first time, the end moved when it differs. What is over here stays over."""
        outcomes: list[TakenOver] = []
        for at in range(0, len(given), AT_ONCE):
            outcomes += await self._store.write(partial(self._taken_over, given=given[at : at + AT_ONCE]))
        return outcomes

    async def _taken_over(self, tx: Tx, given: Sequence[tuple[Wish, Actor]]) -> list[TakenOver]:
        now = self._clock()
        await tx.lock("intake")
        over = await tx.silences(now, over=True, limit=silencing.MOST_AT_ONCE)
        known = {one.imported_from: one for one in (*over, *await tx.silences(now)) if one.imported_from}
        outcomes = []
        for wish, actor in given:
            outcome = await self._one_taken_over(tx, wish, actor, known.get(wish.imported_from))
            if outcome.silence is not None:
                known[wish.imported_from] = outcome.silence
            outcomes.append(outcome)
        return outcomes

    async def _one_taken_over(self, tx: Tx, wish: Wish, actor: Actor, known: Silence | None) -> TakenOver:
        """One that cannot be is refused alone: it is judged before anything is written."""
        now = self._clock()
        try:
            if known is None:
                return TakenOver(wish.imported_from, "new", await self._made(tx, wish, actor, now))
            if known.over(now) or wish.ends_at is None or known.ends_at == wish.ends_at:
                return TakenOver(wish.imported_from, "same", known)
            after = silencing.moved(known, wish.ends_at, now)
        except BadInput as error:
            return TakenOver(wish.imported_from, "refused", known, str(error))
        await self._save_moved(tx, known, after, actor, now)
        return TakenOver(wish.imported_from, "moved", after)

    async def _made(self, tx: Tx, wish: Wish, actor: Actor, now: datetime) -> Silence:
        # The lock of triage: what is being judged by the silences of before is committed before they change.
        await tx.lock("intake")
        incident = await known_incident(tx, wish.incident_id) if wish.incident_id is not None else None
        given = wish.matchers or (silencing.of_incident(incident) if incident else ())
        written = replace(
            wish,
            matchers=silencing.checked(given, self._redact),
            reason=self._written(wish.reason, silencing.REASON_LIMIT),
        )
        if len(await tx.silences(now, limit=silencing.MOST_AT_ONCE)) >= silencing.MOST_AT_ONCE:
            raise BadInput(f"There are {silencing.MOST_AT_ONCE} silences already; end some that nobody needs first.")
        author = self._written(actor.name, silencing.AUTHOR_LIMIT)
        silencing.made(0, written, author, now)  # what is wrong is said before a number is taken
        silence = silencing.made(await tx.next_id("silence"), written, author, now)
        await self._save(tx, silence, now)
        if incident is not None:
            await tx.save(silencing.silenced(incident, silence, actor, now))
        log.info("silence made", silence=silence.ref, by=actor.id, matchers=silence.matchers)
        return silence

    async def matchers_of(self, incident_id: int) -> tuple[str, ...]:
        """The matchers of an incident's group, to begin with; none when it has no group that could be named."""
        incident = await self._store.read(lambda tx: known_incident(tx, incident_id))
        try:
            return silencing.of_incident(incident)
        except BadInput:
            return ()

    async def preview(self, matchers: Iterable[str]) -> Matching:
        """What fires now and would be matched."""
        checked = silencing.checked(matchers, self._redact)
        return await self._store.read(lambda tx: self._matching(tx, checked))

    async def _matching(self, tx: Tx, matchers: Sequence[str]) -> Matching:
        compiled = [matcher(text) for text in matchers]
        found: list[AlertState] = []
        after, looked_at = "", 0
        while looked_at < MOST_LOOKED_AT:
            page = await tx.firing_alerts(after, PAGE)
            found += [state for state in page if all_match(compiled, state.alert.labels)]
            looked_at += len(page)
            if len(page) < PAGE:
                break
            after = page[-1].alert.key
        theirs = await tx.incidents({state.incident_id for state in found if state.incident_id is not None})
        return Matching(
            count=len(found),
            names=tuple(dict.fromkeys(one.alert.summary for one in found if not self._private(one)))[:MOST_NAMES],
            incidents=tuple(sorted(number for number, one in theirs.items() if one.is_open)),
            paging=tuple(sorted(number for number, one in theirs.items() if one.state is State.TRIGGERED)),
            more=looked_at >= MOST_LOOKED_AT,
        )

    # -------------------------------------------------------------------------------------------- moving its end

    async def extend(self, number: int, by: timedelta, actor: Actor) -> Moved:
        """Its end so much later; earlier when negative."""
        return await self._move(number, actor, lambda one, now: silencing.moved_by(one, by, now))

    async def set_end(self, number: int, ends_at: datetime, actor: Actor) -> Moved:
        return await self._move(number, actor, lambda one, now: silencing.moved(one, ends_at, now))

    async def end(self, number: int, actor: Actor) -> Moved:
        """Over now: what it hid is looked at again at once."""
        return await self._move(number, actor, silencing.ended)

    async def _move(self, number: int, actor: Actor, move: Callable[[Silence, datetime], Silence]) -> Moved:
        async def work(tx: Tx) -> Moved:
            now = self._clock()
            await tx.lock("intake")  # nothing is being held by it while it is let go of
            before = await _known(tx, number)
            after = move(before, now)
            released = await self._save_moved(tx, before, after, actor, now)
            return Moved(after, released, silence_told.said_moved(after, released, now))

        return await self._store.write(work)

    async def _save_moved(self, tx: Tx, before: Silence, after: Silence, actor: Actor, now: datetime) -> int:
        """How many alerts are looked at again: those it held, when it ends earlier than they were told."""
        await self._save(tx, after, now)
        earlier = after.ends_at is not None and (before.ends_at is None or after.ends_at < before.ends_at)
        released = await tx.look_again({after.key}, now) if earlier else 0
        if released:
            await tx.ask([effects.recheck(now)])
        if after.incident_id is not None:
            incident = await tx.incident(after.incident_id)
            if incident is not None and incident.state is not State.CLOSED:
                await tx.save(silencing.silence_moved(incident, after, actor, now))
        log.info("silence moved", silence=after.ref, by=actor.id, ends_at=str(after.ends_at))
        return released

    async def _save(self, tx: Tx, silence: Silence, now: datetime) -> None:
        """Kept; every replica sees that there is something new; people hear in time that it ends."""
        await tx.save_silence(silence)
        await tx.next_id(SILENCES)
        due = silencing.remind_at(silence, now)
        if due is not None and silence.ends_at is not None:
            await tx.ask([effects.silence_ends(silence.number, silence.ends_at, due)])

    # -------------------------------------------------------------------------------------------- looking

    async def listing(self, phase: str = "", kind: str = "") -> Sequence[Listed]:
        """Those that are not over by number, those of the configuration, and those that are over since lately, the newest first."""

        async def work(tx: Tx) -> Sequence[Listed]:
            now = self._clock()
            found = [*await tx.silences(now), *self._rules().signal.maintenance]
            if phase in ("", "expired"):
                before = await tx.silences(now, over=True, limit=MOST_OVER)
                found += [one for one in before if one.ends_at and timedelta(0) <= now - one.ends_at <= RECENTLY]
            wanted = [one for one in found if kind in ("", one.kind) and phase in ("", silence_told.phase_of(one, now))]
            return await _listed(tx, wanted, now)

        return await self._store.read(work)

    async def show(self, number: int) -> Shown:
        """One, with the alerts that it hides now."""

        async def work(tx: Tx) -> Shown:
            silence = await _known(tx, number)
            (listed,) = await _listed(tx, [silence], self._clock())
            held = [state for state in await tx.held_alerts() if state.held and state.held.by == silence.key]
            return Shown(listed, [Hidden(state, self._private(state)) for state in held])

        return await self._store.read(work)

    async def counts(self) -> tuple[int, int]:
        """How many are active, and how many alerts they hide now."""
        listed = await self.listing("active")
        return len(listed), sum(one.hides for one in listed)

    # -------------------------------------------------------------------------------------------- what comes due

    async def ends_soon(self, delivery: Delivery) -> Record | None:
        """Say that it ends soon, if it still ends then and anybody could miss it."""
        asked = payload(delivery)

        async def record(tx: Tx) -> None:
            now, silence = self._clock(), await tx.silence(asked["silence"])
            ends_at = datetime.fromisoformat(asked["ends_at"])
            if silence is None or silence.ends_at != ends_at or silence.over(now):
                return
            (listed,) = await _listed(tx, [silence], now)
            text, incident = silence_told.said_ending(silence, listed.hides, now), listed.incident
            if incident is not None and incident.state is not State.CLOSED:
                change = entered(incident, "silenced", text, now)
                await tx.save(change.ask(effects.say(incident.id, change.entries[-1].seq, text, now)))
            elif listed.hid and not (incident is not None and incident.private):
                key = f"silence_ends:{silence.number}:{int(ends_at.timestamp())}"
                await tx.ask([effects.alarm(key, text, now)])
            else:
                log.info("a silence that hides nothing ends soon", silence=silence.ref)

        return record

    def _private(self, state: AlertState) -> bool:
        routes = self._rules().signal.routing.find(state.alert.labels)
        return bool(routes) and routes[0].private

    def _written(self, text: str, limit: int) -> str:
        return clipped(" ".join(self._redact(silencing.plain(text)).split()), limit)


async def _known(tx: Tx, number: int) -> Silence:
    silence = await tx.silence(number)
    if silence is None:
        raise NoSuchSilence(
            f"There is no silence {number}. `/incident silence list` and `tocsin silence list` show those that there are."
        )
    return silence


async def _listed(tx: Tx, silences: Sequence[Silence], now: datetime) -> list[Listed]:
    hidden = await tx.hidden_by({one.key for one in silences})
    incidents = await tx.incidents({one.incident_id for one in silences if one.incident_id is not None})
    return [
        Listed(
            one,
            silence_told.phase_of(one, now),
            *hidden.get(one.key, (0, 0)),
            incident=incidents.get(one.incident_id or 0),
        )
        for one in silences
    ]
