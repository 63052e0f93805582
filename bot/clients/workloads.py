"""What the actions on Deployments, StatefulSets and DaemonSets share: how their parameters name one, what their looks and checks are made of.

Every state that they look at has `upon` (what a plan is made upon, see `guard`), `progress` (the numbers of the rollout), `paused`, and `by_hand`
(its update strategy is OnDelete). Pure but for `look`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.clients import given as facts
from bot.clients.k8s import Kubernetes
from bot.clients.unset import none_if_blank
from bot.domain.plan import Plan, Target
from bot.errors import BadInput

Obj = Mapping[str, Any]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
Named = Annotated[Name | None, none_if_blank]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of workload; `resource` is its name in the API."""

    name: str
    resource: str


KINDS = {
    "deployment": Kind("Deployment", "deployments"),
    "statefulset": Kind("StatefulSet", "statefulsets"),
    "daemonset": Kind("DaemonSet", "daemonsets"),
}


class Scalable(BaseModel):
    """The parameters that name a workload whose number of pods can be set: exactly one beside the namespace."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Name = Field(description="the namespace of the workload")
    deployment: Named = Field(default=None, description="the name of the Deployment")
    statefulset: Named = Field(default=None, description="or the name of the StatefulSet")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        fields = [field for field in KINDS if field in type(self).model_fields]
        given = [field for field in fields if getattr(self, field)]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(fields)} (given: {', '.join(given) or 'none'})")
        return self

    @property
    def field(self) -> str:
        """`deployment`, `statefulset` or `daemonset`."""
        return next(field for field in KINDS if getattr(self, field, None))

    @property
    def kind(self) -> Kind:
        return KINDS[self.field]

    @property
    def name(self) -> str:
        return str(getattr(self, self.field))

    @property
    def naming(self) -> dict[str, str]:
        """The parameters that name the same workload once more: for an undo."""
        return {"namespace": self.namespace, self.field: self.name}

    @property
    def shown(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}"

    def target(self, action: str, replicas: int | None = None) -> Target:
        """What policy judges. Whatever the action: one workload has one lock."""
        lock = f"{self.namespace}/{self.kind.name}/{self.name}"
        return Target(action=action, namespace=self.namespace, name=self.name, replicas=replicas, lock=lock)


class OfWorkload(Scalable):
    """The parameters that name a workload of any kind."""

    daemonset: Named = Field(default=None, description="or the name of the DaemonSet")


class OfDeployment(BaseModel):
    """The parameters that name a Deployment, for what no other kind has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Name = Field(description="the namespace of the Deployment")
    deployment: Name = Field(description="the name of the Deployment")

    @property
    def workload(self) -> OfWorkload:
        return OfWorkload(namespace=self.namespace, deployment=self.deployment)


# ------------------------------------------------------------------------------------------------ looking


async def look(cluster: Kubernetes, params: Scalable) -> tuple[dict[str, Any], dict[str, Any]]:
    """The workload itself, and the state that every action on one needs."""
    workload = await cluster.workload(params.kind.resource, params.namespace, params.name)
    return workload, state_of(params.kind, workload)


def state_of(kind: Kind, workload: Obj) -> dict[str, Any]:
    spec = workload["spec"]
    return {
        "upon": {"uid": workload["metadata"]["uid"], "generation": workload["metadata"]["generation"]},
        "progress": progress(kind, workload),
        "paused": bool(spec.get("paused")),
        "by_hand": (spec.get("updateStrategy") or {}).get("type") == "OnDelete",
    }


def progress(kind: Kind, workload: Obj) -> dict[str, Any]:
    """The numbers that say how far a rollout is, by the same names for every kind.

    `kept`: pods of the old version that the partition of a StatefulSet keeps. `most_unavailable`: how many pods a rollout may take away at once.
    """
    spec, status = workload["spec"], workload.get("status") or {}
    strategy = spec.get("updateStrategy") or spec.get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    common = {
        "generation": workload["metadata"]["generation"],
        "observed": status.get("observedGeneration", 0),
        "kept": 0,
        "stuck": "",
    }
    if kind.name == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        numbers = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        least = (
            0
            if _part(rolling.get("maxSurge", 0), wanted, up=True)
            else _part(rolling.get("maxUnavailable", 1), wanted, up=True)
        )
    else:
        wanted = spec.get("replicas", 1)
        numbers = ("replicas", "updatedReplicas", "availableReplicas")
        least = _part(rolling.get("maxUnavailable", 1), wanted, up=True)
    if kind.name == "StatefulSet":  # Kubernetes before 1.22 does not tell how many are available
        status = {"availableReplicas": status.get("readyReplicas", 0), **status}
        common["kept"] = min(wanted, rolling.get("partition", 0))
    if kind.name == "Deployment":
        least = _deployments_part(strategy, wanted)
        common["stuck"] = _stuck(status)
    total, updated, available = (status.get(number, 0) for number in numbers)
    found = {"replicas": wanted, "total": total, "updated": updated, "available": available}
    return {**common, **found, "most_unavailable": min(wanted, least)}


def _part(value: int | str, total: int, *, up: bool) -> int:
    """A number, or a percentage of all."""
    if isinstance(value, int):
        return value
    part = int(value.rstrip("%")) * total / 100
    return math.ceil(part) if up else math.floor(part)


def _deployments_part(strategy: Obj, wanted: int) -> int:
    if strategy.get("type") == "Recreate":
        return wanted
    rolling = strategy.get("rollingUpdate") or {}
    more = _part(rolling.get("maxSurge", "25%"), wanted, up=True)
    return _part(rolling.get("maxUnavailable", "25%"), wanted, up=False) or (0 if more else 1)


def _stuck(status: Obj) -> str:
    conditions = [one for one in status.get("conditions") or () if one.get("type") == "Progressing"]
    return next((str(one.get("message", "")) for one in conditions if one.get("status") == "False"), "")


# ------------------------------------------------------------------------------------------------ judging


def unfinished(state: Obj) -> str | None:
    """What is still missing until all pods are as wanted (as `kubectl rollout status` judges it), in words; None when nothing is."""
    now = state["progress"]
    wanted, stuck = now["replicas"], f" ({now['stuck']})" if now["stuck"] else ""
    if now["observed"] < now["generation"]:
        return "the cluster has not taken up the change yet"
    if now["updated"] < wanted - now["kept"]:
        return f"{now['updated']} of {wanted - now['kept']} pods are of the wanted version{stuck}"
    if now["total"] > now["updated"] + now["kept"]:
        return f"{now['total'] - now['updated'] - now['kept']} old pods are still there{stuck}"
    if now["total"] > wanted:
        return f"{now['total'] - wanted} pods too many are still there"
    if now["available"] < wanted:
        return f"{now['available']} of {wanted} pods are ready{stuck}"
    return None


def leaves(state: Obj) -> int | None:
    """How many pods stay available at worst while all are replaced; None when none of those that are available is taken away."""
    now = state["progress"]
    least = min(now["available"], now["replicas"] - now["most_unavailable"])
    return least if least < now["available"] else None


def must_roll(state: Obj, params: Scalable) -> None:
    """BadInput when another template would not replace the pods."""
    if state["paused"]:
        raise BadInput(f"{params.shown} is paused: resume it first (k8s.resume, or kubectl rollout resume)")
    if state["by_hand"]:
        raise BadInput(
            f"{params.shown} has the update strategy OnDelete: its pods change only when they are deleted (k8s.delete_pod)"
        )


def guard(want: Obj) -> list[dict[str, Any]]:
    """The JSON patch operations that let a patch apply to exactly the object that was planned upon, hence at most once."""
    return [
        {"op": "test", "path": "/metadata/generation", "value": want["generation"]},
        {"op": "test", "path": "/metadata/uid", "value": want["uid"]},
    ]


# ------------------------------------------------------------------------------------------------ for the tests of runbooks


class Facts(BaseModel):
    """What a test may say about any workload. `ready: false` is short for `available: 0`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: int = Field(default=3, ge=0)
    available: int | None = Field(default=None, ge=0)
    ready: bool = True
    paused: bool = False
    max_unavailable: int | None = Field(default=None, ge=0)

    def state(self, params: Scalable) -> dict[str, Any]:
        """As `look` gives it: a workload whose rollout is over."""
        available = self.available if self.available is not None else self.replicas if self.ready else 0
        usual = self.replicas // 4 if params.kind.name == "Deployment" else min(1, self.replicas)
        return {
            "upon": {"uid": f"the uid of {params.shown}", "generation": 1},
            "progress": {
                **dict.fromkeys(("generation", "observed"), 1),
                **dict.fromkeys(("replicas", "total", "updated"), self.replicas),
                "available": min(available, self.replicas),
                "kept": 0,
                "stuck": "",
                "most_unavailable": usual if self.max_unavailable is None else min(self.max_unavailable, self.replicas),
            },
            "paused": self.paused,
            "by_hand": False,
        }


def facts_of(given: Obj, params: Scalable) -> dict[str, Any]:
    return facts.read(Facts, given).state(params)


def settled(state: Obj, plan: Plan, replicas: int | None = None) -> dict[str, Any]:
    """The state once a plan is done and every pod is as wanted."""
    if not plan:
        return dict(state)
    wanted = state["progress"]["replicas"] if replicas is None else replicas
    generation = state["upon"]["generation"] + 1
    progress = {
        **state["progress"],
        **dict.fromkeys(("generation", "observed"), generation),
        **dict.fromkeys(("replicas", "total", "updated", "available"), wanted),
        "stuck": "",
    }
    return {**state, "upon": {**state["upon"], "generation": generation}, "progress": progress}
