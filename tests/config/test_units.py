from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config.units import duration, shortest, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1d", 86400),
        ("1w", 604800),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("0", 0),
        ("PT5M", 300),
        ("P1DT1H", 90000),
        ("P1W", 604800),
        ("PT1.5S", 1.5),
    ],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "m", "-5m", "5m5m", "5 minutes", "P", "PT", "5y", "m5", "1h30", "∞", "9" * 400 + "s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration(text)


def test_an_endless_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than ten years"):
        duration("99999999w")


@given(st.integers(min_value=0, max_value=3_000_000_000))
def test_the_shortest_text_of_a_duration_reads_back_as_it(milliseconds: int) -> None:
    time = timedelta(milliseconds=milliseconds)
    assert duration(shortest(time)) == time


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2MiB", 2 << 20),
        ("512KiB", 512 << 10),
        ("1MB", 1_000_000),
        ("1k", 1000),
        ("1.5KiB", 1536),
        ("10", 10),
        ("10B", 10),
    ],
)
def test_a_size_is_read(text: str, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "big", "2 potatoes", "-1MB", "1TiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        size(text)
