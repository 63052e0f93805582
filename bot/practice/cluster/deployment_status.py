"""A Deployment's status and conditions with the reasons of the real controller; pure, called by `deployments`."""

from __future__ import annotations

from bot.practice.cluster.resources import Obj, stamp, unstamp
from bot.practice.cluster.templates import share

COMPLETE, DEADLINE, UPDATED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded", "ReplicaSetUpdated"


def count(sets: list[Obj], field: str) -> int:
    return sum(int(rs.get("status", {}).get(field, 0)) for rs in sets)


def wanted(sets: list[Obj]) -> int:
    return sum(int(rs["spec"]["replicas"]) for rs in sets)


def surge(deployment: Obj) -> int:
    return _bounds(deployment)[0]


def most_unavailable(deployment: Obj) -> int:
    return min(_bounds(deployment)[1], int(deployment["spec"]["replicas"]))


def _bounds(deployment: Obj) -> tuple[int, int]:
    rolling = deployment["spec"]["strategy"].get("rollingUpdate")
    if not rolling or not deployment["spec"]["replicas"]:
        return 0, 0
    replicas = deployment["spec"]["replicas"]
    up, down = share(rolling["maxSurge"], replicas, up=True), share(rolling["maxUnavailable"], replicas, up=False)
    return (up, down) if up or down else (0, 1)


def condition(obj: Obj, kind: str) -> Obj | None:
    found: list[Obj] = [c for c in obj.get("status", {}).get("conditions") or [] if c["type"] == kind]
    return found[0] if found else None


def set_condition(status: Obj, kind: str, value: str, reason: str, message: str, at: float) -> None:
    """Add or replace a condition; the same status and reason again changes nothing, as in the real controller."""
    current = condition({"status": status}, kind)
    if current and current["status"] == value and current["reason"] == reason:
        return
    same = current is not None and current["status"] == value
    new = {
        "type": kind, "status": value, "lastUpdateTime": stamp(at),
        "lastTransitionTime": current["lastTransitionTime"] if current and same else stamp(at),
        "reason": reason, "message": message,
    }  # fmt: skip
    status["conditions"] = [c for c in status.get("conditions", []) if c["type"] != kind] + [new]


def counts(deployment: Obj, newest: Obj | None, sets: list[Obj], at: float) -> Obj:
    """The numbers and the Available condition; zeros are left out, as Go's encoder does."""
    available = count(sets, "availableReplicas")
    numbers = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": count(sets, "replicas"),
        "updatedReplicas": count([newest], "replicas") if newest else 0,
        "readyReplicas": count(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted(sets) - available),
        "collisionCount": deployment.get("status", {}).get("collisionCount", 0),
    }
    status: Obj = {k: v for k, v in numbers.items() if v}
    status["conditions"] = list(deployment.get("status", {}).get("conditions") or [])
    if available >= deployment["spec"]["replicas"] - most_unavailable(deployment):
        text = "Deployment has minimum availability."
        set_condition(status, "Available", "True", "MinimumReplicasAvailable", text, at)
    else:
        text = "Deployment does not have minimum availability."
        set_condition(status, "Available", "False", "MinimumReplicasUnavailable", text, at)
    return status


def complete(deployment: Obj, status: Obj) -> bool:
    replicas = deployment["spec"]["replicas"]
    return all(status.get(k, 0) == replicas for k in ("updatedReplicas", "replicas", "availableReplicas"))


def progress(deployment: Obj, status: Obj, newest: Obj | None, at: float) -> None:
    """The Progressing condition: moved on, complete, or out of time."""
    current = condition({"status": status}, "Progressing")
    finished = current is not None and current["reason"] == COMPLETE
    if finished and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return
    name = f'ReplicaSet "{newest["metadata"]["name"]}"' if newest else f'Deployment "{deployment["metadata"]["name"]}"'
    if complete(deployment, status):
        text = f"{name} has successfully progressed."
        set_condition(status, "Progressing", "True", COMPLETE, text, at)
    elif _moved(deployment.get("status", {}), status):
        kept = current["lastTransitionTime"] if current and current["status"] == "True" else stamp(at)
        status["conditions"] = [c for c in status["conditions"] if c["type"] != "Progressing"]
        set_condition(status, "Progressing", "True", UPDATED, f"{name} is progressing.", at)
        status["conditions"][-1]["lastTransitionTime"] = kept
    elif timed_out(deployment, current, at):
        set_condition(status, "Progressing", "False", DEADLINE, f"{name} has timed out progressing.", at)


def _moved(old: Obj, new: Obj) -> bool:
    def left(status: Obj) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grown = any(new.get(k, 0) > old.get(k, 0) for k in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return grown or left(new) < left(old)


def deadline(deployment: Obj, current: Obj | None) -> float | None:
    """When the rollout runs out of time, if it can."""
    if current is None or current["reason"] in (COMPLETE, DEADLINE, "DeploymentPaused"):
        return None
    return unstamp(current["lastUpdateTime"]) + float(deployment["spec"]["progressDeadlineSeconds"])


def timed_out(deployment: Obj, current: Obj | None, at: float) -> bool:
    due = deadline(deployment, current)
    return due is not None and due < at
