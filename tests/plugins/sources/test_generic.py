"""Any JSON by mapping: defaults, paths, templates, other kinds of bodies, and what is said when a path finds nothing."""

from __future__ import annotations

import json
import re
import textwrap
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import generic
from tests.support.payloads import ANYTHING

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


EVERY: list[tuple[str, Any]] = [
    ("$.data.items[*].title", "B"),
    ("$.data.items[0].tags[*]", "x, y"),
    ("$.account[*]", "eu"),
    ("$.data.items[*].tags[-1]", "y"),
    ("$.data.items[*].nothing", None),
    ("$.data.items[*].n", None),
    ("$.account.region[*]", None),
    ("tags[*].x", None),
]


@pytest.mark.parametrize(("path", "expected"), EVERY)
def test_a_star_is_every_item_joined_with_commas(path: str, expected: str | None) -> None:
    result = parsed(NESTED, alerts="data.items", name=["title", "tags[0]"], labels={"it": path})
    assert result.alerts[0].labels.get("it") == expected


def test_alerts_may_be_all_items_of_several_lists() -> None:
    body = {"groups": [{"alerts": [{"title": "A"}, {"title": "B"}]}, {"alerts": {"title": "C"}}, {}]}
    assert [alert.name for alert in parsed(body, alerts="groups[*].alerts").alerts] == ["A", "B", "C"]
    with pytest.raises(BadInput, match=r"other\[\*\].alerts: found nothing there"):
        parsed(body, alerts="other[*].alerts")


# ------------------------------------------------------------------------------------------------ templates


def made(template: str) -> dict[str, str]:
    return {"template": template}


def requested(
    body: Any, query: dict[str, str] | None = None, headers: dict[str, str] | None = None, **params: Any
) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    incoming = Incoming(raw, headers or {}, query=query or {})
    return generic.parse(incoming, "web", generic.Params.model_validate(params), NOW)


def test_a_template_makes_a_field_of_several_values() -> None:
    params = {
        "alerts": "checks",
        "headers": ["X-Environment"],
        "name": made("{{ alert.monitor.name }} on {{ body.host }}"),
        "summary": [made("{{ alert.text | default('') }}"), made("{{ (alert.ms | float) * 2 }} ms")],
        "labels": {"env": made('{{ headers["x-environment"] }}'), "region": made("{{ query.region | upper }}")},
    }
    body = {"host": "web-1", "checks": [{"monitor": {"name": "HTTP"}, "ms": 1.50}]}
    headers = {"x-environment": "prod", "authorization": "Bearer s3cret"}
    incoming = Incoming(json.dumps(body).encode(), headers, query={"region": "eu"})
    result = generic.parse(incoming, "web", generic.Params.model_validate(params), NOW)
    (alert,) = result.alerts
    assert alert.name == "HTTP on web-1"
    assert alert.summary == "3.0 ms"
    assert (alert.labels["env"], alert.labels["region"]) == ("prod", "EU")


def test_a_template_that_makes_nothing_leaves_the_field_to_the_next() -> None:
    params = {"name": [made("{% if alert.x is defined %}{{ alert.x }}{% endif %}"), "b"]}
    assert only({"b": "B"}, **params).name == "B"
    assert only({"x": "X", "b": "B"}, **params).name == "X"


def test_a_missing_name_costs_only_its_own_alert_and_is_named() -> None:
    result = parsed([{"host": "a"}, {"hots": "b"}, {"host": "c"}], name=made("down: {{ alert.host }}"))
    assert [alert.name for alert in result.alerts] == ["down: a", "down: c"]
    ((index, reason),) = result.bad
    assert index == 1
    assert reason == ('body[1]: the template of name: `alert.host` is not known; did you mean "hots"?; there are: hots')


RUNAWAYS = [
    "{{ (alert.big ~ alert.big) ~ (alert.big ~ alert.big) }}",
    "{{ alert.many | map('upper') | join | length }}{{ alert.many | join(alert.big) }}",
    "{{ alert.title * 3 }}",
    "{{ 1 / 0 }}",
    "{{ alert.title + 1 }}",
]


@pytest.mark.parametrize("template", RUNAWAYS)
def test_a_template_that_does_too_much_costs_only_its_own_alert(template: str) -> None:
    big = {"title": "A", "big": "x" * 9_000, "many": ["y"] * 9_000}
    params = {"summary": ["short", made(template)]}
    result = parsed([big, {"title": "B", "short": "s"}], **params)
    assert [alert.name for alert in result.alerts] == ["B"]
    assert result.bad[0][1].startswith("body[0]: the template of summary: ")


def test_many_alerts_share_one_budget_of_time() -> None:
    result = parsed([{"title": f"A{n}"} for n in range(300)], summary=made("{{ alert.title | lower }}"))
    assert [alert.summary for alert in result.alerts[:2]] == ["a0", "a1"]
    assert (len(result.alerts), result.bad) == (300, ())


# ------------------------------------------------------------------------------------------------ other bodies

FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def test_a_form_is_read_like_an_object_of_texts() -> None:
    (alert,) = requested(b"title=Disk+full&status=ok&x=%C3%A9", headers=FORM, labels={"x": "x"}).alerts
    assert (alert.name, alert.firing, alert.labels["x"]) == ("Disk full", False, "é")


def test_a_form_may_hold_json_in_its_payload_and_curl_calls_json_a_form() -> None:
    for body in (b"payload=%7B%22title%22%3A%22A%22%7D", b'{"title": "A"}', b'[{"title": "A"}]'):
        assert [alert.name for alert in requested(body, headers=FORM).alerts] == ["A"]


def test_a_delivery_may_be_parameters_of_the_address_alone() -> None:
    (alert,) = requested(b"", query={"title": "Down", "status": "up"}).alerts
    assert (alert.name, alert.firing) == ("Down", False)
    with pytest.raises(BadInput, match="it is empty"):
        requested(b"")


def test_plain_text_is_an_alert_when_it_is_allowed() -> None:
    body = b"Disk full on db-1\n97 % used\n"
    (alert,) = requested(body, headers={"content-type": "text/plain"}, text=True).alerts
    assert (alert.name, alert.summary) == ("Disk full on db-1", "Disk full on db-1\n97 % used")
    assert [one.name for one in requested(b"down", headers=FORM, text=True).alerts] == ["down"]
    assert [one.name for one in requested(b'{"title": "A"}', text=True).alerts] == ["A"]
    with pytest.raises(BadInput, match="body: line 1, column 1"):
        requested(body, headers={"content-type": "text/plain"})
    with pytest.raises(BadInput, match="body: line 1, column 1"):
        requested(body, headers={"content-type": "application/json"}, text=True)


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
    ({"alerts": "a[*"}, "not a path"),
    ({"name": {"template": "{{ alert.x"}}, "template is not closed"),
    ({"name": {"template": "{{ alert.x | shout }}"}}, "a template cannot be read"),
    ({"name": {"template": "{% for x in alert %}{% endfor %}"}}, "for is not possible in templates here"),
    ({"name": {"template": "{{ alrt.x }}"}}, 'a template is not given `alrt`; did you mean "alert"'),
    ({"name": {"templat": "x"}}, "unknown key 'templat'; did you mean \"template\""),
    ({"name": {"template": "x", "constant": "y"}}, "wanted one of `template` and `constant`"),
    ({"labels": {"x": {}}}, "wanted one of `template` and `constant`"),
    ({"name": {"template": '{{ headers["x-a"] }}'}, "headers": ["x-b"]}, "header 'x-a', which `headers` does not name"),
    ({"headers": ["Authorization"]}, "may hold a secret"),
    ({"headers": ["X-Api-Key"]}, "may hold a secret"),
]


@pytest.mark.parametrize(("params", "error"), PARAMS)
def test_a_mapping_that_cannot_work_is_refused_with_the_configuration(params: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(error)):
        generic.Params.model_validate(params)


DOCUMENTATION = Path(__file__).parents[3] / "docs" / "sources" / "generic.md"
EXAMPLES = [
    (Incoming(b'{"monitor": {"name": "Shop", "tags": ["checkout"]}, "alert_type_name": "down"}'), "Shop", True),
    (
        Incoming(b'{"host": "web-1", "checks": [{"monitor": {"name": "HTTP"}, "state": "critical", "ms": 1500}]}'),
        "HTTP on web-1",
        True,
    ),
    (Incoming(b"monitor=Shop&checks=http", {**FORM, "x-event": "recovered"}), "Shop", False),
    (Incoming(b"backup of db-1 failed", {"content-type": "text/plain"}), "backup of db-1 failed", True),
    (Incoming(b"", query={"sensor": "cellar", "state": "open"}, method="GET"), "door cellar is open", True),
]


def test_the_examples_of_the_documentation_do_what_they_say() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", DOCUMENTATION.read_text(), re.S)
    for block, (incoming, name, firing) in zip(blocks, EXAMPLES, strict=True):
        value = yaml.safe_load(textwrap.dedent(block))
        settings = value.get("sources", {"": value}).popitem()[1]
        own = {key: one for key, one in settings.items() if key not in ("type", "bearer", "token")}
        (alert,) = generic.parse(incoming, "web", generic.Params.model_validate(own), NOW).alerts
        assert (alert.name, alert.firing) == (name, firing)


ODD_PARAMS = {
    "alerts": "a[*]",
    "name": [{"template": "{{ alert.a ~ body }}"}, "a[*].b", "b"],
    "labels": {"x": "a[*][*]", "y": {"template": "{{ alert.b | default('') | upper }}"}},
}


@settings(max_examples=60, deadline=None)
@given(ANYTHING | st.dictionaries(st.sampled_from("ab"), ANYTHING), st.sampled_from([{}, ODD_PARAMS]))
def test_any_json_is_read_or_refused(value: Any, params: dict[str, Any]) -> None:
    with suppress(BadInput):
        assert isinstance(parsed(value, **params), Parsed)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["", "text/plain", FORM["content-type"], "application/json"]))
def test_any_body_is_read_or_refused(body: bytes, kind: str) -> None:
    with suppress(BadInput):
        assert isinstance(requested(body, headers={"content-type": kind}, text=True), Parsed)


ALERTS = [{"title": str(number)} for number in range(2_000)]
SHARED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"summary": "$.shared"}, {"shared": ["x"] * 20_000}),
    ({"labels_from": ["$.shared"]}, {"shared": {f"k{number}": 1 for number in range(10_000)}}),
    ({"labels": {"hosts": "$.shared[*].host"}}, {"shared": [{"host": ""}] * 20_000}),
]


@pytest.mark.parametrize(("params", "shared"), SHARED)
def test_what_every_alert_has_in_common_is_read_once(params: dict[str, Any], shared: dict[str, Any]) -> None:
    began = time.process_time()
    assert len(parsed({"items": ALERTS, **shared}, alerts="items", **params).alerts) == len(ALERTS)
    assert time.process_time() - began < 2.0  # once for each alert it is far more


def test_what_stands_in_an_alert_is_its_own_and_what_stands_at_the_top_is_of_all() -> None:
    body = {"items": [{"title": "a", "at": ["1"]}, {"title": "b", "at": ["2"]}], "both": {"x": "1"}}
    alerts = parsed(body, alerts="items", summary="at", labels={"both": "$.both"}).alerts
    assert [(alert.summary, alert.labels["both"]) for alert in alerts] == [
        ('["1"]', '{"x":"1"}'),
        ('["2"]', '{"x":"1"}'),
    ]
