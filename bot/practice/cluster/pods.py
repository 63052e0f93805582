"""Making pods from a template and reading their state; pure, shared by the controllers, the kubelet and the snapshot."""

from __future__ import annotations

from bot.practice.cluster.deployments import owner
from bot.practice.cluster.resources import Obj, clone, stamp, unstamp


def from_template(template: Obj, controller: Obj, name: str, labels: dict[str, str]) -> Obj:
    """A pod as a controller creates it: owned by the controller, with extra labels."""
    meta = template.get("metadata") or {}
    pod: Obj = {
        "metadata": {
            "name": name, "generateName": f"{controller['metadata']['name']}-",
            "namespace": controller["metadata"]["namespace"],
            "labels": {**(meta.get("labels") or {}), **labels}, "ownerReferences": [owner(controller)],
        },
        "spec": clone(template["spec"]),
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }  # fmt: skip
    if meta.get("annotations"):
        pod["metadata"]["annotations"] = dict(meta["annotations"])
    return pod


def condition(pod: Obj, kind: str) -> Obj:
    found: list[Obj] = [c for c in pod.get("status", {}).get("conditions") or [] if c["type"] == kind]
    return found[0] if found else {}


def is_ready(pod: Obj) -> bool:
    return condition(pod, "Ready").get("status") == "True"


def is_active(pod: Obj) -> bool:
    return pod["status"].get("phase") not in ("Succeeded", "Failed") and not pod["metadata"].get("deletionTimestamp")


def available_from(pod: Obj, min_ready: int) -> float:
    """When a ready pod counts as available (epoch seconds)."""
    return unstamp(condition(pod, "Ready").get("lastTransitionTime")) + min_ready


def is_available(pod: Obj, min_ready: int, at: float) -> bool:
    return is_ready(pod) and (not min_ready or available_from(pod, min_ready) <= at)


def restarts(pod: Obj) -> int:
    return sum(int(c["restartCount"]) for c in pod["status"].get("containerStatuses") or [])


def trouble(pod: Obj) -> str:
    """The one word kubectl shows as STATUS."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for box in pod["status"].get("containerStatuses") or []:
        for kind in ("waiting", "terminated"):
            if kind in box["state"]:
                return str(box["state"][kind].get("reason", kind))
    return str(pod["status"].get("phase", "Unknown"))


def first_to_go(pod: Obj) -> tuple[bool, bool, bool, float, int, float]:
    """Sort key: which pod a controller deletes first (unassigned, pending, not ready, youngest)."""
    ready = is_ready(pod)
    since = unstamp(condition(pod, "Ready").get("lastTransitionTime")) if ready else 0.0
    return (
        bool(pod["spec"].get("nodeName")), pod["status"].get("phase") == "Running", ready,
        -since, -restarts(pod), -unstamp(pod["metadata"]["creationTimestamp"]),
    )  # fmt: skip


def set_condition(pod: Obj, kind: str, value: bool, at: float, reason: str = "", message: str = "") -> None:
    """Set one condition on `pod` (owned by the caller); the transition time moves only when the status does."""
    old = condition(pod, kind)
    status = "True" if value else "False"
    new: Obj = {
        "type": kind, "status": status, "lastProbeTime": None,
        "lastTransitionTime": old["lastTransitionTime"] if old.get("status") == status else stamp(at),
    }  # fmt: skip
    if reason:
        new |= {"reason": reason, "message": message}
    rest = [c for c in pod["status"].get("conditions") or [] if c["type"] != kind]
    pod["status"]["conditions"] = sorted([*rest, new], key=lambda c: ORDER.index(c["type"]))


ORDER = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
