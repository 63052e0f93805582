"""Many rules asked at once give what asking them one by one gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import index
from bot.domain.index import Index, bits
from bot.domain.matching import Matcher, all_match, matcher

VALUES = ("", "a", "ab", "b")
TEXTS = [f'{name}{op}"{value}"' for name in "xyz" for op in ("=", "!=") for value in VALUES] + [
    f'{name}{op}"{value}"' for name in "xyz" for op in ("=~", "!~") for value in ("a.*", "", ".+", "b|", "a|b", ".")
]
rules = st.lists(st.lists(st.sampled_from(TEXTS).map(matcher), max_size=4), max_size=40)
some_labels = st.dictionaries(st.sampled_from("wxyz"), st.sampled_from(VALUES))


def one_by_one(given: list[list[Matcher]], labels: dict[str, str]) -> list[int]:
    return [number for number, matchers in enumerate(given) if all_match(matchers, labels)]


@given(rules, st.lists(some_labels, min_size=1, max_size=8))
def test_the_rules_that_match_are_those_that_match_one_by_one(
    given: list[list[Matcher]], asked: list[dict[str, str]]
) -> None:
    found = Index(given)
    assert len(found) == len(given)
    for labels in asked + asked:  # once more with what it remembers
        assert list(found.matching(labels)) == one_by_one(given, labels)
        assert list(bits(found.mask(labels))) == one_by_one(given, labels)


def test_without_rules_nothing_matches_and_a_rule_without_matchers_matches_everything() -> None:
    assert list(Index([]).matching({"x": "a"})) == []
    assert list(Index([[], [matcher("x=a")], []]).matching({})) == [0, 2]


def test_a_rule_may_ask_twice_of_one_name() -> None:
    rules = [[matcher("x!=a"), matcher("x!=b")], [matcher("x=a"), matcher("x=b")], [matcher("x=a"), matcher("x=~a|b")]]
    assert [list(Index(rules).matching({"x": value})) for value in ("a", "b", "c", "")] == [[2], [], [0], [0]]


def test_what_is_remembered_is_bounded_and_forgetting_it_changes_nothing() -> None:
    given = [[matcher(f'x=~"{number}.*"'), matcher("y!=no")] for number in range(30)]
    found = Index(given)
    values = [str(number) for number in range(index.MOST_REMEMBERED + 10)]
    for value in values[:100] + values[index.MOST_REMEMBERED - 100 :]:
        assert list(found.matching({"x": value})) == one_by_one(given, {"x": value})
    assert all(len(column._remembered) <= index.MOST_REMEMBERED for column in found._columns)


@pytest.mark.parametrize(("mask", "numbers"), [(0, []), (1, [0]), (0b1010, [1, 3]), (1 << 200, [200])])
def test_the_bits_of_a_number_are_told_lowest_first(mask: int, numbers: list[int]) -> None:
    assert list(bits(mask)) == numbers
