"""What the actions on a Deployment share: how their parameters are written, and what their plans, looks and checks are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bot.clients import rollout
from bot.clients.k8s import Kubernetes

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


def none_if_empty(value: Any) -> Any:
    """A template that gives nothing means that the parameter is left out."""
    return None if value in ("", "0", 0) else value


Unset = BeforeValidator(none_if_empty)


class OfDeployment(BaseModel):
    """The parameters that name the Deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Name = Field(description="the namespace of the Deployment")
    deployment: Name = Field(description="the name of the Deployment")

    @property
    def shown(self) -> str:
        return f"Deployment {self.namespace}/{self.deployment}"


async def look(cluster: Kubernetes, params: OfDeployment) -> tuple[dict[str, Any], dict[str, Any]]:
    """The Deployment itself, and the state that every action on one needs: what a plan is made upon, and the progress of its rollout."""
    deployment = await cluster.deployment(params.namespace, params.deployment)
    return deployment, {"upon": rollout.planned_upon(deployment), "progress": rollout.progress(deployment)}


def unfinished(state: Mapping[str, Any]) -> str | None:
    """What is missing until all pods are as wanted, in words."""
    return rollout.unfinished(state["progress"])
