"""Pings a dead man's switch outside while all is well, so that somebody notices when Tocsin no longer is. Called by the auditor.

Understood by Healthchecks (https://healthchecks.io/docs/http_api/): the address says that all is well, the address with /fail that it is not. Others
(Uptime Kuma, Better Stack, Dead Man's Snitch) take the first, and refuse the second at worst.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import structlog

from bot.clients.http import Http
from bot.errors import BadInput, TryLater

ANSWER_WITHIN = 10.0  # s
EARLY = timedelta(seconds=5)  # the auditor comes each minute, not to the second


class Heartbeat:
    """`url` is a secret: whoever has it can say that all is well. `every`: how often that is said at most; what is wrong is said each time.
    `observe(outcome)` counts `ok` and `failed`."""

    def __init__(
        self,
        http: Http,
        url: str,
        observe: Callable[[str], None] = lambda outcome: None,
        every: timedelta = timedelta(0),
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._http = http
        self._url = url
        self._observe = observe
        self._every = every
        self._clock = clock
        self._next: datetime | None = None
        self._log = structlog.get_logger("heartbeat")

    def __repr__(self) -> str:
        return "Heartbeat(…)"

    async def beat(self, well: bool) -> bool:
        """Say how it is; whether that was heard. Raises nothing: a heartbeat that fails is logged and stops nobody."""
        now = self._clock() if self._clock else None
        if now and well and self._next and now < self._next:
            return True
        try:
            reply = await self._http.request(
                "GET", self._url if well else failed(self._url), answer_within=ANSWER_WITHIN, most_bytes=10_000
            )
            heard, why = 200 <= reply.status < 300, f"it answered {reply.status}"
        except TryLater:
            heard, why = False, "no answer"
        except BadInput:
            heard, why = False, "its address or its answer is not what was expected"
        if not heard:
            self._log.warning("the heartbeat was not heard", why=why)
        self._next = now + self._every - EARLY if now and heard and well else None
        self._observe("ok" if heard else "failed")
        return heard


def failed(url: str) -> str:
    """The address that says that something is wrong: /fail behind the path, before the query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail"))
