"""The Deployment controller: revisions, rolling updates, rollback by re-use of an old ReplicaSet; run by `Cluster.tick`.

Written after kubernetes/pkg/controller/deployment (sync.go, rolling.go, progress.go), step for step.
"""

from __future__ import annotations

from typing import Any

from bot.practice.cluster import deployment_status as state
from bot.practice.cluster.objects import Store
from bot.practice.cluster.recorder import Recorder
from bot.practice.cluster.resources import DEPLOYMENTS, PODS, REPLICASETS, Obj, clone
from bot.practice.cluster.templates import HASH_LABEL, same_template, template_hash

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
NOT_COPIED = (REVISION, HISTORY, DESIRED, MOST, "kubectl.kubernetes.io/last-applied-configuration")
COMPONENT = "deployment-controller"


def revision_of(obj: Obj) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))


class DeploymentController:
    """One pass over every Deployment; called again until a pass changes nothing."""

    def __init__(self, store: Store, recorder: Recorder) -> None:
        self.store = store
        self.recorder = recorder

    def sync(self, at: float) -> None:
        for deployment in self.store.all(DEPLOYMENTS):
            self._one(deployment, at)

    def next_due(self) -> float | None:
        """When a rollout that hangs runs out of time."""
        due = [state.deadline(d, state.condition(d, "Progressing")) for d in self.store.all(DEPLOYMENTS)]
        return min((d + 1 for d in due if d is not None), default=None)

    def sets_of(self, deployment: Obj) -> list[Obj]:
        owned = self.store.owned(REPLICASETS, deployment["metadata"]["uid"])
        return sorted(owned, key=lambda rs: (rs["metadata"]["creationTimestamp"], revision_of(rs)))

    def newest_of(self, deployment: Obj) -> Obj | None:
        template = deployment["spec"]["template"]
        return next((rs for rs in self.sets_of(deployment) if same_template(rs["spec"]["template"], template)), None)

    def _one(self, deployment: Obj, at: float) -> None:
        if deployment["metadata"].get("deletionTimestamp"):
            return
        deployment = self._note_pause(deployment, at)
        paused = deployment["spec"].get("paused", False)
        if paused or self._was_scaled(deployment):
            deployment = self._find_or_create(deployment, at, create=False)
            self._scale_all(deployment, at)
        elif deployment["spec"]["strategy"]["type"] == "Recreate":
            deployment = self._recreate(deployment, at)
        else:
            deployment = self._roll(deployment, at)
        self._clean_up(deployment)
        self._write_status(deployment, at, progressing=not paused)

    def _note_pause(self, deployment: Obj, at: float) -> Obj:
        current = state.condition(deployment, "Progressing")
        noted = current is not None and current["reason"] == "DeploymentPaused"
        paused = deployment["spec"].get("paused", False)
        if paused == noted or (current and current["reason"] == state.DEADLINE):
            return deployment
        changed = clone(deployment)
        reason, text = ("DeploymentPaused", "paused") if paused else ("DeploymentResumed", "resumed")
        status = changed.setdefault("status", {})
        state.set_condition(status, "Progressing", "Unknown", reason, f"Deployment is {text}", at)
        return self.store.update(DEPLOYMENTS, changed, spec=False)

    def _find_or_create(self, deployment: Obj, at: float, *, create: bool) -> Obj:
        """Give the ReplicaSet of the current template the next revision; make it if there is none."""
        newest = self.newest_of(deployment)
        others = [rs for rs in self.sets_of(deployment) if newest is None or rs is not newest]
        revision = max(map(revision_of, others), default=0) + 1
        if newest is None and not create:
            return deployment
        if newest is None:
            return self._create_set(deployment, others, revision, at)
        changed = clone(newest)
        self._annotate(deployment, changed, revision)
        changed["spec"].update(_min_ready(deployment))
        newest = self.store.update(REPLICASETS, changed)
        text = f'Found new replica set "{newest["metadata"]["name"]}"'
        fresh = state.condition(deployment, "Progressing") is None
        return self._note_revision(deployment, newest, at, ("FoundNewReplicaSet", text) if fresh else None)

    def _annotate(self, deployment: Obj, rs: Obj, revision: int) -> None:
        notes = dict(rs["metadata"].get("annotations") or {})
        wanted = deployment["metadata"].get("annotations") or {}
        notes.update({k: v for k, v in wanted.items() if k not in NOT_COPIED})
        before = int(notes.get(REVISION, 0))
        if before < revision:
            if before:
                notes[HISTORY] = ",".join(filter(None, [notes.get(HISTORY, ""), str(before)]))
            notes[REVISION] = str(revision)
        rs["metadata"]["annotations"] = notes

    def _note_revision(self, deployment: Obj, rs: Obj, at: float, found: tuple[str, str] | None) -> Obj:
        changed = clone(deployment)
        changed["metadata"].setdefault("annotations", {})[REVISION] = rs["metadata"]["annotations"][REVISION]
        if found:
            state.set_condition(changed.setdefault("status", {}), "Progressing", "True", *found, at)
        return self.store.update(DEPLOYMENTS, changed, spec=False)

    def _create_set(self, deployment: Obj, others: list[Obj], revision: int, at: float) -> Obj:
        meta, template = deployment["metadata"], clone(deployment["spec"]["template"])
        digest = template_hash(template, deployment.get("status", {}).get("collisionCount", 0))
        if self.store.get(REPLICASETS, meta["namespace"], f"{meta['name']}-{digest}"):
            return self._note_collision(deployment)
        labels = {**template["metadata"]["labels"], HASH_LABEL: digest}
        template["metadata"]["labels"] = labels
        selector = clone(deployment["spec"]["selector"])
        selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
        replicas = _room(deployment, others, 0)
        rs: Obj = {
            "metadata": {
                "name": f"{meta['name']}-{digest}", "namespace": meta["namespace"], "labels": labels,
                "ownerReferences": [owner(deployment)],
            },
            "spec": {"replicas": replicas, **_min_ready(deployment), "selector": selector, "template": template},
            "status": {"replicas": 0},
        }  # fmt: skip
        self._annotate(deployment, rs, revision)
        rs["metadata"]["annotations"] |= _sizes(deployment)
        rs = self.store.create(REPLICASETS, rs)
        if replicas:
            self._tell(deployment, "up", rs, 0, replicas, at)
        text = f'Created new replica set "{rs["metadata"]["name"]}"'
        return self._note_revision(deployment, rs, at, ("NewReplicaSetCreated", text))

    def _note_collision(self, deployment: Obj) -> Obj:
        """The name is taken (by the set of a Deployment that was deleted a moment ago): the next pass tries another."""
        changed = clone(deployment)
        status = changed.setdefault("status", {})
        status["collisionCount"] = status.get("collisionCount", 0) + 1
        return self.store.update(DEPLOYMENTS, changed, spec=False)

    def _was_scaled(self, deployment: Obj) -> bool:
        replicas = str(deployment["spec"]["replicas"])
        active = [rs for rs in self.sets_of(deployment) if rs["spec"]["replicas"] > 0]
        return any((rs["metadata"].get("annotations") or {}).get(DESIRED, replicas) != replicas for rs in active)

    def _roll(self, deployment: Obj, at: float) -> Obj:
        deployment = self._find_or_create(deployment, at, create=True)
        newest, old = self._split(deployment)
        if newest is None or self._grow(deployment, newest, old, at):
            return deployment
        self._shrink_old(deployment, newest, old, at)
        return deployment

    def _split(self, deployment: Obj) -> tuple[Obj | None, list[Obj]]:
        newest = self.newest_of(deployment)
        return newest, [rs for rs in self.sets_of(deployment) if rs is not newest]

    def _grow(self, deployment: Obj, newest: Obj, old: list[Obj], at: float) -> bool:
        replicas, now = deployment["spec"]["replicas"], newest["spec"]["replicas"]
        if now == replicas:
            return False
        size = replicas if now > replicas else _room(deployment, [*old, newest], now)
        return self._scale(deployment, newest, size, at)

    def _shrink_old(self, deployment: Obj, newest: Obj, old: list[Obj], at: float) -> None:
        least = deployment["spec"]["replicas"] - state.most_unavailable(deployment)
        unready = newest["spec"]["replicas"] - state.count([newest], "availableReplicas")
        spare = state.wanted([*old, newest]) - least - unready
        if spare <= 0:
            return
        for rs in old:
            extra = rs["spec"]["replicas"] - state.count([rs], "availableReplicas")
            gone = max(0, min(spare, extra))
            if gone:
                spare -= gone
                self._scale(deployment, rs, rs["spec"]["replicas"] - gone, at)
        old = self._split(deployment)[1]
        spare = state.count([*old, newest], "availableReplicas") - least
        for rs in old:
            gone = max(0, min(spare, rs["spec"]["replicas"]))
            if gone:
                spare -= gone
                self._scale(deployment, rs, rs["spec"]["replicas"] - gone, at)

    def _recreate(self, deployment: Obj, at: float) -> Obj:
        deployment = self._find_or_create(deployment, at, create=False)
        _, old = self._split(deployment)
        for rs in old:
            self._scale(deployment, rs, 0, at)
        if any(self.store.owned(PODS, rs["metadata"]["uid"]) for rs in old):
            return deployment
        deployment = self._find_or_create(deployment, at, create=True)
        newest, _ = self._split(deployment)
        if newest:
            self._scale(deployment, newest, deployment["spec"]["replicas"], at)
        return deployment

    def _scale_all(self, deployment: Obj, at: float) -> None:
        """The Deployment was scaled (or is paused): one active set takes it all, several share in proportion."""
        newest, old = self._split(deployment)
        sets = [*old, newest] if newest else old
        active = [rs for rs in sets if rs["spec"]["replicas"] > 0]
        replicas = deployment["spec"]["replicas"]
        if len(active) <= 1:
            target = (active or ([newest] if newest else sets[-1:]))[:1]
            for rs in target:
                self._scale(deployment, rs, replicas, at)
        elif newest and newest["spec"]["replicas"] == replicas == state.count([newest], "availableReplicas"):
            for rs in old:
                self._scale(deployment, rs, 0, at)
        else:
            self._share_out(deployment, active, at)

    def _share_out(self, deployment: Obj, active: list[Obj], at: float) -> None:
        replicas, total = deployment["spec"]["replicas"], state.wanted(active)
        allowed = replicas + state.surge(deployment) if replicas else 0
        add, added = allowed - total, 0
        sizes: dict[str, int] = {}
        for rs in sorted(active, key=lambda rs: (-rs["spec"]["replicas"], -revision_of(rs))):
            size = rs["spec"]["replicas"]
            before = int((rs["metadata"].get("annotations") or {}).get(MOST, total)) or total
            part = round(size * allowed / before) - size
            part = min(part, add - added) if add > 0 else max(part, add - added)
            added += part
            sizes[rs["metadata"]["name"]] = size + part
        for i, rs in enumerate(sorted(active, key=lambda rs: (-rs["spec"]["replicas"], -revision_of(rs)))):
            leftover = add - added if i == 0 else 0
            self._scale(deployment, rs, max(0, sizes[rs["metadata"]["name"]] + leftover), at)

    def _scale(self, deployment: Obj, rs: Obj, size: int, at: float) -> bool:
        """Set a set's size and the annotations that tell a later pass what it was made for; True if the size changed."""
        before = rs["spec"]["replicas"]
        changed = clone(rs)
        changed["spec"]["replicas"] = size
        if before > 0 or size > 0:
            changed["metadata"]["annotations"] = {
                **(changed["metadata"].get("annotations") or {}),
                **_sizes(deployment),
            }
        self.store.update(REPLICASETS, changed)
        if before != size:
            self._tell(deployment, "up" if size > before else "down", rs, before, size, at)
        return bool(before != size)

    def _tell(self, deployment: Obj, way: str, rs: Obj, before: int, size: int, at: float) -> None:
        text = f"Scaled {way} replica set {rs['metadata']['name']} from {before} to {size}"
        self.recorder.record(deployment, "Normal", "ScalingReplicaSet", text, component=COMPONENT, at=at)

    def _clean_up(self, deployment: Obj) -> None:
        if not state.complete(deployment, deployment.get("status", {})):
            return
        _, old = self._split(deployment)
        idle = [rs for rs in old if not rs["spec"]["replicas"] and not state.count([rs], "replicas")]
        surplus = len(old) - deployment["spec"]["revisionHistoryLimit"]
        for rs in sorted(idle, key=revision_of)[: max(0, surplus)]:
            self.store.remove(REPLICASETS, rs["metadata"]["namespace"], rs["metadata"]["name"])

    def _write_status(self, deployment: Obj, at: float, *, progressing: bool) -> None:
        newest, old = self._split(deployment)
        changed = clone(deployment)
        changed["status"] = state.counts(changed, newest, [*old, newest] if newest else old, at)
        if progressing:
            state.progress(deployment, changed["status"], newest, at)
        self.store.update(DEPLOYMENTS, changed, spec=False)


def owner(obj: Obj) -> dict[str, Any]:
    return {
        "apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def _sizes(deployment: Obj) -> dict[str, str]:
    replicas = deployment["spec"]["replicas"]
    return {DESIRED: str(replicas), MOST: str(replicas + state.surge(deployment))}


def _min_ready(deployment: Obj) -> dict[str, int]:
    seconds = deployment["spec"].get("minReadySeconds", 0)
    return {"minReadySeconds": seconds} if seconds else {}


def _room(deployment: Obj, sets: list[Obj], now: int) -> int:
    """How many pods the newest set (which has `now`) may have beside the others."""
    replicas = deployment["spec"]["replicas"]
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        return int(replicas)
    free = replicas + state.surge(deployment) - state.wanted(sets)
    return int(now + max(0, min(free, replicas - now)))
