"""P7: Slack fails at random over the whole story (rate limited, broken, silent, answers lost), the cluster too: the same ending."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.chaos.cases import Case, all_end_as, calm
from tests.chaos.outside import Outside, Setting, Trouble

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SEEDS = 20
SHARES = {"500": 0.1, "timeout": 0.05, "lost": 0.15}
LIMITED = 0.03  # few: the gateway takes Slack's Retry-After for real seconds, and 1 is the least


def flapping(it: Outside) -> None:
    for kind, share in SHARES.items():
        it.world.workspace.faults.add(kind, probability=share, seconds=0)
    it.world.workspace.faults.add("429", probability=LIMITED, seconds=1)


async def test_a_flapping_slack_delays_and_nothing_else(door: str, folder: Path) -> None:
    reference = await calm(door, folder)
    # A page that is only confirmed after the incident is over stands in the timeline, which is compared, and is too late for the post-mortem.
    late = ("post-mortem",)
    case = partial(Case, lives=1, ordered=False, prepare=flapping, cluster_flaps=0.1, besides=late)
    cases = [case(f"seed {seed}", Trouble(seed=seed)) for seed in range(1, SEEDS + 1)]
    await all_end_as(reference, lambda case, at: Setting(door, at, trouble=case.trouble), folder, cases)
