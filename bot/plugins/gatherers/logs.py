"""The last lines that the worst pod wrote: of the container that is in trouble, and, when it was restarted, of its run before that.

Secrets are taken out before anything else happens to the lines. Source: the pod's log. *Permissions*: get deployments (apiGroup apps),
get and list pods, get pods/log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import pods
from bot.clients.kit import Kit
from bot.clients.subject import Subject, subject_of
from bot.domain.alert import AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident
from bot.domain.naming import clipped
from bot.errors import BadInput

LONGEST_LINE = 300


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: timedelta = Field(
        default=timedelta(seconds=15), gt=timedelta(0), le=timedelta(minutes=1), description="how long it may take"
    )
    lines: int = Field(default=20, ge=1, le=200, description="how many lines of each log to show")
    most_bytes: int = Field(default=32_000, ge=1000, le=500_000, description="how much of each log to look at")


class Plugin:
    title = "Last log lines"

    def __init__(self, kit: Kit, params: Params) -> None:
        self._kit = kit
        self._params = params
        self.deadline = params.deadline.total_seconds()

    async def gather(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> list[Finding]:
        cluster = self._kit.cluster
        subject = await subject_of(cluster, incident, alerts)
        found = await cluster.pods(subject.namespace, subject.selector)
        if not found:
            raise BadInput(f"{subject.shown} has no pods, so there is no log")
        worst = max(found, key=lambda pod: (pods.trouble(pod, now).score, pod["metadata"].get("creationTimestamp", "")))
        trouble = pods.trouble(worst, now)
        name = str(worst["metadata"]["name"])
        container = trouble.container or str(worst["spec"]["containers"][0]["name"])
        findings = []
        if trouble.restarts:
            before = await self._tail(subject, name, container, previous=True)
            findings.append(self._finding(f"Log of {name} before its last restart", before, name, container))
        current = await self._tail(subject, name, container, previous=False)
        if not findings or (current.lines and current.lines != before.lines):
            findings.append(self._finding(f"Log of {name}", current, name, container))
        return findings

    async def _tail(self, subject: Subject, pod: str, container: str, *, previous: bool) -> _Tail:
        """Redacted as one text, because a private key has many lines; then cut."""
        limits = self._params
        try:
            lines = await self._kit.cluster.log_tail(
                subject.namespace,
                pod,
                container,
                lines=limits.lines,
                most_bytes=limits.most_bytes,
                previous=previous,
            )
        except BadInput as error:
            return _Tail((), str(error))
        clean = self._kit.redact("\n".join(lines)).splitlines()
        return _Tail(tuple(clipped(line, LONGEST_LINE) for line in clean))

    def _finding(self, title: str, tail: _Tail, pod: str, container: str) -> Finding:
        source = f"pod {pod}, container {container}, the last {self._params.lines} lines"
        missing = tail.missing or ("" if tail.lines else "it has written nothing")
        return Finding(gatherer="logs", title=title, lines=tail.lines, code=True, source=source, missing=missing)


class _Tail:
    """The end of a log, or why there is none."""

    def __init__(self, lines: tuple[str, ...], missing: str = "") -> None:
        self.lines = lines
        self.missing = missing
