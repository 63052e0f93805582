"""The history of StatefulSets and DaemonSets: one ControllerRevision per template, numbered anew when it is used again; called by `workloads`.

Written after kubernetes/pkg/controller/history and the getPatch functions of both controllers.
"""

from __future__ import annotations

from bot.practice.cluster.deployments import owner
from bot.practice.cluster.objects import Store
from bot.practice.cluster.resources import CONTROLLERREVISIONS, PODS, Obj, clone
from bot.practice.cluster.templates import template_hash

POD_LABEL = "controller-revision-hash"
HASH_LABELS = {"StatefulSet": "controller.kubernetes.io/hash", "DaemonSet": POD_LABEL}


def current(store: Store, workload: Obj) -> Obj:
    """The ControllerRevision of the workload's template: the newest of all, made if there is none."""
    data = {"spec": {"template": {**clone(workload["spec"]["template"]), "$patch": "replace"}}}
    mine = of(store, workload)
    newest = max((one["revision"] for one in mine), default=0)
    found = next((one for one in mine if one["data"] == data), None)
    if found is None:
        return _make(store, workload, data, newest + 1)
    if found["revision"] < newest:
        return store.update(CONTROLLERREVISIONS, {**clone(found), "revision": newest + 1})
    return found


def of(store: Store, workload: Obj) -> list[Obj]:
    """The workload's history, the oldest first."""
    return sorted(store.owned(CONTROLLERREVISIONS, workload["metadata"]["uid"]), key=lambda one: int(one["revision"]))


def digest(workload: Obj, revision: Obj) -> str:
    """What the pods of this revision carry as their label: a StatefulSet's the whole name, a DaemonSet's the hash."""
    if workload["kind"] == "StatefulSet":
        return str(revision["metadata"]["name"])
    return str(revision["metadata"]["labels"][POD_LABEL])


def trim(store: Store, workload: Obj, keep: Obj) -> None:
    """Forget the oldest revisions that nothing uses, beyond what the history may hold."""
    pods = store.owned(PODS, workload["metadata"]["uid"])
    used = {(pod["metadata"].get("labels") or {}).get(POD_LABEL) for pod in pods}
    idle = [one for one in of(store, workload) if digest(workload, one) not in used and one is not keep]
    surplus = len(idle) - workload["spec"]["revisionHistoryLimit"]
    for one in idle[: max(0, surplus)]:
        store.remove(CONTROLLERREVISIONS, one["metadata"]["namespace"], one["metadata"]["name"])


def _make(store: Store, workload: Obj, data: Obj, number: int) -> Obj:
    meta, template = workload["metadata"], workload["spec"]["template"]
    collisions = 0
    while store.get(CONTROLLERREVISIONS, meta["namespace"], f"{meta['name']}-{template_hash(template, collisions)}"):
        collisions += 1  # the history of a workload of the same name that was deleted a moment ago
    spelled = template_hash(template, collisions)
    labels = {**(template["metadata"].get("labels") or {}), HASH_LABELS[workload["kind"]]: spelled}
    made: Obj = {
        "metadata": {
            "name": f"{meta['name']}-{spelled}", "namespace": meta["namespace"], "labels": labels,
            "ownerReferences": [owner(workload)],
        },
        "data": data,
        "revision": number,
    }  # fmt: skip
    return store.create(CONTROLLERREVISIONS, made)
