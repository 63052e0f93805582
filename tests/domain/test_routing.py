"""The label tree: which routes an alert takes, and which alerts are one problem."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.routing import Route, Routing, group_key, group_labels
from tests.domain.alerts import alert, route

TREE = route(
    "root",
    routes=(
        route(
            "root/0",
            "team=shop",
            routes=(route("root/0/0", "severity=critical"), route("root/0/1", "severity=~critical|error")),
        ),
        route(
            "root/1",
            "audit=yes",
            go_on=True,
            routes=(route("root/1/0", "region=eu", go_on=True), route("root/1/1", "region=~e.*")),
        ),
        route("root/2", "team=~shop|search", go_on=True),
        route("root/3", "severity=critical"),
        route("root/4"),
    ),
)

ROUTES: list[tuple[dict[str, str], list[str]]] = [
    ({"team": "shop"}, ["root/0"]),
    ({"team": "shop", "severity": "critical"}, ["root/0/0"]),
    ({"team": "shop", "severity": "error"}, ["root/0/1"]),
    ({"team": "search"}, ["root/2", "root/4"]),
    ({"team": "search", "severity": "critical"}, ["root/2", "root/3"]),
    ({"audit": "yes"}, ["root/1", "root/4"]),
    ({"audit": "yes", "region": "eu"}, ["root/1/0", "root/1/1", "root/4"]),
    ({"audit": "yes", "region": "es", "team": "search"}, ["root/1/1", "root/2", "root/4"]),
    ({}, ["root/4"]),
]


@pytest.mark.parametrize(("labels", "paths"), ROUTES)
def test_the_deepest_match_wins_and_continue_goes_on_to_the_siblings(labels: dict[str, str], paths: list[str]) -> None:
    assert [one.path for one in Routing(TREE).find(labels)] == paths


def test_the_root_takes_what_no_child_takes() -> None:
    assert [one.path for one in Routing(route("root", routes=(route("root/0", "a=1"),))).find({})] == ["root"]


def test_a_root_with_a_condition_leaves_the_rest_to_nobody() -> None:
    assert Routing(route("root", "team=shop")).find({"team": "search"}) == ()


def test_continue_without_a_match_changes_nothing() -> None:
    tree = route("root", routes=(route("root/0", "a=1", go_on=True), route("root/1", "a=2")))
    assert [one.path for one in Routing(tree).find({"a": "2"})] == ["root/1"]


GROUPS: list[tuple[tuple[str, ...], dict[str, str], dict[str, str]]] = [
    (("alertname", "service"), {}, {"alertname": "HighErrorRate", "service": "checkout"}),
    (("alertname",), {}, {"alertname": "HighErrorRate"}),
    (("zone",), {}, {}),
    (("zone",), {"zone": ""}, {}),
    ((), {}, {}),
    (("...",), {"zone": "z"}, {"alertname": "HighErrorRate", "service": "checkout", "zone": "z"}),
]


@pytest.mark.parametrize(("group_by", "labels", "expected"), GROUPS)
def test_an_alert_is_grouped_by_the_labels_that_its_route_names(
    group_by: tuple[str, ...], labels: dict[str, str], expected: dict[str, str]
) -> None:
    assert group_labels(route(group_by=group_by), alert(**labels)) == expected


def test_a_group_key_names_the_route_and_the_labels_in_order() -> None:
    assert group_key(route("root/0"), {"b": "ü", "a": "1"}) == 'root/0{"a":"1","b":"ü"}'


def test_routes_of_the_same_condition_have_groups_of_their_own() -> None:
    assert group_key(route("root/0"), {"a": "1"}) != group_key(route("root/1"), {"a": "1"})


texts = st.text(alphabet="ab=,'\"\\{}\n", max_size=6)
labels = st.dictionaries(texts, texts, max_size=3)


@given(labels, labels)
def test_two_groups_have_the_same_key_only_when_they_are_the_same(one: dict[str, str], other: dict[str, str]) -> None:
    assert (group_key(route(), one) == group_key(route(), other)) is (one == other)


# ------------------------------------------------------------------------------------------------ against the original

NAMES = ("team", "severity", "zone")
VALUES = ("shop", "search", "critical", "", 'a "b"', "c\\d")
MATCHERS = (
    *("team=shop", 'team!="shop"', 'team=~"s.*"', 'team!~"sea|shop"', "severity=critical", 'severity=~"crit"', 'severity=~"crit.*"'),
    *('zone=""', 'zone!=""', 'zone=~".+"', 'zone=~"x|"'),
    *('zone="a \\"b\\""', 'zone="c\\\\d"', "zone=c\\\\d", 'zone=~"c\\\\\\\\d"', 'team=~"s(hop|earch)"'),
)  # fmt: skip


def tree(chance: random.Random, path: str = "root", depth: int = 0) -> tuple[Route, dict[str, Any]]:
    """A random tree, as ours and as Alertmanager's configuration; the receiver of a node is its path."""
    matchers = [] if depth == 0 else chance.sample(MATCHERS, chance.choice([0, 1, 1, 1, 2]))
    go_on = depth > 0 and chance.random() < 0.4
    children = [
        tree(chance, f"{path}/{number}", depth + 1) for number in range(chance.randint(0, 3) if depth < 3 else 0)
    ]
    ours = route(path, *matchers, go_on=go_on, routes=tuple(child for child, _ in children))
    theirs: dict[str, Any] = {"receiver": path, "routes": [child for _, child in children]}
    return ours, theirs | ({"matchers": matchers, "continue": go_on} if depth else {})


def receivers(node: dict[str, Any]) -> list[str]:
    return [node["receiver"], *(name for child in node["routes"] for name in receivers(child))]


def shown(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.real
@pytest.mark.skipif(shutil.which("amtool") is None, reason="amtool (Debian: prometheus-alertmanager) is not installed")
@pytest.mark.parametrize("seed", range(40))
def test_it_routes_as_alertmanager_does(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    ours, theirs = tree(chance)
    config = tmp_path / "alertmanager.yml"
    config.write_text(json.dumps({"route": theirs, "receivers": [{"name": name} for name in receivers(theirs)]}))
    for _ in range(5):
        some = {name: value for name in NAMES if (value := chance.choice(VALUES))}
        command = [
            "amtool",
            "config",
            "routes",
            "test",
            f"--config.file={config}",
            *(f"{n}={shown(v)}" for n, v in some.items()),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        assert [one.path for one in Routing(ours).find(some)] == said.split(","), some
