"""What the actions argocd.sync and argocd.rollback go by: the state of an application, as JSON values, bounded and without manifests. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bot.clients import rollout
from bot.clients.argocd import LONGEST_REVISION, Application, Deployed, Resource, Status
from bot.clients.earlier import Version
from bot.domain.naming import clipped
from bot.domain.ports import Redact
from bot.errors import TryLater

RUNNING, FAILED = ("Running", "Terminating"), ("Failed", "Error")
WELL = ("Healthy", "Suspended")
MOST_HISTORY, MOST_RESOURCES, MOST_IMAGES = 30, 10, 5
LONGEST_MESSAGE = 300


class Entry(Version):
    """A deployment of an application; `number` is its history id."""

    revision: str
    images: tuple[str, ...] = ()


def state_of(app: Application, redact: Redact) -> dict[str, Any]:
    """What the actions go by, as JSON values, bounded; no manifests."""
    spec, status = app.spec, app.status
    automated = spec.sync_policy.automated if spec.sync_policy else None
    chart = bool(spec.source and spec.source.get("chart"))
    conditions = "; ".join(one.message for one in status.conditions or () if one.type.endswith("Error"))
    return {
        "automated": automated is not None and automated.enabled is not False,
        "source": "several" if spec.sources else "chart" if chart else "git",
        "operation": _operation(app, redact),
        "sync": {"status": status.sync.status, "revision": status.sync.text},
        "health": status.health.status,
        "trouble": clipped(redact(conditions or status.health.message), LONGEST_MESSAGE),
        "out_of_sync": out_of_sync([one for one in status.resources or () if one.status == "OutOfSync"]),
        "images": sorted(status.summary.images or ())[:MOST_IMAGES],
        "history": [one.model_dump(mode="json") for one in _history(status)],
    }


def _operation(app: Application, redact: Redact) -> dict[str, Any]:
    now = app.status.operation_state
    phase = now.phase if now else ""
    running = app.operation is not None or phase in RUNNING
    message = clipped(redact(now.message), LONGEST_MESSAGE) if now else ""
    asked = now.operation.sync if now and not running and phase not in FAILED else None
    return {
        "running": running,
        "phase": "Running" if running and phase not in RUNNING else phase,
        "message": message,
        "rolled_back": bool(asked and not asked.dry_run and (asked.source or asked.sources)),
    }


def _history(status: Status) -> list[Entry]:
    """The newest lines, and behind them what an operation that failed has left half done."""
    lines = [
        Entry(number=one.id, kind=one.kind, at=one.deployed_at, good=True, revision=one.text, images=one.images)
        for one in sorted(status.history or (), key=lambda one: one.id)[-MOST_HISTORY:]
        if one.deployed_at is not None
    ]
    now = status.operation_state
    if now is None or now.phase not in FAILED or now.sync_result is None or now.finished_at is None:
        return lines
    dry = now.operation.sync is not None and now.operation.sync.dry_run
    if dry or (lines and now.finished_at <= lines[-1].at):
        return lines
    half, number = now.sync_result, lines[-1].number + 1 if lines else 0
    return [*lines, Entry(number=number, kind=half.kind, at=now.finished_at, good=False, revision=half.text)]


def out_of_sync(resources: Sequence[Resource]) -> dict[str, Any]:
    """The first few by name, how many more there are, and a digest over all of them."""
    names = sorted(one.text for one in resources)
    prunes = sorted(one.text for one in resources if one.requires_pruning)
    return {
        "names": [clipped(name, LONGEST_REVISION) for name in names[:MOST_RESOURCES]],
        "more": max(0, len(names) - MOST_RESOURCES),
        "prunes": [clipped(name, LONGEST_REVISION) for name in prunes[:MOST_RESOURCES]],
        "digest": rollout.digest([names, prunes]),
    }


def resource(kind: str, name: str) -> Resource:
    """One that is out of sync, for tests of runbooks."""
    return Resource(kind=kind, name=name, status="OutOfSync")


def short(revision: str) -> str:
    """A commit as people write it; anything else (a chart's version) as it is."""
    return revision[:7] if len(revision) == 40 and set(revision) <= set("0123456789abcdef") else revision


def history(state: Mapping[str, Any]) -> list[Entry]:
    return [Entry.model_validate(one) for one in state["history"]]


def deployed(state: Mapping[str, Any]) -> str:
    """The revision that was deployed last, `none` for none."""
    lines = state["history"]
    return str(lines[-1]["revision"]) if lines else "none"


def idle(state: Mapping[str, Any], shown: str) -> None:
    """TryLater while an operation runs: Argo CD does one at a time."""
    if state["operation"]["running"]:
        raise TryLater(f"{shown}: {_doing(state)}", 5.0)


def unfinished(state: Mapping[str, Any], shown: str) -> str | None:
    """What is missing until the last operation has ended well and the application is healthy, in words."""
    operation = state["operation"]
    if operation["running"]:
        return f"{shown}: {_doing(state)}"
    if operation["phase"] in FAILED:
        return f"{shown}: the last operation {operation['phase'].lower()}: {operation['message'] or 'no reason given'}"
    if state["health"] not in WELL:
        trouble = f" ({state['trouble']})" if state["trouble"] else ""
        return f"{shown} is {state['health']}{trouble}"
    return None


def _doing(state: Mapping[str, Any]) -> str:
    operation = state["operation"]
    said = f" ({operation['message']})" if operation["message"] else ""
    return f"an operation is {operation['phase'].lower()}{said}"


# ------------------------------------------------------------------------------------------------ for tests of runbooks


def line(number: int, revision: str, at: datetime, images: tuple[str, ...] = ()) -> Entry:
    """A deployment as `state_of` would show it."""
    source = {"kustomize": {"images": list(images)}} if images else {}
    told = Deployed(id=number, revision=revision, source=source, deployed_at=at)
    return Entry(number=number, kind=told.kind, at=at, good=True, revision=revision, images=images)


def settled(state: Mapping[str, Any], added: Entry, *, rolled_back: bool, **changed: Any) -> dict[str, Any]:
    """The state once an operation that deployed `added` has ended well."""
    good = [one for one in state["history"] if one["good"]]
    number = good[-1]["number"] + 1 if good else 0
    at = max([added.at, *(datetime.fromisoformat(one["at"]) + timedelta(hours=1) for one in good[-1:])])
    new = added.model_copy(update={"number": number, "at": at, "good": True})
    return {
        **state,
        "operation": {"running": False, "phase": "Succeeded", "message": "", "rolled_back": rolled_back},
        "health": "Healthy",
        "trouble": "",
        "history": [*good, new.model_dump(mode="json")],
        **changed,
    }
