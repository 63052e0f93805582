"""Who is paged next: level by level, round by round, past what cannot be paged, until nobody is left."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.contact import Method
from bot.domain.escalation import Condition, Level, Paging, Policy, Situation, Track, next_paging
from bot.domain.people import Directory, Person
from bot.domain.schedule import Layer, Schedule
from bot.domain.windows import Window
from tests.domain.alerts import NOW

PEOPLE = {
    "ada": Person(key="ada", name="Ada", slack="U0ADA"),
    "bob": Person(key="bob", name="Bob", slack="U0BOB"),
    "eve": Person(key="eve", name="Eve"),
}
WEEK = timedelta(weeks=1)


def rotation(key: str, starts: datetime, turn: tuple[str, ...]) -> Schedule:
    return Schedule(key=key, layers=(Layer(name=key, turns=(turn,), starts=starts.replace(tzinfo=None), every=WEEK),))


DIRECTORY = Directory(
    people=PEOPLE,
    schedules={
        "shop": rotation("shop", NOW - WEEK, ("bob",)),
        "pair": rotation("pair", NOW - WEEK, ("ada", "bob")),
        "later": rotation("later", NOW + WEEK, ("bob",)),
    },
    groups={"all": ("ada", "bob", "eve"), "none": ()},
    media={"slack": "slack", "texts": "sms", "teams": "chat", "pd": "pager"},
)


def track(*levels: tuple[str, ...], repeat: int = 0, step: int = 0) -> Track:
    made = tuple(Level(targets=targets, timeout=timedelta(minutes=number)) for number, targets in enumerate(levels, 1))
    return Track(policy=Policy(key="p", levels=made, repeat=repeat), step=step)


NO_WAY = "level 1: person:eve has no way to be paged: Eve has no contact method"


def sms(medium: str = "texts") -> Method:
    return Method(key="sms", medium=medium, address="+4915100000001")


def unverified() -> Method:
    return sms().model_copy(update={"origin": "self", "verified": False})


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
        (track((EVE, ADA)), (ADA,), 1, 1, (NO_WAY,)),
        (track((), (ADA,)), (ADA,), 2, 1, ("level 1: nobody is on it",)),
        (track(("person:gone",), (ADA,)), (ADA,), 2, 1, ("level 1: person:gone has nobody on call",)),
        (track((EVE,), (ADA,), repeat=1, step=2), (ADA,), 2, 2, (NO_WAY,)),
        (track(("schedule:pair",)), (ADA, BOB), 1, 1, ()),
        (track(("group:all",)), (ADA, BOB), 1, 1, (NO_WAY,)),
        (track(("group:none",), (BOB,)), (BOB,), 2, 1, ("level 1: group:none has nobody on call",)),
        (track(("medium:teams", BOB)), ("medium:teams", BOB), 1, 1, ()),
        (track(("medium:gone",), (BOB,)), (BOB,), 2, 1, ("level 1: medium:gone is not set up",)),
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
    st.lists(
        st.lists(st.sampled_from([ADA, BOB, EVE, OPS, "rotation:shop", "rotation:gone", "group:all"]), max_size=3),
        max_size=5,
    ),
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
            for means in DIRECTORY.resolve(target, NOW):
                if means != EVE:
                    assert paged.count(means) >= repeat + 1


# ------------------------------------------------------------------------------------------------ who is skipped at once, and loudly


def test_complaint_14_a_level_with_nobody_on_call_does_not_wait() -> None:
    paging = next_paging(track(("schedule:later",), (ADA,)), DIRECTORY, NOW)
    assert paging.targets == (ADA,), "in the same moment"
    assert paging.skipped == ("level 1: schedule:later has nobody on call",)


@pytest.mark.parametrize(
    ("methods", "media", "why"),
    [
        ((), (), "Eve has no contact method"),
        ((unverified(),), (), "Eve has no verified contact method"),
        ((sms("gone"),), (), "Eve can be reached by gone only, which is not set up"),
        ((sms("texts"),), ("log", "slack"), "Eve can be reached by texts only, which this severity does not use"),
    ],
)
def test_complaint_14_a_person_without_a_usable_contact_method_does_not_keep_others_waiting(
    methods: tuple[Method, ...], media: tuple[str, ...], why: str
) -> None:
    eve = PEOPLE["eve"].model_copy(update={"methods": methods})
    directory = DIRECTORY.model_copy(update={"people": {**PEOPLE, "eve": eve}})
    paging = next_paging(track((EVE,), (ADA,)), directory, NOW, Situation(severity="warning", media=media))
    assert paging.targets == (ADA,)
    assert paging.skipped == (f"level 1: person:eve has no way to be paged: {why}",)


# ------------------------------------------------------------------------------------------------ levels that do not always count


def only(when: Condition) -> Track:
    levels = (Level(targets=(ADA,), when=when), Level(targets=(BOB,)))
    return Track(policy=Policy(key="p", levels=levels))


CRITICAL, WARNING = Situation(severity="critical"), Situation(severity="warning")
MORNING = Window.model_validate({"between": ["06:00", "13:00"], "zone": "UTC"})
NIGHT = Window.model_validate({"between": ["22:00", "06:00"], "zone": "UTC"})


def began(*minutes_ago: float) -> Situation:
    return Situation(began=tuple((NOW - timedelta(minutes=minutes), 1) for minutes in minutes_ago))


@pytest.mark.parametrize(
    ("when", "situation", "counts"),
    [
        (Condition(), WARNING, True),
        (Condition(severities=frozenset({"critical"})), CRITICAL, True),
        (Condition(severities=frozenset({"critical"})), WARNING, False),
        (Condition(hours=(MORNING,)), WARNING, True),
        (Condition(hours=(NIGHT,)), WARNING, False),
        (Condition(hours=(NIGHT, MORNING)), WARNING, True),
        (Condition(more_than=2), began(1, 2, 3), True),
        (Condition(more_than=2), began(1, 2), False),
        (Condition(more_than=2), began(1, 2, 10), False),
        (Condition(more_than=2), Situation(began=((NOW, 3),)), True),
        (Condition(more_than=1, within=timedelta(minutes=2)), began(1, 3, 5), False),
        (Condition(severities=frozenset({"critical"}), hours=(NIGHT,)), CRITICAL, False),
    ],
)
def test_a_level_counts_when_all_that_it_says_holds(when: Condition, situation: Situation, counts: bool) -> None:
    paging = next_paging(only(when), DIRECTORY, NOW, situation)
    assert paging.targets == ((ADA,) if counts else (BOB,))
    assert paging.skipped == (), "it is not meant to count, so nobody has to be told"
    assert bool(paging.passed) is not counts


def test_a_level_that_was_passed_over_for_its_severity_may_count_when_it_is_worse() -> None:
    passed = next_paging(only(Condition(severities=frozenset({"critical"}))), DIRECTORY, NOW, WARNING)
    assert passed.track.passed_over
    assert passed.passed == ("level 1: only for critical, and it is warning",)
    assert not next_paging(only(Condition(hours=(NIGHT,))), DIRECTORY, NOW, WARNING).track.passed_over


def test_a_medium_that_the_severity_does_not_use_is_passed_over() -> None:
    asked = Situation(severity="warning", media=("log", "slack", "chat"))
    paging = next_paging(track(("medium:pd", "medium:teams")), DIRECTORY, NOW, asked)
    assert paging.targets == ("medium:teams",)
    assert paging.passed == ("level 1: medium:pd is not used for warning",)


# ------------------------------------------------------------------------------------------------ taking turns


def in_turn(*targets: str) -> Track:
    return Track(policy=Policy(key="p", levels=(Level(targets=targets, round_robin=True), Level(targets=(OPS,)))))


@pytest.mark.parametrize(
    ("targets", "turn", "paged", "taken"),
    [
        ((ADA, BOB), 0, ADA, 1),
        ((ADA, BOB), 1, BOB, 1),
        ((ADA, BOB), 2, ADA, 1),
        (("schedule:pair",), 1, BOB, 1),
        ((EVE, ADA, BOB), 0, ADA, 2),
        ((ADA, EVE, BOB), 1, BOB, 2),
        ((EVE,), 0, OPS, 0),
    ],
)
def test_one_of_them_is_paged_in_turn_and_who_cannot_be_is_passed_to_the_next(
    targets: tuple[str, ...], turn: int, paged: str, taken: int
) -> None:
    paging = next_paging(in_turn(*targets), DIRECTORY, NOW, Situation(turns={1: turn}))
    assert (paging.targets, paging.turns) == ((paged,), taken)


def test_over_many_incidents_everybody_has_the_same_number_of_turns() -> None:
    turn, counted = 0, {ADA: 0, BOB: 0, OPS: 0}
    for _ in range(30):
        paging = next_paging(in_turn(ADA, BOB, OPS), DIRECTORY, NOW, Situation(turns={1: turn}))
        counted[paging.targets[0]] += 1
        turn += paging.turns
    assert set(counted.values()) == {10}
