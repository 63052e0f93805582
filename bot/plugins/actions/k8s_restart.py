"""Replace all pods of a Deployment by new ones, a few at a time: `kubectl rollout restart`, once per reason.

`why` names what the restart is for (a runbook gives `{{ incident.ref }}`); it is written to the pod template as the annotation
`tocsin.dev/restarted-for`, which is what makes the cluster roll the pods. The same `why` again plans nothing: one incident restarts a Deployment
once, however often the runbook is run. (A rollback takes the annotation back with the rest of the template.)

*Look*: the Deployment. *Plan*: `pods: as they run -> restarted (for INC-7; 3 pods, one after the other)`. *Do*: one JSON patch of that annotation,
which applies only to the very object that was planned upon (its generation), so at most once. *Verify*: every pod is new and available, no old one
is left. *Undo*: none; the old pods are gone. *Risk*: caches are cold and connections are closed; a version that no longer starts stops the rollout
at its first pods. *Permissions*: get and patch deployments (apiGroup apps).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from bot.clients import deployments, rollout
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target
from bot.errors import BadInput

NOTES = "/spec/template/metadata/annotations"


class Params(deployments.OfDeployment):
    why: str = Field(min_length=1, max_length=200, description="what the restart is for; the same reason restarts once")


class Plugin:
    """k8s.restart"""

    writes = True
    observable = True

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """The patch applies to one generation only: a second time it is refused."""
        return True

    def target(self, params: Params) -> Target:
        return Target(action="k8s.restart", namespace=params.namespace, name=params.deployment)

    async def look(self, params: Params) -> dict[str, Any]:
        deployment, state = await deployments.look(self._kit.cluster, params)
        if deployment["spec"].get("paused"):
            raise BadInput(f"{params.shown} is paused: resume it first (kubectl rollout resume)")
        notes = (deployment["spec"]["template"].get("metadata") or {}).get("annotations")
        restarted = (notes or {}).get(rollout.RESTARTED_FOR, "")
        return {**state, "restarted_for": restarted, "annotated": notes is not None}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        if state["restarted_for"] == params.why:
            return Plan(target=params.shown)
        pods = state["progress"]["replicas"]
        note = f"for {params.why}; {pods} {'pod' if pods == 1 else 'pods'}"
        return Plan(
            target=params.shown,
            diffs=(Diff(what="pods", before="as they run", after="restarted", note=note),),
            want={**state["upon"], "annotated": state["annotated"], "why": params.why},
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        want = plan.want
        operations: list[dict[str, Any]] = rollout.guard(want)
        if not want["annotated"]:
            operations.append({"op": "add", "path": NOTES, "value": {}})
        path = f"{NOTES}/{rollout.RESTARTED_FOR.replace('/', '~1')}"
        operations.append({"op": "add", "path": path, "value": want["why"]})
        await self._kit.cluster.patch_deployment_json(params.namespace, params.deployment, operations)
        return {"restarted_for": want["why"]}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return deployments.unfinished(state)
