"""The kinds of object the practice cluster serves; the table that routing, discovery and the store read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Obj = dict[str, Any]

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "patch", "update")


@dataclass(frozen=True)
class Resource:
    """One kind: where it lives in the API and how its writes behave."""

    group: str
    version: str
    plural: str
    kind: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    verbs: tuple[str, ...] = READ + WRITE
    status: bool = False
    scale: bool = False
    generation: bool = False
    annotations_bump_generation: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """`deployments.apps`: how messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


DEPLOYMENTS = Resource(
    "apps", "v1", "deployments", "Deployment", ("deploy",),
    status=True, scale=True, generation=True, annotations_bump_generation=True,
)  # fmt: skip
REPLICASETS = Resource("apps", "v1", "replicasets", "ReplicaSet", ("rs",), status=True, scale=True, generation=True)
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet", ("sts",), status=True, scale=True, generation=True)
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet", ("ds",), status=True, generation=True)
CONTROLLERREVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
BUDGETS = Resource(
    "policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", ("pdb",), status=True, generation=True
)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", ("ns",), namespaced=False)
NODES = Resource("", "v1", "nodes", "Node", ("no",), namespaced=False, verbs=(*READ, "patch", "update"))
PODS = Resource("", "v1", "pods", "Pod", ("po",), status=True)
EVENTS = Resource("", "v1", "events", "Event", ("ev",))
SERVICES = Resource("", "v1", "services", "Service", ("svc",))

ALL = (
    DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS, CONTROLLERREVISIONS, BUDGETS, NAMESPACES, NODES, PODS, EVENTS,
    SERVICES,
)  # fmt: skip
BY_PATH = {(r.group, r.version, r.plural): r for r in ALL}
WORKLOADS = (DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS)


def stamp(seconds: float) -> str:
    """Epoch seconds as the API writes a time: whole seconds, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unstamp(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def clone(value: Any) -> Any:
    """A deep copy of JSON data (much cheaper than `copy.deepcopy`)."""
    if isinstance(value, dict):
        return {k: clone(v) for k, v in value.items()}
    if isinstance(value, list):
        return [clone(v) for v in value]
    return value


def controller_of(obj: Obj) -> str | None:
    """The uid of the owner that manages this object, if any."""
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            return str(owner["uid"])
    return None
