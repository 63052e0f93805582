"""A process that writes as fast as it can and says each number only after the store has acknowledged it. Killed by tests/chaos/test_store_kill.py."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from datetime import UTC, datetime

from bot.domain.effects import Effect, Priority
from bot.domain.ports import Tx
from bot.store import open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def main(url: str, first: int) -> None:
    store = await open_store(url)
    numbers = itertools.count(first)

    async def writer() -> None:
        for number in numbers:

            async def work(tx: Tx, number: int = number) -> None:
                await tx.save_postmortem(number, "x" * 500, NOW)
                key = f"say:{number}"
                await tx.ask([Effect(kind="say", key=key, lane=key, priority=Priority.CARD, due=NOW)])

            await store.write(work)
            os.write(1, f"{number}\n".encode())

    await asyncio.gather(*(writer() for _ in range(12)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
