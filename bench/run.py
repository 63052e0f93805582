"""`make bench`: how many alerts a second Tocsin keeps, how soon Slack hears of a new incident, and what that costs. Everything is on 127.0.0.1.

An alert counts when 2xx came back, that is, after the commit that holds it (SQLite: synchronous=FULL, PostgreSQL: fsync). Afterwards the rows in
the database are counted: nothing accepted may be missing. The server, the database, the fake Slack and this load share the machine's cores, so
`a CPU second` (accepted per CPU second of the server process) says more about Tocsin than `alerts/s` does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import escalations, noise, report, runs
from bench.baselines import raw_inserts
from bench.client import PROBLEMS, Alerts, Load, closed_loop, open_loop, prime
from bench.figures import figures_of, machine, ratios, spread, wrong
from bench.served import (
    ROOT,
    Database,
    Postgres,
    Served,
    Slack,
    answering,
    fake_slack,
    free_port,
    process,
    sqlite_database,
    tocsin,
    usage,
)

CONCURRENCY = {1: 64, 10: 32, 100: 8}  # deliveries in flight, by alerts per POST
AS_DOCUMENTED, UNHINDERED = 1.0, 1000.0  # how fast Slack may be called
RATE, NEW_SHARE = 200.0, 0.05  # alerts a second and the share of new incidents, where latency is measured
DELIVERED_WITHIN = 20.0
CALM = 0.2  # of a core
EVERY_ALERT = "select count(*) from alert_log"
EVERY_INCIDENT = "select count(*) from incidents"


@dataclass(frozen=True)
class Plan:
    """How long everything takes. `storms`: (database, alerts per POST, share of repeats)."""

    storms: tuple[tuple[str, int, float], ...]
    storm_seconds: float
    latency_seconds: float
    latency_databases: tuple[str, ...]
    settle_seconds: float
    calm_within: float
    baseline_seconds: float


def plan(quick: bool, databases: tuple[str, ...]) -> Plan:
    mixes = [(size, repeated) for size in (1, 10, 100) for repeated in (0.0, 0.95)]
    storms = [(database, *mix) for database in databases for mix in mixes]
    if not quick:
        return Plan(tuple(storms), 5.0, 12.0, databases, 8.0, 10.0, 2.0)
    few = [storm for storm in storms if storm[1:] == (100, 0.0) or storm == ("sqlite", 1, 0.0)]
    return Plan(tuple(few), 1.0, 3.0, databases[:1], 0.5, 0.5, 0.5)


class Bench:
    """One run: its processes live in `folder`, its figures in `figures`."""

    def __init__(self, folder: Path, slack: Slack, postgres: Postgres | None) -> None:
        self._folder = folder
        self._slack = slack
        self._postgres = postgres
        self._count = 0

    async def place(self, kind: str) -> tuple[Path, Database]:
        self._count += 1
        folder = self._folder / f"{self._count:02d}-{kind}"
        folder.mkdir()
        if kind == "postgres":
            assert self._postgres is not None
            return folder, await self._postgres.database()
        return folder, sqlite_database(folder)

    async def storm(self, kind: str, per_post: int, repeated: float, plan: Plan, settle: float) -> dict[str, Any]:
        """As many alerts as it takes, from senders that wait only for their answers."""
        folder, database = await self.place(kind)
        async with tocsin(folder, database, self._slack, AS_DOCUMENTED) as served:
            alerts = Alerts(per_post, repeated)
            primed = await prime(served.port, alerts)
            await _calm(served, plan.calm_within)
            before, before_database = served.usage(), usage(*database.pids())
            load = await closed_loop(served.port, alerts, CONCURRENCY[per_post], plan.storm_seconds)
            after, after_database = served.usage(), usage(*database.pids())
            figures = {
                "database": kind,
                "per_post": per_post,
                "repeated": repeated,
                **figures_of(load, after.cpu - before.cpu),
                "database_cpu_s": round(after_database.cpu - before_database.cpu, 2),
                **await _kept(database, load, primed, PROBLEMS),
                "startup_s": round(served.startup, 2),
                "memory": {"start": asdict(served.start), "after": asdict(after)},
            }
            if settle:
                await asyncio.sleep(settle)
                figures["memory"]["settled"] = asdict(served.usage())
            return figures

    async def latency(self, kind: str, seconds: float) -> dict[str, Any]:
        """From a delivery to the first call of Slack about the incident that it opened, while alerts come in evenly."""
        folder, database = await self.place(kind)
        async with fake_slack(folder) as slack, tocsin(folder, database, slack, UNHINDERED) as served:
            alerts = Alerts(1, 1 - NEW_SHARE, own_problem=True)
            primed = await prime(served.port, alerts)
            await _quiet(slack)
            before = served.usage()
            load = await open_loop(served.port, alerts, RATE, seconds)
            after = served.usage()
            first = await _heard(slack, load)
            waits = [min(first[one].values()) - due for one, due in load.opened.items() if first.get(one)]
            cards = [first[one]["card"] - due for one, due in load.opened.items() if "card" in first.get(one, {})]
            pages = [first[one]["page"] - due for one, due in load.opened.items() if "page" in first.get(one, {})]
            return {
                "database": kind,
                "alerts_s": RATE,
                "new_share": NEW_SHARE,
                "incidents": len(load.opened),
                "unheard": len(load.opened) - len(waits),
                "first_call": spread(waits),
                "card": spread(cards),
                "page": spread(pages),
                "cpu_share": round((after.cpu - before.cpu) / load.seconds, 3),
                **figures_of(load, after.cpu - before.cpu),
                **await _kept(database, load, primed, PROBLEMS + len(load.opened)),
            }

    async def bare(self, per_post: int, seconds: float) -> dict[str, Any]:
        """The same load against a web server that parses and answers, and keeps nothing."""
        port, log = free_port(), self._folder / "bare.log"
        with process(
            [sys.executable, str(ROOT / "bench" / "baselines.py"), str(port)], log, {"PYTHONPATH": str(ROOT)}
        ) as child:
            await answering(f"http://127.0.0.1:{port}/", child, log)
            before = usage(child.pid)
            load = await closed_loop(port, Alerts(per_post, 0.0), CONCURRENCY[per_post], seconds)
            return {"per_post": per_post, **figures_of(load, usage(child.pid).cpu - before.cpu)}


async def _kept(database: Database, load: Load, primed: Load, incidents: int) -> dict[str, Any]:
    """What was accepted, and what of it is in the database."""
    return {
        "accepted": load.accepted + primed.accepted,
        "rows": await database.rows(EVERY_ALERT),
        "incidents_expected": incidents,
        "incidents_kept": await database.rows(EVERY_INCIDENT),
    }


async def _calm(served: Served, within: float) -> None:
    """Wait until what is known is delivered as far as Slack's pace lets it: what is measured is what more alerts cost."""
    deadline, calm = time.monotonic() + within, 0
    while calm < 3 and time.monotonic() < deadline:
        before = served.usage().cpu
        await asyncio.sleep(0.5)
        calm = calm + 1 if served.usage().cpu - before < 0.5 * CALM else 0


async def _quiet(slack: Slack) -> None:
    """Wait until nothing more is told to Slack of what has been so far."""
    before, deadline = -1, time.monotonic() + DELIVERED_WITHIN
    while time.monotonic() < deadline:
        calls = sum((await slack.seen())["calls"].values())
        if calls == before:
            return
        before = calls
        await asyncio.sleep(0.7)


async def _heard(slack: Slack, load: Load) -> dict[str, dict[str, float]]:
    """When Slack first heard of each incident; waits a while for those it has not heard of yet."""
    deadline = time.monotonic() + DELIVERED_WITHIN
    while True:
        first: dict[str, dict[str, float]] = (await slack.seen())["first"]
        if time.monotonic() > deadline or all("card" in first.get(one, {}) for one in load.opened):
            return first
        await asyncio.sleep(0.2)


async def measure(folder: Path, quick: bool, databases: tuple[str, ...], only: str) -> dict[str, Any]:
    todo = plan(quick, databases)
    async with AsyncExitStack() as stack:
        slack = await stack.enter_async_context(fake_slack(folder))
        postgres = Postgres(folder) if "postgres" in databases else None
        if postgres is not None:
            stack.callback(postgres.close)
        bench = Bench(folder, slack, postgres)
        where = machine(folder)
        figures: dict[str, Any] = {"quick": quick, "machine": where, "storms": [], "latency": [], "bare": []}
        report.machine(where)
        if only in ("", "storms"):
            report.storm_head(todo.storm_seconds)
            for kind, per_post, repeated in todo.storms:
                largest = (kind, per_post, repeated) == (databases[0], 100, 0.0)
                settle = todo.settle_seconds if largest else 0.0
                figures["storms"].append(await bench.storm(kind, per_post, repeated, todo, settle))
                report.storm(figures["storms"][-1])
        if only in ("", "latency"):
            report.latency_head(RATE, NEW_SHARE)
            for kind in todo.latency_databases:
                figures["latency"].append(await bench.latency(kind, todo.latency_seconds))
                report.latency(figures["latency"][-1])
        if only in ("", "signal"):
            figures["signal"] = await noise.measure(folder, slack, quick=quick)
            report.signal(figures["signal"])
        if only in ("", "runs"):
            figures["runs"] = await runs.measure(folder, quick)
            report.runs(figures["runs"])
        if only in ("", "escalations"):
            report.escalation_head(quick)
            figures["escalations"] = []
            for kind in databases:
                _, database = await bench.place(kind)
                figures["escalations"].append(await escalations.measure(database.url, quick))
                report.escalations(figures["escalations"][-1])
        if only == "" and databases[0] == "sqlite":
            sizes = sorted({size for kind, size, _ in todo.storms if kind == "sqlite"})
            figures["bare"] = [await bench.bare(size, todo.baseline_seconds) for size in sizes]
            raw = await asyncio.to_thread(raw_inserts, folder, todo.baseline_seconds)
            figures["ratios"] = ratios(figures["storms"], figures["bare"], raw)
            report.memory(figures["storms"])
            report.ratios(figures["bare"], figures["ratios"])
        return figures


def main() -> int:
    given = argparse.ArgumentParser(description="Measure Tocsin on this machine.")
    given.add_argument("--quick", action="store_true", help="under a minute; less exact")
    given.add_argument("--json", type=Path, help="write all figures to this file")
    given.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    given.add_argument(
        "--only", choices=("storms", "latency", "signal", "runs", "escalations"), default="", help="only a part"
    )
    given.add_argument(
        "--folder",
        type=Path,
        help="on which disk the databases are; every user must be able to reach it, as PostgreSQL does not run as root",
    )
    given.add_argument("--keep", action="store_true", help="keep logs and databases")
    args = given.parse_args()
    databases = ("sqlite", "postgres") if args.database == "both" else (args.database,)
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-", dir=args.folder))
    try:
        figures = uvloop.run(measure(folder, args.quick, databases, args.only))
    finally:
        if args.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    figures["seconds"] = round(time.monotonic() - started, 1)
    figures["wrong"] = wrong(figures)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    for problem in figures["wrong"]:
        print(f"WRONG: {problem}")
    print(
        f"\n{figures['seconds']:g} s in all; {'nothing lost, nothing refused' if not figures['wrong'] else 'see above'}"
    )
    return 1 if figures["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
