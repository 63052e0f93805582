"""The list of alerts as Alertmanager sends it, which Grafana's unified alerting sends as well. Used by plugins/sources.

Every alert stands for itself: its own `status` counts, not the group's. A missing fingerprint is computed from the labels, a
missing `startsAt` is the time of arrival, times in the future count as now, and an alert that cannot be read costs only itself.
Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from bot.domain.alert import Alert
from bot.domain.incoming import Parsed
from bot.errors import BadInput
from bot.plugins import payload

More = Callable[[dict[str, Any], Alert], Alert]


def read(group: dict[str, Any], source: str, now: datetime, more: More | None = None) -> Parsed:
    """The alerts of one delivery, whose `alerts` is a list. `more` adds what only this sender says: (item as it came, alert) -> alert."""

    def one(item: Any, path: str) -> Alert:
        alert = _alert(item, path, source, group.get("status"), now)
        return more(item, alert) if more is not None else alert

    return payload.collected(group["alerts"], one, "alerts", left_out=_count(group.get("truncatedAlerts")))


def _alert(item: Any, path: str, source: str, group_status: Any, now: datetime) -> Alert:
    if not isinstance(item, dict):
        raise BadInput(f"{path}: {payload.found(item)}; expected an object with status and labels")
    labels, lost = payload.texts(item.get("labels"), f"{path}.labels")
    annotations, lost_too = payload.texts(item.get("annotations"), f"{path}.annotations")
    if lost or lost_too:
        annotations["clipped"] = (
            f"{lost} labels and {lost_too} annotations more than {payload.MOST_LABELS} were left out"
        )
    starts_at = payload.not_after(payload.time(item.get("startsAt")), now)
    ends_at = payload.time(item.get("endsAt"))
    firing = _firing(item.get("status"), group_status, ends_at, path, now)
    if firing or starts_at is None or (ends_at is not None and ends_at < starts_at):
        ends_at = None  # without a start that it follows, an end puts nothing in order
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(item.get("fingerprint"), labels),
        firing=firing,
        labels=labels,
        annotations=annotations,
        starts_at=starts_at or now,
        ends_at=payload.not_after(ends_at, now),
        url=payload.link(item.get("generatorURL")),
    )


def _firing(status: Any, group_status: Any, ends_at: datetime | None, path: str, now: datetime) -> bool:
    """By its own status; without one by its end; without that by the group's. When nothing says that it is over, it fires."""
    if status in (None, ""):
        if ends_at is not None:
            return ends_at > now
        return not (isinstance(group_status, str) and group_status.lower() == "resolved")
    known = status.lower() if isinstance(status, str) else ""
    if known not in ("firing", "resolved"):
        raise BadInput(f'{path}.status: {payload.found(status)}; expected "firing" or "resolved"')
    return known == "firing"


def _count(value: Any) -> int:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else 0
