"""Which version of a history to go back to: never the wrong one, and never further when it is asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clients.earlier import Choice, Version, wanted
from bot.errors import BadInput

START = datetime(2026, 11, 21, tzinfo=UTC)


def history(text: str) -> list[Version]:
    """`AAbC`: kinds in their order, one an hour; a small letter failed."""
    return [
        Version(number=number, kind=letter.upper(), at=START + timedelta(hours=number), good=letter.isupper())
        for number, letter in enumerate(text, 1)
    ]


def found(text: str, **choice: object) -> int | None:
    version = wanted(history(text), Choice.model_validate(choice), "release shop", "revision")
    return version.number if version else None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("AB", 1),
        ("ABC", 2),
        ("AABB", 2),
        ("ABA", None),
        ("ABAB", 3),
        ("ABCA", None),
        ("ABc", 2),
        ("AbC", 1),
        ("ABcB", None),
        ("ABa", 1),
    ],
)
def test_it_goes_back_to_what_ran_well_last_before_the_newest(text: str, number: int | None) -> None:
    assert found(text) == number


def test_what_came_after_the_trouble_is_not_the_suspect() -> None:
    assert found("ABCD", before=START + timedelta(hours=2, minutes=5)) == 1
    assert found("ABCDA", before=START + timedelta(hours=2, minutes=5)) is None


@pytest.mark.parametrize(
    ("text", "choice", "words"),
    [
        ("", {}, "has no history"),
        ("A", {}, "nothing good in its history from before revision 1"),
        ("aB", {}, "nothing good"),
        ("AB", {"to": 7}, r"no revision 7 in its history \(it has: 1, 2\)"),
        ("AB", {"before": START}, "nothing that is still in its history was deployed before"),
        ("AB", {"before": START + timedelta(days=3)}, "nothing was deployed in the 1 d before .* give `to`"),
    ],
)
def test_what_cannot_be_gone_back_to_is_said(text: str, choice: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        found(text, **choice)


def test_a_number_that_is_given_is_taken_unless_it_runs_already() -> None:
    assert found("ABC", to=1) == 1
    assert found("ABC", to=3) is None
    assert found("ABA", to=1) is None
    assert found("ABa", to=1) == 1


@given(st.text(alphabet="ABCDabcd", min_size=1, max_size=8), st.none() | st.integers(1, 8))
def test_once_it_has_gone_back_there_is_nothing_to_do(text: str, hours: int | None) -> None:
    choice = Choice(before=START + timedelta(hours=hours, minutes=1) if hours else None)
    lines = history(text)
    try:
        there = wanted(lines, choice, "x", "id")
    except BadInput:
        return
    if there is not None:
        added = there.model_copy(update={"number": len(lines) + 1, "at": START + timedelta(hours=20)})
        assert there.good
        assert wanted([*lines, added], choice, "x", "id") is None
