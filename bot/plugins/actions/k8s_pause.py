"""Stop a Deployment from rolling out: `kubectl rollout pause`. What runs keeps running; changes of its template wait until it is resumed.

*Look*: the Deployment. *Plan*: `rollouts: go on -> wait`. *Do*: one JSON patch of `spec.paused`,
which applies only to the very object that was planned upon (its generation), so at most once. *Verify*: the cluster has taken it up. *Undo*:
`k8s.resume`. *Risk*: low; whoever deploys while it is paused wonders why nothing happens, and restarts and rollbacks are refused. *Permissions*:
get and patch deployments (apiGroup apps).

*Facts* (for the tests of runbooks): `paused` (false), `replicas` (3), `available` (all; or `ready: false`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from bot.clients import workloads
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target, Undo


class Params(workloads.OfDeployment):
    pass


class Plugin:
    """k8s.pause"""

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
        return params.workload.target("k8s.pause")

    async def look(self, params: Params) -> dict[str, Any]:
        _, state = await workloads.look(self._kit.cluster, params.workload)
        return state

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        shown = params.workload.shown
        if state["paused"]:
            return Plan(target=shown)
        diff = Diff(what="rollouts", before="go on", after="wait", note="until it is resumed")
        return Plan(target=shown, diffs=(diff,), want=state["upon"])

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        operations = [*workloads.guard(plan.want), {"op": "add", "path": "/spec/paused", "value": True}]
        await self._kit.cluster.patch_workload("deployments", params.namespace, params.deployment, operations)
        return {"paused": True}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        now = state["progress"]
        return "the cluster has not taken up the change yet" if now["observed"] < now["generation"] else None

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return Undo(action="k8s.resume", with_=params.workload.naming)

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        return workloads.facts_of(given, params.workload)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return {**workloads.settled(state, plan), "paused": True}
