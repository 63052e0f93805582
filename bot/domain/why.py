"""Why an alert did or did not page: every stage's word, the route, who is paged when and through what, which runbooks fit (P8). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.alert import Alert, AlertState, Received
from bot.domain.escalation import Track, next_paging
from bot.domain.flapping import shown
from bot.domain.incident import Incident
from bot.domain.naming import english_list
from bot.domain.passing import Passing, Verdict
from bot.domain.rules import Rules
from bot.domain.timeline import Entry
from bot.domain.triage import STAGES

DELIVERED = ("log", "slack")  # the media that pages go through today
MOST_CALLS = 12
PAGES = ("opened", "reopened")


@dataclass(frozen=True, slots=True)
class Call:
    """Who would be paged, `after` the incident opens, when nobody acknowledges before."""

    after: timedelta
    policy: str
    level: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """The whole explanation of one alert. `stages`: name and word of each, in order; the one that decided is `stage`."""

    about: str
    at: datetime
    outcome: str
    reason: str
    stage: str
    stages: tuple[tuple[str, str], ...]
    severity: str = ""
    because: str = ""
    doubt: str = ""
    routes: tuple[str, ...] = ()
    group: str = ""
    media: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()
    skipped: tuple[str, ...] = ()
    runbooks: tuple[str, ...] = ()
    incident_id: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One alert that came in: how it stands, and what was decided each time that something was, newest first."""

    state: AlertState
    decisions: tuple[Why, ...]
    incident: Incident | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Why an incident is there, and who was paged for it."""

    incident: Incident
    alerts: tuple[Told, ...]
    paging: tuple[Entry, ...]


def explained(passing: Passing, verdict: Verdict, rules: Rules, now: datetime) -> Why:
    """What triage says of an alert now, and what would follow."""
    routes = passing.routes
    pages = verdict.outcome in PAGES and not passing.late
    calls, skipped = _calls(passing, rules, now) if pages else ((), ())
    return Why(
        about=called(passing.alert),
        at=now,
        outcome=verdict.outcome,
        reason=verdict.reason,
        stage=verdict.stage,
        stages=said(verdict.trail, verdict.stage, f"{verdict.outcome}: {verdict.reason}"),
        severity=passing.severity,
        because=passing.judged.because,
        doubt=passing.judged.doubt,
        routes=tuple(str(route) for route in routes),
        group=english_list(f"{name}={value}" for name, value in passing.group_labels.items()) if routes else "",
        media=passing.media if routes else (),
        calls=calls,
        skipped=skipped,
        runbooks=_runbooks(passing, rules) if verdict.outcome in (*PAGES, "joined") else (),
        incident_id=verdict.incident_id,
    )


def remembered(line: Received) -> Why:
    """What triage said of a delivery when it came in, from the log."""
    return Why(
        about=called(line.alert),
        at=line.at,
        outcome=line.outcome,
        reason=line.reason,
        stage=line.stage,
        stages=said(line.trail, line.stage, f"{line.outcome}: {line.reason}"),
        severity=line.severity,
        routes=(line.route,) if line.route else (),
        incident_id=line.incident_id,
    )


def called(alert: Alert) -> str:
    """`DiskFull firing since 2026-11-21 12:00 UTC (alertmanager/3f2a…)`."""
    state = "firing" if alert.firing else "resolved"
    return f"{alert.name} {state} since {alert.starts_at:%Y-%m-%d %H:%M} UTC ({alert.key[:80]})"


def said(trail: Sequence[str], stage: str, last: str) -> tuple[tuple[str, str], ...]:
    """The word of each stage: what it put into the trail, `no` when it had nothing to say, the verdict, and then `not asked`."""
    words: list[tuple[str, str]] = []
    decided = stage not in STAGES  # an old line of the log does not say which
    for name in STAGES:
        own = [line.removeprefix(f"{name}:").strip() for line in trail if line.startswith(f"{name}:")]
        if name == stage:
            words.append((name, "; ".join([*own, last])))
            decided = True
        elif own:
            words.append((name, "; ".join(own)))
        else:
            words.append((name, "not asked" if decided else "no"))
    return tuple(words)


def lines(why: Why) -> list[str]:
    """As people read it, in plain text, one thing a line."""
    told = [f"{why.about}: {why.outcome.upper()}, because {why.reason}"]
    width = max(len(name) for name in STAGES)
    told += [f"  {name.ljust(width)}  {'=> ' if name == why.stage else ''}{word}" for name, word in why.stages]
    if why.severity:
        told.append(f"severity: {why.severity}" + (f" ({why.because})" if why.because else ""))
    if why.doubt:
        told.append(f"  {why.doubt}")
    if why.routes:
        told.append("route: " + ", then ".join(why.routes))
    if why.group:
        told.append(f"group: {why.group}")
    if why.media:
        missing = [medium for medium in why.media if medium not in DELIVERED]
        through = ", ".join(medium for medium in why.media if medium in DELIVERED) or "slack, as nothing else is there"
        told.append(f"through: {through}" + (f" (not set up here: {', '.join(missing)})" if missing else ""))
    for call in why.calls:
        when = "at once" if not call.after else f"after {shown(call.after)}"
        told.append(f"pages {when}: {english_list(call.names)} (policy {call.policy}, level {call.level})")
    told += [f"  skipped: {reason}" for reason in why.skipped]
    if why.outcome in PAGES and not why.calls and why.stages and why.because:
        told.append("pages: NOBODY. Its route's policy has nobody who can be paged now")
    told += [f"offers runbook: {title}" for title in why.runbooks]
    return told


def _calls(passing: Passing, rules: Rules, now: datetime) -> tuple[tuple[Call, ...], tuple[str, ...]]:
    """Every level of every policy, as if nobody acknowledged."""
    calls: list[Call] = []
    skipped: list[str] = []
    for policy in rules.policies_of(passing.routes):
        track, at = Track(policy=policy), now
        while len(calls) < MOST_CALLS:
            paging = next_paging(track, rules.directory, at, passing.severity)
            skipped += [f"policy {policy.key}, {reason}" for reason in paging.skipped]
            if paging.next_due is None:
                break
            calls.append(Call(at - now, policy.key, paging.level, paging.names))
            track, at = paging.track, paging.next_due
    return tuple(sorted(calls, key=lambda call: call.after)), tuple(dict.fromkeys(skipped))


def _runbooks(passing: Passing, rules: Rules) -> tuple[str, ...]:
    service = rules.services.get(passing.alert.service)
    labels = {**passing.alert.labels, **(service.targets if service else {}), **passing.group_labels}
    return tuple(one.title or one.name for one in rules.runbooks.values() if one.fits(labels))
