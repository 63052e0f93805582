"""Looking at on-call, from Slack, the API or the command line: who has it now and next, the final schedule, gaps, fairness, calendars."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.domain import asking, coverage, fairness
from bot.domain import schedule as schedules
from bot.domain.escalation import Level
from bot.domain.links import Links
from bot.domain.oncall_told import Preview, Shares, Standing, Turn, Who
from bot.domain.overriding import counting
from bot.domain.page import Page
from bot.domain.people import Actor, Directory, Person
from bot.domain.ports import Clock, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.schedule import Schedule, Shift
from bot.errors import BadInput
from bot.flow.roster import Rosters

DAY = timedelta(days=1)
LONGEST_LOOK = timedelta(days=366)
USUAL_LOOK = timedelta(weeks=2)
NEXT_WITHIN = timedelta(days=62)
AHEAD_FOR_GAPS = timedelta(weeks=4)
MOST_TURNS = 60
MOST_NEXT = 10
MOST_GAPS = 40
MOST_PAGES = 20_000
MOST_SHARES = 100


class OnCall:
    """Every function raises BadInput in words for the person. Names are what people write; what comes back is for all of them to read."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, rosters: Rosters, links: Links) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._rosters = rosters
        self._links = links

    def now(self) -> datetime:
        """For whoever turns `fri 18:00` into a time."""
        return self._clock()

    async def directory(self) -> Directory:
        """Everybody, with what they changed by themselves."""
        return await self._store.read(self._directory)

    async def _directory(self, tx: Tx) -> Directory:
        return await self._rosters.directory(tx, self._rules(), self._clock())

    async def standings(self, name: str = "") -> tuple[Standing, ...]:
        """Every schedule (or that one) as it stands now."""
        directory, now = await self.directory(), self._clock()
        wanted = [asking.schedule(directory, name)] if name else list(directory.schedules.values())
        return await asyncio.to_thread(lambda: tuple(standing(directory, one, now) for one in wanted))

    async def who(self, text: str, actor: Actor) -> Who:
        """Whom a name means now: a schedule, a person, a group, an escalation policy, a service."""
        directory, now, rules = await self.directory(), self._clock(), self._rules()
        word = text.strip()
        _, colon, rest = word.partition(":")
        name = rest if colon else word
        schedule, somebody = asking.maybe_schedule(directory, name), asking.maybe_person(directory, name, actor)
        if schedule is not None:
            return Who(
                f"schedule {schedule.key}",
                (standing(directory, schedule, now),),
                self._policy_lines(schedule.key, now, directory),
            )
        if somebody is not None:
            return await asyncio.to_thread(_person_now, directory, somebody, now)
        if name in directory.groups:
            people = [directory.people[key].name for key in directory.groups[name] if key in directory.people]
            return Who(f"group {name}", (), (", ".join(people) or "nobody",))
        lines = self._policy_lines(name, now, directory)
        if lines:
            return Who(name, (), lines)
        known = [*directory.schedules, *directory.people, *directory.groups, *rules.escalations, *rules.services]
        said = f"{name[:80]!r} is no schedule, person, group, policy or service{asking.closest(name[:80], known)}"
        said = said if name else "Whom? Name a schedule, a person, a group, a policy or a service."
        raise BadInput(f"{said} For example `/oncall who {known[0] if known else 'shop'}`.")

    def _policy_lines(self, name: str, now: datetime, directory: Directory) -> tuple[str, ...]:
        """The levels of the policy of that name, or of those that alerts of that service use."""
        rules = self._rules()
        named = rules.escalations.get(name)
        lines = [f"Escalation policy {name}:", *_levels(named.levels, now, directory)] if named else []
        if name in rules.services:
            found = rules.policies_of(rules.signal.routing.find({"service": name}))
            keys = ", ".join(one.key for one in found) or "of no route"
            lines += [
                f"Alerts of the service {name} use the escalation policy {keys}, unless their labels lead elsewhere."
            ]
            lines += [line for one in found if one is not named for line in _levels(one.levels, now, directory)]
        return tuple(lines[:40])

    async def turns(self, text: str, actor: Actor) -> tuple[Person, tuple[Turn, ...]]:
        """Whose (empty: the asker's), and their turns over the next weeks, also the one that runs; by start, the first of them."""
        directory, now = await self.directory(), self._clock()
        somebody = asking.person(directory, text, actor) if text else asking.member(directory, actor)

        def look() -> tuple[Turn, ...]:
            found = [
                _turn(directory, key, shift)
                for key, one in directory.schedules.items()
                for shift in schedules.shifts(one, now, now + 2 * NEXT_WITHIN)  # the last one is not to be cut
                if shift.person == somebody.key and shift.starts < now + NEXT_WITHIN
            ]
            return tuple(sorted(found, key=lambda turn: (turn.starts, turn.schedule))[:MOST_NEXT])

        return somebody, await asyncio.to_thread(look)

    async def preview(self, name: str, since: datetime, until: datetime) -> Preview:
        """The final schedule of a time, also of one that is past, with overrides; gaps and overlaps are marked. At most a year, sixty turns."""
        if until <= since:
            raise BadInput("The time to look at ends before it begins.")
        if until - since > LONGEST_LOOK:
            raise BadInput(f"That is {(until - since).days} days; look at no more than {LONGEST_LOOK.days} at once.")

        async def work(tx: Tx) -> tuple[Directory, Schedule]:
            directory = await self._directory(tx)
            found = asking.schedule(directory, name)
            return directory, await as_it_was(tx, found, since, until)

        directory, found = await self._store.read(work)

        def look() -> list[Turn]:
            turns = [_turn(directory, found.key, one) for one in schedules.shifts(found, since, until)]
            turns += gaps_of(found, since, until)
            turns += _overlaps(directory, found, since, until)
            return sorted(turns, key=lambda turn: (turn.starts, turn.kind, turn.names))

        turns = await asyncio.to_thread(look)
        return Preview(found.key, since, until, tuple(turns[:MOST_TURNS]), max(0, len(turns) - MOST_TURNS), found.zone)

    async def final(self, name: str, since: datetime, until: datetime) -> tuple[Directory, tuple[Schedule, ...]]:
        """A schedule (empty: all of them) with the overrides of a time, for whoever works out all its shifts: calendars and programs."""
        if not timedelta(0) < until - since <= LONGEST_LOOK:
            raise BadInput(f"A schedule is looked at from one moment to a later one, at most {LONGEST_LOOK.days} days.")

        async def work(tx: Tx) -> tuple[Directory, tuple[Schedule, ...]]:
            directory = await self._directory(tx)
            wanted = [asking.schedule(directory, name)] if name else list(directory.schedules.values())
            return directory, tuple([await as_it_was(tx, one, since, until) for one in wanted])

        return await self._store.read(work)

    async def gaps(self, name: str = "") -> tuple[Turn, ...]:
        """When nobody is on call, and what contradicts itself, in the next four weeks; in that schedule, or in all (not gaps that are meant)."""
        directory, now = await self.directory(), self._clock()
        wanted = [asking.schedule(directory, name)] if name else list(directory.schedules.values())
        until = now + AHEAD_FOR_GAPS

        def look() -> tuple[Turn, ...]:
            found = [gap for one in wanted if name or not one.gaps_are_meant for gap in gaps_of(one, now, until)]
            found += [turn for one in wanted for turn in _overlaps(directory, one, now, until)]
            return tuple(sorted(found, key=lambda turn: (turn.starts, turn.schedule))[:MOST_GAPS])

        return await asyncio.to_thread(look)

    async def fairness(self, name: str, since: datetime, until: datetime) -> Shares:
        """What each has carried in a time, in one schedule or (empty) in all of them; pages are those that went to them personally."""
        if not timedelta(0) < until - since <= LONGEST_LOOK:
            raise BadInput(f"Fairness is counted over at most {LONGEST_LOOK.days} days.")

        async def work(tx: Tx) -> tuple[Directory, list[Schedule], tuple[Page, ...]]:
            directory = await self._directory(tx)
            wanted = [asking.schedule(directory, name)] if name else list(directory.schedules.values())
            found = [await as_it_was(tx, one, since, until) for one in wanted]
            return directory, found, await tx.pages_between(since, until, MOST_PAGES)

        directory, found, pages = await self._store.read(work)

        def look() -> Shares:
            turns = [shift for one in found for shift in schedules.shifts(one, since, until)]
            zone = found[0].zone if found else "UTC"
            off = next((layer.holidays for one in found for layer in one.layers if layer.holidays), None)
            names = {key: person.name for key, person in directory.people.items()}
            shares = fairness.fairness(turns, pages, fairness.Calendar(zone=zone, holidays=off), names)
            return Shares(found[0].key if name else "", since, until, shares[:MOST_SHARES])

        return await asyncio.to_thread(look)

    async def calendar(self, text: str, actor: Actor) -> tuple[str, str]:
        """(what, the address to subscribe to). Only for people of oncall.yaml: whoever has the address can read it without a password."""
        directory = await self.directory()
        asker = asking.member(directory, actor)
        word = text.strip()
        schedule = asking.maybe_schedule(directory, word)
        if not word or word.lower() in asking.ME:
            what, path = f"the turns of {asker.name}", f"person/{asker.key}"
        elif schedule is not None:
            what, path = f"the schedule {schedule.key}", f"schedule/{schedule.key}"
        else:
            raise BadInput(
                f"{word[:80]!r} is no schedule{asking.closest(word[:80], directory.schedules)} "
                f"There are: {asking.listed(directory.schedules)}; or `/oncall calendar me`."
            )
        address = self._links.calendar(path)
        if not address:
            raise BadInput(
                "Calendars cannot be subscribed to yet: set `server.public_url` and `server.secret` in tocsin.yaml."
            )
        return what, address

    async def target(self, text: str, actor: Actor) -> str:
        """Whom to page, as a target; the asker has to be one of the people."""
        directory = await self.directory()
        asking.member(directory, actor)
        name = text.strip().removeprefix("policy:")
        if name in self._rules().escalations and (text.startswith("policy:") or not asking.known(directory, name)):
            return f"policy:{name}"
        return asking.target(directory, text, actor)


async def as_it_was(tx: Tx, found: Schedule, since: datetime, until: datetime) -> Schedule:
    """A schedule with the overrides of a time, those that are over among them, each as long as it counted."""
    overrides = await tx.overrides(since, until, found.key)
    return found.model_copy(update={"overrides": counting(overrides)})


def standing(directory: Directory, found: Schedule, now: datetime) -> Standing:
    people = schedules.on_call(found, now)
    until = schedules.next_change(found, now, NEXT_WITHIN)
    then = schedules.on_call(found, until) if until else ()
    missing = [
        key for key in people if key in directory.people and not any(one.verified for one in directory.people[key].ways)
    ]
    return Standing(
        found.key,
        people,
        _names(directory, people),
        until,
        _names(directory, then),
        found.gaps_are_meant,
        _names(directory, missing),
    )


def _names(directory: Directory, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(directory.name_of(f"person:{key}") for key in keys)


def _turn(directory: Directory, schedule: str, shift: Shift) -> Turn:
    return Turn(schedule, _names(directory, (shift.person,)), shift.starts, shift.ends, shift.by)


def gaps_of(found: Schedule, since: datetime, until: datetime) -> list[Turn]:
    """When nobody is on call, also where that is meant to be so."""
    unmeant = found.model_copy(update={"gaps_are_meant": False})
    return [Turn(found.key, (), one.starts, one.ends, kind="gap") for one in coverage.gaps(unmeant, since, until)]


def _overlaps(directory: Directory, found: Schedule, since: datetime, until: datetime) -> list[Turn]:
    names = {key: person.name for key, person in directory.people.items()}
    return [
        Turn(found.key, _names(directory, one.people), one.starts, one.ends, one.words, "overlap")
        for one in coverage.overlaps(found, since, until, names)
    ]


def _person_now(directory: Directory, somebody: Person, now: datetime) -> Who:
    """Where they are on call now; else when they are next."""
    here = [one for one in directory.schedules.values() if somebody.key in schedules.on_call(one, now)]
    ways = (
        ", ".join(dict.fromkeys(one.medium for one in somebody.ways if one.verified)) or "nothing: nobody can page them"
    )
    lines = [f"Reached by {ways}."]
    if not here:
        lines.insert(0, f"{somebody.name} is not on call now. `/oncall next {somebody.key}` shows when.")
    return Who(somebody.name, tuple(standing(directory, one, now) for one in here), tuple(lines))


def _levels(levels: Sequence[Level], now: datetime, directory: Directory) -> list[str]:
    lines = []
    for number, level in enumerate(levels, start=1):
        said = []
        for target in level.targets:
            found = [directory.name_of(one) for one in directory.resolve(target, now)]
            kind = target.partition(":")[0]
            shown = directory.name_of(target)
            said.append(
                shown if kind in ("person", "channel", "medium") else f"{shown} ({', '.join(found) or 'NOBODY'})"
            )
        lines.append(f"level {number}: {', '.join(said) or 'NOBODY'}")
    return lines
