"""Relabelling: what is set, mapped and dropped, in the order of the rules."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.matching import matcher
from bot.domain.relabel import LONGEST, Relabel, Relabelling
from tests.domain.alerts import alert


def rule(name: str, *matchers: str, **more: Any) -> Relabel:
    return Relabel(name, tuple(matcher(one) for one in matchers), **more)


TEAM = rule("team", "service=checkout", set={"team": "shop"})
LEVELS = rule("levels", map={"severity": {"P1": "critical", "P2": "error"}})
NOISE = rule("noise", "env=dev", drop=True)

CASES: list[tuple[str, list[Relabel], dict[str, str], dict[str, str] | None, tuple[str, ...]]] = [
    ("no rules", [], {"a": "1"}, {"a": "1"}, ()),
    ("none that matches", [NOISE], {"env": "prod"}, {"env": "prod"}, ()),
    ("set", [TEAM], {}, {"team": "shop"}, ("team",)),
    ("set to what it is already", [TEAM], {"team": "shop"}, {"team": "shop"}, ()),
    ("set over another value", [TEAM], {"team": "x"}, {"team": "shop"}, ("team",)),
    ("taken away", [rule("less", set={"pod": ""})], {"pod": "p-1"}, {}, ("less",)),
    ("taken away although it is not there", [rule("less", set={"pod": ""})], {}, {}, ()),
    ("another label's value", [rule("copy", set={"team": "${owner}-${region}"})], {"owner": "shop", "region": "eu"},
     {"owner": "shop", "region": "eu", "team": "shop-eu"}, ("copy",)),
    ("a label that is not there", [rule("copy", set={"team": "${owner}"})], {}, {}, ()),
    ("two labels that change places", [rule("swap", set={"a": "${b}", "b": "${a}"})], {"a": "1", "b": "2"},
     {"a": "2", "b": "1"}, ("swap",)),
    ("what looks like a reference in a value", [rule("copy", set={"a": "${b}"})], {"b": "${c}", "c": "x"},
     {"a": "${c}", "b": "${c}", "c": "x"}, ("copy",)),
    ("a dollar alone", [rule("price", set={"a": "$5 ${"})], {}, {"a": "$5 ${"}, ("price",)),
    ("a name in UTF-8", [rule("copy", set={"a": "${größe}"})], {"größe": "XL"}, {"größe": "XL", "a": "XL"}, ("copy",)),
    ("mapped", [LEVELS], {"severity": "P1"}, {"severity": "critical"}, ("levels",)),
    ("not in the table", [LEVELS], {"severity": "P9"}, {"severity": "P9"}, ()),
    ("nothing to map", [LEVELS], {}, {}, ()),
    ("set, then mapped", [rule("both", set={"severity": "${prio}"}, map={"severity": {"1": "critical"}})], {"prio": "1"},
     {"prio": "1", "severity": "critical"}, ("both",)),
    ("dropped", [NOISE], {"env": "dev"}, None, ()),
    ("a rule sees what the ones before it have made", [rule("env", "cluster=kind", set={"env": "dev"}), NOISE], {"cluster": "kind"},
     None, ("env",)),
    ("but not what the ones after it make", [NOISE, rule("env", "cluster=kind", set={"env": "dev"})], {"cluster": "kind"},
     {"cluster": "kind", "env": "dev"}, ("env",)),
    ("dropped before it is changed", [NOISE, TEAM], {"env": "dev"}, None, ()),
    ("all that changed it are named", [TEAM, rule("none", "a=1", set={"b": "2"}), LEVELS], {"severity": "P2"},
     {"team": "shop", "severity": "error"}, ("team", "levels")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "labels", "after", "by"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_labels_are_set_and_mapped_or_the_alert_is_dropped(
    rules: list[Relabel], labels: dict[str, str], after: dict[str, str] | None, by: tuple[str, ...]
) -> None:
    given = alert(**labels)
    found = Relabelling(rules)(given)
    assert found.by == by
    if after is None:
        assert found.alert is None
        assert found.dropped_by == "noise"
    else:
        assert found.alert is not None
        assert found.alert.labels == {"alertname": "HighErrorRate", "service": "checkout", **after}
        assert (found.alert is given) is (not by)
        assert (found.alert.fingerprint, found.alert.starts_at) == (given.fingerprint, given.starts_at)


def test_a_value_cannot_grow_without_bound() -> None:
    rules = [rule(str(number), set={"a": "${a}${a}"}) for number in range(60)]
    found = Relabelling(rules)(alert(a="xy")).alert
    assert found is not None
    assert len(found.labels["a"]) == LONGEST
