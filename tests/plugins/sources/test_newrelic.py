"""New Relic: issues of workflows, and incidents of the older notification channels."""

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
from bot.plugins.sources import newrelic
from tests.support.payloads import bodies

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "newrelic").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return newrelic.parse(Incoming(raw), "nr", newrelic.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_an_issue_that_is_activated_fires() -> None:
    result = parsed(RECORDED["issue-activated"])
    (alert,) = result.alerts
    assert (alert.firing, alert.fingerprint) == (True, "c5faa7e6-7b54-402d-af79-f99601e0278c")
    assert (alert.name, alert.labels["severity"], alert.labels["entity"]) == (
        "Zulip Server Low Storage",
        "critical",
        "zulip_app",
    )
    assert alert.starts_at == datetime(2024, 4, 22, 3, 5, 31, 352000, tzinfo=UTC)
    assert alert.url.startswith("https://radar-api.service.newrelic.com/accounts/4420147/issues/")
    assert result.acknowledged == ()


def test_its_closing_ends_the_same_problem() -> None:
    fired, over = only(RECORDED["issue-activated"]), only(RECORDED["issue-closed"])
    assert fired.fingerprint == over.fingerprint
    assert (over.firing, over.starts_at) == (False, fired.starts_at)
    assert over.ends_at is not None and over.ends_at > over.starts_at


def test_a_deed_of_a_person_on_an_open_issue_is_an_acknowledgement() -> None:
    result = parsed(RECORDED["issue-acknowledged"])
    assert result.acknowledged == (Acknowledged("13bbcdca-f0b6-470d-b0be-b34583c58869"),)
    assert [alert.firing for alert in result.alerts] == [True]


ACKNOWLEDGED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"trigger": "USER_ACTION", "acknowledged": True, "owner": "ada"}, ("ada",)),
    ({"trigger": "USER_ACTION", "acknowledged": "true"}, ("",)),
    ({"trigger": "USER_ACTION", "acknowledged": False}, ()),
    ({"trigger": "USER_ACTION", "acknowledgedAt": 1713769949493}, ("",)),
    ({"trigger": "ISSUE_ACKNOWLEDGED"}, ("",)),
    ({"trigger": "INCIDENT_ADDED", "acknowledged": True}, ()),
    ({"trigger": "STATE_CHANGE"}, ()),
    ({"trigger": None}, ()),
    ({"trigger": "USER_ACTION", "state": "CLOSED", "acknowledged": True}, ()),
]


@pytest.mark.parametrize(("fields", "by"), ACKNOWLEDGED)
def test_an_acknowledgement_is_told_once_and_never_guessed_against_the_template(
    fields: dict[str, Any], by: tuple[str, ...]
) -> None:
    result = parsed({**RECORDED["issue-activated"], **fields})
    assert tuple(one.by for one in result.acknowledged) == by


def test_the_template_of_the_documentation_brings_tags_and_a_runbook() -> None:
    result = parsed(RECORDED["issue-with-template"])
    (alert,) = result.alerts
    assert (alert.service, alert.labels["team"], alert.labels["env"]) == ("chat", "storage", "prod")
    assert alert.annotations["runbook_url"] == "https://wiki.example.com/storage"
    assert [one.by for one in result.acknowledged] == ["ada@example.com"]


def test_an_incident_of_a_policy_opens_is_acknowledged_and_closes() -> None:
    opened, over = only(RECORDED["incident-open"]), only(RECORDED["incident-closed"])
    assert parsed(RECORDED["incident-acknowledged"]) == Parsed(acknowledged=(Acknowledged("1234", "Ada Example"),))
    assert (opened.firing, over.firing, opened.fingerprint, over.fingerprint) == (True, False, "1234", "1234")
    assert (over.labels["env"], over.labels["entity"], over.labels["severity"]) == ("prod", "web-1", "warning")


@pytest.mark.parametrize("name", ["issue-sample", "incident-test"])
def test_a_test_is_marked(name: str) -> None:
    assert only(RECORDED[name]).labels["tocsin_test"] == "true"


@pytest.mark.parametrize(
    ("state", "firing"),
    [
        ("CREATED", True),
        ("ACTIVATED", True),
        ("odd", True),
        (None, True),
        ("CLOSED", False),
        ("DEACTIVATED", False),
        ("closed", False),
    ],
)
def test_a_state_fires_unless_it_is_over(state: Any, firing: bool) -> None:
    assert only({**RECORDED["issue-activated"], "state": state}).firing is firing


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("CRITICAL", "critical"),
        ("HIGH", "error"),
        ("MEDIUM", "warning"),
        ("LOW", "info"),
        ("ODD", "odd"),
        (3, "3"),
        (None, None),
    ],
)
def test_the_priority_is_the_severity(priority: Any, severity: str | None) -> None:
    assert only({**RECORDED["issue-activated"], "priority": priority}).labels.get("severity") == severity


def test_nearly_everything_may_be_missing() -> None:
    alert = only({"id": 5, "issueUrl": "not a link"})
    assert (alert.fingerprint, alert.name, alert.url, alert.starts_at) == ("5", "New Relic issue", "", NOW)


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
