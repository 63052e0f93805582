"""What people are told of silences and maintenance windows: the answers of flow/silences as values, and the words. Pure; used by entry and cli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bot.domain.alert import AlertState
from bot.domain.incident import Incident
from bot.domain.silence import Silence, shown_time
from bot.domain.windows import Window

Phase = Literal["pending", "active", "expired"]
PHASES: tuple[Phase, ...] = ("active", "pending", "expired")


@dataclass(frozen=True, slots=True)
class Matching:
    """What fires now and is matched: how many alerts (`more`: at least so many), the names of the first, and the open incidents they belong to.

    `paging`: those of them that nobody has acknowledged.
    """

    count: int = 0
    names: tuple[str, ...] = ()
    incidents: tuple[int, ...] = ()
    paging: tuple[int, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """One with how it stands: how many alerts it hides now, and how many different ones it ever hid. `incident`: the one it was made for."""

    silence: Silence
    phase: Phase
    hides: int = 0
    hid: int = 0
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class Hidden:
    """An alert that one hides now. `private`: it would go to a private incident, so only its being there is told."""

    state: AlertState
    private: bool


@dataclass(frozen=True, slots=True)
class Shown:
    listed: Listed
    hidden: Sequence[Hidden]


@dataclass(frozen=True, slots=True)
class Made:
    """A new one, what it matches of what fires now, and the words for whoever made it."""

    silence: Silence
    matching: Matching
    words: str


@dataclass(frozen=True, slots=True)
class Moved:
    """One whose end was moved; `released`: how many alerts are looked at again because of it."""

    silence: Silence
    released: int
    words: str


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What became of one of another system, which calls it `ref`: it is `new` here, its end was `moved`, all was the `same`, or it was `refused`."""

    ref: str
    outcome: str
    silence: Silence | None = None
    why: str = ""


# ------------------------------------------------------------------------------------------------ the words


def phase_of(silence: Silence, now: datetime) -> Phase:
    """By its start and end; a recurring one is active between its times as well."""
    if silence.over(now):
        return "expired"
    return "pending" if now < silence.starts_at else "active"


def said_made(silence: Silence, matching: Matching, now: datetime) -> str:
    """What was made, and what it does not change."""
    made_words = f"{silence.ref} {spoken(silence, now)}: it hides {','.join(silence.matchers)}."
    return f"{made_words} {said_matching(matching)}"


def said_matching(matching: Matching) -> str:
    """What fires now and is matched; incidents stay open, so they are named."""
    if not matching.count:
        return "Nothing that fires now matches."
    one = matching.count == 1
    count = f"{'more than ' if matching.more else ''}{counted(matching.count)}"
    said = f"{count} that fire{'s' if one else ''} now match{'es' if one else ''}"
    if not matching.incidents:
        return f"{said}."
    stay = "stays" if len(matching.incidents) == 1 else "stay"
    said = f"{said}; {_refs(matching.incidents)} {stay} open, because a silence is for what begins to fire."
    stop = f" Acknowledge {_refs(matching.paging)} to stop the paging."
    return said + (stop if matching.paging else "")


def _refs(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return ", ".join(f"INC-{number}" for number in numbers[:10]) + more


def said_moved(silence: Silence, released: int, now: datetime) -> str:
    """What became of it; `released`: how many alerts it hid that are looked at again."""
    if not silence.over(now):
        return f"{silence.ref} {spoken(silence, now)} now."
    page = f" {counted(released)} that it hid {'is' if released == 1 else 'are'} looked at again, and may page now."
    return f"{silence.ref} is over.{page if released else ''}"


def said_ending(silence: Silence, hides: int, now: datetime) -> str:
    """It ends soon: what will happen then, and how to go on."""
    if silence.ends_at is None:
        return ""
    minutes = max(1, round((silence.ends_at - now) / timedelta(minutes=1)))
    hidden = (
        f"{counted(hides)} {'is' if hides == 1 else 'are'} hidden by it and will page if still firing then."
        if hides
        else "It hides nothing now."
    )
    again = f"`/incident {silence.kind} extend {silence.number} 2h`"
    of = f" of {silence.author}" if silence.author else ""
    return f"{silence.ref}{of} ends in {minutes} min: {silence.reason}. {hidden} To extend it: {again}"


def counted(number: int, what: str = "alert") -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def when(windows: Sequence[Window]) -> str:
    """`every sat,sun 02:00-04:00 Europe/Berlin`, as it can be given to make another one."""
    said = []
    for window in windows:
        days = ",".join(window.days) or "day"
        hours = f" {window.between[0]:%H:%M}-{window.between[1]:%H:%M}" if window.between else ""
        said.append(f"every {days}{hours} {window.zone}")
    return " and ".join(said)


def spoken(silence: Silence, now: datetime) -> str:
    """`from 2026-11-22 22:00 UTC until 2026-11-23 01:00 UTC`, without what goes without saying."""
    parts = [f"from {shown_time(silence.starts_at)}"] if silence.starts_at > now else []
    if silence.ends_at is not None:
        parts.append(f"until {shown_time(silence.ends_at)}")
    if silence.windows:
        parts.append(when(silence.windows))
    return " ".join(parts)
