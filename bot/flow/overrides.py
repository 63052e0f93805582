"""Somebody else for a time: overrides, and swaps that the other one accepts. From Slack, the API or the command line; everybody concerned is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from bot.domain import asking, oncall_effects, oncall_notices, oncall_told, overriding
from bot.domain.effects import Effect, Priority
from bot.domain.naming import english_list
from bot.domain.oncall_told import OverrideMade, SwapMoved
from bot.domain.overriding import Wish
from bot.domain.people import Actor, Directory, Person
from bot.domain.ports import Clock, Redact, Store, Tx
from bot.domain.roster import Swap
from bot.domain.rules import CurrentRules
from bot.domain.schedule import Override
from bot.errors import BadInput
from bot.flow.oncall import standing
from bot.flow.roster import Rosters

LOCK = "overrides"
log = structlog.get_logger(__name__)


class NoSuchOverride(BadInput):
    """The number names no override."""


class Overrides:
    """Every function raises BadInput in words for the person. Only people of oncall.yaml may change anything, and anybody's turn: whoever is replaced
    and whoever has to do it are told. What people write goes through `redact` first."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, rosters: Rosters, redact: Redact) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._rosters = rosters
        self._redact = redact

    # -------------------------------------------------------------------------------------------- overrides

    async def create(self, wish: Wish, actor: Actor) -> OverrideMade:
        """Put somebody on call for a time, instead of everybody who would be."""
        wish = replace(wish, why=self._redact(wish.why))

        async def work(tx: Tx) -> OverrideMade:
            now = self._clock()
            await tx.lock(LOCK)
            directory = await self._rosters.directory(tx, self._rules(), now)
            me = asking.member(directory, actor)
            schedule = asking.schedule(directory, wish.schedule)
            person = asking.person(directory, wish.person, actor)
            starts, ends = overriding.span(wish.starts, wish.ends, now)
            others = [one for one in schedule.overrides if one.ends > now and one.ended_at is None]
            if len(others) >= overriding.MOST_AT_ONCE:
                raise BadInput(f"{schedule.key} has {len(others)} overrides already; end some that nobody needs first.")
            checked = replace(wish, schedule=schedule.key, person=person.key, starts=starts, ends=ends)
            override = overriding.made(await tx.next_id("override"), checked, me.key, now)
            replaced = await asyncio.to_thread(overriding.others_of, person.key, schedule, starts, ends)
            over = overriding.overlapping(override, others)
            await tx.save_override(override)
            await tx.ask([*_changes(override), *_told(override, replaced, directory, me, now)])
            zone = oncall_told.zone_for(directory, me.key, schedule.key)
            log.info("override made", number=override.number, schedule=schedule.key, person=person.key, by=me.key)
            words = oncall_told.said_made(override, replaced, over, directory, zone)
            return OverrideMade(override, replaced, over, words)

        return await self._store.write(work)

    async def end(self, number: int, actor: Actor) -> str:
        """Over now; or, when it has not begun, never. Words for whoever ended it."""

        async def work(tx: Tx) -> str:
            now = self._clock()
            await tx.lock(LOCK)
            directory = await self._rosters.directory(tx, self._rules(), now)
            me = asking.member(directory, actor)
            found = await tx.override(number)
            if found is None:
                raise NoSuchOverride(f"There is no override {number}. `/oncall overrides` shows those that there are.")
            ended = overriding.ended(found, now)
            await tx.save_override(ended)
            schedule = directory.schedules.get(ended.schedule)
            text = f"{me.name} ended override {number}"
            concerned = {ended.person, ended.by} - {me.key, ""}
            await tx.ask(
                [
                    *([oncall_effects.hand_over(ended.schedule, now)] if found.starts < now else []),
                    *_each(
                        concerned,
                        directory,
                        f"override:{number}:ended",
                        f"{text} of {ended.schedule} ({oncall_told.name(directory, ended.person) or 'nobody'} was to be on call).",
                        now,
                    ),
                ]
            )
            log.info("override ended", number=number, by=me.key)
            if schedule is None:
                return f"Override {number} is over. There is no schedule {ended.schedule} any more."
            left = schedule.model_copy(
                update={"overrides": tuple(one for one in schedule.overrides if one.number != number)}
            )
            return oncall_told.said_ended(ended, standing(directory, left, now), directory)

        return await self._store.write(work)

    async def listing(self, name: str = "") -> tuple[tuple[Override, ...], tuple[Swap, ...], Directory]:
        """Overrides that are not over (of that schedule, or of all), swaps that wait for an answer, and whom their names mean."""

        async def work(tx: Tx) -> tuple[tuple[Override, ...], tuple[Swap, ...], Directory]:
            now = self._clock()
            directory = await self._rosters.directory(tx, self._rules(), now)
            wanted = asking.schedule(directory, name).key if name else ""
            overrides = [one for schedule in directory.schedules.values() for one in schedule.overrides]
            found = [one for one in overrides if wanted in ("", one.schedule) and one.ends > now and not one.ended_at]
            swaps = [one for one in await tx.swaps(now) if wanted in ("", one.schedule) and one.state == "asked"]
            return tuple(sorted(found, key=lambda one: (one.starts, one.number))), tuple(swaps), directory

        return await self._store.read(work)

    # -------------------------------------------------------------------------------------------- swaps

    async def ask(self, wish: Wish, actor: Actor) -> SwapMoved:
        """Ask somebody to take the asker's turn. They are asked in Slack, because they answer by a button there."""
        wish = replace(wish, why=self._redact(wish.why))

        async def work(tx: Tx) -> SwapMoved:
            now = self._clock()
            await tx.lock(LOCK)
            directory = await self._rosters.directory(tx, self._rules(), now)
            me = asking.member(directory, actor)
            checked = await asyncio.to_thread(_swap_wish, wish, me, directory, now)
            other = directory.people[checked.person]
            await _room_for_another(tx, me, checked, now)
            swap = Swap(
                number=await tx.next_id("swap"),
                schedule=checked.schedule,
                asker=me.key,
                other=other.key,
                starts=checked.starts,
                ends=checked.ends,
                why=overriding.made(0, checked, me.key, now).why,
                asked_at=now,
            )
            await tx.save_swap(swap)
            text = oncall_told.asks_you(swap, directory, oncall_told.zone_for(directory, other.key, swap.schedule))
            subject = f"{me.name} asks you to swap"
            notice = oncall_notices.swap(f"swap:{swap.number}:asked", subject, text, swap.number)
            await tx.ask(oncall_notices.to_person(other, {"slack": "slack"}, notice, now, Priority.APPROVAL))
            zone = oncall_told.zone_for(directory, me.key, swap.schedule)
            return SwapMoved(swap, oncall_told.said_asked(swap, directory, zone))

        return await self._store.write(work)

    async def accept(self, number: int, actor: Actor) -> SwapMoved:
        """The asked one takes the turn. Checked anew: the schedule may have changed since it was asked."""

        async def work(tx: Tx, swap: Swap, directory: Directory, now: datetime) -> SwapMoved:
            other, asker = _asked_one(swap, directory, actor), asking.person(directory, swap.asker)
            if swap.schedule not in directory.schedules:
                raise BadInput(f"There is no schedule {swap.schedule} any more, so there is nothing to take over.")
            wish = Wish(swap.schedule, other.key, swap.starts, swap.ends, swap.why)
            await asyncio.to_thread(overriding.swap_checked, wish, asker, directory)
            override = overriding.made(await tx.next_id("override"), wish, asker.key, now, instead_of=asker.key)
            await tx.save_override(override)
            accepted = overriding.answered(swap, "accepted", now, override.number)
            await tx.save_swap(accepted)
            await tx.ask([*_changes(override), *_outcome(accepted, directory, asker, now)])
            zone = oncall_told.zone_for(directory, other.key, swap.schedule)
            span = oncall_told.full(swap.starts, swap.ends, zone)
            words = (
                f"Thank you: you are on call for {swap.schedule} instead of {asker.name} {span}. {asker.name} is told."
            )
            return SwapMoved(accepted, words)

        return await self._answer(number, work)

    async def decline(self, number: int, actor: Actor) -> SwapMoved:
        async def work(tx: Tx, swap: Swap, directory: Directory, now: datetime) -> SwapMoved:
            _asked_one(swap, directory, actor)
            declined = overriding.answered(swap, "declined", now)
            await tx.save_swap(declined)
            asker = directory.people.get(swap.asker)
            await tx.ask(_outcome(declined, directory, asker, now))
            return SwapMoved(
                declined, f"Declined. {oncall_told.name(directory, swap.asker)} is told, and keeps the turn."
            )

        return await self._answer(number, work)

    async def withdraw(self, number: int, actor: Actor) -> SwapMoved:
        """The asker takes the question back."""

        async def work(tx: Tx, swap: Swap, directory: Directory, now: datetime) -> SwapMoved:
            me = asking.member(directory, actor)
            if me.key != swap.asker:
                asker = oncall_told.name(directory, swap.asker)
                raise BadInput(f"Swap {number} is {asker}'s to withdraw. Asked to take it? Decline it instead.")
            withdrawn = overriding.answered(swap, "withdrawn", now)
            await tx.save_swap(withdrawn)
            await tx.ask(_outcome(withdrawn, directory, directory.people.get(swap.other), now))
            return SwapMoved(withdrawn, f"Swap {number} is withdrawn. You keep the turn.")

        return await self._answer(number, work)

    async def _answer(
        self, number: int, decide: Callable[[Tx, Swap, Directory, datetime], Awaitable[SwapMoved]]
    ) -> SwapMoved:
        """One answer only, whoever clicks first: the swap is locked while it is decided."""

        async def work(tx: Tx) -> SwapMoved:
            now = self._clock()
            await tx.lock(LOCK)
            swap = await tx.swap(number)
            if swap is None:
                raise BadInput(f"There is no swap {number}. `/oncall overrides` shows those that wait for an answer.")
            overriding.must_be_open(swap, now)
            directory = await self._rosters.directory(tx, self._rules(), now)
            moved = await decide(tx, swap, directory, now)
            log.info("swap answered", number=number, state=moved.swap.state)
            return moved

        return await self._store.write(work)

    async def expire(self) -> None:
        """Called every minute: swaps that nobody answered before their turn began; the asker is told that it stays theirs."""
        now = self._clock()
        if not [one for one in await self._store.read(lambda tx: tx.swaps(now)) if overriding.expired(one, now)]:
            return

        async def work(tx: Tx) -> None:
            directory = await self._rosters.directory(tx, self._rules(), now)
            for one in await tx.swaps(now):
                swap = await tx.swap(one.number)
                if swap is not None and overriding.expired(swap, now):
                    expired = overriding.answered(swap, "expired", now)
                    await tx.save_swap(expired)
                    await tx.ask(_outcome(expired, directory, directory.people.get(swap.asker), now))

        await self._store.write(work)


def _swap_wish(wish: Wish, me: Person, directory: Directory, now: datetime) -> Wish:
    """With the schedule that is meant, cut to the asker's turns in it. BadInput for what cannot be asked."""
    other = asking.person(directory, wish.person)
    starts, ends = overriding.span(wish.starts, wish.ends, now)
    name = asking.schedule(directory, wish.schedule).key if wish.schedule else ""
    found = replace(wish, person=other.key, starts=starts, ends=ends)
    found = replace(found, schedule=name or _only_schedule(me, directory, found))
    turns = overriding.swap_checked(found, me, directory)
    found = replace(found, starts=max(starts, turns[0].starts), ends=min(ends, turns[-1].ends))
    agreed = f"If they agreed: `/oncall override {found.schedule} {other.key}"
    if not other.slack:
        raise BadInput(f"{other.name} has no Slack id in oncall.yaml and cannot be asked. {agreed} …`.")
    if found.starts <= now:
        raise BadInput(f"That turn runs already, and a swap has to be accepted before it begins. {agreed} now …`.")
    return found


def _only_schedule(me: Person, directory: Directory, wish: Wish) -> str:
    found = overriding.schedules_of(me, directory, wish.starts, wish.ends)
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadInput("You are not on call in any schedule in that time. `/oncall next` shows your turns.")
    raise BadInput(
        f"You are on call in {english_list(found)} then. Say which: `/oncall swap {wish.person} {found[0]} …`."
    )


async def _room_for_another(tx: Tx, me: Person, wish: Wish, now: datetime) -> None:
    """Nobody is asked twice for the same, and nobody is flooded."""
    waiting = [one for one in await tx.swaps(now) if one.state == "asked"]
    if len(waiting) >= overriding.MOST_AT_ONCE or len([one for one in waiting if one.asker == me.key]) >= 20:
        raise BadInput("Too many swaps wait for an answer already. `/oncall overrides` lists them; withdraw some.")
    for one in waiting:
        same = (one.asker, one.schedule) == (me.key, wish.schedule)
        if same and one.starts < wish.ends and wish.starts < one.ends:
            raise BadInput(
                f"Swap {one.number} asks for a part of that time already. `/oncall swap withdraw {one.number}` takes it back."
            )


def _asked_one(swap: Swap, directory: Directory, actor: Actor) -> Person:
    """Only whoever is asked may answer."""
    me = asking.member(directory, actor)
    if me.key != swap.other:
        raise BadInput(f"Only {oncall_told.name(directory, swap.other)} can answer swap {swap.number}.")
    return me


def _changes(override: Override) -> list[Effect]:
    """Who is on call changes at both its ends; what did not change there says nothing."""
    return [oncall_effects.hand_over(override.schedule, at) for at in (override.starts, override.ends)]


def _told(override: Override, replaced: Sequence[str], directory: Directory, by: Person, now: datetime) -> list[Effect]:
    """Whoever is replaced and whoever replaces them, but not whoever did it."""
    found: list[Effect] = []
    for key in (*replaced, override.person):
        person = directory.people.get(key)
        if person is None or person.key == by.key:
            continue
        zone = oncall_told.zone_for(directory, key, override.schedule)
        if key == override.person:
            text = oncall_told.said_replacing(override, zone, by.name)
        else:
            text = oncall_told.said_replaced(override, directory, zone, by.name)
        notice = oncall_notices.handover(f"override:{override.number}", f"On call for {override.schedule}", text)
        found += oncall_notices.to_person(person, directory.media, notice, now)
    return found


def _each(keys: set[str], directory: Directory, key: str, text: str, now: datetime) -> list[Effect]:
    notice = oncall_notices.handover(key, text)
    people = [directory.people[one] for one in sorted(keys) if one in directory.people]
    return [effect for one in people for effect in oncall_notices.to_person(one, directory.media, notice, now)]


def _outcome(swap: Swap, directory: Directory, to: Person | None, now: datetime) -> tuple[Effect, ...]:
    if to is None:
        return ()
    text = oncall_told.said_answered(swap, directory, oncall_told.zone_for(directory, to.key, swap.schedule))
    subject = f"Swap {swap.number} {swap.state}"
    notice = oncall_notices.swap(f"swap:{swap.number}:{swap.state}", subject, text)
    return oncall_notices.to_person(to, directory.media, notice, now)
