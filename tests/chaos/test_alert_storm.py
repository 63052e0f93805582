"""A storm of alerts with a few causes, over real HTTP to the whole program: as few incidents as causes, a page at once, and nothing lost.

TOCSIN_FULL_LOAD=1 sends a hundred thousand alerts, as fast as they are taken.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.client import Connection
from bot.cli.demo import TOKEN
from tests.chaos.watching import FULL, Watched, kept, running

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]

ALERTS = 100_000 if FULL else 20_000
PER_POST = 200
SENDERS = 8
CAUSES = 3
ANSWER_WITHIN = 30.0
# Of an incident at first: its channel, card, pin, people, page, context and what is offered. Then its card now and then.
CALLS_AT_FIRST, CALLS_A_SECOND = 40, 0.7
HEAD = f"POST /webhooks/alertmanager HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {TOKEN}\r\n"


@dataclass
class Poured:
    """What became of what was sent. Times are those of the practice workspace, which are real."""

    begun: float = 0.0
    ended: float = 0.0
    accepted: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    incidents: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    slowest: float = 0.0


def body(first: int, count: int, causes: int) -> bytes:
    """Alerts of so many causes: each of an instance of its own."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": f"Cause{number % causes}", "service": f"s{number % causes}", "namespace": "shop", "team": "shop",
                       "severity": "critical", "pod": f"pod-{number}", "instance": f"10.0.{number // 250 % 250}.{number % 250}:9100"},
            "annotations": {"summary": f"Cause {number % causes} on pod-{number}", "description": "The error ratio is above what was agreed. " * 4},
            "startsAt": "2026-03-02T03:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph?g0.expr=up",
            "fingerprint": f"{number:016x}",
        }
        for number in range(first, first + count)
    ]  # fmt: skip
    return json.dumps(
        {"version": "4", "status": "firing", "receiver": "tocsin", "groupKey": "{}", "alerts": alerts}
    ).encode()


async def pour(program: Watched, bodies: Iterator[bytes]) -> Poured:
    """Each sender posts as soon as its last delivery was answered."""
    poured = Poured(begun=time.time())

    async def sender() -> None:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", program.port)
        for payload in bodies:
            started = time.monotonic()
            async with asyncio.timeout(ANSWER_WITHIN):
                status, answer = await connection.post(HEAD.encode(), payload)
            poured.slowest = max(poured.slowest, time.monotonic() - started)
            if status != 200:
                poured.refused.append(f"{status} {answer[:200]!r}")
                continue
            told = json.loads(answer)
            poured.accepted += told["accepted"]
            poured.outcomes.update(alert["outcome"] for alert in told["alerts"])
            poured.incidents.update(alert["incident"] for alert in told["alerts"])
        connection.close()

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    poured.ended = time.time()
    return poured


def pages(program: Watched) -> list[dict[str, Any]]:
    """The calls of Slack that paged somebody, in order."""
    calls = program.practice.workspace.api.calls
    return [one for one in calls if one["method"] == "chat.postMessage" and "paged" in json.dumps(one["args"])]


async def test_a_storm_with_three_causes_is_three_incidents_and_its_first_page_leaves_at_once(folder: Path) -> None:
    async with running(folder, {"slack": {"pace": 1.0}}) as program:
        poured = await pour(program, (body(first, PER_POST, CAUSES) for first in range(0, ALERTS, PER_POST)))
        calls = [one for one in program.practice.workspace.api.calls if one["time"] >= poured.begun]
        health = await program.health()
        await program.settled()
        assert await program.stop() == 0
        paged, seconds = pages(program), poured.ended - poured.begun
        methods = Counter(one["method"] for one in calls)
        shown(poured, health, methods, [one["time"] - poured.begun for one in paged])

    assert poured.refused == []
    assert poured.accepted == ALERTS
    assert len(poured.incidents) == CAUSES
    lines, keys = kept(program.database)
    assert dict(lines) == {"alertmanager": ALERTS}
    assert len(keys) == ALERTS == one_number(program.database, "select count(*) from alerts")
    assert one_number(program.database, "select count(*) from incidents") == CAUSES
    assert paged[0]["time"] < poured.ended, "nobody was paged before the storm was over"
    assert len(paged) == CAUSES
    assert len(calls) <= CAUSES * (CALLS_AT_FIRST + CALLS_A_SECOND * seconds), methods
    assert health["computed"] < 1.0


async def test_five_hundred_different_problems_on_one_route_are_ten_incidents_and_one_storm(folder: Path) -> None:
    problems, more_than = 500, 10
    async with running(folder, {"slack": {"pace": 50}}) as program:
        poured = await pour(program, (body(first, 20, problems) for first in range(0, problems, 20)))
        await program.settled()
        assert await program.stop() == 0
        paged = pages(program)
        channels = [
            one.name for one in program.practice.workspace.state.channels.values() if one.name.startswith("inc-")
        ]

    assert (poured.refused, poured.accepted) == ([], problems)
    assert len(poured.incidents) == len(channels) == more_than + 1
    assert poured.outcomes == {"opened": more_than + 1, "joined": problems - more_than - 1}
    assert len(paged) == more_than + 1, "once for each of the first incidents, and once for the storm"
    (storm,) = [name for name in channels if "storm" in name]
    number = int(storm.split("-")[1])
    text = one_value(program.database, f"select doc from incidents where id = {number}")
    assert len(json.loads(text)["problems"]) > 10, "its list says what it is made of"
    assert (
        one_number(program.database, f"select count(*) from alerts where incident_id = {number}")
        == problems - more_than
    )


def one_value(database: Path, query: str) -> Any:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchone()[0]
    finally:
        connection.close()


def one_number(database: Path, query: str) -> int:
    return int(one_value(database, query))


def shown(poured: Poured, health: dict[str, float], methods: Counter[str], after: list[float]) -> None:
    seconds = poured.ended - poured.begun
    print(
        f"\n{poured.accepted:,} alerts in {seconds:.1f} s ({poured.accepted / seconds:,.0f}/s), slowest answer {poured.slowest:.2f} s; ",
        end="",
    )
    print(
        f"pages after {', '.join(f'{one:.2f}' for one in after)} s; {sum(methods.values())} calls of Slack: {dict(methods)}; {health}"
    )
