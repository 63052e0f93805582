"""Prometheus Alertmanager, webhook version 4. Grafana's unified alerting is read as well; `grafana` also keeps what only Grafana says.

    receivers:
      - name: tocsin
        webhook_configs:
          - url: https://tocsin.example.com/webhooks/alertmanager
            send_resolved: true
            http_config: {authorization: {credentials_file: /etc/alertmanager/tocsin.token}}

Every alert stands for itself: its own `status` counts, not the group's. A missing fingerprint is computed from the labels, a
missing `startsAt` is the time of arrival, times in the future count as now, and an alert that cannot be read costs only itself.
Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import alertmanager_format, payload

VERSION = "4"


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alerts of one delivery. Raises BadInput when it is not one; `bad` tells of alerts that could not be read or were truncated."""
    group = payload.load(incoming.body)
    if not isinstance(group, dict):
        raise BadInput(f"body: {payload.found(group)}; expected an object with `alerts`, as Alertmanager sends it")
    items = group.get("alerts")
    if not isinstance(items, list):
        raise BadInput(_not_alerts(group, items))
    return alertmanager_format.read(group, source, now)


def _not_alerts(group: dict[str, Any], items: Any) -> str:
    wrong = f"alerts: {payload.found(items)}; expected a list of alerts"
    version = payload.text(group.get("version"), 60)
    if version and version != VERSION:
        return f'{wrong}. version: found "{version}", the nearest supported one is "{VERSION}"'
    keys = ", ".join(payload.shortened(key) for key in list(group)[:8]) or "nothing"
    return f"{wrong}. The body has {keys}; a body of another shape needs a source with `type: generic`"
