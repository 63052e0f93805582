"""Argo CD Notifications: applications whose sync failed or whose health is degraded, and every deployment as a change.

    sources:
      argocd:
        bearer: env:ARGOCD_TOKEN

Argo CD sends what a template says; the ConfigMap with service, template, triggers and subscription for all applications is in
docs/sources/argocd.md. Every notification tells the whole state, of which two problems of an application are read:

    sync    fires while the last operation failed (phase Failed or Error), is over when one has succeeded
    health  fires while it is Degraded, is over when it is Healthy

Other words (Running, Progressing, Suspended, Missing, Unknown) change neither. Labels of the Application become labels (team, severity ...).
A whole Application (`{{toJson .app}}`) is read as well.
Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/notifications/services/webhook/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import ChangeEvent, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("bearer", "basic", "token")

PHASES = {"failed": "failure", "error": "failure", "succeeded": "success", "running": "in_progress"}
HEALTH_FIRES, HEALTH_ENDS = "degraded", "healthy"


class Params(BaseModel):
    """Nothing to set: the template says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class _Application:
    """What one notification says of an application: its parts as text, and the labels of both problems."""

    source: str
    key: str
    name: str
    fields: Mapping[str, Any]
    labels: Mapping[str, str]
    now: datetime

    def at(self, *names: str) -> datetime | None:
        times = (payload.not_after(payload.time(self.fields.get(name)), self.now) for name in names)
        return next((at for at in times if at is not None), None)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The problems of one application that fire or are over, and its last deployment. Raises BadInput without an application and its state."""
    body = payload.members(incoming.body, "an object with app, phase and health_status, as Tocsin's template makes it")
    fields = _fields(body)
    name = payload.word(fields, "app", "appname", "application", "name", most=payload.LONGEST_NAME)
    phase = payload.word(fields, "phase", "operationphase").lower()
    health = payload.word(fields, "healthstatus", "health").lower()
    if not name or not (phase or health or payload.word(fields, "syncstatus", "sync")):
        raise BadInput(
            f"body: {payload.found(body)}; expected app with phase, health_status or sync_status, as the template in the "
            f"documentation of this source makes them; {payload.fitting(body)}"
        )
    home = payload.word(fields, "appnamespace")
    application = _Application(source, f"{home}/{name}" if home else name, name, fields, _labels(fields, name), now)
    alerts = []
    if PHASES.get(phase) in ("failure", "success"):
        alerts.append(_sync(application, phase))
    if health in (HEALTH_FIRES, HEALTH_ENDS):
        alerts.append(_health(application, health))
    return Parsed(tuple(alerts), changes=_deployment(application, phase))


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of the template; of a whole Application the same."""
    app = payload.inner(body, "app") or body
    metadata, status = payload.inner(app, "metadata"), payload.inner(app, "status")
    if not (metadata and status):
        return payload.folded(body)
    operation, spec = payload.inner(status, "operationState"), payload.inner(app, "spec")
    sync, health, result = (
        payload.inner(status, "sync"),
        payload.inner(status, "health"),
        payload.inner(operation, "syncResult"),
    )
    destination, origin = payload.inner(spec, "destination"), payload.inner(spec, "source")
    return {
        "app": metadata.get("name"),
        "appnamespace": metadata.get("namespace"),
        "labels": metadata.get("labels"),
        "project": spec.get("project"),
        "repo": origin.get("repoURL"),
        "cluster": destination.get("name") or destination.get("server"),
        "namespace": destination.get("namespace"),
        "revision": result.get("revision") or payload.first(result.get("revisions")) or sync.get("revision"),
        "syncstatus": sync.get("status"),
        "healthstatus": health.get("status"),
        "healthmessage": health.get("message"),
        "healthsince": health.get("lastTransitionTime"),
        "phase": operation.get("phase"),
        "message": operation.get("message"),
        "startedat": operation.get("startedAt"),
        "finishedat": operation.get("finishedAt"),
        "author": payload.inner(payload.inner(operation, "operation"), "initiatedBy").get("username"),
    }


def _labels(fields: Mapping[str, Any], name: str) -> dict[str, str]:
    own = fields.get("labels")
    labels = payload.tags(own if isinstance(own, dict) else None)
    labels.setdefault("service", name)
    return labels | {
        "app": name,
        "project": payload.word(fields, "project"),
        "namespace": payload.word(fields, "namespace"),
        "cluster": payload.word(fields, "cluster"),
    }


def _sync(app: _Application, phase: str) -> Alert:
    failed = PHASES[phase] == "failure"
    at = app.at("finishedat", "startedat") or app.now
    revision = _short(payload.word(app.fields, "revision"))
    summary = f"sync of {app.name}{f' to {revision}' if revision else ''} {'failed' if failed else 'succeeded'}"
    said = {"summary": summary, "description": payload.word(app.fields, "message")}
    return _alert(app, "sync", "Argo CD sync failed", at, failed, said)


def _health(app: _Application, health: str) -> Alert:
    degraded = health == HEALTH_FIRES
    at = app.at("healthsince") or app.now
    said = {"summary": f"{app.name} is {health}", "description": payload.word(app.fields, "healthmessage")}
    return _alert(app, "health", "Argo CD health degraded", at, degraded, said)


def _alert(app: _Application, problem: str, name: str, at: datetime, firing: bool, said: Mapping[str, str]) -> Alert:
    return Alert(
        source=app.source,
        fingerprint=payload.fingerprint(f"{app.key}/{problem}", {}),
        firing=firing,
        labels=payload.kept({**app.labels, "alertname": name}),
        annotations=payload.kept(said),
        starts_at=at,
        ends_at=None if firing else at,
        url=payload.link(payload.word(app.fields, "url", "link")),
    )


def _deployment(app: _Application, phase: str) -> tuple[ChangeEvent, ...]:
    """The last operation as a change: the same one however often its state is told."""
    state = PHASES.get(phase)
    revision = payload.word(app.fields, "revision", "syncrevision", most=payload.LONGEST_FINGERPRINT)
    if state is None or not revision:
        return ()
    started = payload.word(app.fields, "startedat", most=64)
    return (
        ChangeEvent(
            source=app.source,
            key=payload.fingerprint(f"{app.key}/{revision}/{started}", {}),
            kind="deployment",
            title=f"{app.name} {_short(revision)}",
            at=app.at("finishedat", "startedat") or app.now,
            state=state,
            service=app.labels.get("service", ""),
            environment=app.labels.get("env", "") or app.labels.get("environment", ""),
            author=payload.word(app.fields, "author", most=payload.LONGEST_NAME),
            url=payload.link(payload.word(app.fields, "url", "link")),
            labels=payload.kept(
                {**app.labels, "revision": revision, "repo": payload.word(app.fields, "repo", "repourl")}
            ),
        ),
    )


def _short(revision: str) -> str:
    """A commit by its first eight digits; a chart's version as it is."""
    is_commit = len(revision) == 40 and all(digit in "0123456789abcdef" for digit in revision)
    return revision[:8] if is_commit else payload.shortened(revision)
