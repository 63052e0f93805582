"""Sums, common parts and differences of stretches of time. Pure arithmetic under schedules, their coverage and their fairness figures.

An interval is (starts, ends), aware, in UTC, its end not included. Lists of them are sorted and do not touch each other, as `united` makes them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

Interval = tuple[datetime, datetime]


def united(intervals: Iterable[Interval]) -> list[Interval]:
    """What at least one of them covers. Empty ones are left out; they may be given in any order."""
    result: list[Interval] = []
    for starts, ends in sorted(intervals):
        if starts >= ends:
            continue
        if result and starts <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], ends))
        else:
            result.append((starts, ends))
    return result


def cut(interval: Interval, times: Sequence[Interval]) -> Iterator[Interval]:
    """The parts of an interval that lie within `times`."""
    starts, ends = interval
    for place in range(bisect_right(times, starts, key=lambda one: one[1]), len(times)):
        begin, end = times[place]
        if begin >= ends:
            return
        yield max(starts, begin), min(ends, end)


def common(these: Iterable[Interval], those: Sequence[Interval]) -> list[Interval]:
    """What both cover."""
    return [part for one in these for part in cut(one, those)]


def without(these: Iterable[Interval], those: Sequence[Interval]) -> list[Interval]:
    """What the first covers and the second does not."""
    result: list[Interval] = []
    for starts, ends in these:
        at = starts
        for begin, end in cut((starts, ends), those):
            if at < begin:
                result.append((at, begin))
            at = end
        if at < ends:
            result.append((at, ends))
    return result


def total(intervals: Iterable[Interval]) -> timedelta:
    return sum((ends - starts for starts, ends in intervals), timedelta())
