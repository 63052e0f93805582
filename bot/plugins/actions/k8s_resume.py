"""Let a paused Deployment roll out again: `kubectl rollout resume`. A template that was changed meanwhile is rolled out now.

*Look*: the Deployment. *Plan*: `rollouts: wait -> go on`, and whether one is waiting. *Do*: one JSON patch of `spec.paused`, which
applies only to the very object that was planned upon (its generation), so at most once. *Verify*: every pod is of the wanted version and available.
*Undo*: `k8s.pause`. *Risk*: low; it brings whatever was deployed while it was paused. *Permissions*: get and patch deployments (apiGroup apps).

*Facts* (for the tests of runbooks): `paused` (true), `replicas` (3), `available` (all; or `ready: false`), `max_unavailable` (a quarter).
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
    """k8s.resume"""

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
        return params.workload.target("k8s.resume")

    async def look(self, params: Params) -> dict[str, Any]:
        _, state = await workloads.look(self._kit.cluster, params.workload)
        return state

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        shown = params.workload.shown
        if not state["paused"]:
            return Plan(target=shown)
        waiting = state["progress"]["updated"] < state["progress"]["replicas"]
        note = "a changed template is rolled out" if waiting else ""
        return Plan(
            target=shown,
            diffs=(Diff(what="rollouts", before="wait", after="go on", note=note),),
            want=state["upon"],
            leaves=workloads.leaves(state) if waiting else None,
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        operations = [*workloads.guard(plan.want), {"op": "add", "path": "/spec/paused", "value": False}]
        await self._kit.cluster.patch_workload("deployments", params.namespace, params.deployment, operations)
        return {"paused": False}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return workloads.unfinished(state)

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return Undo(action="k8s.pause", with_=params.workload.naming)

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        return workloads.facts_of({"paused": True, **given}, params.workload)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return {**workloads.settled(state, plan), "paused": False}
