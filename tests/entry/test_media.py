"""Where providers call back, over real HTTP: who is heard, what is handed on, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.domain.incoming import Incoming
from bot.domain.notice import Heard, Notice, Receipt
from bot.domain.redaction import Redactor
from bot.entry import media
from bot.errors import BadInput, NotSigned, TryLater
from bot.plugins.channels import twilio_call, twilio_sms
from tests.support.clock import HandClock
from tests.support.twilio_api import ACCOUNT, TOKEN, signed

Client = TestClient[web.Request, web.Application]
ACK = Heard(kind="acknowledged", provider_id="m1", address="ada")


@dataclass
class Answers:
    """Stands where paging stands."""

    fails: BaseException | None = None
    taken: list[tuple[str, Heard]] = field(default_factory=list)
    heard: list[tuple[str, Heard]] = field(default_factory=list)

    async def acknowledged(self, medium: str, heard: Heard) -> str:
        if self.fails is not None:
            raise self.fails
        self.taken.append((medium, heard))
        return "INC-7 is yours"

    async def told(self, medium: str, heard: Heard) -> None:
        if self.fails is not None:
            raise self.fails
        self.heard.append((medium, heard))


@dataclass
class Telling:
    """A medium that hears what it is told to."""

    hears: tuple[Heard, ...] = (ACK,)
    fails: BaseException | None = None
    incoming: list[tuple[Incoming, str]] = field(default_factory=list)
    kind: str = "sms"
    acknowledged: bool = False

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        raise NotImplementedError

    async def heard(self, incoming: Incoming, what: str) -> tuple[Heard, ...]:
        self.incoming.append((incoming, what))
        if self.fails is not None:
            raise self.fails
        return self.hears

    def answer(self, heard: Sequence[Heard], words: str) -> tuple[bytes, str]:
        return f"{len(heard)}: {words}".encode(), "text/plain; charset=utf-8"


@asynccontextmanager
async def serving(medium: Any, answers: Answers, **settings: Any) -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(media.MediaSite({"sms": medium}, answers, **settings).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_an_acknowledgement_is_handed_on_and_answered_in_words() -> None:
    answers, medium = Answers(), Telling()
    async with serving(medium, answers) as client:
        address = URL("/media/sms/reply?a=b%20c&d=%2F", encoded=True)
        reply = await client.post(address, data=b"x=1", headers={"X-Y": "z", "Cookie": "c=1"})
        assert (reply.status, await reply.text()) == (200, "1: INC-7 is yours")
        assert reply.headers["Cache-Control"] == "no-store"
    assert answers.taken == [("sms", ACK)]
    ((incoming, what),) = medium.incoming
    assert (what, incoming.path, incoming.body) == ("reply", "reply?a=b%20c&d=%2F", b"x=1")
    assert incoming.query == {"a": "b c", "d": "/"}
    assert incoming.headers["x-y"] == "z"
    assert "cookie" not in incoming.headers


async def test_what_became_of_a_message_is_handed_on() -> None:
    arrived, failed = Heard(kind="delivered", provider_id="1"), Heard(kind="failed", provider_id="2", text="busy")
    answers = Answers()
    async with serving(Telling((arrived, failed, Heard(kind="other", text="hm"))), answers) as client:
        reply = await client.get("/media/sms/status")
        assert (reply.status, await reply.text()) == (200, "3: ")
    assert answers.heard == [("sms", arrived), ("sms", failed)]
    assert answers.taken == []


async def test_repeats_are_answered_alike() -> None:
    answers = Answers()
    async with serving(Telling(), answers) as client:
        texts = [await (await client.post("/media/sms/reply")).text() for _ in range(3)]
    assert texts == ["1: INC-7 is yours"] * 3
    assert answers.taken == [("sms", ACK)]  # a second `ack` would mean the next page


async def test_an_answer_that_could_not_be_taken_is_taken_when_it_comes_again() -> None:
    answers = Answers(TryLater("the database"))
    async with serving(Telling(), answers) as client:
        assert (await client.post("/media/sms/reply")).status == 503
        answers.fails = BadInput("not yet")
        assert await (await client.post("/media/sms/reply")).text() == "1: not yet"
        answers.fails = None
        assert await (await client.post("/media/sms/reply")).text() == "1: INC-7 is yours"
    assert answers.taken == [("sms", ACK)]


async def test_what_was_said_is_not_kept_for_ever() -> None:
    answers, medium = Answers(), Telling()
    site = media.MediaSite({"sms": medium}, answers)
    app = web.Application()
    app.add_routes(site.routes())
    async with TestClient(TestServer(app)) as client:
        medium.hears = tuple(
            ACK.model_copy(update={"provider_id": str(number)}) for number in range(media.MOST_SAID + 5)
        )
        await client.post("/media/sms/reply")
    assert len(site.said) == media.MOST_SAID


async def test_a_refusal_is_told_to_the_person_and_not_repeated_by_the_provider() -> None:
    async with serving(Telling(), Answers(BadInput("INC-7 is resolved"))) as client:
        reply = await client.post("/media/sms/reply")
        assert (reply.status, await reply.text()) == (200, "1: INC-7 is resolved")


async def test_what_fails_for_now_is_to_come_again() -> None:
    async with serving(Telling(), Answers(TryLater("the database", 3.0))) as client:
        reply = await client.post("/media/sms/reply")
        assert (reply.status, reply.headers["Retry-After"]) == (503, "3")


@pytest.mark.parametrize(
    ("fails", "status"), [(NotSigned("not signed"), 403), (BadInput("no form"), 400), (RuntimeError("secret"), 500)]
)
async def test_a_callback_that_is_not_believed_or_not_read_acknowledges_nothing(fails: Exception, status: int) -> None:
    answers = Answers()
    async with serving(Telling(fails=fails), answers) as client:
        reply = await client.post("/media/sms/reply", data=b"x")
        assert reply.status == status
        assert "secret" not in await reply.text()
    assert (answers.taken, answers.heard) == ([], [])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/media/other/reply", 404),
        ("POST", "/media/sms", 404),
        ("POST", "/media/sms/reply/more", 404),
        ("PUT", "/media/sms/reply", 405),
        ("HEAD", "/media/sms/reply", 405),
        ("POST", "/media/sms/reply?" + "a" * 5000, 414),
        ("POST", "/media/sms/reply?" + "&".join("a" for _ in range(100)), 414),
    ],
)
async def test_what_is_no_callback_reaches_no_medium(method: str, path: str, status: int) -> None:
    medium, answers = Telling(), Answers()
    async with serving(medium, answers) as client:
        assert (await client.request(method, path)).status == status
    assert medium.incoming == []


async def test_a_body_is_bounded_in_size_and_time() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 50

    medium, answers = Telling(), Answers()
    async with serving(medium, answers, max_body=1000) as client:
        assert (await client.post("/media/sms/reply", data=b"x" * 1001)).status == 413
        assert (await client.post("/media/sms/reply", data=endless())).status == 413
        assert (await client.post("/media/sms/reply", data=b"x" * 1000)).status == 200

    async with serving(medium, answers, seconds=0.01) as client:
        port = client.server.port  # type: ignore[attr-defined]
        assert await _half_a_body("127.0.0.1", port) == b"HTTP/1.1 408 Request Timeout"


async def _half_a_body(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"POST /media/sms/reply HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    first = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return first.strip()


@asynccontextmanager
async def twilio(kind: Any) -> AsyncIterator[tuple[Client, Answers, str]]:
    """A medium of Twilio behind real HTTP, reached through a proxy that has the public address."""
    public, answers = "https://tocsin.example.com", Answers()
    async with Http(Redactor()) as http:
        params = kind.Params.model_validate({"account": ACCOUNT, "token": TOKEN, "from": "+15005550006"})
        medium = kind.Plugin(Desk("sms", http, Redactor(), HandClock(), public), params)
        async with serving(medium, answers) as client:
            yield client, answers, public


async def test_an_answer_by_sms_acknowledges() -> None:
    async with twilio(twilio_sms) as (client, answers, public):
        body, headers = signed(f"{public}/media/sms/reply", {"From": "+49151", "Body": "7", "MessageSid": "SM1"})
        reply = await client.post("/media/sms/reply", data=body, headers=headers)
        text = await reply.text()
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/xml")
        assert "<Message>INC-7 is yours</Message>" in text
        forged = await client.post("/media/sms/reply", data=body.replace(b"7", b"8"), headers=headers)
        assert forged.status == 403
    assert answers.taken == [("sms", Heard(kind="acknowledged", provider_id="SM1", address="+49151", text="7"))]


async def test_a_key_on_the_phone_acknowledges_whatever_is_escaped_in_the_address() -> None:
    path = "/media/sms/pressed?page=page%3A7%3Aada%2Fcall+x&say=S8OkdGU"
    async with twilio(twilio_call) as (client, answers, public):
        body, headers = signed(public + path, {"CallSid": "CA1", "To": "+49151", "Digits": "4"})
        reply = await client.post(URL(path, encoded=True), data=body, headers=headers)
        assert (reply.status, "INC-7 is yours" in await reply.text()) == (200, True)
    assert answers.taken == [
        ("sms", Heard(kind="acknowledged", provider_id="CA1", key="page:7:ada/call x", address="+49151"))
    ]
