"""From a request's body, or from a patched document, to an object of the resource under the URL; pure."""

from __future__ import annotations

import json

from bot.practice.cluster.errors import ApiError, bad_patch, bad_request
from bot.practice.cluster.patching import STRATEGIC
from bot.practice.cluster.requests import Call
from bot.practice.cluster.resources import DAEMONSETS, DEPLOYMENTS, REPLICASETS, STATEFULSETS, WORKLOADS, Obj, clone
from bot.practice.cluster.validation import check_types

KNOWN = ("kind", "apiVersion", "metadata", "spec", "status")
SPECS = {
    DEPLOYMENTS: (
        "replicas", "selector", "template", "strategy", "minReadySeconds", "revisionHistoryLimit", "paused",
        "progressDeadlineSeconds",
    ),
    REPLICASETS: ("replicas", "minReadySeconds", "selector", "template"),
    STATEFULSETS: (
        "replicas", "selector", "template", "volumeClaimTemplates", "serviceName", "podManagementPolicy",
        "updateStrategy", "revisionHistoryLimit", "minReadySeconds", "persistentVolumeClaimRetentionPolicy", "ordinals",
    ),
    DAEMONSETS: ("selector", "template", "updateStrategy", "minReadySeconds", "revisionHistoryLimit"),
}  # fmt: skip


def from_request(call: Call) -> Obj:
    """The body of a POST or PUT; BadRequest when it is no object of this resource, or not the one of the URL."""
    if not isinstance(call.body, dict):
        raise bad_request(f"the object provided is unrecognized (must be of type {call.resource.kind})")
    _check_kind(call, call.body)
    check_types(call.resource, call.body)
    if call.verb == "update" and not (call.body.get("metadata") or {}).get("name"):
        text = f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        raise bad_request(text)
    return _placed(call, _tidy(call, call.body))


def from_patch(call: Call, patched: Obj) -> Obj:
    """The outcome of a patch; Invalid, with the field `patch`, when it is no object of this resource any more."""
    if call.content_type == STRATEGIC:
        patched = {**patched, "kind": call.resource.kind, "apiVersion": call.resource.api_version}
    shown = json.dumps(call.body if call.content_type == STRATEGIC else patched, separators=(",", ":"))
    try:
        _check_kind(call, patched)
        check_types(call.resource, patched)
    except ApiError as err:
        raise bad_patch(shown.replace('"', '\\"'), str(err)) from err
    return _placed(call, _tidy(call, patched))


def _check_kind(call: Call, body: Obj) -> None:
    resource = call.resource
    kind, version = body.get("kind") or resource.kind, body.get("apiVersion") or resource.api_version
    if (kind, version) != (resource.kind, resource.api_version):
        start = f'{kind} in version "{str(version).rpartition("/")[2]}" cannot be handled as a {resource.kind}'
        raise bad_request(f'{start}: no kind "{kind}" is registered for version "{version}" here')


def _tidy(call: Call, body: Obj) -> Obj:
    """Drop what the kind does not have (as Go's decoder does) and what is empty."""
    resource = call.resource
    obj: Obj = clone({k: v for k, v in body.items() if k in KNOWN} if resource in WORKLOADS else body)
    obj |= {"kind": resource.kind, "apiVersion": resource.api_version}
    if resource in SPECS:
        obj["spec"] = {k: v for k, v in (obj.get("spec") or {}).items() if k in SPECS[resource] and v is not None}
    meta = obj["metadata"] = obj.get("metadata") or {}
    for field in ("labels", "annotations", "ownerReferences", "finalizers"):
        if field in meta and not meta[field]:
            del meta[field]
    return obj


def _placed(call: Call, obj: Obj) -> Obj:
    """The object must be the one the URL names, in the URL's namespace."""
    meta = obj["metadata"]
    if call.name and meta.setdefault("name", call.name) != call.name:
        raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({call.name})")
    if call.resource.namespaced and meta.setdefault("namespace", call.namespace) != call.namespace:
        if call.name:
            there = f"does not match the namespace on the request ({call.namespace})"
            raise bad_request(f"the namespace of the object ({meta['namespace']}) {there}")
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    return obj
