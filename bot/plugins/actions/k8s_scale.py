"""Set the number of replicas of a Deployment.

*Look*: the Deployment. *Plan*: `replicas: 3 -> 6`. *Do*: one JSON patch of `spec.replicas`, which applies only to the very object that was planned
upon (its generation), so at most once. *Verify*: so many pods are available, none too many. *Undo*: the same action with the number from before.
*Risk*: fewer replicas can overload those that stay; a HorizontalPodAutoscaler on the Deployment will set its own number again. How many at most,
policy says. *Permissions*: get and patch deployments (apiGroup apps).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from bot.clients import deployments, rollout
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target


class Params(deployments.OfDeployment):
    replicas: int = Field(ge=0, le=1000, description="how many pods there shall be")


class Plugin:
    """k8s.scale"""

    writes = True
    observable = True

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """The patch applies to one generation only: a second time it is refused."""
        return True

    def target(self, params: Params) -> Target:
        return Target(action="k8s.scale", namespace=params.namespace, name=params.deployment, replicas=params.replicas)

    async def look(self, params: Params) -> dict[str, Any]:
        _, state = await deployments.look(self._kit.cluster, params)
        return state

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        now = state["progress"]["replicas"]
        if now == params.replicas:
            return Plan(target=params.shown)
        diff = Diff(what="replicas", before=str(now), after=str(params.replicas))
        return Plan(target=params.shown, diffs=(diff,), want={**state["upon"], "from": now, "to": params.replicas})

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        replace = {"op": "replace", "path": "/spec/replicas", "value": plan.want["to"]}
        await self._kit.cluster.patch_deployment_json(
            params.namespace, params.deployment, [*rollout.guard(plan.want), replace]
        )
        undo = {"namespace": params.namespace, "deployment": params.deployment, "replicas": plan.want["from"]}
        return {"undo": {"action": "k8s.scale", "with": undo}}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return deployments.unfinished(state)
