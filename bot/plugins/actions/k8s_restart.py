"""Replace all pods of a Deployment, StatefulSet or DaemonSet by new ones, a few at a time: `kubectl rollout restart`, once per reason.

`why` names what the restart is for (a runbook gives `{{ incident.ref }}`); it is written to the pod template as the annotation
`tocsin.dev/restarted-for`, which is what makes the cluster roll the pods. The same `why` again plans nothing: one incident restarts a workload
once, however often the runbook is run. (A rollback takes the annotation back with the rest of the template.)

*Look*: the workload. *Plan*: `pods: as they run -> restarted (for INC-7; 3 pods)`. *Do*: one JSON patch of that annotation, which applies only to
the very object that was planned upon (its generation), so at most once. A paused Deployment and a workload with the update strategy OnDelete are
refused: nothing would be replaced. *Verify*: every pod is new and available, no old one is left. *Undo*: none; the old pods are gone. *Risk*: low;
caches are cold and connections are closed, and a version that no longer starts stops the rollout at its first pods. *Permissions*: get and patch
deployments, statefulsets or daemonsets (apiGroup apps).

*Facts* (for the tests of runbooks): `replicas` (3), `available` (all; or `ready: false`), `paused` (false), `max_unavailable` (as the cluster's
default: a quarter of a Deployment, one of the others), `restarted_for` (nothing): the reason of its last restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from bot.clients import given as giving
from bot.clients import rollout, workloads
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target, Undo

NOTES = "/spec/template/metadata/annotations"


class Params(workloads.OfWorkload):
    why: str = Field(min_length=1, max_length=200, description="what the restart is for; the same reason restarts once")


class Facts(workloads.Facts):
    restarted_for: str = ""


class Plugin:
    """k8s.restart"""

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
        return params.target("k8s.restart")

    async def look(self, params: Params) -> dict[str, Any]:
        workload, state = await workloads.look(self._kit.cluster, params)
        notes = (workload["spec"]["template"].get("metadata") or {}).get("annotations")
        restarted = (notes or {}).get(rollout.RESTARTED_FOR, "")
        return {**state, "restarted_for": restarted, "annotated": notes is not None}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        if state["restarted_for"] == params.why:
            return Plan(target=params.shown)
        workloads.must_roll(state, params)
        pods = state["progress"]["replicas"]
        many = "one on each node" if params.daemonset else f"{pods} {'pod' if pods == 1 else 'pods'}"
        return Plan(
            target=params.shown,
            diffs=(Diff(what="pods", before="as they run", after="restarted", note=f"for {params.why}; {many}"),),
            want={**state["upon"], "annotated": state["annotated"], "why": params.why},
            leaves=workloads.leaves(state),
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        want = plan.want
        operations: list[dict[str, Any]] = workloads.guard(want)
        if not want["annotated"]:
            operations.append({"op": "add", "path": NOTES, "value": {}})
        path = f"{NOTES}/{rollout.RESTARTED_FOR.replace('/', '~1')}"
        operations.append({"op": "add", "path": path, "value": want["why"]})
        await self._kit.cluster.patch_workload(params.kind.resource, params.namespace, params.name, operations)
        return {"restarted_for": want["why"]}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return workloads.unfinished(state)

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return None

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        found = giving.read(Facts, given)
        return {**found.state(params), "restarted_for": found.restarted_for, "annotated": bool(found.restarted_for)}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        restarted = {"restarted_for": plan.want["why"], "annotated": True} if plan else {}
        return {**workloads.settled(state, plan), **restarted}
