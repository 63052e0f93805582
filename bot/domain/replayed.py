"""What a replay of recorded alerts came to, in figures, and how two of them differ. Pure; filled by rehearsal/replay, shown by `tocsin replay`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from zoneinfo import ZoneInfo

from bot.domain.alert import Received
from bot.domain.digest import QUIETED, words_for
from bot.domain.incident import Incident
from bot.domain.naming import clipped

MOST_RULES = 10
MOST_GROUPS = 20
LONGEST_NAME = 120
STORM = "storm/"


@dataclass(frozen=True, slots=True)
class Night:
    """From one time of day to another in a zone; over midnight when the end is the earlier one."""

    begins: time = time(22)
    ends: time = time(7)
    zone: str = "UTC"

    def covers(self, at: datetime) -> bool:
        clock = at.astimezone(ZoneInfo(self.zone)).time()
        if self.begins <= self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M} {self.zone}"


@dataclass(frozen=True, slots=True)
class Replayed:
    """`deliveries` counts each alert each time it came in, `alerts` different ones; `night` is said as people read it.

    `pages` to whom, `at_night` those of them in the night, `severities` and `rules` for what; `held`: per reason the firings that it kept quiet.
    `unanswered`: how often nobody was left to page. `groups`: how many incidents each problem came to.
    """

    night: str
    deliveries: int = 0
    alerts: int = 0
    incidents: int = 0
    reopened: int = 0
    storms: int = 0
    unanswered: int = 0
    pages: Mapping[str, int] = field(default_factory=dict)
    at_night: Mapping[str, int] = field(default_factory=dict)
    severities: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Figures:
    """Fed while a replay runs: with every line of the alert log, every page, and at the end with the incidents."""

    night: Night
    deliveries: int = 0
    reopened: int = 0
    unanswered: int = 0
    began: dict[int, tuple[str, str]] = field(
        default_factory=dict
    )  # incident -> alert rule and alert key of its latest beginning
    _alerts: set[str] = field(default_factory=set)
    _pages: Counter[str] = field(default_factory=Counter)
    _at_night: Counter[str] = field(default_factory=Counter)
    _severities: Counter[str] = field(default_factory=Counter)
    _rules: Counter[str] = field(default_factory=Counter)
    _held: Counter[tuple[str, str]] = field(default_factory=Counter)
    _counted: set[tuple[str, str, str, datetime]] = field(default_factory=set)

    def line(self, line: Received) -> None:
        """One line of the alert log. A firing that is repeated while it is held counts once for each reason."""
        if not line.again:
            self.deliveries += 1
            self._alerts.add(line.alert.key)
        if line.outcome in ("opened", "reopened") and line.incident_id is not None:
            self.reopened += line.outcome == "reopened"
            self.began[line.incident_id] = (f"{line.alert.name} ({line.alert.source})", line.alert.key)
        elif line.outcome in QUIETED and line.alert.firing:
            one = (line.outcome, line.held_by, line.alert.key, line.alert.starts_at)
            if one not in self._counted:
                self._counted.add(one)
                self._held[line.outcome, line.held_by] += 1

    def page(self, incident: Incident, name: str, at: datetime) -> None:
        """One page has left. `name`: to whom, as people write it."""
        self._pages[name] += 1
        self._at_night[name] += self.night.covers(at)
        self._severities[incident.severity] += 1
        self._rules[self.began[incident.id][0]] += 1

    def result(self, incidents: Mapping[int, Incident]) -> Replayed:
        """`incidents`: all that there are at the end."""
        held: Counter[str] = Counter()
        for (outcome, by), count in self._held.items():
            held[f"{outcome}: {words_for(outcome, by)}"] += count
        return Replayed(
            str(self.night),
            self.deliveries,
            len(self._alerts),
            len(incidents),
            self.reopened,
            sum(1 for one in incidents.values() if one.storm_at),
            self.unanswered,
            _ordered(self._pages),
            _ordered(+self._at_night),
            _ordered(self._severities),
            _ordered(held),
            _ordered(self._rules),
            _ordered(Counter(group_of(one.group_key) for one in incidents.values())),
        )


def _ordered(counts: Counter[str]) -> dict[str, int]:
    """The highest first, and by name among equals: the same replay always shows the same."""
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def group_of(group_key: str) -> str:
    """`alertname=DiskFull, service=shop` of a group key: its labels without its route, which another configuration calls otherwise."""
    if group_key.startswith(STORM):
        return f"storm of {group_key.removeprefix(STORM)}"
    begin = group_key.find("{")
    while begin >= 0:
        try:
            labels = json.loads(group_key[begin:])
        except ValueError:
            begin = group_key.find("{", begin + 1)
        else:
            return (
                ", ".join(f"{name}={value}" for name, value in labels.items()) or f"everything of {group_key[:begin]}"
            )
    return group_key


# ------------------------------------------------------------------------------------------------ in words


def lines(one: Replayed) -> list[str]:
    """One replay, a figure a line."""
    rows = [(name, str(count)) for name, count in _rows(one).items()]
    return [f"Night is {one.night}.", "", *_table([("figure", "count"), *rows])]


def compared(now: Replayed, new: Replayed) -> list[str]:
    """Two replays of the same alerts: each figure now, new and the difference; then which problems have fewer or more incidents."""
    before, after = _rows(now, new), _rows(new, now)
    rows = [
        (name, str(before.get(name, 0)), str(after.get(name, 0)), _signed(after.get(name, 0) - before.get(name, 0)))
        for name in before
    ]
    told = [f"Night is {now.night}.", "", *_table([("figure", "now", "new", "difference"), *rows])]
    told += _fewer("Incidents that would not be there any more:", gone(now, new))
    told += _fewer("Incidents that would be new:", gone(new, now))
    return told


def gone(now: Replayed, new: Replayed) -> dict[str, int]:
    """How many incidents fewer each problem has; only those that have fewer."""
    return _ordered(+(Counter(now.groups) - Counter(new.groups)))


def _fewer(title: str, groups: Mapping[str, int]) -> Iterator[str]:
    yield ""
    if not groups:
        yield f"{title} none."
        return
    yield title
    for name, count in list(groups.items())[:MOST_GROUPS]:
        yield f"  {count} x {clipped(name, LONGEST_NAME)}"
    if len(groups) > MOST_GROUPS:
        yield f"  and those of {len(groups) - MOST_GROUPS} more groups"


def _rows(one: Replayed, other: Replayed | None = None) -> dict[str, int]:
    """Every figure by name, in the order in which people read them. `other`: what it is compared with, whose names belong in there too."""

    def part(title: str, own: Mapping[str, int], others: Mapping[str, int], most: int = 1000) -> dict[str, int]:
        names = sorted({*own, *others}, key=lambda name: (-max(own.get(name, 0), others.get(name, 0)), name))
        return {f"{title} {name}": own.get(name, 0) for name in names[:most]}

    two = other or one
    return {
        "deliveries": one.deliveries,
        "alerts": one.alerts,
        "incidents": one.incidents,
        "incidents reopened": one.reopened,
        "storms": one.storms,
        "pages": sum(one.pages.values()),
        "pages at night": sum(one.at_night.values()),
        "nobody left to page": one.unanswered,
        **part("pages to", one.pages, two.pages),
        **part("at night to", one.at_night, two.at_night),
        **part("pages for", one.severities, two.severities),
        **part("held,", one.held, two.held),
        **part("pages of", one.rules, two.rules, MOST_RULES),
    }


def _signed(difference: int) -> str:
    return f"{difference:+d}" if difference else "="


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Names to the left, numbers to the right."""
    rows = [(clipped(row[0], LONGEST_NAME), *row[1:]) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
