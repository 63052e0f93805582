"""Pingdom: uptime and transaction checks, through its webhook integration.

    sources:
      pingdom:
        token: env:PINGDOM_TOKEN   # in the address: /webhooks/pingdom/<token>

In Pingdom: Integrations > Integrations > Add integration, type Webhook, the address with the token (Pingdom can send no headers of its own);
then choose the integration in each check under "Connect integrations". A check is one problem; UP (a transaction: SUCCESS) ends it.
The importance of a check (HIGH, LOW) becomes the severity (critical, warning); a tag `severity:error` counts more.
Source: https://docs.pingdom.com/api/ and https://www.pingdom.com/resources/webhooks/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("token", "basic")

RESOLVED = frozenset({"up", "success", "successful", "ok"})
SEVERITIES = {"high": "critical", "low": "warning"}
_TRANSACTIONS = frozenset({"transaction", "script", "recording", "tms"})


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alert of one change of state. Raises BadInput when the body is not Pingdom's."""
    body = payload.members(incoming.body, "an object with check_id and current_state, as Pingdom sends it")
    check = payload.word(body, "check_id", "checkid")
    name = payload.word(body, "check_name", "check", most=payload.LONGEST_NAME)
    if not check and not name:
        raise BadInput(
            f"body: {payload.found(body)}; expected check_id, check_name and current_state; {payload.fitting(body)}"
        )
    state = payload.word(body, "current_state").lower()
    firing = state not in RESOLVED
    changed = payload.time(body.get("state_changed_timestamp")) or payload.time(body.get("state_changed_utc_time"))
    started, ended = payload.span(changed, changed, now, firing=firing)
    kind = payload.word(body, "check_type")
    labels = _labels(body, kind, name or f"Pingdom check {check}")
    page = "transaction" if kind.lower() in _TRANSACTIONS else "uptime"
    url = f"https://my.pingdom.com/app/reports/{page}#check={check}" if check.isdigit() else ""
    return Parsed(
        (
            Alert(
                source=source,
                fingerprint=payload.fingerprint(check, {"alertname": labels["alertname"]}),
                firing=firing,
                labels=payload.kept(labels),
                annotations=_annotations(body, labels["alertname"], state),
                starts_at=started,
                ends_at=ended,
                url=payload.link(url),
            ),
        )
    )


def _labels(body: Mapping[str, Any], kind: str, name: str) -> dict[str, str]:
    labels = payload.tags(body.get("tags"))
    importance = payload.word(body, "importance_level").lower()
    labels.setdefault("severity", SEVERITIES.get(importance, importance))
    return labels | {
        "alertname": name,
        "check_type": kind.lower(),
        "host": payload.word(payload.inner(body, "check_params"), "hostname", "host"),
        "tocsin_test": "true" if payload.word(body, "check_id") == "0" else "",
    }


def _annotations(body: Mapping[str, Any], name: str, state: str) -> dict[str, str]:
    address = payload.word(payload.inner(body, "check_params"), "full_url", "url")
    probes = [payload.word(payload.inner(body, probe), "location") for probe in ("first_probe", "second_probe")]
    seen = ", ".join(filter(None, probes))
    parts = (payload.word(body, "long_description"), payload.word(body, "custom_message"), address)
    reason = payload.word(body, "description")
    shown = {"": "in an unknown state", "success": "successful"}.get(state, state)
    summary = f"{name} is {shown}" + (f": {reason}" if reason else "")
    description = "\n".join(filter(None, (*parts, f"seen from {seen}" if seen else "")))
    return payload.kept({"summary": summary, "description": description})
