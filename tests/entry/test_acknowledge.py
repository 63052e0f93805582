"""The page behind the link of a message: one button, no JavaScript, and nothing done by merely looking."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from bot.domain.incident import Incident, State
from bot.domain.links import ACKNOWLEDGE, Links
from bot.domain.signing import Signer
from bot.entry.acknowledge import AcknowledgePage
from bot.errors import BadInput, TryLater
from tests.support.clock import START, HandClock

Client = TestClient[web.Request, web.Application]
SIGNER = Signer("a-secret-of-this-installation")
LINKS = Links("https://tocsin.example.com", SIGNER)
OPEN = Incident(
    id=7,
    title="checkout: High error rate",
    severity="critical",
    service="checkout",
    group_key="g",
    channel_name="inc-7-checkout",
    opened_at=START,
)


@dataclass
class Paging:
    """Stands where paging stands."""

    incident: Incident | None = OPEN
    fails: BaseException | None = None
    becomes: State = State.ACKNOWLEDGED
    taken: list[tuple[int, str, str]] = field(default_factory=list)

    async def show(self, incident_id: int) -> Incident | None:
        return self.incident

    async def acknowledge(self, incident_id: int, page_key: str, target: str) -> str:
        if self.fails is not None:
            raise self.fails
        self.taken.append((incident_id, page_key, target))
        if self.incident is not None:
            self.incident = self.incident.model_copy(update={"state": self.becomes})
        return "INC-7 is yours, Ada <3"


@asynccontextmanager
async def serving(paging: Paging, clock: HandClock | None = None) -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(AcknowledgePage(SIGNER, paging.show, paging.acknowledge, clock or HandClock()).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


def link(target: str = "person:ada") -> str:
    return LINKS.acknowledge(OPEN, "page:7:1:ada:email", target, START).removeprefix("https://tocsin.example.com")


async def test_looking_shows_the_incident_and_a_button_and_acknowledges_nothing() -> None:
    paging = Paging()
    async with serving(paging) as client:
        reply = await client.get(link())
        text = await reply.text()
        head = await client.head(link())
    assert (reply.status, head.status, await head.read()) == (200, 200, b"")
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    for shown in ("INC-7", "checkout: High error rate", "critical", "triggered"):
        assert shown in text
    assert '<form method="post"><button type="submit">Acknowledge</button></form>' in text
    assert paging.taken == []


async def test_the_button_acknowledges_and_says_so() -> None:
    paging = Paging()
    async with serving(paging) as client:
        reply = await client.post(link())
        text = await reply.text()
        assert (reply.status, "<h1>Acknowledged</h1>" in text, "INC-7 is yours, Ada &lt;3" in text) == (200, True, True)
    assert paging.taken == [(7, "page:7:1:ada:email", "person:ada")]


@pytest.mark.parametrize("state", [State.RESOLVED, State.TRIGGERED])
async def test_what_was_not_acknowledged_in_the_end_is_not_called_so(state: State) -> None:
    async with serving(Paging(becomes=state)) as client:
        reply = await client.post(link())
        assert (reply.status, "<h1>Not acknowledged</h1>" in await reply.text()) == (409, True)


@pytest.mark.parametrize("state", [State.ACKNOWLEDGED, State.MITIGATED])
async def test_what_somebody_has_already_has_no_button(state: State) -> None:
    paging = Paging(OPEN.model_copy(update={"state": state, "acknowledged_by": "Bob <b>"}))
    async with serving(paging) as client:
        for reply in (await client.get(link()), await client.post(link())):
            text = await reply.text()
            assert reply.status == 200
            assert f"It is {state.value} by Bob &lt;b&gt; already" in text
            assert "<button" not in text
    assert paging.taken == []


@pytest.mark.parametrize("state", [State.RESOLVED, State.CLOSED])
async def test_what_is_over_cannot_be_acknowledged(state: State) -> None:
    paging = Paging(OPEN.model_copy(update={"state": state}))
    async with serving(paging) as client:
        for reply in (await client.get(link()), await client.post(link())):
            assert reply.status == 410
            assert f"INC-7 is {state.value}" in await reply.text()
    assert paging.taken == []


async def test_an_incident_that_is_not_there_is_told() -> None:
    async with serving(Paging(None)) as client:
        reply = await client.get(link())
        assert (reply.status, "There is no INC-7" in await reply.text()) == (410, True)


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        ("%C3%A4", 400, "This link is damaged"),
        ("a", 400, "This link is damaged"),
        ("abc.def", 400, "damaged"),
        (link().rpartition("/")[2][:-1], 403, "This link was not made by this Tocsin"),
        (link().rpartition("/")[2].partition(".")[0], 403, "This link was not made by this Tocsin"),
        ("e30." + "0" * 32, 403, "was not made by this Tocsin"),
        ("A" * 8000, 403, "was not made by this Tocsin"),
        (SIGNER.token("calendar", {"incident": "7"}, START + timedelta(days=1)), 403, "was not made by this Tocsin"),
        (
            Signer("another").token(ACKNOWLEDGE, {"incident": "7"}, START + timedelta(days=1)),
            403,
            "its server.secret has",
        ),
    ],
)
async def test_a_link_that_is_damaged_or_foreign_does_nothing_and_says_what_to_do(
    token: str, status: int, words: str
) -> None:
    paging = Paging()
    async with serving(paging) as client:
        for reply in (await client.get(f"/acknowledge/{token}"), await client.post(f"/acknowledge/{token}")):
            text = await reply.text()
            assert reply.status == status
            assert words in text
            assert "<code>/incident ack</code>" in text
            assert "<code>tocsin incident ack</code>" in text
    assert paging.taken == []


async def test_an_old_link_says_that_it_is_old() -> None:
    clock, paging = HandClock(), Paging()
    async with serving(paging, clock) as client:
        clock.forward(days=7)
        reply = await client.post(link())
        assert (reply.status, "This link was good until 2026-03-09 03:00 UTC" in await reply.text()) == (410, True)
    assert paging.taken == []


async def test_without_a_secret_nobody_is_let_in() -> None:
    app = web.Application()
    paging = Paging()
    app.add_routes(AcknowledgePage(Signer(""), paging.show, paging.acknowledge, HandClock()).routes())
    async with TestClient(TestServer(app)) as client:
        assert (await client.get(link())).status == 403


@pytest.mark.parametrize(
    ("fails", "status", "words"),
    [
        (BadInput("INC-7 was resolved <just now>"), 409, "INC-7 was resolved &lt;just now&gt;"),
        (TryLater("the database", 3.0), 503, "Try again in a few seconds"),
        (RuntimeError("a bug with a secret"), 500, "log has the details under"),
    ],
)
async def test_a_failure_is_a_page_with_what_to_do_next_and_never_logs_the_link(
    fails: Exception, status: int, words: str
) -> None:
    token = link().rpartition("/")[2]
    with capture_logs() as logs:
        async with serving(Paging(fails=fails)) as client:
            reply = await client.post(link())
            text = await reply.text()
    assert reply.status == status
    assert words in text
    assert "<code>/incident ack INC-7</code>" in text
    assert "<code>tocsin incident ack 7</code>" in text
    assert "a bug with a secret" not in text
    assert token not in str(logs)
    if status == 503:
        assert reply.headers["Retry-After"] == "3"


@pytest.mark.parametrize(("target", "shown"), [("person:ada", True), ("medium:teams", False), ("channel:ops", False)])
async def test_of_a_private_incident_only_persons_learn_what_it_is(target: str, shown: bool) -> None:
    async with serving(Paging(OPEN.model_copy(update={"private": True}))) as client:
        text = await (await client.get(link(target))).text()
    assert "INC-7" in text
    assert "<button" in text
    assert ("High error rate" in text, ">checkout<" in text) == (shown, shown)


async def test_everything_from_outside_is_escaped() -> None:
    wicked = '"><script>alert(1)</script>'
    named = OPEN.model_copy(update={"title": wicked, "severity": wicked, "service": wicked})
    async with serving(Paging(named)) as client:
        text = await (await client.get(link())).text()
    assert "<script" not in text
    assert text.count("&lt;script&gt;") == 4  # title, heading, two facts


async def test_the_page_may_load_and_run_nothing_and_is_kept_nowhere() -> None:
    async with serving(Paging()) as client:
        for path in (link(), "/acknowledge/nonsense"):
            reply = await client.get(path)
            style = re.search(r"<style>(.*)</style>", await reply.text(), re.DOTALL)
            assert style is not None
            digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
            policy = reply.headers["Content-Security-Policy"]
            assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'")
            assert "frame-ancestors 'none'" in policy
            assert reply.headers["Cache-Control"] == "no-store"
            assert reply.headers["Referrer-Policy"] == "no-referrer"


async def test_other_methods_do_nothing() -> None:
    paging = Paging()
    async with serving(paging) as client:
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
            assert (await client.request(method, link())).status == 405
    assert paging.taken == []
