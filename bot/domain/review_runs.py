"""Runs as the timeline tells of them, for the post-mortem: what each came to, who let it, what people answered. Pure; called by review.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.domain.run import ENDED, RunState
from bot.domain.step import OVER, StepState
from bot.domain.timeline import Entry

_ENDED = {state.value for state in ENDED}
_OVER = {state.value for state in OVER}
_STEP = ("title", "state", "plan", "message")


def told_runs(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Every run in the order in which they began. Each `run_…` entry carries the run, and the step that it is about."""
    runs: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.kind.startswith("run_") and "run" in entry.data:
            run = runs.setdefault(entry.data["run"], _begun(entry))
            _told(run, entry)
    for run in runs.values():
        back = runs.get(run["undoes"])
        if back is not None and run["state"] == RunState.SUCCEEDED:
            back["undone_by"].append(run["ref"])
    return [_settled(run) for run in runs.values()]


def _begun(entry: Entry) -> dict[str, Any]:
    data = entry.data
    return {
        "ref": data["run"],
        "title": data["title"],
        "state": "",
        "requested_by": "",
        "approved_by": [],
        "unattended": [],
        "broken_glass": [],
        "answers": [],
        "undoes": "",
        "undone_by": [],
        "ended": "",
        "steps": {},
        "last": "",
    }


def _told(run: dict[str, Any], entry: Entry) -> None:
    """What one entry adds."""
    data, by = entry.data, entry.actor
    run["state"] = data.get("state", run["state"])
    run["requested_by"] = data.get("requested_by", run["requested_by"])
    run["undoes"] = data.get("undoes", run["undoes"])
    title = data.get("step_title", data.get("step", ""))
    if entry.kind in ("run_approved", "run_glass_broken") and by not in run["approved_by"]:
        run["approved_by"].append(by)
    if entry.kind == "run_glass_broken":
        run["broken_glass"].append({"by": by, "step": title, "reason": data.get("broke_glass", "")})
    if entry.kind == "run_planned" and data.get("unattended"):
        run["unattended"].append({"step": title, "rule": data["unattended"]})
    if entry.kind == "run_asked":
        words = entry.text.removeprefix(f"{run['ref']} asks: ")
        run["answers"].append({"step": title, "asked": words, "answer": "", "by": ""})
    if entry.kind == "run_answered":
        _answered(run, title, data.get("step_message", ""), by)
    if entry.kind == "run_ended" and run["state"] != RunState.SUCCEEDED:
        run["ended"] = entry.text
    if "step" in data:
        _step_told(run, entry)


def _answered(run: dict[str, Any], title: str, message: str, by: str) -> None:
    """The answer stands beside its question."""
    answer = message.removeprefix(f"{by}: ")
    asked = next((one for one in run["answers"] if one["step"] == title and not one["by"]), None)
    if asked is None:
        run["answers"].append({"step": title, "asked": "", "answer": answer, "by": by})
    else:
        asked.update(answer=answer, by=by)


def _step_told(run: dict[str, Any], entry: Entry) -> None:
    """How the step stands now. When the run goes on to another step, one that only let time pass has had its time."""
    data, steps = entry.data, run["steps"]
    before = steps.get(run["last"])
    if before is not None and run["last"] != data["step"] and before["state"] == StepState.RESTING and not run["ended"]:
        before.update(state=StepState.DONE.value, message="waited")
    step = steps.setdefault(data["step"], {"title": data["step"], "state": "", "plan": [], "message": ""})
    step.update({key: data[f"step_{key}"] for key in _STEP if f"step_{key}" in data})
    run["last"] = data["step"]


def _settled(run: dict[str, Any]) -> dict[str, Any]:
    """What has ended leaves no step waiting: it was done, or it was not, or nobody looked any more."""
    over, names = run["state"] in _ENDED, list(run["steps"])
    steps = []
    for name, step in run["steps"].items():
        if step["state"] == StepState.PENDING and any(other.startswith(f"{name}[") for other in names):
            continue  # a list, told of item by item
        steps.append({**step, "state": _final(run, step) if over else step["state"]})
    return {**{key: value for key, value in run.items() if key != "last"}, "steps": steps}


def _final(run: dict[str, Any], step: dict[str, Any]) -> str:
    """How a step ended that the timeline left in the middle: it ended with its run."""
    state = step["state"]
    if state in _OVER:
        return str(state)
    if run["state"] == RunState.SUCCEEDED:
        return StepState.DONE.value
    if state == StepState.CHECKING:
        return "done, not checked"
    if state == StepState.DOING:
        return "begun, not known whether it took effect"
    return "not done"
