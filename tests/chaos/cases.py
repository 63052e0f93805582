"""Runs the story once without trouble, then once for each case, a few at a time, and tells of all endings that differ."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.chaos.endings import differences, final, must_be_right
from tests.chaos.outside import Outside, Setting, Trouble, outside, story

AT_A_TIME = 3
SHOWN = 12
CLICKED_AGAIN = timedelta(seconds=2)
ENOUGH = 60.0  # real seconds for one case, on a machine that does other things as well


@dataclass(frozen=True)
class Case:
    """`where` in words. `lives`: how many the program must have. `at_once`: nothing may have waited for a lease to run out or for another attempt.

    `prepare` sets up more of the world; `cluster_flaps` as in `story`. `besides`: parts of the ending that are not compared.
    """

    where: str
    trouble: Trouble = field(default_factory=Trouble)
    lives: int = 2
    ordered: bool = True
    at_once: bool = False
    prepare: Callable[[Outside], None] = lambda it: None
    cluster_flaps: float = 0.0
    besides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Calm:
    """The run without trouble: how it ended, its commits, and how many calls it made."""

    state: dict[str, Any]
    commits: list[dict[str, Any]]
    calls: int
    ended: datetime


async def calm(door: str, folder: Path) -> Calm:
    async with outside(Setting(door, folder / "calm")) as it:
        await story(it)
        state = await final(it)
        must_be_right(state)
        assert it.lives == 1
        return Calm(state, [one for one in it.commits() if one["what"] != "claim"], it.now.calls, it.now())


async def all_end_as(calm: Calm, setting: Callable[[Case, Path], Setting], folder: Path, cases: Iterable[Case]) -> None:
    """Every case ends as the calm run did; else one failure that tells of all."""
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int, case: Case) -> list[str]:
        async with gate:
            return await _wrong(calm, setting(case, folder / f"case-{number}"), case)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one(number, case)) for number, case in enumerate(cases)]
    wrong = [task.result() for task in running if task.result()]
    shown = "\n".join(line for lines in wrong[:SHOWN] for line in lines)
    others = "\nand: " + "; ".join(lines[0] for lines in wrong[SHOWN:]) if len(wrong) > SHOWN else ""
    assert not wrong, f"{len(wrong)} of {len(running)} cases ended otherwise\n{shown}{others}"
    print(f"{len(running)} cases")


async def _wrong(calm: Calm, setting: Setting, case: Case) -> list[str]:
    """How the run of this case ended otherwise than it should."""
    async with outside(setting) as it:
        case.prepare(it)
        try:
            async with asyncio.timeout(ENOUGH):
                await story(it, cluster_flaps=case.cluster_flaps)
                compared = [
                    {part: value for part, value in state.items() if part not in case.besides}
                    for state in (calm.state, await final(it))
                ]
                found = differences(*compared, ordered=case.ordered)
            if case.at_once and it.now() > calm.ended + CLICKED_AGAIN:
                found.append(f"it took {it.now() - calm.ended} longer, so something waited")
            if it.lives != case.lives:
                found.append(f"it lived {it.lives} times instead of {case.lives}")
        except Exception as error:
            found = [
                f"{type(error).__name__}: {error}",
                *differences(calm.state["incidents"], (await it.look())["incidents"]),
            ]
    shutil.rmtree(it.folder, ignore_errors=True)
    return [f"{case.where}:", *(f"  {line}" for line in found)] if found else []
