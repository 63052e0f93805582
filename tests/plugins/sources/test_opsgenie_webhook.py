"""Opsgenie's outgoing webhook: recorded deliveries, and what is made of each action."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import opsgenie_webhook
from tests.support.other_peoples_json import anything, assert_sound, damaged

FOLDER = Path(__file__).parent / "opsgenie_webhook"
RECORDED = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PROBLEM = "052652ac-5d1c-464a-812a-7dd18bbfba8c"


def parsed(body: Any, **params: str) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return opsgenie_webhook.parse(Incoming(raw), "ogw", opsgenie_webhook.Params(**params), NOW)


EXPECTED = {
    "create": "!ec03dad6-62c8-4c94-b38b-d88f398e900f",
    "jsm-create": "!70413a06-38d6-4c85-92b8-5ebc900d42e2-1518090956288",
    "acknowledge": f"{PROBLEM} by fili@ifountain.com",
    "unacknowledge": f"!{PROBLEM}",
    "close": f".{PROBLEM}",
    "delete": f".{PROBLEM}",
    "addnote": "",
    "escalate": "",
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


def test_a_created_alert_keeps_what_was_said_about_it() -> None:
    (alert,) = parsed(RECORDED["create"]).alerts
    assert alert.labels == {
        "alertname": "another alert",
        "severity": "warning",
        "priority": "3",
        "entity": "Server",
        "source": "test@example.com",
        "tags": "vip",
    }
    assert alert.annotations == {"summary": "another alert", "alias": "alert-alias"}
    assert alert.starts_at == datetime(2017, 8, 14, 11, 25, 56, 288000, tzinfo=UTC)
    assert alert.url == "https://app.opsgenie.com/alert/detail/ec03dad6-62c8-4c94-b38b-d88f398e900f/details"


def test_tags_details_and_the_team_become_labels() -> None:
    (alert,) = parsed(RECORDED["jsm-create"]).alerts
    labels = {name: alert.labels[name] for name in ("env", "tags", "team", "service", "severity")}
    assert labels == {"env": "prod", "tags": "vip", "team": "Platform", "service": "checkout", "severity": "error"}
    assert alert.annotations["trace"] == "line 1\nline 2"
    assert alert.annotations["description"] == "More than 10000 messages"


def test_a_close_ends_when_it_was_updated_which_is_told_in_nanoseconds() -> None:
    (over,) = parsed(RECORDED["close"]).alerts
    assert over.starts_at == datetime(2015, 1, 5, 10, 3, 11, 104000, tzinfo=UTC)
    assert over.ends_at is not None
    assert over.ends_at.replace(microsecond=0) == datetime(2015, 1, 5, 10, 6, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("app", "url"), [("https://eu.example", "https://eu.example/alert/detail/x/details"), ("", "")]
)
def test_the_address_of_opsgenie_can_be_set(app: str, url: str) -> None:
    (alert,) = parsed({"action": "Create", "alert": {"alertId": "x"}}, app=app).alerts
    assert alert.url == url


@pytest.mark.parametrize("priority", [1, "1", "P1", "p1"])
def test_a_changed_priority_fires_with_the_new_severity(priority: Any) -> None:
    body = {"action": "UpdatePriority", "alert": {"alertId": "x", "message": "m", "priority": priority}}
    (alert,) = parsed(body).alerts
    assert (alert.firing, alert.labels["severity"]) == (True, "critical")


QUIET = [
    "AddNote",
    "AddTags",
    "RemoveTags",
    "AddTeam",
    "AddRecipient",
    "AddResponder",
    "AssignOwnership",
    "TakeOwnership",
]
QUIET += [
    "Escalate",
    "EscalateNext",
    "Snooze",
    "SnoozeEnded",
    "UpdateMessage",
    "UpdateDescription",
    "Restart the server",
]


@pytest.mark.parametrize("action", QUIET)
def test_what_changes_nothing_is_taken_quietly(action: str) -> None:
    assert parsed({**RECORDED["create"], "action": action}) == Parsed()


def test_missing_members_and_numbers_for_texts_are_no_obstacle() -> None:
    (alert,) = parsed({"alert": {"alertId": 5, "message": 1.5, "tags": "env:prod", "createdAt": None}}).alerts
    assert (alert.fingerprint, alert.labels["alertname"], alert.labels["env"]) == ("5", "1.5", "prod")
    assert (alert.firing, alert.starts_at) == (True, NOW)
    assert "severity" not in alert.labels


def test_an_unknown_priority_stays() -> None:
    (alert,) = parsed({"action": "Create", "alert": {"alertId": "x", "priority": "Blocker"}}).alerts
    assert alert.labels["severity"] == "blocker"


REFUSED: list[tuple[Any, str]] = [
    ("text", 'body: found the text "text"; expected an object with action and alert'),
    ({}, "alert: found nothing; expected the alert as an object"),
    ({"action": "Create", "alert": {}}, "alert: found an empty object; expected the alert as an object"),
    ({"action": "Create", "alert": {"tags": []}}, "alert.alertId: found nothing; expected the id of the alert"),
    ({"message": "m", "alias": "a"}, "`type: opsgenie`"),
    ({"event": {"event_type": "incident.triggered"}}, "`type: pagerduty`"),
]


@pytest.mark.parametrize(("body", "says"), REFUSED)
def test_what_is_no_action_is_refused_with_what_was_expected(body: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(body)
    assert says in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(anything() | st.sampled_from(sorted(RECORDED)).flatmap(lambda name: damaged(RECORDED[name])))
def test_anything_is_read_or_refused(body: bytes) -> None:
    with suppress(BadInput):
        assert_sound(parsed(body), NOW)
