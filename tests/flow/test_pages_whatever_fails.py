"""Whatever fails, nobody sleeps through it in silence: random media fail in random ways, people acknowledge or not, time passes in random steps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.incident import State
from bot.domain.media import MediumRules
from bot.domain.page import ARRIVED
from bot.errors import GaveUp, TryLater
from tests.flow.paging_house import KINDS, house, opened, pages, shop
from tests.flow.paging_house import given as ruled
from tests.support.house import ADA, BOB, House

LATER, LOST, NEVER = "later", "lost", "never"


@dataclass(frozen=True)
class Story:
    """`faults`: per medium what its next attempts come to; `steps`: (seconds that pass, who acknowledges then, or restarts)."""

    faults: dict[str, list[str]]
    always: dict[str, str]
    steps: list[tuple[int, str]]
    severity: str
    bundle: bool


STORIES = st.builds(
    Story,
    faults=st.dictionaries(st.sampled_from(sorted(KINDS)), st.lists(st.sampled_from([LATER, LOST, NEVER]), max_size=4)),
    always=st.dictionaries(st.sampled_from(sorted(KINDS)), st.sampled_from([LATER, NEVER])),
    steps=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from(["", "", "", "acknowledge", "expire", "restart"])),
        min_size=1,
        max_size=8,
    ),
    severity=st.sampled_from(["critical", "warning"]),
    bundle=st.booleans(),
)


def fault(name: str) -> Exception:
    if name == NEVER:
        return GaveUp("refused for good")
    return TryLater("not now", delay=3, uncertain=name == LOST)


def prepared(it: House, story: Story) -> None:
    for name, faults in story.faults.items():
        if name == "slack":
            it.room.failures["page"] = [fault(one) for one in faults]
        else:
            it.media[name].failures = [fault(one) for one in faults]
    for name, one in story.always.items():
        if name == "slack":
            it.room.failures["page"] = [fault(one)] * 2000
        else:
            it.media[name].down = fault(one)


async def played(story: Story) -> list[House]:
    """The houses, one after each restart."""
    policy = shop(("person:ada", "medium:pd"), ("group:all", "channel:ops"), repeat=1)
    media = {"sms": MediumRules("sms", bundle=policy.levels[0].timeout / 5 * story.bundle, per_minute=2 * story.bundle)}
    made = replace(ruled(policy, media=media), last_resort=("person:cleo",))
    houses = [house(made)]
    prepared(houses[0], story)
    await opened(houses[0], story.severity, "one")
    await opened(houses[0], story.severity, "two")
    for seconds, what in [*story.steps, *[(25, "")] * 6, *[(301, "")] * 8]:
        it = houses[-1]
        await it.wait(seconds=seconds)
        if what == "acknowledge":
            await it.incidents.acknowledge(1, ADA)
        elif what == "expire":
            await it.incidents.escalate(1, BOB)
        elif what == "restart":
            houses.append(house(made, store=it.store, clock=it.clock))
            houses[-1].room.failures = it.room.failures
            for name, medium in it.media.items():
                houses[-1].media[name].failures, houses[-1].media[name].down = medium.failures, medium.down
        await houses[-1].settle()
    return houses


@settings(max_examples=12, deadline=None)
@given(STORIES)
async def test_somebody_is_reached_or_an_alarm_says_so_and_nothing_is_sent_twice(story: Story) -> None:
    await kept(story)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(STORIES)
async def test_it_is_so_in_many_stories(story: Story) -> None:
    await kept(story)


async def kept(story: Story) -> None:
    """Never both silence and nobody reached; and each page once."""
    houses = await played(story)
    alarms = [act[1] for it in houses for act in it.room.said("alarm")]
    for number in (1, 2):
        known = await pages(houses[-1], number)
        reached = [one for one in known if one.state in ARRIVED or (one.state == "bundled" and one.answer)]
        incident = await houses[-1].incident(number)
        alarm = any(incident.ref in text for text in alarms)
        assert reached or alarm or incident.state is not State.TRIGGERED, "silence"
        assert alarm or incident.state is not State.TRIGGERED, "nobody acknowledged, so it has been said loudly"
    sent = Counter(
        (name, notice.key, address) for it in houses for name, one in it.media.items() for notice, address in one.sent
    )
    unsure = any(LOST in faults for faults in story.faults.values())
    assert unsure or max(sent.values(), default=0) <= 1, "once, unless nobody could know"
