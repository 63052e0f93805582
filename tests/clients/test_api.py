"""One product's HTTP API: its address, its answers, its refusals."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from bot.clients.api import Answer, Api, Server, host, segment
from bot.clients.http import Http
from bot.domain.redaction import Redactor
from bot.errors import BadInput, TryLater
from tests.clients.served import answering


class Thing(Answer):
    name: str
    size: int = 0


@pytest.mark.parametrize(
    ("given", "kept", "name"),
    [
        ("https://Argo.Example/", "https://Argo.Example", "argo.example"),
        ("http://127.0.0.1:9093", "http://127.0.0.1:9093", "127.0.0.1"),
        ("https://tools.example/argo-cd/", "https://tools.example/argo-cd", "tools.example"),
    ],
)
def test_a_server_is_an_address_without_credentials(given: str, kept: str, name: str) -> None:
    server = TypeAdapter(Server).validate_python(given)
    assert (server, host(server)) == (kept, name)


@pytest.mark.parametrize(
    "wrong", ["", "argo", "ftp://x", "https://a:b@x", "https://x/?token=1", "https://x/#a", "http://[x", "http://x:y"]
)
def test_what_is_no_address_of_a_server_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Server).validate_python(wrong)


async def test_a_part_of_a_path_arrives_as_one_part_and_the_query_whole() -> None:
    seen: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.rel_url.raw_path, request.query.getall("filter")))
        return web.json_response({"name": "a", "more": [1]})

    async with answering(answer) as server, Http(Redactor()) as http:
        api = Api(http, "Thing", server)
        found = await api.read(Thing, f"/api/{segment('a/../b c')}", [("filter", 'a="b&c"'), ("filter", "d+e")])
    assert found == Thing(name="a")
    assert seen == [("/api/a%2F..%2Fb%20c", ['a="b&c"', "d+e"])]


@pytest.mark.parametrize("answered", ["<html>", "[]", '{"name": 5}', '{"size": 1}'])
async def test_an_answer_of_another_shape_is_said_without_its_content(answered: str) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=answered)

    async with answering(answer) as server, Http(Redactor()) as http:
        with pytest.raises(
            BadInput, match=r"Thing: the answer of .* is not as expected .*is this the address of its API\?"
        ):
            await Api(http, "Thing", server).read(Thing, "/x")


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (
            401,
            BadInput,
            r"Thing does not know the bot: .*answered 401: no token=\[redacted.* under 127\.0\.0\.1:\d+, as a header",
        ),
        (403, BadInput, r"Thing does not let the bot do this: .*answered 403"),
        (404, BadInput, r"Thing: .*answered 404"),
        (409, BadInput, r"Thing: .*answered 409"),
        (429, TryLater, r"Thing: .*answered 429"),
        (502, TryLater, r"Thing: .*answered 502"),
    ],
)
async def test_a_refusal_is_quoted_redacted_and_says_what_to_do(
    status: int, error: type[Exception], words: str
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, text="no token=abcdef12345", headers={"Retry-After": "7"})

    async with answering(answer) as server, Http(Redactor()) as http:
        with pytest.raises(error, match=words) as raised:
            await Api(http, "Thing", server).ask("POST", "/x", body={}, key="k")
    if isinstance(raised.value, TryLater):
        assert (raised.value.delay, raised.value.uncertain) == (7.0, status == 502)
