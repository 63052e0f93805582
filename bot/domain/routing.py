"""The label tree that decides which escalation policy an alert goes to and how it is grouped. Called by triage's `routed` and `grouped`.

Semantics are Alertmanager's (https://prometheus.io/docs/alerting/latest/configuration/#route): children are tried in order, the deepest match
wins, and `continue` lets the siblings after a match be tried as well. The first route found opens the incident; further ones
page their own policies about the same incident (one problem is one incident).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.matching import Matcher, all_match


class Route(BaseModel):
    """One node of the tree with what it inherits already filled in.

    `path` names it in reasons (`root/0/2`); `key` is its identity, made of the matchers from the root down, so that a route added elsewhere
    does not give open incidents another group.
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
    routes: tuple[Route, ...] = ()

    def __str__(self) -> str:
        condition = ", ".join(str(one) for one in self.matchers) or "everything"
        return f"{self.path} ({condition})"


def find(root: Route, labels: Mapping[str, str]) -> tuple[Route, ...]:
    """All routes that an alert with these labels takes, in order; empty only when the root itself does not match."""
    if not all_match(root.matchers, labels):
        return ()
    found: list[Route] = []
    for child in root.routes:
        deeper = find(child, labels)
        found.extend(deeper)
        if deeper and not child.go_on:
            break
    return tuple(found) or (root,)


def group_labels(route: Route, alert: Alert) -> dict[str, str]:
    """The labels that make two alerts one problem; `...` means all of them."""
    if "..." in route.group_by:
        return dict(alert.labels)
    return {name: alert.labels[name] for name in route.group_by if alert.labels.get(name)}


def group_key(route: Route, labels: Mapping[str, str]) -> str:
    """Identity of the problem: the same for every alert of the group, on every replica. Example: `root/{team="shop"}{"alertname":"A"}`."""
    return route.key + json.dumps(dict(labels), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
