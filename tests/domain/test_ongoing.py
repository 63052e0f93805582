"""What is said of an incident that goes on: flapping and calm, who has joined, that it is still open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain import ongoing
from bot.domain.alert import Alert
from bot.domain.flapping import Flapping
from bot.domain.incident import Change, State
from bot.domain.timeline import Entry
from tests.domain.alerts import NOW, ago, alert, incident

RULE = Flapping(fires=3, within=timedelta(minutes=30), calm=timedelta(minutes=15))


def named(summary: str) -> Alert:
    return replace(alert(), annotations={"summary": summary})


def asked(change: Change) -> list[str]:
    return sorted(effect.kind for effect in change.effects)


def test_an_incident_knows_what_holds_it_open_and_what_does_no_longer() -> None:
    one = ongoing.flapping_begun(incident(), named("disk"), RULE, NOW)
    two = one.then(lambda current: ongoing.flapping_begun(current, named("net"), RULE, NOW))
    assert two.incident.flapping == ("disk", "net")
    calm = ongoing.calmed(two.incident, named("disk"), True, NOW)
    assert calm.incident.flapping == ("net",)
    assert [entry.kind for entry in (*two.entries, *calm.entries)] == ["flapping", "flapping", "calm"]
    assert asked(calm) == ["card", "say", "topic"]


def test_only_the_latest_of_very_many_are_kept() -> None:
    change = Change(incident())
    for number in range(ongoing.MOST_NAMES + 5):
        change = ongoing.flapping_begun(change.incident, named(str(number)), RULE, NOW)
    assert (len(change.incident.flapping), change.incident.flapping[-1]) == (
        ongoing.MOST_NAMES,
        str(ongoing.MOST_NAMES + 4),
    )


def joined(*names: str) -> Entry:
    return Entry(
        at=NOW,
        kind="alert_firing",
        text="",
        data={"alerts": [{"summary": name} for name in names], "count": len(names)},
    )


NEWS: list[tuple[Sequence[Entry], str]] = [
    ([joined("disk")], "1 more alert has joined: disk"),
    ([joined("disk", "net"), joined("disk")], "3 more alerts have joined: disk; net"),
    ([joined(*"abcdefg")], "7 more alerts have joined: a; b; c; d; e and 2 more"),
]


@pytest.mark.parametrize(("entries", "text"), NEWS)
def test_the_channel_is_told_who_has_joined(entries: Sequence[Entry], text: str) -> None:
    change = ongoing.news_told(incident(), entries, NOW)
    (post,) = change.effects
    assert (post.kind, post.payload["text"], change.incident.news_at) == ("post", text, NOW)


def test_a_reminder_says_who_has_it_and_asks_for_the_next_one() -> None:
    was = incident(State.ACKNOWLEDGED, repeat=timedelta(hours=4), firing=2, acknowledged_by="Ada")
    change = ongoing.reminded(was, NOW)
    assert [entry.text for entry in change.entries] == [
        "INC-1 has been open for 1h: 2 of its alerts fire, and Ada has it"
    ]
    (again,) = [effect for effect in change.effects if effect.kind == "remind"]
    assert again.due == NOW + timedelta(hours=4)
    nobody = ongoing.reminded(incident(repeat=timedelta(hours=4)), NOW)
    assert nobody.entries[0].text == "INC-1 has been open for 1h: 0 of its alerts fire, and nobody has acknowledged it"


@pytest.mark.parametrize(
    "was", [incident(State.RESOLVED, resolved_at=ago(1), repeat=timedelta(hours=4)), incident(repeat=None)]
)
def test_what_is_over_or_asks_for_no_reminders_gets_none(was: object) -> None:
    assert ongoing.reminded(was, NOW) == Change(was)  # type: ignore[arg-type]
