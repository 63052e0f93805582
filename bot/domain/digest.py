"""The daily digest: what was held and why, what is held still, and which alert rules are noise. Pure; made by flow/digest, shown by room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.domain.alert import AlertState, Received
from bot.domain.digest_times import DigestTimes
from bot.domain.passing import HELD
from bot.domain.quality import RuleQuality

QUIETED = (*HELD, "logged", "dropped")
MOST_RULES, MOST_STILL, MOST_NOISY = 10, 15, 10
NIGHT = (time(22), time(7))


@dataclass(frozen=True, slots=True)
class Quieted:
    """What one reason kept quiet: `by` is what held it (`silence:42`), `rules` the alert rules and how often, the most frequent first."""

    outcome: str
    by: str
    firings: int
    rules: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Digest:
    """`since` and `until` bound the time that it tells of; `fired` counts what fired at all, `incidents` and `pages` what came of it."""

    since: datetime
    until: datetime
    fired: int = 0
    incidents: int = 0
    pages: int = 0
    quieted: tuple[Quieted, ...] = ()
    still: tuple[AlertState, ...] = ()
    noisy: tuple[RuleQuality, ...] = ()


@dataclass(slots=True)
class Counting:
    """Fed with the log lines of the day, one by one."""

    fired: int = 0
    incidents: set[int] = field(default_factory=set)
    _by: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def add(self, line: Received) -> None:
        if line.again or line.alert.test:
            return
        if line.outcome in QUIETED:
            self.fired += 1
            self._by.setdefault((line.outcome, line.held_by), Counter())[line.alert.name] += 1
        elif line.outcome in ("opened", "joined", "reopened", "late", "flapping"):
            self.fired += 1
            if line.incident_id is not None:
                self.incidents.add(line.incident_id)

    def quieted(self) -> tuple[Quieted, ...]:
        """The reason that kept most quiet first."""
        found = [
            Quieted(outcome, by, rules.total(), tuple(rules.most_common(MOST_RULES)))
            for (outcome, by), rules in self._by.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.firings, one.outcome, one.by)))


def digest_of(
    counting: Counting,
    span: tuple[datetime, datetime],
    pages: int,
    still: Sequence[AlertState],
    noisy: Iterable[RuleQuality],
) -> Digest:
    return Digest(
        *span,
        counting.fired,
        len(counting.incidents),
        pages,
        counting.quieted(),
        tuple(still[:MOST_STILL]),
        tuple(noisy)[:MOST_NOISY],
    )


def next_due(times: DigestTimes, now: datetime) -> tuple[str, datetime]:
    """The day (`2026-11-22`) and the time of the next digest after now. A time of day that the clocks skip is the moment after the gap."""
    zone = ZoneInfo(times.zone)
    day = now.astimezone(zone).date()
    for later in range(3):
        due = datetime.combine(day + timedelta(days=later), times.at, zone)
        if due > now:
            return str(due.date()), due
    raise AssertionError("one of three days is in the future")


def at_night(at: datetime, zone: str) -> bool:
    """Between ten in the evening and seven in the morning there."""
    clock = at.astimezone(ZoneInfo(zone)).time()
    return clock >= NIGHT[0] or clock < NIGHT[1]


def words_for(outcome: str, by: str, refs: Mapping[str, str]) -> str:
    """What kept it quiet, as people say it. `refs`: what is known of silences by their keys."""
    match outcome:
        case "silenced" | "maintenance":
            return refs.get(by, by.replace(":", " ", 1))
        case "inhibited":
            return "explained by another alert"
        case "quiet":
            return "quiet hours" if by == "quiet:people" else f"quiet hours {by.removeprefix('quiet:')!r}"
        case "waiting":
            return "over before its group had waited"
        case "logged":
            return "of a severity that is only logged"
        case _:
            return "dropped by relabelling"
