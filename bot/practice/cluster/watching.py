"""WATCH of the API: JSON lines of changes from a resourceVersion on, 410 when that is too old; called by `api`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator

from aiohttp import web

from bot.practice.cluster.errors import expired
from bot.practice.cluster.objects import Change, Store
from bot.practice.cluster.requests import Call, version_asked, whole_number
from bot.practice.cluster.resources import Obj
from bot.practice.cluster.selectors import matcher

DEFAULT_SECONDS, BOOKMARK_EVERY = 1800, 60.0
Event = tuple[str, Obj]


class Watches:
    """The open watches of one app, so that its shutdown can end them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._open: set[asyncio.Queue[Change | None]] = set()

    async def close(self, _app: web.Application) -> None:
        for queue in self._open:
            queue.put_nowait(None)

    async def serve(self, request: web.Request, call: Call) -> web.StreamResponse:
        """Answer one watch until its time is up, the client leaves or the app stops."""
        wanted = matcher(call.resource, call.query.get("labelSelector", ""), call.query.get("fieldSelector", ""))
        if call.name:
            wanted = matcher(call.resource, "", f"metadata.name={call.name}")
        since = version_asked(call.query)
        seconds = whole_number(call.query, "timeoutSeconds") or DEFAULT_SECONDS
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        queue: asyncio.Queue[Change | None] = asyncio.Queue()
        await response.prepare(request)
        self._open.add(queue)
        self.store.listeners.append(queue.put_nowait)
        try:
            if since and since < self.store.compacted:
                await _send(response, "ERROR", expired(since, self.store.compacted).body)
                return response
            first = list(self._first(call, since, wanted))
            for event in first:
                await _send(response, *event)
            await self._follow(request, response, queue, call, wanted, time.monotonic() + seconds)
        except ConnectionError:
            pass
        finally:
            self.store.listeners.remove(queue.put_nowait)
            self._open.discard(queue)
        return response

    def _first(self, call: Call, since: int, wanted: Callable[[Obj], bool]) -> Iterator[Event]:
        """What the client has missed: everything there is, or the changes after `since`."""
        if not since:
            for obj in self.store.all(call.resource, call.at_all_namespaces):
                if wanted(obj):
                    yield "ADDED", obj
        else:
            for change in self.store.changes_since(since):
                yield from _seen(change, call, wanted)

    async def _follow(
        self, request: web.Request, response: web.StreamResponse, queue: asyncio.Queue[Change | None], call: Call,
        wanted: Callable[[Obj], bool], until: float,
    ) -> None:  # fmt: skip
        bookmarks = call.query.get("allowWatchBookmarks") in ("true", "1", "True")
        bookmark_at = time.monotonic() + BOOKMARK_EVERY
        while (left := until - time.monotonic()) > 0 and request.transport and not request.transport.is_closing():
            try:
                change = await asyncio.wait_for(queue.get(), min(left, 1.0))
            except TimeoutError:
                if bookmarks and time.monotonic() > bookmark_at:
                    bookmark_at += BOOKMARK_EVERY
                    await self._bookmark(response, call)
                continue
            if change is None:
                return
            for event in _seen(change, call, wanted):
                await _send(response, *event)
        if bookmarks:
            await self._bookmark(response, call)

    async def _bookmark(self, response: web.StreamResponse, call: Call) -> None:
        meta = {"resourceVersion": str(self.store.version), "creationTimestamp": None}
        await _send(
            response,
            "BOOKMARK",
            {"kind": call.resource.kind, "apiVersion": call.resource.api_version, "metadata": meta},
        )


def _seen(change: Change, call: Call, wanted: Callable[[Obj], bool]) -> Iterator[Event]:
    """A change as this watch sees it: an object that begins to match is added, one that stops matching is deleted."""
    if change.resource is not call.resource or (call.namespace and change.namespace != call.namespace):
        return
    now = change.type != "DELETED" and wanted(change.object)
    before = change.previous is not None and wanted(change.previous)
    if now:
        yield ("MODIFIED" if before else "ADDED"), change.object
    elif before:
        yield "DELETED", change.object


async def _send(response: web.StreamResponse, kind: str, obj: Obj) -> None:
    await response.write(json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n")
