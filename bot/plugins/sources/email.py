"""E-mail, for senders that know nothing else: a subject is an alert, a subject that says RESOLVED or OK is its end.

    server: {smtp: {listen: "127.0.0.1:2525"}}
    sources:
      mail:
        type: email
        token: env:TOCSIN_MAIL_TOKEN               # the address is mail+<token>@tocsin.example.com
        severity: '(?i)\\b(critical|warning)\\b'     # RE2, over the subject and then the text: the first group, else all of it
        service: '(?m)^Service: (.+)$'
        severity_values: {critical: critical}
        labels: {host: 'on host (\\S+)'}

On the sender's side: notifications by e-mail to that address. What begins and what ends a problem belong together by sender and subject, without the
words that say the state, `Re:` and `Fwd:`, counts, percentages and times; when subjects differ in more, `fingerprint` finds what stays the same.
Answers of machines (absences, bounces) are taken and say nothing. An attachment is not looked at.
Sources: RFC 5322 (https://www.rfc-editor.org/rfc/rfc5322), RFC 3834, https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.domain.regex import Regex
from bot.errors import BadInput
from bot.plugins import mail_text, payload
from bot.plugins.mail_text import Mail

AUTH = ("token",)
METHODS = ("SMTP",)

LONGEST_PATTERN = 1_000
LONGEST_LABEL = 500
# What says that it is over. UP and OK within a subject count in capitals only, and UP not as a part of a verb (CLEAN UP FAILED).
RESOLVED = (
    r"(?i)\b(resolved|recovered)\b",
    r"(?i)^\W*(ok|up|cleared)\b",
    r"^\W*RECOVERY\b|(?i)^\W*recovery\s*[:|\])-]",
    r"(^|[^\w-])OK($|[^\w-])",
    r"([\[(|:*>→] ?|\b(?i:is|are|now|back|host|service|monitor|state|status|to) )UP($|[^\w-])|(^|\s)UP( again| now|:|\W*$)",
    r"(?i)\b(is|are) (now |back )?(ok|up)\b|\bback to normal\b|\b(alarm|alert|problem)s? cleared\b",
)
# Stronger than what says that it is over: "could not be resolved", "OK -> CRITICAL", "from UP to DOWN".
FIRING = (
    r"(?i)\b(not|never|cannot|can't|isn't|un)( \w+){0,2}[ -](resolved|recovered|cleared|ok|up)\b",
    r"(?i)\b(ok|up|normal)\W{0,3}\s?(-+>|=+>|→|to)\s",
)
# What comes and goes while the problem stays the same, in this order.
_PASSING = (
    r"(?i)^(\s*(re|fwd?|aw|wg|sv|vs|tr|rv)(\[\d+\])?\s*:)+",
    r"(?i)\bresolved in [\d.]+ ?[a-z]+( [\d.]+ ?[a-z]+)*\b",
    r"\b\d{4}-\d{2}-\d{2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?)?",
    r"(?i)\b\d{1,2}:\d{2}(:\d{2})?( ?(am|pm))?( ?(UTC|GMT|[A-Z]{3,4}))?\b",
    r"\b\d+([.,]\d+)? ?%",
    r"(?i)\(\s*(x|×)?\s*\d+\s*(x|×|times?|alerts?|events?)?\s*\)|(^|\s)[x×]\s?\d+\b|\b\d+\s?([x×]|times)(\s|$)",
    r"(?i)\b(not |un)?(firing|resolved|recovered|recovery|cleared|triggered|alerting|alarm|alert|problem|incident)\b(:\d+)?",
    r"(?i)\b(is |from |to |back |now |not |never |yet |still )*\b(ok|up|down|critical|warning|unknown|normal|unreachable)\b",
    r"[\[\](){}<>*|:;!,→=~_\"-]+(\s|$)|(^|\s)[\[\](){}<>*|:;!,→=~_\"-]+|[\[\](){}*|]",
)


def _readable(pattern: str) -> str:
    try:
        Regex(pattern)
    except ValueError as error:
        raise ValueError(f"not a regular expression (RE2): {error}") from None
    return pattern


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Pattern = Annotated[str, Field(max_length=LONGEST_PATTERN), AfterValidator(_readable)]
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(_several), Field(max_length=50)]


class Params(BaseModel):
    """Regular expressions (RE2) over the subject, and when nothing is found there, over the text: what the first group matches, else all of it.

    `resolved` and `firing` look at the subject only; what one of `firing` matches is not over, whatever `resolved` says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Patterns = ()
    severity: Patterns = ()
    severity_values: dict[str, str] = {}
    service: Patterns = ()
    labels: dict[str, Patterns] = {}
    fingerprint: Patterns = ()
    resolved: Patterns = RESOLVED
    firing: Patterns = FIRING


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alert of one e-mail; nothing for the answer of a machine. Raises BadInput for what is no e-mail."""
    mail = mail_text.read(incoming.body)
    sender = mail.sender or mail_text.clean(incoming.headers.get("x-envelope-from", "")).strip(" <>").lower()
    if not mail.subject and not sender:
        raise BadInput("message: found neither a subject nor a sender; expected an e-mail (RFC 5322)")
    if mail.automatic or (not mail.sender and not sender):
        return Parsed()
    return Parsed((_alert(mail, sender[: mail_text.LONGEST_ADDRESS], source, params, now),))


def _alert(mail: Mail, sender: str, source: str, params: Params, now: datetime) -> Alert:
    lasting = _lasting(mail.subject)
    subject = mail.subject or "(no subject)"
    name = _found(params.name, mail) or lasting or subject
    severity = _found(params.severity, mail).lower()
    known = {word.lower(): value for word, value in params.severity_values.items()}
    labels = {
        "alertname": name,
        "severity": known.get(severity, severity),
        "service": _found(params.service, mail),
        "sender": sender,
        **{label: _found(patterns, mail) for label, patterns in params.labels.items()},
    }
    at = payload.not_after(mail.date, now)
    at = at if at is not None and at.year > 1970 else now
    firing = not _says(params.resolved, mail.subject) or _says(params.firing, mail.subject)
    identity = {"fingerprint": _found(params.fingerprint, mail)} if params.fingerprint else {}
    if not identity.get("fingerprint"):
        identity = {"subject": (lasting or subject).lower(), "sender": sender}
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(None, identity),
        firing=firing,
        labels=payload.kept(labels),
        annotations=payload.kept({"summary": subject, "description": mail.text, "message_id": mail.message_id}),
        starts_at=at,
        ends_at=None if firing else at,
    )


def _found(patterns: Iterable[str], mail: Mail) -> str:
    """What the first pattern that matches finds: its first group that says something, else all that it matches."""
    for pattern in patterns:
        for where in (mail.subject, mail.text):
            match = Regex(pattern).search(where)
            said = next((part.strip() for part in ((*match[1:], match[0]) if match else ()) if part.strip()), "")
            if said:
                return payload.text(" ".join(said.split()), LONGEST_LABEL)
    return ""


def _says(patterns: Iterable[str], subject: str) -> bool:
    return any(Regex(pattern).search(subject) is not None for pattern in patterns)


def _lasting(subject: str) -> str:
    """What stays the same in the subjects that a problem has from its beginning to its end."""
    for pattern in _PASSING:
        subject = Regex(pattern).without(subject)
    return " ".join(subject.split())
