"""The heartbeat outside hears how it is; what goes wrong with it stops nobody and shows nobody its address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bot.clients.heartbeat import Heartbeat, failed
from bot.clients.http import Http
from tests.support.clock import HandClock
from tests.support.program import free_port

SECRET = "5c1f0f5e-very-secret"


class Outside:
    """A server that counts what it is asked, and answers with `status`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.port = free_port()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path_qs}")
        return web.Response(status=self.status, text=f"no such check {SECRET}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ping/{SECRET}"


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    made = Outside()
    site = web.Application()
    site.router.add_route("*", "/{rest:.*}", made.answer)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made.port).start()
    yield made
    await runner.cleanup()


async def beat(url: str, well: bool = True) -> tuple[bool, list[str], str]:
    """Whether it was heard, what was counted, and all that was logged."""
    counted: list[str] = []
    logs: list[Any]
    async with Http(lambda text: text) as http:
        heartbeat = Heartbeat(http, url, counted.append)
        with capture_logs() as logs:
            heard = await heartbeat.beat(well)
    return heard, counted, repr(logs) + repr(heartbeat)


async def test_that_all_is_well_is_said_by_the_address_alone(outside: Outside) -> None:
    assert (await beat(outside.url))[:2] == (True, ["ok"])
    assert outside.asked == [f"GET /ping/{SECRET}"]


async def test_that_something_is_wrong_is_said_by_fail_behind_it(outside: Outside) -> None:
    assert (await beat(outside.url + "/?create=1", well=False))[:2] == (True, ["ok"])
    assert outside.asked == [f"GET /ping/{SECRET}/fail?create=1"]


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_a_refusal_is_counted_and_logged_without_the_address(outside: Outside, status: int) -> None:
    outside.status = status
    heard, counted, logged = await beat(outside.url)
    assert (heard, counted) == (False, ["failed"])
    assert str(status) in logged
    assert SECRET not in logged


@pytest.mark.parametrize(
    "url", [f"http://127.0.0.1:1/{SECRET}", f"http://no.such.host.invalid/{SECRET}", f"nonsense {SECRET}"]
)
async def test_nobody_at_the_address_stops_nobody(url: str) -> None:
    async with asyncio.timeout(15):
        heard, counted, logged = await beat(url)
    assert (heard, counted) == (False, ["failed"])
    assert SECRET not in logged


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://hc-ping.com/abc", "https://hc-ping.com/abc/fail"),
        ("https://hc-ping.com/key/slug?rid=1", "https://hc-ping.com/key/slug/fail?rid=1"),
        ("https://up.example.com/", "https://up.example.com/fail"),
    ],
)
def test_the_address_of_a_failure(url: str, other: str) -> None:
    assert failed(url) == other


async def test_it_is_said_as_often_as_the_configuration_says_and_what_is_wrong_at_once(outside: Outside) -> None:
    clock = HandClock()
    async with Http(lambda text: text) as http:
        heartbeat = Heartbeat(http, outside.url, every=timedelta(minutes=5), clock=clock)
        for _ in range(6):
            assert await heartbeat.beat(True)
            clock.forward(minutes=1)
        assert len(outside.asked) == 2, "at once, and after five minutes"
        await heartbeat.beat(False)
        assert outside.asked[-1].endswith("/fail")
        await heartbeat.beat(True)
        assert len(outside.asked) == 4, "that it is well again is said at once"
