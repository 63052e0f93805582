"""New Relic: issues told by a workflow's webhook (its default template and a better one), and the older notifications of alert policies.

    sources:
      newrelic:
        bearer: env:NEWRELIC_TOKEN

In New Relic: Alerts > Destinations > Webhook, the address, Authorization: Bearer token; then Alerts > Workflows, add that destination, and notify
when issues are activated, acknowledged, closed and when their priority changes. With the template of this source's documentation tags become
labels and an acknowledgement is known for certain. With the default template `USER_ACTION` on an open issue is read as an acknowledgement.
An issue is one problem, named after its first condition.
Source: https://docs.newrelic.com/docs/alerts/get-notified/notification-integrations/#webhook
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("bearer", "basic", "token")

RESOLVED = frozenset({"closed", "deactivated", "resolved"})
SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "warning": "warning", "low": "info"}
_SAMPLE = "/accounts/1/issues/0ea2df1c-adab-45d2-aae0-042b609d2322"  # what "Send test notification" is about
_ACKNOWLEDGED = ("acknowledged", "acknowledgedBy", "acknowledgedAt", "issueAcknowledgedAt", "owner")


class Params(BaseModel):
    """Nothing to set: the templates say everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The issue or incident of one notification, and whether it was acknowledged. Raises BadInput when it is of neither kind."""
    body = payload.members(incoming.body, "an object with id, state and title, as New Relic's templates have them")
    if "current_state" in body or "incident_id" in body:
        return _incident(body, source, now)
    if not any(
        name in body for name in ("issueUrl", "issueId", "alertConditionNames", "alertPolicyNames", "issueTitle")
    ):
        raise BadInput(
            f"body: {payload.found(body)}; expected id, issueUrl, title and state of an issue; {payload.fitting(body)}"
        )
    return _issue(body, source, now)


def _issue(body: Mapping[str, Any], source: str, now: datetime) -> Parsed:
    labels = _tags(body.get("tags"))
    condition = payload.first(body.get("alertConditionNames")) or payload.first(body.get("conditionName"))
    title = payload.word(body, "title", "issueTitle") or payload.first(body.get("title"))
    address = payload.word(body, "issueUrl", "issuePageUrl", most=payload.LONGEST_URL)
    firing = payload.word(body, "state").lower() not in RESOLVED
    labels |= {
        "alertname": condition or title or "New Relic issue",
        "severity": _severity(payload.word(body, "priority")),
        "policy": payload.first(body.get("alertPolicyNames")),
        "entity": payload.first(body.get("impactedEntities")),
        "workflow": payload.word(body, "workflowName"),
        "tocsin_test": "true" if _SAMPLE in address else "",
    }
    began, closed = _time(body, "activatedAt", "createdAt"), _time(body, "closedAt", "updatedAt")
    started, ended = payload.span(began, closed, now, firing=firing)
    alert = Alert(
        source=source,
        fingerprint=_fingerprint(payload.word(body, "id", "issueId"), labels),
        firing=firing,
        labels=payload.kept(labels),
        annotations=payload.kept(
            {
                "summary": title,
                "description": payload.word(body, "description") or payload.first(body.get("description")),
                "entities": ", ".join(_all(body.get("impactedEntities"))),
                "runbook_url": payload.link(payload.first(body.get("runbookUrl"))),
            }
        ),
        starts_at=started,
        ends_at=ended,
        url=payload.link(address),
    )
    by = payload.word(body, "owner", "acknowledgedBy")
    return Parsed((alert,), acknowledged=_acknowledged(body, alert.fingerprint, by) if firing else ())


def _acknowledged(body: Mapping[str, Any], fingerprint: str, by: str) -> tuple[Acknowledged, ...]:
    """When the notification is about that: the trigger is the deed of a person, and nothing says that it was taken back."""
    trigger = payload.word(body, "trigger", "triggerEvent").lower()
    told = [name for name in _ACKNOWLEDGED if name in body]
    is_so = any(payload.word(body, name) not in ("", "false", "0", "null") for name in told)
    about_it = not trigger or "user" in trigger or "ack" in trigger
    meant = is_so if told else bool(trigger)
    return (Acknowledged(fingerprint, by),) if about_it and meant else ()


def _incident(body: Mapping[str, Any], source: str, now: datetime) -> Parsed:
    """A policy's notification channel of before workflows: open, acknowledged, closed, test."""
    state = payload.word(body, "current_state").lower()
    name = payload.word(body, "condition_name") or payload.first(body.get("condition_name"))
    targets = body.get("targets")
    target = targets[0] if isinstance(targets, list) and targets else {}
    labels = _tags(payload.inner(target, "labels")) | {
        "alertname": name or payload.word(body, "details") or "New Relic incident",
        "severity": _severity(payload.word(body, "severity")),
        "policy": payload.word(body, "policy_name"),
        "entity": payload.word(target, "name"),
        "tocsin_test": "true" if state == "test" else "",
    }
    fingerprint = _fingerprint(payload.word(body, "incident_id", "issue_id"), labels)
    if state == "acknowledged":
        return Parsed(acknowledged=(Acknowledged(fingerprint, payload.word(body, "owner")),))
    firing = state not in RESOLVED
    at = _time(body, "timestamp")
    started, ended = payload.span(at, at, now, firing=firing)
    alert = Alert(
        source=source,
        fingerprint=fingerprint,
        firing=firing,
        labels=payload.kept(labels),
        annotations=payload.kept(
            {
                "summary": payload.word(body, "details") or labels["alertname"],
                "runbook_url": payload.link(payload.word(body, "runbook_url")),
            }
        ),
        starts_at=started,
        ends_at=ended,
        url=payload.link(payload.word(body, "incident_url")),
    )
    return Parsed((alert,))


def _tags(value: Any) -> dict[str, str]:
    """Accumulated tags have a list of values for each name; the first counts."""
    if isinstance(value, dict):
        return payload.tags({name: payload.first(given) for name, given in value.items()})
    return payload.tags(value)


def _all(value: Any) -> list[str]:
    return [one for one in map(payload.first, value[:20]) if one] if isinstance(value, list) else []


def _severity(priority: str) -> str:
    return SEVERITIES.get(priority.lower(), priority.lower())


def _time(body: Mapping[str, Any], *names: str) -> datetime | None:
    return next((at for at in (payload.time(body.get(name)) for name in names) if at is not None), None)


def _fingerprint(own: str, labels: Mapping[str, str]) -> str:
    return payload.fingerprint(own, {name: labels[name] for name in ("alertname", "policy", "entity")})
