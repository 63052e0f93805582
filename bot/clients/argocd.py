"""Argo CD's HTTP API, and what is read of its Application objects. Used by the actions argocd.sync and argocd.rollback.

Formats: `/api/v1/applications` in assets/swagger.json of github.com/argoproj/argo-cd (2.4 to 3.x), the Application type in its
pkg/apis/application/v1alpha1/types.go, and what the server refuses in server/application/application.go. A sync or a rollback is an *operation*:
the request only asks for it, `operation` and `status.operationState` tell what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import rollout
from bot.clients.api import Answer, Api, Server, host, segment
from bot.clients.http import Http
from bot.domain.naming import clipped
from bot.domain.plan import Target

LONGEST_REVISION = 100

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

    @property
    def text(self) -> str:
        return _revision(self.revision, self.revisions)


class Deployed(Answer):
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
        sources = [_without_nothing(one) for one in (self.sources or (self.source or {},))]
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
    sync_result: Deployed | None = Field(default=None, alias="syncResult")


class Resource(Answer):
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


class Status(Answer):
    sync: _Sync = _Sync()
    health: _Health = _Health()
    history: tuple[Deployed, ...] | None = None
    resources: tuple[Resource, ...] | None = None
    conditions: tuple[_Condition, ...] | None = None
    summary: _Summary = _Summary()
    operation_state: _OperationState | None = Field(default=None, alias="operationState")


class Application(Answer):
    """What is read of an Application object."""

    spec: _Spec = _Spec()
    operation: _Operation | None = None
    status: Status = Status()


def _revision(one: str, several: Sequence[str] | None) -> str:
    return clipped(one or ", ".join(several or ()), LONGEST_REVISION)


def _without_nothing(value: Any) -> Any:
    """JSON without empty members: Argo CD leaves out, or not, what is not set."""
    if isinstance(value, Mapping):
        kept = {key: _without_nothing(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, "", {}, [], False)}
    if isinstance(value, list | tuple):
        return [_without_nothing(item) for item in value]
    return value


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
