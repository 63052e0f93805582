"""Incidents as JSON values, the same for the API and for `--json` at a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bot.domain.incident import Incident
from bot.domain.page import Page
from bot.domain.timeline import Entry
from bot.flow.incidents import Shown

SHOWN_ENTRIES = 200


def incident_facts(one: Incident) -> dict[str, Any]:
    """Times in ISO 8601, UTC. Of a private incident only how it stands: its words are for those in its channel."""
    known = {
        "incident": one.ref,
        "state": one.state,
        "severity": one.severity,
        "private": one.private,
        "opened_at": _time(one.opened_at),
        "acknowledged_at": _time(one.acknowledged_at),
        "acknowledged_by": one.acknowledged_by,
        "resolved_at": _time(one.resolved_at),
    }
    if one.private:
        return known
    return {
        **known,
        "title": one.title,
        "service": one.service,
        "opened_by": one.opened_by,
        "alerts": {"firing": one.firing, "all": one.alerts},
        "channel": one.channel_name if one.channel_id else "",
        "policies": [track.policy.key for track in one.tracks],
    }


def shown_facts(shown: Shown) -> dict[str, Any]:
    """With its alerts, whom it has reached by what, and the latest of its timeline; nothing of that when it is private."""
    facts = incident_facts(shown.incident)
    if shown.incident.private:
        return facts
    alerts = [
        {"alert": one.alert.key, "summary": one.alert.summary, "firing": one.alert.firing} for one in shown.alerts
    ]
    return {
        **facts,
        "firing_alerts": alerts,
        "pages": [page_facts(page) for page in shown.pages],
        "timeline": [_entry(entry) for entry in shown.timeline[-SHOWN_ENTRIES:]],
    }


def page_facts(page: Page) -> dict[str, Any]:
    """Without the address: a telephone number is nobody's business but its owner's."""
    return {
        "to": page.name,
        "medium": page.medium,
        "purpose": page.purpose,
        "state": page.state,
        "at": _time(page.state_at),
        "answer": page.answer,
        "acknowledged_by_it_at": _time(page.answered_at),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {"at": _time(entry.at), "kind": entry.kind, "by": entry.actor, "text": entry.text}


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
