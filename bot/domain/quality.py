"""How good each alert rule is: how often it fires, pages, and leads to anything. Pure; fed with the alert log and the timelines by flow/quality.

An alert rule is what senders call `alertname`, per source. A *firing* is a delivery with which an alert began to fire (repeats do not count).
Pages are counted for the rule whose alert opened the incident or opened it again; an alert that only joined paged nobody. *Acted* means that
people did something about the incident beside acknowledging it: approved a fix, mitigated or resolved it by hand, wrote a note, asked for help.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median

from bot.domain.alert import Received
from bot.domain.flapping import shown
from bot.domain.incident import Incident
from bot.domain.people import TOCSIN
from bot.domain.timeline import Entry

PAGED = ("opened", "reopened")
HAS_INCIDENT = (*PAGED, "joined", "late")
QUIET = ("silenced", "maintenance", "inhibited", "quiet", "logged")  # "waiting" only puts off what is to come
ACTS = (
    "mitigated",
    "resolved",
    "note",
    "escalated",
    "severity",
    "run_started",
    "run_approved",
    "run_answered",
    "run_glass_broken",
)
OFTEN, NOISY_PAGES, SHORT = 5, 3, timedelta(minutes=5)
Night = Callable[[str, datetime], bool]
"""(name of a person, when they were paged) -> whether that was in their night."""


@dataclass(frozen=True, slots=True)
class Handled:
    """What people got of an incident, and what they did about it. `pages`: (when, name) of each time that somebody was paged.
    Times are None when it did not happen.

    `beginnings`: when it was opened, and opened again; what people did is measured from the one before.
    """

    incident_id: int
    opened_at: datetime
    pages: tuple[tuple[datetime, str], ...] = ()
    acknowledged_at: datetime | None = None
    acted_at: datetime | None = None
    resolved_at: datetime | None = None
    beginnings: tuple[datetime, ...] = ()

    def since_it_began(self, at: datetime) -> timedelta:
        return at - max((one for one in self.beginnings if one <= at), default=self.opened_at)

    def between(self, since: datetime, until: datetime) -> Handled:
        """With the pages of that time only."""
        return replace(self, pages=tuple(page for page in self.pages if since <= page[0] < until))


def handled(incident: Incident, entries: Sequence[Entry]) -> Handled:
    """From its timeline. What the bot did by itself is no act of people."""
    acts = [one.at for one in entries if one.kind in ACTS and one.actor != TOCSIN.name]
    acknowledged = [one.at for one in entries if one.kind == "acknowledged"]
    return Handled(
        incident.id,
        incident.opened_at,
        _pages(entries),
        min(acknowledged, default=None),
        min(acts, default=None),
        incident.resolved_at,
        tuple(one.at for one in entries if one.kind in PAGED),
    )


def _pages(entries: Sequence[Entry]) -> tuple[tuple[datetime, str], ...]:
    """Whoever gets several messages, by several media, is paged once; and again when paging begins anew."""
    found: list[tuple[datetime, str]] = []
    told: set[str] = set()
    for one in entries:
        if one.kind in (*PAGED, "escalated"):
            told.clear()
        elif one.kind == "page_sent" and (name := str(one.data.get("to", ""))) not in told:
            told.add(name)
            found.append((one.at, name))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class RuleQuality:
    """One alert rule. `incidents`: those that it was part of, `opened`: those that it opened; `held`: firings per outcome.

    `paged`, `acknowledged`, `acted`, `brief` count incidents; `pages`, `night_pages` how often somebody was paged for them.
    The times are medians in seconds, from the (last) opening of the incidents that it opened. `brief`: over within minutes, without anybody acting.
    """

    source: str
    name: str
    fired: int = 0
    incidents: int = 0
    opened: int = 0
    held: Mapping[str, int] = field(default_factory=dict)
    paged: int = 0
    pages: int = 0
    night_pages: int = 0
    acknowledged: int = 0
    acted: int = 0
    flaps: int = 0
    brief: int = 0
    to_page: float | None = None
    to_acknowledge: float | None = None
    to_act: float | None = None
    suggestion: str = ""


@dataclass(slots=True)
class _Tally:
    fired: int = 0
    held: Counter[str] = field(default_factory=Counter)
    incidents: set[int] = field(default_factory=set)
    opened: set[int] = field(default_factory=set)
    flaps: int = 0


class Tally:
    """Fed line by line, so that a long log need not be held in memory."""

    def __init__(self) -> None:
        self._rules: dict[tuple[str, str], _Tally] = defaultdict(_Tally)

    def add(self, line: Received) -> None:
        began, brought = line.began and line.outcome != "dropped", line.outcome in HAS_INCIDENT
        if line.alert.test or not (began or brought):
            return
        one = self._rules[line.alert.source, line.alert.name]
        one.fired += began  # what was held and let go has been counted when it came in
        one.flaps += began and any(said.startswith("flapping:") for said in line.trail)
        if began and line.outcome in QUIET:
            one.held[line.outcome] += 1
        if brought and line.incident_id is not None:
            one.incidents.add(line.incident_id)
            if line.outcome in PAGED:
                one.opened.add(line.incident_id)

    @property
    def incidents(self) -> set[int]:
        """All incidents that the lines name."""
        return {number for one in self._rules.values() for number in one.incidents}

    def result(self, done: Mapping[int, Handled], night: Night) -> tuple[RuleQuality, ...]:
        """Every rule, the one that costs people most first: pages at night, pages, firings."""
        rules = [_of(source, name, one, done, night) for (source, name), one in self._rules.items()]
        return tuple(sorted(rules, key=lambda one: (-one.night_pages, -one.pages, -one.fired, one.source, one.name)))


def noisy(rules: Iterable[RuleQuality]) -> tuple[RuleQuality, ...]:
    """Those with a suggestion."""
    return tuple(one for one in rules if one.suggestion)


def _of(source: str, name: str, tally: _Tally, done: Mapping[int, Handled], night: Night) -> RuleQuality:
    mine = [done[number] for number in sorted(tally.incidents) if number in done]
    opened = [done[number] for number in sorted(tally.opened) if number in done]
    paged = [one for one in opened if one.pages]
    pages = [page for one in opened for page in one.pages]
    found = RuleQuality(
        source,
        name,
        fired=tally.fired,
        incidents=len(tally.incidents),
        opened=len(tally.opened),
        held=dict(tally.held),
        paged=len(paged),
        pages=len(pages),
        night_pages=sum(1 for at, who in pages if night(who, at)),
        acknowledged=sum(1 for one in mine if one.acknowledged_at),
        acted=sum(1 for one in mine if one.acted_at),
        flaps=tally.flaps,
        brief=sum(1 for one in opened if _brief(one)),
        to_page=_median(one.since_it_began(one.pages[0][0]) for one in paged),
        to_acknowledge=_median(one.since_it_began(one.acknowledged_at) for one in opened if one.acknowledged_at),
        to_act=_median(one.since_it_began(one.acted_at) for one in opened if one.acted_at),
    )
    return replace(found, suggestion=_suggestion(found))


def _brief(one: Handled) -> bool:
    """Over by itself, before anybody could do anything."""
    return one.resolved_at is not None and one.acted_at is None and one.since_it_began(one.resolved_at) <= SHORT


def _median(spans: Iterable[timedelta]) -> float | None:
    seconds = [span.total_seconds() for span in spans]
    return median(seconds) if seconds else None


def _suggestion(rule: RuleQuality) -> str:
    """What to do about it, the worst first; empty when it is worth its noise."""
    if rule.paged >= NOISY_PAGES and not rule.acted:
        night = f", {rule.night_pages} of the pages at night" if rule.night_pages else ""
        return f"paged for {rule.paged} incidents{night}, and nobody did anything: lower its severity, or take it out"
    if rule.flaps >= NOISY_PAGES:
        return f"flapped {rule.flaps} times: let it fire later (a longer `for:`) or only on a trend"
    if rule.opened >= OFTEN and rule.brief * 5 >= rule.opened * 4:
        return f"{rule.brief} of {rule.opened} incidents were over by themselves within {shown(SHORT)}: a longer `for:` would keep them quiet"
    quiet = sum(rule.held.values())
    if rule.fired >= OFTEN and quiet * 10 >= rule.fired * 9 and not rule.acted:
        return f"{quiet} of {rule.fired} firings were kept quiet: is it still wanted?"
    return ""
