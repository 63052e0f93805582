"""Grafana's legacy alerting: recorded notifications, and what is made of each state."""

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
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import grafana_legacy
from tests.support.other_peoples_json import anything, assert_sound, damaged

FOLDER = Path(__file__).parent / "grafana_legacy"
RECORDED = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return grafana_legacy.parse(Incoming(raw), "old", grafana_legacy.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


EXPECTED = {"alerting": "!1/1", "ok": ".1/1", "no-data": "!1/3", "test": "!e4c6ae0de3298847", "test-paused": ""}


def test_every_recorded_notification_is_expected() -> None:
    assert set(RECORDED) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_notification_is_read(name: str) -> None:
    result = parsed(RECORDED[name])
    assert_sound(result, NOW)
    shown = [f"{'!' if alert.firing else '.'}{alert.fingerprint}" for alert in result.alerts]
    assert " ".join(shown) == EXPECTED[name]


def test_a_notification_keeps_what_was_said() -> None:
    alert = only(RECORDED["alerting"])
    assert alert.labels == {"alertname": "Panel Title alert", "severity": "critical", "service": "checkout"}
    assert alert.annotations == {
        "summary": "[Alerting] Panel Title alert",
        "description": "Notification Message",
        "values": "Count: 1",
        "state": "alerting",
        "image": "https://grafana.com/assets/img/blog/mixed_styles.png",
    }
    assert alert.url == RECORDED["alerting"]["ruleUrl"]
    assert (alert.starts_at, alert.ends_at) == (NOW, None)


def test_alerting_and_ok_are_of_one_problem() -> None:
    fired, over = only(RECORDED["alerting"]), only(RECORDED["ok"])
    assert fired.fingerprint == over.fingerprint
    assert (over.firing, over.ends_at) == (False, NOW)


def test_two_rules_of_one_name_are_two_problems_and_so_are_two_organisations() -> None:
    one = RECORDED["alerting"]
    found = {only({**one, **other}).fingerprint for other in ({}, {"ruleId": 2}, {"orgId": 2})}
    assert len(found) == 3


STATES: list[tuple[Any, bool | None]] = [
    ("alerting", True),
    ("no_data", True),
    ("something new", True),
    (None, True),
    (5, True),
    ("ok", False),
    ("OK", False),
    ("paused", None),
    ("pending", None),
]


@pytest.mark.parametrize(("state", "firing"), STATES)
def test_the_state_says_whether_it_fires(state: Any, firing: bool | None) -> None:
    alerts = parsed({"ruleId": 7, "ruleName": "r", "state": state}).alerts
    assert [alert.firing for alert in alerts] == ([] if firing is None else [firing])


def test_the_test_notification_is_marked() -> None:
    assert only(RECORDED["test"]).labels["tocsin_test"] == "true"
    assert "tocsin_test" not in only(RECORDED["alerting"]).labels
    again = {**RECORDED["test"], "state": "ok", "title": "[OK] Test notification"}
    assert only(again).fingerprint == only(RECORDED["test"]).fingerprint


def test_a_rule_without_an_id_is_known_by_its_name_whatever_the_state_in_the_title() -> None:
    fired = only({"title": "[Alerting] Disk full", "state": "alerting"})
    over = only({"title": "[OK] Disk full", "state": "ok"})
    assert fired.fingerprint == over.fingerprint
    assert fired.labels["alertname"] == "Disk full"


def test_numbers_for_texts_and_odd_members_are_no_obstacle() -> None:
    alert = only({"ruleName": 5, "ruleId": "9", "tags": ["env:prod"], "evalMatches": [None, {"value": None}], "x": 1})
    assert (alert.labels["alertname"], alert.labels["env"], alert.fingerprint) == ("5", "prod", "1/9")
    assert alert.annotations["values"] == "value: none"
    assert only({"ruleName": "r", "state": "no_data", "tags": {"severity": "sev9"}}).labels["severity"] == "sev9"


REFUSED: list[tuple[Any, str]] = [
    (None, "body: found nothing; expected an object with ruleName and state"),
    ({}, "body: found an empty object; expected an object with ruleName and state"),
    ({"title": "x"}, "body: found an object with title; expected an object with ruleName"),
    ({"alerts": [], "orgId": 1}, "use a source with `type: grafana`"),
    ({"event_action": "trigger"}, "`type: pagerduty_events`"),
]


@pytest.mark.parametrize(("body", "says"), REFUSED)
def test_what_is_no_notification_is_refused_with_what_was_expected(body: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(body)
    assert says in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(anything() | st.sampled_from(sorted(RECORDED)).flatmap(lambda name: damaged(RECORDED[name])))
def test_anything_is_read_or_refused(body: bytes) -> None:
    with suppress(BadInput):
        assert_sound(parsed(body), NOW)
