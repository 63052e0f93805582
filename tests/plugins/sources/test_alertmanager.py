"""Alertmanager's webhook: recorded deliveries as they are, and what breaks them."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload
from bot.plugins.sources import alertmanager

RECORDED = Path(__file__).parent / "alertmanager"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EARLIER = "2026-11-21T11:00:00Z"
LATER = "2026-11-21T13:00:00Z"


def parsed(body: bytes | dict[str, Any]) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return alertmanager.parse(Incoming(raw), "am", alertmanager.Params(), NOW)


def only(alert: dict[str, Any], **group: Any) -> Alert:
    result = parsed({"version": "4", "alerts": [alert], **group})
    assert result.bad == ()
    (read,) = result.alerts
    return read


# ------------------------------------------------------------------------------------------------ recorded deliveries

EXPECTED = {
    "firing-1": "!search",
    "firing-3": "!cart !checkout !payments",
    "firing-4": "!cart !checkout !payments !search",
    "mixed-4": ".cart !checkout !payments !search",
    "resolved-2": ".checkout .search",
    "resolved-orphan": ".cart",
    "grafana-unified-11": "!",
}


def test_every_recorded_delivery_is_expected() -> None:
    assert {file.stem for file in RECORDED.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_delivery_is_read_whole(name: str) -> None:
    result = parsed((RECORDED / f"{name}.json").read_bytes())
    assert result.bad == ()
    shown = " ".join(f"{'!' if alert.firing else '.'}{alert.labels.get('service', '')}" for alert in result.alerts)
    assert shown == EXPECTED[name]


def test_a_recorded_alert_keeps_everything_that_was_said_about_it() -> None:
    resolved, firing, *_ = parsed((RECORDED / "mixed-4.json").read_bytes()).alerts
    assert resolved.fingerprint == "633bcd6923d48a20"
    assert resolved.key == "am/633bcd6923d48a20"
    assert resolved.starts_at == datetime(2026, 11, 21, 7, 0, 0, 129000, tzinfo=UTC)
    assert resolved.ends_at == datetime(2026, 11, 21, 7, 0, 27, 129000, tzinfo=UTC)
    assert (resolved.name, resolved.service) == ("HighErrorRate", "cart")
    assert resolved.summary == "error ratio 30% on shop/cart"
    assert resolved.url.startswith("http://localhost:19090/graph?g0.expr=demo_error_ratio+%3E+0.05&g0")
    assert firing.ends_at is None


# ------------------------------------------------------------------------------------------------ firing or resolved

STATUSES: list[tuple[str, dict[str, Any], str, bool]] = [
    ("its own", {"status": "firing"}, "resolved", True),
    ("its own", {"status": "resolved"}, "firing", False),
    ("in capitals", {"status": "RESOLVED"}, "", False),
    ("missing, it has ended", {"endsAt": EARLIER}, "firing", False),
    ("missing, it has not ended yet", {"endsAt": LATER}, "resolved", True),
    ("missing, the group is resolved", {}, "resolved", False),
    ("missing, the group fires", {}, "firing", True),
    ("missing, no end, Go's zero time", {"endsAt": "0001-01-01T00:00:00Z"}, "", True),
    ("null everywhere", {"status": None}, "", True),
]


@pytest.mark.parametrize(("why", "alert", "group", "firing"), STATUSES)
def test_whether_it_fires_is_said_by_its_status_then_its_end_then_its_group(
    why: str, alert: dict[str, Any], group: str, firing: bool
) -> None:
    assert only(alert, status=group).firing is firing


# ------------------------------------------------------------------------------------------------ times

TIMES: list[tuple[str, Any, datetime]] = [
    ("with nanoseconds", "2026-11-21T07:00:00.123456789Z", datetime(2026, 11, 21, 7, 0, 0, 123456, tzinfo=UTC)),
    ("with an offset", "2026-11-21T12:30:00+05:30", datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("without a zone", "2026-11-21T07:00:00", datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("with a blank", "2026-11-21 07:00:00Z", datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("epoch in seconds", 1795244400, datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("epoch with a fraction", 1795244400.5, datetime(2026, 11, 21, 7, 0, 0, 500000, tzinfo=UTC)),
    ("epoch in milliseconds", 1795244400000, datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("epoch in microseconds", 1795244400000000, datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("epoch in nanoseconds", 1795244400000000000, datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("epoch as text", "1795244400", datetime(2026, 11, 21, 7, 0, tzinfo=UTC)),
    ("in the future", LATER, NOW),
    ("missing", None, NOW),
    ("zero", "0001-01-01T00:00:00Z", NOW),
    ("epoch zero", 0, NOW),
    ("no time", "yesterday", NOW),
    ("no such day", "2026-02-30T00:00:00Z", NOW),
    ("before all time", "0001-01-01T00:00:00+14:00", NOW),
    ("a list", [2026, 11, 21], NOW),
    ("true", True, NOW),
    ("endless", "9" * 500, NOW),
    ("infinite", float("inf"), NOW),
    ("not a number", float("nan"), NOW),
]


@pytest.mark.parametrize(("what", "value", "expected"), TIMES)
def test_a_start_is_a_time_in_utc_and_never_in_the_future(what: str, value: Any, expected: datetime) -> None:
    read = only({"labels": {}, "startsAt": value})
    assert abs(read.starts_at - expected) < timedelta(milliseconds=1)
    assert read.starts_at.utcoffset() == timedelta(0)


ENDS: list[tuple[str, dict[str, Any], datetime | None]] = [
    (
        "the end of a resolved one",
        {"status": "resolved", "startsAt": EARLIER, "endsAt": EARLIER},
        NOW - timedelta(hours=1),
    ),
    ("an end in the future is now", {"status": "resolved", "startsAt": EARLIER, "endsAt": LATER}, NOW),
    ("a firing one has no end", {"status": "firing", "startsAt": EARLIER, "endsAt": LATER}, None),
    (
        "an end before the start is no end",
        {"status": "resolved", "startsAt": EARLIER, "endsAt": "2026-11-21T10:00:00Z"},
        None,
    ),
    ("an end without a start orders nothing", {"status": "resolved", "endsAt": EARLIER}, None),
    ("no end", {"status": "resolved", "startsAt": EARLIER}, None),
]


@pytest.mark.parametrize(("what", "alert", "expected"), ENDS)
def test_an_end_counts_when_it_follows_a_start(what: str, alert: dict[str, Any], expected: datetime | None) -> None:
    assert only(alert).ends_at == expected


# ------------------------------------------------------------------------------------------------ labels, fingerprint, address

TEXTS: list[tuple[Any, str | None]] = [
    ("plain", "plain"),
    (5, "5"),
    (12345678901234567890123, "12345678901234567890123"),
    (True, "true"),
    (False, "false"),
    (None, None),
    ("", ""),
    ([1, "a"], '["1","a"]'),
    ({"a": None}, '{"a":null}'),
    ("NUL \x00, half \ud800, whole 😀", "NUL \ufffd, half \ufffd, whole 😀"),
    ("`<!channel>`\n&", "`<!channel>`\n&"),
]


@pytest.mark.parametrize(("value", "expected"), TEXTS)
def test_a_label_value_becomes_text(value: Any, expected: str | None) -> None:
    assert only({"labels": {"a": value}}).labels.get("a") == expected


@pytest.mark.parametrize("spelt", ["1.10", "1e400", "-0", "9" * 5_000, "NaN"])
def test_a_number_keeps_its_spelling(spelt: str) -> None:
    (alert,) = parsed(b'{"alerts":[{"labels":{"a":' + spelt.encode() + b"}}]}").alerts
    assert alert.labels["a"] == spelt


def test_a_long_value_is_clipped_and_says_so() -> None:
    value = only({"labels": {"a": "x" * 10_001, "b": "y" * 10_000}}).labels
    assert len(value["a"]) == 10_000
    assert value["a"].endswith("x… (10001 characters, clipped)")
    assert value["b"] == "y" * 10_000


def test_too_many_labels_are_left_out_except_those_that_routing_looks_at() -> None:
    labels = {f"l{number:03}": "x" for number in range(300)} | {"alertname": "A", "severity": "critical", "zone": "z"}
    read = only({"labels": labels})
    assert len(read.labels) == 200
    assert (read.labels["alertname"], read.labels["severity"], read.labels["l000"]) == ("A", "critical", "x")
    assert "zone" not in read.labels
    assert read.annotations["clipped"] == "103 labels and 0 annotations more than 200 were left out"


@pytest.mark.parametrize("given", [None, "", "  ", {}, [], True])
def test_a_missing_fingerprint_is_computed_from_the_labels_in_any_order(given: Any) -> None:
    one = only({"fingerprint": given, "labels": {"a": "1", "b": "2"}, "annotations": {"x": "1"}})
    two = only({"labels": {"b": "2", "a": "1"}, "status": "resolved"})
    other = only({"labels": {"a": "1", "b": "3"}})
    assert len(one.fingerprint) == 16
    assert one.fingerprint == two.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("given", "expected"), [("abc", "abc"), (" abc ", "abc"), (1234567890123456789, "1234567890123456789")]
)
def test_the_fingerprint_of_the_sender_is_kept(given: Any, expected: str) -> None:
    assert only({"fingerprint": given}).fingerprint == expected


def test_an_endless_fingerprint_is_shortened_without_becoming_another_one() -> None:
    one, two = only({"fingerprint": "f" * 5_000 + "1"}), only({"fingerprint": "f" * 5_000 + "2"})
    assert len(one.fingerprint) == 64
    assert one.fingerprint != two.fingerprint


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "//x", "", None, 5, "http://a b", "https://x/\ny", "ftp://x", "https://x/" + "y" * 3_000],
)
def test_an_address_that_cannot_be_shown_as_a_link_is_left_out(url: Any) -> None:
    assert only({"generatorURL": url}).url == ""


# ------------------------------------------------------------------------------------------------ what is left out


def test_what_the_sender_left_out_is_told() -> None:
    result = parsed({"alerts": [{}], "truncatedAlerts": 7})
    assert result.bad == ((1, "alerts: the sender left out 7 more (truncatedAlerts); raise its max_alerts"),)


@pytest.mark.parametrize("count", [0, None, "many", -1, 1.5, [], True])
def test_a_count_of_left_out_alerts_that_is_none_is_ignored(count: Any) -> None:
    assert parsed({"alerts": [{}], "truncatedAlerts": count}).bad == ()


def test_more_alerts_than_one_delivery_may_hold_are_told_and_the_first_are_read() -> None:
    result = parsed({"alerts": [{"labels": {"n": number}} for number in range(payload.MOST_ALERTS + 3)]})
    assert len(result.alerts) == payload.MOST_ALERTS
    assert result.bad == ((10_000, "alerts: 3 more than the 10000 that one delivery may hold were not read"),)


def test_a_poisoned_alert_costs_only_itself_however_deep_it_is() -> None:
    deep = b"[" * 700 + b"]" * 700
    body = b'{"alerts":[{"labels":{"a":"1"}},{"labels":{"a":' + deep + b'}},{"labels":{"a":"2\\u0000"}},5]}'
    result = parsed(body)
    assert [alert.labels["a"][0] for alert in result.alerts] in (["1", "[", "2"], ["1", "2"])
    assert result.bad[-1] == (3, "alerts[3]: found the number 5; expected an object with status and labels")


@pytest.mark.parametrize("version", ["4", "1", "5", 4, None])
def test_another_version_is_read_when_it_has_the_same_shape(version: Any) -> None:
    assert len(parsed({"version": version, "alerts": [{}]}).alerts) == 1


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert parsed(b'\xef\xbb\xbf{"alerts": []}') == Parsed(())


def test_nothing_can_be_set() -> None:
    with pytest.raises(ValueError, match="extra"):
        alertmanager.Params.model_validate({"colour": "red"})


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with suppress(BadInput):
        assert isinstance(parsed(body), Parsed)


def test_a_hundred_alerts_are_read_in_a_few_milliseconds() -> None:
    group = json.loads((RECORDED / "firing-4.json").read_bytes())
    body = json.dumps({**group, "alerts": group["alerts"] * 25}).encode()
    times = []
    for _ in range(5):
        started = perf_counter()
        parsed(body)
        times.append(perf_counter() - started)
    assert min(times) < 0.01
