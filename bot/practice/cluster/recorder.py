"""Writes Kubernetes Events, counting up an event that repeats; the controllers and the kubelet call it."""

from __future__ import annotations

from bot.practice.cluster.objects import Store
from bot.practice.cluster.resources import EVENTS, Obj, clone, stamp

MOST_EVENTS = 1000


class Recorder:
    """`record(pod, "Warning", "BackOff", ...)`; the same event about the same object again raises its count."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._names: dict[tuple[str, ...], tuple[str, str]] = {}

    def record(self, about: Obj, kind: str, reason: str, message: str, *, component: str, at: float) -> None:
        meta = about["metadata"]
        namespace = meta.get("namespace", "default")
        key = (meta["uid"], kind, reason, message, component)
        known = self._names.get(key)
        old = self.store.get(EVENTS, *known) if known else None
        if old:
            again = {**clone(old), "count": old["count"] + 1, "lastTimestamp": stamp(at)}
            self.store.update(EVENTS, again)
            return
        name = f"{meta['name']}.{int(at * 1e9):016x}{len(self._names):04x}"
        reference = {
            "kind": about["kind"], "namespace": meta.get("namespace", ""), "name": meta["name"], "uid": meta["uid"],
            "apiVersion": about["apiVersion"], "resourceVersion": meta["resourceVersion"],
        }  # fmt: skip
        host = {"host": about["spec"].get("nodeName", "")} if component == "kubelet" else {}
        self.store.create(EVENTS, {
            "metadata": {"name": name, "namespace": namespace}, "involvedObject": reference, "reason": reason,
            "message": message, "source": {"component": component, **host}, "firstTimestamp": stamp(at),
            "lastTimestamp": stamp(at), "count": 1, "type": kind, "eventTime": None,
            "reportingComponent": component, "reportingInstance": host.get("host", ""),
        })  # fmt: skip
        self._names[key] = (namespace, name)
        self._forget_old()

    def _forget_old(self) -> None:
        events = self.store.all(EVENTS)
        if len(events) > MOST_EVENTS:
            oldest = min(events, key=lambda e: int(e["metadata"]["resourceVersion"]))
            self.store.remove(EVENTS, oldest["metadata"]["namespace"], oldest["metadata"]["name"])
