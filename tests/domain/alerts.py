"""Alerts, incidents and routes for tables of cases, with all that a case does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.alert import Alert, AlertState
from bot.domain.incident import Incident, State
from bot.domain.matching import matcher
from bot.domain.routing import Route

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def alert(firing: bool = True, starts_at: datetime = NOW, ends_at: datetime | None = None, **labels: str) -> Alert:
    known = {"alertname": "HighErrorRate", "service": "checkout", **labels}
    return Alert("am", "f1", firing, {name: value for name, value in known.items() if value}, {}, starts_at, ends_at)


def state_of(one: Alert, incident_id: int | None = 1) -> AlertState:
    return AlertState(one, one.starts_at, one.starts_at, incident_id=incident_id)


def incident(
    state: State = State.TRIGGERED, resolved_at: datetime | None = None, number: int = 1, **more: Any
) -> Incident:
    return Incident(
        id=number,
        title="checkout: High error rate",
        state=state,
        group_key="root",
        opened_at=ago(60),
        resolved_at=resolved_at,
        channel_name=f"inc-{number}",
        **more,
    )


def route(
    path: str = "root", *matchers: str, go_on: bool = False, routes: tuple[Route, ...] = (), **more: Any
) -> Route:
    return Route(
        path=path, key=path, matchers=tuple(matcher(one) for one in matchers), go_on=go_on, routes=routes, **more
    )
