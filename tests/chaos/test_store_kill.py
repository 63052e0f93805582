"""kill -9 in the middle of writing: every acknowledged write is there, and no write is there by half (P1)."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.ports import Tx
from bot.store import open_store
from tests.support.stores import SQL_KINDS, make_url

ROUNDS = 3
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@pytest.mark.chaos
@pytest.mark.parametrize("kind", SQL_KINDS)
async def test_every_acknowledged_write_survives_kill_9(kind: str, tmp_path: Path) -> None:
    url = await make_url(kind, tmp_path)
    chance = random.Random(7)
    acknowledged: list[int] = []
    for attempt in range(ROUNDS):
        said = await _written_until_killed(url, attempt * 1_000_000, chance.randrange(20, 400))
        assert len(said) >= 20
        acknowledged += said
    store = await open_store(url)
    missing = await store.read(lambda tx: _missing(tx, acknowledged))
    claimed = await store.claim("one", NOW, NOW + timedelta(minutes=1), 1_000_000)
    asked = {int(one.effect.key.removeprefix("say:")) for one in claimed}
    halves = await store.read(lambda tx: _missing(tx, asked))
    await store.close()
    assert missing == []
    assert set(acknowledged) <= asked
    assert halves == [], "its outbox row is there without its state"


async def _missing(tx: Tx, numbers: list[int] | set[int]) -> list[int]:
    return [number for number in sorted(numbers) if await tx.postmortem(number) is None]


async def _written_until_killed(url: str, first: int, lines: int) -> list[int]:
    """What the process acknowledged before it was killed, some lines (and a little) after it began."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.writes_until_killed", url, str(first)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = [await process.stdout.readline() for _ in range(lines)]
    process.kill()
    said += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    return [int(line) for line in said if line.endswith(b"\n")]
