"""P1 to P5 against kill -9: the demo's story, with the program killed once at every point that can be told apart, ends as if nothing had happened.

A run without a kill says which commits and which calls of Slack and the cluster there are. Then one run each:

- killed just after the n-th commit, before anything else happens;
- killed just after the k-th call took effect, before its answer arrives;
- the answer of the last call before the n-th commit is lost, that commit records the attempt as uncertain, and then it is killed.

"Just before the n-th commit" is one of the first two, because nothing that lasts happens in between; `TOCSIN_CHAOS=all` runs those cases as well.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.cases import Calm, Case, all_end_as, calm
from tests.chaos.outside import Setting, Trouble

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

EVERYTHING = os.environ.get("TOCSIN_CHAOS") == "all"


async def run(door: str, folder: Path, cases: list[Case], reference: Calm) -> None:
    await all_end_as(reference, lambda case, at: Setting(door, at, trouble=case.trouble), folder, cases)


async def test_a_kill_just_after_any_commit_changes_nothing(door: str, folder: Path) -> None:
    reference = await calm(door, folder)
    cases = []
    for one in reference.commits:
        where = f"commit {one['number']} ({one['what']})"
        cases.append(Case(f"killed after {where}", Trouble(die=one["number"]), at_once=True))
        if EVERYTHING:
            cases.append(Case(f"killed before {where}", Trouble(die=one["number"], before=True), at_once=True))
    await run(door, folder, cases, reference)


async def test_a_kill_just_after_any_call_took_effect_changes_nothing(door: str, folder: Path) -> None:
    reference = await calm(door, folder)
    numbers = range(1, reference.calls + 1)
    cases = [Case(f"killed at call {n}", Trouble(lose=n, kill=True), at_once=True) for n in numbers]
    await run(door, folder, cases, reference)


async def test_a_lost_answer_and_then_a_kill_change_nothing(door: str, folder: Path) -> None:
    """What is tried again later lets others go first, so the order may be another one."""
    reference = await calm(door, folder)
    cases, calls = [], 0
    for one in reference.commits:
        if one["calls"] > calls:
            calls = one["calls"]
            where = f"commit {one['number']} ({one['what']}), the answer to call {calls} lost"
            cases.append(Case(f"killed after {where}", Trouble(die=one["number"], lose=calls), ordered=False))
            if EVERYTHING:
                trouble = Trouble(die=one["number"], before=True, lose=calls)
                cases.append(Case(f"killed before {where}", trouble, ordered=False))
    await run(door, folder, cases, reference)
