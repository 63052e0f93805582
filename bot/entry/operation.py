"""For whoever runs Tocsin: `/healthz` (the process answers), `/readyz` (what it needs answers), `/metrics` (for Prometheus).

They tell no secrets. Only the metrics can be put behind a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from aiohttp import web

from bot.domain.incoming import Incoming
from bot.domain.ports import Backlog, Clock
from bot.entry.auth import Auth, lowered
from bot.entry.metrics import Metrics
from bot.errors import TryLater

T = TypeVar("T")
Check = Callable[[], Awaitable[None]]
"""Returns when all is well; raises when not. The text of a TryLater is shown, of other failures only the kind."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Operation:
    """The routes and what they ask. Every question has to be answered within `seconds`.

    `shown`: whether there are metrics to scrape; `scraper`: who may (None: whoever reaches the port). `silences`: how many are
    active, and how many alerts they hide.
    """

    checks: Mapping[str, Check]
    backlog: Callable[[], Awaitable[Sequence[Backlog]]]
    metrics: Metrics
    clock: Clock
    seconds: float = 2.0
    shown: bool = True
    scraper: Auth | None = None
    silences: Callable[[], Awaitable[tuple[int, int]]] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/healthz", self._healthz),
            web.get("/readyz", self._readyz),
            *([web.get("/metrics", self._metrics)] if self.shown else []),
        ]

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readyz(self, request: web.Request) -> web.Response:
        """All checks at once; 503 when one fails, with every result by name."""
        results = await asyncio.gather(*(self._checked(check) for check in self.checks.values()))
        checks = dict(zip(self.checks, results, strict=True))
        ready = all(result == "ok" for result in results)
        if not ready:
            log.warning("not ready", checks=checks)
        body = {"status": "ok" if ready else "not ready", "checks": checks}
        return web.json_response(body, status=200 if ready else 503)

    async def _checked(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self.seconds):
                await check()
        except TimeoutError:
            return f"no answer within {self.seconds:g} s"
        except TryLater as error:
            return str(error) or "not available"
        except Exception as error:
            log.error("readiness check failed", exc_info=error)
            return f"failed ({type(error).__name__})"
        return "ok"

    async def _metrics(self, request: web.Request) -> web.Response:
        """The database is asked at every scrape; what was counted is shown even when it does not answer."""
        if self.scraper is not None:
            self.scraper.admit(Incoming(b"", lowered(request.headers)), self.clock())
        self.metrics.backlog(await self._asked(self.backlog, "the outbox"), self.clock())
        self.metrics.silences(await self._asked(self.silences, "silences") if self.silences else None)
        text, content_type = self.metrics.rendered(request.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": content_type})

    async def _asked(self, question: Callable[[], Awaitable[T]], what: str) -> T | None:
        """The answer, or None when there is none in time."""
        try:
            async with asyncio.timeout(self.seconds):
                return await question()
        except Exception as error:
            log.warning("could not be read for a scrape", what=what, reason=str(error) or type(error).__name__)
            return None
