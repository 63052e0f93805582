"""Google Cloud Monitoring: incidents told by a webhook notification channel, or by Pub/Sub that pushes.

    sources:
      google_cloud:
        basic: {user: google, password: env:GOOGLE_CLOUD_PASSWORD}   # or token: env:NAME, in the address

In Google Cloud: Monitoring > Alerting > Edit notification channels > Webhooks > Add new; the address, and user and password under Basic
authentication. For Pub/Sub add a push subscription to the channel's topic, with the address that has the token.

An incident is one problem (`incident_id`). Labels are the policy's user labels, then those of the metric, the resource and its metadata.
Source: https://cloud.google.com/monitoring/support/notification-options#webhooks and https://cloud.google.com/pubsub/docs/push
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("basic", "token")

SEVERITIES = {"no severity": "", "severity_unspecified": ""}
_EXPECTED = "an object with `incident`, as Google Cloud Monitoring sends it"


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The incident of one notification. Raises BadInput when there is none."""
    body = _unwrapped(payload.members(incoming.body, _EXPECTED))
    incident = payload.inner(body, "incident")
    if not incident:
        raise BadInput(
            f"incident: {payload.found(body.get('incident'))}; expected {_EXPECTED}. The body has "
            f"{payload.found(body).removeprefix('found an object with ')}; {payload.fitting(body)}"
        )
    test = payload.word(body, "version").lower() == "test"
    labels = _labels(incident, test)
    identity = {name: value for name, value in labels.items() if name not in ("severity", "tocsin_test")}
    fingerprint = payload.fingerprint(payload.word(incident, "incident_id"), identity)
    state = payload.word(incident, "state").lower()
    if state == "acknowledged":
        return Parsed(acknowledged=(Acknowledged(fingerprint),))
    firing = state not in ("closed", "resolved")
    began, closed = payload.time(incident.get("started_at")), payload.time(incident.get("ended_at"))
    started, ended = payload.span(began, closed, now, firing=firing)
    return Parsed(
        (
            Alert(
                source=source,
                fingerprint=fingerprint,
                firing=firing,
                labels=payload.kept(labels),
                annotations=_annotations(incident),
                starts_at=started,
                ends_at=ended,
                url=payload.link(payload.word(incident, "url")),
            ),
        )
    )


def _unwrapped(body: dict[str, Any]) -> dict[str, Any]:
    """What Pub/Sub carries, when it is Pub/Sub that pushes: `message.data` in base64."""
    data = payload.inner(body, "message").get("data")
    if not isinstance(data, str) or "incident" in body:
        return body
    try:
        carried = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"message.data: {payload.found(data)}; expected base64, as Pub/Sub pushes it") from error
    return payload.members(carried, f"{_EXPECTED}, in message.data")


def _labels(incident: Mapping[str, Any], test: bool) -> dict[str, str]:
    metadata = payload.inner(incident, "metadata")
    resource, metric = payload.inner(incident, "resource"), payload.inner(incident, "metric")
    labels: dict[str, str] = {}
    for part in (
        metadata.get("user_labels"),
        resource.get("labels"),
        metric.get("labels"),
        incident.get("policy_user_labels"),
    ):
        labels |= payload.tags(part if isinstance(part, dict) else None)
    severity = payload.word(incident, "severity").lower() or labels.get("severity", "").lower()
    condition = payload.word(incident, "condition_name")
    return labels | {
        "alertname": payload.word(incident, "policy_name") or condition or "Google Cloud incident",
        "severity": SEVERITIES.get(severity, severity),
        "condition": condition,
        "project": payload.word(incident, "scoping_project_id") or labels.get("project_id", ""),
        "resource_type": payload.word(resource, "type"),
        "metric_type": payload.word(metric, "type"),
        "tocsin_test": "true" if test else "",
    }


def _annotations(incident: Mapping[str, Any]) -> dict[str, str]:
    documentation = payload.inner(incident, "documentation")
    return payload.kept(
        {
            "summary": payload.word(incident, "summary") or payload.word(documentation, "subject"),
            "description": payload.word(documentation, "content") or payload.word(incident, "documentation"),
            "resource": payload.word(incident, "resource_display_name", "resource_name"),
            "observed_value": payload.word(incident, "observed_value"),
            "threshold_value": payload.word(incident, "threshold_value"),
        }
    )
