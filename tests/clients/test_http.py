"""The HTTP client: what each failure says about whether the request took effect, and its bounds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bot.clients.http import Http, Reply, known_as, place
from bot.clients.retry_after import seconds
from bot.domain.redaction import Redactor
from bot.errors import BadInput, TryLater
from tests.clients.served import Handler, answering, hanging_up


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(Redactor(), answer_within=5, most_bytes=1000) as one:
        yield one


def always(status: int, text: str = "", **headers: str) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


async def test_an_answer_comes_whole_whatever_its_status(http: Http) -> None:
    async with answering(always(404, "gone", X_Why="moved")) as url:
        reply = await http.request("GET", f"{url}/x")
    assert (reply.status, reply.text, reply.headers["x-why"]) == (404, "gone", "moved")


async def test_headers_and_body_arrive(http: Http) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.headers['X-A']} {await request.text()}")

    async with answering(echo) as url:
        reply = await http.ask("POST", url, headers={"X-A": "1"}, body=b"hello")
    assert reply.text == "POST 1 hello"


@pytest.mark.parametrize(
    ("method", "status", "error", "uncertain"),
    [
        ("GET", 400, BadInput, None),
        ("POST", 401, BadInput, None),
        ("POST", 409, BadInput, None),
        ("GET", 429, TryLater, False),
        ("POST", 429, TryLater, False),
        ("GET", 503, TryLater, False),
        ("POST", 500, TryLater, True),
        ("PUT", 503, TryLater, True),
    ],
)
async def test_a_status_says_whether_to_try_again_and_whether_it_may_have_happened(
    http: Http, method: str, status: int, error: type[Exception], uncertain: bool | None
) -> None:
    async with answering(always(status, "password=hunter2", Retry_After="7")) as url:
        with pytest.raises(error) as raised:
            await http.ask(method, f"{url}/x?token=abc")
    words = str(raised.value)
    assert f"answered {status}" in words
    assert "hunter2" not in words
    assert "abc" not in words
    if isinstance(raised.value, TryLater):
        assert (raised.value.delay, raised.value.uncertain) == (7.0, uncertain)


async def test_a_refused_connection_is_certain(http: Http) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TryLater, match="cannot connect") as raised:
        await http.request("POST", f"http://127.0.0.1:{port}/")
    assert not raised.value.uncertain


@pytest.mark.parametrize(("method", "uncertain"), [("POST", True), ("DELETE", True), ("GET", False)])
async def test_a_connection_that_breaks_leaves_a_write_uncertain(http: Http, method: str, uncertain: bool) -> None:
    async with hanging_up(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal") as url:
        with pytest.raises(TryLater) as raised:
            await http.request(method, url)
    assert raised.value.uncertain is uncertain


async def test_an_answer_that_does_not_come_leaves_a_write_uncertain() -> None:
    never = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with answering(hang) as url, Http(str, answer_within=0.05) as http:
        with pytest.raises(TryLater, match=r"no answer .* in 0\.05 s") as raised:
            await http.request("POST", url)
        assert raised.value.uncertain
        with pytest.raises(TryLater) as raised:
            await http.request("GET", url)
        assert not raised.value.uncertain
        never.set()


async def test_an_answer_that_is_too_large_is_refused(http: Http) -> None:
    async with answering(always(200, "x" * 1001)) as url:
        with pytest.raises(BadInput, match="larger than 1,000 bytes"):
            await http.request("GET", url)
        assert len((await http.request("GET", url, most_bytes=2000)).body) == 1001


async def test_a_redirect_on_the_same_host_is_followed_by_reads_only(http: Http) -> None:
    async def moved(request: web.Request) -> web.Response:
        if request.path == "/new":
            return web.Response(text="here")
        return web.Response(status=302, headers={"Location": "/new"})

    async with answering(moved) as url:
        assert (await http.request("GET", f"{url}/old")).text == "here"
        assert (await http.request("POST", f"{url}/old")).status == 302


async def test_a_redirect_to_another_host_is_not_followed(http: Http) -> None:
    seen = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response()

    async with answering(elsewhere) as other, answering(always(302, Location=f"{other}/steal")) as url:
        with pytest.raises(BadInput, match=r"redirects to .*: that is not followed"):
            await http.request("GET", url, headers={"Authorization": "Bearer abc"})
    assert seen == []


@pytest.mark.parametrize("location", ["http://127.0.0.1:99999/", "http://[/", "http://[::zz]/", "http://x:abc/"])
async def test_a_redirect_to_what_is_no_address_is_not_followed(http: Http, location: str) -> None:
    async with answering(always(302, Location=location)) as url:
        with pytest.raises(BadInput, match="redirects to something that is no address"):
            await http.request("GET", url)


async def test_an_answer_nested_without_end_is_not_json(http: Http) -> None:
    reply = Reply("GET", "http://x", 200, {}, b"[" * 500_000)
    with pytest.raises(BadInput, match="not JSON"):
        reply.json()


async def test_redirects_in_a_circle_end(http: Http) -> None:
    async with answering(always(302, Location="/again")) as url:
        with pytest.raises(BadInput, match="redirects more than 5 times"):
            await http.request("GET", url)


@pytest.mark.parametrize("url", ["", "ftp://x/y", "nonsense", "http://", "http://[bad", "file:///etc/passwd"])
async def test_what_is_no_address_is_refused(http: Http, url: str) -> None:
    with pytest.raises(BadInput, match="not an http:// or https:// address"):
        await http.request("GET", url)


async def test_a_header_with_a_line_break_is_refused(http: Http) -> None:
    async with answering(always(200)) as url:
        with pytest.raises(BadInput):
            await http.request("GET", url, headers={"X-A": "1\r\nX-B: 2"})


def test_what_is_shown_of_an_address_holds_no_secret() -> None:
    assert place("https://ada:pw@example.com:8443/a/b?token=abc#x") == "https://example.com:8443/a/b"


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("99999999", 3600.0),
        ("Fri, 21 Nov 2026 03:12:05 GMT", None),
    ],
)
def test_retry_after_is_read_within_bounds(header: str, wait: float | None) -> None:
    assert seconds(header) == wait


async def test_credentials_go_to_their_host_and_port_and_nowhere_else() -> None:
    seen = []

    async def shown(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", "nothing"))
        return web.Response(text=seen[-1])

    async with answering(shown) as ours, answering(shown) as theirs:
        credentials = {ours.removeprefix("http://"): {"Authorization": "Bearer secret"}}
        async with Http(Redactor(), credentials=credentials) as http:
            assert (await http.ask("GET", f"{ours}/x")).text == "[redacted: credentials]"
            assert (await http.ask("GET", f"{theirs}/x")).text == "nothing"
    assert seen == ["Bearer secret", "nothing"]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://Flags.Example/x", "flags.example"),
        ("https://flags.example:443", "flags.example"),
        ("https://flags.example:8443", "flags.example:8443"),
        ("http://flags.example/x", "flags.example:80"),
        ("http://flags.example:443/", "flags.example:443"),
        ("http://flags.example:9093", "flags.example:9093"),
        ("https://flags.example:99999", ""),
    ],
)
def test_credentials_for_a_host_are_never_sent_in_clear(url: str, name: str) -> None:
    assert known_as(url) == name


async def test_an_answer_that_gives_credentials_back_does_not_bring_them_out() -> None:
    async with answering(always(500, '{"you": "plain-words-1", "sent": "Zm9vOmJhcg"}')) as url:
        credentials = {url.removeprefix("http://"): {"X-Scope": "plain-words-1", "Authorization": "Basic Zm9vOmJhcg"}}
        async with Http(Redactor(), credentials=credentials) as http:
            with pytest.raises(TryLater) as raised:
                await http.ask("GET", url)
    assert "plain-words-1" not in str(raised.value)
    assert "Zm9vOmJhcg" not in str(raised.value)
