"""An alert's own words, and the names and titles that are made of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.alert import Alert
from bot.domain.naming import (
    CHANNEL_NAME_LIMIT,
    TITLE_LIMIT,
    channel_name,
    clipped,
    english_list,
    human_title,
    nearest,
    slug,
)
from tests.domain.alerts import NOW, alert

SERVICES: list[tuple[dict[str, str], str]] = [
    ({"service": "a", "app": "b", "deployment": "c", "job": "d"}, "a"),
    ({"service": "", "app": "b", "deployment": "c"}, "b"),
    ({"deployment": "c", "job": "d"}, "c"),
    ({"job": "d"}, "d"),
    ({"pod": "e"}, ""),
    ({}, ""),
]


@pytest.mark.parametrize(("labels", "service"), SERVICES)
def test_the_service_is_the_first_of_the_usual_labels(labels: dict[str, str], service: str) -> None:
    assert Alert("am", "f", True, labels, {}, NOW).service == service


SUMMARIES: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({"alertname": "A"}, {"summary": "s", "description": "d"}, "s"),
    ({"alertname": "A"}, {"summary": "", "description": "d"}, "d"),
    ({"alertname": "A"}, {}, "A"),
    ({"alertname": ""}, {}, "alert"),
    ({}, {}, "alert"),
]


@pytest.mark.parametrize(("labels", "annotations", "summary"), SUMMARIES)
def test_an_alert_always_has_something_to_say(
    labels: dict[str, str], annotations: dict[str, str], summary: str
) -> None:
    assert Alert("am", "f", True, labels, annotations, NOW).summary == summary


def test_the_same_problem_of_two_sources_is_two_alerts() -> None:
    assert Alert("am", "f", True, {}, {}, NOW).key != Alert("other", "f", True, {}, {}, NOW).key


CHANNELS = [
    ("checkout", "HighErrorRate", "inc-7-checkout-high-error-rate"),
    ("", "HighErrorRate", "inc-7-high-error-rate"),
    ("checkout", "", "inc-7-checkout"),
    ("", "", "inc-7"),
    ("k8s", "KubePodOOMKilled", "inc-7-k8s-kube-pod-oom-killed"),
    ("", "P95LatencyHigh", "inc-7-p95-latency-high"),
    ("Störung", "Café CRÈME", "inc-7-storung-cafe-creme"),
    ("🔥", "🔥🔥", "inc-7"),
    ("", "支払いエラー", "inc-7"),
    ("a/b_c.d", "<!channel> `x`\n", "inc-7-a-b-c-d-channel-x"),
    ("", "-" * 100, "inc-7"),
    ("s" * 100, "name", "inc-7-" + "s" * 74),
    ("s" * 73, "name", "inc-7-" + "s" * 73),
]


@pytest.mark.parametrize(("service", "name", "expected"), CHANNELS)
def test_a_channel_is_named_after_service_and_alert(service: str, name: str, expected: str) -> None:
    assert channel_name(7, service, name) == expected


@given(st.integers(1, 10**9), st.text(), st.text())
def test_any_channel_name_is_one_that_slack_takes(number: int, service: str, name: str) -> None:
    made = channel_name(number, service, name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", made)
    assert len(made) <= CHANNEL_NAME_LIMIT
    assert made.startswith(f"inc-{number}")


@given(st.text())
def test_a_slug_of_a_slug_is_the_same(text: str) -> None:
    assert slug(slug(text)) == slug(text)


TITLES = [
    ({}, "checkout: High error rate"),
    ({"service": ""}, "High error rate"),
    ({"alertname": "KubePodOOMKilled"}, "checkout: Kube Pod OOM Killed"),
    ({"alertname": "Disk full on db-1"}, "checkout: Disk full on db-1"),
    ({"alertname": "disk full"}, "checkout: disk full"),
    ({"alertname": "a\nb\t c"}, "checkout: a b c"),
    ({"alertname": "🔥"}, "checkout: 🔥"),
    ({"alertname": "", "service": ""}, "alert"),
]


@pytest.mark.parametrize(("labels", "title"), TITLES)
def test_a_title_is_in_words_and_on_one_line(labels: dict[str, str], title: str) -> None:
    assert human_title(alert(**labels)) == title


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_title_is_one_line_of_bounded_length(name: str, service: str) -> None:
    title = human_title(alert(alertname=name, service=service))
    assert len(title) <= TITLE_LIMIT
    assert title.splitlines() in ([title], [])


@pytest.mark.parametrize(
    ("text", "limit", "expected"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("", 3, ""), ("abcd", 1, "…")]
)
def test_a_long_text_is_clipped_with_a_mark(text: str, limit: int, expected: str) -> None:
    assert clipped(text, limit) == expected


@pytest.mark.parametrize(
    ("items", "expected"),
    [([], "nobody"), (["Ada"], "Ada"), (["Ada", "Bob"], "Ada and Bob"), (["a", "b", "c"], "a, b and c")],
)
def test_a_list_is_written_as_in_english(items: list[str], expected: str) -> None:
    assert english_list(items) == expected


def test_the_nearest_name_is_offered_when_there_is_one() -> None:
    assert nearest("checkot", ["cart", "checkout"]) == '; did you mean "checkout"?'
    assert nearest("zzz", ["cart"]) == ""
