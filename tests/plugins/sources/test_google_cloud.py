"""Google Cloud Monitoring's webhooks, and the same through Pub/Sub."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import google_cloud
from tests.support.payloads import bodies

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "google_cloud").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return google_cloud.parse(Incoming(raw), "gc", google_cloud.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_an_open_incident_fires() -> None:
    alert = only(RECORDED["open"])
    assert (alert.firing, alert.fingerprint, alert.name) == (True, "0.mp9ojt5e6800", "1stTest")
    assert alert.starts_at == datetime(2022, 11, 18, 17, 21, 58, tzinfo=UTC)
    assert (alert.labels["function_name"], alert.labels["foo"], alert.labels["project"]) == (
        "hw",
        "bar",
        "sandbox-2022-x1",
    )
    assert alert.annotations["description"] == "some docs here..."
    assert alert.url.startswith("https://console.cloud.google.com/monitoring/alerting/incidents/")


def test_its_closing_ends_the_same_problem() -> None:
    fired, over = only(RECORDED["open"]), only(RECORDED["closed"])
    assert (over.firing, over.fingerprint, over.starts_at) == (False, fired.fingerprint, fired.starts_at)
    assert over.ends_at == datetime(2022, 11, 18, 17, 26, 58, tzinfo=UTC)


def test_the_same_pushed_by_pubsub_is_the_same_alert() -> None:
    assert parsed(RECORDED["pubsub-push"]) == parsed(RECORDED["open"])


@pytest.mark.parametrize("data", ["%%%", "aGVsbG8=", "", "W10="])
def test_what_pubsub_carries_has_to_be_an_incident(data: str) -> None:
    with pytest.raises(BadInput):
        parsed({"message": {"data": data}, "subscription": "s"})


def test_the_test_of_a_channel_is_marked() -> None:
    alert = only(RECORDED["test"])
    assert (alert.labels["tocsin_test"], alert.summary, alert.starts_at) == ("true", "Test Incident", NOW)
    assert alert.annotations["description"] == "Test documentation"


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        ("Critical", "critical"),
        ("Error", "error"),
        ("Warning", "warning"),
        ("No severity", None),
        ("odd", "odd"),
        (2, "2"),
        (None, "info"),
    ],
)
def test_the_severity_of_the_policy_counts_more_than_a_label(severity: Any, expected: str | None) -> None:
    incident = {"incident_id": 1, "severity": severity, "policy_user_labels": {"severity": "Info"}}
    assert only({"incident": incident}).labels.get("severity") == expected


def test_an_incident_that_was_acknowledged_is_no_alert() -> None:
    result = parsed({"incident": {"incident_id": "7", "state": "acknowledged"}})
    assert result == Parsed(acknowledged=(Acknowledged("7"),))


@pytest.mark.parametrize(
    ("state", "firing"), [("open", True), ("OPEN", True), ("closed", False), ("CLOSED", False), (None, True), (1, True)]
)
def test_a_state_fires_unless_it_is_closed(state: Any, firing: bool) -> None:
    assert only({"incident": {"incident_id": 1, "state": state}}).firing is firing


def test_without_an_identity_it_is_computed_from_the_labels() -> None:
    incident = {"policy_name": "A", "condition_name": "B"}
    fired, over = only({"incident": incident}), only({"incident": {**incident, "state": "closed", "severity": "Error"}})
    assert fired.fingerprint == over.fingerprint
    assert fired.fingerprint != only({"incident": {**incident, "condition_name": "C"}}).fingerprint


@settings(max_examples=60, deadline=None)
@given(bodies(list(RECORDED.values())))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with suppress(BadInput):
        assert isinstance(parsed(body), Parsed)


NOT_OBJECTS: list[tuple[bytes, str]] = [
    (b"[1, 2]", "found a list of 2"),
    (b'"down"', "found the text"),
    (b"", "it is empty"),
    (b'{"a": ', "line 1, column"),
    (b'{"colour": "red"}', "type: generic"),
    (b'{"alerts": [], "receiver": "x"}', "type: alertmanager"),
]


@pytest.mark.parametrize(("body", "said"), NOT_OBJECTS)
def test_what_is_no_payload_of_this_product_is_refused_in_words(body: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parsed(body)
