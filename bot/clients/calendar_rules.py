"""Whether a rule of a calendar ever fits a day: dateutil looks for one until the year 9999, which takes it many seconds when there is none.

Rules: RFC 5545 section 3.3.10 (https://www.rfc-editor.org/rfc/rfc5545#section-3.3.10). Asked by calendar_bounds before anything follows a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
PER_DAY = {"HOURLY": 24, "MINUTELY": 1440, "SECONDLY": 86400}
DAY_PARTS = {"BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY"}
KNOWN = DAY_PARTS | {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS"}


def why_not(rule: Mapping[str, Any], start: date) -> str:
    """Empty when some day fits it soon; else why it is not followed: nothing fits, or that cannot be told. Its values are lists."""
    frequency, interval = str(_values(rule, "FREQ")[0]).upper(), int(_values(rule, "INTERVAL", 1)[0])
    parts = {part for part in DAY_PARTS if _values(rule, part)}
    foreign = sorted(set(rule) - KNOWN)
    if foreign:
        return f"it has {foreign[0][:20]}"
    if parts & {"BYYEARDAY", "BYWEEKNO"} and (frequency != "YEARLY" or len(parts - {"BYDAY"}) > 1):
        return "it mixes days of the year or numbers of weeks with other parts"
    numbered = [str(day) for day in _values(rule, "BYDAY") if str(day)[:-2]]
    if any(abs(int(day[:-2])) > 5 for day in numbered) and (frequency != "YEARLY" or "BYMONTH" in parts):
        return "no month has six of a weekday"
    mixed = parts - {"BYDAY", "BYMONTH"} or len(numbered) < len(_values(rule, "BYDAY"))
    if numbered and (frequency not in ("MONTHLY", "YEARLY") or mixed):
        return f"it mixes {numbered[0][:6]} with other parts"
    return (
        _days(rule, start, frequency, interval)
        or _steps(rule, start, frequency, interval, parts)
        or _places(rule, frequency)
    )


def _days(rule: Mapping[str, Any], start: date, frequency: str, interval: int) -> str:
    """No month has a 31st of February."""
    months = {int(month) for month in _values(rule, "BYMONTH")} or set(range(1, 13))
    if frequency == "MONTHLY":
        months &= {(start.month - 1 + number * interval) % 12 + 1 for number in range(12)}
    days = [abs(int(day)) for day in _values(rule, "BYMONTHDAY")]
    if not days:  # then that of the beginning, where nothing else says which
        plain = frequency in ("MONTHLY", "YEARLY") and not any(_values(rule, part) for part in DAY_PARTS - {"BYMONTH"})
        days = [start.day] if plain and _values(rule, "BYMONTH") else [1]
    if any(day <= LONGEST_MONTHS[month - 1] for month in months for day in days if 1 <= month <= 12):
        return ""
    return "no day fits it"


def _steps(rule: Mapping[str, Any], start: date, frequency: str, interval: int, parts: set[str]) -> str:
    """Steps that always jump over the days that it wants."""
    if interval == 1 or frequency not in ("DAILY", *PER_DAY):
        return ""
    if frequency in PER_DAY and parts and interval > PER_DAY[frequency]:
        return "its steps are longer than a day"
    of_day = frequency in PER_DAY and any(_values(rule, part) for part in ("BYHOUR", "BYMINUTE", "BYSECOND"))
    if parts - {"BYDAY"} or of_day:
        return "it mixes INTERVAL with other parts"
    if frequency in PER_DAY or not parts:
        return ""
    reached = {WEEKDAYS[(start.weekday() + number * interval) % 7] for number in range(7)}
    return "" if reached & {str(day) for day in _values(rule, "BYDAY")} else "no day fits it"


def _places(rule: Mapping[str, Any], frequency: str) -> str:
    """The fifth of what there are never five."""
    places = [abs(int(place)) for place in _values(rule, "BYSETPOS")]
    if not places or min(places) == 1:
        return ""
    plain = len(_values(rule, "BYDAY"))
    weeks = {"WEEKLY": 1, "MONTHLY": 4, "YEARLY": 4}.get(frequency, 0)
    only_weekdays = not any(_values(rule, part) for part in ("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"))
    numbered = any(str(day)[:-2] for day in _values(rule, "BYDAY"))
    return (
        ""
        if only_weekdays and not numbered and min(places) <= plain * weeks
        else "it has a BYSETPOS that may never be reached"
    )


def rarely(rule: Mapping[str, Any]) -> bool:
    """A yearly rule that may fit in no year that its steps reach: 29 February, the last week or weekday of long years."""
    days = [abs(int(day)) for day in _values(rule, "BYMONTHDAY")]
    numbers = [abs(int(day)) for part in ("BYYEARDAY", "BYWEEKNO") for day in _values(rule, part)]
    fifth = [day for day in _values(rule, "BYDAY") if str(day)[:-2].lstrip("+-") not in ("", "1", "2", "3", "4")]
    return bool((days and min(days) > 28) or (numbers and max(numbers) > 52) or fifth)


def _values(rule: Mapping[str, Any], part: str, *otherwise: Any) -> Sequence[Any]:
    values = rule.get(part, otherwise)
    return values if isinstance(values, (list, tuple)) else [values]
