"""Label matchers with Alertmanager's syntax and semantics. Used by routes, silences, inhibition and runbooks.

Source: https://prometheus.io/docs/alerting/latest/configuration/#matcher . A regular expression is anchored at both ends;
a missing label equals the empty string.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from bot.domain.regex import Regex

_MATCHER = re.compile(
    # Possessive throughout: a text of thousands of spaces must not be tried in every way.
    r"""\s*+(?P<name>"(?:[^"\\]|\\.)+"|[^\s"=!~{},]+)\s*+(?P<op>=~|!~|!=|=)\s*+"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|(?:[^",\\\s]|\\[^,]|\s++(?=\S))*+)\s*+\Z""",
    re.S,
)
_PLAIN_NAME = re.compile(r"[^\s\"=!~{},\\]+")
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label: `op` is one of `=`, `!=`, `=~`, `!~`."""

    name: str
    op: str
    value: str
    _regex: Regex | None = field(default=None, compare=False, repr=False)

    def matches(self, labels: Mapping[str, str]) -> bool:
        return self.fits(labels.get(self.name, ""))

    def fits(self, have: str) -> bool:
        """Whether a label of this value matches; a missing one has the empty value."""
        if self._regex is None:
            return (have == self.value) == (self.op == "=")
        return self._regex.fullmatch(have) == (self.op == "=~")

    def __str__(self) -> str:
        name = self.name if _PLAIN_NAME.fullmatch(self.name) else _quoted(self.name)
        return f"{name}{self.op}{_quoted(self.value)}"


@lru_cache(maxsize=4096)
def matcher(text: str) -> Matcher:
    """Parse `name="value"`, `name!="value"`, `name=~"regex"` or `name!~"regex"`. Raises ValueError.

    Quotes may be left out when there is no comma in the value.
    """
    found = _MATCHER.match(text)
    if found is None:
        raise ValueError(f'not a matcher: {text!r}; write it like severity="critical" or service=~"cart|checkout"')
    name, op, value = _unquoted(found["name"]), found["op"], _unquoted(found["value"])
    if op in ("=", "!="):
        return Matcher(name, op, value)
    try:
        return Matcher(name, op, value, Regex(value))
    except ValueError as error:
        raise ValueError(f"not a regular expression in {text!r}: {error}") from error


def _unquoted(text: str) -> str:
    inner = text[1:-1] if text.startswith('"') else text
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[0]), inner, flags=re.S)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(one.matches(labels) for one in matchers)
