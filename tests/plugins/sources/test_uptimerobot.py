"""UptimeRobot's web-hooks: a query, a form or JSON."""

from __future__ import annotations

import json
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
from bot.plugins.sources import uptimerobot
from tests.support.payloads import bodies, documented

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "uptimerobot").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return uptimerobot.parse(Incoming(raw), "ur", uptimerobot.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def test_a_monitor_that_is_down_fires() -> None:
    alert = only(RECORDED["down"])
    assert (alert.firing, alert.fingerprint, alert.name) == (True, "784561230", "Shop")
    assert alert.starts_at == datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
    assert (alert.summary, alert.labels["monitor_url"]) == (
        "Shop is down: HTTP 503 - Service Unavailable",
        "https://shop.example.com",
    )


def test_up_ends_it_and_its_duration_says_when_it_began() -> None:
    fired, over = only(RECORDED["down"]), only(RECORDED["up"])
    assert over.fingerprint == fired.fingerprint
    assert (over.firing, over.starts_at, over.ends_at) == (
        False,
        fired.starts_at,
        datetime(2026, 11, 21, 7, 5, tzinfo=UTC),
    )


def test_the_same_as_a_query_of_a_get_a_form_and_json_is_the_same_alert() -> None:
    fields = {name: str(value) for name, value in RECORDED["down"].items()}
    by_get = uptimerobot.parse(Incoming(b"", query=fields, method="GET"), "ur", uptimerobot.Params(), NOW)
    by_post = uptimerobot.parse(Incoming(b"", query=fields), "ur", uptimerobot.Params(), NOW)
    form = parsed(urlencode(fields).encode())
    assert by_get == by_post == form == parsed(RECORDED["down"])


def test_what_the_body_says_counts_more_than_the_query() -> None:
    incoming = Incoming(json.dumps(RECORDED["up"]).encode(), query={"alertType": "1", "monitorID": "5"})
    (alert,) = uptimerobot.parse(incoming, "ur", uptimerobot.Params(), NOW).alerts
    assert (alert.firing, alert.fingerprint) == (False, "784561230")


def test_a_certificate_that_runs_out_is_a_problem_of_its_own() -> None:
    alert = only(RECORDED["ssl-expiry"])
    assert (alert.firing, alert.fingerprint, alert.labels["severity"]) == (True, "784561230/ssl", "warning")
    assert alert.summary == "the certificate of Shop runs out in 7 days (2026-11-28 00:00:00)"


def test_a_domain_that_runs_out_is_another_and_no_up_ends_it() -> None:
    body = {**RECORDED["ssl-expiry"], "alertType": "4", "alertTypeFriendlyName": "Domain expiry", "sslExpiryDate": None}
    alert = only(body)
    assert (alert.fingerprint, alert.labels["problem"]) == ("784561230/domain", "domain")
    assert alert.summary == "the domain of Shop runs out in 7 days"


def test_a_template_with_other_spellings_is_read_and_a_variable_without_a_value_says_nothing() -> None:
    down, up = only(RECORDED["monitor-down-snake-case"]), only(RECORDED["monitor-up-snake-case"])
    assert (down.name, down.firing, up.name, up.firing) == ("Web Server", True, "Mail Server", False)
    body = {**RECORDED["monitor-down-snake-case"], "alert_type": "2"}
    assert only(body).fingerprint == down.fingerprint


KINDS: list[tuple[dict[str, Any], bool]] = [
    ({"alertType": 1}, True),
    ({"alertType": "2"}, False),
    ({"alertType": 2}, False),
    ({"alertType": 3}, True),
    ({"alertType": 98}, True),
    ({"alertTypeFriendlyName": "Up"}, False),
    ({"status": "up"}, False),
    ({"status": "down"}, True),
    ({}, True),
]


@pytest.mark.parametrize(("fields", "firing"), KINDS)
def test_all_but_an_up_fires(fields: dict[str, Any], firing: bool) -> None:
    assert only({"monitorID": 1, "monitorFriendlyName": "A", **fields}).firing is firing


@pytest.mark.parametrize("duration", ["*alertDuration*", "", "-5", "9" * 30, "soon", None, "99999999999"])
def test_a_duration_that_is_none_is_left_out(duration: Any) -> None:
    alert = only({**RECORDED["up"], "alertDuration": duration})
    assert alert.starts_at == alert.ends_at


def test_a_test_is_marked() -> None:
    body = {"monitorID": "0", "monitorFriendlyName": "Test", "alertTypeFriendlyName": "Test"}
    assert only(body).labels["tocsin_test"] == "true"


def test_it_may_come_by_get() -> None:
    assert uptimerobot.METHODS == ("GET", "POST")
    with pytest.raises(BadInput, match="expected monitorID"):
        uptimerobot.parse(Incoming(b"", query={}, method="GET"), "ur", uptimerobot.Params(), NOW)
    with pytest.raises(BadInput, match="expected monitorID"):
        uptimerobot.parse(Incoming(b"", query={"a": "b"}, method="GET"), "ur", uptimerobot.Params(), NOW)


@pytest.mark.parametrize("value", ["\x00", "\ud800", "y" * 20_000])
def test_odd_characters_of_a_query_never_come_through(value: str) -> None:
    (alert,) = uptimerobot.parse(
        Incoming(b"", query={"monitorFriendlyName": f"A{value}"}), "ur", uptimerobot.Params(), NOW
    ).alerts
    assert "\x00" not in alert.name and "\ud800" not in alert.name and len(alert.name) <= 500


def test_the_template_of_the_documentation_is_the_one_that_is_read() -> None:
    template = json.loads(documented("uptimerobot", "json", "*monitorID*"))
    assert set(template) == set(RECORDED["ssl-expiry"]) - {"monitorAlertContacts"}
    assert all(value == f"*{name}*" for name, value in template.items())


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
