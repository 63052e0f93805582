"""PagerDuty's webhooks, version 3: what happens to PagerDuty's incidents happens here as well.

    sources:
      pagerduty:
        hmac: {secret: env:PAGERDUTY_WEBHOOK_SECRET}

In PagerDuty: Integrations > Generic Webhooks (v3) > + New Webhook; URL: https://tocsin.example.com/webhooks/pagerduty; choose the scope
(service, team or account) and the incident events; Add Webhook, and copy the secret, which is shown once. Send Test Event sends `pagey.ping`.

Triggered, reopened, unacknowledged and a changed priority fire; resolved resolves (so does a merge: the other incident goes on);
acknowledged acknowledges. Notes, reassignments, escalations, responders, status updates and services change nothing and are taken quietly.
The problem is the incident (`data.id`); `incident_key` is absent from older deliveries. A priority P1 to P5 or SEV-1 to SEV-5 is the severity;
without one the urgency is: high is critical, low is warning.
Source: https://developer.pagerduty.com/docs/webhooks/v3-overview/ and https://developer.pagerduty.com/docs/webhooks/webhook-signatures/
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, HmacStyle, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("hmac", "bearer", "basic", "token")
HMAC = HmacStyle(header="x-pagerduty-signature", prefix="v1=", separator=",")

EXPECTED = "an object with `event`, as PagerDuty's v3 webhooks send it"
FIRES = frozenset({"incident.triggered", "incident.reopened"})
STILL_FIRES = frozenset({"incident.unacknowledged", "incident.priority_updated"})
URGENCIES = {"high": "critical", "low": "warning"}
PRIORITIES = {"1": "critical", "2": "error", "3": "warning", "4": "info", "5": "info"}
_PRIORITY = re.compile(r"(?:p|sev|severity)[ _-]?([1-5])\b", re.IGNORECASE)


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """What one event says of an incident: an alert, an acknowledgement, or nothing. Raises BadInput when it is no event of version 3."""
    body = payload.members(incoming.body, EXPECTED)
    event = payload.inner(body, "event")
    kind = payload.word(event, "event_type").lower()
    if not kind:
        raise BadInput(_not_an_event(body))
    known = FIRES | STILL_FIRES | {"incident.resolved", "incident.acknowledged"}
    incident = payload.inner(event, "data")
    if kind not in known:
        return Parsed()
    if not incident:
        raise BadInput(f"event.data: {payload.found(event.get('data'))}; expected the incident as an object")
    if kind == "incident.acknowledged":
        return Parsed(acknowledged=(Acknowledged(_fingerprint(incident), _name(event, "agent")),))
    if kind in STILL_FIRES and payload.word(incident, "status").lower() == "resolved":
        return Parsed()  # a priority that was set after the fact
    return Parsed((_alert(event, incident, source, kind, now),))


def _not_an_event(body: dict[str, Any]) -> str:
    wrong = f"event: {payload.found(body.get('event'))}; expected an object with event_type and data"
    if "messages" in body:
        return f"{wrong}. `messages` are webhooks of version 1 or 2, which PagerDuty has ended: subscribe to version 3"
    if body.keys() & {"routing_key", "service_key", "event_action"}:
        return f"{wrong}. This is an event for the Events API: use a source with `type: pagerduty_events`"
    return f"{wrong}. The body: {payload.found(body)}; {payload.fitting(body)}"


def _alert(event: dict[str, Any], incident: dict[str, Any], source: str, kind: str, now: datetime) -> Alert:
    happened = payload.not_after(payload.time(event.get("occurred_at")), now)
    began = payload.time(incident.get("reopened_at"))
    if began is None and kind != "incident.reopened":
        began = payload.time(incident.get("created_at"))
    starts_at = payload.not_after(began, now) or happened or now
    firing = kind != "incident.resolved"
    return Alert(
        source=source,
        fingerprint=_fingerprint(incident),
        firing=firing,
        labels=_labels(incident),
        annotations=_annotations(incident),
        starts_at=starts_at,
        ends_at=None if firing else max(starts_at, happened or now),
        url=payload.link(incident.get("html_url")),
    )


def _fingerprint(incident: dict[str, Any]) -> str:
    given = payload.word(incident, "id", "incident_key", "number", most=payload.LONGEST_URL)
    return payload.fingerprint(
        given, {"title": payload.word(incident, "title", "summary"), "service": _name(incident, "service")}
    )


def _labels(incident: dict[str, Any]) -> dict[str, str]:
    priority, urgency = _name(incident, "priority"), payload.word(incident, "urgency").lower()
    return payload.kept(
        {
            "alertname": payload.word(incident, "title", "summary", "id") or "PagerDuty incident",
            "severity": _severity(priority, urgency),
            "service": _name(incident, "service"),
            "team": _first_name(incident.get("teams")),
            "priority": priority,
            "urgency": urgency,
            "escalation_policy": _name(incident, "escalation_policy"),
        }
    )


def _severity(priority: str, urgency: str) -> str:
    if numbered := _PRIORITY.match(priority):
        return PRIORITIES[numbered[1]]
    return priority.lower() or URGENCIES.get(urgency, urgency)


def _annotations(incident: dict[str, Any]) -> dict[str, str]:
    merged = payload.inner(payload.inner(incident, "resolve_reason"), "incident")
    details = payload.inner(incident, "body").get("details")
    bridge = payload.inner(incident, "conference_bridge")
    annotations = {
        "summary": payload.word(incident, "title", "summary"),
        "description": payload.text(details).strip() or payload.word(incident, "description"),
        "pagerduty_incident": payload.word(incident, "number", most=100),
        "conference": payload.link(bridge.get("conference_url")),
        "merged_into": payload.word(merged, "html_url", "summary", "id"),
    }
    return {name: said for name, said in annotations.items() if said}


def _name(item: dict[str, Any], member: str) -> str:
    """What people call a thing that is referred to."""
    return payload.word(payload.inner(item, member), "summary", "name", "id")


def _first_name(items: Any) -> str:
    return payload.word(items[0], "summary", "name", "id") if isinstance(items, list) and items else ""
