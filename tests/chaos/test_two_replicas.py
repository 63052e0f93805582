"""P2 and P4 on PostgreSQL: two replicas, all equal, race and die, and it is as if there were one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.chaos.cases import Case, all_end_as, calm
from tests.chaos.endings import differences, final
from tests.chaos.outside import Outside, Setting, Trouble, outside, story
from tests.support.program import webhook
from tests.support.stores import make_url

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

EVERY = 5  # of the points at which one of them may die


@pytest.fixture
async def database(tmp_path: Path) -> str:
    return await make_url("postgres", tmp_path)


async def outcomes(it: Outside, bodies: list[dict[str, Any]]) -> Counter[str]:
    """What became of alerts that are posted all at once, to each replica in turn."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        answers = await asyncio.gather(*(it.alert(http, body) for body in bodies))
    return Counter(alert["outcome"] for answer in answers for alert in answer["alerts"])


def one_of_each(it: Outside) -> None:
    assert [one.name for one in it.channels()] == ["inc-1-checkout-high-error-rate"]
    assert len(it.keys()) == len(set(it.keys())), "a message twice"
    assert it.keys("card:") == ["card:1"]
    assert it.keys("page:") == ["page:1:1:0:1:person:ada:slack"]


async def test_a_hundred_identical_alerts_at_once_are_one_incident(door: str, folder: Path, database: str) -> None:
    async with outside(Setting(door, folder, database, replicas=2)) as it:
        told = await outcomes(it, [webhook(it.now)] * 100)
        assert told == {"opened": 1, "repeated": 99}
        await it.settle()
        one_of_each(it)
        (incident,) = (await it.look())["incidents"].values()
        assert [line.partition(":")[0] for line in incident["timeline"]].count("opened") == 1
        assert incident["chain"] == "unbroken"


async def test_a_hundred_different_alerts_of_one_group_at_once_are_one_incident(
    door: str, folder: Path, database: str
) -> None:
    async with outside(Setting(door, folder, database, replicas=2)) as it:
        bodies = []
        for number in range(100):
            body = webhook(it.now, instance=f"10.0.0.{number}:8080")
            body["alerts"][0]["fingerprint"] = f"{number:016x}"
            bodies.append(body)
        told = await outcomes(it, bodies)
        assert told["opened"] == 1
        assert sum(told.values()) == 100
        assert "repeated" not in told
        await it.settle()
        one_of_each(it)
        look = await it.look()
        assert look["incidents"]["INC-1"]["alerts"] == 100
        assert look["incidents"]["INC-1"]["chain"] == "unbroken"


@asynccontextmanager
async def to_both(it: Outside) -> AsyncIterator[None]:
    """Slack's deliveries go to every replica at the same time."""
    urls = [child.url for child in await it.children()]

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {
            name: value for name, value in request.headers.items() if name.startswith(("X-Slack", "Content-Type"))
        }

        async def to(url: str) -> tuple[int, bytes]:
            async with http.post(f"{url}/slack/events", data=body, headers=headers) as answer:
                return answer.status, await answer.read()

        statuses = await asyncio.gather(*map(to, urls))
        return web.Response(status=max(status for status, _ in statuses))

    app = web.Application()
    app.router.add_post("/", forward)
    runner = web.AppRunner(app, access_log=None)
    async with aiohttp.ClientSession() as http:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        it.forward_to = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield
        finally:
            await runner.cleanup()


async def test_the_story_with_every_click_delivered_to_both_at_once(door: str, folder: Path, database: str) -> None:
    reference = await calm(door, folder)
    async with outside(Setting(door, folder / "two", database, replicas=2)) as it, to_both(it):
        await story(it)
        assert differences(reference.state, await final(it), ordered=False) == []
        timeline = (await it.look())["incidents"]["INC-1"]["timeline"]
        for kind in ("acknowledged", "run_approved", "run_done"):
            assert len([line for line in timeline if line.startswith(f"{kind}:")]) == 1, kind


async def test_when_one_dies_in_the_middle_of_a_delivery_the_other_takes_over(
    door: str, folder: Path, tmp_path: Path
) -> None:
    """The first is killed at a call that it made or that the other made at the same time; nothing of it is started again."""
    reference = await calm(door, folder)
    numbers = range(1, reference.calls + 1, EVERY)
    cases = [Case(f"the first killed at call {n}", Trouble(lose=n, kill=True), ordered=False) for n in numbers]
    databases = {case.where: await make_url("postgres", tmp_path) for case in cases}

    def setting(case: Case, at: Path) -> Setting:
        return Setting(door, at, databases[case.where], replicas=2, trouble=case.trouble)

    await all_end_as(reference, setting, folder, cases)


async def test_when_one_dies_after_a_commit_the_other_takes_over(door: str, folder: Path, tmp_path: Path) -> None:
    reference = await calm(door, folder)
    numbers = range(2, len(reference.commits) // 2, EVERY)
    cases = [Case(f"the first killed after its commit {n}", Trouble(die=n), ordered=False) for n in numbers]
    databases = {case.where: await make_url("postgres", tmp_path) for case in cases}

    def setting(case: Case, at: Path) -> Setting:
        return Setting(door, at, databases[case.where], replicas=2, trouble=case.trouble)

    await all_end_as(reference, setting, folder, cases)
