"""Zabbix: problems of triggers, through a media type of the kind webhook (script and parameters: docs/sources/zabbix.md).

    sources:
      zabbix:
        bearer: env:ZABBIX_TOKEN
        identity: event      # or trigger: every problem of a trigger is the same one

The script sends its parameters as JSON: event_id {EVENT.ID}, trigger_id {TRIGGER.ID}, event_value {EVENT.VALUE}, event_update_status
{EVENT.UPDATE.STATUS}, event_update_action {EVENT.UPDATE.ACTION}, ack {EVENT.ACK.STATUS}, user {USER.FULLNAME}, severity {EVENT.SEVERITY},
nseverity {EVENT.NSEVERITY}, name {EVENT.NAME}, host {HOST.NAME}, tags {EVENT.TAGSJSON}, url ...

{EVENT.ID} is the problem's own in its recovery as well, so a recovery finds its problem. With `identity: trigger` flapping is seen over
several problems; choose it only when triggers have one problem at a time (Problem event generation mode: Single).
Source: https://www.zabbix.com/documentation/current/en/manual/config/notifications/media/webhook
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("bearer", "basic", "token")

RESOLVED = frozenset({"0", "ok", "resolved", "recovery", "recovered"})
SEVERITIES = {
    "disaster": "critical",
    "high": "error",
    "average": "warning",
    "warning": "warning",
    "information": "info",
}
_NUMBERED = {"5": "critical", "4": "error", "3": "warning", "2": "warning", "1": "info"}
_MACRO = re.compile(r"\{[$?]?[A-Z][A-Z0-9_.]{1,80}\}|\*UNKNOWN\*")


class Params(BaseModel):
    """`identity`: what counts as one problem, the event (each time anew) or the trigger."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    identity: Literal["event", "trigger"] = "event"


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The problem, recovery or update of one notification. Raises BadInput when it has neither an event nor a trigger."""
    body = payload.members(incoming.body, "an object with event_id, event_value and name, as the media type sends it")
    folded = payload.folded(body)
    fields = {name: value for name, value in folded.items() if not _unknown(value)}
    event = payload.word(fields, "eventid")
    trigger = payload.word(fields, "triggerid")
    name = payload.word(fields, "name", "eventname", "trigger", "triggername", "subject", most=payload.LONGEST_NAME)
    test = _unknown(folded.get("eventid")) and not event
    if not (event or trigger or name or test):
        raise BadInput(
            f"body: {payload.found(body)}; expected event_id, event_value and name, as the media type in the "
            f"documentation of this source sends them; {payload.fitting(body)}"
        )
    labels = _labels(fields, name or "Zabbix problem", test)
    own = (trigger or event) if params.identity == "trigger" else (event or trigger)
    identity = {key: labels[key] for key in ("alertname", "host")}
    fingerprint = payload.fingerprint(own, identity)
    firing = (
        payload.word(fields, "eventvalue", "value", "status", "eventstatus", "triggerstatus").lower() not in RESOLVED
    )
    if payload.word(fields, "eventupdatestatus", "updatestatus") == "1":
        action = payload.word(fields, "eventupdateaction", "updateaction").lower()
        acknowledged = _acknowledged(fields, fingerprint, action)
        if not (firing and "severity" in action):
            return Parsed(acknowledged=acknowledged)
    else:
        acknowledged = ()
    # Zabbix's other dates have no zone.
    began, over = payload.time(fields.get("eventtimestamp")), payload.time(fields.get("recoverytimestamp"))
    started, ended = payload.span(began, over, now, firing=firing)
    alert = Alert(
        source=source,
        fingerprint=fingerprint,
        firing=firing,
        labels=payload.kept(labels),
        annotations=_annotations(fields, labels),
        starts_at=started,
        ends_at=ended,
        url=payload.link(payload.word(fields, "url", "link", "eventurl")),
    )
    return Parsed((alert,), acknowledged=acknowledged)


def _unknown(value: Any) -> bool:
    """A macro that Zabbix had no value for; all of them, when the media type's own test is run."""
    return isinstance(value, str) and _MACRO.fullmatch(value.strip()) is not None


def _acknowledged(fields: Mapping[str, Any], fingerprint: str, action: str) -> tuple[Acknowledged, ...]:
    """An update that acknowledges. Without the words of what was done the state of the problem has to do."""
    is_so = payload.word(fields, "ack", "eventack", "eventackstatus", "ackstatus").lower() in ("yes", "1", "true")
    done = "acknowledged" in action.replace("unacknowledged", "") if action else is_so
    return (Acknowledged(fingerprint, payload.word(fields, "user", "updateuser", "userfullname")),) if done else ()


def _labels(fields: Mapping[str, Any], name: str, test: bool) -> dict[str, str]:
    given: Any = fields.get("tags", fields.get("eventtags"))
    if isinstance(given, str) and given.lstrip().startswith("["):
        try:
            given = payload.load(given.encode())
        except BadInput:
            given = None
    labels = payload.tags(given)
    number = payload.word(fields, "nseverity", "eventnseverity")
    word = payload.word(fields, "severity", "eventseverity", "triggerseverity").lower()
    return labels | {
        "alertname": name,
        "severity": _NUMBERED.get(number) or SEVERITIES.get(word, word),
        "host": payload.word(fields, "host", "hostname"),
        "hostgroup": payload.word(fields, "hostgroup", "hostgroups", "triggerhostgroupname"),
        "trigger_id": payload.word(fields, "triggerid"),
        "tocsin_test": "true" if test else "",
    }


def _annotations(fields: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    host = labels["host"]
    on_host = f" on {host}" if host and host not in labels["alertname"] else ""
    return payload.kept(
        {
            "summary": labels["alertname"] + on_host,
            "description": payload.word(fields, "message", "description", "item"),
            "operational_data": payload.word(fields, "opdata", "eventopdata"),
        }
    )
