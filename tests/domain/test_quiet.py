"""Quiet hours: of everybody by severity and labels, and of one person."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.domain.matching import matcher
from bot.domain.people import Directory, Person
from bot.domain.quiet import OwnHours, QuietHours, ends, held_by
from bot.domain.windows import Window

NIGHT = {"between": ["22:00", "07:00"], "zone": "Europe/Berlin"}
WEEKEND = {"days": ["sat", "sun"], "zone": "Europe/Berlin"}
LATE = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)  # a Friday, midnight in Berlin
NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def windows(*given: dict[str, Any]) -> tuple[Window, ...]:
    return tuple(Window.model_validate(one) for one in given)


def hours(name: str, *given: dict[str, Any], severities: str = "warning", match: str = "") -> QuietHours:
    matchers = tuple(matcher(one) for one in match.split())
    return QuietHours(name, windows(*given), frozenset(severities.split()), matchers)


HELD: list[tuple[str, list[QuietHours], str, datetime, tuple[str, str] | None]] = [
    ("none", [], "warning", LATE, None),
    ("at night", [hours("nights", NIGHT)], "warning", LATE, ("nights", "2026-11-21T06:00")),
    ("by day", [hours("nights", NIGHT)], "warning", NOON, None),
    ("too bad to wait", [hours("nights", NIGHT)], "critical", LATE, None),
    ("of another team", [hours("nights", NIGHT, match="team=search")], "warning", LATE, None),
    ("of this team", [hours("nights", NIGHT, match="team=shop")], "warning", LATE, ("nights", "2026-11-21T06:00")),
    ("the longest of its windows", [hours("off", NIGHT, WEEKEND)], "warning", LATE, ("off", "2026-11-22T23:00")),
    ("the first that holds", [hours("a", NIGHT, severities="info"), hours("b", NIGHT), hours("c", WEEKEND)], "warning", LATE,
     ("b", "2026-11-21T06:00")),
    ("one that would never end", [hours("always", {})], "warning", NOON, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "severity", "now", "expected"), [case[1:] for case in HELD], ids=[case[0] for case in HELD]
)
def test_what_is_not_bad_enough_waits_for_the_end_of_the_hours(
    given: list[QuietHours], severity: str, now: datetime, expected: tuple[str, str] | None
) -> None:
    found = held_by(given, {"team": "shop"}, severity, now)
    said = found and (found[0].name, f"{found[1].astimezone(UTC):%Y-%m-%dT%H:%M}")
    assert said == expected


def test_the_end_of_nothing_is_none() -> None:
    assert ends((), NOON) is None


ADA = Person(key="ada", name="Ada", quiet=OwnHours(windows=windows(NIGHT), severities=frozenset({"warning"})))
PEOPLE = Directory(people={"ada": ADA, "bob": Person(key="bob", name="Bob")})
FREE = [
    ("person:ada", "warning", LATE, datetime(2026, 11, 21, 6, 0, tzinfo=UTC)),
    ("person:ada", "warning", NOON, None),
    ("person:ada", "critical", LATE, None),
    ("person:bob", "warning", LATE, None),
    ("person:nobody", "warning", LATE, None),
    ("channel:ada", "warning", LATE, None),
]


@pytest.mark.parametrize(("target", "severity", "now", "free_at"), FREE)
def test_a_person_is_free_again_at_the_end_of_their_own_hours(
    target: str, severity: str, now: datetime, free_at: datetime | None
) -> None:
    assert PEOPLE.free_at(target, severity, now) == free_at
