"""Opsgenie's alert API that Tocsin answers: what senders of it call, and the answers that they wait for."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import opsgenie
from tests.support.other_peoples_json import anything, assert_sound, damaged

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "opsgenie").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def asked(method: str, path: str, body: Any = None, **query: str) -> Parsed:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    incoming = Incoming(raw, path=path, query=query, method=method)
    return opsgenie.parse(incoming, "og", opsgenie.Params(), NOW)


def created(body: Any) -> Alert:
    (alert,) = asked("POST", "v2/alerts", body).alerts
    return alert


def told(result: Parsed) -> str:
    assert result.reply is not None
    return str(result.reply["requestId"])


# ------------------------------------------------------------------------------------------------ create


def test_a_created_alert_keeps_what_was_said_about_it() -> None:
    alert = created(RECORDED["create"])
    assert alert.firing
    assert alert.labels == {
        "alertname": "An example alert message",
        "severity": "critical",
        "priority": "P1",
        "entity": "An example entity",
        "team": "4513b7ea-3b91-438f-b7e4-e3e54af9147c",
        "tags": "OverwriteQuietHours,Critical",
        "key1": "value1",
        "key2": "value2",
    }
    assert alert.annotations == {
        "summary": "An example alert message",
        "description": "Every alert needs a description",
        "alias": "Life is too short for no alias",
    }
    assert alert.starts_at == NOW


def test_the_labels_that_alertmanager_puts_into_the_details_are_labels_again() -> None:
    alert = created(RECORDED["alertmanager-create"])
    assert alert.labels == {
        "alertname": "HighErrorRate",
        "service": "checkout",
        "severity": "critical",
        "namespace": "shop",
        "source": "http://alertmanager:9093/#/alerts?receiver=opsgenie",
    }


def test_the_labels_that_grafana_puts_into_the_tags_are_labels_again_and_its_link_is_one() -> None:
    alert = created(RECORDED["grafana-create"])
    assert (alert.labels["alertname"], alert.labels["service"]) == ("High memory", "checkout")
    assert alert.labels["severity"] == "warning"
    assert alert.url == "https://grafana.example.com/alerting/list"


def test_the_count_in_front_of_a_message_is_not_part_of_the_name() -> None:
    assert created({"message": "[FIRING:3] Disk full"}).labels["alertname"] == "Disk full"


PRIORITIES = [("P1", "critical"), ("P2", "error"), ("p3", "warning"), ("P4", "info"), ("P5", "info")]
PRIORITIES += [
    (1, "critical"),
    ("2", "error"),
    ("Urgent", "urgent"),
    (None, "warning"),
    ("", "warning"),
    ([], "warning"),
]  # type: ignore[list-item]


@pytest.mark.parametrize(("priority", "severity"), PRIORITIES)
def test_the_priority_is_the_severity(priority: Any, severity: str) -> None:
    assert created({"message": "m", "priority": priority}).labels["severity"] == severity


def test_details_that_are_too_much_for_a_label_are_annotations() -> None:
    alert = created({"message": "m", "details": {"trace": "a\nb", "long": "x" * 501, "n": 5, "none": None}})
    assert alert.annotations["trace"] == "a\nb"
    assert len(alert.annotations["long"]) == 501
    assert alert.labels["n"] == "5"
    assert "trace" not in alert.labels


@pytest.mark.parametrize("details", [None, [], {}, "text", 5, ["a"]])
def test_details_of_another_type_are_no_obstacle(details: Any) -> None:
    assert created({"message": "m", "details": details, "tags": details, "responders": details}).labels["alertname"]


def test_numbers_for_texts_and_missing_members_are_no_obstacle() -> None:
    alert = created({"message": 42, "alias": 7, "tags": [1, None, "env:prod"], "responders": [None, {"type": "team"}]})
    assert (alert.labels["alertname"], alert.labels["env"]) == ("42", "prod")
    assert created({"alias": "only-an-alias"}).labels["alertname"] == "only-an-alias"


# ------------------------------------------------------------------------------------------------ which problem


def test_close_by_alias_by_id_and_delete_find_the_problem_of_the_create() -> None:
    result = asked("POST", "v2/alerts", {"message": "m", "alias": "disk/db 1"})
    alert_id = told(result)
    assert result.alerts[0].fingerprint == alert_id
    for parsed in (
        asked("POST", "v2/alerts/disk/db 1/close", RECORDED["close"], identifierType="alias"),
        asked("POST", f"v2/alerts/{alert_id}/close", None, identifierType="id"),
        asked("POST", f"v2/alerts/{alert_id.upper()}/close"),
        asked("POST", "v2/alerts/disk/db 1/close"),
        asked("DELETE", f"v2/alerts/{alert_id}"),
        asked("DELETE", "v2/alerts/disk/db 1", identifierType="alias"),
    ):
        (over,) = parsed.alerts
        assert (over.fingerprint, over.firing, over.ends_at) == (alert_id, False, NOW)
        assert_sound(parsed, NOW)


def test_the_id_of_an_alias_never_changes() -> None:
    assert created({"message": "m", "alias": "a"}).fingerprint == "1631b786-0e4f-5782-8f96-bfa0a5eacbce"


def test_an_alias_that_looks_like_an_id_is_an_alias_when_it_is_called_one() -> None:
    alias = "052652ac-5d1c-464a-812a-7dd18bbfba8c"
    fingerprint = created({"message": "m", "alias": alias}).fingerprint
    (over,) = asked("POST", f"v2/alerts/{alias}/close", None, identifierType="alias").alerts
    assert over.fingerprint == fingerprint != alias


@pytest.mark.parametrize("alias", ["http://x//y", "a/close", "tags", "ü 😀", "x" * 5_000, "requests", " padded "])
def test_odd_aliases_are_closed_as_well(alias: str) -> None:
    fingerprint = created({"message": "m", "alias": alias}).fingerprint
    (over,) = asked("POST", f"v2/alerts/{alias}/close", None, identifierType="alias").alerts
    assert over.fingerprint == fingerprint


def test_an_alert_without_an_alias_is_the_same_problem_when_it_comes_again() -> None:
    one = asked("POST", "v2/alerts", {"message": "m", "entity": "e", "priority": "P1"})
    again = asked("POST", "v2/alerts", {"message": "m", "entity": "e", "priority": "P2", "alias": ""})
    other = asked("POST", "v2/alerts", {"message": "m", "entity": "f"})
    assert told(one) == told(again) != told(other)
    (over,) = asked("POST", f"v2/alerts/{told(one)}/close").alerts
    assert over.fingerprint == one.alerts[0].fingerprint


# ------------------------------------------------------------------------------------------------ the other requests


def test_an_acknowledgement_says_who() -> None:
    fingerprint = created({"message": "m", "alias": "a"}).fingerprint
    result = asked("POST", "v2/alerts/a/acknowledge", {"user": "ann", "source": "cli"}, identifierType="alias")
    assert result.acknowledged == (Acknowledged(fingerprint, "ann"),)
    assert result.alerts == ()
    assert asked("POST", "v2/alerts/a/acknowledge").acknowledged == (Acknowledged(fingerprint),)


QUIET = [
    ("POST", "unacknowledge"),
    ("POST", "snooze"),
    ("POST", "escalate"),
    ("POST", "assign"),
    ("POST", "notes"),
    ("POST", "responders"),
    ("POST", "tags"),
    ("DELETE", "tags"),
    ("DELETE", "details"),
    ("POST", "actions/restart"),
    ("PUT", "message"),
    ("PUT", "description"),
    ("PUT", "priority"),
    ("POST", "attachments"),
    ("DELETE", "attachments/12"),
]


@pytest.mark.parametrize(("method", "action"), QUIET)
def test_what_changes_nothing_is_answered_and_its_body_is_not_read(method: str, action: str) -> None:
    result = asked(method, f"v2/alerts/a/{action}", b"--multipart", identifierType="alias")
    assert (result.alerts, result.acknowledged, result.status) == ((), (), 202)
    assert told(result) == created({"message": "m", "alias": "a"}).fingerprint


def test_the_answer_is_the_one_that_opsgenie_gives() -> None:
    result = asked("POST", "v2/alerts", {"message": "m", "alias": "a"})
    assert result.status == 202
    assert dict(result.reply or {}) == {
        "result": "Request will be processed",
        "took": 0.001,
        "requestId": "1631b786-0e4f-5782-8f96-bfa0a5eacbce",
    }


def test_the_status_of_a_request_tells_the_alerts_id() -> None:
    request = told(asked("POST", "v2/alerts", {"message": "m"}))
    result = asked("GET", f"v2/alerts/requests/{request}")
    assert result.status == 200
    assert result.reply is not None
    assert result.reply["data"] == {
        "success": True,
        "isSuccess": True,
        "action": "Create",
        "status": "Processed",
        "integrationId": "",
        "processedAt": "2026-11-21T12:00:00Z",
        "alertId": request,
    }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH"])
def test_a_heartbeat_is_answered_and_not_used(method: str) -> None:
    result = asked(method, "v2/heartbeats/nightly/ping")
    assert (result.alerts, result.status) == ((), 202)
    assert result.reply is not None
    assert result.reply["result"] == "PONG - Heartbeat received"


@pytest.mark.parametrize("path", ["v2/alerts", "v2/alerts/", "", "v2", "alerts", "jsm/ops/integration/v2/alerts"])
def test_every_address_that_senders_may_be_given_is_known(path: str) -> None:
    assert asked("POST", path, {"message": "m"}).alerts[0].firing


REFUSED: list[tuple[str, str, Any, str]] = [
    ("POST", "v2/alerts", [], "body: found a list of 0; expected an object with message and alias"),
    ("POST", "v2/alerts", {}, "message: found nothing; expected a text"),
    ("POST", "v2/alerts", {"action": "Create", "alert": {"alertId": "x"}}, "`type: opsgenie_webhook`"),
    ("POST", "v2/alerts", {"alerts": [], "receiver": "x"}, "`type: alertmanager`"),
    (
        "POST",
        "v2/alerts/a/frobnicate",
        {},
        'path: found "a/frobnicate"; expected v2/alerts, or v2/alerts/<identifier>/',
    ),
    ("POST", "v2/alerts/a/close", b"{", "body: line 1, column 2"),
    ("GET", "v2/alerts", None, 'GET: found "v2/alerts"; expected v2/alerts/requests/<requestId>'),
    ("GET", "v2/alerts/a", None, "alerts cannot be read here"),
    ("GET", "v2/alerts/requests/nonsense", None, "expected v2/alerts/requests/<requestId>"),
]


@pytest.mark.parametrize(("method", "path", "body", "says"), REFUSED)
def test_what_is_not_offered_is_refused_with_what_is(method: str, path: str, body: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        asked(method, path, body)
    assert says in str(refused.value)


def test_a_tiny_id_is_refused() -> None:
    with pytest.raises(BadInput, match=r'identifierType: found "tiny" \(23\); expected id or alias'):
        asked("POST", "v2/alerts/23/close", None, identifierType="tiny")


PATHS = [
    "v2/alerts",
    "v2/alerts/a/close",
    "v2/alerts/a/acknowledge",
    "v2/alerts/requests/x",
    "v2/heartbeats/x/ping",
    "//",
]


@settings(max_examples=60, deadline=None)
@given(
    anything() | st.sampled_from(sorted(RECORDED)).flatmap(lambda name: damaged(RECORDED[name])),
    st.sampled_from(PATHS) | st.text(max_size=30),
    st.sampled_from(opsgenie.METHODS),
)
def test_anything_is_read_or_refused(body: bytes, path: str, method: str) -> None:
    with suppress(BadInput):
        assert_sound(asked(method, path, body), NOW)
