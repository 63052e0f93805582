"""What the API fills in when a field is left out; called before validation on every create and update."""

from __future__ import annotations

from bot.practice.cluster.resources import DAEMONSETS, DEPLOYMENTS, NODES, PODS, STATEFULSETS, WORKLOADS, Obj, Resource


def fill(resource: Resource, obj: Obj) -> Obj:
    """Set the defaults on `obj` (which the caller owns) and return it; fields of a wrong type are left to validation."""
    if resource in WORKLOADS:
        obj["spec"] = obj.get("spec") or {}
        _workload(resource, obj["spec"])
    elif resource is PODS and isinstance(obj.get("spec"), dict):
        pod_spec(obj["spec"])
        obj.setdefault("status", {}).setdefault("phase", "Pending")
    elif resource.kind == "Namespace":
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        obj.setdefault("status", {}).setdefault("phase", "Active")
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"].get("name", "")
    elif resource is NODES and obj.get("spec", {}).get("unschedulable") is False:
        del obj["spec"]["unschedulable"]
    return obj


def _workload(resource: Resource, spec: Obj) -> None:
    if resource is not DAEMONSETS:
        _absent(spec, replicas=1)
    template = spec.get("template")
    if isinstance(template, dict):
        meta = template.setdefault("metadata", {})
        if isinstance(meta, dict):
            meta["creationTimestamp"] = None
            for field in ("labels", "annotations"):
                if meta.get(field) in ({}, None):
                    meta.pop(field, None)
        if isinstance(template.get("spec"), dict):
            pod_spec(template["spec"])
    if resource is DEPLOYMENTS:
        _absent(spec, revisionHistoryLimit=10, progressDeadlineSeconds=600)
        strategy = spec["strategy"] = spec.get("strategy") or {}
        _absent(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
            _absent(strategy["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")
        if spec.get("paused") is False:
            del spec["paused"]
    if resource is STATEFULSETS:
        _absent(spec, podManagementPolicy="OrderedReady", revisionHistoryLimit=10, serviceName="")
    if resource in (STATEFULSETS, DAEMONSETS):
        _absent(spec, revisionHistoryLimit=10)
        strategy = spec["updateStrategy"] = spec.get("updateStrategy") or {}
        _absent(strategy, type="RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy["rollingUpdate"] = strategy.get("rollingUpdate") or {}
            _absent(rolling, **({"partition": 0} if resource is STATEFULSETS else {"maxUnavailable": 1, "maxSurge": 0}))


def pod_spec(spec: Obj) -> None:
    _absent(
        spec, restartPolicy="Always", terminationGracePeriodSeconds=30, dnsPolicy="ClusterFirst",
        securityContext={}, schedulerName="default-scheduler",
    )  # fmt: skip
    for box in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        if not isinstance(box, dict):
            continue
        image = str(box.get("image", ""))
        latest = image.endswith(":latest") or ":" not in image.rsplit("/", 1)[-1]
        _absent(
            box, imagePullPolicy="Always" if latest else "IfNotPresent", resources={},
            terminationMessagePath="/dev/termination-log", terminationMessagePolicy="File",
        )  # fmt: skip
        for port in box.get("ports") or []:
            _absent(port, protocol="TCP")


def _absent(target: Obj, **values: object) -> None:
    for key, value in values.items():
        if target.get(key) is None:
            target[key] = value
