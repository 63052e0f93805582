"""Alerts brought into the shape of this house: labels set and mapped, or the alert dropped, and always said so. First stage of triage."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bot.domain.alert import Alert
from bot.domain.index import Index
from bot.domain.matching import Matcher

_NAMED = re.compile(r"\$\{([^{}]{1,200})\}")
LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Relabel:
    """One rule. For alerts that match: `drop` them, or `set` labels (`${other}` stands for another label's value; an empty text takes a label away),
    then `map` the values of labels."""

    name: str
    matchers: tuple[Matcher, ...] = ()
    drop: bool = False
    set: Mapping[str, str] = field(default_factory=dict)
    map: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def applied(self, labels: Mapping[str, str]) -> dict[str, str]:
        after = dict(labels)
        for name, text in self.set.items():
            value = _NAMED.sub(lambda found: labels.get(found[1], ""), text)[:LONGEST]
            after[name] = value
        for name, table in self.map.items():
            if after.get(name) in table:
                after[name] = table[after[name]]
        return {name: value for name, value in after.items() if value or name not in self.set}


@dataclass(frozen=True, slots=True)
class Relabelled:
    """The alert as it goes on; None in `alert`: `dropped_by` dropped it. `by`: the rules that changed it."""

    alert: Alert | None
    by: tuple[str, ...] = ()
    dropped_by: str = ""


class Relabelling:
    """All rules, in order; each sees what the ones before it have made of the labels."""

    __slots__ = ("_first", "rules")

    def __init__(self, rules: Sequence[Relabel] = ()) -> None:
        self.rules = tuple(rules)
        self._first = Index([rule.matchers for rule in self.rules])

    def __call__(self, alert: Alert) -> Relabelled:
        if not self.rules or not (todo := self._first.mask(alert.labels)):
            # nothing matches it as it came, and only a rule that matches could make another one match
            return Relabelled(alert)
        labels: Mapping[str, str] = alert.labels
        by: list[str] = []
        first = (todo & -todo).bit_length() - 1
        for rule in self.rules[first:]:
            if not all(one.matches(labels) for one in rule.matchers):
                continue
            if rule.drop:
                return Relabelled(None, tuple(by), rule.name)
            after = rule.applied(labels)
            if after != labels:
                labels = after
                by.append(rule.name)
        return Relabelled(replace(alert, labels=labels) if by else alert, tuple(by))
