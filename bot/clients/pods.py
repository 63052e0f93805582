"""What is wrong with a pod, from its status. Pure; used by the gatherers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.clients import spoken
from bot.clients.rollout import moment

Pod = Mapping[str, Any]
HARMLESS_WAITS = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True, slots=True)
class Trouble:
    """How bad it is (0: well), why in words, which container, and how often it was restarted."""

    score: int
    why: str
    container: str
    restarts: int


def ready(pod: Pod) -> bool:
    return _condition(pod, "Ready").get("status") == "True"


def leaving(pod: Pod) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def trouble(pod: Pod, now: datetime) -> Trouble:
    """The worst of its containers, or why it has none running."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    worst = max((_container(one, now) for one in containers), key=lambda one: one.score, default=None)
    if leaving(pod):
        return Trouble(1, "is being stopped", worst.container if worst else "", worst.restarts if worst else 0)
    if worst is not None and worst.score:
        return worst
    if ready(pod):
        return worst or Trouble(0, "", "", 0)
    unscheduled = _condition(pod, "PodScheduled")
    if unscheduled.get("status") == "False":
        return Trouble(70, f"not scheduled: {unscheduled.get('message') or unscheduled.get('reason', '')}", "", 0)
    why = f"{status.get('reason') or status.get('phase', 'Unknown')}, not ready"
    return Trouble(30, why, worst.container if worst else "", worst.restarts if worst else 0)


def _container(status: Mapping[str, Any], now: datetime) -> Trouble:
    state, restarts, name = status.get("state") or {}, int(status.get("restartCount", 0)), str(status["name"])
    last = (status.get("lastState") or {}).get("terminated")
    waiting, ended = state.get("waiting"), state.get("terminated")
    parts, score = [], 0
    if waiting and waiting.get("reason") not in HARMLESS_WAITS:
        parts, score = [str(waiting.get("reason") or "waiting")], 90
    elif ended and ended.get("exitCode"):
        parts, score = [_exit(ended, now)], 80
    elif state.get("running") and not status.get("ready"):
        parts, score = ["running but not ready (its readiness probe fails)"], 50
    if restarts:
        parts.append(f"{restarts} {'restart' if restarts == 1 else 'restarts'}")
        score = max(score, 10)
        if last:
            parts.append(f"last {_exit(last, now)}")
    return Trouble(score, ", ".join(parts), name, restarts)


def _exit(ended: Mapping[str, Any], now: datetime) -> str:
    reason = ended.get("reason") or "Error"
    ago = (
        f" {spoken.roughly((now - moment(ended['finishedAt'])).total_seconds())} ago" if ended.get("finishedAt") else ""
    )
    return f"exit {ended.get('exitCode', '?')} ({reason}){ago}"


def _condition(pod: Pod, kind: str) -> Mapping[str, Any]:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == kind), {})
