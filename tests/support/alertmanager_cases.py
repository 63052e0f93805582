"""Configurations, silences and alerts for Alertmanager, made at random from small alphabets, and what Tocsin makes of them.

A scenario is plain JSON, so that it can be recorded together with what the real program said. The last two alerts of each are a target and a source
of the first inhibition rule: once the one holds the other, all alerts before them have been seen.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.domain.alert import Alert
from bot.domain.inhibition import Inhibition, InhibitRule
from bot.domain.matching import Matcher, matcher
from bot.domain.passing import Passing, View
from bot.domain.routing import Route, Routing, group_labels
from bot.domain.signal import Signal
from bot.domain.silence import Silence, Silences
from bot.domain.triage import triage

Scenario = dict[str, Any]
Answer = dict[str, Any]

RECORDING = Path(__file__).parent.parent / "domain" / "alertmanager_semantics.json.gz"
SCENARIOS = 64
ALERTS = 40
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NAMES = ("team", "severity", "zone", "_x1", "Job")
ID = "uid"  # keeps alerts apart; no matcher asks for it
VALUES = (
    *("a", "b", "ab", "ba", "A", "aa", "42", "critical"),
    *("", " a ", 'say "a"', "back\\slash", "\\n", "a\nb", "a,b", "{a}", "a=b", "[a]", "a|b", "a.b", "^a$"),
    *("ünï", "日本", "\U0001f525", "é", "e\u0301", "\u00a0a", "a\u2028b", "\u0000a"),
)
COMMON = VALUES[:3]
EXPRESSIONS = (
    *("a", "a|b", "a.*", ".*", ".+", "", "a|", ".", "..", "[^a]*", "a?b?", "(a|b)+", "(?i)a", "(?i:A)b", "^a$", "^a|b$", "a$"),
    *("\\d+", "\\w+", "\\S*", ".*\\s.*", "[[:alpha:]]+", "\\pL+", "\\p{Han}+", "[ü-ÿ].*", "(?s).*", "(?s:.)+", "(?m)^a$", "a\\nb", "a.b"),
    *('say "a"', "back\\\\slash", "\\\\n", "\\Qa.b\\E", "a,b", "[{]a[}]", "a{1,2}", "日.", "\U0001f525?", "(?:ab)*", "[^\\x00-\\x7F]+", "\\x00.*"),
)  # fmt: skip
OPERATORS = ("=", "=", "=", "!=", "=~", "=~", "!~")
CLEAN = frozenset('"{},\n\\ \u00a0\u2028')


def scenarios() -> Iterator[Scenario]:
    for seed in range(SCENARIOS):
        yield scenario(random.Random(seed))


def scenario(chance: random.Random) -> Scenario:
    """A configuration as Alertmanager reads it, silences in the form of its API (and when they hold), and the labels of alerts in the order sent."""
    tree = _node(chance, "root", 0)
    first = {"source_matchers": ['sentinel="source"'], "target_matchers": ['sentinel="target"']}
    alerts = [{"labels": _labels(chance), "resolved": chance.random() < 0.1} for _ in range(ALERTS)]
    alerts += [
        {"labels": {"sentinel": "target"}, "resolved": False},
        {"labels": {"sentinel": "source"}, "resolved": False},
    ]
    for number, one in enumerate(alerts):
        one["labels"][ID] = str(number)
    return {
        "config": {
            "route": tree,
            "receivers": [{"name": name} for name in _receivers(tree)],
            "inhibit_rules": [first, *(_inhibit_rule(chance) for _ in range(chance.randint(1, 4)))],
        },
        "silences": [_silence(chance) for _ in range(chance.randint(0, 5))],
        "alerts": alerts,
    }


def _labels(chance: random.Random) -> dict[str, str]:
    return {name: _value(chance) for name in NAMES if chance.random() < 0.8}


def _value(chance: random.Random) -> str:
    return chance.choice(chance.choices((COMMON, ("",), VALUES), (75, 10, 15))[0])


def _condition(chance: random.Random) -> tuple[str, str, str]:
    op = chance.choice(OPERATORS)
    return chance.choice(NAMES), op, chance.choice(EXPRESSIONS) if "~" in op else _value(chance)


def _written(chance: random.Random) -> str:
    """One matcher in one of the ways in which it may be written. What only some versions can read is left out."""
    name, op, value = _condition(chance)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    space = chance.choice(("", "", " ", "  "))
    if not CLEAN & set(value) and chance.random() < 0.4:
        return f"{name}{space}{op}{space}{value}"
    return f'{space}{name}{space}{op}{space}"{escaped}"{space}'


def _node(chance: random.Random, path: str, depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"receiver": path}
    if chance.random() < (0.9 if depth == 0 else 0.4):
        node["group_by"] = ["..."] if chance.random() < 0.2 else chance.sample((*NAMES, "absent"), chance.randint(1, 3))
    if depth:
        node["matchers"] = [_written(chance) for _ in range(chance.choice((0, 1, 1, 1, 2)))]
        node["continue"] = chance.random() < 0.4
    if depth < 3 and (children := chance.randint(2 if depth == 0 else 0, 5 - depth)):
        node["routes"] = [_node(chance, f"{path}/{number}", depth + 1) for number in range(children)]
    return node


def _receivers(node: Mapping[str, Any]) -> list[str]:
    return [node["receiver"], *(name for child in node.get("routes", ()) for name in _receivers(child))]


def _inhibit_rule(chance: random.Random) -> dict[str, Any]:
    """Often with sides that overlap, so that alerts match both."""
    source, target = ([_written(chance) for _ in range(chance.choice((1, 1, 2)))] for _ in range(2))
    if chance.random() < 0.4:
        target = chance.choice((source, [*source, _written(chance)]))
    rule: dict[str, Any] = {"source_matchers": source, "target_matchers": target}
    if equal := chance.sample((*NAMES, "absent"), chance.choice((0, 1, 1, 2))):
        rule["equal"] = equal
    return rule


def _silence(chance: random.Random) -> dict[str, Any]:
    """Alertmanager wants one matcher at least that does not match the empty text."""
    conditions = [_condition(chance) for _ in range(chance.choice((1, 1, 2)))]
    matchers = [
        {"name": name, "value": value, "isRegex": "~" in op, "isEqual": not op.startswith("!")}
        for name, op, value in conditions
    ]
    if all(matcher(_text(one)).fits("") for one in matchers):
        matchers.append(
            {"name": chance.choice(NAMES), "value": chance.choice(COMMON), "isRegex": False, "isEqual": True}
        )
    return {"matchers": matchers, "when": chance.choice(("now", "now", "now", "future", "ended"))}


# ------------------------------------------------------------------------------------------------ what was recorded


def recorded() -> dict[str, Any]:
    """The `version` of Alertmanager, the `scenarios`, and its `answers` to each, as alertmanager_live.py wrote them."""
    found: dict[str, Any] = json.loads(gzip.decompress(RECORDING.read_bytes()))
    return found


# ------------------------------------------------------------------------------------------------ what Tocsin makes of them


def ours(given: Scenario) -> list[Answer]:
    """For every alert that fires: its receivers in order, its group per receiver, which silences cover it, whether it is inhibited, the verdict."""
    alerts = [_alert(one) for one in given["alerts"]]
    inhibition = Inhibition([_rule(number, one) for number, one in enumerate(given["config"]["inhibit_rules"])])
    silences = Silences([_made(number, one) for number, one in enumerate(given["silences"], 1)])
    signal = Signal(Routing(_route(given["config"]["route"])), inhibition=inhibition)
    standing: dict[str, dict[str, str]] = defaultdict(dict)
    for alert in alerts:
        for key in inhibition.holds(alert, "") if alert.firing else ():
            standing[key][alert.key] = alert.name
    view = View(signal, silences=silences, inhibitors=standing)
    return [_answer(alert, view) for alert in alerts if alert.firing]


def _answer(alert: Alert, view: View) -> Answer:
    routes = view.signal.routing.find(alert.labels)
    held_under = view.signal.inhibition.held_under(alert)
    covering = [one.number for one in view.silences.matching(alert.labels) if one.covers(NOW)]
    return {
        ID: alert.labels[ID],
        "receivers": [route.policy for route in routes],
        "groups": {route.policy: group_labels(route, alert) for route in routes},
        "silenced": covering,
        "inhibited": any(view.inhibitors.get(reason.key, {}).keys() - {alert.key} for reason in held_under),
        "verdict": triage(Passing(alert, view.signal), view, NOW).outcome,
    }


def verdict_of(answer: Mapping[str, Any]) -> str:
    """What follows for Tocsin from what Alertmanager says of an alert."""
    return "silenced" if answer["silenced"] else "inhibited" if answer["inhibited"] else "opened"


def _alert(one: Mapping[str, Any]) -> Alert:
    return Alert("am", one["labels"][ID], not one["resolved"], one["labels"], {}, NOW)


def _route(node: Mapping[str, Any], group_by: tuple[str, ...] = ()) -> Route:
    by = tuple(node.get("group_by", group_by))
    return Route(
        path=node["receiver"],
        key=node["receiver"],
        policy=node["receiver"],
        matchers=_matchers(node.get("matchers", ())),
        go_on=node.get("continue", False),
        group_by=by,
        routes=tuple(_route(child, by) for child in node.get("routes", ())),
    )


def _matchers(texts: Any) -> tuple[Matcher, ...]:
    return tuple(matcher(text) for text in texts)


def _rule(number: int, one: Mapping[str, Any]) -> InhibitRule:
    sides = _matchers(one["source_matchers"]), _matchers(one["target_matchers"])
    return InhibitRule(str(number), *sides, tuple(one.get("equal", ())))


def _made(number: int, one: Mapping[str, Any]) -> Silence:
    """As an import from Alertmanager's API would write it."""
    hour = timedelta(hours=1)
    starts, ends = {"now": (-1, 1), "future": (1, 2), "ended": (-2, -1)}[one["when"]]
    return Silence(
        number=number,
        matchers=tuple(_text(each) for each in one["matchers"]),
        starts_at=NOW + starts * hour,
        ends_at=NOW + ends * hour,
        created_at=NOW,
    )


def _text(each: Mapping[str, Any]) -> str:
    op = ("=" if each["isEqual"] else "!") + ("~" if each["isRegex"] else "" if each["isEqual"] else "=")
    return str(Matcher(each["name"], op, each["value"]))
