"""What media say: the words of a notice, bounded, without secrets and control characters, and how each kind of markup keeps them words. Used by
plugins/channels. Pure.

Nothing that an alert says may mention anybody, format anything or hide where a link leads.
"""

from __future__ import annotations

import html as standard_html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.domain.notice import Notice
from bot.domain.ports import Redact

LONGEST_READ = 20_000  # characters of a text that are looked at at all
SUBJECT = 250
BODY = 12_000
SHORT = 300
URL = 2000
MOST_FACTS, FACT_NAME, FACT = 20, 60, 300
AGAIN = "Sent again: nothing said whether the first attempt arrived."
URGENT = ("page", "bundle", "summon", "alarm")
RED, AMBER, BLUE, GREEN, GREY = 0xD93025, 0xF29900, 0x1A73E8, 0x188038, 0x5F6368
_COLOURS = {"critical": RED, "error": RED, "warning": AMBER, "info": BLUE}
# Unpaired surrogates cannot be sent; the rest is invisible or makes a text read as something else than it is.
_BROKEN = re.compile(r"[\ud800-\udfff]")
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffe\uffff]"
)
_BREAKS = re.compile("\r\n?|[\u2028\u2029\u0085]")
_MANY_BREAKS = re.compile(r"\n{3,}")
# An address in a text stays one, so that it can be followed: only characters that mean nothing in any Markdown.
_ADDRESS = re.compile(r"(https?://[A-Za-z0-9._/?&=%+,:#-]{1,500})")
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~$&])")
_LINE_START = re.compile(r"(?m)^( {0,3}) *(\d{1,9}(?=[.)])|(?=[-+=]))")
_INDENTED = re.compile(r"(?m)^ {4,}")
_AT = re.compile("([@\uff20])")
NOTHING = "\u200b"  # a space of no width: what stands after `@` is no name any more


@dataclass(frozen=True)
class Said:
    """What to send: `subject` one line, `body` lines, `short` for a push; `links` as (words, address), acknowledging first."""

    subject: str
    body: str
    short: str
    links: tuple[tuple[str, str], ...]
    facts: Mapping[str, str]
    colour: int
    urgent: bool

    def with_links(self) -> str:
        """The body and the links as lines of plain text."""
        return "\n".join([self.body, *(f"{words}: {url}" for words, url in self.links)]).strip()


def said(notice: Notice, redact: Redact, *, again: bool = False, linked: bool = True) -> Said:
    """The words of a notice, without secrets. `again`: say that it may have arrived before (for media that cannot tell).

    `linked`: the notice's own links may stand in its words (a template puts them there), though the one to acknowledge by looks like a secret; False
    where others than its receiver read it.
    """
    own = [url for _, url in links(notice)] if linked else []

    def clean(text: str) -> str:
        return _clean(redacted(text[:LONGEST_READ], redact, own))

    subject = clip(" ".join(clean(notice.subject).split()), SUBJECT) or "Tocsin"
    body = clip(clean(notice.body or notice.short).strip(), BODY)
    short = clip(clean(notice.short or notice.body).strip(), SHORT) or subject
    return Said(
        subject=subject,
        body=f"{body}\n{AGAIN}".strip() if again else body,
        short=short,
        links=links(notice),
        facts={clip(clean(k), FACT_NAME): clip(clean(v), FACT) for k, v in list(notice.facts.items())[:MOST_FACTS]},
        colour=colour(notice),
        urgent=notice.purpose in URGENT,
    )


def redacted(text: str, redact: Redact, own: Sequence[str]) -> str:
    """Without secrets, but with these addresses as they are."""
    if not own:
        return redact(text)
    parts = re.split("(" + "|".join(map(re.escape, own)) + ")", text)  # every second one is such an address
    return "".join(part if at % 2 else redact(part) for at, part in enumerate(parts))


def links(notice: Notice) -> tuple[tuple[str, str], ...]:
    """Only http and https addresses that nothing can hide in."""
    found = (("Acknowledge", notice.acknowledge_url), ("Open", notice.url))
    return tuple((words, url) for words, url in found if followable(url))


def followable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and not parts.password
    except ValueError:
        return False
    return known and len(url) <= URL and url.isascii() and not re.search(r"[\s<>\"'`()\[\]{}|\\^]", url)


def colour(notice: Notice) -> int:
    """As 0xRRGGBB: the severity of what is paged for, green when it is over."""
    if notice.purpose == "recovery":
        return GREEN
    if notice.purpose in ("test", "code", "handover", "swap", "acknowledged"):
        return GREY
    return _COLOURS.get(notice.severity, RED)


def clip(text: str, most: int) -> str:
    """At most so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def clip_bytes(text: str, most: int) -> str:
    """At most so many bytes of UTF-8, never half a character."""
    sent = text.encode()
    return text if len(sent) <= most else sent[: most - 3].decode(errors="ignore") + "…"


def clip_utf16(text: str, most: int) -> str:
    """At most so many UTF-16 units, as some providers count."""
    sent = text.encode("utf-16-le")
    return text if len(sent) <= 2 * most else sent[: 2 * (most - 1)].decode("utf-16-le", errors="ignore") + "…"


def markdown(text: str) -> str:
    """Words for CommonMark and what is made after it: punctuation is escaped, mentions are broken, plain addresses are left as they are.

    https://spec.commonmark.org/0.31.2/#backslash-escapes
    """
    parts = _ADDRESS.split(text)  # every second one is an address
    # What follows an address does not begin a line: a letter that is taken off again stands for the address.
    return "".join(
        part if at % 2 else _escaped(f"a{part}")[1:] if at else _escaped(part) for at, part in enumerate(parts)
    )


def unmentioned(text: str) -> str:
    """Plain text for media that look for names after `@`."""
    return _AT.sub(r"\1" + NOTHING, text)


def html(text: str) -> str:
    """Words for HTML, mentions broken."""
    return standard_html.escape(unmentioned(text), quote=True)


def _escaped(text: str) -> str:
    """`1.` and `-` at the beginning of a line are no list, an indented line is no code, `@` and `~` begin no name."""
    shown = _INDENTED.sub("   ", _LINE_START.sub(r"\1\2\\", _MARKDOWN.sub(r"\\\1", text)))
    return shown.replace("@", "@" + NOTHING).replace("~", "~" + NOTHING)


def _clean(text: str) -> str:
    shown = _HIDDEN.sub("", _BROKEN.sub("\ufffd", _BREAKS.sub("\n", text))).replace("\t", "    ")
    return _MANY_BREAKS.sub("\n\n", shown)
