"""The documents by which clients find out what the API serves (`/version`, `/api`, `/apis` and below); pure."""

from __future__ import annotations

from bot.practice.cluster.requests import REVIEW
from bot.practice.cluster.resources import ALL, PODS, Obj, Resource

VERSION = {
    "major": "1", "minor": "33", "gitVersion": "v1.33.0-practice", "gitCommit": "0" * 40, "gitTreeState": "clean",
    "buildDate": "2025-01-01T00:00:00Z", "goVersion": "none", "compiler": "none", "platform": "linux/amd64",
}  # fmt: skip


def document(path: str) -> Obj | None:
    """The discovery document under `path`; None when there is none."""
    groups = {r.group: r.version for r in (*ALL, REVIEW) if r.group}
    if path == "/version":
        return dict(VERSION)
    if path == "/api":
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g, v) for g, v in sorted(groups.items())]}
    parts = path.strip("/").split("/")
    if path == "/api/v1":
        return _resources("", "v1")
    if len(parts) == 2 and parts[0] == "apis" and parts[1] in groups:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], groups[parts[1]])}
    if len(parts) == 3 and parts[0] == "apis" and groups.get(parts[1]) == parts[2]:
        return _resources(parts[1], parts[2])
    return None


def _group(group: str, version: str) -> Obj:
    one = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [one], "preferredVersion": one}


def _resources(group: str, version: str) -> Obj:
    items: list[Obj] = []
    for resource in (*ALL, REVIEW):
        if (resource.group, resource.version) == (group, version):
            items += _entries(resource)
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": items}


def _entries(resource: Resource) -> list[Obj]:
    verbs = ["create"] if resource is REVIEW else sorted(resource.verbs)
    whole: Obj = {
        "name": resource.plural, "singularName": resource.kind.lower(), "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": verbs,
    }  # fmt: skip
    if resource.short:
        whole["shortNames"] = list(resource.short)
    if resource.kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Pod", "Service"):
        whole["categories"] = ["all"]
    part = {"singularName": "", "namespaced": resource.namespaced}
    entries = [whole]
    writes = ["get", "patch", "update"]
    if resource.scale:
        scale = {"group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": writes}
        entries.append({"name": f"{resource.plural}/scale", **part, **scale})
    if resource.status:
        entries.append({"name": f"{resource.plural}/status", **part, "kind": resource.kind, "verbs": writes})
    if resource is PODS:
        entries.append({"name": "pods/log", **part, "kind": "Pod", "verbs": ["get"]})
        evict = {"group": "policy", "version": "v1", "kind": "Eviction", "verbs": ["create"]}
        entries.append({"name": "pods/eviction", **part, **evict})
    return entries
