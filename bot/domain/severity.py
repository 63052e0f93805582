"""How bad an alert is, in the words of this house, and through what it may reach people. Filled from `severities` in tocsin.yaml, used by triage."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.domain.alert import Alert

# As Prometheus writes numbers. Infinite is how fast a budget of nothing burns; NaN is no rate at all.
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,30})?|\.\d{1,30})(e[+-]?\d{1,3})?|\+?Inf", re.ASCII | re.IGNORECASE)
DEFAULT_SEVERITIES = ("critical", "error", "warning", "info")
MEDIA = ("log", "slack", "chat", "email", "push", "sms", "call", "pager", "webhook")
DEFAULT_MEDIA: Mapping[str, tuple[str, ...]] = {
    "info": ("log",),
    "warning": ("log", "slack", "chat"),
    "error": ("log", "slack", "chat", "email", "push", "webhook"),
    "critical": MEDIA,
}


@dataclass(frozen=True, slots=True)
class BurnRate:
    """Severity from how fast an error budget burns: the first severity whose least rate is reached (https://sre.google/workbook/alerting-on-slos/).

    `label`: the label or annotation that holds the rate as a number, 1 being a budget that lasts exactly its period.
    """

    label: str = "burn_rate"
    least: Mapping[str, float] = field(default_factory=lambda: {"critical": 14.4, "error": 6.0, "warning": 1.0})

    def of(self, alert: Alert) -> tuple[str | None, str]:
        """The severity, or None below every least rate; and the rate as it was written (empty: the alert has none that is a number)."""
        text = (alert.labels.get(self.label) or alert.annotations.get(self.label) or "").strip()
        if not _NUMBER.fullmatch(text):
            return None, ""
        return next((name for name, least in self.least.items() if float(text) >= least), None), text


@dataclass(frozen=True, slots=True)
class Judged:
    """A severity and how it came about; `doubt` is for people: what was found does not exist here."""

    severity: str
    because: str
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """`names`: the most severe first. `aliases`: what senders call them. `at_most`: the most severe that a service's alerts can be."""

    names: tuple[str, ...] = DEFAULT_SEVERITIES
    default: str = "warning"
    label: str = "severity"
    aliases: Mapping[str, str] = field(default_factory=dict)
    burn_rate: BurnRate | None = None
    at_most: Mapping[str, str] = field(default_factory=dict)
    media: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: DEFAULT_MEDIA)

    def rank(self, severity: str) -> int:
        """0 for the most severe; what is not known comes last."""
        return self.names.index(severity) if severity in self.names else len(self.names)

    def worst(self, severities: Iterable[str]) -> str:
        """The most severe of them (at least one)."""
        return min(severities, key=self.rank)

    def of(self, alert: Alert, override: str = "") -> Judged:
        """The severity of an alert: what its route says, else its burn rate, else its label, else the default; bounded by its service."""
        judged = self._said(alert, override)
        most = self.at_most.get(alert.service, "")
        if most and self.rank(judged.severity) < self.rank(most):
            return Judged(
                most, f"{judged.because}; alerts of {alert.service} are {most} at most (services.yaml)", judged.doubt
            )
        return judged

    def _said(self, alert: Alert, override: str) -> Judged:
        if override:
            return Judged(override, "its route says so")
        if self.burn_rate is not None:
            severity, rate = self.burn_rate.of(alert)
            if severity is not None:
                return Judged(severity, f"its error budget burns at {rate} times the rate it can bear")
        word = alert.labels.get(self.label, "").strip()
        known = word.lower()
        known = self.aliases.get(known, known)
        if known in self.names:
            return Judged(known, f"{self.label}={word}")
        if not word:
            return Judged(self.default, f"it has no label {self.label}, so the default")
        doubt = f"The alert says {self.label}={word[:60]}, which is no severity here: it counts as {self.default}"
        return Judged(self.default, f"{self.label}={word[:60]} is not known, so the default", doubt)

    def through(self, severity: str) -> tuple[str, ...]:
        """The media that this severity may use. One that the table does not name uses everything: rather too loud than lost."""
        return self.media.get(severity, MEDIA)
