"""What was rolled out lately, the most frequent cause: `checkout 1.4.1 -> 1.4.2, 3 min before the alert (revision 13 -> 14)`.

The Deployment that the alert is about comes first, then others of its namespace. Source: the ReplicaSets of the namespace, whose creation times are
those of the rollouts; when a template is rolled out again (a rollback), its ReplicaSet is re-used and the time is not known.
*Permissions*: get and list deployments, list replicasets (apiGroup apps).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import rollout, spoken
from bot.clients.kit import Kit
from bot.clients.rollout import Revision
from bot.clients.subject import Subject, subject_of
from bot.domain.alert import AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: timedelta = Field(
        default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=1), description="how long it may take"
    )
    lookback: timedelta = Field(default=timedelta(hours=6), description="how long before the alert a rollout matters")
    most: int = Field(default=5, ge=1, le=20, description="how many rollouts to show")


class Plugin:
    title = "Recent rollouts"

    def __init__(self, kit: Kit, params: Params) -> None:
        self._kit = kit
        self._params = params
        self.deadline = params.deadline.total_seconds()

    async def gather(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> list[Finding]:
        cluster = self._kit.cluster
        subject = await subject_of(cluster, incident, alerts)
        owned: dict[str, list[Mapping[str, Any]]] = {}
        for one in await cluster.replica_sets_of(subject.namespace):
            for owner in one["metadata"].get("ownerReferences") or ():
                owned.setdefault(owner.get("uid", ""), []).append(one)
        others = [
            one for one in await cluster.deployments(subject.namespace) if one["metadata"]["name"] != subject.name
        ]
        lines = [self._about(subject.deployment, owned, subject)]
        recent = [(self._newest(one, owned), one) for one in others]
        for newest, deployment in sorted(recent, key=lambda pair: pair[0], reverse=True):
            if newest >= subject.since - self._params.lookback:
                lines.append(self._about(deployment, owned, subject))
        source = f"ReplicaSets of namespace {subject.namespace}, {spoken.length(self._params.lookback.total_seconds())} before the alert"
        shown = tuple(self._kit.redact(line) for line in lines[: self._params.most])
        return [Finding(gatherer="rollouts", title=self.title, lines=shown, source=source)]

    def _newest(self, deployment: Mapping[str, Any], owned: Mapping[str, Sequence[Mapping[str, Any]]]) -> datetime:
        sets = owned.get(deployment["metadata"]["uid"], ())
        times = [rollout.moment(one["metadata"]["creationTimestamp"]) for one in sets]
        return max(times, default=rollout.moment(deployment["metadata"]["creationTimestamp"]))

    def _about(
        self,
        deployment: Mapping[str, Any],
        owned: Mapping[str, Sequence[Mapping[str, Any]]],
        subject: Subject,
    ) -> str:
        """The last rollout of one Deployment, in a line."""
        name = str(deployment["metadata"]["name"])
        history = rollout.revisions(deployment, owned.get(deployment["metadata"]["uid"], ()))
        current = next((one for one in history if one.current), None)
        if current is None:
            return f"{name}: a new template is just being rolled out: {', '.join(rollout.images(deployment['spec']['template']).values())}"
        before = max((one for one in history if one.number < current.number), key=lambda one: one.number, default=None)
        when = spoken.relative(current.created, subject.since, "the alert")
        if before is None:
            return f"{name}: no rollout in its history but the first (revision {current.number}, {when})"
        change, numbers = _change(name, before, current), f"revision {before.number} -> {current.number}"
        if current.earlier:
            return f"{change} again ({numbers}; it ran before as revision {', '.join(map(str, current.earlier))})"
        old = current.created < subject.since - self._params.lookback
        return (
            f"{name}: none lately; the last was {change}, {when} ({numbers})"
            if old
            else f"{change}, {when} ({numbers})"
        )


def _change(name: str, before: Revision, after: Revision) -> str:
    """`checkout 1.4.1 -> 1.4.2` where only the tag differs, else the whole images, else what else has changed."""
    changed = [
        (before.images.get(box, ""), image) for box, image in after.images.items() if before.images.get(box) != image
    ]
    if not changed:
        return f"{name}: {', '.join(before.differs) or 'a restart'} changed, the image did not"
    if len(changed) == 1:
        (old, _, old_tag), (new, _, new_tag) = (image.rpartition(":") for image in changed[0])
        if old == new and old and "@" not in old:
            return f"{name} {old_tag} -> {new_tag}"
    return f"{name}: {rollout.image_change(before.images, after.images)}"
