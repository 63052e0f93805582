"""http.request: reads look, writes are planned and sent once with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.plan import Undo
from bot.domain.redaction import Redactor
from bot.errors import BadInput, TryLater
from bot.plugins.actions.http_request import Params, Plugin
from tests.clients.served import answering


class Flags:
    """A server that remembers what it was sent and answers as told."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.bodies: list[str] = []
        self.status = 200
        self.text = "flag is off, token=abc123"

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        self.bodies.append(await request.text())
        return web.Response(status=self.status, text=self.text)


@pytest.fixture
def flags() -> Flags:
    return Flags()


@pytest.fixture
async def url(flags: Flags) -> AsyncIterator[str]:
    async with answering(flags.answer) as address:
        yield f"{address}/flags/checkout"


@pytest.fixture
async def action() -> AsyncIterator[Plugin]:
    async with Http(Redactor()) as http:
        yield Plugin(Kit(None, None, http, Redactor()))


async def test_a_write_is_planned_without_being_sent_and_then_sent_with_its_key(
    action: Plugin, url: str, flags: Flags
) -> None:
    params = Params(method="POST", url=f"{url}?token=abc", body='{"on": false}', headers={"X-Token": "s3cr3t"})
    state = await action.look(params)
    plan = action.plan(state, params)
    assert flags.seen == []
    assert [str(diff) for diff in plan.diffs] == [
        f"request: not sent -> POST {url}?token=[redacted: token] (with a body of 13 bytes)",
        "header X-Token: none -> (not shown)",
        'body: none -> {"on": false}',
    ]
    assert "s3cr3t" not in plan.model_dump_json()
    result = await action.do(plan, params, "tocsin-run-1-flag")
    assert result == {"status": 200, "answer": "flag is off, token=[redacted: token]"}
    assert flags.seen[0].headers["Idempotency-Key"] == "tocsin-run-1-flag"
    assert flags.seen[0].headers["X-Token"] == "s3cr3t"
    assert flags.bodies == ['{"on": false}']
    assert action.verify(await action.look(params), params) is None


def test_an_approval_is_of_exactly_this_request(action: Plugin) -> None:
    first = Params(method="POST", url="https://x/y", body="a", headers={"A": "1"})
    for changed in ({"body": "b"}, {"headers": {"A": "2"}}, {"url": "https://x/z"}, {"method": "PUT"}):
        other = first.model_copy(update=changed)
        assert action.plan({"sent": False}, first).digest != action.plan({"sent": False}, other).digest


async def test_a_read_is_sent_while_looking_and_plans_nothing(action: Plugin, url: str, flags: Flags) -> None:
    params = Params(url=url, contains="off")
    state = await action.look(params)
    assert not action.plan(state, params)
    assert action.verify(state, params) is None
    assert "Idempotency-Key" not in flags.seen[0].headers


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({}, 503, "answered 503: flag is off, token=[redacted: token]"),
        ({"expect": 204}, 200, "answered 200"),
        ({"contains": "is on"}, 200, "does not contain 'is on'"),
        ({"expect": [200, 404]}, 404, None),
    ],
)
async def test_a_read_verifies_by_status_and_content(
    action: Plugin, url: str, flags: Flags, options: dict[str, Any], status: int, words: str | None
) -> None:
    flags.status = status
    params = Params.model_validate({"url": url, **options})
    said = action.verify(await action.look(params), params)
    assert (said is None) if words is None else (words in (said or ""))


@pytest.mark.parametrize(
    ("status", "error", "uncertain"),
    [(500, TryLater, True), (429, TryLater, False), (400, BadInput, None), (302, BadInput, None)],
)
async def test_a_write_that_is_refused_says_how_sure_that_is(
    action: Plugin, url: str, flags: Flags, status: int, error: type[Exception], uncertain: bool | None
) -> None:
    flags.status = status
    params = Params(method="POST", url=url)
    with pytest.raises(error) as raised:
        await action.do(action.plan({"sent": False}, params), params, "key")
    assert getattr(raised.value, "uncertain", None) is uncertain


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "POST"}, False),
        ({"method": "PATCH"}, False),
        ({"method": "PUT"}, True),
        ({"method": "DELETE"}, True),
        ({"method": "POST", "repeatable": True}, True),
        ({"method": "PUT", "repeatable": False}, False),
    ],
)
def test_only_what_is_safe_to_repeat_is_repeated(action: Plugin, options: dict[str, Any], expected: bool) -> None:
    assert action.repeatable(Params.model_validate({"url": "https://x/", **options})) is expected


def test_policy_judges_the_host(action: Plugin) -> None:
    assert action.target(Params(url="https://Flags.Example:8443/x")).host == "flags.example"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/y",
        "x",
        "",
        "https://",
        "https://ada:pw@x/y",
        "file:///etc/passwd",
        "https://x\n/y",
        "https://x:0",
        "https://x:99999",
    ],
)
def test_an_address_that_is_none_or_carries_a_password_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Params(url=url)


async def test_a_write_is_taken_back_by_the_request_that_its_author_gave(
    action: Plugin, url: str, flags: Flags
) -> None:
    back = {"method": "PUT", "url": url, "body": '{"on": true}', "headers": {"Content-Type": "application/json"}}
    params = Params.model_validate({"method": "PUT", "url": url, "body": '{"on": false}', "undo": back})
    plan = action.plan(await action.look(params), params)
    undo = action.undo(plan, {}, params)
    assert undo == Undo(action="http.request", with_=back)
    again = Params.model_validate(undo.with_)
    await action.do(action.plan({"sent": False}, again), again, "tocsin-run-1-flag-undo")
    assert (flags.seen[0].method, flags.bodies) == ("PUT", ['{"on": true}'])
    assert action.undo(plan, {}, Params(method="POST", url=url)) is None


def test_an_approval_covers_the_request_that_takes_it_back(action: Plugin) -> None:
    digests = {
        action.plan({"sent": False}, Params.model_validate({"method": "POST", "url": "https://x/y", **more})).digest
        for more in ({}, {"undo": {"url": "https://x/z"}}, {"undo": {"url": "https://x/z", "body": "b"}})
    }
    assert len(digests) == 3


def test_whoever_approves_sees_what_is_sent_and_what_would_take_it_back(action: Plugin) -> None:
    params = Params.model_validate(
        {
            "method": "POST",
            "url": "https://hooks.slack.com/services/T0/B0/0123456789abcdef?all=true",
            "headers": {"X-HTTP-Method-Override": "DELETE"},
            "body": "everything, password=hunter2 " + "x" * 2000,
            "undo": {"method": "DELETE", "url": "https://x/y?force=1", "body": "b"},
        }
    )
    lines = [str(diff) for diff in action.plan({"sent": False}, params).diffs]
    assert lines[0].startswith("request: not sent -> POST https://hooks.slack.com/services/[redacted")
    assert "?all=true" in lines[0]
    assert lines[1] == "header X-HTTP-Method-Override: none -> DELETE"
    assert "everything, password=[redacted: password]" in lines[2]
    assert len(lines[2]) < 1000
    assert lines[3] == "undo: none -> DELETE https://x/y?force=1 (with a body of 1 bytes)"
    assert "0123456789abcdef" not in action.plan({"sent": False}, params).model_dump_json()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "admin.example"},
        {"host": "admin.example"},
        {"Content-Length": "3"},
        {"Transfer-Encoding": "chunked"},
        {"Proxy-Authorization": "Basic eDp5"},
        {"X: a\r\nHost": "admin.example"},
        {"X-A": "1\r\nHost: admin.example"},
        {"": "1"},
    ],
)
def test_headers_that_decide_where_a_request_goes_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Params(url="https://x", headers=headers)
    with pytest.raises(ValidationError):
        Params.model_validate({"method": "POST", "url": "https://x", "undo": {"url": "https://x", "headers": headers}})


async def test_a_secret_at_the_end_of_a_quote_is_not_cut_in_half(action: Plugin, url: str, flags: Flags) -> None:
    flags.text = "x" * 485 + " ghp_" + "a1B2" * 9
    state = await action.look(Params(url=url))
    assert "ghp_" not in state["quote"]
    flags.status, flags.text = 500, flags.text[200:]
    with pytest.raises(TryLater) as raised:
        await action.do(
            action.plan({"sent": False}, Params(method="POST", url=url)), Params(method="POST", url=url), "k"
        )
    assert "ghp_" not in str(raised.value)


@pytest.mark.parametrize(
    "undo", [{"url": "ftp://x"}, {"url": "https://x", "method": "GET"}, {"body": "b"}, {"url": "https://x", "typo": 1}]
)
def test_a_bad_undo_is_refused(undo: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate({"method": "POST", "url": "https://x", "undo": undo})
    with pytest.raises(ValidationError, match="a read changes nothing"):
        Params.model_validate({"url": "https://x", "undo": {"url": "https://x"}})


def test_given_facts_are_what_a_read_would_see(action: Plugin) -> None:
    read = Params(url="https://x", contains="off", expect=(200, 404))
    assert action.verify(action.facts({}, read), read) is None
    assert "does not contain 'off'" in (action.verify(action.facts({"body": "on"}, read), read) or "")
    assert "answered 503" in (action.verify(action.facts({"status": 503}, read), read) or "")
    write = Params(method="POST", url="https://x")
    state = action.facts({}, write)
    plan = action.plan(state, write)
    assert plan
    assert action.verify(action.after(state, plan, write), write) is None
    with pytest.raises(BadInput, match="there is none to give"):
        action.facts({"status": 200}, write)
    with pytest.raises(BadInput, match='did you mean "status"'):
        action.facts({"statis": 200}, read)
