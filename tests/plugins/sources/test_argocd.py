"""Argo CD Notifications: what the template of the documentation sends, and whole Applications."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import argocd
from tests.support.payloads import bodies, documented

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "argocd").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return argocd.parse(Incoming(raw), "ar", argocd.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


def problems(body: Any) -> dict[str, bool]:
    return {alert.fingerprint: alert.firing for alert in parsed(body).alerts}


STATES: list[tuple[str, dict[str, bool], str]] = [
    ("deployed", {"argocd/checkout/sync": False, "argocd/checkout/health": False}, "success"),
    ("sync-failed", {"argocd/checkout/sync": True, "argocd/checkout/health": False}, "failure"),
    ("health-degraded", {"argocd/checkout/sync": False, "argocd/checkout/health": True}, "success"),
    ("running", {}, "in_progress"),
    ("application", {"argocd/guestbook/sync": True, "argocd/guestbook/health": True}, "failure"),
]


@pytest.mark.parametrize(("name", "expected", "state"), STATES)
def test_every_notification_tells_of_both_problems_and_of_the_deployment(
    name: str, expected: dict[str, bool], state: str
) -> None:
    assert problems(RECORDED[name]) == expected
    (change,) = parsed(RECORDED[name]).changes
    assert (change.kind, change.state) == ("deployment", state)


def test_a_failed_sync_says_why() -> None:
    alert = parsed(RECORDED["sync-failed"]).alerts[0]
    assert (alert.name, alert.service, alert.labels["team"]) == ("Argo CD sync failed", "checkout", "payments")
    assert alert.summary == "sync of checkout to 6c1a9a8f failed"
    assert "is invalid" in alert.annotations["description"]
    assert alert.starts_at == datetime(2026, 11, 21, 10, 59, tzinfo=UTC)


def test_a_deployment_is_one_change_however_often_it_is_told() -> None:
    running, deployed, degraded = (
        parsed(RECORDED[name]).changes[0] for name in ("running", "deployed", "health-degraded")
    )
    assert running.key == deployed.key == degraded.key
    assert (deployed.at, degraded.at) == (datetime(2026, 11, 21, 10, 59, tzinfo=UTC),) * 2
    assert (deployed.service, deployed.environment, deployed.author, deployed.title) == (
        "checkout",
        "prod",
        "ada",
        "checkout 6c1a9a8f",
    )


def test_the_same_revision_deployed_again_is_another_change() -> None:
    again = {**RECORDED["deployed"], "started_at": "2026-11-21T11:58:00Z"}
    assert parsed(again).changes[0].key != parsed(RECORDED["deployed"]).changes[0].key


@pytest.mark.parametrize("health", ["Progressing", "Suspended", "Missing", "Unknown", "odd", None, 5])
def test_a_health_that_is_neither_good_nor_bad_says_nothing(health: Any) -> None:
    assert problems({"app": "a", "phase": "Running", "health_status": health}) == {}


def test_labels_of_the_application_become_labels_but_its_name_stays_the_service() -> None:
    alert = only({"app": "a", "health_status": "Degraded", "labels": {"severity": "critical", "replicas": 3}})
    assert (alert.labels["severity"], alert.labels["replicas"], alert.service) == ("critical", "3", "a")
    assert only({"app": "a", "health_status": "Degraded", "labels": {"service": "b"}}).service == "b"


def test_without_a_revision_there_is_no_change() -> None:
    assert parsed({"app": "a", "phase": "Succeeded"}).changes == ()


def test_an_application_without_any_state_is_refused() -> None:
    with pytest.raises(BadInput, match="expected app with phase"):
        parsed({"app": "a"})


def test_the_template_of_the_documentation_is_the_one_that_is_read() -> None:
    data = yaml.safe_load(documented("argocd", "yaml", "kind: ConfigMap"))["data"]
    body = yaml.safe_load(data["template.tocsin"])["webhook"]["tocsin"]["body"]
    assert set(re.findall(r'^ *"(\w+)": \{\{', body, re.MULTILINE)) == set(RECORDED["deployed"]) | {"health_since"}
    filled = json.loads(re.sub(r"\{\{.*?\}\}(?=,?$)", '"Degraded"', body, flags=re.MULTILINE))
    assert problems(filled) == {"Degraded/Degraded/health": True}
    assert all(trigger["send"] == ["tocsin"] for trigger in yaml.safe_load(data["trigger.tocsin"]))


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
