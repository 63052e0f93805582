"""Routing, grouping, silences and inhibition give what the real Alertmanager gave on more than 2,000 alerts; its answers are recorded beside this."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.support import alertmanager_cases
from tests.support.alertmanager_cases import ID, SCENARIOS, ours, verdict_of


@cache
def recorded() -> dict[str, Any]:
    return alertmanager_cases.recorded()


@pytest.mark.parametrize("number", range(SCENARIOS))
def test_it_is_as_alertmanager_said(number: int) -> None:
    scenario, answers = recorded()["scenarios"][number], recorded()["answers"][number]
    assert ours(scenario) == [{**answer, "verdict": verdict_of(answer)} for answer in answers]


def test_the_recording_has_enough_cases_of_every_kind() -> None:
    answers = [answer for found in recorded()["answers"] for answer in found]
    assert len(recorded()["scenarios"]) == len(recorded()["answers"]) == SCENARIOS
    assert len(answers) >= 2000
    assert len({answer[ID] for answer in answers}) >= 40
    kinds = {
        "silenced": sum(bool(answer["silenced"]) for answer in answers),
        "inhibited": sum(answer["inhibited"] for answer in answers),
        "both": sum(bool(answer["silenced"]) and answer["inhibited"] for answer in answers),
        "neither": sum(verdict_of(answer) == "opened" for answer in answers),
        "several receivers": sum(len(answer["receivers"]) > 1 for answer in answers),
        "not the root": sum(answer["receivers"] != ["root"] for answer in answers),
        "grouped": sum(any(answer["groups"].values()) for answer in answers),
    }
    assert {kind for kind, number in kinds.items() if number < 50} == set(), kinds
