"""The alerts, their log and what they hold, of the memory store: pure functions, and the readable statement of what the SQL says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from heapq import nlargest, nsmallest

from bot.domain.alert import AlertState, Received
from bot.store.inhibitors import MOST

Alerts = dict[str, AlertState]
Log = dict[str, tuple[tuple[int, Received], ...]]  # per alert, each line with its number
Standing = dict[str, Mapping[str, str]]  # key -> alert key -> name


def append(log: Log, counters: dict[str, int], lines: Iterable[Received]) -> None:
    for line in lines:
        counters["alert log line"] = number = counters.get("alert log line", 0) + 1
        log[line.alert.key] = (*log.get(line.alert.key, ()), (number, line))


def log_between(log: Log, since: datetime, until: datetime, after: int, limit: int) -> tuple[tuple[int, Received], ...]:
    begin = next(((line.at, number) for number, line in _lines(log) if number == after), (since, 0))
    found = ((number, line) for number, line in _lines(log) if since <= line.at < until and (line.at, number) > begin)
    return tuple(nsmallest(limit, found, key=lambda one: (one[1].at, one[0])))


def _lines(log: Log) -> Iterator[tuple[int, Received]]:
    return (one for lines in log.values() for one in lines)


def forget_log(log: Log, before: datetime, limit: int) -> int:
    old = ((line.at, number, line.alert.key) for number, line in _lines(log) if line.at < before)
    oldest = nsmallest(limit, old)
    gone = {number for _, number, _ in oldest}
    for key in {key for _, _, key in oldest}:
        left = tuple(one for one in log[key] if one[0] not in gone)
        if left:
            log[key] = left
        else:
            del log[key]
    return len(gone)


def called(alerts: Alerts, text: str, limit: int) -> tuple[AlertState, ...]:
    def fits(state: AlertState) -> bool:
        return state.alert.key == text or state.alert.fingerprint.startswith(text)

    return _newest((state for state in alerts.values() if text and fits(state)), limit)


def _newest(found: Iterable[AlertState], limit: int) -> tuple[AlertState, ...]:
    in_order = sorted(found, key=lambda state: state.alert.key)
    return tuple(nlargest(limit, in_order, key=lambda state: state.last_seen))


def firing_after(alerts: Alerts, after: str, limit: int) -> tuple[AlertState, ...]:
    keys = nsmallest(limit, (key for key, state in alerts.items() if state.alert.firing and key > after))
    return tuple(alerts[key] for key in keys)


def due_again(alerts: Alerts, now: datetime, limit: int) -> tuple[AlertState, ...]:
    due = ((at, key) for key, state in alerts.items() if (at := state.again_at) is not None and at <= now)
    return tuple(alerts[key] for _, key in nsmallest(limit, due))


def look_again(alerts: Alerts, held_by: Collection[str] | None, now: datetime) -> int:
    count = 0
    for key, state in list(alerts.items()):
        held = state.held
        if held is not None and (held_by is None or held.by in held_by):
            count += 1
            alerts[key] = replace(state, held=replace(held, again_at=min(held.again_at or now, now)))
    return count


def held(alerts: Alerts, limit: int) -> tuple[AlertState, ...]:
    return _newest((state for state in alerts.values() if state.alert.firing and state.held), limit)


def hidden_by(alerts: Alerts, log: Log, keys: Collection[str]) -> dict[str, tuple[int, int]]:
    now = Counter(state.held.by for state in alerts.values() if state.alert.firing and state.held)
    ever = Counter(by for by, _ in {(line.held_by, line.alert.key) for _, line in _lines(log)})
    return {key: (now[key], ever[key]) for key in keys}


def inhibitors(standing: Standing, keys: Collection[str]) -> dict[str, dict[str, str]]:
    return {key: dict(nsmallest(MOST, standing[key].items())) for key in keys if key in standing}


def stand_under(
    standing: Standing, stood: dict[str, Collection[str]], now: Mapping[str, tuple[str, Collection[str]]]
) -> None:
    """`stood`: per alert the keys that it stands under. Each key is copied once, however many alerts come and go under it."""
    changed: dict[str, dict[str, str]] = {}
    for alert_key, (name, keys) in now.items():
        for key in stood.pop(alert_key, ()):
            changed.setdefault(key, dict(standing.get(key, {}))).pop(alert_key, None)
        for key in keys:
            changed.setdefault(key, dict(standing.get(key, {})))[alert_key] = name
        if keys:
            stood[alert_key] = frozenset(keys)
    for key, alerts in changed.items():
        standing.pop(key, None)
        if alerts:
            standing[key] = alerts
