"""What reasons to stay quiet cost: triage alone, and all of `tocsin serve`, with many rules and active alerts, against none. Used by run.py.

Both sides take turns, a slice each, so that what else the machine does is the same for both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.client import PROBLEMS, Alerts, Load, Sender, closed_loop
from bench.figures import figures_of
from bench.served import Served, Slack, sqlite_database, tocsin
from bot.domain.alert import Alert, AlertState
from bot.domain.inhibition import Inhibition, InhibitRule
from bot.domain.matching import matcher
from bot.domain.passing import Passing, View
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.domain.silence import Silence, Silences
from bot.domain.triage import triage
from bot.store import open_store

SILENCES, INHIBITIONS, ROUTES, ACTIVE = 1_000, 200, 200, 10_000
PER_POST, CONCURRENCY = 100, 8
PACE = 1.0
JUDGED = 2_000  # alerts a round
EVERY_ALERT = "select count(*) from alert_log"


# ------------------------------------------------------------------------------------------------ the rules


def inhibitions() -> list[dict[str, Any]]:
    """For most alerts several ask whether something explains them; nothing does."""
    return [
        {
            "name": f"rule {number}",
            "source": [f'alertname="Down{number}"', 'severity="critical"'],
            "target": [f'alertname=~"Alert{number}|Other{number}.*"', 'severity=~"error|warning"'],
            "equal": ["cluster", "service"],
        }
        for number in range(INHIBITIONS)
    ]


def routes() -> list[dict[str, Any]]:
    return [
        {"match": [f'alertname="Alert{number}"', *(['severity=~"critical|error|warning"'] if number % 4 == 0 else [])]}
        for number in range(ROUTES)
    ]


def silences(now: datetime) -> list[Silence]:
    """Of those kinds that people make: none of them holds an alert of this load."""
    return [
        Silence(
            number=number + 1,
            matchers=(
                f'alertname="Alert{number}"' if number % 2 else f'service="svc-{number % 60}"',
                f'instance=~"host{number % 50}.*"' if number % 3 else f'pod="gone-{number}"',
                *((f'cluster!="prod-{number % 4}"',) if number % 5 == 0 else ()),
            ),
            starts_at=now - timedelta(hours=1),
            ends_at=now + timedelta(hours=8),
            created_at=now,
            author="Ada",
            reason="bench",
        )
        for number in range(SILENCES)
    ]


# ------------------------------------------------------------------------------------------------ triage alone


def triage_alone(rounds: int) -> dict[str, Any]:
    """Alerts a second that one core judges, new ones: the best of so many short rounds, since other processes only ever make one longer."""
    now = datetime.now(UTC)
    sides = {"none": _Side(Signal(Routing(Route(policy="p")))), "many": _many(now)}
    alerts = [_alert(ACTIVE + number, now) for number in range(JUDGED)]
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(rounds):
        for name, side in sides.items():
            best[name] = min(best[name], side.seconds(alerts, now))
    figures = {name: round(JUDGED / seconds) for name, seconds in best.items()}
    return {**figures, "ratio": round(figures["many"] / figures["none"], 3)}


@dataclass
class _Side:
    signal: Signal
    view: View = field(init=False)

    def __post_init__(self) -> None:
        self.view = View(self.signal)

    def seconds(self, alerts: Sequence[Alert], now: datetime) -> float:
        """Of CPU, to judge them all; nothing of it is kept."""
        view, signal = self.view, self.signal
        started = time.process_time()
        for alert in alerts:
            triage(Passing(alert, signal, view.states.get(alert.key)), view, now)
        return time.process_time() - started


def _many(now: datetime) -> _Side:
    root = Route(
        policy="p",
        routes=tuple(
            Route(path=f"root/{number}", key=f"root/{number}", matchers=_matchers(one["match"]), policy="p")
            for number, one in enumerate(routes())
        ),
    )
    rules = [
        InhibitRule(one["name"], _matchers(one["source"]), _matchers(one["target"]), tuple(one["equal"]))
        for one in inhibitions()
    ]
    side = _Side(Signal(Routing(root), inhibition=Inhibition(rules)))
    side.view.silences = Silences(silences(now))
    for alert in (_alert(number, now) for number in range(ACTIVE)):
        side.view.states[alert.key] = AlertState(alert, now, now, 1, None)
        for key in side.signal.inhibition.holds(alert, "warning"):
            side.view.inhibitors[key] = {**side.view.inhibitors.get(key, {}), alert.key: alert.summary}
    side.view.inhibitors.setdefault("another", {"x": "x"})
    return side


def _matchers(texts: Sequence[str]) -> tuple[Any, ...]:
    return tuple(matcher(text) for text in texts)


def _alert(number: int, now: datetime) -> Alert:
    """As those of bench/client."""
    problem = (number * 7919) % PROBLEMS
    name, service = f"Alert{problem}", f"svc-{problem % 50}"
    labels = {
        "alertname": name,
        "service": service,
        "cluster": f"prod-{number % 4}",
        "namespace": f"ns-{problem % 30}",
        "pod": f"{service}-{number:08x}",
        "instance": f"10.0.{number % 250}.{number // 250 % 250}:9100",
        "severity": ("critical", "error", "warning")[problem % 3],
        "team": "shop",
    }
    return Alert("am", f"{number:016x}", True, labels, {"summary": f"{service} is unhealthy"}, now)


# ------------------------------------------------------------------------------------------------ the whole program


async def served(folder: Path, slack: Slack, active: int, slices: int, seconds: float) -> dict[str, Any]:
    """Accepted alerts a second, all new, on SQLite: with everything, and with none of it."""
    rules = {"none": {}, "many": {"inhibit": inhibitions(), "route": {"routes": routes()}}}
    async with AsyncExitStack() as stack:

        async def started(name: str, more: Mapping[str, Any]) -> _Running:
            place = folder / f"noise-{name}"
            place.mkdir()
            database = sqlite_database(place)
            if more:
                await _silenced(database.url)
            return _Running(await stack.enter_async_context(tocsin(place, database, slack, PACE, more)))

        servers = await asyncio.gather(*(started(name, more) for name, more in rules.items()))
        sides = dict(zip(rules, servers, strict=True))
        await sides["many"].prime(active)
        for _ in range(slices):
            for side in sides.values():
                await side.pour(seconds)
        found = {name: await side.figures() for name, side in sides.items()}
    many, none = found["many"], found["none"]
    ratios = {key: round(many[key] / none[key], 3) for key in ("accepted_s", "accepted_per_cpu_s")}
    return {**found, "ratio": ratios["accepted_s"], "ratio_by_cpu": ratios["accepted_per_cpu_s"]}


async def _silenced(url: str) -> None:
    """The silences are there before the program begins."""
    store = await open_store(url)

    async def work(tx: Any) -> None:
        await tx.next_id("silences")
        for silence in silences(datetime.now(UTC)):
            await tx.save_silence(silence.model_copy(update={"number": await tx.next_id("silence")}))

    await store.write(work)
    await store.close()


@dataclass
class _Running:
    """One of the two, and what it has taken."""

    server: Served
    alerts: Alerts = field(default_factory=lambda: Alerts(PER_POST, 0.0))
    whole: Load = field(default_factory=Load)
    primed: Load = field(default_factory=Load)
    cpu: float = 0.0

    async def prime(self, count: int) -> None:
        sender = Sender(self.server.port, self.primed)
        for _ in range(count // PER_POST):
            await sender.post(self.alerts.body())
        sender.close()

    async def pour(self, seconds: float) -> None:
        before = self.server.usage().cpu
        load = await closed_loop(self.server.port, self.alerts, CONCURRENCY, seconds)
        self.cpu += self.server.usage().cpu - before
        self.whole.seconds += load.seconds
        self.whole.deliveries += load.deliveries
        self.whole.accepted += load.accepted
        self.whole.cpu += load.cpu
        self.whole.statuses.update(load.statuses)
        self.whole.latencies += load.latencies

    async def figures(self) -> dict[str, Any]:
        taken = self.whole.accepted + self.primed.accepted
        rows = await self.server.database.rows(EVERY_ALERT)
        return {**figures_of(self.whole, self.cpu), "accepted": taken, "rows": rows}


async def measure(folder: Path, slack: Slack, *, quick: bool) -> dict[str, Any]:
    alone = await asyncio.to_thread(triage_alone, 10 if quick else 60)
    how = (ACTIVE // 10, 2, 0.5) if quick else (ACTIVE, 8, 1.5)
    return {"triage": alone, "served": await served(folder, slack, *how)}
