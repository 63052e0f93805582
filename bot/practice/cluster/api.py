"""The practice cluster's HTTP API: authenticate, fail on demand, authorize, dispatch, audit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from pydantic import ValidationError

from bot.practice.cluster import discovery, errors, logs, reading
from bot.practice.cluster.auth import ANONYMOUS, User, authorize, identify
from bot.practice.cluster.errors import ApiError
from bot.practice.cluster.faults import Fault, Faults
from bot.practice.cluster.objects import Store
from bot.practice.cluster.requests import REVIEW, Call, check_options, served, understand
from bot.practice.cluster.resources import Obj
from bot.practice.cluster.watching import Watches
from bot.practice.cluster.writing import Writer

LARGEST_BODY = 3 * 1024 * 1024
DEFAULT_HANG = 60.0
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class Seen:
    """One line of the audit log; `code` 0: the connection was dropped without an answer."""

    time: float
    verb: str
    resource: str
    namespace: str
    name: str
    user: str
    code: int
    dry_run: bool


class Behind(Protocol):
    """What the API needs of the cluster."""

    store: Store
    faults: Faults
    audit: list[Seen]
    tokens: Mapping[str, User] | None
    fewest_available: dict[str, int]
    logs_for_bad_image: str

    def moment(self) -> float: ...
    def snapshot(self) -> Obj: ...


class Dropped(Exception):
    """The connection goes down without an answer (a `timeout` or `lost` fault)."""


class Api:
    """One HTTP server over one cluster."""

    def __init__(self, cluster: Behind) -> None:
        self.cluster = cluster
        self.writer = Writer(cluster.store, cluster.fewest_available)
        self.watches = Watches(cluster.store)
        self._closing = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_route("*", "/practice/faults", self._control)
        app.router.add_get("/practice/snapshot", self._snapshot)
        app.router.add_route("*", "/{path:.*}", self._any)
        app.on_shutdown.append(self.watches.close)
        app.on_shutdown.append(self._close)
        return app

    async def _close(self, _app: web.Application) -> None:
        self._closing.set()

    async def _snapshot(self, _request: web.Request) -> web.Response:
        return web.json_response(self.cluster.snapshot())

    async def _control(self, request: web.Request) -> web.Response:
        """GET lists the waiting faults, POST adds one, DELETE forgets them all."""
        if request.method == "POST":
            try:
                self.cluster.faults.add(Fault.model_validate_json(await request.read()))
            except ValidationError as err:
                return web.json_response({"error": str(err)}, status=400)
        elif request.method == "DELETE":
            self.cluster.faults.clear()
        elif request.method != "GET":
            return web.json_response({"error": "GET, POST or DELETE"}, status=405)
        return web.json_response({"faults": [fault.model_dump() for fault in self.cluster.faults.waiting]})

    async def _any(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["path"].strip("/")  # without the prefix it may be mounted under
        if path in ("/healthz", "/readyz", "/livez"):
            return web.Response(text="ok")
        call = understand(request.method, path, request.query)
        user = ANONYMOUS
        try:
            user = identify(request.headers.get("Authorization"), self.cluster.tokens)
            if call is None:
                return self._discover(request, path)
            response = await self._serve(request, call, user)
        except ApiError as err:
            response = _status(err)
        except Dropped:
            self._note(call, user, 0)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        self._note(call, user, response.status)
        return response

    def _discover(self, request: web.Request, path: str) -> web.Response:
        found = discovery.document(path)
        if found is None:
            raise errors.no_such_resource()
        if request.method not in ("GET", "HEAD"):
            raise errors.method_not_allowed()
        return _json(found)

    def _note(self, call: Call | None, user: User, code: int) -> None:
        if call is not None:
            ask = call.ask
            line = Seen(
                self.cluster.moment(), ask.verb, ask.resource, call.namespace, ask.name, user.name, code, call.dry_run
            )
            self.cluster.audit.append(line)

    async def _serve(self, request: web.Request, call: Call, user: User) -> web.StreamResponse:
        fault = self.cluster.faults.take(call.ask)
        if fault is not None:
            await self._before(fault, call)
        if call.resource is not REVIEW:
            authorize(user, call.ask)
        if not served(call):
            raise errors.method_not_allowed()
        if call.verb in WRITES:
            await _read_body(request, call)
        check_options(call)
        response = await self._do(request, call, user)
        if fault is not None and fault.kind == "lost":
            raise Dropped
        return response

    async def _before(self, fault: Fault, call: Call) -> None:
        if fault.kind in ("status", "conflict"):
            raise fault.error(call.ask)
        if fault.kind in ("timeout", "slow"):
            wait = fault.seconds or (DEFAULT_HANG if fault.kind == "timeout" else 0.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), wait)
            if fault.kind == "timeout":
                raise Dropped

    async def _do(self, request: web.Request, call: Call, user: User) -> web.StreamResponse:
        store = self.cluster.store
        if call.verb == "watch":
            return await self.watches.serve(request, call)
        if call.subresource == "log":
            return self._log(call)
        if call.resource is REVIEW:
            return _json(reading.review(user, call.body), 201)
        if call.subresource == "eviction":
            return _json(self.writer.evict(call), 201)
        plain: dict[str, Callable[[], Obj]] = {
            "get": lambda: reading.get(store, call), "list": lambda: reading.list_(store, call),
            "create": lambda: self.writer.create(call), "update": lambda: self.writer.update(call),
            "patch": lambda: self.writer.patch(call), "delete": lambda: self.writer.delete(call),
            "deletecollection": lambda: self.writer.delete_all(call),
        }  # fmt: skip
        return _json(plain[call.verb](), 201 if call.verb == "create" else 200)

    def _log(self, call: Call) -> web.Response:
        pod = self.cluster.store.need(call.resource, call.namespace, call.name)
        bad = self.cluster.logs_for_bad_image if logs.crashes(pod) else ""
        text = logs.read(pod, dict(call.query), bad, self.cluster.moment())
        return web.Response(text=text, headers={"Cache-Control": "no-cache, private"})


async def _read_body(request: web.Request, call: Call) -> None:
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as err:
        raise errors.too_large(LARGEST_BODY) from err
    call.content_type = request.content_type
    if "protobuf" in call.content_type:
        raise errors.unsupported_media_type(("application/json",))
    if not raw:
        if call.verb in ("delete", "deletecollection"):
            return
        raise errors.bad_request("EOF" if call.verb == "patch" else _unreadable(call, "unexpected end of JSON input"))
    try:
        call.body = json.loads(raw)
    except ValueError as err:
        why = f"error decoding patch: {err}" if call.verb == "patch" else _unreadable(call, str(err))
        raise errors.bad_request(why) from err


def _unreadable(call: Call, why: str) -> str:
    kind = f"the object provided is unrecognized (must be of type {call.resource.kind})"
    return f"{kind}: couldn't get version/kind; json parse error: {why}"


def _json(body: Obj, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-cache, private", "Audit-Id": str(uuid.uuid4())}
    return web.json_response(body, status=status, headers=headers)


def _status(err: ApiError) -> web.Response:
    headers = {"Retry-After": str(err.retry_after)} if err.retry_after else {}
    body: Any = err.body
    return web.json_response(body, status=err.code, headers=headers)
