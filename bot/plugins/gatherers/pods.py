"""How the pods of the Deployment are: how many are ready, and for the worst ones why not.

`checkout-7d4b9-x2x: CrashLoopBackOff, 5 restarts, last exit 1 (Error) 20 s ago`. Source: the pods' status. *Permissions*: get deployments
(apiGroup apps), get and list pods.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import pods
from bot.clients.kit import Kit
from bot.clients.subject import subject_of
from bot.domain.alert import AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident
from bot.domain.naming import clipped

LONGEST_LINE = 300


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: timedelta = Field(
        default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=1), description="how long it may take"
    )
    most: int = Field(default=5, ge=1, le=20, description="how many pods to show")


class Plugin:
    title = "Pods"

    def __init__(self, kit: Kit, params: Params) -> None:
        self._kit = kit
        self._params = params
        self.deadline = params.deadline.total_seconds()

    async def gather(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> list[Finding]:
        cluster = self._kit.cluster
        subject = await subject_of(cluster, incident, alerts)
        found = await cluster.pods(subject.namespace, subject.selector)
        judged = sorted(((pods.trouble(pod, now), pod) for pod in found), key=lambda pair: -pair[0].score)
        wanted = subject.deployment["spec"].get("replicas", 1)
        well = sum(1 for pod in found if pods.ready(pod) and not pods.leaving(pod))
        lines = [f"{well} of {wanted} pods of {subject.name} are ready"]
        bad = [(trouble, pod) for trouble, pod in judged if trouble.score]
        for trouble, pod in bad[: self._params.most]:
            image = _image(pod, trouble.container)
            lines.append(f"{pod['metadata']['name']}: {trouble.why}" + (f" ({image})" if image else ""))
        if len(bad) > self._params.most:
            lines.append(f"… and {len(bad) - self._params.most} more with trouble")
        shown = tuple(clipped(self._kit.redact(line), LONGEST_LINE) for line in lines)
        source = f"pods {subject.selector} in namespace {subject.namespace}"
        return [Finding(gatherer="pods", title=self.title, lines=shown, source=source)]


def _image(pod: pods.Pod, container: str) -> str:
    boxes = pod["spec"].get("containers") or ()
    return next((str(box.get("image", "")) for box in boxes if box.get("name") == container), "")
