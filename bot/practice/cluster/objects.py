"""The objects of the practice cluster and the log of their changes; the API and the controllers read and write here.

Stored objects are never changed in place: a reader may keep what it got, a writer clones first.
"""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bot.practice.cluster.errors import already_exists, not_found
from bot.practice.cluster.resources import Obj, Resource, clone, controller_of, stamp

SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(frozen=True)
class Change:
    """One entry of the watch log; `previous` is what a selector that no longer matches compares with."""

    version: int
    type: str
    resource: Resource
    namespace: str
    object: Obj
    previous: Obj | None


class Store:
    """Objects by (resource, namespace, name), with the server's bookkeeping: uid, resourceVersion, generation."""

    def __init__(self, clock: Callable[[], float], seed: int = 1, log_size: int = 4000) -> None:
        self.clock = clock
        self.version = 1000
        self.log: deque[Change] = deque(maxlen=log_size)
        self.compacted = self.version
        self.listeners: list[Callable[[Change], None]] = []
        self._objects: dict[Resource, dict[tuple[str, str], Obj]] = {}
        self._random = random.Random(seed)

    def get(self, resource: Resource, namespace: str, name: str) -> Obj | None:
        return self._objects.get(resource, {}).get((namespace, name))

    def need(self, resource: Resource, namespace: str, name: str) -> Obj:
        found = self.get(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def all(self, resource: Resource, namespace: str | None = None) -> list[Obj]:
        items = sorted(self._objects.get(resource, {}).items())
        return [obj for (ns, _), obj in items if namespace is None or ns == namespace]

    def owned(self, resource: Resource, uid: str) -> list[Obj]:
        return [obj for obj in self.all(resource) if controller_of(obj) == uid]

    def suffix(self, length: int = 5) -> str:
        return "".join(self._random.choice(SUFFIX) for _ in range(length))

    def prepared(self, resource: Resource, obj: Obj) -> Obj:
        """What `create` would store, apart from the resourceVersion (the answer of a dry run)."""
        new: Obj = clone(obj)
        meta = {k: v for k, v in new["metadata"].items() if k not in ("resourceVersion", "generation", "selfLink")}
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + self.suffix()
        if not resource.namespaced:
            meta.pop("namespace", None)
        meta["uid"] = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        meta["creationTimestamp"] = stamp(self.clock())
        if resource.generation:
            meta["generation"] = 1
        new["metadata"] = meta
        return {"kind": resource.kind, "apiVersion": resource.api_version, **_without(new, "kind", "apiVersion")}

    def create(self, resource: Resource, obj: Obj) -> Obj:
        """Store a new object; AlreadyExists when the name is taken."""
        new = self.prepared(resource, obj)
        key = (new["metadata"].get("namespace", ""), new["metadata"]["name"])
        if key in self._objects.setdefault(resource, {}):
            raise already_exists(resource, key[1])
        return self._save("ADDED", resource, key, new, None)

    def update(self, resource: Resource, obj: Obj, *, spec: bool = True, dry_run: bool = False) -> Obj:
        """Replace an object; the same content again changes nothing. `spec=False`: a write that bumps no generation."""
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        old = self.need(resource, *key)
        new: Obj = clone(obj)
        for field in ("uid", "creationTimestamp", "generation", "resourceVersion"):
            if field in old["metadata"]:
                new["metadata"][field] = old["metadata"][field]
        if new == old:
            return old
        if spec and resource.generation and _asks_for_something_else(resource, old, new):
            new["metadata"]["generation"] += 1
        if dry_run:
            return new
        if new["metadata"].get("deletionTimestamp") and not _held(new):
            self._save("MODIFIED", resource, key, new, old)
            return self.remove(resource, *key)
        return self._save("MODIFIED", resource, key, new, old)

    def remove(self, resource: Resource, namespace: str, name: str) -> Obj:
        """Forget an object at once, whatever its finalizers say."""
        old = self.need(resource, namespace, name)
        self._objects[resource].pop((namespace, name))
        return self._record("DELETED", resource, namespace, clone(old), old)

    def changes_since(self, version: int) -> list[Change]:
        return [c for c in self.log if c.version > version]

    def compact(self) -> None:
        """Forget the whole watch log: a watch from an older resourceVersion now gets 410 Gone."""
        self.log.clear()
        self.compacted = self.version

    def _save(self, kind: str, resource: Resource, key: tuple[str, str], new: Obj, old: Obj | None) -> Obj:
        saved = self._record(kind, resource, key[0], new, old)
        self._objects[resource][key] = saved
        return saved

    def _record(self, kind: str, resource: Resource, namespace: str, new: Obj, old: Obj | None) -> Obj:
        self.version += 1
        new["metadata"]["resourceVersion"] = str(self.version)
        if len(self.log) == self.log.maxlen:
            self.compacted = self.log[0].version
        change = Change(self.version, kind, resource, namespace, new, old)
        self.log.append(change)
        for listener in list(self.listeners):
            listener(change)
        return new


def _without(obj: Obj, *fields: str) -> Obj:
    return {k: v for k, v in obj.items() if k not in fields}


def _held(obj: Obj) -> bool:
    """A deleted object stays while it has finalizers or a grace period (a pod that is still stopping)."""
    return bool(obj["metadata"].get("finalizers")) or obj["metadata"].get("deletionGracePeriodSeconds", 0) > 0


def _asks_for_something_else(resource: Resource, old: Obj, new: Obj) -> bool:
    if old.get("spec") != new.get("spec"):
        return True
    notes = [o["metadata"].get("annotations") or {} for o in (old, new)]
    return resource.annotations_bump_generation and notes[0] != notes[1]
