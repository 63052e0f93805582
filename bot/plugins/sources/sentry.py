"""Sentry: issues, issue alerts and metric alerts from an internal integration; and the older webhook plugin of a project.

    sources:
      sentry:
        hmac: {secret: env:SENTRY_CLIENT_SECRET}   # the integration's Client Secret

In Sentry: Settings > Developer Settings > Create New Integration > Internal; the address as Webhook URL, Alert Rule Action on, permission
Issue & Event: Read, and the webhook `issue`. Then let alert rules send to the integration. The plugin (project > Legacy Integrations > WebHooks)
cannot sign: give it a source of its own with a token in the address.

An issue is one problem, whichever webhook tells of it: created, unresolved and a triggered rule fire; resolved, archived and ignored end it.
An assignment is no acknowledgement here, since Sentry also assigns by itself. A metric alert is one problem per rule.
Source: https://docs.sentry.io/integrations/integration-platform/webhooks/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import HmacStyle, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("hmac", "token")
HMAC = HmacStyle(header="sentry-hook-signature")

SEVERITIES = {"fatal": "critical", "debug": "info", "sample": "info", "log": "info"}
FIRES = frozenset({"created", "unresolved"})
ENDS = frozenset({"resolved", "ignored", "archived"})
_ISSUE = re.compile(r"/(?:issues|group)/(?P<id>\d{1,30})")
_PROJECT = re.compile(r"/projects/[^/]{1,100}/(?P<slug>[^/]{1,100})/events")
_PERSON = ("user", "user.id", "user.email", "user.username", "user.ip", "user.name", "ip_address")


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alert of one webhook; nothing for what changes no problem. Raises BadInput when the body is not Sentry's."""
    body = payload.members(incoming.body, "an object with `action` and `data`, as Sentry's webhooks have")
    data = payload.inner(body, "data")
    action = payload.word(body, "action").lower()
    resource = incoming.headers.get("sentry-hook-resource", "").strip().lower()
    if payload.inner(data, "metric_alert"):
        return Parsed((_metric(data, action, source, now),))
    event = payload.inner(data, "event") or payload.inner(data, "error")
    if event:
        return Parsed((_event(event, payload.word(data, "triggered_rule"), source, now),))
    if payload.inner(data, "issue"):
        return _issue(payload.inner(data, "issue"), action, source, now)
    if payload.inner(body, "event") or ("culprit" in body and "project" in body):
        return Parsed((_plugin(body, source, now),))
    if resource in ("issue", "event_alert", "error", "metric_alert"):
        raise BadInput(
            f"data: {payload.found(body.get('data'))}; expected {'event' if resource == 'event_alert' else resource} in it, "
            f"since the webhook is of the kind {resource}"
        )
    if resource or ("installation" in body and "action" in body):
        return Parsed()  # an installation, a comment, and whatever Sentry will think of
    raise BadInput(
        f"body: {payload.found(body)}; expected `action` and `data` with issue, event or metric_alert; {payload.fitting(body)}"
    )


def _issue(issue: Mapping[str, Any], action: str, source: str, now: datetime) -> Parsed:
    if action == "triggered":
        action = ""  # an activity alert: the issue itself says whether it is over
    if action and action not in FIRES | ENDS:
        return Parsed()  # assigned, and actions to come
    firing = (action or payload.word(issue, "status").lower()) not in ENDS
    project = payload.inner(issue, "project")
    labels = _named(issue) | {
        "service": payload.word(project, "slug", "name"),
        "severity": _severity(payload.word(issue, "level")),
        "short_id": payload.word(issue, "shortId"),
        "platform": payload.word(issue, "platform"),
    }
    # When it reopens, the time of its first event would look like the start of this outage.
    seen = payload.time(issue.get("firstSeen")) if action == "created" or not firing else None
    started, ended = payload.span(seen, now, now, firing=firing)
    return Parsed(
        (
            Alert(
                source=source,
                fingerprint=_fingerprint(payload.word(issue, "id"), labels),
                firing=firing,
                labels=payload.kept(labels),
                annotations=_annotations(issue, ""),
                starts_at=started,
                ends_at=ended,
                url=payload.link(payload.word(issue, "web_url", "permalink")),
            ),
        )
    )


def _event(event: Mapping[str, Any], rule: str, source: str, now: datetime) -> Alert:
    """A rule that was triggered, or one error: its issue fires."""
    links = " ".join(payload.word(event, name, most=payload.LONGEST_URL) for name in ("issue_url", "web_url", "url"))
    issue = payload.word(event, "issue_id", "groupID", "group_id") or _found(_ISSUE, links, "id")
    labels = payload.tags(event.get("tags"))
    test = labels.pop("sample_event", "") == "yes"
    labels = {name: value for name, value in labels.items() if name not in _PERSON}
    labels |= _named(event) | {
        "service": _found(_PROJECT, links, "slug") or payload.word(event, "project_slug"),
        "project_id": payload.word(event, "project"),
        "severity": _severity(payload.word(event, "level") or labels.get("level", "")),
        "rule": rule,
        "tocsin_test": "true" if test else "",
    }
    at = payload.time(event.get("datetime")) or payload.time(event.get("timestamp"))
    return Alert(
        source=source,
        fingerprint=_fingerprint(issue, labels),
        firing=True,
        labels=payload.kept(labels),
        annotations=_annotations(event, rule),
        starts_at=payload.not_after(at, now) or now,
        url=payload.link(payload.word(event, "web_url", "issue_url", "url")),
    )


def _plugin(body: Mapping[str, Any], source: str, now: datetime) -> Alert:
    """The webhook plugin of a project: only fires, since it is told of events and not of resolved issues."""
    event = payload.inner(body, "event")
    joined = {
        **event,
        "issue_id": payload.word(body, "id"),
        "project_slug": payload.word(body, "project_slug", "project", "project_name"),
        "title": payload.word(event, "title") or payload.word(body, "message", "culprit"),
        "culprit": payload.word(body, "culprit"),
        "level": payload.word(body, "level") or payload.word(event, "level"),
        "web_url": payload.word(body, "url"),
    }
    rules = body.get("triggering_rules")
    return _event(joined, payload.first(rules), source, now)


def _metric(data: Mapping[str, Any], action: str, source: str, now: datetime) -> Alert:
    metric = payload.inner(data, "metric_alert")
    rule = payload.inner(metric, "alert_rule")
    projects = metric.get("projects") or rule.get("projects")
    firing = action != "resolved"
    name = payload.word(rule, "name") or payload.word(metric, "title") or payload.word(data, "description_title")
    labels = {
        "alertname": name or "Sentry metric alert",
        "service": payload.first(projects),
        "severity": action if firing else "",
        "env": payload.word(rule, "environment"),
    }
    rule_id = payload.word(rule, "id")
    own = f"metric/{rule_id}/{payload.first(projects)}" if rule_id else payload.word(metric, "id", "identifier")
    began = payload.time(metric.get("date_started")) or payload.time(metric.get("date_detected"))
    started, ended = payload.span(began, payload.time(metric.get("date_closed")), now, firing=firing)
    summary = payload.word(data, "description_title") or name
    description = payload.word(data, "description_text")
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(own, {"alertname": labels["alertname"], "service": labels["service"]}),
        firing=firing,
        labels=payload.kept(labels),
        annotations=payload.kept({"summary": summary, "description": description}),
        starts_at=started,
        ends_at=ended,
        url=payload.link(payload.word(data, "web_url")),
    )


def _named(item: Mapping[str, Any]) -> dict[str, str]:
    name = payload.word(item, "title", "message", "culprit", most=payload.LONGEST_NAME)
    return {"alertname": name or "Sentry issue", "environment": payload.word(item, "environment")}


def _annotations(item: Mapping[str, Any], rule: str) -> dict[str, str]:
    culprit = payload.word(item, "culprit")
    where = f"in {culprit}" if culprit else ""
    why = f"rule: {rule}" if rule else ""
    return payload.kept(
        {"summary": payload.word(item, "title", "message"), "description": "; ".join(filter(None, (where, why)))}
    )


def _severity(level: str) -> str:
    return SEVERITIES.get(level.lower(), level.lower())


def _fingerprint(issue: str, labels: Mapping[str, str]) -> str:
    return payload.fingerprint(issue, {"alertname": labels["alertname"], "service": labels["service"]})


def _found(pattern: re.Pattern[str], text: str, group: str) -> str:
    match = pattern.search(text)
    return match[group] if match else ""
