"""PagerDuty's v3 webhooks: recorded deliveries, and what is made of each kind of event."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import pagerduty
from tests.support.other_peoples_json import anything, assert_sound, damaged

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "pagerduty").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return pagerduty.parse(Incoming(raw), "pd", pagerduty.Params(), NOW)


def event(kind: str, **incident: Any) -> dict[str, Any]:
    recorded = RECORDED["triggered"]["event"]
    return {"event": {**recorded, "event_type": kind, "data": {**recorded["data"], **incident}}}


EXPECTED = {
    "triggered": "!PFQZPSY",
    "acknowledged": "PQ1K5C8 by PIG 208",
    "resolved": ".PCPZE64",
    "priority-updated": "!PGR0VU2",
    "reopened": "!PGR0VU2",
    "merged": ".PGR0VU2",
    "annotated": "",
    "ping": "",
}


def test_every_recorded_delivery_is_expected() -> None:
    assert set(RECORDED) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_delivery_is_read(name: str) -> None:
    result = parsed(RECORDED[name])
    assert_sound(result, NOW)
    alerts = [f"{'!' if alert.firing else '.'}{alert.fingerprint}" for alert in result.alerts]
    acknowledged = [f"{one.fingerprint} by {one.by}" for one in result.acknowledged]
    assert " ".join(alerts + acknowledged) == EXPECTED[name]


def test_a_triggered_incident_keeps_what_was_said_about_it() -> None:
    (alert,) = parsed(RECORDED["priority-updated"]).alerts
    assert alert.labels == {
        "alertname": "A little bump in the road",
        "severity": "critical",
        "service": "API Service",
        "team": "Engineering",
        "priority": "P1",
        "urgency": "high",
        "escalation_policy": "Default",
    }
    assert alert.annotations["summary"] == "A little bump in the road"
    assert alert.annotations["conference"] == "https://example.com"
    assert alert.url == "https://acme.pagerduty.com/incidents/PGR0VU2"
    assert alert.starts_at == datetime(2020, 4, 9, 15, 16, 27, tzinfo=UTC)


def test_trigger_acknowledge_and_resolve_are_of_one_problem() -> None:
    (fired,) = parsed(event("incident.triggered")).alerts
    (over,) = parsed(event("incident.resolved", status="resolved")).alerts
    assert parsed(event("incident.acknowledged")).acknowledged == (Acknowledged(fired.fingerprint, "PIG 208"),)
    assert fired.fingerprint == over.fingerprint
    assert (fired.firing, over.firing) == (True, False)
    assert over.ends_at == datetime(2021, 6, 4, 13, 35, 29, 781000, tzinfo=UTC)


def test_a_reopened_incident_starts_when_it_was_reopened() -> None:
    (alert,) = parsed(RECORDED["reopened"]).alerts
    assert alert.starts_at == datetime(2020, 10, 2, 18, 45, 21, tzinfo=UTC)
    (older,) = parsed(event("incident.reopened", created_at="2020-01-01T00:00:00Z")).alerts
    assert older.starts_at == datetime(2021, 6, 4, 13, 35, 29, 781000, tzinfo=UTC)


def test_a_merge_resolves_and_says_where_it_goes_on() -> None:
    (alert,) = parsed(RECORDED["merged"]).alerts
    assert alert.annotations["merged_into"] == "https://acme.pagerduty.com/incidents/PIJ90N7"


@pytest.mark.parametrize("kind", ["incident.priority_updated", "incident.unacknowledged"])
def test_what_happens_to_a_resolved_incident_does_not_fire(kind: str) -> None:
    assert parsed(event(kind)).alerts[0].firing
    assert parsed(event(kind, status="resolved")) == Parsed()


QUIET = [
    "incident.escalated",
    "incident.reassigned",
    "incident.delegated",
    "incident.annotated",
    "incident.responder.added",
    "incident.responder.replied",
    "incident.status_update_published",
    "incident.conference_bridge.updated",
    "incident.workflow.started",
    "incident.something_new",
    "service.updated",
    "pagey.ping",
]


@pytest.mark.parametrize("kind", QUIET)
def test_what_changes_nothing_is_taken_quietly(kind: str) -> None:
    assert parsed(event(kind)) == Parsed()
    assert parsed({"event": {"event_type": kind, "data": None}}) == Parsed()


SEVERITIES: list[tuple[Any, Any, str | None]] = [
    ("P1", "low", "critical"),
    ("P2", "high", "error"),
    ("P3", "high", "warning"),
    ("P5", "high", "info"),
    ("SEV-1", "high", "critical"),
    ("sev2", "high", "error"),
    ("Major", "high", "major"),
    (None, "high", "critical"),
    (None, "low", "warning"),
    (None, "odd", "odd"),
    (None, None, None),
]


@pytest.mark.parametrize(("priority", "urgency", "severity"), SEVERITIES)
def test_the_severity_is_the_priority_or_else_the_urgency(priority: Any, urgency: Any, severity: str | None) -> None:
    given = {"summary": priority} if priority else None
    (alert,) = parsed(event("incident.triggered", priority=given, urgency=urgency)).alerts
    assert alert.labels.get("severity") == severity


def test_missing_members_and_numbers_for_texts_are_no_obstacle() -> None:
    (alert,) = parsed({"event": {"event_type": "incident.triggered", "data": {"id": 12345678901234567890}}}).alerts
    assert alert.fingerprint == "12345678901234567890"
    assert alert.labels == {"alertname": "12345678901234567890"}
    assert alert.starts_at == NOW
    (alert,) = parsed({"event": {"event_type": "incident.triggered", "data": {"title": 7}}}).alerts
    assert alert.labels["alertname"] == "7"


REFUSED: list[tuple[Any, str]] = [
    ([], "body: found a list of 0; expected an object with `event`"),
    ({}, "event: found nothing; expected an object with event_type and data. The body: found an empty object"),
    ({"messages": [{"event": "incident.trigger"}]}, "subscribe to version 3"),
    ({"routing_key": "x", "event_action": "trigger"}, "`type: pagerduty_events`"),
    ({"alerts": [], "receiver": "x"}, "`type: alertmanager`"),
    ({"event": {"event_type": "incident.triggered"}}, "event.data: found nothing; expected the incident as an object"),
]


@pytest.mark.parametrize(("body", "says"), REFUSED)
def test_what_is_no_event_is_refused_with_what_was_expected(body: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(body)
    assert says in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(anything() | st.sampled_from(sorted(RECORDED)).flatmap(lambda name: damaged(RECORDED[name])))
def test_anything_is_read_or_refused(body: bytes) -> None:
    with suppress(BadInput):
        assert_sound(parsed(body), NOW)
