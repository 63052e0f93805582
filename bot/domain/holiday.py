"""Public holidays, as the `holidays` package knows them (https://holidays.readthedocs.io). Asked by schedules and by their fairness figures."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache

import holidays

from bot.domain.naming import nearest
from bot.errors import BadInput

EARLIEST, LATEST = 1970, 2200


def is_holiday(country: str, subdivision: str, day: date) -> bool:
    """Also a working day on which one is observed (Monday for Sunday, where that is the law). Raises BadInput as `check` does."""
    return day in in_year(country, subdivision, day.year)


@lru_cache(maxsize=512)
def in_year(country: str, subdivision: str, year: int) -> Mapping[date, str]:
    """Day and name of each, in order; none in years that are far away. Raises BadInput as `check` does."""
    check(country, subdivision)
    if not EARLIEST <= year <= LATEST:
        return {}
    return dict(
        sorted(holidays.country_holidays(country, subdiv=subdivision or None, years=year, expand=False).items())
    )


@lru_cache(maxsize=512)
def check(country: str, subdivision: str = "") -> None:
    """Raises BadInput, with the nearest name, for a country or a part of one of which no holidays are known.

    The first call for a country loads its rules (a few hundred milliseconds): call it when the configuration is read.
    """
    countries = holidays.list_supported_countries()
    if country not in countries:
        near = nearest(country[:40].upper(), countries) or "; expected a code like DE or US"
        raise BadInput(f"holidays.country: no holidays are known of {country[:40]!r}{near}")
    if not subdivision:
        return
    try:
        holidays.country_holidays(country, subdiv=subdivision, expand=False)
    except NotImplementedError:
        parts = countries[country]
        near = nearest(subdivision[:40].upper(), parts) or f"; there are: {', '.join(parts) or 'none'}"
        raise BadInput(f"holidays.subdivision: {country} has no part called {subdivision[:40]!r}{near}") from None
