"""How bad an alert is: its route, its burn rate, its label, the default; never worse than its service may be."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.severity import MEDIA, BurnRate, Taxonomy
from tests.domain.alerts import alert

USUAL = Taxonomy(aliases={"p1": "critical", "page": "critical", "sev3": "warning"})
BURNING = replace(USUAL, burn_rate=BurnRate())
BOUNDED = replace(BURNING, at_most={"checkout": "warning"})

SEVERITIES: list[tuple[str, Taxonomy, dict[str, str], str, str, str]] = [
    # taxonomy, labels, its route's, severity, because
    ("its label", USUAL, {"severity": "error"}, "", "error", "severity=error"),
    ("in capitals and with spaces", USUAL, {"severity": " Critical "}, "", "critical", "severity=Critical"),
    ("an alias", USUAL, {"severity": "P1"}, "", "critical", "severity=P1"),
    ("no label", USUAL, {}, "", "warning", "it has no label severity, so the default"),
    ("an empty label", USUAL, {"severity": "  "}, "", "warning", "it has no label severity, so the default"),
    ("another label", replace(USUAL, label="prio"), {"prio": "p1", "severity": "info"}, "", "critical", "prio=p1"),
    ("another default", replace(USUAL, default="error"), {}, "", "error", "it has no label severity, so the default"),
    ("its route's", USUAL, {"severity": "info"}, "critical", "critical", "its route says so"),
    ("its route's, whatever burns", BURNING, {"burn_rate": "20"}, "info", "info", "its route says so"),
    ("a burn rate", BURNING, {"severity": "info", "burn_rate": "14.4"}, "", "critical",
     "its error budget burns at 14.4 times the rate it can bear"),
    ("a burn rate below the first", BURNING, {"burn_rate": "14.39"}, "", "error",
     "its error budget burns at 14.39 times the rate it can bear"),
    ("a burn rate that is bearable", BURNING, {"severity": "info", "burn_rate": "0.99"}, "", "info", "severity=info"),
    ("a negative burn rate", BURNING, {"severity": "info", "burn_rate": "-20"}, "", "info", "severity=info"),
    ("a burn rate in powers of ten", BURNING, {"burn_rate": "1.5e+1"}, "", "critical",
     "its error budget burns at 1.5e+1 times the rate it can bear"),
    ("a budget of nothing burns infinitely fast", BURNING, {"burn_rate": "+Inf"}, "", "critical",
     "its error budget burns at +Inf times the rate it can bear"),
    ("not a number", BURNING, {"severity": "error", "burn_rate": "NaN"}, "", "error", "severity=error"),
    ("minus infinity", BURNING, {"severity": "error", "burn_rate": "-Inf"}, "", "error", "severity=error"),
    ("garbage", BURNING, {"severity": "error", "burn_rate": "fast"}, "", "error", "severity=error"),
    ("what only Python takes for a number", BURNING, {"severity": "error", "burn_rate": "1_000"}, "", "error", "severity=error"),
    ("digits of another script", BURNING, {"severity": "error", "burn_rate": "\u0661\u0664"}, "", "error", "severity=error"),
    ("a very long number", BURNING, {"severity": "error", "burn_rate": "9" * 5000}, "", "error", "severity=error"),
    ("no worse than its service may be", BOUNDED, {"severity": "critical"}, "", "warning",
     "severity=critical; alerts of checkout are warning at most (services.yaml)"),
    ("less bad than its service may be", BOUNDED, {"severity": "info"}, "", "info", "severity=info"),
    ("as bad as its service may be", BOUNDED, {"severity": "warning"}, "", "warning", "severity=warning"),
    ("another service", BOUNDED, {"severity": "critical", "service": "cart"}, "", "critical", "severity=critical"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("taxonomy", "labels", "override", "severity", "because"), [case[1:] for case in SEVERITIES], ids=[case[0] for case in SEVERITIES]
)  # fmt: skip
def test_an_alert_is_as_bad_as_it_is_said_to_be(
    taxonomy: Taxonomy, labels: dict[str, str], override: str, severity: str, because: str
) -> None:
    judged = taxonomy.of(alert(**labels), override)
    assert (judged.severity, judged.because, judged.doubt) == (severity, because, "")


def test_a_burn_rate_may_stand_in_an_annotation() -> None:
    given = replace(alert(severity="info"), annotations={"burn_rate": "7"})
    assert BURNING.of(given).severity == "error"
    assert BURNING.of(replace(given, labels={**given.labels, "burn_rate": "15"})).severity == "critical"


@pytest.mark.parametrize("word", ["catastrophic", "0", "x" * 5000])
def test_a_severity_that_does_not_exist_here_is_the_default_with_a_doubt(word: str) -> None:
    judged = USUAL.of(alert(severity=word))
    assert judged.severity == "warning"
    assert judged.because == f"severity={word[:60]} is not known, so the default"
    assert judged.doubt == f"The alert says severity={word[:60]}, which is no severity here: it counts as warning"


def test_a_doubt_stays_when_the_service_bounds_the_default() -> None:
    judged = replace(BOUNDED, default="error").of(alert(severity="huh"))
    assert judged.severity == "warning"
    assert "severity=huh" in judged.doubt


def test_the_worst_is_the_first_in_the_list_and_what_is_not_known_comes_last() -> None:
    assert USUAL.worst(["info", "error", "warning"]) == "error"
    assert USUAL.worst(["huh", "info"]) == "info"
    assert [USUAL.rank(name) for name in ("critical", "info", "huh")] == [0, 3, 4]


@pytest.mark.parametrize(
    ("severity", "media"),
    [
        ("info", ("log",)),
        ("warning", ("log", "slack", "chat")),
        ("error", ("log", "slack", "chat", "email", "push", "webhook")),
        ("critical", ("log", "slack", "chat", "email", "push", "sms", "call", "pager", "webhook")),
        ("mine", MEDIA),
    ],
)
def test_a_severity_reaches_people_through_its_media(severity: str, media: tuple[str, ...]) -> None:
    assert USUAL.through(severity) == media
