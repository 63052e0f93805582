"""What a Deployment and its ReplicaSets say about rollouts: revisions, images, differences, progress. Pure; used by the Kubernetes plugins.

A ReplicaSet is one pod template. Going back to a template re-uses its ReplicaSet, which then gets a new revision number and keeps the earlier
ones in an annotation (kubernetes/pkg/controller/deployment/util): so revisions tell when a template ran last, and `first` when it ran first.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
HASH_LABEL = "pod-template-hash"
RESTARTED_FOR = "tocsin.dev/restarted-for"
RESTARTS = ("kubectl.kubernetes.io/restartedAt", RESTARTED_FOR)
MOST_DIFFERENCES = 8

Obj = Mapping[str, Any]


class Revision(BaseModel):
    """One pod template that a Deployment has run. `kind` is the same for templates that differ in nothing but a restart.

    `differs`: the places, other than images, at which it is not what runs now. Holds no values of the template: they may be secret.
    """

    model_config = ConfigDict(frozen=True)

    replica_set: str
    number: int
    earlier: tuple[int, ...]
    created: datetime
    images: Mapping[str, str]
    template: str
    kind: str
    current: bool
    differs: tuple[str, ...]

    @property
    def age_key(self) -> tuple[datetime, int]:
        """Sorts templates by when they were first rolled out."""
        return (self.created, min(self.number, *self.earlier) if self.earlier else self.number)

    def was(self, number: int) -> bool:
        """Whether this template ran as that revision, now or earlier."""
        return number == self.number or number in self.earlier


def revisions(deployment: Obj, replica_sets: Iterable[Obj]) -> list[Revision]:
    """All templates still in the history, the oldest first. None is `current` while a change has not been taken up by the cluster."""
    now = bare(deployment["spec"]["template"])
    return sorted((_revision(one, now) for one in replica_sets), key=lambda revision: revision.age_key)


def _revision(replica_set: Obj, now: Obj) -> Revision:
    meta, template = replica_set["metadata"], bare(replica_set["spec"]["template"])
    notes = meta.get("annotations") or {}
    return Revision(
        replica_set=meta["name"],
        number=_number(notes.get(REVISION, "")),
        earlier=tuple(_number(part) for part in notes.get(HISTORY, "").split(",") if part.strip()),
        created=moment(meta["creationTimestamp"]),
        images=images(template),
        template=digest(template),
        kind=digest(without_restart(template)),
        current=template == now,
        differs=tuple(differences(now, template)),
    )


def _number(text: str) -> int:
    return int(text) if text.strip().isdigit() else 0


def moment(text: str) -> datetime:
    """A Kubernetes time (`2026-11-21T03:12:05Z`), aware."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# ------------------------------------------------------------------------------------------------ templates


def bare(template: Obj) -> dict[str, Any]:
    """A ReplicaSet's template as the Deployment had it: without the label that the controller adds, and without empty parts."""
    meta = dict(template.get("metadata") or {})
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != HASH_LABEL}
    meta = {key: value for key, value in {**meta, "labels": labels}.items() if value not in (None, {}, [])}
    return {"metadata": meta, "spec": template["spec"]}


def without_restart(template: Obj) -> dict[str, Any]:
    """The template without the annotations that only restart its pods."""
    meta = dict(template["metadata"])
    notes = {key: value for key, value in (meta.pop("annotations", None) or {}).items() if key not in RESTARTS}
    return {"metadata": {**meta, "annotations": notes} if notes else meta, "spec": template["spec"]}


def digest(value: Any) -> str:
    """SHA-256 in hex over canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def images(template: Obj) -> dict[str, str]:
    """Container name to image, init containers included."""
    spec = template["spec"]
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return {str(one["name"]): str(one.get("image", "")) for one in containers}


def image_change(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """`image checkout:1.4.2 -> checkout:1.4.1`; empty when no image differs."""
    changed = [
        f"{before.get(name) or 'none'} -> {after.get(name) or 'none'}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    return f"image {', '.join(changed)}" if changed else ""


def differences(before: Obj, after: Obj) -> list[str]:
    """What else than images differs between two templates: places, never values (they may be secret). Bounded."""
    left, right = without_restart(bare(before)), without_restart(bare(after))
    places = [place for place in _places(left, right, "") if not place.endswith(".image")]
    shown = [place.removeprefix("spec.").removeprefix("metadata.") for place in places]
    if len(shown) > MOST_DIFFERENCES:
        shown = [*shown[:MOST_DIFFERENCES], f"{len(shown) - MOST_DIFFERENCES} more"]
    return shown


def _places(left: Any, right: Any, path: str) -> list[str]:
    """Paths at which two JSON values differ; list items that have a `name` are matched by it."""
    if isinstance(left, list) and isinstance(right, list) and _named(left) and _named(right):
        left, right = ({item["name"]: item for item in items} for items in (left, right))
        return [
            place
            for name in _keys(left, right)
            for place in _places(left.get(name), right.get(name), f"{path}[{name}]")
        ]
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return [
            place
            for key in _keys(left, right)
            for place in _places(left.get(key), right.get(key), f"{path}.{key}" if path else str(key))
        ]
    return [] if left == right else [path]


def _named(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) and "name" in item for item in items)


def _keys(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[str]:
    return sorted({*left, *right})


# ------------------------------------------------------------------------------------------------ progress


def progress(deployment: Obj) -> dict[str, Any]:
    """The numbers that say how far a rollout is, as JSON values: what an action's `look` puts into its state."""
    spec, status = deployment["spec"], deployment.get("status") or {}
    stuck = next(
        (
            one.get("message", "")
            for one in status.get("conditions") or ()
            if one.get("type") == "Progressing" and one.get("status") == "False"
        ),
        "",
    )
    return {
        "generation": deployment["metadata"]["generation"],
        "observed": status.get("observedGeneration", 0),
        "replicas": spec.get("replicas", 1),
        "total": status.get("replicas", 0),
        "updated": status.get("updatedReplicas", 0),
        "available": status.get("availableReplicas", 0),
        "stuck": stuck,
    }


def unfinished(state: Mapping[str, Any]) -> str | None:
    """What is still missing until the rollout is complete (as `kubectl rollout status` judges it), in words; None when it is."""
    wanted, stuck = state["replicas"], f" ({state['stuck']})" if state["stuck"] else ""
    if state["observed"] < state["generation"]:
        return "the cluster has not taken up the change yet"
    if state["updated"] < wanted:
        return f"{state['updated']} of {wanted} pods are of the wanted version{stuck}"
    if state["total"] > state["updated"]:
        return f"{state['total'] - state['updated']} old pods are still there{stuck}"
    if state["available"] < wanted:
        return f"{state['available']} of {wanted} pods are ready{stuck}"
    return None


def planned_upon(deployment: Obj) -> dict[str, Any]:
    """What a plan notes of the object that it was made for, so that `guard` can refuse any other."""
    return {"uid": deployment["metadata"]["uid"], "generation": deployment["metadata"]["generation"]}


def guard(want: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The JSON patch operations that let a patch apply to exactly the object that was planned upon, hence at most once."""
    return [
        {"op": "test", "path": "/metadata/generation", "value": want["generation"]},
        {"op": "test", "path": "/metadata/uid", "value": want["uid"]},
    ]
