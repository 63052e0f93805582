"""From what happened to figures: rates, spreads, ratios, and what must not be. Used by run.py; report.py shows them."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

from bench.client import Load, quantile


def figures_of(load: Load, cpu: float) -> dict[str, Any]:
    return {
        "seconds": round(load.seconds, 2),
        "deliveries_s": round(load.deliveries / load.seconds),
        "accepted_s": round(load.accepted / load.seconds),
        "accepted_per_cpu_s": round(load.accepted / cpu) if cpu else None,
        "server_cpu_s": round(cpu, 2),
        "client_cpu_s": round(load.cpu, 2),
        "answer": spread(load.latencies),
        "statuses": dict(load.statuses),
    }


def spread(seconds: list[float]) -> dict[str, float | None]:
    """In milliseconds."""
    found = {"p50": quantile(seconds, 0.5), "p99": quantile(seconds, 0.99), "max": quantile(seconds, 1.0)}
    return {name: None if value is None else round(value * 1000, 2) for name, value in found.items()}


def machine(folder: Path) -> dict[str, Any]:
    """Where this was measured; `sync_ms`: what it takes to make 4 KiB durable there, the median of 100."""
    times = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(100):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.platform(),
        "sync_ms": round((quantile(times, 0.5) or 0) * 1000, 3),
    }


def ratios(storms: list[dict[str, Any]], bare: list[dict[str, Any]], raw: float) -> dict[str, Any]:
    """Tocsin on SQLite, all new, relative to what was measured beside it in this run."""
    mine = {one["per_post"]: one for one in storms if one["database"] == "sqlite" and not one["repeated"]}
    return {
        "raw_inserts_s": round(raw),
        "to_raw_inserts": {size: round(one["accepted_s"] / raw, 3) for size, one in mine.items()},
        "to_bare_server": {
            one["per_post"]: round(mine[one["per_post"]]["accepted_s"] / one["accepted_s"], 3) for one in bare
        },
        "to_bare_server_by_cpu": {
            one["per_post"]: round(
                (mine[one["per_post"]]["accepted_per_cpu_s"] or 0) / (one["accepted_per_cpu_s"] or 1), 3
            )
            for one in bare
        },
    }


def wrong(figures: dict[str, Any]) -> list[str]:
    """What must not be: an accepted alert that is not there, a refusal, a second incident for one problem."""
    found = []
    for one in [*figures["storms"], *figures["latency"]]:
        name = f"{one['database']}, {one.get('per_post', 1)} per POST"
        if one["accepted"] != one["rows"]:
            found.append(f"{name}: {one['accepted']} accepted, {one['rows']} in the database")
        if refused := {status: count for status, count in one["statuses"].items() if not status.startswith("2")}:
            found.append(f"{name}: not every delivery was accepted: {refused}")
        if one["incidents_kept"] != one["incidents_expected"]:
            found.append(f"{name}: {one['incidents_kept']} incidents instead of {one['incidents_expected']}")
        if one.get("unheard"):
            found.append(f"{name}: Slack never heard of {one['unheard']} incidents")
    for one in figures.get("escalations", []):
        if one["missed"] or one["pages_missed"] or one["pages_twice"]:
            found.append(
                f"escalations, {one['database']}: {one['missed']} not decided, {one['pages_missed']} not paged, {one['pages_twice']} paged twice"
            )
    for name, one in figures.get("signal", {}).get("served", {}).items():
        if isinstance(one, dict) and one["accepted"] != one["rows"]:
            found.append(f"signal, {name}: {one['accepted']} accepted, {one['rows']} in the database")
    return found
