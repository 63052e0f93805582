"""The other controllers: ReplicaSet, StatefulSet and DaemonSet to pods, the scheduler, garbage collection."""

from __future__ import annotations

from bot.practice.cluster import pods, revisions
from bot.practice.cluster.objects import Store
from bot.practice.cluster.recorder import Recorder
from bot.practice.cluster.resources import (
    ALL,
    CONTROLLERREVISIONS,
    DAEMONSETS,
    NODES,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    Obj,
    Resource,
    clone,
    controller_of,
    stamp,
)  # fmt: skip
from bot.practice.cluster.revisions import POD_LABEL
from bot.practice.cluster.templates import share


class WorkloadControllers:
    """One pass over everything that owns pods; called again until a pass changes nothing."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self.store = store
        self.recorder = recorder

    def sync(self, at: float) -> None:
        for rs in self.store.all(REPLICASETS):
            if not rs["metadata"].get("deletionTimestamp"):
                self._replica_set(rs, at)
        for sts in self.store.all(STATEFULSETS):
            if not sts["metadata"].get("deletionTimestamp"):
                self._stateful_set(sts, at)
        for ds in self.store.all(DAEMONSETS):
            if not ds["metadata"].get("deletionTimestamp"):
                self._daemon_set(ds, at)
        self._collect(at)
        self._schedule(at)

    def next_due(self, at: float) -> float | None:
        """When a ready pod of a workload with minReadySeconds becomes available."""
        times = []
        for resource in (REPLICASETS, STATEFULSETS, DAEMONSETS):
            for owner in self.store.all(resource):
                least = owner["spec"].get("minReadySeconds", 0)
                if least:
                    ready = [p for p in self._pods(owner) if pods.is_ready(p)]
                    times += [pods.available_from(p, least) for p in ready]
        return min((t for t in times if t > at), default=None)

    def _pods(self, owner: Obj) -> list[Obj]:
        return [p for p in self.store.owned(PODS, owner["metadata"]["uid"]) if pods.is_active(p)]

    def _make(self, owner: Obj, name: str, labels: dict[str, str], at: float, node: str = "") -> None:
        pod = pods.from_template(owner["spec"]["template"], owner, name, labels)
        if node:
            pod["spec"]["nodeName"] = node
            pods.set_condition(pod, "PodScheduled", True, at)
        self.store.create(PODS, pod)
        text = f"Created pod: {name}"
        self._tell(owner, "SuccessfulCreate", text, at)

    def _delete(self, owner: Obj, pod: Obj, at: float) -> None:
        delete_pod(self.store, pod, None, at)
        self._tell(owner, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}", at)

    def _tell(self, owner: Obj, reason: str, text: str, at: float) -> None:
        component = f"{owner['kind'].lower()}-controller"
        self.recorder.record(owner, "Normal", reason, text, component=component, at=at)

    def _replica_set(self, rs: Obj, at: float) -> None:
        mine, size = self._pods(rs), rs["spec"]["replicas"]
        for pod in sorted(mine, key=pods.first_to_go)[: max(0, len(mine) - size)]:
            self._delete(rs, pod, at)
        for _ in range(size - len(mine)):
            self._make(rs, f"{rs['metadata']['name']}-{self.store.suffix()}", {}, at)
        mine = self._pods(rs)
        labels = rs["spec"]["template"]["metadata"].get("labels") or {}
        full = [p for p in mine if labels.items() <= (p["metadata"].get("labels") or {}).items()]
        self._status(REPLICASETS, rs, {"replicas": len(mine)}, {"fullyLabeledReplicas": len(full)} | self._up(rs, at))

    def _up(self, owner: Obj, at: float) -> dict[str, int]:
        mine, least = self._pods(owner), owner["spec"].get("minReadySeconds", 0)
        return {
            "readyReplicas": sum(pods.is_ready(p) for p in mine),
            "availableReplicas": sum(pods.is_available(p, least, at) for p in mine),
        }

    def _status(self, resource: Resource, owner: Obj, always: Obj, some: Obj) -> None:
        changed = clone(owner)
        seen = {"observedGeneration": owner["metadata"]["generation"]}
        changed["status"] = always | {k: v for k, v in some.items() if v} | seen
        self.store.update(resource, changed, spec=False)

    def _stateful_set(self, sts: Obj, at: float) -> None:
        """Ordinals in order, one at a time; an update goes from the highest ordinal down to the partition.

        With OrderedReady nothing moves while a pod is not ready, not even to replace that pod by a better version
        (kubernetes/kubernetes#67250).
        """
        name, size = sts["metadata"]["name"], sts["spec"]["replicas"]
        revision = revisions.current(self.store, sts)
        digest = revisions.digest(sts, revision)
        found = {
            int(p["metadata"]["name"].rpartition("-")[2]): p for p in self.store.owned(PODS, sts["metadata"]["uid"])
        }
        parallel = sts["spec"]["podManagementPolicy"] == "Parallel"
        down = [i for i, p in found.items() if not (pods.is_active(p) and pods.is_ready(p))]
        missing = [i for i in range(size) if i not in found]
        for i in missing if parallel else missing[:1] if not down else []:
            if self.store.get(PODS, sts["metadata"]["namespace"], f"{name}-{i}"):
                continue  # the pod of a set of the same name that was deleted a moment ago: it has to go first
            labels = {POD_LABEL: digest, "statefulset.kubernetes.io/pod-name": f"{name}-{i}"}
            self._make(sts, f"{name}-{i}", labels, at)
        first = (sts["spec"]["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
        ordinals = sorted(found, reverse=True)
        stale = [i for i in ordinals if i >= size or (i >= first and self._stale(sts, found[i], digest))]
        waits = [i for i in down if i != stale[0]] if stale and (parallel or stale[0] >= size) else down
        if stale and pods.is_active(found[stale[0]]) and not missing and not waits:
            self._delete(sts, found[stale[0]], at)
        self._stateful_status(sts, digest, at)
        revisions.trim(self.store, sts, revision)

    def _stateful_status(self, sts: Obj, digest: str, at: float) -> None:
        mine, size = self._pods(sts), sts["spec"]["replicas"]
        updated = sum((p["metadata"].get("labels") or {}).get(POD_LABEL) == digest for p in mine)
        before = sts.get("status", {}).get("currentRevision", digest)
        current = digest if updated == len(mine) == size else before
        up = self._up(sts, at)
        some = {
            "readyReplicas": up["readyReplicas"],
            "updatedReplicas": updated,
            "currentReplicas": len(mine) - updated,
        }
        if current == digest:
            some["currentReplicas"] = updated
        created = len(self.store.owned(PODS, sts["metadata"]["uid"]))
        always = {"replicas": created, "availableReplicas": up["availableReplicas"], "collisionCount": 0}
        self._status(STATEFULSETS, sts, {**always, "currentRevision": current, "updateRevision": digest}, some)

    def _stale(self, owner: Obj, pod: Obj, digest: str) -> bool:
        rolling = owner["spec"]["updateStrategy"]["type"] == "RollingUpdate"
        return rolling and self._old(pod, digest)

    def _old(self, pod: Obj, digest: str) -> bool:
        return (pod["metadata"].get("labels") or {}).get(POD_LABEL) != digest

    def _daemon_set(self, ds: Obj, at: float) -> None:
        """One pod per node, closed ones too; an update replaces what is down at once, the others as many as may be unavailable."""
        revision = revisions.current(self.store, ds)
        digest = revisions.digest(ds, revision)
        nodes = [n["metadata"]["name"] for n in self.store.all(NODES)]
        mine = self.store.owned(PODS, ds["metadata"]["uid"])
        for node in nodes:
            if not any(p["spec"].get("nodeName") == node for p in mine):
                name = f"{ds['metadata']['name']}-{self.store.suffix()}"
                self._make(ds, name, {POD_LABEL: digest}, at, node)
        self._roll_daemons(ds, digest, len(nodes), at)
        active = self._pods(ds)
        up, total = self._up(ds, at), len(nodes)
        always = {
            "currentNumberScheduled": len(active), "numberMisscheduled": 0, "desiredNumberScheduled": total,
            "numberReady": up["readyReplicas"],
        }  # fmt: skip
        updated = sum(not self._old(p, digest) for p in active)
        some = {"updatedNumberScheduled": updated, "numberAvailable": up["availableReplicas"],
                "numberUnavailable": total - up["availableReplicas"]}  # fmt: skip
        self._status(DAEMONSETS, ds, always, some)
        revisions.trim(self.store, ds, revision)

    def _roll_daemons(self, ds: Obj, digest: str, nodes: int, at: float) -> None:
        stale = [p for p in self._pods(ds) if self._stale(ds, p, digest)]
        rolling, least = ds["spec"]["updateStrategy"].get("rollingUpdate") or {}, ds["spec"].get("minReadySeconds", 0)
        well = [p for p in stale if pods.is_available(p, least, at)]
        room = share(rolling.get("maxUnavailable", 1), nodes, up=True) - (nodes - self._up(ds, at)["availableReplicas"])
        for pod in [*(p for p in stale if p not in well), *well[: max(0, room)]]:
            self._delete(ds, pod, at)

    def _collect(self, at: float) -> None:
        """Delete what belongs to an owner that is gone, and finish a foreground deletion when nothing is left."""
        alive = {o["metadata"]["uid"]: o for resource in ALL for o in self.store.all(resource)}
        children: set[str] = set()
        for resource in (REPLICASETS, CONTROLLERREVISIONS, PODS):
            for obj in self.store.all(resource):
                uid = controller_of(obj)
                if uid is None:
                    continue
                children.add(uid)
                parent = alive.get(uid)
                going = parent is not None and "foregroundDeletion" in (parent["metadata"].get("finalizers") or [])
                if (parent is None or going) and not obj["metadata"].get("deletionTimestamp"):
                    self._let_go(resource, obj, at, foreground=going)
        for resource in ALL:
            for obj in self.store.all(resource):
                finalizers = obj["metadata"].get("finalizers") or []
                if "foregroundDeletion" in finalizers and obj["metadata"]["uid"] not in children:
                    changed = clone(obj)
                    changed["metadata"]["finalizers"] = [f for f in finalizers if f != "foregroundDeletion"]
                    self.store.update(resource, changed, spec=False)

    def _let_go(self, resource: Resource, obj: Obj, at: float, *, foreground: bool) -> None:
        if resource is PODS:
            delete_pod(self.store, obj, None, at)
        elif foreground:
            mark_foreground(self.store, resource, obj, at)
        else:
            self.store.remove(resource, obj["metadata"]["namespace"], obj["metadata"]["name"])

    def _schedule(self, at: float) -> None:
        nodes = [n for n in self.store.all(NODES) if not n.get("spec", {}).get("unschedulable")]
        waiting = [p for p in self.store.all(PODS) if not p["spec"].get("nodeName") and pods.is_active(p)]
        if not waiting:
            return
        loads = {n["metadata"]["name"]: 0 for n in nodes}
        for pod in self.store.all(PODS):
            if pod["spec"].get("nodeName") in loads:
                loads[pod["spec"]["nodeName"]] += 1
        for pod in waiting:
            changed = clone(pod)
            if not loads:
                total = len(self.store.all(NODES))
                text = f"0/{total} nodes are available: {total} node(s) were unschedulable."
                pods.set_condition(changed, "PodScheduled", False, at, "Unschedulable", text)
                if self.store.update(PODS, changed, spec=False) is not pod:
                    self.recorder.record(pod, "Warning", "FailedScheduling", text, component="default-scheduler", at=at)
                continue
            node = min(loads, key=lambda n: (loads[n], n))
            loads[node] += 1
            changed["spec"]["nodeName"] = node
            pods.set_condition(changed, "PodScheduled", True, at)
            self.store.update(PODS, changed, spec=False)
            text = f"Successfully assigned {pod['metadata']['namespace']}/{pod['metadata']['name']} to {node}"
            self.recorder.record(pod, "Normal", "Scheduled", text, component="default-scheduler", at=at)


def delete_pod(store: Store, pod: Obj, grace: int | None, at: float) -> Obj:
    """Start a pod's end: marked with its grace period when it runs, gone at once when it does not or the grace is 0."""
    meta = pod["metadata"]
    seconds = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace
    if meta.get("deletionTimestamp"):
        seconds = min(seconds, meta.get("deletionGracePeriodSeconds", 0))
    if not seconds or not pod["spec"].get("nodeName"):
        return store.remove(PODS, meta["namespace"], meta["name"])
    changed = clone(pod)
    changed["metadata"] |= {"deletionTimestamp": stamp(at + seconds), "deletionGracePeriodSeconds": seconds}
    return store.update(PODS, changed, spec=False)


def mark_foreground(store: Store, resource: Resource, obj: Obj, at: float) -> Obj:
    changed = clone(obj)
    finalizers = [*(changed["metadata"].get("finalizers") or []), "foregroundDeletion"]
    changed["metadata"] |= {"deletionTimestamp": stamp(at), "deletionGracePeriodSeconds": 0, "finalizers": finalizers}
    return store.update(resource, changed, spec=False)
