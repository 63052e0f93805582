"""The practice cluster: the store, the controllers and the kubelet, moved on by `tick`; the demo and the tests make one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from bot.practice.cluster import logs, snapshot
from bot.practice.cluster.api import Api, Seen
from bot.practice.cluster.auth import User
from bot.practice.cluster.defaults import fill
from bot.practice.cluster.deployments import REVISION, DeploymentController
from bot.practice.cluster.faults import Fault, Faults
from bot.practice.cluster.history import Health
from bot.practice.cluster.kubelet import Kubelet
from bot.practice.cluster.objects import Change, Store
from bot.practice.cluster.recorder import Recorder
from bot.practice.cluster.resources import DEPLOYMENTS, NAMESPACES, NODES, PODS, REPLICASETS, Obj, clone, stamp
from bot.practice.cluster.workloads import WorkloadControllers, delete_pod

NODE_NAMES = ("practice-1", "practice-2")
NODE_INFO = (
    "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
    "kubeProxyVersion",
)  # fmt: skip
MOST_PASSES = 1000


class Cluster:
    """A small Kubernetes that behaves. Nothing moves but in `tick`; `run` ticks in real time.

    `now` gives epoch seconds. `tokens` maps bearer tokens to users; None lets everyone do everything.
    """

    def __init__(self, now: Callable[[], float], tokens: Mapping[str, User] | None = None, *, seed: int = 1) -> None:
        self._now = now
        self._time = now()
        self._past: float | None = None
        self.tokens = tokens
        self.store = Store(self.moment, seed)
        self.recorder = Recorder(self.store)
        self.health = Health(self.moment)
        self.kubelet = Kubelet(self.store, self.recorder, self.health)
        self.deployments = DeploymentController(self.store, self.recorder)
        self.workloads = WorkloadControllers(self.store, self.recorder)
        self.faults = Faults()
        self.audit: list[Seen] = []
        self.fewest_available: dict[str, int] = {}
        self.logs_for_bad_image = logs.BAD_IMAGE
        self._settled = -1
        self._touched = self._time
        self.store.listeners.append(self._note_write)
        for name in ("default", "kube-system"):
            self.create_namespace(name)
        for name in NODE_NAMES:
            self.store.create(NODES, _node(name, self._time))

    @property
    def bad_images(self) -> set[str]:
        """Images whose pods come up, serve for `crash_after` seconds and then crash for ever."""
        return self.kubelet.bad_images

    @bad_images.setter
    def bad_images(self, images: set[str]) -> None:
        self.kubelet.bad_images = images

    def app(self) -> web.Application:
        """The HTTP API, with `/practice/faults`."""
        return Api(self).app()

    # time

    def moment(self) -> float:
        """What time it is in the cluster: while it ticks, the time of what is happening; otherwise now."""
        return max(self._time, self._now()) if self._past is None else self._past

    def next_due(self) -> float | None:
        """When `tick` has something to do next; not later than now when there are changes to react to."""
        if self._settled != self.store.version:
            return self._time
        kubelet = self.kubelet.next_due()
        if kubelet is not None and kubelet <= self._time:
            return self._time
        times = [self.deployments.next_due(), self.workloads.next_due(self._time), kubelet]
        return min((t for t in times if t is not None and t > self._time), default=None)

    def tick(self) -> None:
        """Do everything that is due by now, each thing at its own time."""
        now = self._now()
        if self._settled != self.store.version:  # somebody wrote: the controllers react no earlier than that
            self._time = max(self._time, min(self._touched, now))
            self._settle(self._time)
        while (due := self.next_due()) is not None and due <= now:
            self._time = max(self._time, due)
            self._settle(self._time, force=True)
        self._time = max(self._time, now)

    async def run(self, poll: float = 0.05) -> None:
        """Tick in real time until cancelled."""
        while True:
            self.tick()
            await asyncio.sleep(poll)

    def _note_write(self, _change: Change) -> None:
        self._touched = self.moment()

    def _settle(self, at: float, *, force: bool = False) -> None:
        for _ in range(MOST_PASSES):
            if self._settled == self.store.version and not force:
                return
            force = False
            version = self.store.version
            with self._in_the_past(at):
                self.deployments.sync(at)
                self.workloads.sync(at)
                self.kubelet.sync(at)
            self._settled = version
        raise RuntimeError("the practice cluster does not come to rest")

    @contextmanager
    def _in_the_past(self, at: float) -> Iterator[None]:
        before, self._past = self._past, at
        try:
            yield
        finally:
            self._past = before

    # the world

    def create_namespace(self, name: str) -> None:
        if self.store.get(NAMESPACES, "", name) is None:
            self.store.create(NAMESPACES, fill(NAMESPACES, {"metadata": {"name": name}}))

    def create_deployment(
        self, namespace: str, name: str, image: str, replicas: int = 1,
        revisions_history: Sequence[tuple[int, str, float]] = (), *, age: float = 0.0,
        template_annotations: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """A Deployment whose `image` was deployed `age` seconds ago.

        `revisions_history`: what ran before, oldest first: (revision, image, seconds ago). All of it really happened,
        back-dated: the ReplicaSets, the events, the pods' restarts.
        """
        self.tick()
        now = self.moment()
        history = [*revisions_history, (0, image, age)]
        for i, (revision, old_image, seconds) in enumerate(history):
            last = i == len(history) - 1
            with self._in_the_past(now - seconds):
                self.create_namespace(namespace)
                if i == 0:
                    body = manifest(namespace, name, old_image, 0, template_annotations)
                    self.store.create(DEPLOYMENTS, fill(DEPLOYMENTS, {**body, "status": {}}))
                self._change(namespace, name, old_image, replicas if last else 0)
                self._settle(now - seconds)
                if revision:
                    self._number(namespace, name, revision)
                    self._settle(now - seconds)
        self._replay(now - age, now)

    def _replay(self, start: float, now: float) -> None:
        """Let the past happen, from `start` to `now`."""
        while (due := self.kubelet.next_due()) is not None and due <= now:
            start = max(start, due)
            with self._in_the_past(start):
                self._settle(start, force=True)

    def _change(self, namespace: str, name: str, image: str, replicas: int | None = None) -> None:
        changed = clone(self.store.need(DEPLOYMENTS, namespace, name))
        changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
        if replicas is not None:
            changed["spec"]["replicas"] = replicas
        self.store.update(DEPLOYMENTS, changed)

    def _number(self, namespace: str, name: str, revision: int) -> None:
        newest = self.deployments.newest_of(self.store.need(DEPLOYMENTS, namespace, name))
        if newest is not None:
            changed = clone(newest)
            changed["metadata"].setdefault("annotations", {})[REVISION] = str(revision)
            self.store.update(REPLICASETS, changed)

    def set_image(self, namespace: str, deployment: str, image: str) -> None:
        """Deploy another image, as a delivery pipeline would."""
        self._change(namespace, deployment, image)

    def delete_pod(self, namespace: str, name: str) -> None:
        delete_pod(self.store, self.store.need(PODS, namespace, name), None, self.moment())

    def fail(self, kind: str, **options: Any) -> Fault:
        """Make requests fail: `fail("status", verb="patch", resource="deployments", status=503, count=2)`."""
        fault = Fault.model_validate({"kind": kind, **options})
        self.faults.add(fault)
        return fault

    # looking

    def error_ratio(self, namespace: str, deployment: str, at: float | None = None) -> float:
        return self.health.error_ratio(namespace, deployment, self.moment() if at is None else at)

    def snapshot(self) -> Obj:
        now = self.moment()
        all_of_them = [(d["metadata"]["namespace"], d["metadata"]["name"]) for d in self.store.all(DEPLOYMENTS)]
        worst = max((self.error_ratio(*one, now) for one in all_of_them), default=0.0)
        return snapshot.take(self.store, self.deployments, worst, now)


def manifest(namespace: str, name: str, image: str, replicas: int, annotations: Mapping[str, str] | None = None) -> Obj:
    """An ordinary Deployment: one container named as the Deployment, labels `app`."""
    labels = {"app": name}
    meta: Obj = {"labels": dict(labels)}
    if annotations:
        meta["annotations"] = dict(annotations)
    box = {
        "name": name,
        "image": image,
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "SERVICE", "value": name}],
    }
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": dict(labels)},
                 "template": {"metadata": meta, "spec": {"containers": [box]}}},
    }  # fmt: skip


def _node(name: str, now: float) -> Obj:
    size = {"cpu": "16", "memory": "64Gi", "pods": "200"}
    good = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "capacity": size, "allocatable": size,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "nodeInfo": dict.fromkeys(NODE_INFO, "practice")
            | {"kubeletVersion": "v1.33.0-practice", "operatingSystem": "linux", "architecture": "amd64"},
            "conditions": [
                {"type": kind, "status": status, "reason": f"Kubelet{kind}", "message": "practice",
                 "lastHeartbeatTime": stamp(now), "lastTransitionTime": stamp(now)}
                for kind, status in good.items()
            ],
        },
    }  # fmt: skip
