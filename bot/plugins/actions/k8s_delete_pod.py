"""Have one pod stopped and made anew by its owner: an eviction, which a PodDisruptionBudget can refuse; never a plain delete.

*Which pod.* The one of this name, and with `uid` only that very one. A StatefulSet (and whatever else names its pods itself) makes the new pod under
the same name; so that this one is left alone, such a pod needs `uid`, or `before`: only a pod that was made before this time is stopped (a runbook
gives `{{ run.started_at }}`). A pod that is gone, is being stopped already or has been replaced: nothing to do. A pod that nobody would make anew is
refused unless `orphans: true`; so is a static pod of a node, which cannot be evicted.

*Look*: the pod, its owner, and how many pods that has. *Plan*: `pod: Running -> evicted (of Deployment shop/checkout, on practice-1)`. *Do*: one
eviction, bound to the uid that was planned upon, so at most once (policy/v1, before Kubernetes 1.22 policy/v1beta1); while a PodDisruptionBudget
refuses it, it is tried again later. *Verify*: the pod is gone; where the new one has its name, that one is ready. *Undo*: none. *Risk*: low; the
owner has one pod less for a while, and what only this pod had in memory or on its own disk is lost. *Permissions*: get pods, create pods/eviction
(apiGroup ""), get replicasets, deployments, statefulsets or daemonsets (apiGroup apps).

*Facts* (for the tests of runbooks): `owner` (`Deployment`; a kind, or empty for none), `phase` (`Running`), `ready` (true), `gone` (false),
`leaving` (false), `node` (`node-1`), `replicas` (3) and `available` (all) of the owner.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bot.clients import given as giving
from bot.clients import pods
from bot.clients.k8s_errors import NotThere
from bot.clients.kit import Kit
from bot.clients.rollout import moment
from bot.clients.unset import Unset
from bot.clients.workloads import Name
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted

NEW_NAMES = ("Deployment", "ReplicaSet", "DaemonSet", "Job", "ReplicationController")
PODLESS = "its new pod would have the same name and be stopped as well"
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # of the tests of runbooks, where nothing else says what time it is


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Name = Field(description="the namespace of the pod")
    pod: Name = Field(description="the name of the pod")
    uid: Annotated[Annotated[str, Field(max_length=64)] | None, Unset] = Field(
        default=None, description="only this very pod, not a later one of the same name"
    )
    before: Annotated[AwareDatetime | None, Unset] = Field(
        default=None, description="only a pod that was made before this time (ISO 8601): `{{ run.started_at }}`"
    )
    orphans: bool = Field(default=False, description="also a pod without an owner, which nobody makes anew")

    @property
    def shown(self) -> str:
        return f"Pod {self.namespace}/{self.pod}"


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = "Deployment"
    phase: str = "Running"
    ready: bool = True
    gone: bool = False
    leaving: bool = False
    node: str = "node-1"
    replicas: int = Field(default=3, ge=1)
    available: int | None = Field(default=None, ge=0)


class Plugin:
    """k8s.delete_pod"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "low"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """The eviction is bound to one pod: a second time there is none."""
        return True

    def target(self, params: Params) -> Target:
        lock = f"{params.namespace}/Pod/{params.pod}"
        return Target(action="k8s.delete_pod", namespace=params.namespace, name=params.pod, lock=lock)

    async def look(self, params: Params) -> dict[str, Any]:
        cluster = self._kit.cluster
        try:
            pod = await cluster.pod(params.namespace, params.pod)
        except NotThere:
            return {"pod": None, "owner": None}
        owner = await pods.owner_of(cluster, params.namespace, pod)
        return {"pod": _state_of(pod), "owner": owner}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        pod, owner = state["pod"], state["owner"]
        if pod is None or pod["leaving"] or _another(pod, params):
            return Plan(target=params.shown)
        _refuse(owner, params)
        where = f", on {pod['node']}" if pod["node"] else ""
        of = (
            f"of {owner['kind']} {params.namespace}/{owner['name']}" if owner else "of nobody: it will not be made anew"
        )
        known = owner is not None and owner["replicas"]
        return Plan(
            target=params.shown,
            diffs=(Diff(what="pod", before=pod["phase"], after="evicted", note=of + where),),
            want={"uid": pod["uid"]},
            leaves=max(0, owner["available"] - 1) if known and pod["ready"] else None,
            share=1 / owner["replicas"] if known else None,
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        try:
            await self._kit.cluster.evict(params.namespace, params.pod, plan.want["uid"])
        except NotThere as error:
            raise Drifted(f"{params.shown} is gone already. Nothing was done.") from error
        return {"evicted": plan.want["uid"]}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        pod = state["pod"]
        if pod is None:
            return None
        if pod["leaving"]:
            return "the pod is still being stopped"
        if not _another(pod, params):
            return "the pod is still there"
        return None if pod["ready"] else "the new pod is not ready yet"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return None

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        found = giving.read(Facts, given)
        if found.gone:
            return {"pod": None, "owner": None}
        available = found.replicas if found.available is None else found.available
        owner = {"kind": found.owner, "name": "owner", "replicas": found.replicas, "available": available}
        pod = {
            "uid": params.uid or f"the uid of {params.shown}",
            "created": ((params.before or SOME_DAY) - timedelta(days=1)).isoformat(),
            **found.model_dump(include={"phase", "ready", "leaving", "node"}),
        }
        return {"pod": pod, "owner": owner if found.owner else None}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        if not plan:
            return dict(state)
        if state["owner"] is None or state["owner"]["kind"] in NEW_NAMES:
            return {"pod": None, "owner": None}
        created = ((params.before or SOME_DAY) + timedelta(seconds=1)).isoformat()
        anew = {"uid": f"{state['pod']['uid']}, made anew", "created": created, "phase": "Running", "ready": True}
        return {**state, "pod": {**state["pod"], **anew}}


def _state_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    meta = pod["metadata"]
    return {
        "uid": meta["uid"],
        "phase": str((pod.get("status") or {}).get("phase", "Unknown")),
        "ready": pods.ready(pod),
        "leaving": pods.leaving(pod),
        "node": str(pod["spec"].get("nodeName", "")),
        "created": moment(meta["creationTimestamp"]).isoformat(),
    }


def _another(pod: Mapping[str, Any], params: Params) -> bool:
    """Whether the pod of this name is not (any more) the one that is meant."""
    if params.uid is not None and pod["uid"] != params.uid:
        return True
    return params.before is not None and datetime.fromisoformat(pod["created"]) >= params.before


def _refuse(owner: Mapping[str, Any] | None, params: Params) -> None:
    if owner is None:
        if not params.orphans:
            raise BadInput(
                f"{params.shown} has no owner: nobody would make it anew (give orphans: true to stop it all the same)"
            )
        return
    if owner["kind"] == "Node":
        raise BadInput(f"{params.shown} is a static pod of {owner['name']}: it cannot be evicted")
    if owner["kind"] not in NEW_NAMES and params.uid is None and params.before is None:
        raise BadInput(
            f"{params.shown} belongs to {owner['kind']} {owner['name']}, which names its pods itself: give uid, or before: "
            f'"{{{{ run.started_at }}}}"; else {PODLESS}'
        )
