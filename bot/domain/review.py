"""The facts of a post-mortem, from the timeline alone: the same timeline always gives the same facts (P5). Rendered by a template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bot.domain.incident import Incident
from bot.domain.naming import english_list
from bot.domain.review_runs import told_runs
from bot.domain.timeline import BOT, Entry

_ABOUT_ITSELF = ("postmortem",)
_FIRING = ("opened", "alert_firing")


def facts(incident: Incident, timeline: Sequence[Entry]) -> dict[str, Any]:
    """What the template may use (docs/postmortem.md lists it).

    Entries about the post-mortem itself are left out, so that writing it changes nothing.
    """
    entries = [entry for entry in timeline if entry.kind not in _ABOUT_ITSELF]
    when = _moments(entries, incident)
    alerts = [alert for entry in entries if entry.kind in _FIRING for alert in entry.data.get("alerts", ())]
    runs = told_runs(entries)
    return {
        "incident": {
            "ref": incident.ref,
            "title": incident.title,
            "severity": incident.severity,
            "service": incident.service,
            "state": _state(when),
            "channel_name": incident.channel_name,
            "opened_by": incident.opened_by,
            **when,
        },
        "times": {
            "acknowledge": _seconds(when["opened_at"], when["acknowledged_at"]),
            "mitigate": _seconds(when["opened_at"], when["mitigated_at"]),
            "resolve": _seconds(when["opened_at"], when["resolved_at"]),
        },
        "summary": _summary(incident, when, runs),
        "impact": {
            "alerts": len({tuple(sorted(alert["labels"].items())) for alert in alerts}),
            "names": list(dict.fromkeys(alert["summary"] for alert in alerts)),
            "labels": dict(incident.labels),
            "seconds": _seconds(when["opened_at"], when["mitigated_at"] or when["resolved_at"]),
        },
        "people": _people(entries),
        "runs": runs,
        "timeline": [
            {"at": entry.at, "kind": entry.kind, "actor": entry.actor, "text": entry.text} for entry in entries
        ],
        "context": [
            finding for entry in entries if entry.kind == "context" for finding in entry.data.get("findings", ())
        ],
        "chain": {"entries": len(entries), "head": entries[-1].hash if entries else ""},
    }


def _moments(entries: Sequence[Entry], incident: Incident) -> dict[str, Any]:
    """When it began and when each state was last reached; the first acknowledgement counts, since that is when somebody was there."""

    def first(kind: str) -> Entry | None:
        return next((entry for entry in entries if entry.kind == kind), None)

    def last(kind: str) -> Entry | None:
        return next((entry for entry in reversed(entries) if entry.kind == kind), None)

    opened, acknowledged, resolved, reopened = (
        first("opened"),
        first("acknowledged"),
        last("resolved"),
        last("reopened"),
    )
    mitigated = last("mitigated")
    still_open = resolved is None or (reopened is not None and reopened.seq > resolved.seq)
    return {
        "opened_at": opened.at if opened else incident.opened_at,
        "acknowledged_at": acknowledged.at if acknowledged else None,
        "acknowledged_by": acknowledged.actor if acknowledged else "",
        "mitigated_at": mitigated.at if mitigated else None,
        "resolved_at": None if still_open or resolved is None else resolved.at,
    }


def _state(when: dict[str, Any]) -> str:
    for name, state in (
        ("resolved_at", "resolved"),
        ("mitigated_at", "mitigated"),
        ("acknowledged_at", "acknowledged"),
    ):
        if when[name]:
            return state
    return "triggered"


def _seconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else (end - start).total_seconds()


def _summary(incident: Incident, when: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """Two or three plain sentences: what broke, who took it, what was done."""
    sentences = [f"{incident.title} ({incident.severity})."]
    if when["acknowledged_by"]:
        sentences.append(f"{when['acknowledged_by']} acknowledged it.")
    else:
        sentences.append("Nobody acknowledged it.")
    sentences += _about_runs(runs)
    sentences.append("It is resolved." if when["resolved_at"] else "It is not resolved yet.")
    return " ".join(sentences)


def _about_runs(runs: list[dict[str, Any]]) -> list[str]:
    """What was run and held, what was taken back, and whether somebody went past the rules."""
    succeeded = [run for run in runs if run["state"] == "succeeded"]
    taken_back = list(dict.fromkeys(run["undoes"] for run in succeeded if run["undoes"]))
    done = [run["title"] for run in succeeded if not run["undoes"] and run["ref"] not in taken_back]
    sentences = [f"What was run and verified: {english_list(done)}."] if done else []
    if taken_back:
        sentences.append(f"What was taken back: {english_list(taken_back)}.")
    broken = [run["ref"] for run in runs if run["broken_glass"]]
    if broken:
        sentences.append(f"The glass was broken for {english_list(broken)}.")
    return sentences


def _people(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Everybody who acted, in the order of their first act, with what they did."""
    did: dict[str, list[str]] = {}
    for entry in entries:
        if entry.actor != BOT:
            did.setdefault(entry.actor, []).append(entry.text)
    return [{"name": name, "did": texts} for name, texts in did.items()]
