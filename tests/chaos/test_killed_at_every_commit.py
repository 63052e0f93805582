"""P1 to P5 against kill -9: the demo's story, with the program killed once at every point that can be told apart, ends as if nothing had happened.

A run without a kill says which commits and which calls of Slack and the cluster there are. Then one run each:

- killed just after the n-th commit, before anything else happens;
- killed just after the k-th call took effect, before its answer arrives;
- the answer of the last call before the n-th commit is lost, the attempt is recorded as uncertain by that commit, and then it is killed.

"Just before the n-th commit" is one of the first two, because nothing that lasts happens in between; `TOCSIN_CHAOS=all` runs those cases as well.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.outside import Mishap, differences, final, outside, story

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

AT_A_TIME = 3
EVERYTHING = os.environ.get("TOCSIN_CHAOS") == "all"
SHOWN = 12


@dataclass(frozen=True)
class Case:
    """`where` in words; at which commit to die, and what happens to which call."""

    where: str
    die: int = 0
    before: bool = False
    mishap: Mishap = field(default_factory=Mishap)


@dataclass(frozen=True)
class Calm:
    """The run without a kill: how it ended, its commits, and how many calls it made."""

    state: dict[str, Any]
    commits: list[dict[str, Any]]
    calls: int


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where possible: a killed process needs no disk to be survived, only a killed machine does."""
    made = Path(tempfile.mkdtemp(prefix="tocsin-chaos-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def calm(door: str, folder: Path) -> Calm:
    async with outside(door, folder / "calm") as it:
        await story(it)
        state = await final(it)
        assert it.lives == 1
        return Calm(state, [one for one in it.commits() if one["what"] != "claim"], it.now.calls)


def must_be_right(state: dict[str, Any]) -> None:
    """What the story must have come to when nothing went wrong."""
    (incident,) = state["incidents"].values()
    assert incident["state"] == "resolved"
    assert incident["chain"] == "unbroken"
    assert [run["state"] for run in incident["runs"]] == ["succeeded"]
    assert state["patches"] == ["patch deployments checkout"]
    assert state["deployment"] == {"image": "checkout:1.4.1", "ready": 3}
    assert state["as written"]
    assert state["dead"] == []
    assert state["due"] == {}
    assert set(state["waiting"]) <= {"escalate"}
    assert [name for name in state["channels"] if name.startswith("inc-")] == ["inc-1-checkout-high-error-rate"]


async def ends_as(calm: Calm, door: str, folder: Path, case: Case) -> list[str]:
    """How the run of this case ended otherwise than it should."""
    async with outside(door, folder / case.where.replace(" ", "-"), case.die, case.before, case.mishap) as it:
        try:
            async with asyncio.timeout(60):
                await story(it)
                # What is tried again later lets others go first.
                found = differences(calm.state, await final(it), ordered=case.mishap.kill or not case.mishap.call)
            if it.lives != 2:
                found.append(f"it lived {it.lives} times instead of twice")
        except Exception as error:
            found = [f"{type(error).__name__}: {error}", *differences(calm.state["incidents"], (await it.look())["incidents"])]
    shutil.rmtree(it.folder, ignore_errors=True)
    return [f"killed {case.where}:", *(f"  {line}" for line in found)] if found else []


async def all_of(calm: Calm, door: str, folder: Path, cases: list[Case]) -> None:
    """Run them, a few at a time; one failure that tells of all."""
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(case: Case) -> list[str]:
        async with gate:
            return await ends_as(calm, door, folder, case)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(case)) for case in cases]
    wrong = [task.result() for task in running if task.result()]
    shown = "\n".join(line for lines in wrong[:SHOWN] for line in lines)
    others = "; ".join(lines[0] for lines in wrong[SHOWN:])
    assert not wrong, f"{len(wrong)} of {len(cases)} cases ended otherwise\n{shown}\nand {others}"
    print(f"{len(cases)} cases")


async def test_a_kill_just_after_any_commit_changes_nothing(door: str, folder: Path) -> None:
    reference = await calm(door, folder)
    must_be_right(reference.state)
    cases = [Case(f"after commit {one['number']} ({one['what']})", one["number"]) for one in reference.commits]
    if EVERYTHING:
        cases += [Case(f"before commit {one['number']} ({one['what']})", one["number"], True) for one in reference.commits]
    await all_of(reference, door, folder, cases)


async def test_a_kill_just_after_any_call_took_effect_changes_nothing(door: str, folder: Path) -> None:
    reference = await calm(door, folder)
    cases = [Case(f"at call {number}", mishap=Mishap(number, kill=True)) for number in range(1, reference.calls + 1)]
    await all_of(reference, door, folder, cases)


async def test_a_lost_answer_and_a_kill_change_nothing(door: str, folder: Path) -> None:
    reference = await calm(door, folder)
    cases = []
    calls = 0
    for one in reference.commits:
        if one["calls"] > calls:
            calls = one["calls"]
            where = f"commit {one['number']} ({one['what']}), the answer to call {calls} lost"
            cases.append(Case(f"after {where}", one["number"], mishap=Mishap(calls)))
            if EVERYTHING:
                cases.append(Case(f"before {where}", one["number"], True, Mishap(calls)))
    await all_of(reference, door, folder, cases)
