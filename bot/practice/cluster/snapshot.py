"""The cluster at a glance, as the practice page and the demo show it; pure reading."""

from __future__ import annotations

from bot.practice.cluster import pods
from bot.practice.cluster.deployments import DeploymentController, revision_of
from bot.practice.cluster.kubelet import deployment_of
from bot.practice.cluster.objects import Store
from bot.practice.cluster.resources import DEPLOYMENTS, EVENTS, PODS, Obj, unstamp

MOST_EVENTS = 20


def image_of(owner: Obj) -> str:
    return str(owner["spec"]["template"]["spec"]["containers"][0]["image"])


def take(store: Store, controller: DeploymentController, error_ratio: float, now: float) -> Obj:
    """Deployments with their revisions, pods, the last events and the worst error ratio."""
    return {
        "deployments": [_deployment(d, controller, now) for d in store.all(DEPLOYMENTS)],
        "pods": [_pod(p, store, now) for p in store.all(PODS)],
        "events": [_event(e) for e in _latest(store.all(EVENTS))],
        "error_ratio": error_ratio,
    }


def _age(obj: Obj, now: float) -> int:
    return max(0, int(now - unstamp(obj["metadata"]["creationTimestamp"])))


def _deployment(deployment: Obj, controller: DeploymentController, now: float) -> Obj:
    return {
        "namespace": deployment["metadata"]["namespace"], "name": deployment["metadata"]["name"],
        "image": image_of(deployment), "revision": revision_of(deployment),
        "replicas": deployment["spec"]["replicas"], "ready": deployment.get("status", {}).get("readyReplicas", 0),
        "revisions": [
            {"revision": revision_of(rs), "image": image_of(rs), "age_seconds": _age(rs, now),
             "replicas": rs["spec"]["replicas"]}
            for rs in sorted(controller.sets_of(deployment), key=revision_of)
        ],
    }  # fmt: skip


def _pod(pod: Obj, store: Store, now: float) -> Obj:
    return {
        "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"],
        "deployment": deployment_of(store, pod), "image": str(pod["spec"]["containers"][0]["image"]),
        "ready": pods.is_ready(pod) and not pod["metadata"].get("deletionTimestamp"),
        "phase": pod["status"]["phase"], "reason": pods.trouble(pod), "restarts": pods.restarts(pod),
        "age_seconds": _age(pod, now),
    }  # fmt: skip


def _latest(events: list[Obj]) -> list[Obj]:
    def order(event: Obj) -> tuple[str, int]:
        return str(event.get("lastTimestamp") or ""), int(event["metadata"]["resourceVersion"])

    return sorted(events, key=order)[-MOST_EVENTS:]


def _event(event: Obj) -> Obj:
    about = event.get("involvedObject") or {}
    return {
        "time": event.get("lastTimestamp") or event["metadata"]["creationTimestamp"], "type": event.get("type", "Normal"),
        "reason": event.get("reason", ""), "object": f"{about.get('kind', '')}/{about.get('name', '')}".lower(),
        "message": event.get("message", ""),
    }  # fmt: skip
