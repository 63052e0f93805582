"""Alerts by e-mail, over real sockets: who may send, what is answered, and what is bounded."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from bot.config.server import Smtp
from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.entry.arrivals import SourceEntry
from bot.entry.auth import Bearer, PathToken
from bot.entry.mail import MailSettings, MailSite
from bot.errors import BadInput, Overloaded, TryLater
from tests.entry.webhook_fakes import NOW, TOKEN, Intake, Saying, arrivals

MAIL = "From: nagios@example.com\r\nSubject: disk full\r\n\r\n.hidden\r\nfull: ü\r\n".encode()
SENDER = "nagios@example.com"
SETTINGS = MailSettings("127.0.0.1", 0, "tocsin.example", 4096)


class Reads(Saying):
    """One alert, of the subject."""

    def __call__(self, incoming: Incoming, source: str, params: Any, now: Any) -> Parsed:
        self.heard.append(incoming)
        if b"nonsense" in incoming.body:
            raise BadInput("subject: found “nonsense hunter2”; expected\n what happened")
        if b"bug" in incoming.body:
            raise RuntimeError("hunter2")
        if b"half" in incoming.body:
            return Parsed(bad=((0, "alerts[0]: no"),))
        return Parsed((Alert(source, "1", True, {"alertname": "disk full"}, {}, now),))


@asynccontextmanager
async def listening(intake: Intake, reads: Saying | None = None, **settings: Any) -> AsyncIterator[MailSite]:
    sources = {
        "mail": SourceEntry("mail", reads or Reads(), None, PathToken([TOKEN, "an-older-token"]), ()),
        "second": SourceEntry("second", reads or Reads(), None, PathToken(["another-token"]), ()),
        "closed": SourceEntry("closed", reads or Reads(), None, Bearer([TOKEN]), ()),
    }
    site = MailSite(sources, arrivals(intake), replace(SETTINGS, **settings))
    await site.start()
    try:
        yield site
    finally:
        await site.stop()


def to(token: str = TOKEN, source: str = "mail") -> str:
    return f"{source}+{token}@alerts.example.com"


async def talk(site: MailSite, work: Callable[[smtplib.SMTP], Any]) -> Any:
    """What `work` says to the server, from a thread of its own."""

    def conversation() -> Any:
        with smtplib.SMTP("127.0.0.1", site.port, local_hostname="sender.example", timeout=10) as client:
            return work(client)

    return await asyncio.to_thread(conversation)


async def sent(site: MailSite, *recipients: str, body: bytes = MAIL) -> tuple[int, str]:
    """The answer to the last thing that was said."""

    def work(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.ehlo()
        client.mail(SENDER)
        for one in recipients:
            code, text = client.rcpt(one)
            if code != 250:
                return code, text
        return client.data(body)

    code, text = await talk(site, work)
    return code, text.decode("ascii")


async def test_a_mail_is_taken_and_answered_after_the_commit() -> None:
    intake, reads = Intake(), Reads()
    async with listening(intake, reads) as site:
        assert await sent(site, to()) == (250, "2.0.0 kept: 1 alert")
    assert [alert.name for alert in intake.alerts] == ["disk full"]
    (heard,) = reads.heard
    assert heard == Incoming(
        MAIL, {"x-envelope-from": SENDER, "x-envelope-to": "mail@alerts.example.com"}, path="mail", method="SMTP"
    )


@pytest.mark.parametrize("address", [to("an-older-token"), to(source="MAIL"), f"mail+{TOKEN}@[127.0.0.1]"])
async def test_an_address_may_also_be(address: str) -> None:
    async with listening(Intake()) as site:
        assert (await sent(site, address))[0] == 250


@pytest.mark.parametrize(
    "address",
    [
        "mail@alerts.example.com",
        "mail+@alerts.example.com",
        to("guess"),
        to(TOKEN[:-1]),
        to(TOKEN.upper()),
        to(TOKEN, "nowhere"),
        to(TOKEN, "closed"),
        to(TOKEN, "second"),
        "postmaster",
        "somebody@elsewhere.example",
        f"mail+{TOKEN}",
    ],
)
async def test_an_address_is_refused_that_is_none(address: str) -> None:
    intake = Intake()
    async with listening(intake) as site:
        with capture_logs() as logs:
            code, text = await sent(site, address)
    assert (code, intake.calls) == (550, 0)
    assert text.startswith("5.1.1 No such address. Send to <source>+<token>@")
    assert TOKEN not in text + repr(logs)


@pytest.mark.parametrize(
    ("fails", "body", "code", "says"),
    [
        (None, b"nonsense", 554, "5.6.0 subject: found ?nonsense [redacted: word]?; expected what happened"),
        (None, b"half", 554, "5.6.0 none of the alerts could be read: alerts[0]: no"),
        (TryLater("database is locked"), MAIL, 451, "4.3.0 something that is needed for this does not answer now"),
        (Overloaded("9 alerts are waiting", 7), MAIL, 451, "4.3.0 9 alerts are waiting; send it again in 7 s"),
        (RuntimeError("hunter2"), MAIL, 451, "4.3.0 An error inside Tocsin ("),
        (None, b"bug", 451, "4.3.0 An error inside Tocsin ("),
    ],
)
async def test_what_is_wrong_is_answered(fails: Exception | None, body: bytes, code: int, says: str) -> None:
    intake = Intake(fails=fails)
    async with listening(intake) as site:
        answer = await sent(site, to(), body=body)
    assert (answer[0], answer[1][: len(says)]) == (code, says)
    assert "hunter2" not in answer[1]
    assert intake.alerts == []


async def test_a_mail_to_two_sources_is_read_by_both_and_to_one_twice_once() -> None:
    intake = Intake()
    async with listening(intake) as site:
        assert (await sent(site, to(), to(), to("another-token", "second")))[0] == 250
    assert [alert.source for alert in intake.alerts] == ["mail", "second"]


async def test_a_mail_has_few_recipients() -> None:
    async with listening(Intake()) as site:
        assert (await sent(site, *[to()] * 5))[0] == 250
        assert (await sent(site, *[to()] * 6))[0] == 452


async def test_a_large_mail_is_refused() -> None:
    intake = Intake()
    async with listening(intake) as site:
        features = await talk(site, lambda client: (client.ehlo(), client.esmtp_features)[1])
        assert features["size"] == "4096"
        assert (await sent(site, to(), body=b"x" * 60 + b"\r\n" + MAIL * 100))[0] == 552
    assert intake.calls == 0


async def test_long_lines_are_taken_and_endless_ones_are_not() -> None:
    async with listening(Intake(), most_bytes=100_000) as site:
        assert (await sent(site, to(), body=b"x" * 10_000))[0] == 250
        assert (await sent(site, to(), body=b"x" * 40_000))[0] == 500


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("VRFY mail@x.example", 502),
        ("EXPN list", 502),
        ("AUTH PLAIN AGEAYg==", 502),
        ("STARTTLS", 454),
        ("TURN", 500),
        ("RCPT TO:<\xff>", 500),
        ("MAIL FROM:<a@b> SIZE=999999", 552),
        ("NOOP " + "x" * 600, 500),
    ],
)
async def test_what_a_relay_would_do_is_off(command: str, code: int) -> None:
    def work(client: smtplib.SMTP) -> int:
        client.ehlo()
        assert not client.has_extn("auth")
        client.command_encoding = "latin-1"
        return client.docmd(command)[0]

    async with listening(Intake()) as site:
        assert await talk(site, work) == code


async def test_one_connection_too_many_is_told_to_come_again() -> None:
    async with listening(Intake(), most_connections=2) as site:

        def work(first: smtplib.SMTP) -> int:
            with (
                smtplib.SMTP("127.0.0.1", site.port, timeout=10),
                pytest.raises(smtplib.SMTPConnectError) as refused,
            ):
                smtplib.SMTP("127.0.0.1", site.port, timeout=10)
            return int(refused.value.smtp_code)

        assert await talk(site, work) == 421
        assert (await sent(site, to()))[0] == 250


async def test_a_sender_that_says_nothing_is_not_waited_for() -> None:
    async with listening(Intake(), idle_seconds=0.05) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        async with asyncio.timeout(10):
            assert await reader.readline() == b"220 tocsin.example Tocsin\r\n"
            assert await reader.read() == b""
        writer.close()


async def test_a_mail_that_has_arrived_is_finished_before_the_server_stops() -> None:
    hold, arrived = asyncio.Event(), asyncio.Event()

    class Slow(Intake):
        async def accept(self, alerts: Any, once: Any = None) -> Any:
            arrived.set()
            await hold.wait()
            return await super().accept(alerts, once)

    intake = Slow()
    async with listening(intake) as site, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(sent(site, to()))
        await arrived.wait()
        stopping = tasks.create_task(site.stop())
        await asyncio.sleep(0)
        hold.set()
        await stopping
    assert (sending.result()[0], len(intake.alerts)) == (250, 1)


async def test_tokens_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening(Intake(fails=TryLater("locked"))) as site:
        with capture_logs() as logs:
            await sent(site, to())
            await sent(site, to("an-older-token"), body=b"bug")
    assert logs
    assert not [text for text in (TOKEN, "an-older-token") if text in caplog.text + repr(logs)]


@pytest.fixture
def certified(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate and its key, in files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=3650))
        .not_valid_after(NOW + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    cert, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    return cert, secret


async def test_a_mail_may_come_encrypted(certified: tuple[Path, Path]) -> None:
    tls = MailSettings.of(Smtp(tls_cert=certified[0], tls_key=certified[1])).tls

    def work(client: smtplib.SMTP) -> int:
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        client.starttls(context=trusting)
        client.ehlo()
        assert not client.has_extn("auth")
        client.mail(SENDER)
        client.rcpt(to())
        return client.data(MAIL)[0]

    intake = Intake()
    async with listening(intake, tls=tls) as site:
        assert await talk(site, work) == 250
    assert len(intake.alerts) == 1


def test_it_is_the_same_on_the_loop_that_the_program_runs_on(certified: tuple[Path, Path]) -> None:
    async def all_of_it() -> None:
        await test_a_mail_may_come_encrypted(certified)
        await test_one_connection_too_many_is_told_to_come_again()
        await test_a_sender_that_says_nothing_is_not_waited_for()

    uvloop.run(all_of_it())


def test_a_key_that_does_not_belong_to_the_certificate_is_told(certified: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="tls_cert and tls_key cannot be used together"):
        MailSettings.of(Smtp(tls_cert=certified[0], tls_key=certified[0]))


@pytest.mark.parametrize("address", ["<a@>", "<@>", "a@", "<", "<>x", '<"', "<a@[>", "=?utf-8?q?a?="])
async def test_an_address_that_is_none_is_refused_for_good_and_is_no_error_here(address: str) -> None:
    def work(client: smtplib.SMTP) -> list[tuple[int, bytes]]:
        client.ehlo()
        begun = client.docmd("MAIL", f"FROM:{address}")
        client.rset()
        client.mail(SENDER)
        return [begun, client.docmd("RCPT", f"TO:{address}")]

    with capture_logs() as logs:
        async with listening(Intake()) as site:
            answers = await talk(site, work)
    assert all(code == 250 or 500 <= code < 560 for code, _ in answers)
    assert answers[1][0] >= 500
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_a_line_that_never_ends_is_broken_off() -> None:
    async with listening(Intake(), most_bytes=1_000) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(f"EHLO x\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{to()}>\r\nDATA\r\n".encode())
        await reader.readuntil(b"354")
        async with asyncio.timeout(10):
            with suppress(ConnectionError):
                while not reader.at_eof():
                    writer.write(b"x" * 100_000)
                    await writer.drain()
                    await asyncio.sleep(0)
        writer.close()


async def test_many_messages_in_one_connection_are_each_within_their_own_bound() -> None:
    body = b"From: a@b.example\r\nSubject: x\r\n\r\n" + b"0123456789\r\n" * 300

    def work(client: smtplib.SMTP) -> list[int]:
        client.ehlo()
        return [len(client.sendmail(SENDER, to(), body)) for _ in range(5)]

    intake = Intake()
    async with listening(intake, most_bytes=4_096) as site:
        assert await talk(site, work) == [0] * 5
    assert len(intake.alerts) == 5
