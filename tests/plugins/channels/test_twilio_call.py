"""Phone calls by Twilio: what is said, which key does what, what is not called twice, and how a call ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError

from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.domain.incoming import Incoming
from bot.domain.notice import Heard, Notice
from bot.domain.redaction import Redactor
from bot.errors import BadInput, GaveUp, NotSigned, TryLater
from bot.plugins.channels import twilio_call
from tests.clients.served import answering
from tests.support.clock import HandClock
from tests.support.twilio_api import ACCOUNT, KEY, KEY_SECRET, TOKEN, TwilioApi, signed

ADA, OURS = "+4915112345678", "+15005550006"
PUBLIC = "https://tocsin.example.com"
PAGE = Notice(
    key="page:7:1:ada/call",
    purpose="page",
    thread="incident:7",
    incident_id=7,
    subject="INC-7 critical: checkout: High error rate",
    spoken="Incident 7, critical. Checkout & payments: high error rate <5 percent>. Käse.",
    acknowledgeable=True,
)
PARAMS = {"account": ACCOUNT, "token": TOKEN, "from": OURS}


class World:
    """A Twilio, and the medium in front of it."""

    def __init__(self, url: str, http: Http, api: TwilioApi, clock: HandClock) -> None:
        self.url, self.http, self.api, self.clock = url, http, api, clock

    def medium(self, public_url: str = PUBLIC, **settings: Any) -> twilio_call.Plugin:
        desk = Desk("call", self.http, Redactor(), self.clock, public_url)
        given = {**PARAMS, "api": self.url, "within": 5, **settings}
        params = twilio_call.Params.model_validate({key: value for key, value in given.items() if value is not None})
        return twilio_call.Plugin(desk, params)

    @property
    def called(self) -> list[dict[str, str]]:
        return [fields for method, what, fields in self.api.asked if (method, what) == ("POST", "Calls")]


@asynccontextmanager
async def twilio() -> AsyncIterator[World]:
    clock = HandClock()
    api = TwilioApi(clock)
    async with answering(api.answer) as url, Http(Redactor()) as http:
        yield World(url, http, api, clock)
        api.released.set()


def gathered(twiml: str | bytes) -> tuple[ElementTree.Element, str, str]:
    """What asks for a key, the address it leads to, and what is said meanwhile."""
    gather = ElementTree.fromstring(twiml).find("Gather")
    assert gather is not None
    said = gather.find("Say")
    assert said is not None and said.text is not None
    return gather, gather.attrib["action"], said.text


def pressed(action: str, digit: str, **more: str) -> Incoming:
    """What Twilio sends when a key was pressed."""
    body, headers = signed(action, {"CallSid": "CA1", "To": ADA, "From": OURS, "Digits": digit, **more})
    split = urlsplit(action)
    query = {key: values[0] for key, values in parse_qs(split.query).items()}
    path = f"{split.path.rpartition('/')[2]}?{split.query}"
    return Incoming(body, {key.lower(): value for key, value in headers.items()}, path, query)


def ended(status: str, key: str = PAGE.key, **more: str) -> Incoming:
    query = parse_qs(f"page={key}")
    path = f"status?page={key}"
    body, headers = signed(f"{PUBLIC}/media/call/{path}", {"CallSid": "CA1", "To": ADA, "CallStatus": status, **more})
    return Incoming(body, {name.lower(): value for name, value in headers.items()}, path, {"page": query["page"][0]})


async def test_a_call_reads_the_message_twice_and_asks_for_a_key() -> None:
    async with twilio() as world:
        receipt = await world.medium().send(PAGE, "+49 (151) 12345678", False)
    (fields,) = world.called
    gather, action, said = gathered(fields["Twiml"])
    assert said == (
        "Incident 7, critical. Checkout and payments: high error rate 5 percent . Käse. "
        "Press 4 to acknowledge. Press any other key to hear this again."
    )
    assert (gather.attrib["numDigits"], gather.find("Say").attrib["loop"]) == ("1", "2")  # type: ignore[union-attr]
    assert action.startswith("https://tocsin.example.com/media/call/pressed?page=page%3A7%3A1%3Aada%2Fcall&say=")
    assert {**fields, "Twiml": ""} == {
        "To": ADA,
        "From": OURS,
        "Twiml": "",
        "Timeout": "30",
        "StatusCallback": "https://tocsin.example.com/media/call/status?page=page%3A7%3A1%3Aada%2Fcall",
    }
    assert (receipt.provider_id, receipt.answer) == (world.api.calls[0]["sid"], "queued")


async def test_the_acknowledging_key_acknowledges_this_page() -> None:
    async with twilio() as world:
        medium = world.medium()
        await medium.send(PAGE, ADA, False)
        _gather, action, _said = gathered(world.called[0]["Twiml"])
        heard = await medium.heard(pressed(action, "4"), "pressed")
    assert heard == (Heard(kind="acknowledged", provider_id="CA1", key=PAGE.key, address=ADA),)
    body, content_type = medium.answer(heard, "INC-7 is yours")
    assert content_type == "text/xml"
    (said,) = ElementTree.fromstring(body)
    assert (said.tag, said.text, said.attrib["loop"]) == ("Say", "INC-7 is yours", "1")


@pytest.mark.parametrize("digit", ["1", "0", "*", ""])
async def test_any_other_key_reads_it_again_as_often_as_wanted(digit: str) -> None:
    async with twilio() as world:
        medium = world.medium()
        await medium.send(PAGE, ADA, False)
        first = gathered(world.called[0]["Twiml"])
        second = first
        for _ in range(3):
            heard = await medium.heard(pressed(second[1], digit), "pressed")
            assert [one.kind for one in heard] == ["other"]
            second = gathered(medium.answer(heard, "")[0])
    assert second[1:] == first[1:]


@pytest.mark.parametrize("settings", [{"public_url": ""}, {"token": None, "key": KEY, "key_secret": KEY_SECRET}])
async def test_without_call_backs_it_is_only_read(settings: dict[str, Any]) -> None:
    async with twilio() as world:
        await world.medium(**settings).send(PAGE, ADA, False)
    assert "StatusCallback" not in world.called[0]
    (said,) = ElementTree.fromstring(world.called[0]["Twiml"])
    assert (said.tag, said.attrib["loop"]) == ("Say", "2")


async def test_what_needs_no_answer_asks_for_none() -> None:
    async with twilio() as world:
        await world.medium().send(
            PAGE.model_copy(update={"acknowledgeable": False, "spoken": "Your code is 1 2 3"}), ADA, False
        )
    assert "Gather" not in world.called[0]["Twiml"]


@pytest.mark.parametrize(
    "spoken", ["&" * 5000, "<>" * 3000, '"' * 3000, "Ж" * 5000, "日本" * 3000, "\x00\x0b]]>\ud800 x", "a" * 9000]
)
async def test_whatever_is_said_it_is_xml_and_fits(spoken: str) -> None:
    async with twilio() as world:
        medium = world.medium(voice="Polly.Amy-Neural")
        await medium.send(PAGE.model_copy(update={"spoken": spoken, "key": "k" * 1000}), ADA, False)
        twiml = world.called[0]["Twiml"]
        assert len(twiml) <= 4000
        _gather, action, said = gathered(twiml)
        again = medium.answer(await medium.heard(pressed(action, "1"), "pressed"), "")[0]
        assert gathered(again)[2] == said


async def test_nothing_to_say_is_not_called_silence() -> None:
    async with twilio() as world:
        await world.medium().send(PAGE.model_copy(update={"spoken": "", "short": ""}), ADA, False)
    assert "INC-7 critical: checkout" in world.called[0]["Twiml"]


async def test_mailboxes_are_told_from_people_when_asked_for() -> None:
    async with twilio() as world:
        await world.medium(machine_detection=True, ring=20).send(PAGE, ADA, False)
    assert (world.called[0]["MachineDetection"], world.called[0]["Timeout"]) == ("Enable", "20")


@pytest.mark.parametrize(
    ("code", "error", "hint"),
    [
        (21211, BadInput, "the number does not exist"),
        (21214, BadInput, "cannot be called"),
        (21215, BadInput, "Voice > Geographic Permissions"),
        (21219, BadInput, "a trial account"),
        (21210, GaveUp, "check `from`"),
        (20008, GaveUp, "test credentials"),
    ],
)
async def test_twilios_codes_say_what_to_do(code: int, error: type[Exception], hint: str) -> None:
    async with twilio() as world:
        world.api.deaf[ADA] = (code, "No")
        with pytest.raises(error, match=hint):
            await world.medium().send(PAGE, ADA, False)


@pytest.mark.parametrize(
    ("fault", "error", "uncertain"),
    [
        ("429", TryLater, False),
        ("503", TryLater, True),
        ("401", GaveUp, None),
        ("drop", TryLater, True),
        ("hang", TryLater, True),
    ],
)
async def test_each_fault_says_whether_the_call_may_have_been_made(
    fault: str, error: type[Exception], uncertain: bool | None
) -> None:
    async with twilio() as world:
        if fault.isdigit():
            world.api.fail.append(
                (int(fault), {"code": 20003 if fault == "401" else 20429, "message": "no"}, {"Retry-After": "9"})
            )
        else:
            setattr(world.api, fault, True)
        with pytest.raises(error) as raised:
            await world.medium(within=0.05 if fault == "hang" else 5).send(PAGE, ADA, False)
        world.api.released.set()
    assert getattr(raised.value, "uncertain", None) is uncertain
    if fault == "429":
        assert getattr(raised.value, "delay", None) == 9.0


async def test_an_answer_lost_after_the_call_was_made_makes_no_second_call() -> None:
    async with twilio() as world:
        medium = world.medium()
        world.api.lose = True
        with pytest.raises(TryLater) as raised:
            await medium.send(PAGE, ADA, False)
        assert raised.value.uncertain
        world.clock.forward(seconds=15)
        receipt = await medium.send(PAGE, ADA, True)
    assert len(world.api.calls) == 1
    assert receipt.provider_id == world.api.calls[0]["sid"]


async def test_a_call_about_something_else_is_not_taken_for_this_one() -> None:
    other = PAGE.model_copy(update={"key": "page:8:1:ada/call"})
    async with twilio() as world:
        medium = world.medium()
        await medium.send(other, ADA, False)
        world.api.drop = True
        with pytest.raises(TryLater):
            await medium.send(PAGE, ADA, False)
        await medium.send(PAGE, ADA, True)
    assert len(world.api.calls) == 2


@pytest.mark.parametrize(
    "change", [{"status": "failed"}, {"from": "+15005550009"}, {"date_created": "nonsense"}, {"to": "+15005550001"}]
)
async def test_a_call_that_cannot_be_this_one_is_not_taken_for_it(change: dict[str, str]) -> None:
    async with twilio() as world:
        world.api.put("Calls", ADA, OURS)
        world.api.calls[0] |= change
        await world.medium().send(PAGE, ADA, True)
    assert len(world.api.calls) == 2


async def test_a_call_of_long_ago_is_not_taken_for_this_one() -> None:
    async with twilio() as world:
        world.api.put("Calls", ADA, OURS)
        world.clock.forward(minutes=2)
        await world.medium().send(PAGE, ADA, True)
    assert len(world.api.calls) == 2


@pytest.mark.parametrize(
    ("status", "more", "kind", "words"),
    [
        ("completed", {}, "delivered", "answered"),
        ("completed", {"AnsweredBy": "human"}, "delivered", "answered"),
        ("completed", {"AnsweredBy": "machine_start"}, "failed", "a mailbox or a fax answered"),
        ("busy", {}, "failed", "busy"),
        ("no-answer", {}, "failed", "nobody answered"),
        ("failed", {}, "failed", "the call could not be made"),
    ],
)
async def test_twilio_tells_how_a_call_ended(status: str, more: dict[str, str], kind: Any, words: str) -> None:
    async with twilio() as world:
        heard = await world.medium().heard(ended(status, **more), "status")
    assert heard == (Heard(kind=kind, provider_id="CA1", key=PAGE.key, address=ADA, text=words),)


async def test_a_call_that_has_not_ended_says_nothing() -> None:
    async with twilio() as world:
        assert await world.medium().heard(ended("ringing"), "status") == ()


async def test_a_key_for_another_page_than_twilio_signed_is_refused() -> None:
    async with twilio() as world:
        medium = world.medium()
        await medium.send(PAGE, ADA, False)
        _gather, action, _said = gathered(world.called[0]["Twiml"])
        told = pressed(action, "4")
        moved = Incoming(told.body, told.headers, told.path.replace("7", "8"), {"page": "page:8"})
        with pytest.raises(NotSigned):
            await medium.heard(moved, "pressed")
        with pytest.raises(BadInput, match="expected status or pressed"):
            await medium.heard(pressed("https://tocsin.example.com/media/call/other?x=1", "4"), "other")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"voice": 'a"b'}, "voice"),
        ({"language": "en'"}, "language"),
        ({"ring": 1}, "ring"),
        ({"frm": "x"}, "frm"),
        ({"from": "Tocsin"}, "from"),
        ({"to": "0151"}, "to"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        twilio_call.Params.model_validate({**PARAMS, **settings})
    assert words in str(raised.value)
