"""Grafana's legacy alerting (up to 10, by dashboard panel), the notification channel of the type webhook.

    sources:
      old-grafana:
        type: grafana_legacy
        basic: {user: grafana, password: env:GRAFANA_PASSWORD}   # the only way that every version knows; or token: in the address

In Grafana: Alerting > Notification channels > New channel; Type: webhook; Url: https://tocsin.example.com/webhooks/old-grafana; Username and
Password under "Optional Webhook settings". Leave "Disable Resolve Message" off, or nothing ever resolves. Then Send Test.

Traps: one rule is one problem (`orgId` and `ruleId`), however many series match, so what matched is in the annotation `values`; a rule without
data has the state `no_data` and fires; `paused` and `pending` change nothing; no time is sent, so an alert starts when it comes in.
Source: https://grafana.com/docs/grafana/v7.5/alerting/notifications/#webhook
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("basic", "token", "bearer")
METHODS = ("POST", "PUT")

EXPECTED = "an object with ruleName and state, as Grafana's legacy alerting sends it"
RESOLVED = frozenset({"ok", "resolved", "normal"})
NO_NEWS = frozenset({"paused", "pending"})
MOST_MATCHES = 100
_STATE = re.compile(r"\A\[[A-Za-z ]{1,20}\]\s*")


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The one alert of a notification; nothing for a rule that is paused or pending. Raises BadInput when it is not one."""
    body = payload.members(incoming.body, EXPECTED)
    if "alerts" in body:
        raise BadInput(f"body: {payload.found(body)}; this is unified alerting: use a source with `type: grafana`")
    title = _STATE.sub("", payload.word(body, "title"))
    rule = payload.word(body, "ruleName") or title or payload.word(body, "ruleId")
    if not rule or not body.keys() & {"ruleName", "ruleId", "evalMatches", "state"}:
        raise BadInput(f"body: {payload.found(body)}; expected {EXPECTED}; {payload.fitting(body)}")
    state = payload.word(body, "state").lower()
    if state in NO_NEWS:
        return Parsed()
    firing = state not in RESOLVED
    return Parsed(
        (
            Alert(
                source=source,
                fingerprint=_fingerprint(body, rule),
                firing=firing,
                labels=_labels(body, rule),
                annotations=_annotations(body, state),
                starts_at=now,
                ends_at=None if firing else now,
                url=payload.link(body.get("ruleUrl")),
            ),
        )
    )


def _fingerprint(body: dict[str, Any], rule: str) -> str:
    """The same for every state of a rule. The test notification has the rule 0, or one drawn by lot."""
    number = payload.word(body, "ruleId")
    if number in ("", "0"):
        return payload.fingerprint(None, {"ruleName": rule, "orgId": payload.word(body, "orgId")})
    return payload.fingerprint(f"{payload.word(body, 'orgId') or '1'}/{number}", {})


def _labels(body: dict[str, Any], rule: str) -> dict[str, str]:
    labels = payload.tags(body.get("tags"))
    if "severity" in labels:
        labels["severity"] = labels["severity"].lower()
    labels["alertname"] = rule
    if "Test notification" in payload.word(body, "title", "ruleName") or payload.word(body, "message").startswith(
        "Someone is testing the alert notification within"
    ):
        labels["tocsin_test"] = "true"
    return payload.kept(labels)


def _annotations(body: dict[str, Any], state: str) -> dict[str, str]:
    matches = body.get("evalMatches")
    values = [
        f"{payload.word(one, 'metric') or 'value'}: {payload.text(one.get('value'), 100) or 'none'}"
        for one in (matches[:MOST_MATCHES] if isinstance(matches, list) else [])
        if isinstance(one, dict)
    ]
    annotations = {
        "summary": payload.word(body, "title", "ruleName"),
        "description": payload.word(body, "message"),
        "values": payload.text(", ".join(values)),
        "state": state,
        "image": payload.link(body.get("imageUrl")),
    }
    return {name: said for name, said in annotations.items() if said}
