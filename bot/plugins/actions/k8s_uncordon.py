"""Open a Node for new pods again: `kubectl uncordon`.

*Look*: the Node, and how many of the cluster take new pods. *Plan*: `node: takes none -> takes new pods`. *Do*: one JSON patch of
`spec.unschedulable`, which applies only to this Node (its uid) while it is closed. *Verify*: it is open. *Undo*: `k8s.cordon`. *Risk*: low; somebody
may have closed it for a reason. *Permissions*: get, list and patch nodes (apiGroup ""), in a ClusterRole: Nodes belong to no namespace.

*Facts* (for the tests of runbooks): `unschedulable` (true), `schedulable` (3): how many Nodes take new pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel

from bot.clients import nodes
from bot.clients.kit import Kit
from bot.domain.plan import Plan, Target, Undo


class Params(nodes.OfNode):
    pass


class Plugin:
    """k8s.uncordon"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "low"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """A second time there is nothing left to change, and the patch is refused."""
        return True

    def target(self, params: Params) -> Target:
        return params.target("k8s.uncordon")

    async def look(self, params: Params) -> dict[str, Any]:
        return await nodes.look(self._kit.cluster, params)

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        return nodes.plan(state, params, close=False)

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        return await nodes.do(self._kit.cluster, plan, params)

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return "the node still takes no new pods" if state["unschedulable"] else None

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return Undo(action="k8s.cordon", with_={"node": params.node})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        return nodes.facts_of(given, params, unschedulable=True)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return nodes.after(state, plan)
