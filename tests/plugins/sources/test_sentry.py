"""Sentry's webhooks: issues, triggered rules, metric alerts, and the older plugin."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import sentry
from tests.support.payloads import bodies

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "sentry").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sentry.parse(Incoming(raw), "se", sentry.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_a_new_issue_fires_with_its_project_as_the_service() -> None:
    alert = only(RECORDED["issue-created"])
    assert (alert.firing, alert.fingerprint, alert.name) == (True, "1635261062", "A simple message-based issue.")
    assert (alert.service, alert.labels["severity"]) == ("zulip-integration-testing", "info")
    assert alert.starts_at == datetime(2020, 4, 28, 14, 5, 4, 210463, tzinfo=UTC)


def test_a_triggered_rule_is_of_the_issue_that_it_is_about() -> None:
    alert = only(RECORDED["event-alert"])
    assert alert.fingerprint == only(RECORDED["issue-created"]).fingerprint
    assert (alert.name, alert.service) == ("A simple message-based issue.", "zulip-integration-testing")
    assert (alert.labels["rule"], alert.labels["server_name"]) == (
        "Send a webhook payload to Webhook.site",
        "hp-pavilion",
    )
    assert alert.url.startswith("https://sentry.io/organizations/")


ACTIONS: list[tuple[Any, bool | None]] = [
    ("created", True),
    ("unresolved", True),
    ("resolved", False),
    ("ignored", False),
    ("archived", False),
    ("assigned", None),
    ("something new", None),
]


@pytest.mark.parametrize(("action", "firing"), ACTIONS)
def test_an_action_fires_ends_or_changes_nothing(action: str, firing: bool | None) -> None:
    issue = RECORDED["issue-resolved"]["data"]["issue"]
    result = parsed({"action": action, "data": {"issue": issue}, "installation": {}})
    assert [(alert.firing, alert.fingerprint) for alert in result.alerts] == (
        [] if firing is None else [(firing, "1638821441")]
    )


@pytest.mark.parametrize(
    ("status", "firing"), [("resolved", False), ("ignored", False), ("unresolved", True), (None, True)]
)
def test_without_an_action_the_status_of_the_issue_counts(status: Any, firing: bool) -> None:
    assert only({"data": {"issue": {"id": 1, "title": "A", "status": status}}}).firing is firing


def test_a_resolved_issue_ends_now_after_its_first_event() -> None:
    alert = only(RECORDED["issue-resolved"])
    assert (alert.starts_at.year, alert.ends_at) == (2020, NOW)


@pytest.mark.parametrize("name", ["issue-assigned", "installation-created", "comment-created"])
def test_what_changes_no_problem_is_taken_and_says_nothing(name: str) -> None:
    assert parsed(RECORDED[name]) == Parsed()


def test_a_metric_alert_and_its_end_are_one_problem() -> None:
    fired, over = only(RECORDED["metric-critical"]), only(RECORDED["metric-resolved"])
    assert fired.fingerprint == over.fingerprint
    assert (fired.firing, fired.name, fired.service, fired.labels["severity"]) == (
        True,
        "Too many errors",
        "bar",
        "critical",
    )
    assert (over.firing, over.ends_at) == (False, datetime(2020, 9, 24, 20, 25, tzinfo=UTC))


def test_the_plugin_fires_for_the_same_issue() -> None:
    alert = only(RECORDED["webhook-plugin"])
    assert (alert.fingerprint, alert.service, alert.name) == ("1972208801", "foo-live", "ValueError: new sentry error.")


def test_a_sample_event_is_a_test_and_no_person_becomes_a_label() -> None:
    alert = only(RECORDED["event-alert-sample"])
    assert alert.labels["tocsin_test"] == "true"
    assert "user" not in alert.labels


@pytest.mark.parametrize(
    ("level", "severity"),
    [("fatal", "critical"), ("error", "error"), ("debug", "info"), ("odd", "odd"), (None, None), (5, "5")],
)
def test_the_level_is_the_severity(level: Any, severity: str | None) -> None:
    alert = only({"action": "created", "data": {"issue": {"id": 1, "title": "A", "level": level}}})
    assert alert.labels.get("severity") == severity


def test_an_issue_needs_nothing_but_to_be_there() -> None:
    alert = only({"action": "created", "data": {"issue": {"id": 1635261062}}})
    assert (alert.fingerprint, alert.name) == ("1635261062", "Sentry issue")


def test_a_webhook_without_what_its_header_names_is_refused() -> None:
    incoming = Incoming(b'{"action": "created", "data": {}}', {"sentry-hook-resource": "issue"})
    with pytest.raises(BadInput, match="expected issue in it"):
        sentry.parse(incoming, "se", sentry.Params(), NOW)


def test_a_kind_of_webhook_that_is_not_known_is_taken_and_says_nothing() -> None:
    incoming = Incoming(b'{"action": "completed", "data": {"seer": {}}}', {"sentry-hook-resource": "seer"})
    assert sentry.parse(incoming, "se", sentry.Params(), NOW) == Parsed()


def test_sentry_signs_the_body_in_hex() -> None:
    assert (sentry.HMAC.header, sentry.HMAC.prefix, sentry.HMAC.encoding) == ("sentry-hook-signature", "", "hex")


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


@pytest.mark.parametrize(("status", "firing"), [("unresolved", True), ("resolved", False), ("ignored", False)])
def test_an_activity_alert_says_what_its_issue_says(status: str, firing: bool) -> None:
    issue = {**RECORDED["issue-created"]["data"]["issue"], "status": status}
    alert = only({"action": "triggered", "data": {"issue": issue, "alert": {"id": 7, "title": "regressed"}}})
    assert (alert.firing, alert.fingerprint) == (firing, only(RECORDED["issue-created"]).fingerprint)
