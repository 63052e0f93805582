"""Inhibition: what an alert holds while it fires, and what would hold it; rules as Alertmanager has them, and dependencies of services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.alert import TEST_LABEL, Alert
from bot.domain.inhibition import Dependencies, Inhibition, InhibitRule
from bot.domain.matching import all_match, matcher
from tests.domain.alerts import alert


def rule(source: str, target: str, *equal: str, name: str = "r") -> InhibitRule:
    sides = (tuple(matcher(one) for one in side.split()) for side in (source, target))
    return InhibitRule(name, *sides, equal)


def one(name: str = "A", **labels: str) -> Alert:
    return replace(alert(alertname=name, service="", **labels), fingerprint=name)


def holds(inhibition: Inhibition, source: Alert, target: Alert, severity: str = "critical") -> bool:
    under = set(inhibition.holds(source, severity))
    return any(reason.key in under for reason in inhibition.held_under(target))


NODE = rule("alertname=NodeDown", "severity=warning", "node")

PAIRS: list[tuple[str, InhibitRule, Alert, Alert, bool]] = [
    ("a source and its target", NODE, one("NodeDown", node="n1"), one(severity="warning", node="n1"), True),
    ("what must be equal is not", NODE, one("NodeDown", node="n1"), one(severity="warning", node="n2"), False),
    ("what must be equal is missing on one side", NODE, one("NodeDown", node="n1"), one(severity="warning"), False),
    ("what must be equal is missing on both sides", NODE, one("NodeDown"), one(severity="warning"), True),
    ("missing on one side and empty on the other", NODE, one("NodeDown"), replace(one(), labels={"severity": "warning", "node": ""}), True),
    ("no target", NODE, one("NodeDown", node="n1"), one(severity="info", node="n1"), False),
    ("no source", NODE, one("DiskFull", node="n1"), one(severity="warning", node="n1"), False),
    ("nothing must be equal", rule("alertname=NodeDown", "severity=warning"), one("NodeDown", node="n1"), one(severity="warning"), True),
    ("of two that must be equal one is not", rule("alertname=NodeDown", "severity=warning", "node", "zone"),
     one("NodeDown", node="n1", zone="a"), one(severity="warning", node="n1", zone="b"), False),
    ("values that would read alike when they are joined", rule("alertname=NodeDown", "severity=warning", "x", "y"),
     one("NodeDown", x='a", "b', y="c"), one(severity="warning", x="a", y='b", "c'), False),
    ("the source is a target too, the target only a target", rule('severity=~"critical|warning"', "severity=warning"),
     one("A", severity="warning"), one("B", severity="warning"), False),
    ("the source is only a source, the target both", rule('severity=~"critical|warning"', "severity=warning"),
     one("A", severity="critical"), one("B", severity="warning"), True),
    ("both are both", rule("team=shop", "team=shop"), one("A", team="shop"), one("B", team="shop"), False),
    ("the target is both, the source only a source", rule("team=shop", "team=shop severity=warning"),
     one("A", team="shop"), one("B", team="shop", severity="warning"), True),
    ("the target is only a target, the source both", rule("team=shop severity=warning", "team=shop"),
     one("A", team="shop", severity="warning"), one("B", team="shop"), True),
    ("itself", rule("team=shop", "team=shop"), one("A", team="shop"), one("A", team="shop"), False),
]  # fmt: skip


@pytest.mark.parametrize(("given", "source", "target", "expected"), [pair[1:] for pair in PAIRS], ids=[pair[0] for pair in PAIRS])  # fmt: skip
def test_a_source_that_fires_holds_its_targets(
    given: InhibitRule, source: Alert, target: Alert, expected: bool
) -> None:
    assert holds(Inhibition([given]), source, target) is expected


def test_a_test_alert_holds_nothing_that_is_real() -> None:
    source = replace(one("NodeDown", node="n1"), labels={"alertname": "NodeDown", "node": "n1", TEST_LABEL: "true"})
    assert Inhibition([NODE]).holds(source, "critical") == ()


def test_the_reason_names_the_rule() -> None:
    inhibition = Inhibition([rule("a=1", "b=2", name="node down"), NODE])
    (reason,) = inhibition.held_under(one(b="2"))
    assert reason.said == "inhibition rule 'node down': held by"


def test_reasons_come_in_the_order_of_the_rules() -> None:
    inhibition = Inhibition([rule("a=1", "b=2", name="first"), NODE, rule("a=2", "b=2", name="second")])
    assert [reason.said.split("'")[1] for reason in inhibition.held_under(one(b="2"))] == ["first", "second"]


def test_a_key_says_what_the_rule_says_and_not_where_it_stands() -> None:
    other = rule("x=1", "y=2")
    assert rule("a=1 b=2", "c=3").key == rule("b=2 a=1", "c=3", name="renamed").key
    source = one("NodeDown", node="n1")
    assert Inhibition([NODE]).holds(source, "") == Inhibition([other, NODE]).holds(source, "")


texts = st.sampled_from(["a=1", "a!=1", 'a=~"1|2"', 'b=""', "b=1", 'b!~"1"', "c=1", 'a=~".*"'])
sides = st.lists(texts, max_size=2, unique=True).map(" ".join)
inhibit_rules = st.lists(
    st.builds(lambda source, target, equal: rule(source, target, *equal), sides, sides, st.lists(st.sampled_from("abcd"), unique=True, max_size=2)),
    max_size=4,
)  # fmt: skip
labelled = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "1", "2"])).map(
    lambda labels: replace(one(), labels=labels)
)


def as_alertmanager(rules: Sequence[InhibitRule], source: Mapping[str, str], target: Mapping[str, str]) -> bool:
    """`Inhibitor.Mutes` and `InhibitRule.hasEqual`, word for word, for one source (github.com/prometheus/alertmanager, inhibit/inhibit.go)."""
    for each in rules:
        if not all_match(each.target, target) or not all_match(each.source, source):
            continue
        if any(source.get(name, "") != target.get(name, "") for name in each.equal):
            continue
        if all_match(each.source, target) and all_match(each.target, source):
            continue
        return True
    return False


@given(inhibit_rules, labelled, labelled)
def test_it_holds_what_alertmanager_inhibits(rules: list[InhibitRule], source: Alert, target: Alert) -> None:
    assert holds(Inhibition(rules), source, target) is as_alertmanager(rules, source.labels, target.labels)


# ------------------------------------------------------------------------------------------------ dependencies of services

SHOP = {
    "web": ["checkout", "search"],
    "checkout": ["db", "payments"],
    "search": ["db"],
    "a": ["b"],
    "b": ["c"],
    "c": ["a", "db"],
    "me": ["me"],
}

NEEDS = [
    ("web", ("checkout", "db", "payments", "search")),
    ("checkout", ("db", "payments")),
    ("search", ("db",)),
    ("db", ()),
    ("a", ("db",)),  # a, b and c need each other: none of them explains another
    ("b", ("db",)),
    ("c", ("db",)),
    ("me", ()),
    ("unknown", ()),
]  # fmt: skip


@pytest.mark.parametrize(("service", "needs"), NEEDS)
def test_a_service_needs_what_it_needs_indirectly_but_not_what_needs_it(service: str, needs: tuple[str, ...]) -> None:
    assert Dependencies.of(SHOP, ["critical"]).needs.get(service, ()) == needs


def of(service: str, **labels: str) -> Alert:
    return replace(alert(service=service, **labels), fingerprint=service)


DOWN: list[tuple[str, str, str, str, bool]] = [
    ("what it needs is down", "db", "critical", "web", True),
    ("what it needs is not so bad", "db", "warning", "web", False),
    ("what needs it is down", "web", "critical", "db", False),
    ("a service beside it", "payments", "critical", "search", False),
    ("two that need each other", "a", "critical", "b", False),
    ("itself", "db", "critical", "db", False),
    ("a service that needs itself", "me", "critical", "me", False),
]


@pytest.mark.parametrize(
    ("down", "severity", "service", "held"), [case[1:] for case in DOWN], ids=[case[0] for case in DOWN]
)
def test_an_alert_is_held_when_what_its_service_needs_is_down(
    down: str, severity: str, service: str, held: bool
) -> None:
    inhibition = Inhibition((), Dependencies.of(SHOP, ["critical", "error"]))
    assert holds(inhibition, of(down), of(service), severity) is held


def test_the_reason_names_the_service_that_is_down() -> None:
    inhibition = Inhibition((), Dependencies.of(SHOP, ["critical"]))
    assert [reason.said for reason in inhibition.held_under(of("search"))] == ["search needs db, which is down:"]


def test_without_severities_the_catalogue_holds_nothing() -> None:
    inhibition = Inhibition((), Dependencies.of(SHOP, []))
    assert inhibition.holds(of("db"), "critical") == ()
    assert inhibition.held_under(of("web")) == ()


def test_a_changed_rule_changes_the_version_and_a_new_name_does_not() -> None:
    version = Inhibition([NODE]).version
    assert Inhibition([replace(NODE, name="other")]).version == version
    assert Inhibition([replace(NODE, equal=("zone",))]).version != version
    assert Inhibition([NODE], Dependencies.of(SHOP, ["critical"])).version != version
