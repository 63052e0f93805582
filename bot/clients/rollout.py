"""What a workload and its history say about rollouts: revisions, images, differences. Pure; used by the Kubernetes plugins.

A Deployment's history is its ReplicaSets, that of a StatefulSet or a DaemonSet its ControllerRevisions: one pod template each. Going back to a
template re-uses its holder, which then gets a new revision number. A ReplicaSet keeps the earlier ones in an annotation
(kubernetes/pkg/controller/deployment/util); a ControllerRevision forgets them, so a rollback writes down, on the workload, which number its
revision had (`WENT_BACK`). So `number` tells when a template ran last, and `created` when it ran first.
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
WENT_BACK = "tocsin.dev/rolled-back-to"  # `3=checkout-5d8f7`: what was revision 3 is kept in this ControllerRevision
RESTARTS = ("kubectl.kubernetes.io/restartedAt", RESTARTED_FOR)
MOST_DIFFERENCES = 8

Obj = Mapping[str, Any]


class Revision(BaseModel):
    """One pod template that a workload has run. `kind` is the same for templates that differ in nothing but a restart.

    `holder`: the ReplicaSet or ControllerRevision that keeps it.
    `differs`: the places, other than images, at which it is not what runs now. Holds no values of the template: they may be secret.
    """

    model_config = ConfigDict(frozen=True)

    holder: str
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


def revisions(workload: Obj, holders: Iterable[Obj]) -> list[Revision]:
    """All templates still in the history, the oldest first. None is `current` while a change has not been taken up by the cluster."""
    now = bare(workload["spec"]["template"])
    went, _, to = (workload["metadata"].get("annotations") or {}).get(WENT_BACK, "").partition("=")
    return sorted((_revision(one, now, {to: went}) for one in holders), key=lambda revision: revision.age_key)


def template_of(holder: Obj) -> dict[str, Any]:
    """The template that a ReplicaSet or a ControllerRevision keeps, as the workload had it."""
    return bare(holder["data"]["spec"]["template"] if "data" in holder else holder["spec"]["template"])


def _revision(holder: Obj, now: Obj, known: Mapping[str, str]) -> Revision:
    meta, template = holder["metadata"], template_of(holder)
    notes = meta.get("annotations") or {}
    number = int(holder["revision"]) if "data" in holder else _number(notes.get(REVISION, ""))
    earlier = (known.get(meta["name"], "") if "data" in holder else notes.get(HISTORY, "")).split(",")
    return Revision(
        holder=meta["name"],
        number=number,
        earlier=tuple(_number(part) for part in earlier if part.strip() and _number(part) != number),
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
    """A template as the workload had it: without the label that the Deployment controller adds, without empty parts and patch directives."""
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
