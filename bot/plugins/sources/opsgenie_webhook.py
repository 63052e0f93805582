"""Opsgenie's outgoing webhook (and Jira Service Management's, which has the same body): what happens to its alerts happens here as well.

    sources:
      opsgenie-webhook:
        type: opsgenie_webhook
        bearer: env:OPSGENIE_WEBHOOK_TOKEN
        app: https://app.eu.opsgenie.com       # where the alerts can be looked at; default https://app.opsgenie.com

In Opsgenie: Settings > Integrations > Add integration > Webhook; Webhook URL: https://tocsin.example.com/webhooks/opsgenie-webhook; under Custom
Headers add Authorization: Bearer <token>; tick "Add alert description" and "Add alert details"; enable the alert actions created, acknowledged,
unacknowledged, closed, deleted and priority updated; Turn on integration.

Create, UnAcknowledge and UpdatePriority fire; Close and Delete resolve; Acknowledge acknowledges; notes, tags, owners, escalations, snoozes and
custom actions change nothing. The problem is the `alertId`: it is in every delivery, which the alias is not.
Traps: createdAt is in milliseconds, updatedAt a 19-digit number of nanoseconds; priority is `P3` or the number 3; Escalate has an alert with
nothing but its id.
Source: https://support.atlassian.com/opsgenie/docs/integrate-opsgenie-with-webhook/
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import opsgenie_format, payload

AUTH = ("bearer", "basic", "token")

EXPECTED = "an object with action and alert, as Opsgenie's webhook sends it"
FIRES = frozenset({"", "create", "unacknowledge", "updatepriority"})  # without an action nothing says that it is over
RESOLVES = frozenset({"close", "delete"})


class Params(BaseModel):
    """`app`: where the alerts can be looked at, without a slash at the end; empty for no links."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    app: str = "https://app.opsgenie.com"


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """What one action says of an alert: an alert, an acknowledgement, or nothing. Raises BadInput when it is no such action."""
    body = payload.members(incoming.body, EXPECTED)
    alert = payload.inner(body, "alert")
    if not alert:
        raise BadInput(_not_an_action(body))
    action = payload.word(body, "action").lower()
    if action not in FIRES | RESOLVES | {"acknowledge"}:
        return Parsed()
    if not payload.word(alert, "alertId", "id", "alias", "tinyId", "message"):
        raise BadInput(f"alert.alertId: {payload.found(alert.get('alertId'))}; expected the id of the alert")
    if action == "acknowledge":
        by = payload.word(alert, "username", "user", most=payload.LONGEST_NAME)
        return Parsed(acknowledged=(Acknowledged(_fingerprint(alert), by),))
    return Parsed((_alert(alert, source, params, now, firing=action in FIRES),))


def _not_an_action(body: dict[str, Any]) -> str:
    wrong = f"alert: {payload.found(body.get('alert'))}; expected the alert as an object"
    if "message" in body and "action" not in body:
        return f"{wrong}. This is a request to Opsgenie's alert API: use a source with `type: opsgenie`"
    return f"{wrong}. The body: {payload.found(body)}; {payload.fitting(body)}"


def _fingerprint(alert: dict[str, Any]) -> str:
    given = payload.word(alert, "alertId", "id", "alias", "tinyId", most=payload.LONGEST_URL)
    return payload.fingerprint(given, {"message": payload.word(alert, "message")})


def _alert(alert: dict[str, Any], source: str, params: Params, now: datetime, *, firing: bool) -> Alert:
    updated = payload.not_after(payload.time(alert.get("updatedAt")), now)
    starts_at = payload.not_after(payload.time(alert.get("createdAt")), now) or updated or now
    name = payload.word(alert, "message", "alias", "alertId", "id", most=payload.LONGEST_NAME)
    alert_id = payload.word(alert, "alertId", "id", most=payload.LONGEST_FINGERPRINT)
    alias = payload.word(alert, "alias")
    address = payload.link(f"{params.app}/alert/detail/{quote(alert_id, safe='')}/details") if alert_id else ""
    return Alert(
        source=source,
        fingerprint=_fingerprint(alert),
        firing=firing,
        labels=opsgenie_format.labels(alert, name),
        annotations=opsgenie_format.notes(alert) | ({"alias": alias} if alias else {}),
        starts_at=starts_at,
        ends_at=None if firing else max(starts_at, updated or now),
        url=address or opsgenie_format.link(alert),
    )
