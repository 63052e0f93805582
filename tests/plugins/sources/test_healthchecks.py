"""Healthchecks.io: the body of the documentation, and the same as parameters of a GET."""

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
from bot.plugins.sources import healthchecks
from tests.support.payloads import bodies, documented

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "healthchecks").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return healthchecks.parse(Incoming(raw), "hc", healthchecks.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_a_check_that_is_down_fires() -> None:
    alert = only(RECORDED["down"])
    assert (alert.firing, alert.fingerprint, alert.name) == (
        True,
        "31365bce-8da9-4729-8ff3-aaa71d56b712",
        "Database backup",
    )
    assert alert.starts_at == datetime(2026, 11, 21, 3, 0, 12, tzinfo=UTC)
    assert (alert.labels["team"], alert.labels["tags"], alert.labels["slug"]) == ("data", "prod", "database-backup")
    assert alert.annotations["description"] == "pg_dump to the bucket"
    assert alert.url == "https://healthchecks.io/checks/31365bce-8da9-4729-8ff3-aaa71d56b712/details/"


def test_up_ends_the_same_problem() -> None:
    fired, over = only(RECORDED["down"]), only(RECORDED["up"])
    assert (over.firing, over.fingerprint, over.ends_at) == (
        False,
        fired.fingerprint,
        datetime(2026, 11, 21, 5, 10, tzinfo=UTC),
    )


def test_the_address_that_is_pinged_is_nowhere_in_the_alert() -> None:
    assert "hc-ping.com" not in str(only(RECORDED["down"]))


def test_a_get_with_parameters_is_the_same_problem() -> None:
    query = {name: RECORDED["down"][name] for name in ("code", "name", "status", "now", "tags")}
    (alert,) = healthchecks.parse(Incoming(b"", query=query, method="GET"), "hc", healthchecks.Params(), NOW).alerts
    posted = only(RECORDED["down"])
    assert (alert.key, alert.starts_at, alert.labels["team"]) == (posted.key, posted.starts_at, "data")


def test_the_check_alone_is_enough() -> None:
    alert = only(RECORDED["down"]["check"])
    assert (alert.fingerprint, alert.name, alert.firing) == (
        "31365bce-8da9-4729-8ff3-aaa71d56b712",
        "Database backup",
        True,
    )


def test_the_test_of_the_integration_is_marked() -> None:
    assert only(RECORDED["test"]).labels["tocsin_test"] == "true"


@pytest.mark.parametrize(("status", "firing"), [("up", False), ("UP", False), ("down", True), ("odd", True), (0, True)])
def test_all_but_up_fires(status: Any, firing: bool) -> None:
    assert only({"code": 5, "status": status}).firing is firing


@pytest.mark.parametrize("body", [{"code": "x"}, {"status": "down"}, {"name": "", "status": "down"}])
def test_a_check_without_a_name_or_a_status_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="expected code, name and status"):
        parsed(body)


def test_links_lead_to_a_healthchecks_of_ones_own() -> None:
    params = healthchecks.Params(site="https://hc.example.com/")
    (alert,) = healthchecks.parse(Incoming(b'{"code": "x", "status": "down"}'), "hc", params, NOW).alerts
    assert alert.url == "https://hc.example.com/checks/x/details/"


def test_it_may_come_by_get() -> None:
    assert healthchecks.METHODS == ("POST", "GET")


def test_the_body_of_the_documentation_is_the_one_that_is_read() -> None:
    recorded = RECORDED["down"]
    body = documented("healthchecks", "", "$NAME_JSON").strip()
    for name, value in {"$NAME_JSON": json.dumps(recorded["name"]), "$JSON": json.dumps(recorded["check"])}.items():
        body = body.replace(name, value)
    for name in ("code", "status", "now", "tags"):
        body = body.replace(f"${name.upper()}", recorded[name])
    assert parsed(body.encode()) == parsed(recorded)


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
