"""What closing and opening a Node for new pods share: their parameters, looks, plans and writes. Used by k8s.cordon and k8s.uncordon."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import given as facts
from bot.clients.k8s import Kubernetes
from bot.clients.workloads import Name
from bot.domain.plan import Diff, Plan, Target

CLOSED = "/spec/unschedulable"


class OfNode(BaseModel):
    """The parameters that name a Node."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: Name = Field(description="the name of the Node")

    @property
    def shown(self) -> str:
        return f"Node {self.node}"

    def target(self, action: str) -> Target:
        return Target(action=action, name=self.node, lock=f"node/{self.node}")


class Facts(BaseModel):
    """What a test may say about a Node."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unschedulable: bool
    schedulable: int = Field(default=3, ge=0)


async def look(cluster: Kubernetes, params: OfNode) -> dict[str, Any]:
    """Whether it is closed, and how many Nodes of the cluster take new pods."""
    node = await cluster.node(params.node)
    schedulable = sum(not one.get("spec", {}).get("unschedulable") for one in await cluster.nodes())
    closed = bool(node.get("spec", {}).get("unschedulable"))
    return {"uid": node["metadata"]["uid"], "unschedulable": closed, "schedulable": schedulable}


def plan(state: Mapping[str, Any], params: OfNode, *, close: bool) -> Plan:
    if state["unschedulable"] is close:
        return Plan(target=params.shown)
    words = ("takes new pods", "takes none")
    before, after = words if close else words[::-1]
    share = 1 / max(1, state["schedulable"]) if close else None
    diff = Diff(what="node", before=before, after=after, note="those that run there stay" if close else "")
    return Plan(target=params.shown, diffs=(diff,), want={"uid": state["uid"], "unschedulable": close}, share=share)


async def do(cluster: Kubernetes, made: Plan, params: OfNode) -> dict[str, Any]:
    """The status of a Node changes all the time and it has no generation: so the patch tests the very value that it replaces."""
    wanted = made.want["unschedulable"]
    operations = [
        {"op": "test", "path": "/metadata/uid", "value": made.want["uid"]},
        {
            "op": "test",
            "path": CLOSED,
            "value": None if wanted else True,
        },  # the API leaves false out, and null is what is not there
        {"op": "add", "path": CLOSED, "value": wanted},
    ]
    await cluster.patch_node(params.node, operations)
    return {"unschedulable": wanted}


def facts_of(given: Mapping[str, Any], params: OfNode, *, unschedulable: bool) -> dict[str, Any]:
    found = facts.read(Facts, {"unschedulable": unschedulable, **given})
    return {"uid": f"the uid of {params.shown}", **found.model_dump()}


def after(state: Mapping[str, Any], made: Plan) -> dict[str, Any]:
    if not made:
        return dict(state)
    closed = made.want["unschedulable"]
    return {**state, "unschedulable": closed, "schedulable": max(0, state["schedulable"] + (-1 if closed else 1))}
