"""UptimeRobot: its web-hook notifications, as a query (GET or POST), a form or JSON.

    sources:
      uptimerobot:
        token: env:UPTIMEROBOT_TOKEN   # in the address: /webhooks/uptimerobot/<token>? ; or bearer, where custom headers can be set

In UptimeRobot: Integrations & API > Webhook > Add; the address with the token and a `?` at its end, "Send as query string" (the default
variables), or "Send as JSON" with

    {"monitorID": "*monitorID*", "monitorFriendlyName": "*monitorFriendlyName*", "monitorURL": "*monitorURL*", "alertType": "*alertType*",
     "alertTypeFriendlyName": "*alertTypeFriendlyName*", "alertDetails": "*alertDetails*", "alertDuration": "*alertDuration*",
     "alertDateTime": "*alertDateTime*", "sslExpiryDate": "*sslExpiryDate*", "sslExpiryDaysLeft": "*sslExpiryDaysLeft*"}

Traps: as a GET it changes something here all the same, so keep the address to yourself (a preview of the link would be an alert).
A certificate (type 3) or a domain that runs out is a problem of its own, of severity warning, and UptimeRobot never says that it is over.
Source: https://help.uptimerobot.com/en/articles/14498593-webhook-integration
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("token", "bearer", "basic")
METHODS = ("GET", "POST")

DOWN, UP, SSL, DOMAIN = "1", "2", "3", "domain"
_WORDS = {"down": DOWN, "up": UP, "ssl": SSL, "domain": DOMAIN}
_EXPIRES = {SSL: ("ssl", "certificate"), DOMAIN: ("domain", "domain")}
_LONGEST_OUTAGE = 10 * 366 * 86400  # seconds; a duration beyond it is none
_UNFILLED = re.compile(r"\*\w{1,60}\*")


class Params(BaseModel):
    """Nothing to set: the variables say everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alert of one notification. Raises BadInput when it names no monitor."""
    given = payload.fields(incoming, "monitorID, monitorFriendlyName and alertType, as UptimeRobot sends them")
    fields = {
        name: value
        for name, value in payload.folded(given).items()
        if not (isinstance(value, str) and _UNFILLED.fullmatch(value.strip()))
    }
    monitor = payload.word(fields, "monitorid", "id")
    address = payload.word(fields, "monitorurl", "url")
    name = payload.word(fields, "monitorfriendlyname", "monitor", "name", most=payload.LONGEST_NAME) or address
    if not name and not (monitor and "monitorid" in fields):
        raise BadInput(
            f"body: {payload.found(given)}; expected monitorID, monitorFriendlyName and alertType; {payload.fitting(given)}"
        )
    kind = _kind(fields)
    problem, _ = _EXPIRES.get(kind, ("", ""))
    labels = {
        "alertname": name or f"monitor {monitor}",
        "monitor_id": monitor,
        "monitor_url": address,
        "severity": "warning" if problem else "",
        "problem": problem,
        "tocsin_test": "true" if payload.word(fields, "alerttypefriendlyname").lower() == "test" else "",
    }
    started, ended = _times(fields, kind, now)
    identity = {"alertname": labels["alertname"], "monitor_url": address, "problem": problem}
    return Parsed(
        (
            Alert(
                source=source,
                fingerprint=payload.fingerprint(f"{monitor}/{problem}" if monitor and problem else monitor, identity),
                firing=kind != UP,
                labels=payload.kept(payload.tags(fields.get("monitortags")) | labels),
                annotations=_annotations(fields, labels["alertname"], kind),
                starts_at=started,
                ends_at=ended,
                url=payload.link(
                    f"https://dashboard.uptimerobot.com/monitors/{monitor}" if monitor.isdigit() else address
                ),
            ),
        )
    )


def _kind(fields: Mapping[str, Any]) -> str:
    """Down, up, or what runs out, by its number or its words; what is unknown counts as down."""
    said = payload.word(fields, "alerttype", "type", "status").lower()
    if said in (DOWN, UP, SSL):
        return said
    words = said if said and not said.isdigit() else payload.word(fields, "alerttypefriendlyname").lower()
    return next((kind for word, kind in _WORDS.items() if words.startswith(word)), DOWN)


def _times(fields: Mapping[str, Any], kind: str, now: datetime) -> tuple[datetime, datetime | None]:
    """When it began and ended: an up says when it ended and how many seconds it took."""
    at = payload.not_after(payload.time(payload.word(fields, "alertdatetime", "datetime")), now)
    if kind != UP:
        return at or now, None
    ended = at or now
    seconds = payload.word(fields, "alertduration")
    if seconds.isascii() and seconds.isdigit() and len(seconds) < 12 and int(seconds) < _LONGEST_OUTAGE:
        return ended - timedelta(seconds=int(seconds)), ended
    return ended, ended


def _annotations(fields: Mapping[str, Any], name: str, kind: str) -> dict[str, str]:
    details = payload.word(fields, "alertdetails")
    days = payload.word(fields, "sslexpirydaysleft")
    expiry = payload.word(fields, "sslexpirydate")
    if kind in _EXPIRES:
        what = _EXPIRES[kind][1]
        left = f" in {days} days" if days else ""
        when = f" ({expiry})" if expiry else ""
        return payload.kept({"summary": f"the {what} of {name} runs out{left}{when}", "description": details})
    state = "up" if kind == UP else "down"
    return payload.kept({"summary": f"{name} is {state}" + (f": {details}" if details else ""), "description": details})
