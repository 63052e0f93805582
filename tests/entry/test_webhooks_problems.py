"""Every refusal has the same shape, also where no route is."""

from __future__ import annotations

import asyncio
import logging

import pytest
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
        assert (nowhere.status, await nowhere.json()) == (404, {"error": "Not Found", "hint": problems.NOWHERE})
        assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")


async def test_a_redirect_is_not_a_failure() -> None:
    app = web.Application(middlewares=[problems.middleware])
    app.add_routes([web.get("/here", moved)])
    async with TestClient(TestServer(app)) as client:
        response = await client.get("/here", allow_redirects=False)
        assert (response.status, response.headers["Location"]) == (302, "/elsewhere")


TOKEN = "a-token-that-opens-the-door"
NO_HTTP = [
    f"GET /webhooks/up/{TOKEN}?monitorFriendlyName=my site HTTP/1.1\r\nHost: x\r\n\r\n",
    f"POST /webhooks/up HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer {TOKEN}\r\n\r\n",
    f"POST /webhooks/up HTTP/1.1\r\nHost: x\r\nX-Token: {TOKEN * 500}\r\n\r\n",
]


@pytest.mark.parametrize("request_text", NO_HTTP)
async def test_what_is_no_http_is_logged_without_what_was_sent(
    request_text: str, caplog: pytest.LogCaptureFixture
) -> None:
    server_log = logging.getLogger("aiohttp.server")
    server_log.addFilter(problems.worth_a_trace)
    try:
        async with TestClient(TestServer(web.Application())) as client:
            reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
            writer.write(request_text.encode())
            assert b" 400 " in await reader.readline()
            writer.close()
    finally:
        server_log.removeFilter(problems.worth_a_trace)
    assert "no HTTP" in caplog.text
    assert TOKEN not in caplog.text
