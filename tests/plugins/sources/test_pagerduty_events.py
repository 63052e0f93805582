"""The Events API that Tocsin answers: what senders of it send, and the answers that they wait for."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import pagerduty_events
from tests.support.other_peoples_json import anything, assert_sound, damaged

FOLDER = Path(__file__).parent / "pagerduty_events"
RECORDED = {file.stem: json.loads(file.read_text()) for file in FOLDER.glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any, path: str = "v2/enqueue") -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return pagerduty_events.parse(Incoming(raw, path=path), "pde", pagerduty_events.Params(), NOW)


def only(body: Any, path: str = "v2/enqueue") -> Alert:
    (alert,) = parsed(body, path).alerts
    return alert


def trigger(top: dict[str, Any] | None = None, **about: Any) -> dict[str, Any]:
    given = {"summary": "disk full", "source": "db1", "severity": "error", **about}
    return {"routing_key": "k", "event_action": "trigger", "payload": given, **(top or {})}


# ------------------------------------------------------------------------------------------------ recorded events

KEY = "3ec5b3a6b4d1d1f0b2f4fcd3bd0b6c2bbb9dbad36a2fbd5a1f4f2ff3c2ed6b47"
EXPECTED = {
    "trigger": "!samplekeyhere",
    "acknowledge": "samplekeyhere by ",
    "resolve": ".samplekeyhere",
    "alertmanager-trigger": f"!{KEY}",
    "alertmanager-resolve": f".{KEY}",
    "alertmanager-v1-trigger": "!3ec5b3a6b4d1d1f0",
    "v1-trigger": "!38f1430310165dea9ca641def0e861dc",
    "v1-resolve": ".srv01/HTTP",
    "uptime-kuma-trigger": "!Uptime Kuma/7",
    "change": "change",
}


def test_every_recorded_event_is_expected() -> None:
    assert set(RECORDED) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recorded_event_is_read(name: str) -> None:
    result = parsed(RECORDED[name], "v2/change/enqueue" if name == "change" else "v2/enqueue")
    assert_sound(result, NOW)
    shown = [f"{'!' if alert.firing else '.'}{alert.fingerprint}" for alert in result.alerts]
    shown += [f"{one.fingerprint} by {one.by}" for one in result.acknowledged] + [one.kind for one in result.changes]
    assert shown == [EXPECTED[name]]


def test_a_trigger_keeps_everything_that_was_said() -> None:
    alert = only(RECORDED["trigger"])
    assert alert.labels == {
        "alertname": "Example alert on host1.example.com",
        "severity": "info",
        "component": "postgres",
        "group": "prod-datapipe",
        "class": "deploy",
        "source": "monitoringtool:cloudvendor:central-region-dc-01:852559987:cluster/api-stats-prod-003",
    }
    assert alert.annotations == {
        "summary": "Example alert on host1.example.com",
        "custom_details": "ping time: 1500ms\nload avg: 0.75",
        "client": "Sample Monitoring Service",
        "links": "Link text: https://example.com/",
        "image": "https://www.pagerduty.com/wp-content/uploads/2016/05/pagerduty-logo-green.png",
    }
    assert alert.url == "https://monitoring.example.com"
    assert alert.starts_at == datetime(2015, 7, 17, 8, 42, 58, 315000, tzinfo=UTC)


# ------------------------------------------------------------------------------------------------ the answers


@pytest.mark.parametrize("action", ["trigger", "acknowledge", "resolve", "RESOLVE"])
def test_the_answer_is_the_one_that_pagerduty_gives(action: str) -> None:
    result = parsed(trigger({"event_action": action, "dedup_key": "disk/db1"}))
    assert result.status == 202
    assert result.reply == {"status": "success", "message": "Event processed", "dedup_key": "disk/db1"}


def test_version_1_has_its_own_answer() -> None:
    result = parsed(RECORDED["v1-resolve"], "generic/2010-04-15/create_event.json")
    assert result.status == 200
    assert result.reply == {"status": "success", "message": "Event processed", "incident_key": "srv01/HTTP"}


def test_the_answer_to_a_change_event_has_no_key() -> None:
    result = parsed(RECORDED["change"], "v2/change/enqueue")
    assert (result.status, result.reply) == (202, {"status": "success", "message": "Change event processed"})


# ------------------------------------------------------------------------------------------------ which problem


def test_trigger_acknowledge_and_resolve_are_of_one_problem() -> None:
    fired, over = only(RECORDED["trigger"]), only(RECORDED["resolve"])
    assert fired.fingerprint == over.fingerprint
    assert parsed(RECORDED["acknowledge"]).acknowledged == (Acknowledged(fired.fingerprint),)
    assert (fired.firing, over.firing) == (True, False)


def test_the_count_in_front_of_a_title_is_not_part_of_the_name() -> None:
    fired, over = only(RECORDED["alertmanager-trigger"]), only(RECORDED["alertmanager-resolve"])
    assert fired.labels["alertname"] == over.labels["alertname"] == "HighErrorRate (checkout critical shop)"
    assert fired.annotations["summary"] == "[FIRING:2] HighErrorRate (checkout critical shop)"


def test_a_trigger_without_a_key_gets_the_same_one_every_time_and_the_answer_tells_it() -> None:
    first, again = parsed(trigger()), parsed(trigger(severity="critical", custom_details={"n": 2}))
    assert first.reply == again.reply
    assert first.reply is not None
    key = first.reply["dedup_key"]
    assert len(key) == 32
    assert only({"event_action": "resolve", "dedup_key": key}).fingerprint == only(trigger()).fingerprint == key


@pytest.mark.parametrize("member", ["summary", "source", "component", "group", "class"])
def test_a_trigger_without_a_key_is_another_problem_when_it_is_about_something_else(member: str) -> None:
    assert only(trigger()).fingerprint != only(trigger(**{member: "other"})).fingerprint


@pytest.mark.parametrize("length", [200, 201, 255, 256, 5_000])
def test_a_long_key_is_not_refused_and_the_told_one_finds_the_same_problem(length: int) -> None:
    long = "k" * length
    result = parsed(trigger({"dedup_key": long}))
    assert result.reply is not None
    told = result.reply["dedup_key"]
    assert len(told) <= 255
    assert {only({"event_action": "resolve", "dedup_key": key}).fingerprint for key in (long, told)} == {
        result.alerts[0].fingerprint
    }


def test_a_number_as_a_key_is_taken_as_text() -> None:
    result = parsed(trigger({"dedup_key": 12345678901234567890}))
    assert result.alerts[0].fingerprint == "12345678901234567890"
    assert json.dumps(dict(result.reply or {})).endswith('"dedup_key": "12345678901234567890"}')


# ------------------------------------------------------------------------------------------------ times

TIMES: list[tuple[Any, datetime]] = [
    ("2026-11-21T11:00:00Z", NOW - timedelta(hours=1)),
    ("2026-11-21T11:00:00.315+0000", NOW - timedelta(hours=1) + timedelta(milliseconds=315)),
    ("2026-11-21T03:00:00-08:00", NOW - timedelta(hours=1)),
    (1795258800, NOW - timedelta(hours=1)),
    ("1795258800", NOW - timedelta(hours=1)),
    ("2026-11-21T13:00:00Z", NOW),
    ("2026-11-21T03:00:00", NOW),  # somebody's local time
    ("2026-11-21", NOW),
    ("yesterday", NOW),
    (None, NOW),
    (1e999, NOW),
]


@pytest.mark.parametrize(("timestamp", "expected"), TIMES)
def test_a_trigger_starts_at_its_timestamp_when_that_has_a_zone(timestamp: Any, expected: datetime) -> None:
    assert only(trigger(timestamp=timestamp)).starts_at == expected


def test_a_resolve_without_a_time_does_not_make_the_next_trigger_an_old_one() -> None:
    over = only(RECORDED["resolve"])
    behind = (NOW - timedelta(minutes=2)).isoformat()
    assert over.ends_at == NOW
    assert only(trigger({"dedup_key": "samplekeyhere"}, timestamp=behind)).starts_at > over.starts_at


def test_a_resolve_with_a_time_ends_then() -> None:
    body = trigger({"event_action": "resolve", "dedup_key": "k"}, timestamp="2026-11-21T11:00:00Z")
    over = only(body)
    assert over.starts_at == over.ends_at == NOW - timedelta(hours=1)


# ------------------------------------------------------------------------------------------------ labels and annotations


def test_the_details_that_routing_looks_at_become_labels_and_all_of_them_lines() -> None:
    details = {"service": "cart", "env": "prod", "severity": "x", "n": 1.50, "inner": {"a": {"b": [1]}}, "none": None}
    alert = only(trigger(custom_details=details))
    assert alert.labels["service"] == "cart"
    assert alert.labels["env"] == "prod"
    assert alert.labels["severity"] == "error"
    assert "n" not in alert.labels
    lines = 'service: cart\nenv: prod\nseverity: x\nn: 1.5\ninner.a.b: ["1"]'
    assert alert.annotations["custom_details"] == lines


@pytest.mark.parametrize("details", ["as text", ["a", 1], 7, None, {}, True])
def test_details_of_another_type_are_kept_as_text(details: Any) -> None:
    expected = {"as text": "as text", "7": "7", "True": "true", "['a', 1]": '["a","1"]'}.get(str(details))
    assert only(trigger(custom_details=details)).annotations.get("custom_details") == expected


def test_many_and_deep_details_are_bounded() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = {"d": deep}
    assert only(trigger(custom_details=deep)).annotations["custom_details"].startswith('d.d.d.d: {"d":{"d"')
    wide = only(trigger(custom_details={f"n{number}": "y" * 100 for number in range(5_000)}))
    assert len(wide.annotations["custom_details"]) == 10_000


@pytest.mark.parametrize(
    ("severity", "expected"), [("CRITICAL", "critical"), ("Sev9", "sev9"), (None, None), (5, "5"), ({}, None)]
)
def test_a_severity_is_lower_case_and_an_unknown_one_stays(severity: Any, expected: str | None) -> None:
    assert only(trigger(severity=severity)).labels.get("severity") == expected


def test_a_long_summary_is_clipped() -> None:
    alert = only(trigger(summary="s" * 5_000))
    assert len(alert.labels["alertname"]) == len(alert.annotations["summary"]) == 1024


def test_a_trigger_without_a_summary_is_still_a_page() -> None:
    assert only({"event_action": "trigger", "payload": {"source": "db1"}}).labels["alertname"] == "db1"
    assert only({"event_action": "trigger", "dedup_key": "k1", "payload": {}}).labels["alertname"] == "k1"


def test_version_1_says_the_same_in_other_words() -> None:
    alert = only(RECORDED["v1-trigger"], "generic/2010-04-15/create_event.json")
    assert alert.labels["alertname"] == "FAILURE for production/HTTP on machine srv01.acme.com"
    assert alert.annotations["custom_details"] == "ping time: 1500ms\nload avg: 0.75"
    assert alert.annotations["links"] == "View in custom tool: http://acme.pagerduty.com"
    assert alert.annotations["image"] == "https://chart.googleapis.com/chart?chs=600x400"
    assert only(RECORDED["alertmanager-v1-trigger"]).labels["alertname"] == "DiskFull (db1)"


# ------------------------------------------------------------------------------------------------ change events


def test_a_change_event_is_a_change() -> None:
    (change,) = parsed(RECORDED["change"], "v2/change/enqueue").changes
    assert change.title == "Build Success: Increase snapshot create timeout to 30 seconds"
    assert (change.kind, change.state, change.url) == ("change", "passed", "https://acme.pagerduty.dev/build/2")
    assert change.at == datetime(2020, 7, 17, 8, 42, 58, 315000, tzinfo=UTC)
    assert change.labels["build_number"] == "2"


def test_the_same_change_told_again_is_the_same_and_another_is_not() -> None:
    (one,), (again,) = (parsed(RECORDED["change"], "v2/change/enqueue").changes for _ in range(2))
    other = json.loads(json.dumps(RECORDED["change"]))
    other["payload"]["custom_details"]["build_number"] = "3"
    (third,) = parsed(other, "change/enqueue").changes
    assert one == again
    assert one.key != third.key


# ------------------------------------------------------------------------------------------------ addresses and errors


@pytest.mark.parametrize("path", ["", "enqueue", "v2/enqueue", "v2/enqueue/", "V2/Enqueue", "x/v2/enqueue"])
def test_every_address_that_senders_may_be_given_is_known(path: str) -> None:
    assert only(trigger(), path).firing


REFUSED: list[tuple[str, Any, str]] = [
    ("v3/alerts", {}, 'path: found "v3/alerts"; expected v2/enqueue, v2/change/enqueue or'),
    ("v2/enqueue", [], "body: found a list of 0; expected an event as PagerDuty's Events API takes it"),
    ("v2/enqueue", {}, "event_action: found nothing; expected trigger, acknowledge or resolve"),
    ("v2/enqueue", trigger({"event_action": "fire"}), 'event_action: found the text "fire"; expected trigger, ack'),
    ("v2/enqueue", {"payload": {"summary": "x"}}, "they go to v2/change/enqueue"),
    ("v2/enqueue", {"event": {"event_type": "pagey.ping"}}, "`type: pagerduty`"),
    ("v2/enqueue", {"event_action": "trigger"}, "payload: found nothing; expected an object with summary"),
    ("v2/enqueue", {"event_action": "trigger", "payload": {}}, "payload.summary: found nothing; expected a text"),
    ("v2/enqueue", {"event_action": "resolve"}, "dedup_key: found nothing; expected the key of the trigger"),
    ("v2/enqueue", {"event_type": "resolve"}, "incident_key: found nothing; expected the key of the trigger"),
    ("v2/enqueue", {"event_type": "trigger"}, "description: found nothing; expected a text"),
    ("v2/change/enqueue", {}, "payload.summary: found nothing; expected a text that says what was changed"),
    ("v2/change/enqueue", {"payload": {"summary": 0.0}, "x": 1}, ""),
]


@pytest.mark.parametrize(("path", "body", "says"), REFUSED)
def test_what_cannot_be_read_is_refused_with_its_field(path: str, body: Any, says: str) -> None:
    if not says:
        assert parsed(body, path).changes[0].title == "0.0"
        return
    with pytest.raises(BadInput) as refused:
        parsed(body, path)
    assert says in str(refused.value)


@settings(max_examples=60, deadline=None)
@given(
    anything() | st.sampled_from(sorted(RECORDED)).flatmap(lambda name: damaged(RECORDED[name])),
    st.sampled_from(["v2/enqueue", "", "v2/change/enqueue", "generic/2010-04-15/create_event.json"]),
)
def test_anything_is_read_or_refused(body: bytes, path: str) -> None:
    with suppress(BadInput):
        assert_sound(parsed(body, path), NOW)
