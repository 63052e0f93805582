"""The real Alertmanager is asked about generated configurations, silences and alerts: it routes, groups, silences and inhibits as Tocsin does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import alertmanager_live
from tests.support.alertmanager_cases import ours, recorded, scenarios, verdict_of

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]

AGAIN = "the recording is out of date: run `python -m tests.support.alertmanager_live` and look at what has changed"


async def test_it_routes_groups_silences_and_inhibits_as_alertmanager_does(tmp_path: Path) -> None:
    given = list(scenarios())
    theirs = await alertmanager_live.answers(given, tmp_path)
    for scenario, answers in zip(given, theirs, strict=True):
        assert ours(scenario) == [{**answer, "verdict": verdict_of(answer)} for answer in answers]
    known = recorded()
    assert known["scenarios"] == given, AGAIN
    assert known["answers"] == theirs, (
        f"{AGAIN} (recorded with {known['version']}, here is {await alertmanager_live.version()})"
    )
