"""Brings pods up, lets some of them fail and takes them down, without containers; `Cluster.tick` moves it on.

An image name containing `crashloop`, `imagepull` or `notready` fails that way from the start (as in the rig's kubelet);
an image in `bad_images` comes up, serves for `crash_after` seconds and then only crashes. Annotations `rig/ready-delay`
and `rig/term-delay` (seconds) tune one pod.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.practice.cluster import pods
from bot.practice.cluster.history import Health
from bot.practice.cluster.objects import Store
from bot.practice.cluster.recorder import Recorder
from bot.practice.cluster.resources import DEPLOYMENTS, PODS, REPLICASETS, Obj, clone, controller_of, stamp

NEVER = float("inf")
FIRST_BACKOFF, LONGEST_BACKOFF = 10, 300


@dataclass
class Run:
    """Where one pod stands; `due` is when something happens to it next."""

    stage: str
    due: float
    crashes: int = 0
    backoff: int = 0
    started: float = 0.0
    crashed: list[float] = field(default_factory=list)


class Kubelet:
    """All nodes' kubelets in one."""

    def __init__(self, store: Store, recorder: Recorder, health: Health) -> None:
        self.store, self.recorder, self.health = store, recorder, health
        self.bad_images: set[str] = set()
        self.ready_delay, self.term_delay, self.crash_after = 0.3, 0.3, 2.0
        self.runs: dict[str, Run] = {}
        self._addresses = 1

    def next_due(self) -> float | None:
        return min((run.due for run in self.runs.values() if run.due < NEVER), default=None)

    def sync(self, at: float) -> None:
        """Take up new pods, notice deletions, and do what is due."""
        alive = set()
        for pod in self.store.all(PODS):
            uid = pod["metadata"]["uid"]
            if not pod["spec"].get("nodeName"):
                continue
            alive.add(uid)
            if uid not in self.runs:
                self.adopt(pod, at)
            elif pod["metadata"].get("deletionTimestamp") and self.runs[uid].stage != "stopping":
                self._stop(pod, at)
            elif self.runs[uid].due <= at:
                self.move(pod, at)
        for uid in self.runs.keys() - alive:
            self.health.end(uid, at)
            del self.runs[uid]

    def adopt(self, pod: Obj, at: float) -> None:
        """A pod has just been bound to a node: its containers are being created."""
        delay = _seconds(pod, "rig/ready-delay", self.ready_delay)
        self.runs[pod["metadata"]["uid"]] = Run("starting", at + delay)
        self._addresses += 1
        changed = clone(pod)
        changed["status"] |= {
            "hostIP": "127.0.0.1", "startTime": stamp(at),
            "podIP": f"10.244.{self._addresses >> 8}.{self._addresses & 255}",
        }  # fmt: skip
        self._write(changed, {"waiting": {"reason": "ContainerCreating"}}, at, phase="Pending", ready=False)

    def move(self, pod: Obj, at: float) -> None:
        """Do the next thing that is due for this pod."""
        run = self.runs[pod["metadata"]["uid"]]
        run.due = NEVER
        if run.stage == "stopping":
            self.store.remove(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])
            self.health.end(pod["metadata"]["uid"], at)
        elif run.stage == "starting":
            self._start(pod, run, at)
        else:
            self._crash(pod, run, at)

    def _start(self, pod: Obj, run: Run, at: float) -> None:
        images = [str(box["image"]) for box in pod["spec"]["containers"]]
        broken = {k for k in ("imagepull", "crashloop", "notready") if any(k in image for image in images)}
        run.stage, run.started = "steady", at
        if "imagepull" in broken:
            self._pull_failed(pod, images[0], at)
        elif "crashloop" in broken:
            self._crash(pod, run, at)
        else:
            bad = any(image in self.bad_images for image in images)
            run.stage, run.due = ("failing", at + self.crash_after) if bad else ("steady", NEVER)
            self._events_of_a_start(pod, at)
            ready = "notready" not in broken
            self._write(pod, {"running": {"startedAt": stamp(at)}}, at, phase="Running", ready=ready)
            if not ready:
                self._tell(
                    pod, "Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", at
                )
            self._mark(pod, at, ready)

    def _pull_failed(self, pod: Obj, image: str, at: float) -> None:
        text = f'Back-off pulling image "{image}"'
        self._write(pod, {"waiting": {"reason": "ImagePullBackOff", "message": text}}, at, phase="Pending", ready=False)
        self._tell(pod, "Normal", "Pulling", f'Pulling image "{image}"', at)
        why = f'Failed to pull image "{image}": rpc error: code = NotFound desc = failed to pull and unpack image'
        self._tell(pod, "Warning", "Failed", f'{why} "{image}": not found', at)
        self._tell(pod, "Warning", "Failed", "Error: ErrImagePull", at)
        self._tell(pod, "Normal", "BackOff", text, at)
        self._mark(pod, at, False)

    def _crash(self, pod: Obj, run: Run, at: float) -> None:
        """The process died (twice the first time: it is restarted at once) and waits longer before each further start."""
        box = pod["spec"]["containers"][0]["name"]
        run.stage = "failing"
        run.crashes += 1
        run.crashed.append(at)
        run.backoff = min(LONGEST_BACKOFF, run.backoff * 2 or FIRST_BACKOFF)
        run.due = at + run.backoff
        self._events_of_a_start(pod, at)
        meta = pod["metadata"]
        where = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        spell = f"{run.backoff // 60}m{run.backoff % 60}s" if run.backoff >= 60 else f"{run.backoff}s"
        why = f"back-off {spell} restarting failed container={box} pod={where}"
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
        self._write(pod, waiting, at, phase="Running", ready=False)
        self._tell(pod, "Warning", "BackOff", f"Back-off restarting failed container {box} in pod {where}", at)
        self._mark(pod, at, False)

    def _stop(self, pod: Obj, at: float) -> None:
        meta = pod["metadata"]
        delay = min(_seconds(pod, "rig/term-delay", self.term_delay), meta.get("deletionGracePeriodSeconds", 30))
        self.runs[meta["uid"]] = Run("stopping", at + delay, started=self.runs[meta["uid"]].started)
        for box in pod["spec"]["containers"]:
            self._tell(pod, "Normal", "Killing", f"Stopping container {box['name']}", at)
        self.health.end(meta["uid"], at)

    def _events_of_a_start(self, pod: Obj, at: float) -> None:
        for box in pod["spec"]["containers"]:
            self._tell(pod, "Normal", "Pulled", f'Container image "{box["image"]}" already present on machine', at)
            self._tell(pod, "Normal", "Created", f"Created container: {box['name']}", at)
            self._tell(pod, "Normal", "Started", f"Started container {box['name']}", at)

    def _write(self, pod: Obj, state: Obj, at: float, *, phase: str, ready: bool) -> None:
        run = self.runs[pod["metadata"]["uid"]]
        changed = clone(pod)
        boxes = changed["spec"]["containers"]
        status = changed["status"]
        status["phase"] = phase
        status["containerStatuses"] = [_box(box, state, ready, run, pod["metadata"]["uid"]) for box in boxes]
        names = " ".join(box["name"] for box in boxes)
        why = ("", "") if ready else ("ContainersNotReady", f"containers with unready status: [{names}]")
        pods.set_condition(changed, "Initialized", True, at)
        for kind in ("Ready", "ContainersReady"):
            pods.set_condition(changed, kind, ready, at, *why)
        self.store.update(PODS, changed, spec=False)

    def _tell(self, pod: Obj, kind: str, reason: str, message: str, at: float) -> None:
        self.recorder.record(pod, kind, reason, message, component="kubelet", at=at)

    def _mark(self, pod: Obj, at: float, healthy: bool) -> None:
        meta = pod["metadata"]
        self.health.mark(meta["uid"], meta["namespace"], deployment_of(self.store, pod), at, healthy)


def _box(box: Obj, state: Obj, ready: bool, run: Run, uid: str) -> Obj:
    where = f"containerd://{uid.replace('-', '')}{run.crashes:032x}"
    status = {
        "name": box["name"], "state": state, "lastState": {}, "ready": ready, "restartCount": run.crashes,
        "image": box["image"], "imageID": f"practice/{box['image']}", "started": "running" in state,
    }  # fmt: skip
    if run.started:
        status["containerID"] = where
    if run.crashed:
        before = run.crashed[-2] + FIRST_BACKOFF if len(run.crashed) > 1 else run.started
        status["lastState"] = {"terminated": {
            "exitCode": 1, "reason": "Error", "startedAt": stamp(min(before, run.crashed[-1])),
            "finishedAt": stamp(run.crashed[-1]), "containerID": where,
        }}  # fmt: skip
    return status


def _seconds(pod: Obj, annotation: str, default: float) -> float:
    try:
        return float((pod["metadata"].get("annotations") or {}).get(annotation, default))
    except ValueError:
        return default


def deployment_of(store: Store, pod: Obj) -> str:
    """The name of the Deployment a pod belongs to; empty when it belongs to none."""
    uid = controller_of(pod)
    for rs in store.all(REPLICASETS, pod["metadata"]["namespace"]):
        if rs["metadata"]["uid"] == uid:
            owner = controller_of(rs)
            names = [d["metadata"]["name"] for d in store.all(DEPLOYMENTS) if d["metadata"]["uid"] == owner]
            return str(names[0]) if names else ""
    return ""
