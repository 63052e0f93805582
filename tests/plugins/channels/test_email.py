"""Pages by e-mail, over real SMTP: what arrives, how it is encrypted, and what each failure says about whether it arrived."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.breaker import FAILURES
from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.clients.mail import Server
from bot.domain.incident import Incident
from bot.domain.links import Links
from bot.domain.notice import Notice, Receipt
from bot.domain.redaction import Redactor
from bot.domain.signing import Signer
from bot.errors import BadInput, GaveUp, TryLater
from bot.plugins.channels import email
from tests.support.clock import START
from tests.support.smtp_server import PASSWORD, USER, MailServer, certificate, mail_server

ADA = "ada@example.com"
PAGE = Notice(
    key="page:7:1:ada:email",
    purpose="page",
    thread="incident:7",
    incident_id=7,
    subject="INC-7 critical: checkout: High error rate",
    body="5 % of requests fail.\n.hidden line\nüber <script>alert(1)</script>",
    severity="critical",
    url="https://slack.com/app_redirect?channel=C1",
    acknowledge_url="https://tocsin.example.com/acknowledge/abc.def",
    acknowledgeable=True,
    facts={"incident": "INC-7", "title": "checkout: High error rate"},
)
PLAIN = {"tls": "none", "host": "127.0.0.1", "from": "Tocsin <tocsin@example.com>", "within": 5}


def medium(port: int, **settings: Any) -> email.Plugin:
    desk = Desk("email", Http(Redactor()), Redactor({"word": "hunter2"}), lambda: START)
    return email.Plugin(desk, email.Params.model_validate({**PLAIN, "port": port, **settings}))


@asynccontextmanager
async def plain(**settings: Any) -> AsyncIterator[tuple[MailServer, email.Plugin]]:
    async with mail_server() as server:
        yield server, medium(server.port, **settings)


async def sent(plugin: email.Plugin, notice: Notice = PAGE, address: str = ADA, again: bool = False) -> Receipt:
    return await plugin.send(notice, address, again)


async def test_a_page_arrives_as_text_and_as_html() -> None:
    async with plain() as (server, plugin):
        receipt = await sent(plugin)
    (message,) = server.messages
    assert (message["From"], message["To"]) == ("Tocsin <tocsin@example.com>", ADA)
    assert message["Subject"] == "[INC-7] checkout: High error rate"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == START
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")  # type: ignore[union-attr]
    assert text.startswith(
        "INC-7 critical: checkout: High error rate\n\n5 % of requests fail.\n.hidden line\nüber <script>"
    )
    assert f"Acknowledge: {PAGE.acknowledge_url}\n\nDetails: {PAGE.url}" in text
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<script>" not in html
    assert "über &lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert f'href="{PAGE.acknowledge_url}"' in html
    assert receipt == Receipt(provider_id=message["Message-ID"], answer="250 2.0.0 Ok: queued as 1")
    assert server.taken[0].mail_from == "tocsin@example.com"
    assert server.hello == ["example.com"]
    assert all(byte < 128 for byte in server.raw[0])


async def test_all_messages_of_an_incident_are_one_thread() -> None:
    over = PAGE.model_copy(update={"key": "recovery:7:ada", "purpose": "recovery", "subject": "INC-7 is resolved"})
    other = PAGE.model_copy(update={"key": "page:8", "thread": "incident:8"})
    async with plain() as (server, plugin):
        for notice in (PAGE, over, other):
            await sent(plugin, notice)
    first, second, third = server.messages
    assert first["Message-ID"] != second["Message-ID"]
    assert first["References"] == second["References"] == second["In-Reply-To"] != third["References"]
    assert first["Subject"] == second["Subject"]


async def test_a_message_about_no_incident_is_in_no_thread() -> None:
    async with plain() as (server, plugin):
        await sent(plugin, Notice(key="code:ada", purpose="code", subject="Your code is 123456"))
    (message,) = server.messages
    assert (message["References"], message["In-Reply-To"]) == (None, None)
    assert message["Subject"] == "Your code is 123456"


@pytest.mark.parametrize(
    "told",
    [
        "x\r\nBcc: mallory@example.com",
        "x\n\nBcc: mallory@example.com",
        "x\rBcc: mallory@example.com\u2028Bcc: m@example.com",
        "x\x00\x0b\x0cBcc: mallory@example.com\x85Bcc: m@example.com",
        "日本語 " * 400,
        "x" * 5000,
        "=?utf-8?q?x=0ABcc:_m?=",
        "",
        " \n ",
    ],
)
async def test_nothing_in_a_notice_makes_another_header(told: str) -> None:
    wicked = PAGE.model_copy(update={"subject": told, "facts": {"incident": "INC-7", "title": told}, "thread": told})
    alone = PAGE.model_copy(update={"subject": told, "body": told, "thread": "", "key": told, "acknowledge_url": told})
    async with plain() as (server, plugin):
        await sent(plugin, wicked)
        await sent(plugin, alone)
    for message, raw in zip(server.messages, server.raw, strict=True):
        assert "Bcc" not in message
        assert message["Subject"]
        assert len(message["Subject"]) <= email.LONGEST_SUBJECT
        assert max(len(line) for line in raw.split(b"\r\n")) <= 998
        assert not message.defects
    assert all(one.rcpt_tos == [ADA] for one in server.taken)


@pytest.mark.parametrize(
    "address",
    ["ada", "ada@example.com\r\nRCPT TO:<m@example.com>", "a b@example.com", "<ada@example.com>", "adä@x.de", "a@"],
)
async def test_what_is_no_address_is_refused_before_anything_is_sent(address: str) -> None:
    async with plain() as (server, plugin):
        with pytest.raises(BadInput, match="expected an e-mail address"):
            await sent(plugin, address=address)
    assert server.hello == []


async def test_a_very_long_body_is_bounded() -> None:
    async with plain() as (server, plugin):
        await sent(plugin, PAGE.model_copy(update={"body": "é" * 500_000}))
    assert len(server.raw[0]) < 400_000


async def test_a_link_that_is_none_is_not_made_one() -> None:
    async with plain() as (server, plugin):
        await sent(plugin, PAGE.model_copy(update={"acknowledge_url": "javascript:alert(1)", "url": 'https://x/"><b>'}))
    html = server.messages[0].get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "javascript:" not in html
    assert '"><b>' not in html


async def test_without_a_person_it_goes_to_whom_the_medium_names() -> None:
    async with plain(to=["ops@example.com", "dev@example.com"]) as (server, plugin):
        await sent(plugin, address="")
    assert server.taken[0].rcpt_tos == ["ops@example.com", "dev@example.com"]
    with pytest.raises(BadInput, match="email: nobody is named; set `to`"):
        await sent(medium(1), address="")


async def test_one_refused_recipient_of_several_is_told_and_the_others_get_it() -> None:
    async with plain(to=["ops@example.com", "gone@example.com"]) as (server, plugin):
        server.answers["gone@example.com"] = "550 5.1.1 no such user"
        receipt = await sent(plugin, address="")
    assert server.taken[0].rcpt_tos == ["ops@example.com"]
    assert receipt.answer == "250 2.0.0 Ok: queued as 1; not for gone@example.com: 550 5.1.1 no such user"


@pytest.mark.parametrize(
    ("where", "answer", "error", "words"),
    [
        (
            "RCPT",
            "550 5.1.1 no such user hunter2",
            BadInput,
            "refused the recipient: not for ada@example.com: 550 5.1.1 no",
        ),
        ("RCPT", "450 4.2.1 mailbox busy", TryLater, "450 4.2.1 mailbox busy"),
        ("RCPT", "452 4.5.3 too many", TryLater, "452"),
        ("MAIL", "553 5.7.1 sender not allowed", GaveUp, "refused the sender: 553 5.7.1 sender not allowed"),
        ("MAIL", "421 4.3.2 shutting down", TryLater, "421"),
        ("DATA", "554 5.7.1 looks like spam", BadInput, "refused the message: 554 5.7.1 looks like spam"),
        ("DATA", "552 5.3.4 too large", BadInput, "552"),
        ("DATA", "451 4.7.1 greylisted, come again", TryLater, "451 4.7.1 greylisted"),
    ],
)
async def test_a_refusal_says_in_the_servers_words_whether_to_try_again(
    where: str, answer: str, error: type[Exception], words: str
) -> None:
    async with plain() as (server, plugin):
        server.answers[where] = answer
        with pytest.raises(error) as raised:
            await sent(plugin)
    assert type(raised.value) is error
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert not getattr(raised.value, "uncertain", False)
    assert server.taken == []


async def test_an_answer_lost_after_delivery_is_uncertain_and_the_repetition_has_the_same_message_id() -> None:
    async with plain() as (server, plugin):
        server.lose = True
        with pytest.raises(TryLater) as raised:
            await sent(plugin)
        assert raised.value.uncertain
        receipt = await sent(plugin, again=True)
    first, second = server.messages
    assert first["Message-ID"] == second["Message-ID"] == receipt.provider_id


async def test_a_timeout_after_the_message_is_uncertain() -> None:
    async with plain(within=0.1) as (server, plugin):
        server.hang = True
        with pytest.raises(TryLater, match=r"did not answer within 0\.1 s") as raised:
            await sent(plugin)
        server.released.set()
    assert raised.value.uncertain
    assert len(server.taken) == 1


async def test_a_server_that_says_nothing_is_certain() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(TryLater, match=r"did not answer within 0\.05 s") as raised:
            await sent(medium(deaf.getsockname()[1], within=0.05))
    assert not raised.value.uncertain


async def test_a_refused_connection_is_certain() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TryLater, match=f"the mail server 127.0.0.1:{port}") as raised:
        await sent(medium(port))
    assert not raised.value.uncertain


@pytest.mark.parametrize(
    "greeting",
    [b"", b"421 4.3.2 too busy\r\n", b"220 mail\r\n", b"nonsense\r\n", b"2" * 100_000, b"220-x\r\n" * 20_000],
)
async def test_a_connection_that_breaks_off_before_the_message_is_certain(greeting: bytes) -> None:
    async with talking_first(greeting) as port:
        with pytest.raises(TryLater) as raised:
            await sent(medium(port))
    assert not raised.value.uncertain
    assert len(str(raised.value)) < 500


@asynccontextmanager
async def talking_first(greeting: bytes) -> AsyncIterator[int]:
    """A server that greets like this and hangs up at the first thing that is said to it."""

    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        if greeting:
            await reader.read(100)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await over.wait()


async def test_starttls_is_required_and_used(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    async with mail_server(starttls=context, auth=True) as server:
        plugin = medium(server.port, tls="starttls", ca=cert, user=USER, password=PASSWORD)
        await sent(plugin)
    assert server.encrypted == [True]
    assert server.users == [USER]


async def test_implicit_tls_works(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    async with mail_server(implicit=context) as server:
        await sent(medium(server.port, tls="implicit", ca=cert))
    assert len(server.taken) == 1


async def test_a_server_without_starttls_gets_nothing() -> None:
    async with mail_server() as server:
        with pytest.raises(GaveUp, match="does not offer STARTTLS; set `tls: implicit`"):
            await sent(medium(server.port, tls="starttls"))
    assert server.taken == []


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_that_is_not_trusted_gets_nothing(tmp_path: Path, tls: str) -> None:
    _cert, context = certificate(tmp_path)
    async with mail_server(**{tls: context}) as server:  # type: ignore[arg-type]
        with pytest.raises(GaveUp, match=r"no encrypted connection: .*certificate.*check host, port, tls and ca"):
            await sent(medium(server.port, tls=tls, user=USER, password=PASSWORD))
    assert (server.taken, server.users) == ([], [])


async def test_a_certificate_for_another_machine_gets_nothing(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path, "127.0.0.9")
    async with mail_server(implicit=context) as server:
        with pytest.raises(GaveUp, match="no encrypted connection"):
            await sent(medium(server.port, tls="implicit", ca=cert))


async def test_encryption_asked_of_a_plain_port_is_told() -> None:
    async with mail_server() as server:
        with pytest.raises(GaveUp, match="no encrypted connection"):
            await sent(medium(server.port, tls="implicit"))


async def test_a_wrong_password_is_told_without_the_password(tmp_path: Path) -> None:
    cert, context = certificate(tmp_path)
    async with mail_server(starttls=context, auth=True) as server:
        server.answers["AUTH"] = "535 5.7.8 wrong: not-the-password"
        with pytest.raises(GaveUp, match="refused the user or the password") as raised:
            await sent(medium(server.port, tls="starttls", ca=cert, user=USER, password="not-the-password"))
    assert "not-the-password" not in str(raised.value)
    assert "check both in tocsin.yaml" in str(raised.value)
    assert server.taken == []


@pytest.mark.parametrize(
    ("answer", "words"), [("454 4.7.0 the directory does not answer", "454"), ("", "Unexpected EOF|Connection lost")]
)
async def test_a_login_that_fails_for_now_is_tried_later(tmp_path: Path, answer: str, words: str) -> None:
    cert, context = certificate(tmp_path)
    async with mail_server(starttls=context, auth=True) as server:
        server.answers["AUTH"] = answer
        with pytest.raises(TryLater, match=words):
            await sent(medium(server.port, tls="starttls", ca=cert, user=USER, password=PASSWORD))


async def test_a_server_that_offers_no_login_is_told(tmp_path: Path) -> None:
    _cert, context = certificate(tmp_path)
    async with mail_server(starttls=context) as server:
        with pytest.raises(GaveUp, match="leave user and password out"):
            await sent(medium(server.port, user=USER, password=PASSWORD))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tls": "none", "host": "mail.example.com"}, "insecure: true"),
        ({"user": "tocsin"}, "user and password"),
        ({"password": "x"}, "user and password"),
        ({"from": "nobody"}, "expected an e-mail address"),
        ({"from": "x <a@b.de>\r\nBcc: <m@x.de>"}, "expected an e-mail address"),
        ({"to": ["nobody"]}, "expected an e-mail address"),
        ({"name": "x\r\ny"}, "name"),
        ({"port": 0}, "port"),
        ({"ca": "/nowhere.pem"}, "ca"),
        ({"tsl": "none"}, "tsl"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        email.Params.model_validate({**PLAIN, **settings})
    assert words in str(raised.value)


@pytest.mark.parametrize("settings", [{"host": "localhost"}, {"host": "::1"}, {"host": "mail.lan", "insecure": True}])
def test_mail_in_clear_may_go_to_this_machine_or_where_it_is_allowed(settings: dict[str, Any]) -> None:
    assert email.Params.model_validate({**PLAIN, **settings}).tls == "none"


def test_a_password_does_not_show() -> None:
    params = email.Params.model_validate({**PLAIN, "user": USER, "password": PASSWORD})
    assert PASSWORD not in repr(params)


async def test_what_looks_like_a_secret_is_not_sent_and_the_own_link_is() -> None:
    incident = Incident(id=7, title="t", severity="critical", group_key="g", channel_name="c", opened_at=START)
    own = Links("https://t.example.com", Signer("a secret")).acknowledge(incident, "page:7", "person:ada", START)
    notice = PAGE.model_copy(
        update={
            "subject": "hunter2",
            "body": f"hunter2 at {own}",
            "facts": {"incident": "INC-7", "title": "hunter2"},
            "acknowledge_url": own,
        }
    )
    async with plain() as (server, plugin):
        await sent(plugin, notice)
    (message,) = server.messages
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "hunter2" not in f"{message['Subject']} {text}"
    assert f"[redacted: word] at {own}" in text


def test_the_password_is_in_no_representation() -> None:
    assert "open sesame" not in repr(Server("h", 25, "none", None, "u", "open sesame"))


async def test_a_dead_server_is_not_waited_for_by_every_page() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        plugin = medium(free.getsockname()[1])
    for _ in range(FAILURES):
        with pytest.raises(TryLater) as raised:
            await sent(plugin)
        assert "not tried" not in str(raised.value)
    with pytest.raises(TryLater, match="not tried, because the last 5 attempts failed"):
        await sent(plugin)


async def test_a_mailbox_that_is_full_stops_nobody_elses_mail() -> None:
    async with plain() as (server, plugin):
        server.answers["full@example.com"] = "452 4.2.2 mailbox full"
        for _ in range(FAILURES + 1):
            with pytest.raises(TryLater, match="452"):
                await sent(plugin, address="full@example.com")
        await sent(plugin)
    assert len(server.messages) == 1
