"""Filters of the post-mortem's template: text that cannot become Markdown or HTML, times, lengths of time. Pure; used by render.py."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from bot.clients import spoken

_SPECIAL = re.compile(r"[\\`*\[\]<|~$]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_STARTS_BLOCK = re.compile(r"^(?:(?=[#=>]|[+-](?:\s|$)|-{3}|-[-\s]*$)|(\d{1,9})(?=[.)](?:\s|$)))")
_SPACE = re.compile(r"\s+")
# Control characters, and those that reverse or hide text.
UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_BACKTICKS = re.compile(r"`+")


def md(text: object) -> str:
    """One line of plain text as Markdown that shows exactly that text."""
    line = _SPACE.sub(" ", UNSEEN.sub("", "" if text is None else str(text))).strip()
    escaped = _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), line)
    return _STARTS_BLOCK.sub(lambda found: f"{found[1] or ''}\\", escaped)


def fenced(lines: Iterable[object], language: str = "text") -> str:
    """A code block that none of its lines can end."""
    shown = [UNSEEN.sub("", str(line)).replace("\r", "").replace("\n", " ") for line in lines]
    longest = max((len(run) for line in shown for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{language}", *shown, fence])


def utc(at: object) -> str:
    """`2026-11-21 03:12:05 UTC`; an en dash for no time."""
    if at is None or at == "":
        return "–"
    moment = at if isinstance(at, datetime) else datetime.fromisoformat(str(at).replace("Z", "+00:00"))
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(seconds: object) -> str:
    """A number of seconds in words; an en dash for none."""
    return "–" if seconds is None or seconds == "" else spoken.length(float(str(seconds)))
