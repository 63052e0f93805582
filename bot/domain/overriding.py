"""Somebody else for a time: what may be asked of overrides and swaps, and what follows from them. Pure; called by flow/overrides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.domain import schedule as schedules
from bot.domain.naming import clipped
from bot.domain.people import Directory, Person
from bot.domain.roster import Swap
from bot.domain.schedule import Override, Schedule, Shift
from bot.errors import BadInput

LONGEST = timedelta(days=93)
AHEAD = timedelta(days=400)
LATE = timedelta(minutes=5)  # `now`, and what is written as the minute that has just begun
WHY_LIMIT = 300
MOST_AT_ONCE = 500  # overrides, and swaps asked for, that are not over


@dataclass(frozen=True, slots=True)
class Wish:
    """An override or a swap as somebody asks for it, from one moment to another; names are keys of oncall.yaml.

    `schedule` empty (swaps only): the one in which the asker is on call.
    """

    schedule: str
    person: str
    starts: datetime
    ends: datetime
    why: str = ""


def span(starts: datetime, ends: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The time in UTC, beginning now when it was to begin just now. BadInput says what is wrong with it."""
    starts, ends = starts.astimezone(UTC), ends.astimezone(UTC)
    if ends == starts:
        raise BadInput(
            f"It would end when it begins, {_shown(starts)}. Say how long it lasts, like `4h`, or a later end."
        )
    if ends < starts:
        raise BadInput(f"It would end ({_shown(ends)}) before it begins ({_shown(starts)}).")
    if ends <= now:
        raise BadInput(f"It would be over already: it ends {_shown(ends)}, and it is {_shown(now)} now.")
    if starts < now - LATE:
        raise BadInput(f"It would begin in the past, {_shown(starts)}; it is {_shown(now)} now. Write `now`.")
    starts = max(starts, now)
    if starts - now > AHEAD:
        raise BadInput(f"It would begin {_shown(starts)}; at most {AHEAD.days} days ahead.")
    if ends - starts > LONGEST:
        raise BadInput(
            f"It would last {(ends - starts).days} days, until {_shown(ends)}; at most {LONGEST.days} days. "
            "For longer, change the rotation in oncall.yaml."
        )
    return starts, ends


def made(number: int, wish: Wish, by: str, now: datetime, instead_of: str = "") -> Override:
    """The override that is wished for; `wish` has been checked by `span`."""
    return Override(
        number=number,
        schedule=wish.schedule,
        person=wish.person,
        starts=wish.starts,
        ends=wish.ends,
        instead_of=instead_of,
        by=by,
        why=clipped(" ".join(wish.why.split()), WHY_LIMIT),
        made_at=now,
    )


def ended(override: Override, now: datetime) -> Override:
    """Over now, or never begun. BadInput when it is over already."""
    if override.ended_at is not None or override.ends <= now:
        at = min(override.ended_at or override.ends, override.ends)
        raise BadInput(f"Override {override.number} is over already, since {_shown(at)}.")
    return override.model_copy(update={"ended_at": now})


def counting(overrides: Sequence[Override]) -> tuple[Override, ...]:
    """As they counted: what was ended by hand ends then, and what was ended before it began is left out."""
    found = []
    for one in overrides:
        if one.ended_at is None:
            found.append(one)
        elif one.ended_at > one.starts:
            found.append(one.model_copy(update={"ends": min(one.ends, one.ended_at), "ended_at": None}))
    return tuple(found)


def overlapping(made: Override, others: Sequence[Override]) -> tuple[Override, ...]:
    """Those of the same schedule that it goes before, for a time."""
    return tuple(
        one
        for one in counting(others)
        if one.schedule == made.schedule
        and one.number != made.number
        and one.starts < made.ends
        and made.starts < one.ends
    )


def turns_of(person: str, schedule: Schedule, starts: datetime, ends: datetime) -> tuple[Shift, ...]:
    """When somebody is on call in a schedule, in a time."""
    return tuple(one for one in schedules.shifts(schedule, starts, ends) if one.person == person)


def others_of(person: str, schedule: Schedule, starts: datetime, ends: datetime) -> tuple[str, ...]:
    """Who else is on call in a time, each once."""
    keys = (one.person for one in schedules.shifts(schedule, starts, ends) if one.person != person)
    return tuple(dict.fromkeys(keys))


def swap_checked(wish: Wish, asker: Person, directory: Directory) -> tuple[Shift, ...]:
    """What a swap would take over: the asker's turns in that time. BadInput when the asker has none, or the other has one in them already."""
    schedule, other = directory.schedules[wish.schedule], directory.people[wish.person]
    if asker.key == other.key:
        raise BadInput("Ask somebody else: this is your own turn.")
    mine = turns_of(asker.key, schedule, wish.starts, wish.ends)
    if not mine:
        raise BadInput(
            f"{asker.name} is not on call in {schedule.key} from {_shown(wish.starts)} to {_shown(wish.ends)}. "
            f"`/oncall schedule {schedule.key}` shows who is."
        )
    for turn in mine:
        theirs = turns_of(other.key, schedule, turn.starts, turn.ends)
        if theirs:
            raise BadInput(
                f"{other.name} is on call in {schedule.key} already, from {_shown(theirs[0].starts)} to {_shown(theirs[0].ends)}."
            )
    return mine


def schedules_of(asker: Person, directory: Directory, starts: datetime, ends: datetime) -> tuple[str, ...]:
    """The schedules in which somebody is on call in a time."""
    return tuple(key for key, one in directory.schedules.items() if turns_of(asker.key, one, starts, ends))


def answered(swap: Swap, state: str, now: datetime, override: int | None = None) -> Swap:
    return swap.model_copy(update={"state": state, "answered_at": now, "override": override})


def must_be_open(swap: Swap, now: datetime) -> None:
    """BadInput when it is answered, or its time has begun."""
    words = {
        "accepted": "was accepted already",
        "declined": "was declined already",
        "withdrawn": "was withdrawn",
        "expired": "has expired: nobody answered before its turn began",
    }
    if swap.state in words:
        raise BadInput(f"Swap {swap.number} {words[swap.state]}.")
    if expired(swap, now):
        raise BadInput(
            f"Swap {swap.number} {words['expired']}. For what is left of it: `/oncall override {swap.schedule} …`."
        )


def expired(swap: Swap, now: datetime) -> bool:
    return swap.state == "asked" and now >= swap.starts


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a %Y-%m-%d %H:%M} UTC"
