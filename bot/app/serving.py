"""Runs the program that building has made: entrances, worker, and what is done again and again; and stops it in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from bot.app.parts import Repeated, Tocsin
from bot.entry import problems
from bot.errors import TryLater

RENEW_SECONDS = 60.0
LINGER = 1.0  # how long the rest of a refused body is read, which aiohttp also unpacks
log = structlog.get_logger("app")


async def serve(tocsin: Tocsin, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Run until `stop`; then take nothing new, store what has arrived, finish what is in hand, give back the leases."""
    if tocsin.steady is not None:
        await tocsin.steady.begin(tocsin.store)
    await tocsin.worker.take_back()
    async with asyncio.TaskGroup() as tasks:
        async with entrances(tocsin):
            working = tasks.create_task(tocsin.worker.run())
            others = [tasks.create_task(_renewing(tocsin))]
            others += [tasks.create_task(_again_and_again(one)) for one in tocsin.repeated]
            if tocsin.steady is not None:
                others.append(tasks.create_task(tocsin.steady.watch(tocsin.store)))
            log.info("listening", url=tocsin.config.server.url, sources=sorted(tocsin.config.sources))
            if ready is not None:
                ready.set()
            await stop.wait()
            log.info("stopping")
            for task in others:
                task.cancel()
        tocsin.worker.stop()
        _done, late = await asyncio.wait([working], timeout=tocsin.config.server.shutdown_seconds)
        for task in late:
            log.warning("not finished in time; the leases run out by themselves")
            task.cancel()
    log.info("stopped")


@asynccontextmanager
async def entrances(tocsin: Tocsin) -> AsyncIterator[None]:
    """Open to alerts and to Slack; at the end nothing new is taken and what has arrived is stored."""
    server = tocsin.config.server
    logging.getLogger("aiohttp.server").addFilter(problems.worth_a_trace)
    runner = web.AppRunner(
        tocsin.site, access_log=None, handle_signals=False, shutdown_timeout=5.0, lingering_time=LINGER
    )
    await runner.setup()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tocsin.intake.run())
        socket_mode = tasks.create_task(tocsin.socket_mode.run()) if tocsin.socket_mode else None
        await web.TCPSite(runner, server.host or None, server.port).start()
        try:
            if tocsin.mail is not None:
                await tocsin.mail.start()
            yield
        finally:
            if socket_mode is not None:
                socket_mode.cancel()
                await asyncio.wait([socket_mode])  # before a failure below cancels it a second time, in its own closing
            await runner.cleanup()
            if tocsin.mail is not None:
                await tocsin.mail.stop()
            tocsin.intake.stop()


async def _renewing(tocsin: Tocsin) -> None:
    """Whatever is held is judged anew when the program begins and when the configuration has changed."""
    tocsin.current.changed.set()
    while True:
        await tocsin.current.changed.wait()
        tocsin.current.changed.clear()
        try:
            await tocsin.intake.look_again_at_everything()
        except TryLater as error:
            log.warning("held alerts are looked at later", error=str(error))
            await asyncio.sleep(1.0)
            tocsin.current.changed.set()
        except Exception:
            log.exception("held alerts could not be looked at; trying again in a minute")
            await asyncio.sleep(RENEW_SECONDS)
            tocsin.current.changed.set()


async def _again_and_again(one: Repeated) -> None:
    while True:
        try:
            await one.work()
        except TryLater as error:
            log.warning(f"{one.name} later", error=str(error))
        except Exception:
            log.exception(f"{one.name} failed")
        await asyncio.sleep(one.seconds)
