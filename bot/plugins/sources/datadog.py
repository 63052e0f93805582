"""Datadog monitors, through its Webhooks integration. What is sent is a template of the user's; this one says all that Tocsin reads:

    {"alert_id": "$ALERT_ID", "alert_transition": "$ALERT_TRANSITION", "alert_scope": "$ALERT_SCOPE", "alert_title": "$ALERT_TITLE",
     "alert_type": "$ALERT_TYPE", "alert_priority": "$ALERT_PRIORITY", "alert_status": "$ALERT_STATUS", "alert_metric": "$ALERT_METRIC",
     "alert_cycle_key": "$ALERT_CYCLE_KEY", "aggreg_key": "$AGGREG_KEY", "title": "$EVENT_TITLE", "body": "$TEXT_ONLY_MSG",
     "priority": "$PRIORITY", "tags": "$TAGS", "host": "$HOSTNAME", "link": "$LINK", "snapshot": "$SNAPSHOT", "date": "$DATE",
     "last_updated": "$LAST_UPDATED", "id": "$ID", "event_type": "$EVENT_TYPE", "org": {"id": "$ORG_ID", "name": "$ORG_NAME"}}

    sources:
      datadog:
        bearer: env:DATADOG_TOKEN

In Datadog: Integrations > Webhooks > New; the address, the payload above, and as custom headers {"Authorization": "Bearer <token>"}. Then write
`@webhook-<name>` into the monitors' messages, outside of `{{#is_alert}}`, so that recoveries are told as well. Names may be spelt otherwise
(`alertId`), and the body that Datadog sends without a template is read too. A problem is a monitor and a group of it (`$ALERT_ID` and
`$ALERT_SCOPE`), so it stays the same from one time to the next.
Source: https://docs.datadoghq.com/integrations/webhooks/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("bearer", "basic", "token")

RESOLVED = frozenset({"recovered", "warn recovered", "no data recovered", "re-recovered", "resolved", "ok"})
SEVERITIES = {"p1": "critical", "p2": "error", "p3": "warning", "p4": "info", "p5": "info"}
_TYPES = {"error": "error", "warning": "warning", "info": "info"}
# "[Re-Triggered on {host:a,env:b}] [TEST] Disk full"
_TITLE = re.compile(
    r"\s*\[(?P<transition>[A-Za-z][A-Za-z -]{0,40}?)(?: on \{(?P<scope>[^}]{0,1000})\})?\]\s*(?P<test>\[TEST\]\s*)?"
)
_TRANSITIONS = re.compile(r"(?:re-)?(?:triggered|alert|warn(?:ing)?|no data|renotify)|.*recovered|resolved|ok")
_MONITOR = re.compile(r"https://[\w.-]{1,100}/monitors[#/](?P<id>\d{1,20})")
_TEST = re.compile(r"\s*(?:\[[^\]]{0,200}\]\s*)?\[TEST\]")
_NAMES = ("alertid", "alerttransition", "alerttitle", "eventtitle", "title", "eventmsg", "body", "alertstatus")


class Params(BaseModel):
    """Nothing to set: the template says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alert of one notification. Raises BadInput when nothing in it has a name that Datadog's variables are given."""
    body = payload.fields(Incoming(incoming.body), "an object made by the template of a Datadog webhook")
    fields = _filled(body)
    if not any(payload.word(fields, name) for name in _NAMES):
        raise BadInput(
            f"body: {payload.found(body)}; expected alert_id, alert_transition or title, as Datadog's template in the "
            f"documentation of this source has them; {payload.fitting(body)}"
        )
    title = payload.word(fields, "eventtitle", "title", "alerttitle")
    prefix = _prefix(title)
    transition = (payload.word(fields, "alerttransition", "transition") or prefix.get("transition", "")).lower()
    text = payload.word(fields, "textonlymsg", "eventmsg", "body", "message", "alertstatus")
    monitor = _MONITOR.search(text[:20_000])
    alert_id = payload.word(fields, "alertid") or (monitor["id"] if monitor else "")
    labels = _labels(fields, title, prefix, transition) | {"monitor_id": alert_id}
    scope = payload.word(fields, "alertscope", "scope") or prefix.get("scope", "")
    firing = transition not in RESOLVED
    own = _own(fields, alert_id, scope)
    if own and "tocsin_test" in labels:
        own = f"test/{own}"  # a test that is "recovered" must not end the real problem
    changed = payload.time(fields.get("lastupdated")) or payload.time(fields.get("date"))
    started, ended = payload.span(changed, changed, now, firing=firing)
    return Parsed(
        (
            Alert(
                source=source,
                fingerprint=payload.fingerprint(
                    own, {name: labels.get(name, "") for name in ("alertname", "tocsin_test")}
                ),
                firing=firing,
                labels=payload.kept(labels),
                annotations=_annotations(fields, text, labels["alertname"]),
                starts_at=started,
                ends_at=ended,
                url=payload.link(payload.word(fields, "link", "url", "eventurl")) or (monitor[0] if monitor else ""),
            ),
        )
    )


def _filled(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members, those of inner objects (`metadata`) beneath; a variable that Datadog had no value for says nothing."""
    fields: dict[str, Any] = {}
    for value in body.values():
        if isinstance(value, dict) and "name" not in value:
            for name, said in payload.folded(value).items():
                fields.setdefault(name, said)
    fields |= payload.folded(body)
    return {
        name: value
        for name, value in fields.items()
        if not (isinstance(value, str) and re.fullmatch(r"\$[A-Z_]+(?:\[[^\]]*\])?|null|None|N/A", value.strip()))
    }


def _prefix(title: str) -> dict[str, str]:
    """What the bracket in front of an event's title says: its transition and scope. Any other bracket is part of the name."""
    match = _TITLE.match(title)
    if match is None or not _TRANSITIONS.fullmatch(match["transition"].lower()):
        return {}
    return {"transition": match["transition"], "scope": match["scope"] or "", "name": title[match.end() :].strip()}


def _labels(fields: Mapping[str, Any], title: str, prefix: Mapping[str, str], transition: str) -> dict[str, str]:
    labels = payload.tags(fields.get("tags"))
    labels.pop("monitor", None)  # Datadog's own mark on every monitor event
    priority = payload.word(fields, "alertpriority").lower()
    if priority in SEVERITIES:
        labels["severity"] = SEVERITIES[priority]
    elif "severity" not in labels:
        kind = payload.word(fields, "alerttype").lower()
        labels["severity"] = "warning" if transition in ("warn", "re-warn") else _TYPES.get(kind, "")
    host = payload.word(fields, "host", "hostname")
    if host:
        labels.setdefault("host", host)
    if _TEST.match(title):
        labels["tocsin_test"] = "true"
    own = payload.word(fields, "alerttitle")
    name = _prefix(own).get("name") or own or prefix.get("name") or title or "Datadog alert"
    return labels | {"alertname": name, "metric": payload.word(fields, "alertmetric"), "transition": transition}


def _annotations(fields: Mapping[str, Any], text: str, name: str) -> dict[str, str]:
    description = text.replace("%%%", "").strip()
    said = {
        "summary": payload.word(fields, "alertstatus") or name,
        "description": description,
        "snapshot": payload.link(payload.word(fields, "snapshot")),
    }
    return payload.kept(said)


def _own(fields: Mapping[str, Any], alert_id: str, scope: str) -> str:
    """Datadog's identity of the problem: the monitor and its group; else what keeps its events together; else the monitor."""
    if alert_id and scope:
        return f"{alert_id}/{','.join(sorted(part.strip() for part in scope.split(',')))}"
    return payload.word(fields, "aggregkey", "aggregationkey", "alertcyclekey") or alert_id
