"""Uses of every Kubernetes action, for the tables of tests."""

from __future__ import annotations

from typing import Any

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.ports import Action
from bot.plugins import discover

UNCONNECTED = Kit(None, None, Http(str), str)
ACTIONS = {name: module for name, module in discover("actions").items() if name.startswith("k8s.")}

WORKLOADS: dict[str, dict[str, str]] = {
    "Deployment": {"namespace": "shop", "deployment": "checkout"},
    "StatefulSet": {"namespace": "shop", "statefulset": "orders"},
    "DaemonSet": {"namespace": "shop", "daemonset": "agent"},
}
POD = {"namespace": "shop", "pod": "checkout-5d8f-x2x4z"}
NODE = {"node": "practice-1"}


def uses() -> dict[str, tuple[str, dict[str, Any]]]:
    """Every action with every kind of thing that it works on, by a name for the test."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for kind, named in WORKLOADS.items():
        found[f"k8s.restart of a {kind}"] = ("k8s.restart", {**named, "why": "INC-7"})
        found[f"k8s.rollback of a {kind}"] = ("k8s.rollback", named)
        box = next(value for key, value in named.items() if key != "namespace")
        found[f"k8s.set_image of a {kind}"] = ("k8s.set_image", {**named, "images": {box: f"{box}:9"}})
        if kind != "DaemonSet":
            found[f"k8s.scale of a {kind}"] = ("k8s.scale", {**named, "replicas": 6})
    found["k8s.pause"] = ("k8s.pause", WORKLOADS["Deployment"])
    found["k8s.resume"] = ("k8s.resume", WORKLOADS["Deployment"])
    found["k8s.cordon"] = ("k8s.cordon", NODE)
    found["k8s.uncordon"] = ("k8s.uncordon", NODE)
    found["k8s.delete_pod"] = ("k8s.delete_pod", POD)
    return found


def action(name: str, kit: Kit = UNCONNECTED) -> Action:
    made: Action = ACTIONS[name].Plugin(kit)
    return made
