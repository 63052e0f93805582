"""How a commit wakes the worker that waits for work. Used by every form of the store."""

from __future__ import annotations

import asyncio


class Wake:
    """A signal that is kept until somebody waits for it, so that a commit between looking for work and waiting for it is not missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def now(self) -> None:
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Return at the next signal (or one since the last wait), or after that many seconds."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._event.wait()
        except TimeoutError:
            return
        self._event.clear()
