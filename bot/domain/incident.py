"""The life of an incident: state in, `Change(incident, entries, effects)` out. Called by flow/intake and flow/incidents; saved by the store.

triggered -> acknowledged -> mitigated -> resolved -> closed; a resolved incident is triggered again when its problem comes back in time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.domain import effects
from bot.domain.alert import Alert
from bot.domain.effects import Effect, Priority
from bot.domain.escalation import Paging, Policy, Track
from bot.domain.naming import channel_name, english_list, human_title
from bot.domain.people import TOCSIN, Actor
from bot.domain.timeline import GENESIS, Entry, chain


class State(StrEnum):
    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


OPEN = (State.TRIGGERED, State.ACKNOWLEDGED, State.MITIGATED)


class Incident(BaseModel):
    """One problem. `firing` and `alerts` count alert keys; `epoch` counts how often paging has begun: opened, reopened, escalated by hand."""

    model_config = ConfigDict(frozen=True)

    id: int
    title: str
    state: State = State.TRIGGERED
    severity: str = "warning"
    service: str = ""
    group_key: str
    labels: Mapping[str, str] = Field(default_factory=dict)
    route: str = ""
    reopen_within: timedelta = timedelta(minutes=30)
    private: bool = False
    firing: int = 0
    alerts: int = 0
    epoch: int = 1
    tracks: tuple[Track, ...] = ()
    paged: tuple[str, ...] = ()
    opened_at: datetime
    opened_by: str = TOCSIN.name
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    channel_id: str = ""
    channel_name: str
    card_ts: str = ""
    postmortem_path: str = ""
    seq: int = 0
    head: str = GENESIS

    @property
    def ref(self) -> str:
        """How people name it: `INC-7`."""
        return f"INC-{self.id}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def reopens(self, now: datetime) -> bool:
        """Whether its problem, firing again now, belongs to this incident rather than to a new one."""
        return (
            self.resolved_at is not None
            and self.state is State.RESOLVED
            and now - self.resolved_at <= self.reopen_within
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A decision about one incident: its new state, the timeline entries, and what the outside world is asked to do."""

    incident: Incident
    entries: tuple[Entry, ...] = ()
    effects: tuple[Effect, ...] = ()

    def then(self, decide: Callable[[Incident], Change]) -> Change:
        """This change, and the one that `decide` makes of its outcome."""
        after = decide(self.incident)
        return Change(after.incident, self.entries + after.entries, self.effects + after.effects)

    def ask(self, *more: Effect) -> Change:
        return replace(self, effects=self.effects + more)


def entered(
    incident: Incident,
    kind: str,
    text: str,
    now: datetime,
    *,
    actor: str = TOCSIN.name,
    data: Mapping[str, Any] | None = None,
    **update: Any,
) -> Change:
    """The incident with `update` applied and one more timeline entry: the one way in which an incident changes."""
    (entry,) = chain(
        incident.seq, incident.head, [Entry(at=now, kind=kind, text=text, actor=actor, data=dict(data or {}))]
    )
    after = incident.model_copy(update={**update, "seq": entry.seq, "head": entry.hash})
    return Change(after, (entry,))


def _refreshed(change: Change, now: datetime, *, aloud: bool = True, priority: Priority = Priority.CARD) -> Change:
    """The change, the card and topic brought up to date, and (aloud) its last entry said in the channel."""
    incident_id = change.incident.id
    asked = [effects.card(incident_id, now), effects.topic(incident_id, now)]
    if aloud:
        last = change.entries[-1]
        asked.append(effects.say(incident_id, last.seq, last.text, now, priority))
    return change.ask(*asked)


# ------------------------------------------------------------------------------------------------ how it begins and begins again


def opened(
    incident_id: int,
    alerts: Iterable[Alert],
    *,
    group_key: str,
    labels: Mapping[str, str],
    severity: str,
    policies: Iterable[Policy],
    now: datetime,
    route: str = "root",
    reopen_within: timedelta = timedelta(minutes=30),
    private: bool = False,
) -> Change:
    """A new incident for the firing `alerts` (at least one) of one group."""
    firing = tuple(alerts)
    first = firing[0]
    incident = Incident(
        id=incident_id,
        title=human_title(first),
        severity=severity,
        service=first.service,
        group_key=group_key,
        labels=dict(labels),
        route=route,
        reopen_within=reopen_within,
        private=private,
        firing=len(firing),
        alerts=len(firing),
        tracks=tuple(Track(policy=policy) for policy in policies),
        opened_at=now,
        channel_name=channel_name(incident_id, first.service, first.name),
    )
    change = entered(
        incident,
        "opened",
        f"{incident.ref} opened: {incident.title}",
        now,
        data={"alerts": _described(firing), "route": route},
    )
    return change.ask(*_beginning(change.incident, now))


def declared(
    incident_id: int,
    title: str,
    severity: str,
    policies: Iterable[Policy],
    actor: Actor,
    now: datetime,
    service: str = "",
) -> Change:
    """An incident that a person opens by hand."""
    incident = Incident(
        id=incident_id,
        title=title,
        severity=severity,
        service=service,
        group_key=f"manual/{incident_id}",
        tracks=tuple(Track(policy=policy) for policy in policies),
        opened_at=now,
        opened_by=actor.name,
        channel_name=channel_name(incident_id, service, title),
    )
    change = entered(incident, "opened", f"{incident.ref} opened by {actor.name}: {title}", now, actor=actor.name)
    return change.ask(*_beginning(change.incident, now))


def reopened(incident: Incident, why: str, now: datetime) -> Change:
    """The problem came back in time: the same incident and channel, and whoever is on call is paged anew."""
    change = entered(
        incident,
        "reopened",
        f"{incident.ref} reopened: {why}",
        now,
        state=State.TRIGGERED,
        epoch=incident.epoch + 1,
        tracks=tuple(Track(policy=track.policy) for track in incident.tracks),
        acknowledged_at=None,
        acknowledged_by="",
        mitigated_at=None,
        resolved_at=None,
    )
    return _refreshed(change, now).ask(*_beginning(change.incident, now))


def _beginning(incident: Incident, now: datetime) -> list[Effect]:
    number, epoch = incident.id, incident.epoch
    return [
        *(effects.escalate(number, epoch, track, 0, now) for track in range(len(incident.tracks))),
        effects.open_channel(number, now),
        effects.card(number, now),
        effects.topic(number, now),
        effects.gather(number, epoch, now),
        effects.offer(number, epoch, now),
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
                data={"alerts": _described(firing)},
                firing=current.firing + len(firing),
                alerts=current.alerts + len(firing) - known,
            )
        )
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
    return _refreshed(change, now, aloud=False)


def resolved_by_alerts(incident: Incident, now: datetime) -> Change:
    return _resolved(incident, "every alert has resolved", TOCSIN, now)


# ------------------------------------------------------------------------------------------------ what people do to it


def acknowledged(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Somebody has it: paging stops. A second acknowledgement is noted and changes nothing else."""
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
    )
    return _refreshed(change, now).ask(effects.invite(incident.id, (actor.id,), now))


def mitigated(incident: Incident, actor: Actor, why: str, now: datetime) -> Change:
    """The harm has stopped; the cause may remain. Whoever mitigates has it, so paging stops too."""
    if incident.state not in (State.TRIGGERED, State.ACKNOWLEDGED):
        return Change(incident)
    update: dict[str, Any] = {"state": State.MITIGATED, "mitigated_at": now}
    change = entered(incident, "mitigated", f"{incident.ref} mitigated: {why}", now, actor=actor.name, **update)
    return _refreshed(change, now)


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
    return _refreshed(change, now).ask(effects.review(incident.id, incident.epoch, now))


def closed(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Nothing more will be done here: a resolved incident whose time to reopen is over."""
    if incident.state is not State.RESOLVED:
        return Change(incident)
    change = entered(
        incident, "closed", f"{incident.ref} closed", now, actor=actor.name, state=State.CLOSED, closed_at=now
    )
    return _refreshed(change, now, aloud=False)


def severity_set(incident: Incident, severity: str, actor: Actor, now: datetime) -> Change:
    if severity == incident.severity:
        return Change(incident)
    text = f"severity {incident.severity} -> {severity} ({actor.name})"
    return _refreshed(entered(incident, "severity", text, now, actor=actor.name, severity=severity), now)


def noted(incident: Incident, text: str, actor: Actor, now: datetime) -> Change:
    return entered(incident, "note", text, now, actor=actor.name)


# ------------------------------------------------------------------------------------------------ what the bot did for it


def paging_decided(incident: Incident, index: int, paging: Paging, now: datetime) -> Change:
    """An escalation timer came due while nobody had acknowledged: page the level, set the next timer, or say that nobody is left."""
    tracks = tuple(paging.track if number == index else track for number, track in enumerate(incident.tracks))
    policy = paging.track.policy.key
    change = Change(incident.model_copy(update={"tracks": tracks}))
    for reason in paging.skipped:
        change = change.then(lambda current, reason=reason: _warned(current, f"Policy {policy}: skipped {reason}", now))  # type: ignore[misc]
    if paging.next_due is None:
        return change.then(lambda current: _exhausted(current, policy, now))
    people = tuple(target.removeprefix("person:") for target in paging.targets if target.startswith("person:"))
    repeated = f", round {paging.round}" if paging.round > 1 else ""
    text = f"Paging {english_list(t.partition(':')[2] for t in paging.targets)} (policy {policy}, level {paging.level}{repeated})"
    data = {"policy": policy, "level": paging.level, "round": paging.round, "targets": list(paging.targets)}
    change = change.then(
        lambda current: entered(
            current, "paged", text, now, data=data, paged=tuple(dict.fromkeys(current.paged + people))
        )
    )
    step = paging.track.step
    asked = [effects.page(incident.id, incident.epoch, index, step, target, now) for target in paging.targets]
    if people:
        asked.append(effects.invite(incident.id, people, now))
    last = change.entries[-1]
    asked.append(effects.say(incident.id, last.seq, text, now))
    return change.ask(*asked, effects.escalate(incident.id, incident.epoch, index, step, paging.next_due))


def escalated_by_hand(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Somebody asks for more people: every track goes on to its next level at once, from the start when it was exhausted."""
    if not incident.is_open or not incident.tracks:
        return Change(incident)
    tracks = tuple(
        Track(policy=track.policy) if track.exhausted or track.step >= track.steps else track
        for track in incident.tracks
    )
    change = entered(
        incident,
        "escalated",
        f"{actor.name} escalated {incident.ref}",
        now,
        actor=actor.name,
        tracks=tracks,
        state=State.TRIGGERED,
        acknowledged_by="",
        epoch=incident.epoch + 1,
    )
    asked = [
        effects.escalate(incident.id, incident.epoch + 1, number, track.step, now)
        for number, track in enumerate(tracks)
    ]
    return _refreshed(change, now).ask(*asked)


def _warned(incident: Incident, text: str, now: datetime) -> Change:
    change = entered(incident, "warning", text, now)
    return change.ask(effects.say(incident.id, change.entries[-1].seq, text, now))


def warned(incident: Incident, text: str, now: datetime) -> Change:
    """Something did not work and people should know: it stands in the timeline and is said in the channel."""
    return _warned(incident, text, now)


def page_sent(incident: Incident, name: str, now: datetime) -> Change:
    """A page has left: Slack has it."""
    return entered(incident, "page_sent", f"{name} was paged through Slack", now, data={"to": name})


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


def _exhausted(incident: Incident, policy: str, now: datetime) -> Change:
    text = f"NOBODY ACKNOWLEDGED {incident.ref}: everyone on policy {policy} has been paged and nobody is left to page"
    change = entered(incident, "exhausted", text, now, data={"policy": policy})
    said = effects.say(incident.id, change.entries[-1].seq, text, now, Priority.CHANNEL)
    key = f"exhausted:{incident.id}:{incident.epoch}:{policy}"
    return change.ask(said, effects.alarm(key, f"{text}. {incident.title}", now, incident.id))


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
