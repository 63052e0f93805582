"""Takes secrets out of text before anybody sees it: Slack, post-mortems, logs (P6). Every text that came from outside goes through a `Redactor`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from bot.domain.alert import Alert
from bot.domain.redaction_patterns import MARK, NO_VALUE, OPTIONAL, PATTERNS, WORDS, Pattern, kind_of

LONGEST = 1_000_000
# What is remembered as free of secrets: values of labels and annotations repeat from alert to alert. Nothing that has a secret in it is kept.
MOST_REMEMBERED, LONGEST_REMEMBERED = 10_000, 300

_SECRET_NAME = re.compile(rf"(?:{WORDS}|authorization|cookie)\Z", re.I)
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


class Redactor:
    """The port `Redact`. `extra`: more patterns by kind (from policy.yaml); `optional`: names from OPTIONAL to turn on. Raises re.error."""

    def __init__(self, extra: Mapping[str, str] | None = None, optional: Collection[str] = ()) -> None:
        self._patterns = PATTERNS + tuple(OPTIONAL[name] for name in optional)
        self._extra = tuple(Pattern(kind, (), re.compile(regex)) for kind, regex in (extra or {}).items())
        self._gates = _gates(pair for pattern in self._patterns for pair in pattern.hints)
        self._harmless: set[str] = set()
        self._harmless_names: set[str] = set()

    def __call__(self, text: str) -> str:
        """The text with every secret replaced by a mark that names its kind. What is longer than LONGEST is cut there."""
        if text in self._harmless:
            return text
        clean = self._cleaned(text)
        if clean == text:
            _remember(self._harmless, text)
        return clean

    def _cleaned(self, text: str) -> str:
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}… [{len(text) - LONGEST:,} more characters left out]"
        low = text.lower()
        if self._hinted(low):
            for pattern in self._patterns:
                if any(hint in low for _, hint in pattern.hints):
                    text = pattern.apply(text)
        for pattern in self._extra:
            text = pattern.apply(text)
        return text

    def labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Labels or annotations, with secrets taken out of the values; a value whose name says that it is one goes as a whole.

        The label `secret` with a Kubernetes name for a value is the name of a Secret (kube-state-metrics), which is none.
        """
        return {name: self._label(name, value) for name, value in labels.items()}

    def alert(self, alert: Alert) -> Alert:
        """The alert without secrets in its labels, annotations and link."""
        labels, annotations = self.labels(alert.labels), self.labels(alert.annotations)
        return replace(alert, labels=labels, annotations=annotations, url=self(alert.url))

    def _label(self, name: str, value: str) -> str:
        if name in self._harmless_names:
            return value if value in self._harmless else self(value)
        if not _SECRET_NAME.search(name):
            _remember(self._harmless_names, name)
            return self(value)
        clean = self._cleaned(value)  # not remembered: it may be the secret itself
        if clean != value:
            return clean
        harmless = not value or NO_VALUE.match(value) or (name == "secret" and _KUBERNETES_NAME.fullmatch(value))
        return value if harmless else MARK.format(kind_of(name.lower()))

    def _hinted(self, low: str) -> bool:
        """Whether any pattern could match: almost always not, so this is what redaction costs."""
        for gate, hints in self._gates:
            if gate in low:
                for hint in hints:
                    if hint in low:
                        return True
        return False


def _remember(known: set[str], text: str) -> None:
    if len(text) > LONGEST_REMEMBERED:
        return
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known.add(text)


def _gates(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The hints by gate; a hint that contains another one of its gate is left out."""
    grouped: dict[str, set[str]] = {}
    for gate, hint in pairs:
        grouped.setdefault(gate, set()).add(hint)
    return tuple(
        (gate, tuple(sorted(hint for hint in hints if not any(other in hint for other in hints - {hint}))))
        for gate, hints in sorted(grouped.items())
    )
