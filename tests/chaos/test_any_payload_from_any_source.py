"""Odd payloads for every source, thousands of them, by real HTTP and SMTP to the whole program: it answers each, and is as well afterwards as before.

TOCSIN_FULL_LOAD=1 sends a hundred thousand of them.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.client import Connection
from tests.chaos.odd_deliveries import FACTS, Deliveries, Delivery, settings
from tests.chaos.watching import FULL, SECRET, Watched, kept, running

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1200)]

PAYLOADS = 100_000 if FULL else 15_000
WARM = 3_000  # payloads after which memory is what it is when it is used
SENDERS = 12
MAILS_PER = 50  # one e-mail for so many payloads
ANSWER_WITHIN = 10.0
BLOCKED = 1.0  # seconds of its own CPU that the loop may be kept from others
GROWTH = 60.0  # MiB
ANSWERS = {200, 201, 202, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 422, 431}


@dataclass
class Found:
    """What came of the deliveries. `told`: the keys of alerts of which an answer with 2xx told."""

    statuses: Counter[int] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    mails: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    again: int = 0  # connections that were made anew although what was sent could be read

    def answered(self, delivery: Delivery, status: int, body: bytes, seconds: float) -> None:
        self.statuses[status] += 1
        self.slowest = max(self.slowest, (seconds, f"{delivery.source} {delivery.target[:80]}"))
        if status not in ANSWERS:
            self.wrong.append(
                f"{status} {delivery.method} {delivery.target[:200]} {delivery.body[:500]!r}: {body[:300]!r}"
            )
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if delivery.bare and status == 400 and said is None:
            return  # the HTTP server's own words: it could not unpack it
        if not isinstance(said, dict) or (status >= 300 and not said.get("error")):
            self.wrong.append(f"no answer in JSON: {status} {delivery.method} {delivery.target[:200]} {body[:300]!r}")
        elif status < 300:
            self.taken[delivery.source] += 1
            told = [one for one in said.get("alerts", ()) if isinstance(one, dict) and "outcome" in one]
            self.told.update(f"{delivery.source}/{one['fingerprint']}" for one in told)


async def send(program: Watched, deliveries: Deliveries, count: int, found: Found) -> None:
    """So many payloads, by senders that keep their connections, and e-mail beside them."""
    left = iter(range(count))

    async def sender() -> None:
        connection = None
        for _ in left:
            delivery = deliveries.one()
            if connection is None or connection.closed:
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, "127.0.0.1", program.port
                )
            started = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    status, body = await connection.post(delivery.head, delivery.body)
            except (OSError, TimeoutError) as error:
                found.wrong.append(
                    f"{error!r} {delivery.method} {delivery.target[:200]} {delivery.headers} {delivery.body[:500]!r}"
                )
                connection.close()
                continue
            found.answered(delivery, status, body, time.monotonic() - started)
            found.again += connection.closed and not delivery.bare
            if delivery.bare:
                connection.close()
        if connection is not None:
            connection.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(SENDERS):
            tasks.create_task(sender())
        tasks.create_task(post(program.mail, [deliveries.mail() for _ in range(count // MAILS_PER)], found))


async def post(port: int, mails: list[bytes], found: Found) -> None:
    """E-mail, fifty a connection. What is counted is the answer to the whole message."""
    for start in range(0, len(mails), 50):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)

        async def say(line: bytes, reader: asyncio.StreamReader = reader, writer: asyncio.StreamWriter = writer) -> str:
            writer.write(line)
            async with asyncio.timeout(ANSWER_WITHIN):
                while (answer := (await reader.readline()).decode())[3:4] == "-":
                    pass
            return answer

        await say(b"")
        await say(b"EHLO fuzz.example.com\r\n")
        for mail in mails[start : start + 50]:
            await say(b"MAIL FROM:<mon@example.com>\r\n")
            await say(f"RCPT TO:<email+{SECRET}@tocsin.example.com>\r\n".encode())
            await say(b"DATA\r\n")
            dotted = re.sub(rb"^\.", b"..", mail, flags=re.M)
            found.mails[(await say(dotted + b"\r\n.\r\n"))[:3]] += 1
        writer.close()
        await writer.wait_closed()


async def test_whatever_comes_from_whichever_source_is_answered_and_leaves_no_harm(folder: Path) -> None:
    deliveries, found = Deliveries(seed=4), Found()
    more = {"slack": {"pace": 1000}, "sources": {kind: settings(kind) for kind in FACTS}}
    async with running(folder, more) as program:
        await send(program, deliveries, WARM, found)
        await program.settled()
        before = await program.health()
        started = time.monotonic()
        await send(program, deliveries, PAYLOADS - WARM, found)
        seconds = time.monotonic() - started
        await program.settled()
        after = await program.health()
        received = await program.received()
        assert await program.stop() == 0
    shown(found, before, after, seconds)

    assert not found.wrong, f"{len(found.wrong)}, like:\n" + "\n".join(found.wrong[:20])
    assert found.again == 0, "connections were dropped"
    assert sum(found.statuses.values()) == PAYLOADS
    assert set(found.mails) <= {"250", "554"} and found.mails["250"]
    assert set(found.taken) == set(deliveries.kinds), "of some source nothing was ever accepted: it was not tried"
    assert max(after["computed"], before["computed"]) < BLOCKED
    assert after["rss"] - before["rss"] < GROWTH
    assert after["fds"] - before["fds"] <= 5
    lines, keys = kept(program.database)
    assert dict(lines) == received
    assert found.told <= keys
    said = (folder / "log").read_text(errors="replace")
    assert "Traceback" not in said, said[:4_000]


def shown(found: Found, before: Mapping[str, Any], after: Mapping[str, Any], seconds: float) -> None:
    print(
        f"\n{sum(found.statuses.values()):,} payloads in {seconds:.0f} s: {dict(found.statuses.most_common())}, e-mail {dict(found.mails)}"
    )
    print(
        f"slowest {found.slowest[0]:.2f} s ({found.slowest[1]}); {len(found.told):,} alerts told of; before {before}, after {after}"
    )
