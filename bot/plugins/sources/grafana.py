"""Grafana unified alerting (8 and newer), the Webhook contact point. The shape is Alertmanager's; what only Grafana says is kept as annotations.

    sources:
      grafana:
        bearer: env:GRAFANA_TOKEN      # or hmac: {secret: env:GRAFANA_SECRET} (Grafana 12 and newer), or basic

In Grafana: Alerts & IRM > Alerting > Contact points > + Add contact point; Integration: Webhook; URL:
https://tocsin.example.com/webhooks/grafana; Optional settings: Authorization Request Header, scheme Bearer, credentials: the token. Then Test,
Save, and name the contact point in a notification policy. With HMAC Signature leave "Timestamp Header" empty.

Traps: an alert whose query fails or finds nothing comes as another alert, named DatasourceError or DatasourceNoData, with the rule's own name in
the label `rulename`; `values` may be null; the group's `status`, `state` and `title` say nothing about one alert; a custom payload
(Grafana 12) must keep `alerts`. The Test button's alert gets the label tocsin_test="true".
Source: https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import HmacStyle, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import alertmanager_format, payload

AUTH = ("bearer", "basic", "hmac", "token")
HMAC = HmacStyle(header="x-grafana-alerting-signature")
METHODS = ("POST", "PUT")

EXPECTED = "an object with `alerts`, as Grafana's webhook contact point sends it"
LINKS = {"dashboard": "dashboardURL", "panel": "panelURL", "silence": "silenceURL", "image": "imageURL"}
BROKEN = {"DatasourceNoData": "its query finds no data", "DatasourceError": "its query fails"}


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alerts of one delivery. Raises BadInput when it is not one; `bad` tells of alerts that could not be read or were truncated."""
    group = payload.members(incoming.body, EXPECTED)
    if not isinstance(group.get("alerts"), list):
        raise BadInput(_not_alerts(group))
    return alertmanager_format.read(group, source, now, _more)


def _not_alerts(group: dict[str, Any]) -> str:
    wrong = f"alerts: {payload.found(group.get('alerts'))}; expected a list of alerts. The body: {payload.found(group)}"
    if "ruleName" in group or "evalMatches" in group:
        return f"{wrong}; it is Grafana's legacy alerting: use a source with `type: grafana_legacy`"
    return f"{wrong}; {payload.fitting(group)}"


def _more(item: dict[str, Any], alert: Alert) -> Alert:
    """With Grafana's values and links, which never replace an annotation that the rule has itself."""
    labels, own = dict(alert.labels), alert.annotations
    name = labels["alertname"] = labels.get("alertname") or labels.get("rulename") or "Grafana alert"
    if "severity" in labels:
        labels["severity"] = labels["severity"].strip().lower()
    if name == "TestAlert" and labels.get("instance") == "Grafana":
        labels["tocsin_test"] = "true"
    more = {"values": _values(item), **{said: payload.link(item.get(member)) for said, member in LINKS.items()}}
    if name in BROKEN:
        more["summary"] = f"{labels.get('rulename') or labels.get('rule_name') or name}: {BROKEN[name]}"
    return replace(alert, labels=labels, annotations={**{key: said for key, said in more.items() if said}, **own})


def _values(item: dict[str, Any]) -> str:
    """`A=2473545728, B=0`; of older versions, which have none, the text that they send instead."""
    values = item.get("values")
    if isinstance(values, dict) and values:
        pairs = list(values.items())[: payload.MOST_LABELS]
        return payload.text(", ".join(f"{payload.text(name, 100)}={payload.text(value, 100)}" for name, value in pairs))
    return payload.word(item, "valueString")
