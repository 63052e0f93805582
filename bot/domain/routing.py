"""The label tree that decides which escalation policy an alert goes to and how it is grouped. Called by triage's `routed` and `grouped`.

Semantics are Alertmanager's (https://prometheus.io/docs/alerting/latest/configuration/#route): children are tried in order, the deepest match
wins, and `continue` lets the siblings after a match be tried as well. The first route found opens the incident; further ones
page their own policies about the same incident (one problem is one incident).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property, lru_cache

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.index import Index, bits
from bot.domain.matching import Matcher

_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


@lru_cache(maxsize=20_000)
def _canonical(labels: tuple[tuple[str, str], ...]) -> str:
    return _encode(dict(labels))


class Route(BaseModel):
    """One node of the tree with what it inherits already filled in.

    `path` names it in reasons (`root/0/2`); `key` is its identity, made of the matchers from the root down, so that a route added elsewhere
    does not give open incidents another group. `severity` and `media` override what the taxonomy says. `wait`: how long a new group is held before
    it opens an incident, so that what explains it can come in; `interval`: how often at most its channel is told of alerts that join; `repeat`: how
    often it is told that the incident is still open.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    path: str = "root"
    key: str = "root"
    matchers: tuple[Matcher, ...] = ()
    go_on: bool = False
    policy: str = ""
    group_by: tuple[str, ...] = ("alertname", "service")
    reopen_within: timedelta = timedelta(minutes=30)
    private: bool = False
    severity: str = ""
    media: tuple[str, ...] | None = None
    wait: timedelta = timedelta(0)
    interval: timedelta = timedelta(minutes=5)
    repeat: timedelta | None = None
    routes: tuple[Route, ...] = ()

    def __str__(self) -> str:
        return self._said

    @cached_property
    def _said(self) -> str:
        condition = ", ".join(str(one) for one in self.matchers) or "everything"
        return f"{self.path} ({condition})"

    @cached_property
    def by(self) -> str:
        """What its alerts are grouped by, for reasons."""
        return ", ".join(self.group_by) or "nothing"


class Routing:
    """The tree, ready to be asked for many alerts: all matchers of all routes are asked at once."""

    __slots__ = ("_below", "_index", "_nodes", "root")

    def __init__(self, root: Route) -> None:
        self.root = root
        self._nodes: list[Route] = []
        self._below: list[int] = []
        self._add(root)
        self._index = Index([node.matchers for node in self._nodes])

    def find(self, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """All routes that an alert with these labels takes, in order; empty only when the root itself does not match."""
        matching = self._index.mask(labels)
        return tuple(self._nodes[number] for number in self._walked(0, matching)) if matching & 1 else ()

    @property
    def any_private(self) -> bool:
        """Whether any route makes private incidents."""
        return any(node.private for node in self._nodes)

    def _walked(self, node: int, matching: int) -> list[int]:
        below = self._below[node] & matching
        if not below:
            return [node]
        found: list[int] = []
        for child in bits(below):
            found += self._walked(child, matching)
            if not self._nodes[child].go_on:
                break
        return found

    def _add(self, route: Route) -> int:
        """Its number; its children come after it, in order."""
        number = len(self._nodes)
        self._nodes.append(route)
        self._below.append(0)
        for child in route.routes:
            self._below[number] |= 1 << self._add(child)
        return number


def group_labels(route: Route, alert: Alert) -> dict[str, str]:
    """The labels that make two alerts one problem; `...` means all of them. An empty one is as if it were not there."""
    names = alert.labels if "..." in route.group_by else route.group_by
    return {name: alert.labels[name] for name in names if alert.labels.get(name)}


def group_key(route: Route, labels: Mapping[str, str]) -> str:
    """Identity of the problem: the same for every alert of the group, on every replica. Example: `root/{team="shop"}{"alertname":"A"}`."""
    return route.key + _canonical(tuple(labels.items()))
