"""Why an alert did or did not page: every stage's word, the route, who is paged when and through what, which runbooks fit (P8). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.domain import contact
from bot.domain.alert import Alert, AlertState, Received
from bot.domain.contact import SLACK
from bot.domain.escalation import Policy, Situation, Track, next_paging
from bot.domain.flapping import shown
from bot.domain.incident import Incident, State
from bot.domain.naming import clipped, english_list
from bot.domain.paging import begins_anew, further
from bot.domain.passing import Passing, Verdict
from bot.domain.rules import Rules
from bot.domain.silence import shown_time
from bot.domain.timeline import Entry
from bot.domain.triage import STAGES

LOG = "log"  # is no way to page anybody
MOST_CALLS = 12  # of one policy
PAGES = ("opened", "reopened")
PAGES_LATER = ("waiting", "quiet", "silenced", "maintenance")  # held until a time that is known
SAID = 600


@dataclass(frozen=True, slots=True)
class Call:
    """Who would be paged, `after` paging begins, when nobody acknowledges before. `names` empty: nobody is left by then. `round` counts from 1."""

    after: timedelta
    policy: str
    level: int = 0
    names: tuple[str, ...] = ()
    round: int = 1


@dataclass(frozen=True, slots=True)
class Paged:
    """Whom paging reaches: `at` None: at once, else when what holds the alert is over. `nobody`: why no one; `skipped`: who cannot be paged."""

    at: datetime | None = None
    calls: tuple[Call, ...] = ()
    skipped: tuple[str, ...] = ()
    nobody: str = ""


@dataclass(frozen=True, slots=True)
class Why:
    """The whole explanation of one alert. `stages`: name and word of each, in order; the one that decided is `stage` (empty: not known any more).
    `media`: what its severity may use; `set_up`: the media that there are, name -> kind."""

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
    set_up: Mapping[str, str] = field(default_factory=lambda: {SLACK: SLACK})
    paged: Paged = Paged()
    runbooks: tuple[str, ...] = ()
    incident_id: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One alert that came in: how it stands, and what was decided each time that something was, newest first. `private`: its route is."""

    state: AlertState
    decisions: tuple[Why, ...]
    incident: Incident | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class HeldNow:
    """An alert that fires and is held: by what, in words. `private`: it would go to a private incident, so only its being there is told."""

    state: AlertState
    by: str
    private: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Why an incident is there, and who was paged for it."""

    incident: Incident
    alerts: tuple[Told, ...]
    paging: tuple[Entry, ...]

    @property
    def nobody(self) -> str:
        """Why nobody was paged; empty when somebody was."""
        if any(entry.kind == "page_sent" for entry in self.paging):
            return ""
        if not self.incident.tracks:
            return "Nobody was paged: no escalation policy belongs to it."
        waiting = self.incident.state is State.TRIGGERED and not any(entry.kind == "exhausted" for entry in self.paging)
        return "No page has left yet." if waiting else "Nobody was paged."


# ------------------------------------------------------------------------------------------------ what would be, and what was


def explained(passing: Passing, verdict: Verdict, rules: Rules, now: datetime, incident: Incident | None = None) -> Why:
    """What triage says of an alert now, and what would follow. `incident`: the one that the verdict names."""
    why = Why(
        about=called(passing.alert),
        at=now,
        outcome=verdict.outcome,
        reason=verdict.reason,
        stage=verdict.stage,
        stages=said(verdict.trail, verdict.stage, f"{verdict.outcome}: {verdict.reason}"),
        incident_id=verdict.incident_id,
    )
    if not passing.alert.firing or verdict.outcome == "dropped":
        return why
    routes = passing.routes
    pages = verdict.outcome in (*PAGES, *PAGES_LATER) and not passing.late
    return replace(
        why,
        severity=passing.severity,
        because=passing.judged.because,
        doubt=passing.judged.doubt,
        routes=tuple(str(route) for route in routes),
        group=_group(passing) if routes else "",
        media=passing.media if routes else (),
        set_up=rules.directory.media,
        paged=_paged(passing, verdict, rules, now, incident),
        runbooks=_runbooks(passing, verdict, rules) if pages and not passing.only_logged else (),
    )


def _group(passing: Passing) -> str:
    pairs = [f"{name}={clipped(value, 100)}" for name, value in passing.group_labels.items()]
    return clipped(english_list(pairs), SAID) if pairs else "all alerts of this route are one problem"


def remembered(line: Received) -> Why:
    """What triage said of a delivery when it came in, from the log."""
    return Why(
        about=called(line.alert),
        at=line.at,
        outcome=line.outcome,
        reason=line.reason,
        stage=line.stage if line.stage in STAGES else "",
        stages=said(line.trail, line.stage, f"{line.outcome}: {line.reason}"),
        severity=line.severity,
        routes=(line.route,) if line.route else (),
        incident_id=line.incident_id,
    )


def called(alert: Alert) -> str:
    """`DiskFull firing since 2026-11-21 12:00 UTC (alertmanager/3f2a…)`."""
    state = "firing since" if alert.firing else "resolved at"
    at = alert.starts_at if alert.firing else alert.ends_at or alert.starts_at
    return f"{clipped(alert.name, 150)} {state} {at:%Y-%m-%d %H:%M} UTC ({clipped(alert.key, 100)})"


def said(trail: Sequence[str], stage: str, last: str) -> tuple[tuple[str, str], ...]:
    """The word of each stage: what it put into the trail, `no` when it had nothing to say, the verdict, and then `not asked`.

    When it is not known which stage decided (an old line of the log), what stands in the trail is all there is.
    """
    if stage not in STAGES:
        cut = (line.partition(":") for line in trail)
        return tuple((name, clipped(word.strip(), SAID)) for name, _, word in cut)
    words: list[tuple[str, str]] = []
    decided = False
    for name in STAGES:
        own = [line.removeprefix(f"{name}:").strip() for line in trail if line.startswith(f"{name}:")]
        if name == stage:
            own, decided = [*own, last], True
        words.append((name, clipped("; ".join(own), SAID) or ("not asked" if decided else "no")))
    return tuple(words)


# ------------------------------------------------------------------------------------------------ as people read it


def lines(why: Why) -> list[str]:
    """In plain text, one thing a line."""
    told = [f"{why.about}: {why.outcome.upper()}, because {clipped(why.reason, SAID)}"]
    width = max((len(name) for name, _ in why.stages), default=0)
    told += [f"  {name.ljust(width)}  {'=> ' if name == why.stage else ''}{word}" for name, word in why.stages]
    if why.severity:
        told.append(f"severity: {why.severity}" + (f" ({why.because})" if why.because else ""))
    if why.doubt:
        told.append(f"  {why.doubt}")
    if why.routes:
        told.append("route: " + ", then ".join(why.routes))
    if why.group:
        told.append(f"group: {why.group}")
    told += _paging_lines(why)
    told += [f"runbook: {title}" for title in why.runbooks]
    return told


def _paging_lines(why: Why) -> list[str]:
    paged, told = why.paged, []
    if paged.at is not None and (paged.calls or paged.nobody):
        told.append(f"if it still fires at {shown_time(paged.at)}, and nothing else holds it then:")
    for call in paged.calls:
        when = f"{shown(call.after)} later" if call.after and paged.at else f"after {shown(call.after)}"
        when = when if call.after else "then" if paged.at else "at once"
        again = f", round {call.round}" if call.round > 1 else ""
        if call.names:
            told.append(f"pages {when}: {english_list(call.names)} (policy {call.policy}, level {call.level}{again})")
        else:
            told.append(f"{when}: nobody of policy {call.policy} is left; the fallback channel is told")
    told += [f"  skipped: {reason}" for reason in paged.skipped]
    if paged.nobody:
        told.append(f"pages nobody: {paged.nobody}")
    if any(call.names for call in paged.calls):
        told.append(f"through: {through(why.media, why.set_up)}")
    return told


def through(media: Sequence[str], set_up: Mapping[str, str]) -> str:
    """How pages travel: `slack, texts (not set up here: email)`. `set_up`: name -> kind. Slack is used when there is nothing else."""
    used = [name for name in set_up if contact.fits(name, media, set_up)] or [SLACK]
    there = {*set_up, *set_up.values(), LOG}
    missing = [medium for medium in media if medium not in there]
    return ", ".join(used) + (f" (not set up here: {', '.join(missing)})" if missing else "")


# ------------------------------------------------------------------------------------------------ what would follow


def _paged(passing: Passing, verdict: Verdict, rules: Rules, now: datetime, incident: Incident | None) -> Paged:
    outcome = verdict.outcome
    if passing.late:
        return Paged(nobody="it was over before it was heard of")
    if passing.only_logged and (outcome == "logged" or outcome in PAGES_LATER):
        return Paged(nobody=f"{passing.severity} is only logged")
    if outcome in PAGES:
        again = incident if outcome == "reopened" else None
        severity = rules.signal.taxonomy.worst([passing.severity, *([again.severity] if again else [])])
        policies = tuple(track.policy for track in again.tracks) if again else rules.policies_of(passing.routes)
        return _calls(policies, rules, now, Situation(severity=severity, media=passing.media))
    if outcome in PAGES_LATER and verdict.held is not None and verdict.held.again_at is not None:
        at = verdict.held.again_at
        situation = Situation(severity=passing.severity, media=passing.media)
        return replace(_calls(rules.policies_of(passing.routes), rules, at, situation), at=at)
    if outcome == "inhibited":
        return Paged(nobody="not while what explains it fires")
    if outcome in ("joined", "repeated", "flapping") and incident is not None:
        return _joining(passing, verdict, rules, now, incident)
    return Paged()


def _joining(passing: Passing, verdict: Verdict, rules: Rules, now: datetime, incident: Incident) -> Paged:
    """Whom an alert that joins or goes on pages: nobody, unless it is worse than its incident or takes further routes."""
    if verdict.outcome != "joined" and not verdict.worse:
        return Paged(nobody=_in_hand(incident))
    new = further(incident, rules.policies_of(passing.routes))
    rank = rules.signal.taxonomy.rank
    media = tuple(dict.fromkeys((*incident.media, *passing.media))) if incident.media else ()
    if rank(passing.severity) < rank(incident.severity) and begins_anew(incident):
        policies = (*(track.policy for track in incident.tracks), *new)
        return _calls(policies, rules, now, Situation(severity=passing.severity, media=media))
    severity = rules.signal.taxonomy.worst([passing.severity, incident.severity])
    return (
        _calls(new, rules, now, Situation(severity=severity, media=media)) if new else Paged(nobody=_in_hand(incident))
    )


def _in_hand(incident: Incident) -> str:
    """Why an alert that joins pages nobody: its incident has done so, or does."""
    if incident.state is State.TRIGGERED:
        return f"{incident.ref} is being paged for already, by its own policy"
    by = f" by {incident.acknowledged_by}" if incident.acknowledged_by else ""
    return f"{incident.ref} is {incident.state}{by}"


def _calls(policies: Sequence[Policy], rules: Rules, start: datetime, situation: Situation) -> Paged:
    """Every level of every policy, as if nobody acknowledged; schedules and people's own hours as they are at that time."""
    calls: list[Call] = []
    skipped: list[str] = []
    for policy in policies:
        track, at = Track(policy=_all_of_each(policy)), start
        for _ in range(MOST_CALLS):
            paging = next_paging(track, rules.directory, at, situation)
            after = f"after {shown(at - start)}, " if at > start else ""
            skipped += [f"{after}policy {policy.key}, {reason}" for reason in (*paging.passed, *paging.skipped)]
            names = paging.names
            if len(names) > 1 and policy.levels[paging.level - 1].round_robin:
                names = (f"one of {english_list(names)} in turn",)
            calls.append(Call(at - start, policy.key, paging.level, names, max(paging.round, 1)))
            if paging.next_due is None:
                break
            track, at = paging.track, paging.next_due
    told = tuple(sorted(calls, key=lambda call: call.after))
    reached = any(call.names for call in told)
    nobody = (
        "" if reached else "nobody on its policies can be paged" if policies else "its route has no escalation policy"
    )
    return Paged(None, told if reached else (), tuple(dict.fromkeys(skipped)), nobody)


def _all_of_each(policy: Policy) -> Policy:
    """Whose turn it will be in a round robin cannot be known before."""
    levels = tuple(level.model_copy(update={"round_robin": False}) for level in policy.levels)
    return policy.model_copy(update={"levels": levels})


def _runbooks(passing: Passing, verdict: Verdict, rules: Rules) -> tuple[str, ...]:
    """Those that the new incident is offered; a test is never fixed by itself."""
    service = rules.services.get(passing.alert.service)
    of_group = {} if verdict.storm else {**(service.targets if service else {}), **passing.group_labels}
    labels = {**passing.alert.labels, **of_group}
    return tuple(
        f"{one.title or one.name} ({one.name}) {'begins by itself' if one.start == 'auto' else 'is offered'}"
        for one in rules.runbooks.values()
        if one.fits(labels) and not (passing.alert.test and one.start == "auto")
    )
