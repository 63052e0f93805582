"""Grafana's unified alerting: recorded deliveries, and what it says beyond Alertmanager's shape."""

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
from bot.plugins.sources import grafana
from tests.support.other_peoples_json import anything, assert_sound, damaged

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "grafana").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return grafana.parse(Incoming(raw), "gf", grafana.Params(), NOW)


def only(**alert: Any) -> Alert:
    (read,) = parsed({"alerts": [alert]}).alerts
    return read


EXPECTED = {
    "unified-11": "!e6349a25f5ef0e9e",
    "test-8-resolved": ".57c6d9296de2ad39",
    "mixed-2": "!c6eadffa33fcdf37 .bc97ff14869b13e3",
    "no-data": "!c50ae7bba42b3626",
}


def test_every_recorded_delivery_is_expected() -> None:
    assert set(RECORDED) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_delivery_is_read(name: str) -> None:
    result = parsed(RECORDED[name])
    assert_sound(result, NOW)
    shown = [f"{'!' if alert.firing else '.'}{alert.fingerprint}" for alert in result.alerts]
    assert " ".join(shown) == EXPECTED[name]


def test_values_and_links_are_kept_as_annotations() -> None:
    (alert,) = parsed(RECORDED["unified-11"]).alerts
    recorded = RECORDED["unified-11"]["alerts"][0]
    assert alert.annotations == {
        "summary": "High memory usage",
        "values": "A=2473545728, B=0, C=1, minute=9",
        "dashboard": recorded["dashboardURL"],
        "panel": recorded["panelURL"],
        "silence": recorded["silenceURL"],
        "image": recorded["imageURL"],
    }
    assert alert.labels == recorded["labels"]
    assert alert.url == recorded["generatorURL"]


def test_an_annotation_of_the_rule_is_not_replaced() -> None:
    assert only(annotations={"values": "mine"}, values={"A": 1}).annotations["values"] == "mine"


@pytest.mark.parametrize(
    ("alert", "values"),
    [
        ({"values": {"B": 44.2, "C": 1}}, "B=44.2, C=1"),
        ({"values": None, "valueString": "[ value=10 ]"}, "[ value=10 ]"),
        ({"values": {}, "valueString": ""}, None),
        ({"values": [1]}, None),
    ],
)
def test_the_values_are_told(alert: dict[str, Any], values: str | None) -> None:
    assert only(**alert).annotations.get("values") == values


def test_the_test_buttons_alert_is_marked() -> None:
    (alert,) = parsed(RECORDED["test-8-resolved"]).alerts
    assert alert.labels["tocsin_test"] == "true"
    assert parsed(RECORDED["test-8-resolved"]).bad[0][1].startswith("alerts: the sender left out 1 more")
    assert "tocsin_test" not in only(labels={"alertname": "TestAlert"}).labels


def test_a_query_without_data_says_which_rule_it_is_of() -> None:
    (alert,) = parsed(RECORDED["no-data"]).alerts
    assert alert.labels["alertname"] == "DatasourceNoData"
    assert alert.summary == "viable/strict is broken: its query finds no data"
    error = only(labels={"alertname": "DatasourceError", "rulename": "r"}, annotations={"summary": "own"})
    assert error.summary == "own"


def test_trigger_and_resolve_are_of_one_problem_however_the_values_changed() -> None:
    labels = {"alertname": "A", "zone": "z"}
    fired = only(labels=labels, values={"A": 1}, status="firing")
    over = only(labels=labels, values=None, status="resolved")
    assert (fired.fingerprint, fired.firing, over.firing) == (over.fingerprint, True, False)


@pytest.mark.parametrize(
    ("labels", "name"),
    [({}, "Grafana alert"), ({"alertname": ""}, "Grafana alert"), ({"rulename": "r"}, "r"), (None, "Grafana alert")],
)
def test_an_alert_without_a_name_gets_one(labels: Any, name: str) -> None:
    assert only(labels=labels).labels["alertname"] == name


def test_a_severity_is_lower_case_and_numbers_are_texts() -> None:
    assert only(labels={"severity": " Critical ", "n": 5}).labels["severity"] == "critical"
    assert only(labels={"severity": 1, "n": 5}).labels["n"] == "5"
    assert only(labels={"severity": "sev9"}).labels["severity"] == "sev9"


def test_one_bad_alert_costs_only_itself() -> None:
    result = parsed({"alerts": [{"labels": {"alertname": "A"}}, 5, {"status": "odd"}]})
    assert [alert.name for alert in result.alerts] == ["A"]
    assert [index for index, _ in result.bad] == [1, 2]


REFUSED: list[tuple[Any, str]] = [
    ([], "body: found a list of 0; expected an object with `alerts`, as Grafana's"),
    ({}, "alerts: found nothing; expected a list of alerts. The body: found an empty object"),
    ({"alerts": {}}, "alerts: found an empty object; expected a list of alerts"),
    ({"ruleName": "r", "state": "alerting"}, "`type: grafana_legacy`"),
    ({"event": {"event_type": "x"}}, "`type: pagerduty`"),
]


@pytest.mark.parametrize(("body", "says"), REFUSED)
def test_what_is_no_delivery_is_refused_with_what_was_expected(body: Any, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(body)
    assert says in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(anything() | st.sampled_from(sorted(RECORDED)).flatmap(lambda name: damaged(RECORDED[name])))
def test_anything_is_read_or_refused(body: bytes) -> None:
    with suppress(BadInput):
        assert_sound(parsed(body), NOW)
