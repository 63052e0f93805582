"""Expressions over a text: where they match first, and the text without what they match."""

from __future__ import annotations

import pytest

from bot.domain.regex import Regex

FOUND: list[tuple[str, str, tuple[str, ...] | None]] = [
    ("b+", "abbc", ("bb",)),
    ("(a)|(b)", "xb", ("b", "", "b")),
    ("(?i)ö(.)", "KÖLN", ("ÖL", "L")),
    ("^x", "ax", None),
    ("a.b", "a\nb", None),
    ("(?s)a.b", "a\nb", ("a\nb",)),
    ("", "x", ("",)),
    ("x", "\ud800x", ("x",)),
]


@pytest.mark.parametrize(("expression", "text", "found"), FOUND)
def test_the_first_match_comes_whole_and_then_by_groups(
    expression: str, text: str, found: tuple[str, ...] | None
) -> None:
    assert Regex(expression).search(text) == found


def test_every_match_is_taken_out() -> None:
    assert Regex(r"\d+ ?").without("a 1 2 b 33") == "a   b  "
    assert Regex(r"\d+").without("Köln 5", instead="") == "Köln "


def test_a_search_takes_time_linear_in_the_text() -> None:
    assert Regex("(a+)+$").search("a" * 50_000 + "b") is None
