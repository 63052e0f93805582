"""SMS by Twilio: what is sent, what each refusal means, what is not sent twice, and how an answer is read."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError

from bot.clients.breaker import FAILURES
from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.clients.twilio import signature
from bot.domain.incoming import Incoming
from bot.domain.notice import Heard, Notice
from bot.domain.redaction import Redactor
from bot.errors import BadInput, GaveUp, NotSigned, TryLater
from bot.plugins.channels import twilio_sms
from tests.clients.served import answering
from tests.support.clock import HandClock
from tests.support.twilio_api import ACCOUNT, KEY, KEY_SECRET, TOKEN, TwilioApi, signed

ADA, OURS = "+4915112345678", "+15005550006"
PUBLIC = "https://tocsin.example.com"
PAGE = Notice(
    key="page:7:1:ada:sms",
    purpose="page",
    thread="incident:7",
    incident_id=7,
    subject="INC-7 critical: checkout: High error rate",
    short="INC-7 critical\ncheckout: High error rate",
    acknowledge_url="https://tocsin.example.com/acknowledge/abc.def",
    acknowledgeable=True,
)
PARAMS = {"account": ACCOUNT, "token": TOKEN, "from": OURS}


class World:
    """A Twilio, and the medium in front of it."""

    def __init__(self, url: str, http: Http, api: TwilioApi, clock: HandClock) -> None:
        self.url, self.http, self.api, self.clock = url, http, api, clock

    def medium(self, public_url: str = PUBLIC, **settings: Any) -> twilio_sms.Plugin:
        desk = Desk("sms", self.http, Redactor({"word": "hunter2"}), self.clock, public_url)
        given = {**PARAMS, "api": self.url, "within": 5, **settings}
        params = twilio_sms.Params.model_validate({key: value for key, value in given.items() if value is not None})
        return twilio_sms.Plugin(desk, params)

    @property
    def sent(self) -> list[dict[str, str]]:
        return [fields for method, what, fields in self.api.asked if (method, what) == ("POST", "Messages")]


@asynccontextmanager
async def twilio() -> AsyncIterator[World]:
    clock = HandClock()
    api = TwilioApi(clock)
    async with answering(api.answer) as url, Http(Redactor()) as http:
        yield World(url, http, api, clock)
        api.released.set()


async def test_a_page_is_sent_and_says_how_to_acknowledge() -> None:
    async with twilio() as world:
        receipt = await world.medium().send(PAGE, "+49 151 1234-5678", False)
    (fields,) = world.sent
    assert fields == {
        "To": ADA,
        "From": OURS,
        "Body": fields["Body"],
        "StatusCallback": "https://tocsin.example.com/media/sms/status",
    }
    assert fields["Body"].startswith("INC-7 critical checkout: High error rate\nReply 7 to acknowledge (")
    assert (receipt.provider_id, receipt.answer, receipt.delivered) == (world.api.messages[0]["sid"], "queued", False)


@pytest.mark.parametrize(
    "settings",
    [{"public_url": ""}, {"replies": False}, {"from": "Tocsin"}, {"token": None, "key": KEY, "key_secret": KEY_SECRET}],
)
async def test_where_nobody_can_answer_the_text_has_the_link_instead(settings: dict[str, Any]) -> None:
    async with twilio() as world:
        await world.medium(**settings).send(PAGE, ADA, False)
    (fields,) = world.sent
    assert "Reply" not in fields["Body"]
    assert "Acknowledge: https://tocsin.example.com/acknowledge/abc.def" in fields["Body"]
    assert ("StatusCallback" in fields) == (settings in ({"replies": False}, {"from": "Tocsin"}))


async def test_what_needs_no_answer_asks_for_none() -> None:
    over = PAGE.model_copy(update={"acknowledgeable": False, "purpose": "recovery"})
    async with twilio() as world:
        await world.medium().send(over, ADA, False)
    assert "acknowledge" not in world.sent[0]["Body"].lower()


async def test_a_messaging_service_sends_in_place_of_a_number() -> None:
    service = "MG" + "a" * 32
    async with twilio() as world:
        await world.medium(service=service, **{"from": None}).send(PAGE, ADA, False)
    assert world.sent[0]["MessagingServiceSid"] == service
    assert "From" not in world.sent[0]


async def test_an_api_key_sends_in_place_of_the_token() -> None:
    async with twilio() as world:
        await world.medium(key=KEY, key_secret=KEY_SECRET).send(PAGE, ADA, False)
    assert len(world.api.messages) == 1


async def test_a_text_is_bounded() -> None:
    wordy = PAGE.model_copy(update={"short": "é" * 5000, "acknowledge_url": "https://x/" + "a" * 5000})
    async with twilio() as world:
        await world.medium(replies=False).send(wordy, ADA, False)
    assert len(world.sent[0]["Body"]) <= 1600


@pytest.mark.parametrize(
    "address", ["0151 1234567", "ada", "+0151", "+491511234567890123", "+49151<script>", "+49151\r\nx"]
)
async def test_what_is_no_number_is_refused_before_anything_is_sent(address: str) -> None:
    async with twilio() as world:
        with pytest.raises(BadInput, match=r"sms: found .*; expected a phone number with its country"):
            await world.medium().send(PAGE, address, False)
    assert world.api.asked == []


async def test_without_a_person_it_goes_to_the_mediums_own_phone() -> None:
    async with twilio() as world:
        await world.medium(to=ADA).send(PAGE, "", False)
        assert world.sent[0]["To"] == ADA
        with pytest.raises(BadInput, match="sms: nobody is named; set `to`"):
            await world.medium().send(PAGE, "", False)


@pytest.mark.parametrize(
    ("code", "error", "hint"),
    [
        (21211, BadInput, "the number does not exist"),
        (21610, BadInput, "they answered STOP"),
        (21614, BadInput, "it is no mobile number"),
        (21408, BadInput, "Geo Permissions"),
        (21608, BadInput, "a trial account reaches verified numbers only"),
        (21606, GaveUp, "check `from`"),
        (21999, BadInput, "(21999)"),
        (21611, TryLater, "(21611)"),
    ],
)
async def test_twilios_codes_say_whether_to_try_again_and_what_to_do(
    code: int, error: type[Exception], hint: str
) -> None:
    async with twilio() as world:
        world.api.deaf[ADA] = (code, "No, says Twilio: hunter2")
        with pytest.raises(error) as raised:
            await world.medium().send(PAGE, ADA, False)
    assert type(raised.value) is error
    assert f"Twilio answered 400 ({code}): No, says Twilio" in str(raised.value)
    assert hint in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert not getattr(raised.value, "uncertain", False)


async def test_wrong_credentials_are_told_without_them() -> None:
    async with twilio() as world:
        with pytest.raises(GaveUp, match=r"401 \(20003\): Authenticate; check account, token") as raised:
            await world.medium(token="not-the-token").send(PAGE, ADA, False)
    assert "not-the-token" not in str(raised.value)
    assert world.api.messages == []


@pytest.mark.parametrize(
    ("failure", "delay", "uncertain"),
    [
        ((429, {"code": 20429, "message": "Too many requests"}, {"Retry-After": "7"}), 7.0, False),
        ((429, None, {}), None, False),
        ((500, {"code": 20500, "message": "Internal server error"}, {}), None, True),
        ((503, None, {"Retry-After": "3"}), 3.0, True),
    ],
)
async def test_what_may_work_later_says_when_and_whether_it_may_have_been_sent(
    failure: tuple[int, Any, dict[str, str]], delay: float | None, uncertain: bool
) -> None:
    async with twilio() as world:
        world.api.fail.append(failure)
        with pytest.raises(TryLater) as raised:
            await world.medium().send(PAGE, ADA, False)
    assert (raised.value.delay, raised.value.uncertain) == (delay, uncertain)


async def test_a_timeout_is_uncertain() -> None:
    async with twilio() as world:
        world.api.hang = True
        with pytest.raises(TryLater, match=r"no answer from .* in 0\.05 s") as raised:
            await world.medium(within=0.05).send(PAGE, ADA, False)
        world.api.released.set()
    assert raised.value.uncertain


async def test_a_reset_connection_is_uncertain_and_a_refused_one_is_not() -> None:
    async with twilio() as world:
        world.api.drop = True
        with pytest.raises(TryLater) as raised:
            await world.medium().send(PAGE, ADA, False)
        assert raised.value.uncertain
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(TryLater) as raised:
            await world.medium(api=nowhere).send(PAGE, ADA, False)
        assert not raised.value.uncertain


async def test_an_answer_lost_after_delivery_makes_no_second_message() -> None:
    async with twilio() as world:
        medium = world.medium()
        world.api.lose = True
        with pytest.raises(TryLater) as raised:
            await medium.send(PAGE, ADA, False)
        assert raised.value.uncertain
        receipt = await medium.send(PAGE, ADA, True)
    assert len(world.api.messages) == 1
    assert receipt.provider_id == world.api.messages[0]["sid"]
    assert receipt.answer == "it was sent before: queued"


async def test_a_lost_request_is_sent_again_even_if_another_message_said_the_same() -> None:
    async with twilio() as world:
        medium = world.medium()
        await medium.send(PAGE, ADA, False)
        second = PAGE.model_copy(update={"key": "page:7:1:ada:sms:second-round"})
        world.api.drop = True
        with pytest.raises(TryLater):
            await medium.send(second, ADA, False)
        await medium.send(second, ADA, True)
    assert len(world.api.messages) == 2


@pytest.mark.parametrize("change", [{"status": "failed"}, {"status": "undelivered"}, {"direction": "inbound"}])
async def test_what_did_not_go_out_is_sent_again(change: dict[str, str]) -> None:
    async with twilio() as world:
        await world.medium().send(PAGE, ADA, False)
        world.api.messages[0] |= change
        await world.medium().send(PAGE, ADA, True)
    assert len(world.api.messages) == 2


async def test_an_old_message_is_not_taken_for_this_one() -> None:
    async with twilio() as world:
        await world.medium().send(PAGE, ADA, False)
        world.clock.forward(hours=2)
        await world.medium().send(PAGE, ADA, True)
    assert len(world.api.messages) == 2


async def test_as_long_as_nobody_can_look_it_stays_uncertain() -> None:
    async with twilio() as world:
        world.api.fail.append((503, None, {}))
        with pytest.raises(TryLater) as raised:
            await world.medium().send(PAGE, ADA, True)
    assert raised.value.uncertain
    assert world.sent == []


@pytest.mark.parametrize(
    "answer", [[], "x", {"messages": 7}, {"messages": [7, {"date_created": "x", "body": 7, "sid": 1}]}]
)
async def test_a_list_that_cannot_be_read_is_an_empty_one(answer: Any) -> None:
    async with twilio() as world:
        world.api.fail.append((200, answer, {}))
        await world.medium().send(PAGE, ADA, True)
    assert len(world.api.messages) == 1


async def test_a_success_that_cannot_be_read_is_a_success() -> None:
    async with twilio() as world:
        world.api.fail.append((201, None, {}))
        receipt = await world.medium().send(PAGE, ADA, False)
    assert (receipt.provider_id, receipt.answer) == ("", "answered 201")


def called_back(fields: dict[str, str], what: str, url: str = PUBLIC, token: str = TOKEN) -> Incoming:
    body, headers = signed(f"{url}/media/sms/{what}", fields, token)
    return Incoming(body, {key.lower(): value for key, value in headers.items()}, what)


@pytest.mark.parametrize(
    ("said", "incident"),
    [
        ("ack", ""),
        ("Ack.", ""),
        ("OK", ""),
        ("Okay!", ""),
        ("yes", ""),
        ("Y", ""),
        ("acknowledged", ""),
        ("7", "7"),
        (" 7 \n", "7"),
        ("#7", "7"),
        ("INC-7", "7"),
        ("inc 7.", "7"),
        ("ack INC-12", "12"),
        ("ok: 12", "12"),
        ("“ack”", ""),
    ],
)
async def test_these_answers_acknowledge(said: str, incident: str) -> None:
    async with twilio() as world:
        form = {"From": ADA, "To": OURS, "Body": said, "MessageSid": "SM1"}
        heard = await world.medium().heard(called_back(form, "reply"), "reply")
    assert heard == (Heard(kind="acknowledged", provider_id="SM1", address=ADA, text=incident),)


@pytest.mark.parametrize(
    "said", ["no", "not ok", "ok?", "7 8", "yesterday", "who is this?", "", "ack ack", "7" * 30, "\u0667"]
)
async def test_anything_else_is_answered_with_what_to_write(said: str) -> None:
    async with twilio() as world:
        medium = world.medium()
        heard = await medium.heard(called_back({"From": ADA, "Body": said}, "reply"), "reply")
    assert [one.kind for one in heard] == ["other"]
    body, content_type = medium.answer(heard, "")
    assert content_type == "text/xml"
    assert b"<Message>Not understood. Answer ack for the newest page, or the number of an incident" in body


@pytest.mark.parametrize(
    "form", [{"Body": "STOP"}, {"Body": "Help"}, {"Body": "start"}, {"Body": "ack", "OptOutType": "STOP"}]
)
async def test_words_that_twilio_answers_itself_are_left_to_it(form: dict[str, str]) -> None:
    async with twilio() as world:
        medium = world.medium()
        heard = await medium.heard(called_back({"From": ADA, **form}, "reply"), "reply")
    assert [one.kind for one in heard] == ["other"]
    assert medium.answer(heard, "")[0].endswith(b"<Response></Response>")


async def test_the_answer_is_escaped_and_bounded() -> None:
    async with twilio() as world:
        body, _type = world.medium().answer((Heard(kind="acknowledged"),), "INC-7 </Message> & more " * 100)
    assert b"INC-7 &lt;/Message&gt; &amp; more" in body
    assert body.count(b"</Message>") == 1
    assert len(body) < 2000


@pytest.mark.parametrize(
    ("form", "heard"),
    [
        ({"MessageStatus": "delivered"}, (Heard(kind="delivered", provider_id="SM1", address=ADA, text="delivered"),)),
        (
            {"MessageStatus": "undelivered", "ErrorCode": "30003"},
            (
                Heard(
                    kind="failed",
                    provider_id="SM1",
                    address=ADA,
                    text="undelivered (30003) the phone is off or out of reach",
                ),
            ),
        ),
        ({"MessageStatus": "failed"}, (Heard(kind="failed", provider_id="SM1", address=ADA, text="failed"),)),
        ({"MessageStatus": "sent"}, ()),
        ({}, ()),
    ],
)
async def test_twilio_tells_what_became_of_a_message(form: dict[str, str], heard: tuple[Heard, ...]) -> None:
    async with twilio() as world:
        told = called_back({"MessageSid": "SM1", "To": ADA, **form}, "status")
        assert await world.medium().heard(told, "status") == heard


async def test_a_callback_that_twilio_did_not_sign_is_refused() -> None:
    form = {"From": ADA, "Body": "ack"}
    good = called_back(form, "reply")
    forged = [
        Incoming(good.body, {}, "reply"),
        Incoming(good.body, {"x-twilio-signature": "nonsense ü"}, "reply"),
        Incoming(good.body.replace(b"ack", b"ok"), good.headers, "reply"),
        Incoming(good.body + b"&more=1", good.headers, "reply"),
        Incoming(good.body, good.headers, "reply?x=1"),
        called_back(form, "status"),
        called_back(form, "reply", url="https://other.example.com"),
        called_back(form, "reply", token="another"),
        called_back(form, "reply", token=""),
    ]
    forged[5] = Incoming(forged[5].body, forged[5].headers, "reply")
    async with twilio() as world:
        for one in forged:
            with pytest.raises(NotSigned, match="X-Twilio-Signature does not fit"):
                await world.medium().heard(one, "reply")
        keyed = world.medium(token=None, key=KEY, key_secret=KEY_SECRET)
        with pytest.raises(NotSigned, match="no `token`"):
            await keyed.heard(good, "reply")


@pytest.mark.parametrize(
    ("public", "as_signed"),
    [
        ("https://tocsin.example.com", "https://tocsin.example.com:443"),
        ("https://tocsin.example.com:8443", "https://tocsin.example.com:8443"),
        ("https://tocsin.example.com:8443", "https://tocsin.example.com"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
async def test_a_signature_may_be_over_the_address_with_or_without_its_port(public: str, as_signed: str) -> None:
    async with twilio() as world:
        told = called_back({"From": ADA, "Body": "ack"}, "reply", url=as_signed)
        assert await world.medium(public_url=public).heard(told, "reply")


async def test_a_body_that_is_no_form_or_too_much_of_one_is_refused() -> None:
    async with twilio() as world:
        for body in (b"\xff\xfe", b"&".join(b"a%d=1" % number for number in range(300))):
            with pytest.raises(BadInput, match="the body is no form"):
                await world.medium().heard(Incoming(body, {}, "reply"), "reply")


async def test_a_callback_of_an_unknown_kind_is_refused() -> None:
    async with twilio() as world:
        with pytest.raises(BadInput, match="expected status or reply"):
            await world.medium().heard(called_back({}, "other"), "other")


def test_signatures_are_those_of_twilio() -> None:
    """A known pair: public, from the documentation of other clients."""
    fields = [
        ("CallSid", "CA1234567890ABCDE"),
        ("From", "+12349013030"),
        ("To", "+18005551212"),
        ("Caller", "+12349013030"),
        ("Digits", "1234"),
    ]
    assert signature("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", fields) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"account": "AC1"}, "expected the Account SID"),
        ({"token": None}, "token"),
        ({"key": KEY}, "key and key_secret"),
        ({"from": None}, "from"),
        ({"service": "MG" + "0" * 32}, "not both"),
        ({"service": "x", "from": None}, "service"),
        ({"api": "ftp://x"}, "api"),
        ({"api": "http://twilio.example.com"}, "must be an https:// address"),
        ({"from": "a name that is long"}, "from"),
        ({"to": "0151"}, "to"),
        ({"form": OURS}, "form"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], words: str) -> None:
    given = {key: value for key, value in {**PARAMS, **settings}.items() if value is not None}
    with pytest.raises(ValidationError) as raised:
        twilio_sms.Params.model_validate(given)
    assert words in str(raised.value)


def test_secrets_do_not_show() -> None:
    params = twilio_sms.Params.model_validate({**PARAMS, "key": KEY, "key_secret": KEY_SECRET})
    assert TOKEN not in repr(params)
    assert KEY_SECRET not in repr(params)


async def test_the_mediums_own_phone_gets_the_link_because_an_answer_from_it_names_nobodys_page() -> None:
    async with twilio() as world:
        await world.medium(to=ADA).send(PAGE, "", False)
    assert "Reply" not in world.sent[0]["Body"]
    assert f"Acknowledge: {PAGE.acknowledge_url}" in world.sent[0]["Body"]


async def test_a_text_has_no_secrets_and_nothing_invisible() -> None:
    async with twilio() as world:
        await world.medium().send(PAGE.model_copy(update={"short": "hunter2 a\u202eb\x00c\x1b[31m"}), ADA, False)
    body = world.sent[0]["Body"]
    assert "hunter2" not in body
    assert body.startswith("[redacted: word] abc[31m\n")


async def test_the_answer_is_XML_whatever_people_are_called() -> None:
    async with twilio() as world:
        body, _ = world.medium().answer((), "INC-7 is Ada\x00\x1b\ufffe <3's")
    assert ElementTree.fromstring(body).findtext("Message") == "INC-7 is Ada    <3's"


async def test_how_to_answer_is_said_once_so_that_two_machines_do_not_talk_for_ever() -> None:
    async with twilio() as world:
        medium = world.medium()
        auto = (Heard(kind="other", address=ADA, text="I am driving"),)
        stranger = (Heard(kind="other", address="+4915100", text="hello"),)
        assert b"Not understood" in medium.answer(auto, "")[0]
        assert b"Message" not in medium.answer(auto, "")[0]
        assert b"Not understood" in medium.answer(stranger, "")[0]
        world.clock.forward(minutes=11)
        assert b"Not understood" in medium.answer(auto, "")[0]


async def test_a_dead_twilio_is_not_waited_for_by_every_page() -> None:
    async with twilio() as world:
        medium = world.medium(api="http://127.0.0.1:9")
        for _ in range(FAILURES):
            with pytest.raises(TryLater, match="cannot connect"):
                await medium.send(PAGE, ADA, False)
        with pytest.raises(TryLater, match=r"Twilio \(127\.0\.0\.1\): not tried"):
            await medium.send(PAGE, ADA, False)


async def test_a_number_that_is_refused_again_and_again_stops_nobody_elses_pages() -> None:
    async with twilio() as world:
        medium = world.medium()
        world.api.deaf["+4915100000009"] = (21611, "queue is full")
        for _ in range(FAILURES + 1):
            with pytest.raises(TryLater, match="21611"):
                await medium.send(PAGE, "+4915100000009", False)
        await medium.send(PAGE, ADA, False)
    assert len(world.api.messages) == 1
