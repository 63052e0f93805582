"""What is wrong with a pod, from its status, and whose it is. Used by the gatherers and by k8s.delete_pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.clients import spoken, workloads
from bot.clients.k8s import Kubernetes
from bot.clients.k8s_errors import NotThere
from bot.clients.rollout import moment

Pod = Mapping[str, Any]
HARMLESS_WAITS = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True, slots=True)
class Trouble:
    """How bad it is (0: well), why in words, which container, and how often it was restarted."""

    score: int
    why: str
    container: str
    restarts: int


def ready(pod: Pod) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def leaving(pod: Pod) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def owner(obj: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and name of what manages this object; empty when nothing does."""
    found = [one for one in obj["metadata"].get("ownerReferences") or () if one.get("controller")]
    return next(((str(one["kind"]), str(one["name"])) for one in found), ("", ""))


async def owner_of(cluster: Kubernetes, namespace: str, pod: Pod) -> dict[str, Any] | None:
    """The workload that makes the pod anew: `kind`, `name`, how many `replicas` it shall have and how many are `available` (0: not known)."""
    kind, name = owner(pod)
    if not kind:
        return None
    try:
        if kind == "ReplicaSet":
            made = await cluster.replica_set(namespace, name)
            kind, name = owner(made) if owner(made)[0] == "Deployment" else (kind, name)
        known = next((one for one in workloads.KINDS.values() if one.name == kind), None)
        if known is not None:
            now = workloads.progress(known, await cluster.workload(known.resource, namespace, name))
            return {"kind": kind, "name": name, "replicas": now["replicas"], "available": now["available"]}
    except NotThere:
        pass  # it is being deleted; the pod goes with it
    return {"kind": kind, "name": name, "replicas": 0, "available": 0}


def trouble(pod: Pod, now: datetime) -> Trouble:
    """The worst of its containers, or why it has none running."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    worst = max((_container(one, now) for one in containers), key=lambda one: one.score, default=None)
    if leaving(pod):
        return Trouble(1, "is being stopped", worst.container if worst else "", worst.restarts if worst else 0)
    if worst is not None and worst.score:
        return worst
    if ready(pod):
        return worst or Trouble(0, "", "", 0)
    unscheduled = _condition(pod, "PodScheduled")
    if unscheduled.get("status") == "False":
        return Trouble(70, f"not scheduled: {unscheduled.get('message') or unscheduled.get('reason', '')}", "", 0)
    why = f"{status.get('reason') or status.get('phase', 'Unknown')}, not ready"
    return Trouble(30, why, worst.container if worst else "", worst.restarts if worst else 0)


def _container(status: Mapping[str, Any], now: datetime) -> Trouble:
    state, restarts, name = status.get("state") or {}, int(status.get("restartCount", 0)), str(status["name"])
    last = (status.get("lastState") or {}).get("terminated")
    waiting, ended = state.get("waiting"), state.get("terminated")
    parts, score = [], 0
    if waiting and waiting.get("reason") not in HARMLESS_WAITS:
        parts, score = [str(waiting.get("reason") or "waiting")], 90
    elif ended and ended.get("exitCode"):
        parts, score = [_exit(ended, now)], 80
    elif state.get("running") and not status.get("ready"):
        parts, score = ["running but not ready (its readiness probe fails)"], 50
    if restarts:
        parts.append(f"{restarts} {'restart' if restarts == 1 else 'restarts'}")
        score = max(score, 10)
        if last:
            parts.append(f"last {_exit(last, now)}")
    return Trouble(score, ", ".join(parts), name, restarts)


def _exit(ended: Mapping[str, Any], now: datetime) -> str:
    reason = ended.get("reason") or "Error"
    ago = (
        f" {spoken.roughly((now - moment(ended['finishedAt'])).total_seconds())} ago" if ended.get("finishedAt") else ""
    )
    return f"exit {ended.get('exitCode', '?')} ({reason}){ago}"


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})
