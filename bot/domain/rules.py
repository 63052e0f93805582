"""All that the decisions need from the configuration, as one frozen value: a reload replaces it whole. Made by app, used by flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bot.domain.alert import Alert
from bot.domain.catalogue import Service
from bot.domain.escalation import Policy as EscalationPolicy
from bot.domain.people import Directory
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.routing import Route
from bot.domain.runbook import Runbook

DEFAULT_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Rules:
    """`severities`: the most severe first. `escalations`: escalation policies by name. `actions`: what runbooks may do."""

    root: Route = field(default_factory=Route)
    escalations: Mapping[str, EscalationPolicy] = field(default_factory=dict)
    default_escalation: str = ""
    directory: Directory = field(default_factory=Directory)
    services: Mapping[str, Service] = field(default_factory=dict)
    runbooks: Mapping[str, Runbook] = field(default_factory=dict)
    actions: ActionPolicy = field(default_factory=ActionPolicy)
    severities: tuple[str, ...] = DEFAULT_SEVERITIES
    default_severity: str = "warning"
    severity_label: str = "severity"
    auto_resolve: bool = True

    def severity_of(self, alert: Alert) -> str:
        """The alert's severity when the configuration knows it, else the default one."""
        severity = alert.labels.get(self.severity_label, "").lower()
        return severity if severity in self.severities else self.default_severity

    def worst(self, severities: Iterable[str]) -> str:
        """The most severe of them (at least one)."""
        return min(
            severities, key=lambda one: self.severities.index(one) if one in self.severities else len(self.severities)
        )

    def policies_of(self, routes: Iterable[Route]) -> tuple[EscalationPolicy, ...]:
        """The escalation policies of these routes, each once, in order."""
        names = dict.fromkeys(route.policy or self.default_escalation for route in routes)
        return tuple(self.escalations[name] for name in names if name in self.escalations)


CurrentRules = Callable[[], Rules]
