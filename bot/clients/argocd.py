"""Argo CD's HTTP API, and what its Application objects say. Used by the actions argocd.sync and argocd.rollback.

Formats: `/api/v1/applications` in assets/swagger.json of github.com/argoproj/argo-cd (2.4 to 3.x), the Application type in its
pkg/apis/application/v1alpha1/types.go, and what the server refuses in server/application/application.go. A sync or a rollback is an *operation*:
the request only asks for it, `operation` and `status.operationState` tell what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import rollout
from bot.clients.api import Answer, Api, Server, host, segment
from bot.clients.earlier import Version
from bot.clients.http import Http
from bot.domain.naming import clipped
from bot.domain.plan import Target
from bot.domain.ports import Redact
from bot.errors import TryLater

RUNNING, FAILED = ("Running", "Terminating"), ("Failed", "Error")
WELL = ("Healthy", "Suspended")
MOST_HISTORY, MOST_RESOURCES, MOST_IMAGES = 30, 10, 5
LONGEST_REVISION, LONGEST_MESSAGE = 100, 300

Source = Mapping[str, Any]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class OfApplication(BaseModel):
    """The parameters that name the application."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Server = Field(description="address of Argo CD: https://argocd.example.com")
    app: Name = Field(description="the name of the Application")
    namespace: str = Field(
        default="",
        pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
        description="the namespace of the Application object, when that is not Argo CD's own",
    )
    prune: bool = Field(default=False, description="delete what is no longer in Git")

    @property
    def shown(self) -> str:
        return f"Argo CD application {self.app}"

    def target(self, action: str) -> Target:
        where = host(self.server)
        return Target(action=action, name=self.app, host=where, lock=f"{where}/argocd/{self.namespace}/{self.app}")


# ------------------------------------------------------------------------------------------------ the answers


class _Automated(Answer):
    enabled: bool | None = None


class _SyncPolicy(Answer):
    automated: _Automated | None = None


class _Spec(Answer):
    source: Source | None = None
    sources: tuple[Source, ...] | None = None
    sync_policy: _SyncPolicy | None = Field(default=None, alias="syncPolicy")


class _Sync(Answer):
    status: str = "Unknown"
    revision: str = ""
    revisions: tuple[str, ...] | None = None


class _Deployed(Answer):
    """A line of `status.history`, or the result of an operation."""

    id: int = 0
    revision: str = ""
    revisions: tuple[str, ...] | None = None
    source: Source | None = None
    sources: tuple[Source, ...] | None = None
    deployed_at: datetime | None = Field(default=None, alias="deployedAt")

    @property
    def text(self) -> str:
        return _revision(self.revision, self.revisions)

    @property
    def kind(self) -> str:
        """The same for two deployments of the same revision of the same source."""
        sources = [without_nothing(one) for one in (self.sources or (self.source or {},))]
        return rollout.digest([self.text, sources])

    @property
    def images(self) -> tuple[str, ...]:
        """The images that the source sets by Kustomize; nothing is known of others."""
        each = self.sources or (self.source or {},)
        return tuple(str(image) for one in each for image in (one.get("kustomize") or {}).get("images") or ())


class _Asked(Answer):
    """Only a rollback brings the sources to use along (the server's Rollback)."""

    dry_run: bool = Field(default=False, alias="dryRun")
    source: Source | None = None
    sources: tuple[Source, ...] | None = None


class _Operation(Answer):
    sync: _Asked | None = None


class _OperationState(Answer):
    phase: str = ""
    message: str = ""
    operation: _Operation = _Operation()
    finished_at: datetime | None = Field(default=None, alias="finishedAt")
    sync_result: _Deployed | None = Field(default=None, alias="syncResult")


class _Resource(Answer):
    kind: str = ""
    name: str = ""
    namespace: str = ""
    status: str = ""
    requires_pruning: bool = Field(default=False, alias="requiresPruning")

    @property
    def text(self) -> str:
        return f"{self.kind} {'/'.join(part for part in (self.namespace, self.name) if part)}"


class _Health(Answer):
    status: str = "Unknown"
    message: str = ""


class _Summary(Answer):
    images: tuple[str, ...] | None = None


class _Condition(Answer):
    type: str = ""
    message: str = ""


class _Status(Answer):
    sync: _Sync = _Sync()
    health: _Health = _Health()
    history: tuple[_Deployed, ...] | None = None
    resources: tuple[_Resource, ...] | None = None
    conditions: tuple[_Condition, ...] | None = None
    summary: _Summary = _Summary()
    operation_state: _OperationState | None = Field(default=None, alias="operationState")


class Application(Answer):
    """What is read of an Application object."""

    spec: _Spec = _Spec()
    operation: _Operation | None = None
    status: _Status = _Status()


# ------------------------------------------------------------------------------------------------ requests


class ArgoCd:
    """One Argo CD server."""

    def __init__(self, http: Http, params: OfApplication) -> None:
        self._api = Api(http, "Argo CD", params.server)
        self._params = params

    async def application(self, *, refresh: bool = False) -> Application:
        """`refresh`: it compares with Git first, and answers when it has."""
        query = [("appNamespace", self._params.namespace)] if self._params.namespace else []
        if refresh:
            query.append(("refresh", "normal"))
        return await self._api.read(Application, f"/api/v1/applications/{segment(self._params.app)}", query)

    async def ask_for(self, what: str, request: Mapping[str, Any], key: str) -> None:
        """`sync` or `rollback`: returns when the operation is accepted, long before it is done."""
        named = {"name": self._params.app, **request}
        if self._params.namespace:
            named["appNamespace"] = self._params.namespace
        await self._api.ask("POST", f"/api/v1/applications/{segment(self._params.app)}/{what}", body=named, key=key)


# ------------------------------------------------------------------------------------------------ the state


class Entry(Version):
    """A deployment of an application; `number` is its history id."""

    revision: str
    images: tuple[str, ...] = ()


def state_of(app: Application, redact: Redact) -> dict[str, Any]:
    """What the actions go by, as JSON values, bounded; no manifests."""
    spec, status = app.spec, app.status
    automated = spec.sync_policy.automated if spec.sync_policy else None
    chart = bool(spec.source and spec.source.get("chart"))
    conditions = "; ".join(one.message for one in status.conditions or () if one.type.endswith("Error"))
    return {
        "automated": automated is not None and automated.enabled is not False,
        "source": "several" if spec.sources else "chart" if chart else "git",
        "operation": _operation(app, redact),
        "sync": {"status": status.sync.status, "revision": _revision(status.sync.revision, status.sync.revisions)},
        "health": status.health.status,
        "trouble": clipped(redact(conditions or status.health.message), LONGEST_MESSAGE),
        "out_of_sync": out_of_sync([one for one in status.resources or () if one.status == "OutOfSync"]),
        "images": sorted(status.summary.images or ())[:MOST_IMAGES],
        "history": [one.model_dump(mode="json") for one in _history(status)],
    }


def _operation(app: Application, redact: Redact) -> dict[str, Any]:
    now = app.status.operation_state
    phase = now.phase if now else ""
    running = app.operation is not None or phase in RUNNING
    message = clipped(redact(now.message), LONGEST_MESSAGE) if now else ""
    asked = now.operation.sync if now and not running and phase not in FAILED else None
    return {
        "running": running,
        "phase": "Running" if running and phase not in RUNNING else phase,
        "message": message,
        "rolled_back": bool(asked and not asked.dry_run and (asked.source or asked.sources)),
    }


def _history(status: _Status) -> list[Entry]:
    """The newest lines, and behind them what an operation that failed has left half done."""
    lines = [
        Entry(number=one.id, kind=one.kind, at=one.deployed_at, good=True, revision=one.text, images=one.images)
        for one in sorted(status.history or (), key=lambda one: one.id)[-MOST_HISTORY:]
        if one.deployed_at is not None
    ]
    now = status.operation_state
    if now is None or now.phase not in FAILED or now.sync_result is None or now.finished_at is None:
        return lines
    dry = now.operation.sync is not None and now.operation.sync.dry_run
    if dry or (lines and now.finished_at <= lines[-1].at):
        return lines
    half, number = now.sync_result, lines[-1].number + 1 if lines else 0
    return [*lines, Entry(number=number, kind=half.kind, at=now.finished_at, good=False, revision=half.text)]


def out_of_sync(resources: Sequence[_Resource]) -> dict[str, Any]:
    """The first few by name, how many more there are, and a digest over all of them."""
    names = sorted(one.text for one in resources)
    prunes = sorted(one.text for one in resources if one.requires_pruning)
    return {
        "names": [clipped(name, LONGEST_REVISION) for name in names[:MOST_RESOURCES]],
        "more": max(0, len(names) - MOST_RESOURCES),
        "prunes": [clipped(name, LONGEST_REVISION) for name in prunes[:MOST_RESOURCES]],
        "digest": rollout.digest([names, prunes]),
    }


def resource(kind: str, name: str) -> _Resource:
    """One that is out of sync, for tests of runbooks."""
    return _Resource(kind=kind, name=name, status="OutOfSync")


def short(revision: str) -> str:
    """A commit as people write it; anything else (a chart's version) as it is."""
    return revision[:7] if len(revision) == 40 and set(revision) <= set("0123456789abcdef") else revision


def history(state: Mapping[str, Any]) -> list[Entry]:
    return [Entry.model_validate(one) for one in state["history"]]


def deployed(state: Mapping[str, Any]) -> str:
    """The revision that was deployed last, `none` for none."""
    lines = state["history"]
    return str(lines[-1]["revision"]) if lines else "none"


def idle(state: Mapping[str, Any], shown: str) -> None:
    """TryLater while an operation runs: Argo CD does one at a time."""
    if state["operation"]["running"]:
        raise TryLater(f"{shown}: {_doing(state)}", 5.0)


def unfinished(state: Mapping[str, Any], shown: str) -> str | None:
    """What is missing until the last operation has ended well and the application is healthy, in words."""
    operation = state["operation"]
    if operation["running"]:
        return f"{shown}: {_doing(state)}"
    if operation["phase"] in FAILED:
        return f"{shown}: the last operation {operation['phase'].lower()}: {operation['message'] or 'no reason given'}"
    if state["health"] not in WELL:
        trouble = f" ({state['trouble']})" if state["trouble"] else ""
        return f"{shown} is {state['health']}{trouble}"
    return None


def _doing(state: Mapping[str, Any]) -> str:
    operation = state["operation"]
    said = f" ({operation['message']})" if operation["message"] else ""
    return f"an operation is {operation['phase'].lower()}{said}"


def _revision(one: str, several: Sequence[str] | None) -> str:
    return clipped(one or ", ".join(several or ()), LONGEST_REVISION)


def without_nothing(value: Any) -> Any:
    """JSON without empty members: Argo CD leaves out, or not, what is not set."""
    if isinstance(value, Mapping):
        kept = {key: without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", {}, [], False)}
    if isinstance(value, list | tuple):
        return [without_nothing(item) for item in value]
    return value


# ------------------------------------------------------------------------------------------------ for tests of runbooks


def line(number: int, revision: str, at: datetime, images: tuple[str, ...] = ()) -> Entry:
    """A deployment as `state_of` would show it."""
    source = {"kustomize": {"images": list(images)}} if images else {}
    told = _Deployed(id=number, revision=revision, source=source, deployed_at=at)
    return Entry(number=number, kind=told.kind, at=at, good=True, revision=revision, images=images)


def settled(state: Mapping[str, Any], added: Entry, *, rolled_back: bool, **changed: Any) -> dict[str, Any]:
    """The state once an operation that deployed `added` has ended well."""
    good = [one for one in state["history"] if one["good"]]
    number = good[-1]["number"] + 1 if good else 0
    at = max([added.at, *(datetime.fromisoformat(one["at"]) + timedelta(hours=1) for one in good[-1:])])
    new = added.model_copy(update={"number": number, "at": at, "good": True})
    return {
        **state,
        "operation": {"running": False, "phase": "Succeeded", "message": "", "rolled_back": rolled_back},
        "health": "Healthy",
        "trouble": "",
        "history": [*good, new.model_dump(mode="json")],
        **changed,
    }
