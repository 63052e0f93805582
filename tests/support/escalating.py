"""Thousands of open incidents whose escalations come due, and a process that works on them until it is killed. For tests/chaos and bench.

`python -m tests.support.escalating URL LOG OWNER` delivers what is due; each page that leaves is a line `key seconds-since-the-epoch` in LOG.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.domain import effects
from bot.domain.effects import Effect
from bot.domain.escalation import Level, Policy, Track
from bot.domain.incident import Change, Incident, entered
from bot.domain.people import Directory, Person
from bot.domain.ports import Clock, Store
from bot.store import open_store
from tests.support.fakes import FakeRoom
from tests.support.house import House, rules

AT_ONCE = 500
PEOPLE = {f"p{number}": Person(key=f"p{number}", name=f"P{number}", slack=f"U{number}") for number in range(50)}


def policy(timeout: timedelta) -> Policy:
    levels = tuple(Level(targets=(f"person:p{number}",), timeout=timeout) for number in range(2))
    return Policy(key="shop", levels=levels)


def incident(number: int, opened_at: datetime, timeout: timedelta) -> Incident:
    return Incident(
        id=number,
        title=f"Broken on service {number}",
        group_key=f"group {number}",
        severity="critical",
        channel_id=f"C{number}",
        channel_name=f"inc-{number}",
        card_ts="1.0",
        opened_at=opened_at,
        tracks=(Track(policy=policy(timeout)),),
    )


async def seed(store: Store, dues: Sequence[datetime], timeout: timedelta = timedelta(hours=1)) -> None:
    """Incident n has its first escalation at the n-th of these times."""
    for some in _pieces(list(enumerate(dues, start=1))):
        changes = [_opened(number, due, timeout) for number, due in some]
        await store.write(lambda tx, changes=changes: tx.save(*changes))


def _opened(number: int, due: datetime, timeout: timedelta) -> Change:
    change = entered(incident(number, due - timeout, timeout), "opened", f"INC-{number} opened", due - timeout)
    return change.ask(effects.escalate(number, 1, 0, 0, due))


async def seed_others(store: Store, count: int, due: datetime) -> None:
    """So many timers that are not due for long."""
    every = (effects.escalate(10_000_000 + number, 1, 0, 0, due) for number in range(count))
    for some in _pieces(list(every)):
        await store.write(lambda tx, some=some: tx.ask(some))


def _pieces(every: list[Any]) -> Iterator[list[Any]]:
    return (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE))


class LoggingRoom(FakeRoom):
    """What it pages is a line in a file, as somebody outside would have it after this process is dead."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def page(self, incident: Incident, target: str, level: int, key: str, again: bool, address: str = "") -> str:
        if again and key in paged_keys(self._path):  # as Slack is searched for a message with this key
            return "ts-again"
        os.write(self._log, f"{key} {time.time():.6f}\n".encode())
        return "ts"

    @classmethod
    def over(cls, log: Path) -> LoggingRoom:
        room = cls(log)
        room._path = log
        return room

    _path: Path = Path()


def paged_keys(log: Path) -> list[str]:
    if not log.exists():
        return []
    return [line.split(" ")[0] for line in log.read_text().splitlines()]


class Working(House):
    """A house on a clock that runs, with these people."""

    def __init__(self, store: Store, clock: Clock, room: FakeRoom) -> None:
        self._given_room = room
        super().__init__(store, rules(directory=Directory(people=PEOPLE)), clock=clock)  # type: ignore[arg-type]


def house(store: Store, clock: Clock, room: FakeRoom) -> House:
    """The whole flow with this room instead of the house's own."""
    made = House(store, rules(directory=Directory(people=PEOPLE)), clock=clock)  # type: ignore[arg-type]
    own = made.room
    for name in ("page",):
        setattr(own, name, getattr(room, name))
    return made


def now() -> datetime:
    return datetime.now(UTC)


async def main(url: str, log: str, owner: str) -> None:
    store = await open_store(url)
    made = house(store, now, LoggingRoom.over(Path(log)))
    made.worker._owner = owner
    await made.worker.take_back()
    await made.worker.run()


def kinds(asked: Sequence[Effect]) -> set[str]:
    return {effect.kind for effect in asked}


_numbers = itertools.count(1)

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
