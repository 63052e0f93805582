"""Alerts that another one explains: inhibition rules, and services whose dependency is down. Asked by triage, kept up to date by intake.

Semantics are Alertmanager's (https://prometheus.io/docs/alerting/latest/configuration/#inhibit_rule): an alert that matches `target` is held
while an alert that matches `source` fires and both have equal values for all labels in `equal` (a missing one equals the empty text). What
matches both sides cannot be held by an alert of which the same is true, itself included. It does not matter whether the source is held itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot.domain.alert import Alert
from bot.domain.index import Index, bits
from bot.domain.matching import Matcher

ONE_SIDED = "!"  # ends the key under which only sources stand that do not match the target as well
DEPENDENCY = "dependency"
_encoded = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """One rule; `name` is what reasons call it."""

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its identity across reloads: made of what it says, not of where it stands."""
        sides = ("; ".join(sorted(str(one) for one in side)) for side in (self.source, self.target))
        return " > ".join(sides)


@dataclass(frozen=True, slots=True)
class Reason:
    """Under `key` a firing source would stand that holds the alert; `said` begins the sentence, and the source's name ends it."""

    key: str
    said: str


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Which services each service needs, directly or not. Those that need each other are left out: neither explains the other.

    `severities`: how bad an alert of a dependency must be for the alerts of what needs it to be held; none: the catalogue holds nothing.
    """

    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    severities: frozenset[str] = frozenset()

    @classmethod
    def of(cls, direct: Mapping[str, Sequence[str]], severities: Sequence[str]) -> Dependencies:
        every = {name: reached(name, direct) for name in direct}
        needs = {
            name: tuple(sorted(one for one in below if name not in every.get(one, frozenset())))
            for name, below in every.items()
        }
        return cls({name: below for name, below in needs.items() if below}, frozenset(severities))


def reached(name: str, direct: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """What a service needs, directly or not; itself among it when it is part of a cycle."""
    seen: set[str] = set()
    todo = list(direct.get(name, ()))
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += direct.get(one, ())
    return frozenset(seen)


class Inhibition:
    """All rules and the dependencies, ready to be asked. A key says what must be equal, so that looking up is one question per rule that matches."""

    __slots__ = ("_keys", "_needed", "_source", "_target", "dependencies", "rules")

    def __init__(self, rules: Sequence[InhibitRule] = (), dependencies: Dependencies | None = None) -> None:
        self.rules = tuple(rules)
        self.dependencies = dependencies or Dependencies()
        self._source = Index([rule.source for rule in self.rules])
        self._target = Index([rule.target for rule in self.rules])
        self._keys = [f"{rule.key} [{_encoded(rule.equal)}, " for rule in self.rules]  # how the rule's keys begin
        below = self.dependencies.needs.values()
        self._needed = (
            frozenset(name for needs in below for name in needs) if self.dependencies.severities else frozenset()
        )

    @property
    def version(self) -> str:
        """Changes whenever the keys of sources do."""
        return json.dumps(
            [
                *((rule.key, rule.equal) for rule in self.rules),
                sorted(self._needed),
                sorted(self.dependencies.severities),
            ]
        )

    def holds(self, alert: Alert, severity: str) -> tuple[str, ...]:
        """The keys under which this alert stands as a source while it fires."""
        keys: list[str] = []
        if alert.test:
            return ()
        sources = self._source.mask(alert.labels) if self.rules else 0
        if sources:
            targets = self._target.mask(alert.labels)
            for number in bits(sources):
                key = self._key(number, alert)
                keys += (key,) if targets >> number & 1 else (key, key + ONE_SIDED)
        if self._needed and alert.service in self._needed and severity in self.dependencies.severities:
            keys.append(f"{DEPENDENCY} {alert.service}")
        return tuple(keys)

    def held_under(self, alert: Alert) -> tuple[Reason, ...]:
        """Under which keys a firing source would hold this alert, in the order of the rules."""
        reasons: list[Reason] = []
        targets = self._target.mask(alert.labels) if self.rules else 0
        if targets:
            sources = self._source.mask(alert.labels)
            for number in bits(targets):
                key = self._key(number, alert) + (ONE_SIDED if sources >> number & 1 else "")
                reasons.append(Reason(key, f"inhibition rule {self.rules[number].name!r}: held by"))
        if self._needed:
            for name in self.dependencies.needs.get(alert.service, ()):
                reasons.append(Reason(f"{DEPENDENCY} {name}", f"{alert.service} needs {name}, which is down:"))
        return tuple(reasons)

    def _key(self, number: int, alert: Alert) -> str:
        values = [alert.labels.get(name, "") for name in self.rules[number].equal]
        return f"{self._keys[number]}{_encoded(values)}] "
