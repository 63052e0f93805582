"""E-mail: what begins a problem, what ends it, and messages that were written to hurt."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import email

RECORDED = {file.stem: file.read_bytes() for file in sorted((Path(__file__).parent / "email").glob("*.eml"))}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ENVELOPE = {"x-envelope-from": "bounce@mon.example.com", "x-envelope-to": "mail+secret@tocsin.example.com"}


def parsed(body: bytes, **params: Any) -> Parsed:
    incoming = Incoming(body, ENVELOPE, method="SMTP")
    return email.parse(incoming, "mail", email.Params.model_validate(params), NOW)


def only(body: bytes, **params: Any) -> Alert:
    (alert,) = parsed(body, **params).alerts
    return alert


def about(subject: str, text: str = "", sender: str = "Mon <mon@example.com>") -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = sender, subject
    message.set_content(text)
    return message.as_bytes()


# ------------------------------------------------------------------------------------------------ what it says


def test_a_subject_is_an_alert_and_the_text_its_description() -> None:
    alert = only(RECORDED["nagios-problem"])
    assert alert.labels == {"alertname": "Service web-01/HTTP", "sender": "nagios@mon.example.com"}
    assert alert.summary == "** PROBLEM Service Alert: web-01/HTTP is CRITICAL **"
    assert alert.annotations["description"].startswith(
        "***** Nagios *****\n\nNotification Type: PROBLEM\n\nService: HTTP\n"
    )
    assert alert.annotations["message_id"] == "20261121115000.1@mon.example.com"
    assert (alert.firing, alert.starts_at, alert.ends_at) == (True, datetime(2026, 11, 21, 11, 50, tzinfo=UTC), None)


def test_its_recovery_is_the_end_of_the_same_alert() -> None:
    problem, recovery = only(RECORDED["nagios-problem"]), only(RECORDED["nagios-recovery"])
    assert recovery.fingerprint == problem.fingerprint
    assert (recovery.firing, recovery.ends_at) == (False, datetime(2026, 11, 21, 11, 58, tzinfo=UTC))


def test_html_is_read_without_its_tags_and_words_in_other_charsets_too() -> None:
    alert = only(RECORDED["html-only"])
    assert alert.summary == "[FIRING:2] Störung im Lager"
    assert (alert.name, alert.labels["sender"]) == ("Störung im Lager", "mon@example.com")
    assert alert.annotations["description"] == "Kühlung ausgefallen\nRaum <4>\n\nTemp 31"
    assert alert.starts_at == datetime(2026, 11, 21, 11, 50, tzinfo=UTC)


def test_the_token_in_the_address_is_nowhere() -> None:
    assert "secret" not in repr(parsed(RECORDED["nagios-problem"]))


@pytest.mark.parametrize(
    "body",
    [
        RECORDED["absence"],
        b"From: MAILER-DAEMON@x.example\nSubject: Undelivered\nContent-Type: multipart/report; boundary=b\n\n--b--\n",
    ],
)
def test_answers_of_machines_say_nothing(body: bytes) -> None:
    assert parsed(body) == Parsed()


# ------------------------------------------------------------------------------------------------ begins and ends

PAIRS = [
    ('ALARM: "cpu-high" in EU (Ireland)', 'OK: "cpu-high" in EU (Ireland)'),
    ("[FIRING:3] HighErrorRate (checkout prod)", "[RESOLVED] HighErrorRate (checkout prod)"),
    ("[Alerting] Disk full", "[OK] Disk full"),
    ("Monitor is DOWN: shop", "Monitor is UP: shop"),
    ("DOWN alert: shop.example.com is DOWN", "UP alert: shop.example.com is UP"),
    ("DOWN | nightly backup", "UP | nightly backup"),
    ("Problem: High CPU on db-2", "Resolved in 5m 12s: High CPU on db-2"),
    ("CPU 97 % on db-2", "Re: RESOLVED: CPU 12 % on db-2"),
    ("Disk full (x3)", "Fwd: AW: Recovered: Disk full"),
    ("Job 7 failed at 2026-11-21 03:00:12", "[OK] Job 7 failed at 2026-11-22 03:10:44 UTC"),
    ("Host web-1: OK -> CRITICAL", "Host web-1: CRITICAL -> OK"),
    ("web-1 state changed from UP to DOWN", "web-1 state changed from DOWN to UP"),
]


@pytest.mark.parametrize(("begin", "end"), PAIRS)
def test_the_subjects_of_the_usual_senders_belong_together(begin: str, end: str) -> None:
    first, last = only(about(begin)), only(about(end))
    assert (first.firing, last.firing) == (True, False)
    assert first.fingerprint == last.fingerprint


NOT_OVER = [
    "Name could not be resolved",
    "Problem not yet resolved: disk",
    "Unresolved: disk",
    "BACK-UP FAILED",
    "CLEAN UP FAILED",
    "Up to 50 percent errors in checkout",
    "Disaster recovery failed",
    "Token okapi expired",
    "state changed from OK to CRITICAL",
    "disk is not OK",
    "Error is back",
    "Backup job failed",
    "",
]


@pytest.mark.parametrize("subject", NOT_OVER)
def test_what_does_not_say_that_it_is_over_fires(subject: str) -> None:
    assert only(about(subject)).firing


DIFFERENT = [
    ("Disk full on db-1", "Disk full on db-2"),
    ("[FIRING:1] Latency", "[FIRING:1] Errors"),
    ("Queue 7 is full", "Queue 8 is full"),
    ("port 8080 DOWN", "port 8443 DOWN"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_different_problems_stay_apart(one: str, other: str) -> None:
    assert only(about(one)).fingerprint != only(about(other)).fingerprint


def test_the_same_subject_of_another_sender_is_another_problem() -> None:
    assert only(about("Disk full")).fingerprint != only(about("Disk full", sender="b@example.com")).fingerprint


# ------------------------------------------------------------------------------------------------ as configured


def test_patterns_find_labels_in_the_subject_and_then_in_the_text() -> None:
    alert = only(
        RECORDED["nagios-problem"],
        name="Alert: ([^ ]+)",
        severity=r"(?i)\b(critical|warning)\b",
        severity_values={"CRITICAL": "error"},
        service="(?m)^Service: (.+)$",
        labels={"host": ["on host (.+)", "(?m)^Host: (.+)$"], "none": "nowhere", "whole": "Socket timeout"},
    )
    assert alert.labels == {
        "alertname": "web-01/HTTP",
        "severity": "error",
        "service": "HTTP",
        "sender": "nagios@mon.example.com",
        "host": "web-01",
        "whole": "Socket timeout",
    }


def test_a_fingerprint_and_what_is_over_may_be_found_by_patterns() -> None:
    params = {"fingerprint": r"#(\d+)", "resolved": "(?i)behoben"}
    begin, end = only(about("Störung #7 im Lager"), **params), only(about("Lager: behoben", "Ticket #7"), **params)
    assert begin.fingerprint == end.fingerprint != only(about("Störung #8"), **params).fingerprint
    assert (begin.firing, end.firing) == (True, False)


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"name": "("}, "not a regular expression"),
        ({"name": "(?=x)"}, "not a regular expression"),
        ({"labels": {"host": ["a", "*"]}}, "not a regular expression"),
        ({"serverity": "x"}, "Extra inputs"),
        ({"name": "x" * 2_000}, "at most 1000 characters"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused_with_the_configuration(params: dict[str, Any], error: str) -> None:
    with pytest.raises(ValidationError, match=error):
        email.Params.model_validate(params)


# ------------------------------------------------------------------------------------------------ odd ones

ODD: list[tuple[str, bytes, str, str]] = [
    ("no subject", b"From: a@b.example\n\nhello", "(no subject)", "hello"),
    ("no sender", b"Subject: x\n\nhello", "x", "hello"),
    ("no text", b"Subject: x", "x", ""),
    ("a charset that nobody knows", b"Subject: x\nContent-Type: text/plain; charset=klingon\n\nh\xc3\xa9", "x", "hé"),
    ("a codec that is no charset", b"Subject: x\nContent-Type: text/plain; charset=rot13\n\nhello", "x", "hello"),
    ("one that warns", b"Subject: x\nContent-Type: text/plain; charset=unicode_escape\n\n\\q", "x", "\\q"),
    ("bytes in the subject", b"Subject: St\xc3\xb6rung\n\n", "Störung", ""),
    ("an unknown charset in the subject", b"Subject: =?klingon?q?x?=\n\n", "x", ""),
    ("no base64 in the subject", b"Subject: =?utf-8?b?a?= y\n\n", "=?utf-8?b?a?= y", ""),
    ("NUL and escapes", b"Subject: a\x00b\x1b[0m\n\n1\x00\x07", "ab\ufffd[0m", "1\ufffd"),
    ("no end of its parts", b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhello", "x", "hello"),
    ("parts without a boundary", b"Subject: x\nContent-Type: multipart/mixed\n\nhello", "x", "hello"),
    ("a date of long ago", b"Subject: x\nDate: Thu, 01 Jan 1970 00:00:00 +0000\n\n", "x", ""),
    ("a date to come", b"Subject: x\nDate: Sun, 01 Jan 2040 00:00:00 +0000\n\n", "x", ""),
    ("no date", b"Subject: x\nDate: tomorrow\n\n", "x", ""),
]


@pytest.mark.parametrize(("what", "body", "summary", "text"), ODD)
def test_an_odd_message_is_read_as_far_as_it_goes(what: str, body: bytes, summary: str, text: str) -> None:
    alert = only(body)
    assert (alert.annotations["summary"], alert.annotations.get("description", "")) == (summary, text)
    assert alert.starts_at == NOW
    assert alert.labels["sender"] in ("a@b.example", "bounce@mon.example.com")


@pytest.mark.parametrize("body", [b"", b"\n\n", b"\xff\x00", b"no header at all"])
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput, match="expected an e-mail"):
        email.parse(Incoming(body, method="SMTP"), "mail", email.Params(), NOW)


def nested(depth: int) -> bytes:
    begun = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return HEAD + begun + b"\nhi\n" * 20_000


HEAD = b"From: a@b.example\nSubject: x\n"
HTML = HEAD + b"Content-Type: text/html\n\n"
BOMBS: dict[str, bytes] = {
    "nested deeply": nested(29),
    "nested for ever": nested(20_000),
    "forwarded for ever": HEAD + b"Content-Type: message/rfc822\n\n" * 20_000,
    "headers": HEAD + b"X: a\n" * 200_000 + b"\nhi",
    "one header": HEAD + b"X: a\n" + b" b\n" * 200_000 + b"\nhi",
    "parameters": HEAD + b"Content-Type: multipart/mixed; " + b"a=b;" * 100_000 + b"\n\nhi",
    "quotes": HEAD + b"Content-Type: text/plain; " + b'";' * 100_000 + b"\n\nhi",
    "encoded words": b"From: a@b.example\nSubject: " + b"=?utf-8?q?a?= " * 10_000 + b"\n\nhi",
    "comments": b"Subject: x\nFrom: " + b"(" * 100_000 + b"\n\nhi",
    "parts": HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nContent-Type: text/html\n\n<\n" * 50_000,
    "angles": HTML + b"<" * 500_000,
    "a tag without an end": HTML + b"<" + b"a" * 500_000,
    "styles": HTML + b"<style>" * 50_000,
    "remarks": HTML + b"<!--" * 50_000,
    "entities": HTML + b"&#1" * 100_000,
    "punycode": HEAD + b"Content-Type: text/plain; charset=punycode\n\na-" + b"b9" * 100_000,
    "carriage returns": HEAD + b"\r" * 500_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_message_that_was_written_to_hurt_is_read_quickly(name: str) -> None:
    began = perf_counter()
    alert = only(BOMBS[name])
    assert perf_counter() - began < 1
    assert alert.name.startswith(("x", "a"))
    assert len(alert.annotations.get("description", "")) <= 10_000


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300) | st.sampled_from(sorted(RECORDED.values())), st.data())
def test_any_bytes_are_an_alert_or_are_refused(body: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(0, 6))):
        at, until = sorted((data.draw(st.integers(0, len(body))), data.draw(st.integers(0, len(body)))))
        body = body[:at] + data.draw(st.binary(max_size=8)) + body[min(until, at + 8) :]
    with suppress(BadInput):
        for alert in parsed(body).alerts:
            assert alert.name and len(alert.fingerprint) == 16 and alert.starts_at <= NOW
