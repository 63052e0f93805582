"""The life of an incident: each function is one thing that happens to it, as a `Change`. Called by flow/intake and flow/incidents.

triggered -> acknowledged -> mitigated -> resolved -> closed; a resolved incident is triggered again when its problem comes back in time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from bot.domain import deadline, effects, oncall_effects
from bot.domain.alert import Alert
from bot.domain.catalogue import Service
from bot.domain.effects import Effect
from bot.domain.escalation import Policy, Track
from bot.domain.incident import Change, Incident, State, entered, refreshed, warned
from bot.domain.naming import channel_name, human_title
from bot.domain.people import TOCSIN, Actor
from bot.domain.routing import Route

OFFER_AT_LATEST = timedelta(seconds=5)
MOST_PROBLEMS = 50

# ------------------------------------------------------------------------------------------------ how it begins and begins again


@dataclass(frozen=True, slots=True)
class Opening:
    """What triage and the configuration say about a new incident: its group, severity, whom to page and through what, its service when known.

    `doubts`: what is odd about its alerts, for people. `storm`: why it stands for a storm of alerts; empty: it does not.
    """

    group_key: str
    labels: Mapping[str, str]
    severity: str
    policies: tuple[Policy, ...]
    route: Route
    service: Service | None = None
    media: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    storm: str = ""


def opened(incident_id: int, alerts: Iterable[Alert], opening: Opening, now: datetime) -> Change:
    """A new incident for the firing `alerts` (at least one) of one group."""
    firing, route, service = tuple(alerts), opening.route, opening.service
    first = firing[0]
    test = all(alert.test for alert in firing)
    title = f"Alert storm on {route.path}" if opening.storm else human_title(first)
    incident = Incident(
        id=incident_id,
        title=f"[TEST] {title}" if test else title,
        severity=opening.severity,
        media=opening.media,
        test=test,
        storm_at=now if opening.storm else None,
        problems=_problems((), firing) if opening.storm else (),
        interval=route.interval,
        repeat=route.repeat,
        news_at=now,
        service="" if opening.storm else first.service,
        group_key=opening.group_key,
        labels={**(service.targets if service else {}), **opening.labels},
        owner=service.owner if service else "",
        dashboards=service.dashboards if service else (),
        route=str(route),
        reopen_within=route.reopen_within,
        private=route.private,
        firing=len(firing),
        alerts=len({alert.key for alert in firing}),
        tracks=tuple(Track(policy=policy) for policy in opening.policies),
        opened_at=now,
        channel_name=channel_name(
            incident_id, "" if opening.storm else first.service, "alert storm" if opening.storm else first.name
        ),
    )
    text = f"{incident.ref} opened: {incident.title}" + (f" ({opening.storm})" if opening.storm else "")
    change = entered(
        incident,
        "opened",
        text,
        now,
        data={"alerts": _described(firing), "count": len(firing), "route": incident.route},
    )
    change = change.ask(*_beginning(change.incident, now))
    for doubt in opening.doubts:
        change = change.then(partial(warned, text=doubt, now=now))
    return change


def declared(
    incident_id: int,
    title: str,
    severity: str,
    policies: Iterable[Policy],
    actor: Actor,
    now: datetime,
    service: str = "",
    media: tuple[str, ...] = (),
) -> Change:
    """An incident that a person opens by hand. `media`: through what it may reach people (none said: through all)."""
    incident = Incident(
        id=incident_id,
        title=title,
        severity=severity,
        media=media,
        service=service,
        group_key=f"manual/{incident_id}",
        tracks=tuple(Track(policy=policy) for policy in policies),
        opened_at=now,
        opened_by=actor.name,
        channel_name=channel_name(incident_id, service, title),
    )
    change = entered(incident, "opened", f"{incident.ref} opened by {actor.name}: {title}", now, actor=actor.name)
    return change.ask(*_beginning(change.incident, now))


def reopened(incident: Incident, why: str, now: datetime, *, flaps: bool = False) -> Change:
    """The problem came back in time: the same incident and channel, and whoever is on call is paged anew.

    One that flaps stays with whoever acknowledged it: they know, and nobody is woken each time that it comes back.
    """
    kept = flaps and bool(incident.acknowledged_by)
    change = entered(
        incident,
        "reopened",
        f"{incident.ref} reopened: {why}",
        now,
        state=State.ACKNOWLEDGED if kept else State.TRIGGERED,
        epoch=incident.epoch + 1,
        tracks=tuple(Track(policy=track.policy) for track in incident.tracks),
        acknowledged_at=incident.acknowledged_at if kept else None,
        acknowledged_by=incident.acknowledged_by if kept else "",
        holder=incident.holder if kept else "",
        still_at=now if kept else None,
        mitigated_at=None,
        resolved_at=None,
    )
    deadlines = deadline.asked(change.incident, now) if kept else []
    return refreshed(change, now).ask(*_beginning(change.incident, now), *deadlines)


def _beginning(incident: Incident, now: datetime) -> list[Effect]:
    number, epoch = incident.id, incident.epoch
    tracks = range(len(incident.tracks)) if incident.state is State.TRIGGERED else ()
    return [
        *(effects.escalate(number, epoch, track, 0, now) for track in tracks),
        effects.open_channel(number, now),
        effects.card(number, now),
        effects.topic(number, now),
        effects.gather(number, epoch, now),
        effects.offer(number, epoch, now + OFFER_AT_LATEST),  # sooner, when the context is there to decide by
        *([effects.remind(number, epoch, now + incident.repeat)] if incident.repeat else []),
    ]


# ------------------------------------------------------------------------------------------------ what its alerts do to it


def alerts_received(
    incident: Incident, firing: tuple[Alert, ...], resolved: tuple[Alert, ...], known: int, severity: str, now: datetime
) -> Change:
    """Alerts of an open incident that began to fire (`known` of them not for the first time) or stopped. At least one of both."""
    change = Change(incident)
    if firing:
        change = change.then(
            lambda current: entered(
                current,
                "alert_firing",
                f"{_count(firing)} firing: {_names(firing)}",
                now,
                data={"alerts": _described(firing), "count": len(firing)},
                firing=current.firing + len(firing),
                alerts=current.alerts + len(firing) - known,
                storm_at=now if current.storm_at and len(firing) > known else current.storm_at,
                problems=_problems(current.problems, firing) if current.storm_at else (),
            )
        )
        if change.incident.is_open:
            due = max(now, (change.incident.news_at or now) + change.incident.interval)
            change = change.ask(effects.news(incident.id, due))
    if resolved:
        change = change.then(
            lambda current: entered(
                current,
                "alert_resolved",
                f"{_count(resolved)} resolved: {_names(resolved)}",
                now,
                data={"alerts": _described(resolved)},
                firing=max(0, current.firing - len(resolved)),
            )
        )
    if severity != change.incident.severity:
        change = change.then(lambda current: severity_set(current, severity, TOCSIN, now))
    return refreshed(change, now, aloud=False)


def resolved_by_alerts(incident: Incident, now: datetime) -> Change:
    return _resolved(incident, "every alert has resolved", TOCSIN, now)


# ------------------------------------------------------------------------------------------------ what people do to it


def acknowledged(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Somebody has it: paging stops, until its deadline when its policies say one. A second acknowledgement changes nothing."""
    if incident.state is not State.TRIGGERED:
        return Change(incident)
    change = entered(
        incident,
        "acknowledged",
        f"{actor.name} acknowledged {incident.ref}; nobody else is paged",
        now,
        actor=actor.name,
        state=State.ACKNOWLEDGED,
        acknowledged_at=incident.acknowledged_at or now,
        acknowledged_by=actor.name,
        holder=actor.id,
        still_at=now,
    )
    invited = [effects.invite(incident.id, (actor.id,), now)] if actor.known_here else []
    told = oncall_effects.stand_down(incident.id, incident.epoch, "acknowledged", now)
    return refreshed(change, now).ask(*invited, told, *deadline.asked(change.incident, now))


def mitigated(incident: Incident, actor: Actor, why: str, now: datetime) -> Change:
    """The harm has stopped; the cause may remain. Whoever mitigates has it, so paging stops too."""
    if incident.state not in (State.TRIGGERED, State.ACKNOWLEDGED):
        return Change(incident)
    update: dict[str, Any] = {"state": State.MITIGATED, "mitigated_at": now}
    change = entered(incident, "mitigated", f"{incident.ref} mitigated: {why}", now, actor=actor.name, **update)
    return refreshed(change, now)


def resolved(incident: Incident, actor: Actor, why: str, now: datetime) -> Change:
    if not incident.is_open:
        return Change(incident)
    return _resolved(incident, why or f"{actor.name} says so", actor, now)


def _resolved(incident: Incident, why: str, actor: Actor, now: datetime) -> Change:
    change = entered(
        incident,
        "resolved",
        f"{incident.ref} resolved: {why}",
        now,
        actor=actor.name,
        state=State.RESOLVED,
        resolved_at=now,
    )
    told = oncall_effects.stand_down(incident.id, incident.epoch, "recovery", now)
    return refreshed(change, now).ask(told, effects.review(incident.id, incident.epoch, now))


def closed(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Nothing more will be done here: a resolved incident whose time to reopen is over."""
    if incident.state is not State.RESOLVED:
        return Change(incident)
    change = entered(
        incident, "closed", f"{incident.ref} closed", now, actor=actor.name, state=State.CLOSED, closed_at=now
    )
    return refreshed(change, now, aloud=False)


def severity_set(
    incident: Incident, severity: str, actor: Actor, now: datetime, media: tuple[str, ...] | None = None
) -> Change:
    """`media`: through what it may reach people from now on (None: as before)."""
    if severity == incident.severity:
        return Change(incident)
    text = f"severity {incident.severity} -> {severity} ({actor.name})"
    update: dict[str, Any] = {"severity": severity} if media is None else {"severity": severity, "media": media}
    return refreshed(entered(incident, "severity", text, now, actor=actor.name, **update), now)


def noted(incident: Incident, text: str, actor: Actor, now: datetime) -> Change:
    return entered(incident, "note", text, now, actor=actor.name)


# ------------------------------------------------------------------------------------------------ what the bot did for it


def channel_opened(incident: Incident, channel_id: str, name: str, now: datetime) -> Change:
    return entered(incident, "channel", f"Channel #{name} opened", now, channel_id=channel_id, channel_name=name)


def context_gathered(incident: Incident, findings: list[dict[str, Any]], now: datetime) -> Change:
    """`findings` as JSON values without pictures: what the post-mortem shows."""
    found = sum(1 for finding in findings if not finding.get("missing"))
    missing = len(findings) - found
    text = f"Context gathered: {found} found" + (f", {missing} not" if missing else "")
    return entered(incident, "context", text, now, data={"findings": findings})


def postmortem_written(incident: Incident, path: str, now: datetime) -> Change:
    change = entered(
        incident, "postmortem", f"Post-mortem written: {path}", now, data={"path": path}, postmortem_path=path
    )
    return change.ask(effects.share_review(incident.id, incident.epoch, now), effects.card(incident.id, now))


def _problems(known: tuple[str, ...], alerts: tuple[Alert, ...]) -> tuple[str, ...]:
    """What a storm is made of: the first different titles."""
    if len(known) >= MOST_PROBLEMS:
        return known
    return tuple(dict.fromkeys((*known, *(human_title(alert) for alert in alerts))))[:MOST_PROBLEMS]


def _names(alerts: tuple[Alert, ...]) -> str:
    names = list(dict.fromkeys(alert.summary for alert in alerts))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return "; ".join(names[:5]) + more


def _count(alerts: tuple[Alert, ...]) -> str:
    return "1 alert" if len(alerts) == 1 else f"{len(alerts)} alerts"


def _described(alerts: tuple[Alert, ...]) -> list[dict[str, Any]]:
    """The first ten alerts as JSON values: enough for the post-mortem, bounded for a storm."""
    return [
        {
            "name": alert.name,
            "summary": alert.summary,
            "labels": dict(alert.labels),
            "starts_at": alert.starts_at.isoformat(),
            "url": alert.url,
        }
        for alert in alerts[:10]
    ]
