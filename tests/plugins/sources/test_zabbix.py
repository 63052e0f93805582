"""Zabbix: what the media type of the documentation sends."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import zabbix
from tests.support.payloads import bodies, documented

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "zabbix").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return zabbix.parse(Incoming(raw), "zx", zabbix.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_a_problem_fires() -> None:
    alert = only(RECORDED["problem"])
    assert (alert.firing, alert.fingerprint, alert.name) == (True, "4711", "Disk space is low on /var")
    assert (alert.labels["severity"], alert.labels["host"], alert.service) == ("error", "db-1", "orders")
    assert (alert.labels["env"], alert.labels["tags"]) == ("prod", "storage")
    assert (alert.summary, alert.starts_at.hour) == ("Disk space is low on /var on db-1", 7)


def test_its_recovery_ends_the_same_problem() -> None:
    fired, over = only(RECORDED["problem"]), only(RECORDED["recovery"])
    assert (over.firing, over.fingerprint, over.starts_at) == (False, fired.fingerprint, fired.starts_at)
    assert over.ends_at == datetime(2026, 11, 21, 7, 5, tzinfo=UTC)


def test_an_acknowledgement_is_one_and_no_alert() -> None:
    result = parsed(RECORDED["update-acknowledged"])
    assert result == Parsed(acknowledged=(Acknowledged("4711", "Ada Example (ada)"),))


@pytest.mark.parametrize("name", ["update-commented", "update-unacknowledged"])
def test_an_update_that_changes_no_problem_says_nothing(name: str) -> None:
    assert parsed(RECORDED[name]) == Parsed()


def test_an_update_without_words_is_judged_by_the_state_of_the_acknowledgement() -> None:
    body = {**RECORDED["problem"], "event_update_status": 1, "event_update_action": None}
    assert parsed({**body, "ack": "No"}) == Parsed()
    assert len(parsed({**body, "ack": "Yes"}).acknowledged) == 1


def test_another_severity_is_told_as_the_same_problem() -> None:
    alert = only(RECORDED["update-severity"])
    assert (alert.firing, alert.fingerprint, alert.labels["severity"]) == (True, "4711", "critical")


def test_the_test_of_the_media_type_sends_macros_and_is_marked() -> None:
    alert = only(RECORDED["media-type-test"])
    assert (alert.labels["tocsin_test"], alert.name, alert.url) == ("true", "Zabbix problem", "")


SEVERITIES: list[tuple[dict[str, Any], str | None]] = [
    ({"severity": "Disaster"}, "critical"),
    ({"severity": "High"}, "error"),
    ({"severity": "Average"}, "warning"),
    ({"severity": "Warning"}, "warning"),
    ({"severity": "Information"}, "info"),
    ({"severity": "Not classified"}, "not classified"),
    ({"severity": "Kritisch", "nseverity": 5}, "critical"),
    ({"severity": "Kritisch"}, "kritisch"),
    ({}, None),
]


@pytest.mark.parametrize(("fields", "severity"), SEVERITIES)
def test_a_severity_is_known_by_its_number_or_its_word(fields: dict[str, Any], severity: str | None) -> None:
    assert only({"event_id": 1, "event_value": 1, "name": "A", **fields}).labels.get("severity") == severity


TAGS: list[tuple[Any, dict[str, str]]] = [
    ("env:prod, team:web", {"env": "prod", "team": "web"}),
    ('[{"tag": "env", "value": "prod"}]', {"env": "prod"}),
    ([{"tag": "env", "value": "prod"}], {"env": "prod"}),
    ("[broken", {}),
    ("{EVENT.TAGSJSON}", {}),
    (None, {}),
]


@pytest.mark.parametrize(("tags", "labels"), TAGS)
def test_tags_are_labels_in_either_form(tags: Any, labels: dict[str, str]) -> None:
    read = only({"event_id": 1, "event_value": 1, "name": "A", "tags": tags}).labels
    assert {name: value for name, value in read.items() if name in ("env", "team")} == labels


@pytest.mark.parametrize(
    ("fields", "firing"),
    [
        ({"event_value": 1}, True),
        ({"event_value": 0}, False),
        ({"status": "OK"}, False),
        ({"status": "PROBLEM"}, True),
        ({}, True),
    ],
)
def test_the_value_of_the_event_says_whether_it_fires(fields: dict[str, Any], firing: bool) -> None:
    assert only({"event_id": 1, "name": "A", **fields}).firing is firing


def test_a_problem_may_be_the_trigger_instead_of_the_event() -> None:
    raw = Incoming(json.dumps(RECORDED["problem"]).encode())
    (alert,) = zabbix.parse(raw, "zx", zabbix.Params(identity="trigger"), NOW).alerts
    assert alert.fingerprint == "13926"


def test_the_media_type_of_the_documentation_sends_what_is_read() -> None:
    (media_type,) = yaml.safe_load(documented("zabbix", "yaml", "zabbix_export"))["zabbix_export"]["media_types"]
    parameters = {one["name"]: one["value"] for one in media_type["parameters"]}
    own = {name: value for name, value in parameters.items() if not name.startswith("tocsin_")}
    assert own == RECORDED["media-type-test"]
    assert {one["operation_mode"] for one in media_type["message_templates"]} == {"PROBLEM", "RECOVERY", "UPDATE"}


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
