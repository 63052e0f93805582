"""POST, PUT, PATCH and DELETE of the API: defaults, validation, optimistic locking, dry runs; called by `api`."""

from __future__ import annotations

from typing import Any

from bot.practice.cluster import patching
from bot.practice.cluster.bodies import from_patch, from_request
from bot.practice.cluster.defaults import fill
from bot.practice.cluster.errors import (
    Cause,
    already_exists,
    bad_patch,
    bad_request,
    check_preconditions,
    conflict,
    internal,
    invalid,
    unsupported_media_type,
)
from bot.practice.cluster.evicting import evictable
from bot.practice.cluster.objects import Store
from bot.practice.cluster.reading import scale_of
from bot.practice.cluster.requests import Call
from bot.practice.cluster.resources import (
    ALL,
    CONTROLLERREVISIONS,
    NAMESPACES,
    PODS,
    REPLICASETS,
    Obj,
    Resource,
    clone,
    stamp,
)
from bot.practice.cluster.selectors import matcher
from bot.practice.cluster.validation import GO, NOT_NEGATIVE, check, required, wrong
from bot.practice.cluster.workloads import delete_pod, mark_foreground

SERVER_FIELDS = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
)
NO_DAEMONS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")


class Writer:
    """Everything that changes an object on request. `fewest_available`: disruption budgets, deployment name to pods."""

    def __init__(self, store: Store, fewest_available: dict[str, int]) -> None:
        self.store = store
        self.fewest_available = fewest_available

    def create(self, call: Call) -> Obj:
        obj = from_request(call)
        name, namespace = obj["metadata"].get("name", ""), call.namespace
        if call.resource.namespaced:
            self.store.need(NAMESPACES, "", namespace)
            obj["metadata"]["namespace"] = namespace
        obj["metadata"] = {k: v for k, v in obj["metadata"].items() if k not in SERVER_FIELDS}
        if obj["metadata"].pop("resourceVersion", None) and not call.dry_run:
            raise internal("resourceVersion should not be set on objects to be created")
        if call.resource.status:
            obj.pop("status", None)
        obj = fill(call.resource, obj)
        check(call.resource, self.store.prepared(call.resource, obj) if not name else obj)
        if call.resource.kind == "Deployment":
            obj["status"] = {}
        if call.resource.kind in ("ReplicaSet", "StatefulSet"):
            obj["status"] = {"replicas": 0}
        if call.resource.kind == "DaemonSet":
            obj["status"] = dict.fromkeys(NO_DAEMONS, 0)
        if name and self.store.get(call.resource, namespace, name):
            raise already_exists(call.resource, name)
        return self.store.prepared(call.resource, obj) if call.dry_run else self.store.create(call.resource, obj)

    def update(self, call: Call) -> Obj:
        if call.subresource == "scale":
            return self._scale(call, call.body)
        new = from_request(call)
        old = self.store.need(call.resource, call.namespace, call.name)
        _check_uid(call.resource, old, new["metadata"])
        return self._replace(call, old, new)

    def patch(self, call: Call) -> Obj:
        if call.content_type not in patching.ACCEPTED:
            raise unsupported_media_type(patching.ACCEPTED)
        old = self.store.need(call.resource, call.namespace, call.name)
        if call.subresource == "scale":
            return self._scale(call, patching.apply(call.content_type, scale_of(old), call.body))
        new = from_patch(call, patching.apply(call.content_type, old, call.body))
        uid = new["metadata"].get("uid") or old["metadata"]["uid"]
        if uid != old["metadata"]["uid"]:
            causes = [wrong("metadata.uid", uid, "field is immutable")]
            raise invalid(call.resource.qualified_kind, call.name, causes)
        return self._replace(call, old, new)

    def _replace(self, call: Call, old: Obj, new: Obj) -> Obj:
        _check_lock(call.resource, old, new["metadata"])
        new["metadata"] = {k: v for k, v in new["metadata"].items() if k not in SERVER_FIELDS}
        new["metadata"] |= {k: old["metadata"][k] for k in SERVER_FIELDS if k in old["metadata"]}
        if call.subresource == "status":
            new = {**clone(old), "status": new.get("status", {}), "metadata": new["metadata"]}
        elif call.resource.status and "status" in old:
            new["status"] = clone(old["status"])
        elif call.resource.status:
            new.pop("status", None)
        new = fill(call.resource, new)
        check(call.resource, new, old)
        return self.store.update(call.resource, new, spec=call.subresource != "status", dry_run=call.dry_run)

    def _scale(self, call: Call, scale: Any) -> Obj:
        old = self.store.need(call.resource, call.namespace, call.name)
        why, replicas = _replicas_of(scale)
        if why and call.verb == "patch":
            raise bad_patch("...", why)
        if why:
            raise bad_request(f'Scale in version "v1" cannot be handled as a Scale: {why}')
        meta = scale.get("metadata") or {}
        if not meta.get("name"):
            text = f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
            raise bad_request(text)
        if not meta.get("namespace"):
            raise invalid("Scale.autoscaling", call.name, [required("metadata.namespace")])
        _check_lock(call.resource, old, meta)
        if replicas < 0:
            raise invalid("Scale.autoscaling", call.name, [wrong("spec.replicas", replicas, NOT_NEGATIVE)])
        new = clone(old)
        new["spec"]["replicas"] = replicas
        return scale_of(self.store.update(call.resource, new, dry_run=call.dry_run))

    def delete(self, call: Call) -> Obj:
        old = self.store.need(call.resource, call.namespace, call.name)
        options = call.body if isinstance(call.body, dict) else {}
        check_preconditions(call.resource, call.name, old, options)
        gone = old if call.dry_run else self._delete(call.resource, old, options, call)
        if call.resource is PODS:
            return gone
        group = {"group": call.resource.group} if call.resource.group else {}
        details = {"name": call.name, **group, "kind": call.resource.plural, "uid": old["metadata"]["uid"]}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def delete_all(self, call: Call) -> Obj:
        wanted = matcher(call.resource, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
        found = [obj for obj in self.store.all(call.resource, call.namespace) if wanted(obj)]
        options = call.body if isinstance(call.body, dict) else {}
        for obj in [] if call.dry_run else found:
            self._delete(call.resource, obj, options, call)
        meta = {"resourceVersion": str(self.store.version)}
        return {
            "kind": f"{call.resource.kind}List",
            "apiVersion": call.resource.api_version,
            "metadata": meta,
            "items": found,
        }

    def _delete(self, resource: Resource, old: Obj, options: Obj, call: Call) -> Obj:
        at, meta = self.store.clock(), old["metadata"]
        grace = options.get("gracePeriodSeconds", call.query.get("gracePeriodSeconds"))
        policy = options.get("propagationPolicy", call.query.get("propagationPolicy", "Background"))
        if resource is PODS:
            return delete_pod(self.store, old, None if grace is None else int(grace), at)
        if policy not in ("Background", "Foreground", "Orphan"):
            known = '"Foreground", "Background", "Orphan", "nil"'
            text = f'Unsupported value: "{policy}": supported values: {known}'
            cause = Cause("propagationPolicy", "FieldValueNotSupported", text)
            raise invalid("DeleteOptions.meta.k8s.io", "", [cause])
        if resource is NAMESPACES:
            return self._delete_namespace(old)
        if policy == "Foreground":
            return mark_foreground(self.store, resource, old, at)
        if policy == "Orphan":
            self._orphan(meta["uid"])
        if meta.get("finalizers"):
            changed = clone(old)
            changed["metadata"] |= {"deletionTimestamp": stamp(at), "deletionGracePeriodSeconds": 0}
            return self.store.update(resource, changed, spec=False)
        return self.store.remove(resource, meta.get("namespace", ""), meta["name"])

    def _delete_namespace(self, old: Obj) -> Obj:
        name = old["metadata"]["name"]
        for resource in (r for r in ALL if r.namespaced):
            for obj in self.store.all(resource, name):
                self.store.remove(resource, name, obj["metadata"]["name"])
        return self.store.remove(NAMESPACES, "", name)

    def _orphan(self, uid: str) -> None:
        for resource in (REPLICASETS, CONTROLLERREVISIONS, PODS):
            for obj in self.store.owned(resource, uid):
                changed = clone(obj)
                changed["metadata"].pop("ownerReferences")
                self.store.update(resource, changed, spec=False)

    def evict(self, call: Call) -> Obj:
        """POST pods/eviction: a delete that a disruption budget can refuse (429)."""
        pod = evictable(self.store, call, self.fewest_available)
        options = (call.body or {}).get("deleteOptions") or {}
        if not call.dry_run and options.get("dryRun") != ["All"]:
            delete_pod(self.store, pod, options.get("gracePeriodSeconds"), self.store.clock())
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _replicas_of(scale: Any) -> tuple[str, int]:
    """What is wrong with a Scale (nothing: empty), and the replicas it asks for."""
    if not isinstance(scale, dict) or scale.get("kind", "Scale") != "Scale":
        kind = scale.get("kind") if isinstance(scale, dict) else ""
        return f'no kind "{kind}" is registered for version "autoscaling/v1"', 0
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        got = GO.get(type(replicas), "value")
        return f"json: cannot unmarshal {got} into Go struct field ScaleSpec.spec.replicas of type int32", 0
    return "", replicas


def _check_lock(resource: Resource, old: Obj, meta: Obj) -> None:
    """The optimistic lock: a resourceVersion, when there is one, must be the current one."""
    asked = meta.get("resourceVersion")
    if asked and str(asked) != old["metadata"]["resourceVersion"]:
        raise conflict(resource, old["metadata"]["name"])


def _check_uid(resource: Resource, old: Obj, meta: Obj) -> None:
    uid = meta.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        shown = f"UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise conflict(resource, old["metadata"]["name"], f"Precondition failed: {shown}")
