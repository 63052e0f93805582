"""An e-mail taken apart within bounds: its headers as text and its words. Used by plugins/sources/email.

The parser of the standard library is read with its older policy: that one takes headers as they are, where the newer one parses each of them when it
is asked for, in time that grows with the square of what a stranger wrote. Sources: RFC 5322, RFC 2045, RFC 2047, RFC 3834.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32
from email.utils import parsedate_to_datetime

from bot.errors import BadInput

MOST_BYTES = 256 * 1024
MOST_LINES = 5_000
MOST_NESTED = 30
MOST_PARTS = 50
LONGEST_HEADER = 2_000
LONGEST_SUBJECT = 500
LONGEST_ADDRESS = 320
LONGEST_TEXT = 10_000
_LINE = re.compile(rb"[^\n]*\n?")
_NESTS = re.compile(rb"(?i)boundary|message/")
_ODD = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ADDRESS = re.compile(r"<([^<>\s]+)>")
_TAG = re.compile(r"<([^<>]*)>")
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "table", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "blockquote"})
_HIDDEN = frozenset({"head", "style", "script", "title"})
# Codecs of Python that no mail is written in: slow (punycode), or they warn.
_NO_CHARSETS = frozenset(
    {"punycode", "idna", "unicode-escape", "raw-unicode-escape", "unicode_escape", "raw_unicode_escape"}
)


class _Clipped(Compat32):
    """Each header up to a length that nobody needs more of, in every part."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:LONGEST_HEADER]


_POLICY = _Clipped()


@dataclass(frozen=True, slots=True)
class Mail:
    """What an e-mail says. `text` is its plain text, or that of its HTML. `automatic`: an answer of a machine (an absence, a bounce)."""

    subject: str
    sender: str
    message_id: str
    text: str
    date: datetime | None
    automatic: bool


def read(body: bytes) -> Mail:
    """Raises BadInput when it is no e-mail."""
    try:
        return _read(_parsed(body))
    except (
        MessageError, RecursionError, LookupError, ValueError, TypeError, AttributeError, AssertionError, OverflowError,
    ) as error:  # fmt: skip
        raise BadInput(f"message: {type(error).__name__} while reading it; expected an e-mail (RFC 5322)") from error


def _parsed(body: bytes) -> Message:
    """The message up to MOST_BYTES and MOST_LINES. One that is nested beyond reason is read as a single part."""
    body = body[:MOST_BYTES]
    if body.count(b"\n") > MOST_LINES:
        body = b"\n".join(body.split(b"\n", MOST_LINES)[:MOST_LINES])
    nested = len(_NESTS.findall(body)) > 2 * MOST_NESTED
    return BytesParser(policy=_POLICY).parsebytes(body.replace(b"\x00", b""), headersonly=nested)


def _read(message: Message) -> Mail:
    subject = " ".join(_header(message, "subject").split())[:LONGEST_SUBJECT]
    sender = _address(_header(message, "from")) or _address(_header(message, "sender"))
    automatic = _header(message, "auto-submitted").lower().startswith("auto-replied") or (
        message.get_content_type() == "multipart/report"
    )
    message_id = _header(message, "message-id").strip().strip("<>")[:LONGEST_ADDRESS]
    return Mail(subject, sender, message_id, _words(message), _date(_header(message, "date")), automatic)


# ------------------------------------------------------------------------------------------------ headers


def _header(message: Message, name: str) -> str:
    """The first header of a name, its encoded words decoded; bytes that are no ASCII are read as UTF-8."""
    raw = next((value for key, value in message.raw_items() if key.lower() == name), "")
    whole = str(raw).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    try:
        parts = decode_header(whole)
    except (HeaderParseError, ValueError, LookupError):
        return clean(whole)
    return clean("".join(_decoded(part, charset) for part, charset in parts))


def _decoded(part: bytes | str, charset: str | None) -> str:
    if isinstance(part, str):
        return part
    try:
        codec = codecs.lookup(charset or "utf-8").name
        return part.decode("utf-8" if codec in _NO_CHARSETS else codec, "replace")
    except (LookupError, ValueError):  # no such charset, or one that is no text
        return part.decode("utf-8", "replace")


def _address(value: str) -> str:
    """`alerts@example.com` of `"Alerts" <Alerts@Example.com>`."""
    found = _ADDRESS.search(value)
    words = [found[1]] if found else [word.strip('<>",;') for word in value.split() if "@" in word]
    return words[0].lower()[:LONGEST_ADDRESS] if words else ""


def _date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


# ------------------------------------------------------------------------------------------------ words


def _words(message: Message) -> str:
    """The first part of plain text that says something, else the first of HTML without its tags. Attachments are left out."""
    other = ""
    for part in _parts(message):
        kind = part.get_content_type()
        plain = kind == "text/plain" or kind.startswith("multipart/")  # one without parts: it is broken, but has words
        if plain and (said := _tidy(_content(part))):
            return said
        if kind == "text/html" and not other:
            other = _tidy(of_html(_content(part)))
    return other


def _parts(message: Message) -> Iterator[Message]:
    waiting = [message]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        inside = part.get_payload()
        if isinstance(inside, list):
            waiting = [one for one in inside[:MOST_PARTS] if isinstance(one, Message)] + waiting[:MOST_PARTS]
        elif part.get_content_disposition() != "attachment":
            yield part


def _content(part: Message) -> str:
    decoded = part.get_payload(decode=True)
    return _decoded(decoded, part.get_content_charset()) if isinstance(decoded, bytes) else ""


def _tidy(text: str) -> str:
    """Without blanks at the ends of lines and without more than one empty line together, up to LONGEST_TEXT."""
    text = clean(text[: 4 * LONGEST_TEXT])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    kept = [line for number, line in enumerate(lines) if line or (number and lines[number - 1])]
    return "\n".join(kept).strip()[:LONGEST_TEXT]


def of_html(text: str) -> str:
    """The words of HTML, each block on a line of its own; nothing of its head, styles and scripts. Linear in the text."""
    pieces: list[str] = []
    hidden = ""
    at = 0
    text = _without_comments(text)
    for tag in _TAG.finditer(text):
        if not hidden:
            pieces.append(text[at : tag.start()])
        at = tag.end()
        inner = tag[1][:40].strip().lower()
        name = (inner.lstrip("/").split() or [""])[0].rstrip("/")
        if hidden:
            hidden = "" if inner.startswith("/") and name == hidden else hidden
        elif name in _HIDDEN and not inner.startswith("/"):
            hidden = name
        elif name in _BREAKS:
            pieces.append("\n")
        elif name in ("td", "th"):
            pieces.append(" ")
    if not hidden:
        pieces.append(text[at:])
    return html.unescape("".join(" ".join(piece.split("\n")) if piece != "\n" else piece for piece in pieces))


def _without_comments(text: str) -> str:
    pieces, at = [], 0
    while (begin := text.find("<!--", at)) >= 0:
        pieces.append(text[at:begin])
        end = text.find("-->", begin)
        if end < 0:
            return "".join(pieces)
        at = end + 3
    return "".join([*pieces, text[at:]])


def clean(text: str) -> str:
    """Without control characters and half surrogates, which neither PostgreSQL nor Slack take."""
    return _ODD.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
