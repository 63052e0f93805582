"""What is told when a turn ends, and of gaps that come: the facts as values, and the words. Pure; used by flow/duty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.domain.incident import Incident, State
from bot.domain.naming import clipped, english_list
from bot.domain.oncall_told import NOBODY, Turn, at, lasting, said_turn
from bot.domain.silence import Silence

MOST_OPEN = 10
MOST_SILENCES = 5
MOST_GAPS = 10
TITLE = 120


@dataclass(frozen=True, slots=True)
class HandOver:
    """From whom to whom (names), in which schedule, until when; what is open (`private`: how many more that are private), which silences end within a
    day, and how many pages for how many incidents went to those who end their turn, since when."""

    schedule: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    until: datetime | None
    open: tuple[Incident, ...] = ()
    private: int = 0
    silences: tuple[Silence, ...] = ()
    pages: int = 0
    paged_for: int = 0
    since: datetime | None = None


def concerns(incident: Incident, schedule: str) -> bool:
    """Whether a policy by which it pages has this schedule in one of its levels."""
    wanted = {f"schedule:{schedule}", f"rotation:{schedule}"}
    return any(wanted & set(level.targets) for track in incident.tracks for level in track.policy.levels)


def subject(told: HandOver, zone: str, now: datetime) -> str:
    """`shop: Ada hands over to Chen, on call until Mon 30 Nov 09:00 CET`."""
    until = f" until {at(told.until, zone, now)}" if told.until else ""
    if not told.after:
        return f"{told.schedule}: NOBODY is on call{until}. {english_list(told.before)} had it before"
    if not told.before:
        return f"{told.schedule}: {english_list(told.after)} begins, on call{until}. Nobody had it before"
    return f"{told.schedule}: {english_list(told.before)} hands over to {english_list(told.after)}, on call{until}"


def yours(told: HandOver, zone: str, now: datetime) -> str:
    """The subject for whoever begins."""
    until = f" until {at(told.until, zone, now)}" if told.until else ""
    before = english_list(told.before or (NOBODY,))
    return f"You are on call for {told.schedule} now{until}, after {before}"


def body(told: HandOver, zone: str, now: datetime) -> str:
    """What is open, what ends soon, what has been; a line each."""
    lines = ["Open:"] if told.open or told.private else ["Nothing is open."]
    lines += [_incident(one, zone, now) for one in told.open[:MOST_OPEN]]
    if len(told.open) > MOST_OPEN:
        lines.append(f"and {len(told.open) - MOST_OPEN} more: /incident list")
    if told.private:
        lines.append("1 private incident" if told.private == 1 else f"{told.private} private incidents")
    if told.silences:
        lines.append("Silences that end within a day:")
        lines += [_silence(one, zone, now) for one in told.silences[:MOST_SILENCES]]
    if len(told.silences) > MOST_SILENCES:
        lines.append(f"and {len(told.silences) - MOST_SILENCES} more: /incident silence list")
    if told.since is not None and told.before:
        lines.append(_paged(told, now))
    return "\n".join(lines)


def said_gaps(schedule: str, gaps: Sequence[Turn], zone: str, now: datetime) -> tuple[str, str]:
    """(subject, body) of the warning that nobody will be on call."""
    first = gaps[0]
    more = f", and {len(gaps) - 1} more" if len(gaps) > 1 else ""
    head = (
        f"{schedule}: NOBODY is on call {said_turn(first, zone, now).partition(': ')[0]}{more}, within the next 7 days"
    )
    lines = [said_turn(one, zone, now) for one in gaps[:MOST_GAPS]]
    if len(gaps) > MOST_GAPS:
        lines.append(f"and {len(gaps) - MOST_GAPS} more: /oncall gaps {schedule}")
    lines.append(
        f"A page in that time goes on to the next level at once. To fill it: /oncall override {schedule} PERSON FROM TO"
    )
    lines.append("If it is meant so, write gaps: fine for this schedule in oncall.yaml.")
    return head, "\n".join(lines)


def said_contradictions(schedule: str, found: Sequence[str]) -> tuple[str, str]:
    """(subject, body) of the warning that a schedule says two things at once. `found`: a line each."""
    many = "in 1 place" if len(found) == 1 else f"in {len(found)} places"
    lines = [*found[:MOST_GAPS]]
    if len(found) > MOST_GAPS:
        lines.append(f"and {len(found) - MOST_GAPS} more: /oncall gaps {schedule}")
    lines.append(
        "Overrides: the later one counts; /oncall overrides lists them, and /oncall override end NUMBER ends one."
    )
    return f"{schedule} contradicts itself {many}, within the next 7 days", "\n".join(lines)


def said_feed(name: str, schedules: Sequence[str], error: str, since: datetime, now: datetime) -> str:
    """A calendar that could not be read for long."""
    used = f" It is used by {english_list(schedules)}." if schedules else ""
    return (
        f"The calendar {name} cannot be read since {lasting(now - since)}: {clipped(error, 200)}. What it said before still counts, "
        f"so who is on call may be out of date.{used} Look at `calendars:` in oncall.yaml."
    )


def _incident(one: Incident, zone: str, now: datetime) -> str:
    who = f"{one.acknowledged_by} has it" if one.acknowledged_by else "nobody has it"
    state = "triggered" if one.state is State.TRIGGERED else str(one.state)
    return (
        f"{one.ref} {one.severity}, {clipped(one.title, TITLE)}: {state}, {who}, since {at(one.opened_at, zone, now)}"
    )


def _silence(one: Silence, zone: str, now: datetime) -> str:
    ends = f" ends {at(one.ends_at, zone, now)}" if one.ends_at else ""
    return f"{one.ref}{ends}: {clipped(one.reason, TITLE)}"


def _paged(told: HandOver, now: datetime) -> str:
    who = english_list(told.before)
    if not told.pages:
        return f"No page went to {who} in the last turn."
    pages = "1 page" if told.pages == 1 else f"{told.pages} pages"
    incidents = "1 incident" if told.paged_for == 1 else f"{told.paged_for} incidents"
    return f"{pages} for {incidents} went to {who} in the last turn."
