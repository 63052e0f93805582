"""Who is paged next: level by level, round by round, past what cannot be paged, until nobody is left."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.escalation import Level, Paging, Policy, Track, next_paging
from bot.domain.people import Directory, Person, Rotation
from tests.domain.alerts import NOW

PEOPLE = {
    "ada": Person(key="ada", name="Ada", slack="U0ADA"),
    "bob": Person(key="bob", name="Bob", slack="U0BOB"),
    "eve": Person(key="eve", name="Eve"),
}
WEEK = timedelta(weeks=1)
DIRECTORY = Directory(
    people=PEOPLE,
    rotations={
        "shop": Rotation(key="shop", people=("bob",), every=WEEK, starts=NOW - WEEK),
        "later": Rotation(key="later", people=("bob",), every=WEEK, starts=NOW + WEEK),
    },
)


def track(*levels: tuple[str, ...], repeat: int = 0, step: int = 0) -> Track:
    made = tuple(Level(targets=targets, timeout=timedelta(minutes=number)) for number, targets in enumerate(levels, 1))
    return Track(policy=Policy(key="p", levels=made, repeat=repeat), step=step)


ADA, BOB, EVE, OPS = "person:ada", "person:bob", "person:eve", "channel:ops"


@pytest.mark.parametrize(
    ("before", "targets", "level", "rounds", "skipped"),
    [
        (track((ADA,), (BOB,)), (ADA,), 1, 1, ()),
        (track((ADA,), (BOB,), step=1), (BOB,), 2, 1, ()),
        (track((ADA,), (BOB,), repeat=1, step=2), (ADA,), 1, 2, ()),
        (track((ADA, BOB, OPS)), (ADA, BOB, OPS), 1, 1, ()),
        (track((ADA, ADA, BOB)), (ADA, BOB), 1, 1, ()),
        (track(("rotation:shop", BOB)), (BOB,), 1, 1, ()),
        (track(("rotation:later",), (ADA,)), (ADA,), 2, 1, ("level 1: rotation:later has nobody on call",)),
        (track((EVE, ADA)), (ADA,), 1, 1, ("level 1: person:eve has no way to be paged",)),
        (track((), (ADA,)), (ADA,), 2, 1, ("level 1: nobody is on it",)),
        (track(("person:gone",), (ADA,)), (ADA,), 2, 1, ("level 1: person:gone has nobody on call",)),
        (track((EVE,), (ADA,), repeat=1, step=2), (ADA,), 2, 2, ("level 1: person:eve has no way to be paged",)),
    ],
)
def test_the_next_level_with_somebody_to_page(
    before: Track, targets: tuple[str, ...], level: int, rounds: int, skipped: tuple[str, ...]
) -> None:
    paging = next_paging(before, DIRECTORY, NOW)
    assert (paging.targets, paging.level, paging.round, paging.skipped) == (targets, level, rounds, skipped)
    assert paging.next_due == NOW + timedelta(minutes=level), "the level's own time"
    assert not paging.track.exhausted


@pytest.mark.parametrize(
    "before", [track((ADA,), step=1), track((EVE,)), track(()), track(), track((EVE,), (), repeat=3)]
)
def test_when_nobody_is_left_it_is_exhausted_at_once(before: Track) -> None:
    paging = next_paging(before, DIRECTORY, NOW)
    assert (paging.targets, paging.next_due, paging.track.exhausted) == ((), None, True)


@given(
    st.lists(st.lists(st.sampled_from([ADA, BOB, EVE, OPS, "rotation:shop", "rotation:gone"]), max_size=3), max_size=5),
    st.integers(0, 4),
)
def test_paging_always_comes_to_an_end_and_passes_over_nobody(levels: list[list[str]], repeat: int) -> None:
    going = track(*map(tuple, levels), repeat=repeat)
    pagings: list[Paging] = []
    while not going.exhausted:
        pagings.append(next_paging(going, DIRECTORY, NOW))
        going = pagings[-1].track
        assert len(pagings) <= len(levels) * (repeat + 1) + 1
    paged = [target for paging in pagings for target in paging.targets]
    for level in levels:
        for target in level:
            means = DIRECTORY.resolve(target, NOW)
            if means and means != EVE:
                assert paged.count(means) >= repeat + 1
