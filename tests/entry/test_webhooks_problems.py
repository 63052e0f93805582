"""Every refusal has the same shape, also where no route is."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.entry import problems


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPFound("/elsewhere")


async def test_unknown_paths_and_methods_are_refused_in_the_same_shape() -> None:
    app = web.Application(middlewares=[problems.middleware])
    app.add_routes([web.post("/here", moved)])
    async with TestClient(TestServer(app)) as client:
        nowhere, wrong = await client.get("/nowhere"), await client.get("/here")
        assert (nowhere.status, await nowhere.json()) == (404, {"error": "Not Found", "hint": ""})
        assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


async def test_a_redirect_is_not_a_failure() -> None:
    app = web.Application(middlewares=[problems.middleware])
    app.add_routes([web.get("/here", moved)])
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/here", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")
