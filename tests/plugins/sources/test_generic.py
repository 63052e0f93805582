"""Any JSON by mapping: defaults, paths, and what is said when a path finds nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import generic

RECORDED = Path(__file__).parent / "generic"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any, **params: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return generic.parse(Incoming(raw), "web", generic.Params.model_validate(params), NOW)


def only(body: Any, **params: Any) -> Alert:
    result = parsed(body, **params)
    assert result.bad == ()
    (alert,) = result.alerts
    return alert


# ------------------------------------------------------------------------------------------------ without configuration


def test_a_title_and_a_status_are_enough() -> None:
    alert = only({"title": "Disk full", "status": "firing"})
    assert (alert.name, alert.firing, alert.starts_at, alert.ends_at) == ("Disk full", True, NOW, None)


def test_the_usual_names_are_found() -> None:
    alert = only(
        {
            "name": "Disk full",
            "state": "alerting",
            "priority": "P1",
            "message": "97 % of /var",
            "details": "grows by 1 % an hour",
            "dedup_key": "disk/var",
            "startsAt": "2026-11-21T11:00:00Z",
            "link": "https://x.example/1",
            "service": "db",
            "labels": {"host": "db-1", "cores": 8},
        }
    )
    assert alert.labels == {"alertname": "Disk full", "severity": "p1", "service": "db", "host": "db-1", "cores": "8"}
    assert alert.annotations == {"summary": "97 % of /var", "description": "grows by 1 % an hour"}
    assert (alert.fingerprint, alert.url, alert.starts_at.hour) == ("disk/var", "https://x.example/1", 11)


def test_a_list_is_several_alerts() -> None:
    assert [alert.name for alert in parsed([{"title": "A"}, {"title": "B"}]).alerts] == ["A", "B"]


STATUSES: list[tuple[Any, bool]] = [
    ("firing", True),
    ("resolved", False),
    ("OK", False),
    (" Recovered ", False),
    ("anything else", True),
    ("", True),
    (None, True),
    (0, True),
    (["resolved"], True),
]


@pytest.mark.parametrize(("status", "firing"), STATUSES)
def test_it_fires_unless_its_status_says_that_it_is_over(status: Any, firing: bool) -> None:
    assert only({"title": "A", "status": status}).firing is firing


def test_the_resolve_of_a_mapped_alert_has_the_fingerprint_of_its_firing() -> None:
    firing = only(
        {
            "title": "A",
            "status": "firing",
            "severity": "critical",
            "message": "bad",
            "labels": {"x": 1, "severity": "high"},
        }
    )
    resolve = only(
        {"title": "A", "status": "ok", "severity": "ok", "message": "good", "labels": {"x": 1, "severity": "low"}}
    )
    other = only({"title": "A", "labels": {"x": 2}})
    assert firing.fingerprint == resolve.fingerprint != other.fingerprint


def test_a_severity_among_the_labels_is_kept_when_there_is_no_other() -> None:
    assert only({"title": "A", "labels": {"severity": "critical"}}).labels["severity"] == "critical"


# ------------------------------------------------------------------------------------------------ with configuration


@pytest.mark.parametrize(("severity", "expected"), [("P1", "critical"), ("p2", "warning"), ("P9", "p9"), (3, "info")])
def test_a_severity_is_called_what_it_is_called_here(severity: Any, expected: str) -> None:
    values = {"P1": "critical", "P2": "warning", "3": "info"}
    assert only({"title": "A", "severity": severity}, severity_values=values).labels["severity"] == expected


def test_a_recorded_message_of_uptimerobot_is_mapped() -> None:
    alert = only(
        (RECORDED / "uptimerobot-monitor-down.json").read_bytes(),
        name="monitor_friendly_name",
        status="alert_type_friendly_name",
        resolved_values=["Up"],
        summary="alert_details",
        labels={"host": "monitor_url", "team": {"constant": "web"}},
    )
    assert (alert.name, alert.firing, alert.summary) == ("Web Server", True, "Host Is Unreachable")
    assert alert.labels == {"alertname": "Web Server", "host": "server1.example.com", "team": "web"}


def test_a_recorded_event_of_datadog_is_mapped() -> None:
    alert = only(
        (RECORDED / "datadog-event-fired.json").read_bytes(),
        fingerprint="id",
        starts_at="date",
        labels={"org": "org.name"},
    )
    assert (alert.fingerprint, alert.labels["org"]) == ("5485379890863845239", "Puppet")
    assert alert.starts_at == datetime(2020, 6, 3, 20, 43, 5, tzinfo=UTC)


NESTED = {
    "account": {"region": "eu"},
    "data": {"items": [{"a.b": {"odd name": "A"}, "tags": ["x", "y"], "n": None}, {"a.b": {}, "title": "B"}]},
}
PATHS = [
    ('["a.b"]["odd name"]', "A"),
    ("tags[0]", "x"),
    ("tags[-1]", "y"),
    ("$.account.region", "eu"),
    ("$.data.items[1].title", "B"),
    ("$", json.dumps(NESTED, separators=(",", ":"))),
]


@pytest.mark.parametrize(("path", "expected"), PATHS)
def test_a_path_goes_through_objects_and_lists(path: str, expected: str) -> None:
    result = parsed(NESTED, alerts="data.items", name=path, labels={})
    assert result.alerts[0].name == expected


@pytest.mark.parametrize("path", ["tags[2]", "tags[-3]", "tags.x", "title[0]", "n", "n.x", "a", "$.data.nothing"])
def test_a_path_that_finds_nothing_makes_no_label(path: str) -> None:
    result = parsed(NESTED, alerts="data.items", name=["title", "tags[0]"], labels={"it": path})
    assert "it" not in result.alerts[0].labels


def test_of_several_paths_the_first_that_finds_something_counts() -> None:
    assert only({"a": "", "b": None, "c": "C", "d": "D"}, name=["a", "b", "nothing", "c", "d"]).name == "C"


def test_alerts_may_be_one_object() -> None:
    assert only({"event": {"title": "A"}}, alerts="event").name == "A"


# ------------------------------------------------------------------------------------------------ what is wrong

WRONG: list[tuple[str, Any, dict[str, Any], str]] = [
    ("a text", '"x"', {}, 'body: found the text "x"; expected an alert as an object, or a list of them'),
    (
        "nothing there",
        '{"a": 1}',
        {"alerts": "data.items"},
        "data.items: found nothing there; expected a list of alerts (an object with a came in)",
    ),
    ("a number there", '{"data": 5}', {"alerts": "data"}, "data: found the number 5; expected an alert"),
    ("not JSON", "title=x", {}, "body: line 1, column 1"),
]


@pytest.mark.parametrize(("what", "body", "params", "error"), WRONG)
def test_a_body_without_alerts_is_refused_with_the_path(
    what: str, body: str, params: dict[str, Any], error: str
) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(body.encode(), **params)
    assert str(refused.value).startswith(error)


BAD: list[tuple[Any, str]] = [
    (
        {},
        "body[0]: no name at title, name, alertname, labels.alertname; found an empty object; set `name` to the path of the alert's name",
    ),
    (
        {"event": "x"},
        "body[0]: no name at title, name, alertname, labels.alertname; found an object with event; set `name`",
    ),
    (["A"], 'body[0]: found the text "A"; expected an object'),
]


@pytest.mark.parametrize(("body", "reason"), BAD)
def test_an_alert_without_a_name_is_left_out_and_says_what_was_there(body: Any, reason: str) -> None:
    result = parsed(body)
    assert result.alerts == ()
    assert result.bad[0][1].startswith(reason)


PARAMS: list[tuple[dict[str, Any], str]] = [
    ({"nam": "x"}, "Extra inputs"),
    ({"name": "a b"}, "not a path: 'a b' at ' b'"),
    ({"name": "a["}, "not a path"),
    ({"alerts": "a..b"}, "not a path"),
    ({"labels": {"x": "a]"}}, "not a path"),
    ({"labels": {"x": {"const": "y"}}}, "constant"),
    ({"status": 5}, "status"),
]


@pytest.mark.parametrize(("params", "error"), PARAMS)
def test_a_mapping_that_cannot_work_is_refused_with_the_configuration(params: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=error.replace("[", r"\[")):
        generic.Params.model_validate(params)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with suppress(BadInput):
        assert isinstance(parsed(value), Parsed)
