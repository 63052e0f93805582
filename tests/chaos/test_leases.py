"""Fencing: a worker that hangs past its lease records nothing any more, and is stopped; what it did before is found by the one that took over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.flow.worker import Worker
from tests.support.house import House
from tests.support.stores import KINDS, opened

pytestmark = pytest.mark.chaos


@pytest.fixture(params=KINDS)
async def house(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[House]:
    async with opened(request.param, folder) as store:
        yield House(store)


class Hanging:
    """The handler of pages, whose first answer does not come before `answer` is set, although the page has left."""

    def __init__(self, house: House) -> None:
        self.left = asyncio.Event()
        self.answer = asyncio.Event()
        self.stopped = asyncio.Event()
        self._page = house.handlers["page"]

    async def page(self, delivery):
        record = await self._page(delivery)
        self.left.set()
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        return record


def hanging_worker(house: House, hanging: Hanging) -> Worker:
    handlers = {**house.handlers, "page": hanging.page}
    return Worker(house.store, handlers, house.clock, "the first", house.housekeeping.row_died)


async def test_what_a_worker_settles_after_its_lease_is_void(house: House) -> None:
    hanging = Hanging(house)
    await house.receive(house.alert())
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(hanging_worker(house, hanging).drain())
        await hanging.left.wait()
        house.clock.forward(seconds=11)
        await house.settle()
        assert (await house.kinds()).count("page_sent") == 1
        before = await house.kinds()
        hanging.answer.set()
        await first
    assert await house.kinds() == before, "the late one recorded something"
    assert house.room.said("page") == [("page", "person:ada", "1")]
    assert all(one.due == 0 for one in await house.store.backlog(house.clock()))


async def test_a_handler_whose_lease_is_lost_is_stopped(tmp_path: Path) -> None:
    """Real time: leases are renewed every three seconds, which is when the loss shows."""
    async with opened("memory", tmp_path) as store:
        house = House(store)
        hanging = Hanging(house)
        worker = hanging_worker(house, hanging)
        await house.receive(house.alert())
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(worker.run())
            await hanging.left.wait()
            house.clock.forward(seconds=11)
            await house.settle()
            await hanging.stopped.wait()
            worker.stop()
        assert (await house.kinds()).count("page_sent") == 1
