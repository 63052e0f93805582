"""Thousands of open incidents whose escalations come due, and a process that works on them until it is killed. For tests/chaos and bench.

`python -m tests.support.escalating URL LOG OWNER` delivers what is due; each page that leaves is a line `key seconds-since-the-epoch` in LOG.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from bot.cli.common import set_up_logs
from bot.domain import effects
from bot.domain.escalation import Level, Policy, Track
from bot.domain.incident import Change, Incident, entered
from bot.domain.people import Directory, Person
from bot.domain.ports import Clock, Store
from bot.flow.worker import Worker
from bot.store import open_store
from tests.support.house import House, rules

AT_ONCE = 500
PEOPLE = {f"p{number}": Person(key=f"p{number}", name=f"P{number}", slack=f"U{number}") for number in range(2)}


def now() -> datetime:
    return datetime.now(UTC)


def incident(number: int, opened_at: datetime, timeout: timedelta) -> Incident:
    levels = tuple(Level(targets=(f"person:{key}",), timeout=timeout) for key in PEOPLE)
    return Incident(
        id=number,
        title=f"Broken on service {number}",
        group_key=f"group {number}",
        severity="critical",
        channel_id=f"C{number}",
        channel_name=f"inc-{number}",
        card_ts="1.0",
        opened_at=opened_at,
        tracks=(Track(policy=Policy(key="shop", levels=levels)),),
    )


async def seed(store: Store, dues: Sequence[datetime], patience: timedelta = timedelta(hours=1)) -> None:
    """Incident n has its first escalation at the n-th of these times."""
    for some in _pieces([_opened(number, due, patience) for number, due in enumerate(dues, start=1)]):
        await store.write(lambda tx, some=some: tx.save(*some))


def _opened(number: int, due: datetime, timeout: timedelta) -> Change:
    at = due - timedelta(minutes=5)
    change = entered(incident(number, at, timeout), "opened", f"INC-{number} opened", at)
    return change.ask(effects.escalate(number, 1, 0, 0, due))


async def seed_others(store: Store, count: int, due: datetime) -> None:
    """So many timers that are not due for long."""
    for some in _pieces([effects.escalate(10_000_000 + number, 1, 0, 0, due) for number in range(count)]):
        await store.write(lambda tx, some=some: tx.ask(some))


def _pieces(every: list[Any]) -> Iterator[list[Any]]:
    return (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE))


class Log:
    """Stands for whoever is paged. A page that may have left before is looked for first, as a message is in Slack."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def page(self, incident: Incident, target: str, level: int, key: str, again: bool, address: str = "") -> str:
        if not again or key not in paged(self._path):
            os.write(self._file, f"{key} {time.time():.6f}\n".encode())
        return "ts"


def paged(log: Path) -> list[str]:
    """The keys of the pages that have left, in order."""
    return [line.split(" ")[0] for line in log.read_text().splitlines()] if log.exists() else []


def house(store: Store, clock: Clock, page: Any, owner: str = "one") -> House:
    """The whole flow; pages through Slack go to `page`."""
    made = House(store, rules(directory=Directory(people=PEOPLE)), clock=clock)  # type: ignore[arg-type]
    made.room.page = page  # type: ignore[method-assign]
    made.worker = Worker(store, made.handlers, clock, owner, made.housekeeping.row_died)
    return made


async def main(url: str, log: str, owner: str) -> None:
    set_up_logs("error", "console")
    store = await open_store(url)
    worker = house(store, now, Log(Path(log)).page, owner).worker
    await worker.take_back()
    await worker.run()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:4]))
