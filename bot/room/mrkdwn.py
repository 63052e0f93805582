"""Text from alerts, people and plans made safe for Slack: escaped, on one line where it must be, within Slack's limits. Pure.

https://docs.slack.dev/messaging/formatting-message-text: `&`, `<` and `>` are the only characters that can make a mention or a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

SECTION = 3000
FIELD = 2000
HEADER = 150
BUTTON = 75
OPTION = 75
VALUE = 2000
TOPIC = 250
BLOCKS = 50
URL = 3000
# Unpaired surrogates cannot be sent; bidirectional controls make a text read as something else than it is.
_BROKEN = re.compile(r"[\ud800-\udfff]")
_HIDDEN = re.compile("[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = re.compile("\r\n?|[\u2028\u2029\u0085]")
_SHOWN_BREAK = "⏎"
_STAR, _TICK = "\u2217", "\u02cb"  # look like * and `, and format nothing
_HALF_ENTITY = re.compile(r"&[a-z]{0,4}$")


def clean(text: str) -> str:
    """Without control characters; line breaks as `\\n`."""
    return _HIDDEN.sub("", _BROKEN.sub("\ufffd", _BREAKS.sub("\n", text)))


def one_line(text: str) -> str:
    """Cleaned, every run of white space a single space."""
    return " ".join(clean(text).split())


def plain(text: str, limit: int) -> str:
    """For `plain_text` objects, which know no mentions: one line, clipped, never empty."""
    shown = one_line(text) or "–"
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def escape(text: str, limit: int = SECTION) -> str:
    """For `mrkdwn` text of several lines: escaped and clipped; `limit` counts what is sent."""
    return clip(_entities(clean(text)), limit)


def line(text: str, limit: int = 300) -> str:
    """For `mrkdwn` text that has to stay on its line."""
    return clip(_entities(one_line(text)), limit)


def bold(text: str, limit: int = 300) -> str:
    """`*text*`; an asterisk inside would end it."""
    return f"*{line(text.replace('*', _STAR), limit)}*"


def code(text: str, limit: int = 300) -> str:
    """A code span; a backtick inside would end it."""
    return f"`{line(text.replace('`', _TICK), limit) or ' '}`"


def verbatim(text: str) -> str:
    """One line for a code block, as it is: what would break the line or hide in it is made visible, nothing is left out."""
    shown = _BREAKS.sub("\n", _BROKEN.sub("\ufffd", text)).replace("\n", _SHOWN_BREAK).replace("\t", "    ")
    return _entities(_HIDDEN.sub("\ufffd", shown)).replace("```", _TICK * 3)


def code_blocks(lines: Iterable[str], limit: int = SECTION, most: int = 1) -> tuple[list[str], int]:
    """The lines in up to `most` code blocks of at most `limit` characters, and how many lines did not fit (whole)."""
    room = limit - len("```\n\n```")
    blocks: list[list[str]] = [[]]
    used, left_out = 0, 0
    for shown in map(verbatim, lines):
        for piece in _pieces(shown, room):
            if used + len(piece) + 1 > room and blocks[-1]:
                blocks.append([])
                used = 0
            if len(blocks) > most:
                left_out += 1
                continue
            blocks[-1].append(piece)
            used += len(piece) + 1
    return ["```\n" + "\n".join(block) + "\n```" for block in blocks[:most] if block], left_out


def clip(text: str, limit: int) -> str:
    """Escaped text cut to `limit`, never inside an entity."""
    if len(text) <= limit:
        return text
    return _HALF_ENTITY.sub("", text[: limit - 1]) + "…"


def link(url: str, text: str, limit: int = 300) -> str:
    """`<url|text>` for an http(s) address, else the text alone; no address can end the link or hide in it."""
    shown = line(text, limit) or "link"
    address = clean(url).strip()
    if not re.match(r"https?://[^\s/]", address) or len(address) > URL or re.search(r"\s", address):
        return shown
    address = _entities(address.replace("|", "%7C").replace("<", "%3C").replace(">", "%3E"))
    return f"<{address}|{shown.replace('|', '¦')}>"


def date(at: datetime) -> str:
    """A time in the reader's own time zone, with UTC for clients that cannot: https://docs.slack.dev/messaging/formatting-message-text#date-formatting"""
    fallback = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time}}|{fallback}>"


def split(text: str, limit: int = SECTION, most: int = 4) -> list[str]:
    """Long text as escaped pieces of at most `limit`, cut at line ends where possible; the last one is clipped."""
    rest = _entities(clean(text)).strip()
    pieces: list[str] = []
    while len(rest) > limit and len(pieces) < most - 1:
        at = rest.rfind("\n", limit // 2, limit)
        head = rest[:at] if at > 0 else _HALF_ENTITY.sub("", rest[:limit])
        pieces.append(head)
        rest = rest[len(head) :].lstrip("\n")
    return [*pieces, clip(rest, limit)] if rest else pieces


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pieces(text: str, room: int) -> list[str]:
    """One line, cut where it is longer than a whole block."""
    pieces = []
    while len(text) > room:
        head = _HALF_ENTITY.sub("", text[:room])
        pieces.append(head)
        text = text[len(head) :]
    return [*pieces, text]
