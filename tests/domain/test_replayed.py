"""What a replay is told in: figures, their comparison, and what people read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from bot.domain.alert import Received
from bot.domain.replayed import MOST_GROUPS, Figures, Night, Replayed, compared, gone, group_of, lines
from tests.domain.alerts import NOW, ago, alert, incident


def line(outcome: str, minutes: float = 0, **more: object) -> Received:
    return Received(NOW, alert(starts_at=ago(minutes)), outcome, "because", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("night", "at", "covered"),
    [
        (Night(), "22:00", True),
        (Night(), "06:59", True),
        (Night(), "07:00", False),
        (Night(), "21:59", False),
        (Night(time(1), time(5)), "00:59", False),
        (Night(time(1), time(5)), "01:00", True),
        (Night(zone="Europe/Berlin"), "21:30", True),  # half past ten there
        (Night(zone="Europe/Berlin"), "06:30", False),
    ],
)
def test_night_is_what_lies_between_two_times_of_day_in_a_zone(night: Night, at: str, covered: bool) -> None:
    hour, minute = map(int, at.split(":"))
    assert night.covers(datetime(2026, 11, 21, hour, minute, tzinfo=UTC)) is covered


@pytest.mark.parametrize(
    ("key", "group"),
    [
        ('root{"alertname":"DiskFull","service":"shop"}', "alertname=DiskFull, service=shop"),
        ('root/{team="shop"}{"alertname":"A"}', "alertname=A"),
        ('root/{"a b"="{"}{"alertname":"{\\"x\\":1}"}', 'alertname={"x":1}'),
        ("root/{team=~\"a|b\"}{}", 'everything of root/{team=~"a|b"}'),
        ('storm/root/{team="shop"}', 'storm of root/{team="shop"}'),
        ("manual/7", "manual/7"),
    ],
)  # fmt: skip
def test_a_group_is_called_by_its_labels_whatever_its_route_is_called(key: str, group: str) -> None:
    assert group_of(key) == group


def test_a_firing_that_is_repeated_while_it_is_held_counts_once_for_each_reason() -> None:
    figures = Figures(Night())
    for one in (
        line("silenced", 5, held_by="silence:42"),
        line("silenced", 5, held_by="silence:42"),
        line("silenced", 1, held_by="silence:42"),
        line("quiet", 1, held_by="quiet:night"),
        line("logged", again=True),
    ):
        figures.line(one)
    result = figures.result({})
    assert (result.deliveries, result.alerts) == (4, 1)
    assert result.held == {
        "silenced: silence 42": 2,
        "logged: of a severity that is only logged": 1,
        "quiet: quiet hours 'night'": 1,
    }


def test_pages_count_to_whom_for_what_and_when() -> None:
    figures = Figures(Night(zone="UTC"))
    figures.line(line("opened", incident_id=1))
    for name, hour in (("Ada", 12), ("Ada", 23), ("#ops", 6)):
        figures.page(incident(), name, NOW.replace(hour=hour))
    figures.line(line("reopened", incident_id=1))
    result = figures.result({1: incident(), 2: incident(number=2, storm_at=NOW)})
    assert (result.incidents, result.reopened, result.storms) == (2, 1, 1)
    assert result.pages == {"Ada": 2, "#ops": 1}
    assert result.at_night == {"#ops": 1, "Ada": 1}
    assert result.severities == {"warning": 3}
    assert result.rules == {"HighErrorRate (am)": 3}


NOW_IS = Replayed(
    "22:00-07:00 UTC", 100, 5, 4, pages={"Ada": 6}, at_night={"Ada": 2}, rules={"A": 6}, groups={"a": 3, "b": 1}
)
NEW = replace(NOW_IS, incidents=2, pages={"Bob": 1}, at_night={}, rules={"A": 1}, groups={"a": 1, "c": 1})


def test_two_replays_are_compared_figure_by_figure() -> None:
    text = compared(NOW_IS, NEW)
    figures = {tuple(line.rsplit(maxsplit=3)) for line in text}
    for row in (
        ("deliveries", "100", "100", "="),
        ("incidents", "4", "2", "-2"),
        ("pages", "6", "1", "-5"),
        ("pages to Ada", "6", "0", "-6"),
        ("pages to Bob", "0", "1", "+1"),
        ("at night to Ada", "2", "0", "-2"),
    ):
        assert row in figures
    assert text[-6:] == [
        "Incidents that would not be there any more:",
        "  2 x a",
        "  1 x b",
        "",
        "Incidents that would be new:",
        "  1 x c",
    ]


def test_what_does_not_differ_is_said_to_be_none() -> None:
    assert compared(NOW_IS, NOW_IS)[-3:] == [
        "Incidents that would not be there any more: none.",
        "",
        "Incidents that would be new: none.",
    ]


def test_a_long_list_of_groups_is_cut_and_says_so() -> None:
    many = replace(NOW_IS, groups={f"g{number:02}": 1 for number in range(MOST_GROUPS + 3)})
    text = compared(many, replace(many, groups={}))
    assert sum(line.startswith("  1 x g") for line in text) == MOST_GROUPS
    assert "  and those of 3 more groups" in text
    assert len(gone(many, NEW)) == MOST_GROUPS + 3


def test_one_replay_shows_its_ten_noisiest_rules() -> None:
    many = replace(NOW_IS, rules={f"R{number}": number for number in range(15)})
    shown = [line for line in lines(many) if line.startswith("pages of ")]
    assert len(shown) == 10
    assert shown[0].split() == ["pages", "of", "R14", "14"]


def test_a_name_of_any_length_leaves_the_table_readable() -> None:
    endless = replace(NOW_IS, rules={"R" * 10_000: 1}, groups={"g" * 10_000: 1})
    assert max(map(len, compared(endless, NEW))) < 200
