"""The daily digest: what was held and why, what is held still, and which alert rules are noise. Pure; made by flow/digest, shown by room."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from bot.domain.alert import Received
from bot.domain.digest_times import DigestTimes
from bot.domain.quality import RuleQuality

QUIETED = ("silenced", "maintenance", "inhibited", "quiet", "logged", "dropped")
MOST_RULES, MOST_STILL, MOST_NOISY = 10, 15, 10
NIGHT = (time(22), time(7))


@dataclass(frozen=True, slots=True)
class Quieted:
    """What one reason kept quiet: `by` is what held it (`silence:42`), `rules` the alert rules and how often, the most frequent first.

    `words`: the reason as people say it. `more`: how many other alert rules.
    """

    outcome: str
    by: str
    firings: int
    rules: tuple[tuple[str, int], ...] = ()
    words: str = ""
    more: int = 0


@dataclass(frozen=True, slots=True)
class Still:
    """What fires and is held when the digest is made."""

    summary: str
    by: str


@dataclass(frozen=True, slots=True)
class Digest:
    """`since` and `until` bound the time that it tells of; `fired` counts what fired at all, `incidents` and `pages` what came of it.

    Of what is private only the numbers are told. `more_still`: how many more are held.
    """

    since: datetime
    until: datetime
    fired: int = 0
    incidents: int = 0
    pages: int = 0
    quieted: tuple[Quieted, ...] = ()
    still: tuple[Still, ...] = ()
    more_still: int = 0
    noisy: tuple[RuleQuality, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.quieted or self.still or self.more_still or self.noisy)


PRIVATE = "private alerts"


@dataclass(slots=True)
class Counting:
    """Fed with the log lines of the day, one by one, in order. What waited for its group counts as quiet only when it was over before."""

    fired: int = 0
    incidents: set[int] = field(default_factory=set)
    _by: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    _waiting: dict[str, str] = field(default_factory=dict)

    def add(self, line: Received, *, private: bool = False) -> None:
        """`private`: its name is not told."""
        if line.alert.test:
            return
        self.fired += line.began and line.outcome != "dropped"
        name, key = PRIVATE if private else line.alert.name, line.alert.key
        if line.outcome in ("opened", "joined", "reopened", "late") and line.incident_id is not None:
            self.incidents.add(line.incident_id)
        if line.outcome == "waiting":
            self._waiting[key] = name
            return
        waited = self._waiting.pop(key, None)
        if line.outcome == "resolved" and waited is not None:
            self._quiet("waiting", "", waited)
        elif line.outcome in QUIETED and line.alert.firing and (line.began or waited is not None):
            self._quiet(line.outcome, "" if line.outcome == "inhibited" else line.held_by, name)

    def _quiet(self, outcome: str, by: str, name: str) -> None:
        self._by.setdefault((outcome, by), Counter())[name] += 1

    def quieted(self) -> tuple[Quieted, ...]:
        """The reason that kept most quiet first."""
        found = [
            Quieted(
                outcome,
                by,
                rules.total(),
                tuple(rules.most_common(MOST_RULES)),
                words_for(outcome, by),
                max(0, len(rules) - MOST_RULES),
            )
            for (outcome, by), rules in self._by.items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.firings, one.outcome, one.by)))


def digest_of(
    counting: Counting,
    span: tuple[datetime, datetime],
    pages: int,
    still: Sequence[Still],
    noisy: Iterable[RuleQuality],
) -> Digest:
    return Digest(
        *span,
        counting.fired,
        len(counting.incidents),
        pages,
        counting.quieted(),
        tuple(still[:MOST_STILL]),
        max(0, len(still) - MOST_STILL),
        tuple(noisy)[:MOST_NOISY],
    )


def named(digest: Digest, words: dict[tuple[str, str], str]) -> Digest:
    """With what is known of silences: by (outcome, by) the words."""
    quieted = (replace(one, words=words.get((one.outcome, one.by), one.words)) for one in digest.quieted)
    return replace(digest, quieted=tuple(quieted))


# ------------------------------------------------------------------------------------------------ when


def next_due(times: DigestTimes, now: datetime) -> tuple[str, datetime]:
    """The day (`2026-11-22`) and the time (UTC) of the next digest after now."""
    today = now.astimezone(ZoneInfo(times.zone)).date()
    for day in (today, today + timedelta(days=1), today + timedelta(days=2)):
        due = _due_on(day, times.at, times.zone)
        if due > now:
            return str(day), due
    raise AssertionError("one of three days is in the future")


def day_before(times: DigestTimes, due: datetime) -> datetime:
    """When the digest before was due: 23 or 25 hours when the clocks are changed in between, so that no hour is left out or told twice.

    24 hours for one that was asked for when the configuration had another time.
    """
    day = due.astimezone(ZoneInfo(times.zone)).date()
    as_now = _due_on(day, times.at, times.zone) == due
    return _due_on(day - timedelta(days=1), times.at, times.zone) if as_now else due - timedelta(days=1)


def _due_on(day: date, at: time, zone: str) -> datetime:
    """In UTC. A time of day that the clocks skip is as much later, one that comes twice is the first."""
    return datetime.combine(day, at.replace(fold=0), ZoneInfo(zone)).astimezone(UTC)


def at_night(at: datetime, zone: str) -> bool:
    """Between ten in the evening and seven in the morning there."""
    clock = at.astimezone(ZoneInfo(zone)).time()
    return clock >= NIGHT[0] or clock < NIGHT[1]


# ------------------------------------------------------------------------------------------------ words


def words_for(outcome: str, by: str, refs: Mapping[str, str] = MappingProxyType({})) -> str:
    """What kept it quiet, as people say it. `refs`: what is known of silences by their keys; else `silence 42`."""
    match outcome:
        case "silenced" | "maintenance":
            kind, _, name = by.partition(":")
            return refs.get(by) or f"{kind} {name if name.isdigit() else repr(name)}"
        case "inhibited":
            return "explained by another alert that fires"
        case "quiet":
            people = "by their own hours, nobody of the first level could be paged"
            return people if by == "quiet:people" else f"quiet hours {by.removeprefix('quiet:')!r}"
        case "waiting":
            return "over before its group had waited long enough"
        case "logged":
            return "of a severity that is only logged"
        case "dropped":
            return "dropped by a relabel rule"
    return outcome
