"""Datadog's webhooks: the recommended template, other spellings of it, and the body that is sent without one."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import datadog
from tests.support.payloads import bodies, documented

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "datadog").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return datadog.parse(Incoming(raw), "dd", datadog.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_a_monitor_that_triggers_fires_with_its_tags_as_labels() -> None:
    alert = only(RECORDED["triggered"])
    assert alert.firing
    assert (alert.name, alert.service, alert.labels["severity"]) == ("High error rate on checkout", "checkout", "error")
    assert (alert.labels["team"], alert.labels["tags"], alert.labels["monitor_id"]) == (
        "payments",
        "monitor,urgent",
        "148275309",
    )
    assert alert.starts_at == datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
    assert alert.url == "https://app.datadoghq.com/monitors/148275309?group=env%3Aprod"
    assert alert.annotations["description"] == "Errors are above 5 %. @webhook-tocsin"


def test_its_recovery_is_of_the_same_problem_whatever_the_order_of_the_scope() -> None:
    fired, recovered = only(RECORDED["triggered"]), only(RECORDED["recovered"])
    assert fired.fingerprint == recovered.fingerprint == "148275309/env:prod,service:checkout"
    assert (recovered.firing, recovered.ends_at) == (False, datetime(2026, 11, 21, 7, 10, tzinfo=UTC))


TRANSITIONS: list[tuple[Any, bool]] = [
    ("Triggered", True),
    ("Re-Triggered", True),
    ("Warn", True),
    ("Re-Warn", True),
    ("No Data", True),
    ("Re-No Data", True),
    ("Renotify", True),
    ("Something new", True),
    ("null", True),
    ("$ALERT_TRANSITION", True),
    (None, True),
    ("Recovered", False),
    ("recovered", False),
    ("Warn Recovered", False),
    ("No Data Recovered", False),
]


@pytest.mark.parametrize(("transition", "firing"), TRANSITIONS)
def test_a_transition_fires_unless_it_says_that_it_is_over(transition: Any, firing: bool) -> None:
    assert only({"alert_id": 1, "alert_transition": transition, "alert_title": "A"}).firing is firing


PRIORITIES: list[tuple[dict[str, Any], str | None]] = [
    ({"alert_priority": "P1"}, "critical"),
    ({"alert_priority": "P2"}, "error"),
    ({"alert_priority": "p3"}, "warning"),
    ({"alert_priority": "P4"}, "info"),
    ({"alert_priority": "P5"}, "info"),
    ({"alert_priority": "$ALERT_PRIORITY", "alert_type": "error"}, "error"),
    ({"alert_priority": "", "alert_type": "success"}, None),
    ({"alert_transition": "Warn", "alert_type": "error"}, "warning"),
    ({"alert_priority": "P9", "tags": "severity:critical"}, "critical"),
    ({"priority": "normal"}, None),
]


@pytest.mark.parametrize(("fields", "severity"), PRIORITIES)
def test_the_priority_of_a_monitor_is_its_severity(fields: dict[str, Any], severity: str | None) -> None:
    assert only({"alert_id": 1, **fields}).labels.get("severity") == severity


IDENTITIES: list[tuple[dict[str, Any], str]] = [
    ({"alert_id": 7, "alert_scope": "b:2, a:1", "aggreg_key": "x"}, "7/a:1,b:2"),
    ({"alert_id": 7, "aggreg_key": "x", "alert_cycle_key": "y"}, "x"),
    ({"alert_id": 7, "alert_cycle_key": 7716548234055550000}, "7716548234055550000"),
    ({"alertId": "7", "alertCycleKey": "$ALERT_CYCLE_KEY"}, "7"),
    ({"metadata": {"ALERT_ID": "7", "ALERT_SCOPE": "a:1"}, "title": "A"}, "7/a:1"),
    ({"title": "[Triggered on {host:a}] Disk", "body": "(https://app.datadoghq.eu/monitors#9?group=x)"}, "9/host:a"),
    ({"title": "[Recovered on {host:a}] Disk", "body": "(https://app.datadoghq.eu/monitors#9?group=x)"}, "9/host:a"),
]


@pytest.mark.parametrize(("fields", "fingerprint"), IDENTITIES)
def test_a_problem_is_a_monitor_and_its_group(fields: dict[str, Any], fingerprint: str) -> None:
    assert only(fields).fingerprint == fingerprint


def test_without_any_identity_the_name_is_one() -> None:
    fired, over = only({"title": "[Triggered] Disk"}), only({"title": "[Recovered] Disk"})
    assert (fired.fingerprint, fired.name, over.firing) == (over.fingerprint, "Disk", False)


def test_a_bracket_that_is_no_transition_is_part_of_the_name() -> None:
    assert only({"title": "[Auto] Clock in sync with NTP"}).name == "[Auto] Clock in sync with NTP"


def test_the_body_without_a_template_is_read_and_a_test_is_marked() -> None:
    alert = only(RECORDED["event-fired-default"])
    assert (alert.name, alert.labels["tocsin_test"], alert.labels["monitor_id"]) == (
        "Host Cluster Alert",
        "true",
        "18692904",
    )
    assert alert.url == "https://app.datadoghq.com/monitors#18692904"


def test_a_test_never_ends_the_real_problem() -> None:
    real = RECORDED["triggered"]
    test = only({**real, "title": "[Recovered] [TEST] High error rate on checkout", "alert_transition": "Recovered"})
    assert test.labels["tocsin_test"] == "true"
    assert test.fingerprint != only(real).fingerprint


def test_names_may_be_spelt_otherwise() -> None:
    alert = only(RECORDED["camel-case"])
    assert (alert.name, alert.labels["severity"], alert.summary) == ("Queue grows", "warning", "queue.length was > 10")


def test_a_time_in_the_future_is_now() -> None:
    assert only({"alert_id": 1, "date": "1895244400000"}).starts_at == NOW


def test_the_template_of_the_documentation_and_of_the_docstring_is_the_one_that_is_read() -> None:
    template = json.loads(documented("datadog", "json", "$ALERT_ID"))
    assert set(template) == set(RECORDED["triggered"])
    assert all(f'"{name}": ' in (datadog.__doc__ or "") for name in template)


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


def test_a_payload_that_is_encoded_as_a_form_is_read_as_well() -> None:
    form = urlencode({name: value for name, value in RECORDED["triggered"].items() if isinstance(value, str)})
    assert only(form.encode()).fingerprint == only(RECORDED["triggered"]).fingerprint


def test_a_body_of_very_many_objects_is_read_in_linear_time() -> None:
    body = json.dumps({"title": "x", **{f"k{number}": {f"q{number}": 1} for number in range(15_000)}}).encode()
    began = time.process_time()
    assert only(body).name == "x"
    assert time.process_time() - began < 1.5  # with the square of them it is several times that


def test_of_inner_members_with_one_name_the_first_counts_and_the_outer_ones_most() -> None:
    alert = only({"a": {"alert_id": 1, "host": "inner"}, "b": {"alert_id": 2}, "host": "outer", "title": "x"})
    assert (alert.labels["monitor_id"], alert.labels["host"]) == ("1", "outer")
