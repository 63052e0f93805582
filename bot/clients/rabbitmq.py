"""RabbitMQ's management API: its nodes, where the leaders of its queues are, and spreading them. Used by the action queue.rebalance.

Format: https://www.rabbitmq.com/docs/http-api-reference (3.8 to 4.x): `/api/nodes`, `/api/queues` with `columns`, `/api/rebalance/queues`, which
only starts the work. It moves leaders until no node leads more than its share, rounded up (rabbit_amqqueue:rebalance/3 in rabbitmq-server).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import Field

from bot.clients.api import Answer, Api
from bot.clients.http import Http

MOST_BYTES = 32_000_000  # 100,000 queues
NODE_COLUMNS = "name,running,mem_alarm,disk_free_alarm,being_drained"
QUEUE_COLUMNS = "type,node,leader,members,slave_nodes"


class _Node(Answer):
    name: str
    running: bool = False
    mem_alarm: bool = False
    disk_free_alarm: bool = False
    being_drained: bool = False


class _Queue(Answer):
    """`leader` and `members` of quorum queues and streams; `node` and `slave_nodes` of mirrored classic ones (before 4.0)."""

    type: str = "classic"
    node: str | None = None
    leader: str | None = None
    members: tuple[str, ...] | None = None
    mirrors: tuple[str, ...] | None = Field(default=None, alias="slave_nodes")

    @property
    def led_by(self) -> str:
        return self.leader or self.node or ""

    @property
    def on(self) -> set[str]:
        """The nodes that could lead it. A queue that is on one node only has no choice."""
        return {*(self.members or ()), *(self.mirrors or ()), self.led_by} - {""}


class RabbitMq:
    """One cluster, by any of its nodes."""

    def __init__(self, http: Http, server: str) -> None:
        self._api = Api(http, "RabbitMQ", server)

    async def leaders(self) -> dict[str, Any]:
        """As JSON values: `leaders` by node, of the nodes that could lead a queue and are up, and which nodes are in trouble."""
        nodes = await self._api.read(list[_Node], "/api/nodes", [("columns", NODE_COLUMNS)])
        queues = await self._api.read(list[_Queue], "/api/queues", [("columns", QUEUE_COLUMNS)], MOST_BYTES)
        movable = [one for one in queues if len(one.on) > 1]
        up = {one.name for one in nodes if one.running and not one.being_drained}
        able = {name for one in movable for name in one.on} & up
        led = Counter(one.led_by for one in movable)
        return {
            "leaders": {name: led[name] for name in sorted(able)},
            "alarms": sorted(f"{one.name} ({_alarm(one)})" for one in nodes if one.mem_alarm or one.disk_free_alarm),
            "down": sorted(one.name for one in nodes if not one.running),
            "drained": sorted(one.name for one in nodes if one.being_drained),
        }

    async def rebalance(self, key: str) -> None:
        """Start to spread the leaders of all queues in all virtual hosts; needs the tag `administrator`."""
        await self._api.ask("POST", "/api/rebalance/queues", body={}, key=key)


def _alarm(node: _Node) -> str:
    kinds = [("memory", node.mem_alarm), ("disk", node.disk_free_alarm)]
    return " and ".join(kind for kind, raised in kinds if raised)
