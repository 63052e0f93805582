"""What people are told of schedules, overrides and swaps: the answers of flow/oncall and flow/overrides as values, and the words. Pure.

The words are plain text for the command line, the API and messages; Slack shows the lists by bot.room.oncall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.domain.fairness import Share
from bot.domain.naming import english_list
from bot.domain.people import Directory
from bot.domain.roster import Swap
from bot.domain.schedule import Override

NOBODY = "nobody"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LONG_FROM = timedelta(days=300)  # from then on a time is said with its year


@dataclass(frozen=True, slots=True)
class Standing:
    """A schedule as it stands: the names of those on call now (none: nobody), until when (None: for months), and who comes then.

    `people`: their keys. `ways_missing`: those of them who cannot be paged by anything.
    """

    schedule: str
    people: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    until: datetime | None = None
    next_names: tuple[str, ...] = ()
    gaps_are_meant: bool = False
    ways_missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody's turn in a schedule, by that layer or override. `kind`: a turn, a `gap` (nobody), or an `overlap` (`by` says who is on call at
    once, or what contradicts itself)."""

    schedule: str
    names: tuple[str, ...]
    starts: datetime
    ends: datetime
    by: str = ""
    kind: str = "turn"


@dataclass(frozen=True, slots=True)
class Preview:
    """The final schedule of a time: who is on call from when to when, by start, with gaps and overlaps among them. `more`: turns left out."""

    schedule: str
    since: datetime
    until: datetime
    turns: tuple[Turn, ...]
    more: int = 0
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a name means now: `what` says what it is; `standings` of the schedules behind it; `lines` for what is none."""

    what: str
    standings: tuple[Standing, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """What each has carried in a time, in one schedule or (empty) in all of them."""

    schedule: str
    since: datetime
    until: datetime
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class OverrideMade:
    """A new override, whom it replaces, which earlier ones it goes before, and the words for whoever made it."""

    override: Override
    replaced: tuple[str, ...]
    over: tuple[Override, ...]
    words: str


@dataclass(frozen=True, slots=True)
class SwapMoved:
    """A swap, and the words for whoever asked, answered or withdrew it."""

    swap: Swap
    words: str


# ------------------------------------------------------------------------------------------------ times


def zone_for(directory: Directory, person: str, schedule: str = "") -> str:
    """In whose time somebody is told: their own, else the schedule's, else UTC."""
    own = directory.people[person].zone if person in directory.people else ""
    theirs = directory.schedules[schedule].zone if schedule in directory.schedules else ""
    return own or theirs or "UTC"


def at(moment: datetime, zone: str, now: datetime) -> str:
    """`today 18:00 CET`, `Fri 27 Nov 18:00 CET`, and with the year when that is not near."""
    local = moment.astimezone(ZoneInfo(zone))
    here = now.astimezone(ZoneInfo(zone))
    if local.date() == here.date():
        return f"today {local:%H:%M %Z}"
    if local.date() == here.date() + DAY:
        return f"tomorrow {local:%H:%M %Z}"
    year = " %Y" if abs(moment - now) > LONG_FROM else ""
    return local.strftime(f"%a %d %b{year} %H:%M %Z")


def between(starts: datetime, ends: datetime, zone: str, now: datetime) -> str:
    """`Fri 27 Nov 18:00 to Mon 30 Nov 08:00 CET`."""
    first, last = starts.astimezone(ZoneInfo(zone)), ends.astimezone(ZoneInfo(zone))
    year = " %Y" if abs(ends - now) > LONG_FROM else ""
    day = f"%a %d %b{year} "
    offset = " %Z" if first.utcoffset() != last.utcoffset() else ""  # the clocks change in between
    ending = last.strftime("%H:%M %Z" if first.date() == last.date() else f"{day}%H:%M %Z")
    return f"{first.strftime(f'{day}%H:%M{offset}')} to {ending}"


def full(starts: datetime, ends: datetime, zone: str) -> str:
    """`from Fri 2026-11-27 18:00 CET to Mon 2026-11-30 08:00 CET (Europe/Berlin), 62 h`: nothing left to guess."""
    first, last = (one.astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M %Z") for one in (starts, ends))
    named = f" ({zone})" if zone not in first else ""
    return f"from {first} to {last}{named}, {lasting(ends - starts)}"


def lasting(time: timedelta) -> str:
    """`45 min`, `8 h`, `7 h 30 min`, `5 days`."""
    minutes = round(time / MINUTE)
    days, left = divmod(minutes, 24 * 60)
    if days >= 3:
        return f"{days} days" + (f" {left // 60} h" if left >= 60 else "")
    hours, rest = divmod(minutes, 60)
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else "") if part
    )


# ------------------------------------------------------------------------------------------------ looking


def said_standing(one: Standing, zone: str, now: datetime) -> str:
    """`shop: Ada until tomorrow 09:00 CET, then Chen`."""
    until = f" until {at(one.until, zone, now)}" if one.until else ""
    then = f", then {english_list(one.next_names or (NOBODY,))}" if one.until else ""
    if not one.names:
        meant = " (meant to be so)" if one.gaps_are_meant else ""
        return f"{one.schedule}: NOBODY is on call{until}{meant}{then}"
    missing = f". {english_list(one.ways_missing)} cannot be paged by anything" if one.ways_missing else ""
    return f"{one.schedule}: {english_list(one.names)}{until}{then}{missing}"


def said_turn(turn: Turn, zone: str, now: datetime, *, schedule: bool = False) -> str:
    """`Fri 27 Nov 18:00 to 20:00 CET: Ada (nights)`; a gap as `NOBODY`."""
    where = f"{turn.schedule}: " if schedule else ""
    running = turn.starts == now  # it was cut there: it began before
    span = f"now until {at(turn.ends, zone, now)}" if running else between(turn.starts, turn.ends, zone, now)
    if turn.kind == "gap":
        return f"{span}: {where}NOBODY, {lasting(turn.ends - turn.starts)}"
    if turn.kind == "overlap":
        return f"{where}{turn.by}"
    by = f" ({turn.by})" if turn.by and turn.by != turn.schedule else ""
    if not turn.names:  # whose turn it is was said before
        return f"{span}: {turn.schedule}{by}"
    return f"{span}: {where}{english_list(turn.names)}{by}"


# ------------------------------------------------------------------------------------------------ overrides and swaps


def said_override(one: Override, directory: Directory, zone: str, now: datetime) -> str:
    """`3 shop: Bob instead of Ada, Fri 27 Nov 18:00 to …, by Ada: wedding`."""
    who = name(directory, one.person) or NOBODY
    instead = f" instead of {name(directory, one.instead_of)}" if one.instead_of else ""
    running = "now, " if one.starts <= now else ""
    why = f": {one.why}" if one.why else ""
    span = between(one.starts, one.ends, zone, now)
    return f"{one.number} {one.schedule}: {who}{instead}, {running}{span}, by {name(directory, one.by)}{why}"


def said_swap(one: Swap, directory: Directory, zone: str, now: datetime) -> str:
    why = f": {one.why}" if one.why else ""
    asker, other = name(directory, one.asker), name(directory, one.other)
    return f"swap {one.number} {one.schedule}: {asker} asks {other}, {between(one.starts, one.ends, zone, now)}{why}"


def said_made(
    override: Override, replaced: Sequence[str], over: Sequence[Override], directory: Directory, zone: str
) -> str:
    """What was made, in full, and what it changes."""
    who = name(directory, override.person)
    said = f"Override {override.number}: {who} is on call for {override.schedule} {full(override.starts, override.ends, zone)}."
    names = [name(directory, key) for key in replaced]
    by_then = override.person in {one.person for one in over}
    alone = f" {who} would have been on call then already." if by_then else " Nobody else would have been on call then."
    said += f" Instead of {english_list(names)}." if names else alone
    if over:
        said += f" It goes before {english_list(f'override {one.number} ({name(directory, one.person) or NOBODY})' for one in over)}."
    return f"{said} To take it back: `/oncall override end {override.number}`"


def said_replaced(override: Override, directory: Directory, zone: str, by: str) -> str:
    """To whoever has not to do it."""
    who = name(directory, override.person) or NOBODY
    why = f" ({override.why})" if override.why else ""
    span = full(override.starts, override.ends, zone)
    if who == by:
        return f"{by} is on call for {override.schedule} instead of you{why}, {span}. There is nothing to do for you."
    return f"{by} put {who} on call for {override.schedule} instead of you{why}, {span}."


def said_replacing(override: Override, zone: str, by: str) -> str:
    """To whoever has to."""
    why = f" ({override.why})" if override.why else ""
    return (
        f"{by} put you on call for {override.schedule}{why}, {full(override.starts, override.ends, zone)}. "
        f"If you cannot: `/oncall override end {override.number}`"
    )


def said_ended(override: Override, standing: Standing, directory: Directory) -> str:
    who = name(directory, override.person) or NOBODY
    now_on = english_list(standing.names) if standing.names else "NOBODY"
    return f"Override {override.number} ({who}, {override.schedule}) is over. On call for {override.schedule} now: {now_on}."


def said_asked(swap: Swap, directory: Directory, zone: str) -> str:
    return (
        f"Swap {swap.number}: {name(directory, swap.other)} is asked to take your turn in {swap.schedule} "
        f"{full(swap.starts, swap.ends, zone)}. Until they accept, it stays yours. "
        f"To take it back: `/oncall swap withdraw {swap.number}`"
    )


def asks_you(swap: Swap, directory: Directory, zone: str) -> str:
    """To whoever is asked; a line each."""
    lines = [
        f"{name(directory, swap.asker)} asks you to be on call for {swap.schedule} {full(swap.starts, swap.ends, zone)}.",
        f"Why: {swap.why}" if swap.why else "",
        "Without an answer before it begins nothing changes.",
    ]
    return "\n".join(line for line in lines if line)


def said_answered(swap: Swap, directory: Directory, zone: str) -> str:
    """To the asker, what became of it."""
    other, span = name(directory, swap.other), full(swap.starts, swap.ends, zone)
    words = {
        "accepted": f"{other} accepted swap {swap.number} and is on call for {swap.schedule} instead of you, {span}.",
        "declined": f"{other} declined swap {swap.number}. You are on call for {swap.schedule} {span}.",
        "expired": f"{other} did not answer swap {swap.number}. You are on call for {swap.schedule} {span}.",
        "withdrawn": f"{name(directory, swap.asker)} withdrew swap {swap.number}: you are not asked any more.",
    }
    return words[swap.state]


def name(directory: Directory, key: str) -> str:
    found = directory.people.get(key)
    return found.name if found else key.removeprefix("slack:")
