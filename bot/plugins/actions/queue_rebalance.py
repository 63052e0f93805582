"""Spread the leaders of RabbitMQ's queues evenly over its nodes: `rabbitmq-queues rebalance all`.

After a node was away, all leaders are where it was not: the others carry its load. What is counted are the queues that can be led by more than one
node (quorum queues, streams, mirrored classic ones), over the nodes that hold any of them and are up and not drained. They are spread when the node
with most leaders has at most `within` more than the one with fewest, or 20 % of the mean, whichever is more; or when none has more than its share,
rounded up, which is as far as RabbitMQ goes.

*Look*: the nodes, and the leader of each queue. *Plan*: `leaders: rabbit@a 12, rabbit@b 0, rabbit@c 3 -> spread, 5 each`; empty when they are
spread. It refuses while a node has a memory or disk alarm. *Do*: starts the rebalancing, of all virtual hosts. *Verify*: they are spread; it takes
seconds to minutes. *Undo*: none; nothing is lost by it. *Risk*: each queue stands still for a moment while its leader moves. *Permissions*: a user of
RabbitMQ with the tag `administrator`; its `Authorization: Basic …` under `http:` in tocsin.yaml, by reference. Policy: the host.

*Facts* (for tests of runbooks): `leaders` (a number for each node; default three nodes with 12, 0 and 3), `alarms` (the names of nodes that have
one, default none), `down` (default none).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import given as giving
from bot.clients.api import Server, host
from bot.clients.kit import Kit
from bot.clients.rabbitmq import RabbitMq
from bot.domain.naming import english_list
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted

SHARE = 0.2


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Server = Field(description="address of the management API: http://rabbitmq:15672")
    within: int = Field(default=1, ge=1, le=10_000, description="how many leaders more than another a node may have")


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    leaders: Mapping[str, int] = {"rabbit@node-1": 12, "rabbit@node-2": 0, "rabbit@node-3": 3}
    alarms: tuple[str, ...] = ()
    down: tuple[str, ...] = ()


class Plugin:
    """queue.rebalance"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """Rebalancing what is balanced moves nothing."""
        return True

    def target(self, params: Params) -> Target:
        where = host(params.server)
        return Target(action="queue.rebalance", host=where, lock=f"{where}/rabbitmq")

    async def look(self, params: Params) -> dict[str, Any]:
        return await RabbitMq(self._kit.http, params.server).leaders()

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        shown = f"RabbitMQ {host(params.server)}"
        if _spread(state, params):
            return Plan(target=shown)
        if state["alarms"]:
            raise BadInput(
                f"{shown}: {english_list(state['alarms'])} raised an alarm, and publishers are blocked: moving leaders now would "
                f"make it worse. Free memory or disk space there first (rabbitmq-diagnostics alarms)"
            )
        leaders = state["leaders"]
        away = [f"{name} is down" for name in state["down"]] + [f"{name} is drained" for name in state["drained"]]
        mean = sum(leaders.values()) / len(leaders)
        each = f"{mean:g}" if mean.is_integer() else f"{math.floor(mean)} or {math.ceil(mean)}"
        diff = Diff(what="leaders", before=_listed(leaders), after=f"spread, {each} each", note="; ".join(away))
        return Plan(target=shown, diffs=(diff,), want={"leaders": dict(leaders), "queues": "all"})

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        now = self.plan(await self.look(params), params)
        if now.digest != plan.digest:
            raise Drifted(
                f"the leaders of {plan.target} have moved since the plan was made. Nothing was done; look at the new plan."
            )
        await RabbitMq(self._kit.http, params.server).rebalance(key)
        return {"before": dict(plan.want["leaders"])}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return None if _spread(state, params) else f"the leaders are not spread: {_listed(state['leaders'])}"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return None

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        told = giving.read(Facts, given)
        alarms = [f"{name} (memory)" for name in told.alarms]
        return {"leaders": dict(told.leaders), "alarms": alarms, "down": list(told.down), "drained": []}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        if not plan:
            return dict(state)
        nodes = sorted(state["leaders"])
        share, rest = divmod(sum(state["leaders"].values()), len(nodes))
        return {**state, "leaders": {name: share + (number < rest) for number, name in enumerate(nodes)}}


def _spread(state: Mapping[str, Any], params: Params) -> bool:
    counts: list[int] = list(state["leaders"].values())
    if len(counts) < 2:
        return True
    mean = sum(counts) / len(counts)
    return max(counts) - min(counts) <= max(params.within, SHARE * mean) or max(counts) <= math.ceil(mean)


def _listed(leaders: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in leaders.items())
