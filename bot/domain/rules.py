"""All that the decisions need from the configuration, as one frozen value: a reload replaces it whole. Made by app, used by flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from bot.domain.catalogue import Service
from bot.domain.contact import SLACK
from bot.domain.digest_times import DigestTimes
from bot.domain.escalation import Policy as EscalationPolicy
from bot.domain.media import SLACK_RULES, MediumRules
from bot.domain.people import Directory
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.routing import Route
from bot.domain.runbook import Runbook
from bot.domain.signal import Signal


@dataclass(frozen=True, slots=True)
class Rules:
    """`signal`: what becomes of alerts. `escalations`: escalation policies by name. `actions`: what runbooks may do. `media`: those set up, by name.
    `last_resort`: targets that hear of an alarm as well as the fallback channel does (`person:bob`, `medium:ops-mail`)."""

    signal: Signal = field(default_factory=Signal)
    escalations: Mapping[str, EscalationPolicy] = field(default_factory=dict)
    default_escalation: str = ""
    directory: Directory = field(default_factory=Directory)
    services: Mapping[str, Service] = field(default_factory=dict)
    runbooks: Mapping[str, Runbook] = field(default_factory=dict)
    actions: ActionPolicy = field(default_factory=ActionPolicy)
    auto_resolve: bool = True
    digest: DigestTimes | None = None
    media: Mapping[str, MediumRules] = field(default_factory=lambda: {SLACK: SLACK_RULES})
    last_resort: tuple[str, ...] = ()
    keep_log: timedelta = timedelta(days=90)

    @property
    def severities(self) -> tuple[str, ...]:
        """The most severe first."""
        return self.signal.taxonomy.names

    def policies_of(self, routes: Iterable[Route]) -> tuple[EscalationPolicy, ...]:
        """The escalation policies of these routes, each once, in order."""
        names = dict.fromkeys(route.policy or self.default_escalation for route in routes)
        return tuple(self.escalations[name] for name in names if name in self.escalations)


CurrentRules = Callable[[], Rules]
