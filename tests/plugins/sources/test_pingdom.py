"""Pingdom's webhooks: uptime and transaction checks."""

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
from bot.plugins.sources import pingdom
from tests.support.payloads import bodies

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "pingdom").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return pingdom.parse(Incoming(raw), "pd", pingdom.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_a_check_that_is_down_fires() -> None:
    alert = only(RECORDED["http-down"])
    assert (alert.firing, alert.fingerprint, alert.name) == (True, "2048467", "Test check")
    assert alert.starts_at == datetime(2016, 3, 14, 7, 10, 34, tzinfo=UTC)
    assert alert.summary == "Test check is down: DNS error"
    assert alert.url == "https://my.pingdom.com/app/reports/uptime#check=2048467"
    assert "seen from Amsterdam 5, Netherlands, Calgary, Canada" in alert.annotations["description"]


def test_a_check_that_is_up_is_over() -> None:
    alert = only(RECORDED["imap-up"])
    assert (alert.firing, alert.ends_at) == (False, datetime(2016, 3, 15, 19, 33, tzinfo=UTC))


def test_a_transaction_fails_and_succeeds_as_one_problem() -> None:
    failing, success = only(RECORDED["transaction-failing"]), only(RECORDED["transaction-success"])
    assert (failing.firing, success.firing) == (True, False)
    assert failing.fingerprint == success.fingerprint == "5"
    assert (failing.labels["severity"], failing.labels["team"], failing.labels["tags"]) == (
        "critical",
        "shop",
        "checkout",
    )
    assert "#check=5" in failing.url and "transaction" in failing.url


STATES: list[tuple[Any, bool]] = [
    ("DOWN", True),
    ("UNCONFIRMED_DOWN", True),
    ("FAILING", True),
    ("UNKNOWN", True),
    (None, True),
    (7, True),
    ("UP", False),
    ("up", False),
    ("SUCCESS", False),
]


@pytest.mark.parametrize(("state", "firing"), STATES)
def test_a_state_fires_unless_all_is_well(state: Any, firing: bool) -> None:
    assert only({"check_id": 1, "current_state": state}).firing is firing


SEVERITIES: list[tuple[dict[str, Any], str | None]] = [
    ({"importance_level": "HIGH"}, "critical"),
    ({"importance_level": "LOW"}, "warning"),
    ({"importance_level": "ODD"}, "odd"),
    ({}, None),
    ({"importance_level": "HIGH", "tags": ["severity:error"]}, "error"),
]


@pytest.mark.parametrize(("fields", "severity"), SEVERITIES)
def test_the_importance_is_the_severity_unless_a_tag_says_another(fields: dict[str, Any], severity: str | None) -> None:
    assert only({"check_id": 1, "current_state": "DOWN", **fields}).labels.get("severity") == severity


def test_a_number_may_be_a_text_and_the_rest_may_be_missing() -> None:
    alert = only({"check_id": "2048467", "current_state": "DOWN"})
    assert (alert.fingerprint, alert.name, alert.starts_at) == ("2048467", "Pingdom check 2048467", NOW)


def test_a_check_of_the_number_zero_is_a_test() -> None:
    assert only({"check_id": 0, "check_name": "Example", "current_state": "DOWN"}).labels["tocsin_test"] == "true"


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
