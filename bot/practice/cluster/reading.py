"""GET and LIST of the API, the scale subresource and access reviews; called by `api`, never changes anything."""

from __future__ import annotations

import base64
import json
from typing import Any

from bot.practice.cluster.auth import Ask, User
from bot.practice.cluster.errors import ApiError, bad_request
from bot.practice.cluster.objects import Store
from bot.practice.cluster.requests import Call, whole_number
from bot.practice.cluster.resources import Obj
from bot.practice.cluster.selectors import matcher


def get(store: Store, call: Call) -> Obj:
    found = store.need(call.resource, call.namespace, call.name)
    return scale_of(found) if call.subresource == "scale" else found


def list_(store: Store, call: Call) -> Obj:
    """A page of a list; items carry no kind, as the real server's typed lists."""
    wanted = matcher(call.resource, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
    items = [obj for obj in store.all(call.resource, call.at_all_namespaces) if wanted(obj)]
    limit, token = whole_number(call.query, "limit"), call.query.get("continue", "")
    version, start = store.version, ""
    if token:
        version, start = _opened(token)
        if version < store.compacted:
            text = "The provided continue parameter is too old to display a consistent list result."
            raise ApiError(410, "Expired", text)
        items = [obj for obj in items if _key(obj) > start]
    meta: Obj = {"resourceVersion": str(version)}
    if limit and len(items) > limit:
        last = _key(items[limit - 1])
        meta |= {"continue": _sealed(version, last), "remainingItemCount": len(items) - limit}
        items = items[:limit]
    bare = [{k: v for k, v in obj.items() if k not in ("kind", "apiVersion")} for obj in items]
    return {
        "kind": f"{call.resource.kind}List",
        "apiVersion": call.resource.api_version,
        "metadata": meta,
        "items": bare,
    }


def _key(obj: Obj) -> str:
    return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"


def _sealed(version: int, start: str) -> str:
    return base64.urlsafe_b64encode(
        json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start}).encode()
    ).decode()


def _opened(token: str) -> tuple[int, str]:
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(content["rv"]), str(content["start"])
    except (ValueError, KeyError, TypeError) as err:
        raise bad_request(
            "invalid continue token: continue key is not valid: encoded continue key server version mismatch"
        ) from err


def scale_of(obj: Obj) -> Obj:
    """A workload as its Scale (autoscaling/v1); zero replicas are left out of the spec, as Go does."""
    meta = obj["metadata"]
    replicas = obj["spec"]["replicas"]
    labels = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {k: meta[k] for k in kept},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{k}={v}" for k, v in sorted(labels.items())),
        },
    }  # fmt: skip


def review(user: User, body: Any) -> Obj:
    """SelfSubjectAccessReview: may this user do that?"""
    spec = body.get("spec") if isinstance(body, dict) else None
    asked = spec.get("resourceAttributes") if isinstance(spec, dict) else None
    allowed = False
    if isinstance(asked, dict):
        plural, sub = str(asked.get("resource", "")), asked.get("subresource")
        ask = Ask(
            str(asked.get("verb", "")), str(asked.get("group", "")), f"{plural}/{sub}" if sub else plural,
            str(asked.get("namespace", "")), str(asked.get("name", "")),
        )  # fmt: skip
        allowed = user.may(ask)
    elif not isinstance(spec, dict) or "nonResourceAttributes" not in spec:
        raise ApiError(
            422,
            "Invalid",
            "spec.resourceAttributes: Invalid value: exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )
    return {
        "kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None}, "spec": spec, "status": {"allowed": allowed},
    }  # fmt: skip
