"""Kubernetes's own warnings about the Deployment, its ReplicaSets and its pods: failed probes, image pulls, scheduling, evictions.

The newest first, equal ones together: `BackOff ×12, last 40 s ago: Back-off restarting failed container (checkout-7d4b9-x2x)`. Source: the events of
the namespace, which clusters keep for an hour. *Permissions*: get deployments (apiGroup apps), list events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import rollout, spoken
from bot.clients.kit import Kit
from bot.clients.subject import subject_of
from bot.domain.alert import AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident
from bot.domain.naming import clipped

LONGEST_LINE = 300
_UID = re.compile(r"\([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\)")
KINDS = ("Deployment", "ReplicaSet", "Pod")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: timedelta = Field(
        default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=1), description="how long it may take"
    )
    lookback: timedelta = Field(default=timedelta(hours=1), description="how long before the alert an event matters")
    most: int = Field(default=8, ge=1, le=30, description="how many different events to show")


class Plugin:
    title = "Warnings of the cluster"

    def __init__(self, kit: Kit, params: Params) -> None:
        self._kit = kit
        self._params = params
        self.deadline = params.deadline.total_seconds()

    async def gather(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> list[Finding]:
        cluster = self._kit.cluster
        subject = await subject_of(cluster, incident, alerts)
        found = await cluster.events(subject.namespace, "type=Warning")
        since = subject.since - self._params.lookback
        grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for event in found:
            if _about(event, subject.name) and _last(event) >= since:
                grouped.setdefault((event.get("reason", ""), _generic(event)), []).append(event)
        newest = sorted(grouped.items(), key=lambda group: max(_last(event) for event in group[1]), reverse=True)
        lines = [_line(reason, events, now) for (reason, _), events in newest[: self._params.most]]
        if len(newest) > self._params.most:
            lines.append(f"… and {len(newest) - self._params.most} other kinds")
        shown = tuple(clipped(self._kit.redact(line), LONGEST_LINE) for line in lines)
        source = f"events of namespace {subject.namespace} about {subject.name}, type Warning"
        return [Finding(gatherer="events", title=self.title, lines=shown or ("none",), source=source)]


def _about(event: Mapping[str, Any], name: str) -> bool:
    """Whether it is about the Deployment or what it owns: their names begin with its name."""
    about = event.get("involvedObject") or {}
    named = str(about.get("name", ""))
    return about.get("kind") in KINDS and (named == name or named.startswith(f"{name}-"))


def _last(event: Mapping[str, Any]) -> datetime:
    series = (event.get("series") or {}).get("lastObservedTime")
    return rollout.moment(
        series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
    )


def _count(event: Mapping[str, Any]) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


def _generic(event: Mapping[str, Any]) -> str:
    """The message without the name of the object, so that the same warning of several pods is one line."""
    return _message(event).replace(str((event.get("involvedObject") or {}).get("name", "")), "…")


def _message(event: Mapping[str, Any]) -> str:
    """Without the uid that the kubelet appends to the name of a pod."""
    return _UID.sub("", str(event.get("message", "")))


def _line(reason: str, events: Sequence[Mapping[str, Any]], now: datetime) -> str:
    newest = max(events, key=_last)
    times = sum(_count(event) for event in events)
    names = sorted({str(event["involvedObject"]["name"]) for event in events})
    who = names[0] if len(names) == 1 else f"{len(names)} objects, such as {newest['involvedObject']['name']}"
    ago = spoken.roughly((now - _last(newest)).total_seconds())
    count = f" ×{times}" if times > 1 else ""
    return f"{reason}{count}, last {ago} ago: {_message(newest)} ({who})"
