"""How on-call is shared out: hours, nights, weekends, holidays and pages of every person. Pure: from shifts and pages that somebody read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from bot.domain.holiday import is_holiday
from bot.domain.intervals import Interval, common, total, united
from bot.domain.page import ARRIVED, Page
from bot.domain.schedule import Holidays, Shift
from bot.domain.wall_clock import around, day_window, zone_of

NIGHT = (time(22), time(6))
WEEKEND = (5, 6)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Calendar(BaseModel):
    """What a night, a weekend and a holiday are: by the clocks of `zone` (the schedule's), or of a person's own (`zones`, by key).

    Holidays are those of `holidays`; none without.
    """

    model_config = ConfigDict(frozen=True)

    zone: str = "UTC"
    zones: Mapping[str, str] = {}
    holidays: Holidays | None = None


class Share(BaseModel):
    """One person's part. Hours as they pass (an hour longer when the clocks go back); nights are 22:00 to 06:00, weekends Saturday and Sunday; one
    hour can count as all three. `percent` of everybody's hours. `pages`: how often they were paged, messages about one incident counted once."""

    model_config = ConfigDict(frozen=True)

    person: str
    hours: float
    night_hours: float
    weekend_hours: float
    holiday_hours: float
    percent: float
    pages: int
    night_pages: int
    words: str


def fairness(
    shifts: Iterable[Shift], pages: Iterable[Page], calendar: Calendar, names: Mapping[str, str] | None = None
) -> tuple[Share, ...]:
    """Of everybody who has a shift or was paged, most hours first. Shifts of several schedules at once count once.

    `names`: what people are called, by key. Raises BadInput for an unknown zone or country.
    """
    times: dict[str, list[Interval]] = {}
    for shift in shifts:
        times.setdefault(shift.person, []).append((shift.starts.astimezone(UTC), shift.ends.astimezone(UTC)))
    paged = _paged(pages)
    own = {person: united(times.get(person, ())) for person in {*times, *paged}}
    everybody = sum((total(one) for one in own.values()), timedelta())
    shares = [_share(person, own[person], paged.get(person, []), (everybody, calendar, names or {})) for person in own]
    return tuple(sorted(shares, key=lambda share: (-share.hours, -share.pages, share.person)))


def _paged(pages: Iterable[Page]) -> dict[str, list[datetime]]:
    """When each person was paged first for an incident, and again when its paging began anew. Only what arrived."""
    begun: dict[str, dict[object, datetime]] = {}
    for page in pages:
        several = page.purpose == "bundle" and page.incident_id is None  # in one message, which woke them once
        if not (page.purpose == "page" or several) or page.state not in ARRIVED:
            continue
        if not page.target.startswith("person:"):
            continue
        about = page.key if page.incident_id is None else (page.incident_id, page.epoch)
        mine = begun.setdefault(page.target.removeprefix("person:"), {})
        mine[about] = min(page.begun_at, mine.get(about, page.begun_at))
    return {person: sorted(found.values()) for person, found in begun.items()}


def _share(
    person: str, own: list[Interval], paged: list[datetime], of: tuple[timedelta, Calendar, Mapping[str, str]]
) -> Share:
    everybody, calendar, names = of
    zone = zone_of(calendar.zones.get(person) or calendar.zone)
    nights, weekends, days_off = _windows(own, zone, calendar.holidays)
    local = [at.astimezone(zone).time() for at in paged]
    hours = {
        "hours": total(own) / HOUR,
        "night_hours": total(common(own, nights)) / HOUR,
        "weekend_hours": total(common(own, weekends)) / HOUR,
        "holiday_hours": total(common(own, days_off)) / HOUR,
        "percent": 100 * (total(own) / everybody) if everybody else 0.0,
    }
    rounded = {name: round(value, 2) for name, value in hours.items()}
    night_pages = sum(at >= NIGHT[0] or at < NIGHT[1] for at in local)
    words = _words(names.get(person, person), rounded, len(paged), night_pages)
    return Share(person=person, pages=len(paged), night_pages=night_pages, words=words, **rounded)


def _windows(
    own: list[Interval], zone: ZoneInfo, holidays: Holidays | None
) -> tuple[list[Interval], list[Interval], list[Interval]]:
    """Nights, weekends and holidays near these times."""
    days: dict[date, None] = {}
    for starts, ends in own:
        day = around(starts, zone)[0].date() - DAY
        while day <= around(ends, zone)[1].date():
            days[day] = None
            day += DAY
    off = [day for day in days if holidays and is_holiday(holidays.country, holidays.subdivision, day)]
    return (
        united(day_window(day, NIGHT, zone) for day in days),
        united(day_window(day, None, zone) for day in days if day.weekday() in WEEKEND),
        united(day_window(day, None, zone) for day in off),
    )


def _words(name: str, hours: Mapping[str, float], pages: int, night_pages: int) -> str:
    """`Ada: 84 h on call (50 %), of these 28 h at night and 24 h at the weekend; paged 5 times, 2 of them at night`."""
    kinds = (("night_hours", "at night"), ("weekend_hours", "at the weekend"), ("holiday_hours", "on holidays"))
    some = [f"{hours[kind]:.4g} h {when}" for kind, when in kinds if hours[kind]]
    listed = " and ".join(filter(None, (", ".join(some[:-1]), *some[-1:])))
    of_these = f", of these {listed}" if some else ""
    often = "never paged" if not pages else "paged once" if pages == 1 else f"paged {pages} times"
    at_night = f", {night_pages} of them at night" if night_pages and pages > 1 else ", at night" if night_pages else ""
    return f"{name}: {hours['hours']:.5g} h on call ({hours['percent']:.0f} %){of_these}; {often}{at_night}"
