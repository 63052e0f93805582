"""Set the number of replicas of a Deployment or a StatefulSet.

*Look*: the workload. *Plan*: `replicas: 3 -> 6`. *Do*: one JSON patch of `spec.replicas`, which applies only to the very object that was planned
upon (its generation), so at most once. *Verify*: so many pods are available, none too many. *Undo*: the same action with the number from before.
*Risk*: low; fewer replicas can overload those that stay, and a HorizontalPodAutoscaler on the workload will set its own number again. How many at
most, and how few may stay available, policy says. *Permissions*: get and patch deployments or statefulsets (apiGroup apps).

*Facts* (for the tests of runbooks): `replicas` (half of what is wanted, or one when none is wanted), `available` (all; or `ready: false`), `paused`
(false).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from bot.clients import workloads
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target, Undo


class Params(workloads.Scalable):
    replicas: int = Field(ge=0, le=1000, description="how many pods there shall be")


class Plugin:
    """k8s.scale"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "low"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """The patch applies to one generation only: a second time it is refused."""
        return True

    def target(self, params: Params) -> Target:
        return params.target("k8s.scale", params.replicas)

    async def look(self, params: Params) -> dict[str, Any]:
        _, state = await workloads.look(self._kit.cluster, params)
        return state

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        now, available = state["progress"]["replicas"], state["progress"]["available"]
        if now == params.replicas:
            return Plan(target=params.shown)
        return Plan(
            target=params.shown,
            diffs=(Diff(what="replicas", before=str(now), after=str(params.replicas)),),
            want={**state["upon"], "from": now, "to": params.replicas},
            leaves=min(params.replicas, available) if params.replicas < now else None,
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        replace = {"op": "replace", "path": "/spec/replicas", "value": plan.want["to"]}
        operations = [*workloads.guard(plan.want), replace]
        await self._kit.cluster.patch_workload(params.kind.resource, params.namespace, params.name, operations)
        return {"replicas": plan.want["to"]}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return workloads.unfinished(state)

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return Undo(action="k8s.scale", with_={**params.naming, "replicas": plan.want["from"]})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        return workloads.facts_of({"replicas": params.replicas // 2 if params.replicas else 1, **given}, params)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return workloads.settled(state, plan, params.replicas)
