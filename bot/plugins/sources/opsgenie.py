"""Opsgenie's alert API, answered by Tocsin: whatever creates and closes alerts in Opsgenie does so here by changing one address.

    sources:
      opsgenie:
        key: env:TOCSIN_GENIE_KEY      # what senders call the API key (`Authorization: GenieKey <key>`); or a token in the address

Instead of https://api.opsgenie.com senders are given https://tocsin.example.com/webhooks/opsgenie (Alertmanager: `opsgenie_api_url`, with a slash
at the end; Grafana: "Alert API URL", which ends in /v2/alerts).

Create fires; close and delete resolve; acknowledge acknowledges. Everything else that changes an alert (notes, tags, responders, snooze,
message, description, priority) and heartbeats are answered as Opsgenie does and change nothing. Reading alerts is not offered, except
GET v2/alerts/requests/<id>.

Opsgenie answers at once with a requestId, and tells the alert's id later. Here both are one UUID, computed from the alias alone, and that UUID is
the fingerprint: close by alias, close by id and the status of a request all find the same problem with nothing remembered in between. An
alert without an alias has one computed from message, entity and source: the same alert twice is one problem (Opsgenie opens two).
An identifier that is no UUID is taken as an alias even when the sender forgot identifierType=alias. Tiny ids do not exist here.
An alert without priority is P3, as in Opsgenie, unless its details have a severity.
Source: https://docs.opsgenie.com/docs/alert-api (alerts) and https://docs.opsgenie.com/docs/heartbeat-api
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, KeyPlace, Parsed
from bot.errors import BadInput
from bot.plugins import opsgenie_format, payload

AUTH = ("key", "token", "bearer")
KEY = KeyPlace(header="authorization", scheme="GenieKey")
METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE")

DEFAULT_PRIORITY = "P3"
TOOK = 0.001
LONGEST_ALIAS = 100_000  # a longer one is not known by all of it; Opsgenie takes 512
CHANGES_NOTHING = frozenset(
    {"unacknowledge", "snooze", "escalate", "assign", "notes", "responders", "teams", "tags", "details", "actions"}
    | {"message", "description", "priority", "attachments"}
)
ACTIONS = CHANGES_NOTHING | {"close", "acknowledge"}
_ALIASES = uuid.UUID("5a8f3a52-9f0d-5d0b-8d3e-6f1b7c2e4a90")  # the name space of aliases: never to be changed


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """What one request asks for, with the answer that Opsgenie would give. Raises BadInput for what is not offered and what cannot be read."""
    parts = incoming.path.strip("/").split("/")
    if "heartbeats" in parts[:6] and "alerts" not in parts[:2]:
        return _accepted(_alert_id("/".join(parts)), "PONG - Heartbeat received")
    rest = _after_alerts(parts)
    if incoming.method == "GET":
        return _read(rest, now)
    if not rest:
        return _created(incoming, source, now)
    identifier, action = _split(rest)
    if not action and incoming.method != "DELETE":
        raise BadInput(
            f'path: found "{payload.shortened("/".join(rest))}"; expected v2/alerts, or v2/alerts/<identifier>/ and close, '
            f"acknowledge or another action ({', '.join(sorted(CHANGES_NOTHING))})"
        )
    alert_id = _identified(identifier, incoming)
    if action in CHANGES_NOTHING:
        return _accepted(alert_id)
    body = _optional(incoming)
    by = payload.word(body, "user", "source", most=payload.LONGEST_NAME)
    if action == "acknowledge":
        return _accepted(alert_id, acknowledged=(Acknowledged(alert_id, by),))
    return _accepted(alert_id, alerts=(_over(body, identifier, alert_id, source, now),))


# ------------------------------------------------------------------------------------------------ which alert


def _after_alerts(parts: list[str]) -> list[str]:
    """What follows `v2/alerts`; an address that was configured without it means the same."""
    if "alerts" in parts[:6]:
        return parts[parts.index("alerts") + 1 :]
    return parts[1:] if parts[0] in ("v2", "") else parts


def _split(rest: list[str]) -> tuple[str, str]:
    """The identifier, which may have slashes in it, and the action behind it: `a/b/close`, `id/tags`, `id/actions/restart`."""
    for at in (len(rest) - 1, len(rest) - 2):
        if at > 0 and rest[at].lower() in ACTIONS:
            return "/".join(rest[:at]), rest[at].lower()
    return "/".join(rest), ""


def _identified(identifier: str, incoming: Incoming) -> str:
    kind = next((value for name, value in incoming.query.items() if name.lower() == "identifiertype"), "id").lower()
    if kind == "tiny":
        raise BadInput(
            f'identifierType: found "tiny" ({payload.shortened(identifier)}); expected id or alias: alerts have no tiny id here'
        )
    return identifier.lower() if kind != "alias" and _is_id(identifier) else _alert_id(identifier)


def _is_id(identifier: str) -> bool:
    try:
        return str(uuid.UUID(identifier)) == identifier.lower()
    except ValueError:
        return False


def _alert_id(alias: str) -> str:
    return str(uuid.uuid5(_ALIASES, alias.strip().encode("utf-8", "replace").decode()))


# ------------------------------------------------------------------------------------------------ the requests


def _created(incoming: Incoming, source: str, now: datetime) -> Parsed:
    body = payload.members(incoming.body, "an object with message and alias, as Opsgenie's alert API takes it")
    if payload.inner(body, "alert"):
        raise BadInput(f"body: {payload.found(body)}; an Opsgenie webhook needs a source with `type: opsgenie_webhook`")
    name = payload.word(body, "message") or payload.word(body, "alias", "description", "entity")
    if not name:
        said = payload.found(body.get("message"))
        raise BadInput(f"message: {said}; expected a text. The body: {payload.found(body)}; {payload.fitting(body)}")
    labels = opsgenie_format.labels(body, payload.text(name, payload.LONGEST_NAME))
    labels.setdefault("severity", opsgenie_format.severity(DEFAULT_PRIORITY))
    alias = payload.word(body, "alias", most=LONGEST_ALIAS)
    alert_id = _alert_id(alias or "\n".join(("", name, payload.word(body, "entity"), payload.word(body, "source"))))
    alert = Alert(
        source=source,
        fingerprint=alert_id,
        firing=True,
        labels=labels,
        annotations=opsgenie_format.notes(body) | ({"alias": payload.text(alias)} if alias else {}),
        starts_at=now,
        url=opsgenie_format.link(body),
    )
    return _accepted(alert_id, alerts=(alert,))


def _over(body: dict[str, Any], identifier: str, alert_id: str, source: str, now: datetime) -> Alert:
    annotations = {"note": payload.word(body, "note"), "closed_by": payload.word(body, "user")}
    return Alert(
        source=source,
        fingerprint=alert_id,
        firing=False,
        labels={"alertname": payload.text(identifier, payload.LONGEST_NAME)},
        annotations={key: said for key, said in annotations.items() if said},
        starts_at=now,
        ends_at=now,
    )


def _read(rest: list[str], now: datetime) -> Parsed:
    if len(rest) == 2 and rest[0].lower() == "requests" and _is_id(rest[1]):
        request = rest[1].lower()
        data = {"success": True, "isSuccess": True, "action": "Create", "status": "Processed", "integrationId": ""}
        data |= {"processedAt": f"{now:%Y-%m-%dT%H:%M:%S}Z", "alertId": request}
        return Parsed(reply={"data": data, "took": TOOK, "requestId": request})
    raise BadInput(
        f'GET: found "{payload.shortened("/".join(rest)) or "v2/alerts"}"; expected v2/alerts/requests/<requestId>: '
        "alerts cannot be read here; in Slack, `/incident list` and `/incident why` show them"
    )


def _optional(incoming: Incoming) -> dict[str, Any]:
    """The body of a close or acknowledge, which many senders leave away."""
    if not incoming.body.strip():
        return {}
    body = payload.load(incoming.body)
    return body if isinstance(body, dict) else {}


def _accepted(
    alert_id: str,
    result: str = "Request will be processed",
    *,
    alerts: tuple[Alert, ...] = (),
    acknowledged: tuple[Acknowledged, ...] = (),
) -> Parsed:
    reply = {"result": result, "took": TOOK, "requestId": alert_id}
    return Parsed(alerts, acknowledged=acknowledged, status=202, reply=reply)
