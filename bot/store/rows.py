"""Domain values as rows and back. Used by the modules that hold the SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from bot.domain.alert import Alert, AlertState, Held, Received
from bot.domain.effects import Effect, Priority
from bot.domain.incident import Incident
from bot.domain.incoming import ChangeEvent
from bot.domain.run import Run
from bot.domain.silence import Silence
from bot.domain.timeline import Entry
from bot.store.types import short_key

# ASCII only: what a text column could not hold (NUL, half a surrogate pair) is escaped and comes back as it was.
to_json = json.JSONEncoder(separators=(",", ":")).encode
Values = dict[str, Any]


def alert_doc(alert: Alert) -> str:
    return to_json(
        {
            "source": alert.source,
            "fingerprint": alert.fingerprint,
            "firing": alert.firing,
            "labels": dict(alert.labels),
            "annotations": dict(alert.annotations),
            "starts_at": alert.starts_at.isoformat(),
            "ends_at": alert.ends_at and alert.ends_at.isoformat(),
            "url": alert.url,
        }
    )


def alert_of(doc: str) -> Alert:
    found = json.loads(doc)
    ends_at = found.pop("ends_at")
    return Alert(
        **{**found, "starts_at": datetime.fromisoformat(found["starts_at"])},
        ends_at=datetime.fromisoformat(ends_at) if ends_at else None,
    )


def alert_state_values(state: AlertState, doc: str) -> Values:
    return {
        "key": state.alert.key,
        "incident_id": state.incident_id,
        "firing": state.alert.firing,
        "first_seen": state.first_seen,
        "last_seen": state.last_seen,
        "deliveries": state.deliveries,
        "doc": doc,
        "held_by": state.held.by if state.held else None,
        "again_at": state.again_at,
        "more": _more(state),
    }


def _more(state: AlertState) -> str | None:
    fired = [at.isoformat() for at in state.fired]
    if not (state.held or state.calm_at or state.inhibits):
        # Nearly all: written out, because to make the encoder takes longer than to encode this.
        times = '","'.join(fired)
        return f'{{"fired":["{times}"]}}' if fired else None
    more: Values = {"fired": fired, "inhibits": state.inhibits}
    if state.calm_at:
        more["calm_at"] = state.calm_at.isoformat()
    if state.held:
        more["held"] = state.held.outcome
        if short_key(state.held.by) != state.held.by:
            more["by"] = state.held.by
    return to_json(more)


def alert_state_of(row: Row[Any]) -> AlertState:
    alert, held = alert_of(row.doc), None
    more = json.loads(row.more) if row.more else {}
    if row.held_by is not None:
        held = Held(more["held"], more.get("by", row.held_by), row.again_at)
    return AlertState(
        alert,
        row.first_seen,
        row.last_seen,
        row.deliveries,
        row.incident_id,
        held,
        tuple(map(datetime.fromisoformat, more.get("fired", ()))),
        datetime.fromisoformat(more["calm_at"]) if "calm_at" in more else None,
        tuple(more.get("inhibits", ())),
    )


def received_values(received: Received, doc: str) -> Values:
    by = received.held_by
    return {
        "alert_key": received.alert.key,
        "at": received.at,
        "outcome": received.outcome,
        "reason": received.reason,
        "trail": to_json(received.trail),
        "incident_id": received.incident_id,
        "doc": doc,
        "severity": received.severity,
        "route": received.route,
        "stage": received.stage,
        "held_by": by or None,
        "held_by_whole": to_json(by) if by and short_key(by) != by else None,
        "again": received.again,
    }


def received_of(row: Row[Any]) -> Received:
    return Received(
        row.at,
        alert_of(row.doc),
        row.outcome,
        row.reason,
        tuple(json.loads(row.trail)),
        row.incident_id,
        severity=row.severity,
        route=row.route,
        stage=row.stage,
        held_by=json.loads(row.held_by_whole) if row.held_by_whole else row.held_by or "",
        again=row.again,
    )


def silence_values(silence: Silence) -> Values:
    return {
        "number": silence.number,
        "kind": silence.kind,
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "doc": silence.model_dump_json(by_alias=True),
    }


def event_values(event: ChangeEvent) -> Values:
    """Always the same text for the same event, so that being told of it again can be seen."""
    return {
        "source": event.source,
        "key": event.key,
        "at": event.at,
        "service": event.service,
        "doc": to_json(
            {
                "source": event.source,
                "key": event.key,
                "kind": event.kind,
                "title": event.title,
                "state": event.state,
                "service": event.service,
                "environment": event.environment,
                "author": event.author,
                "url": event.url,
                "labels": dict(sorted(event.labels.items())),
            }
        ),
    }


def event_of(row: Row[Any]) -> ChangeEvent:
    return ChangeEvent(at=row.at, **json.loads(row.doc))


def incident_values(incident: Incident) -> Values:
    return {
        "id": incident.id,
        "group_key": incident.group_key,
        "state": incident.state.value,
        "severity": incident.severity,
        "service": incident.service,
        "channel_id": incident.channel_id,
        "opened_at": incident.opened_at,
        "resolved_at": incident.resolved_at,
        "doc": incident.model_dump_json(),
    }


def entry_values(incident_id: int, entry: Entry) -> Values:
    # Not pydantic's JSON: it writes NaN as null, and the hash of the entry would no longer hold.
    body = {**entry.model_dump(), "at": entry.at.isoformat()}
    return {
        "incident_id": incident_id,
        "seq": entry.seq,
        "at": entry.at,
        "kind": entry.kind,
        "hash": entry.hash,
        "doc": to_json(body),
    }


def entry_of(doc: str) -> Entry:
    return Entry.model_validate(json.loads(doc))


def run_values(run: Run) -> Values:
    return {
        "id": run.id,
        "incident_id": run.incident_id,
        "runbook": run.runbook.name,
        "state": run.state.value,
        "requested_by": run.requested_by.id,
        "created_at": run.created_at,
        "ended_at": run.ended_at,
        "doc": run.model_dump_json(),
    }


def step_values(run: Run) -> list[Values]:
    return [
        {
            "run_id": run.id,
            "number": step.seq,
            "step": step.id,
            "action": step.spec.action,
            "state": step.state.value,
            "digest": step.plan.digest if step.plan else "",
            "changed": step.changed,
            "message": step.message,
            "started_at": step.started_at,
            "ended_at": step.ended_at,
        }
        for step in run.steps
    ]


def approval_values(run: Run) -> list[Values]:
    return [
        {
            "run_id": run.id,
            "number": step.seq,
            "digest": approval.digest,
            "actor_id": approval.actor.id,
            "actor_name": approval.actor.name,
            "at": approval.at,
            "broke_glass": approval.broke_glass,
        }
        for step in run.steps
        for approval in step.approvals
    ]


def effect_values(effect: Effect) -> Values:
    return {
        "key": effect.key,
        "kind": effect.kind,
        "lane": effect.lane,
        "priority": int(effect.priority),
        "latest_wins": effect.latest_wins,
        "asked_at": effect.due,
        "due": effect.due,
        "payload": to_json(effect.payload),
    }


def effect_of(row: Row[Any] | Mapping[str, Any]) -> Effect:
    found = row if isinstance(row, Mapping) else row._mapping
    return Effect(
        kind=found["kind"],
        key=found["key"],
        lane=found["lane"],
        priority=Priority(found["priority"]),
        due=found["due"],
        payload=json.loads(found["payload"]),
        latest_wins=found["latest_wins"],
    )


def newest(effects: Iterable[Effect]) -> list[Effect]:
    """One effect per key, in the order in which the keys came: the last one that wins, else the first one."""
    asked: dict[str, Effect] = {}
    for effect in effects:
        if effect.key not in asked or effect.latest_wins:
            asked[effect.key] = effect
    return list(asked.values())
