"""On-call as JSON values, the same for the API and for `--json` at a terminal. Times in ISO 8601, UTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.domain import coverage
from bot.domain import schedule as schedules
from bot.domain.contact_told import Own, Tested
from bot.domain.oncall_told import Shares, Standing, Turn, Who
from bot.domain.people import Directory
from bot.domain.roster import Swap
from bot.domain.schedule import Override, Schedule, Shift
from bot.flow.oncall import gaps_of

MOST_SHIFTS = 3000


def standing_facts(one: Standing) -> dict[str, Any]:
    """`until`: when it changes; null when that is not within two months."""
    return {
        "schedule": one.schedule,
        "on_call": [{"person": key, "name": name} for key, name in zip(one.people, one.names, strict=True)],
        "until": _time(one.until),
        "next": list(one.next_names),
        "gaps_are_meant": one.gaps_are_meant,
        "cannot_be_paged": list(one.ways_missing),
    }


def who_facts(one: Who) -> dict[str, Any]:
    return {"what": one.what, "schedules": [standing_facts(each) for each in one.standings], "lines": list(one.lines)}


def turn_facts(one: Turn) -> dict[str, Any]:
    """A turn, a gap (without names) or an overlap; `by` is the layer or the override that says so."""
    span = {"starts": _time(one.starts), "ends": _time(one.ends)}
    return {"schedule": one.schedule, "kind": one.kind, "names": list(one.names), **span, "by": one.by}


def schedule_facts(directory: Directory, found: Schedule, since: datetime, until: datetime) -> dict[str, Any]:
    """The final schedule of a time. `more`: how many later shifts were left out. May take a second."""
    shifts = schedules.shifts(found, since, until)
    names = {key: person.name for key, person in directory.people.items()}
    return {
        "schedule": found.key,
        "zone": found.zone,
        "from": _time(since),
        "until": _time(until),
        "shifts": shift_facts(shifts[:MOST_SHIFTS], directory),
        "more": max(0, len(shifts) - MOST_SHIFTS),
        "gaps": [_span(one.starts, one.ends) for one in gaps_of(found, since, until)[:MOST_SHIFTS]],
        "overlaps": [
            {**_span(one.starts, one.ends), "words": one.words} for one in coverage.overlaps(found, since, until, names)
        ],
    }


def shift_facts(shifts: Iterable[Shift], directory: Directory) -> list[dict[str, Any]]:
    return [{**person_facts(one.person, directory), **_span(one.starts, one.ends), "by": one.by} for one in shifts]


def person_facts(key: str, directory: Directory) -> dict[str, Any]:
    return {"person": key, "name": directory.name_of(f"person:{key}") if key else ""}


def shares_facts(one: Shares) -> dict[str, Any]:
    shares = [share.model_dump(mode="json", exclude={"words"}) for share in one.shares]
    return {"schedule": one.schedule, "from": _time(one.since), "until": _time(one.until), "shares": shares}


def override_facts(one: Override, directory: Directory) -> dict[str, Any]:
    """`instead_of` empty: instead of everybody who would be on call."""
    return {
        "number": one.number,
        "schedule": one.schedule,
        **person_facts(one.person, directory),
        "instead_of": one.instead_of,
        **_span(one.starts, one.ends),
        "by": one.by,
        "why": one.why,
        "made_at": _time(one.made_at),
    }


def swap_facts(one: Swap) -> dict[str, Any]:
    return {
        "number": one.number,
        "schedule": one.schedule,
        "asker": one.asker,
        "other": one.other,
        **_span(one.starts, one.ends),
        "why": one.why,
        "state": one.state,
        "asked_at": _time(one.asked_at),
    }


def overrides_facts(overrides: Sequence[Override], swaps: Sequence[Swap], directory: Directory) -> dict[str, Any]:
    """Those that are not over, and swaps that wait for an answer."""
    return {
        "overrides": [override_facts(one, directory) for one in overrides],
        "swaps": [swap_facts(one) for one in swaps],
    }


def own_facts(one: Own) -> dict[str, Any]:
    """Addresses are shown in part only, as everywhere. `after` is in seconds."""
    return {
        "name": one.name,
        "methods": [
            {"key": way.key, "medium": way.medium, "address": way.shown, "origin": way.origin, "state": way.state}
            for way in one.ways
        ],
        "notify": {
            severity or "default": [{"method": rule.method, "after": rule.after.total_seconds()} for rule in rules]
            for severity, rules in one.rules.items()
        },
        "lines": list(one.lines),
    }


def tested_facts(one: Tested) -> dict[str, Any]:
    return {"key": one.key, "medium": one.medium, "address": one.shown, "ok": one.ok, "answer": one.answer}


def _span(starts: datetime, ends: datetime) -> dict[str, Any]:
    return {"starts": _time(starts), "ends": _time(ends)}


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
