"""Regular expressions that people write into the configuration, matched in time linear in the text. Used by matchers and parameters.

RE2 (https://github.com/google/re2/wiki/Syntax) is what Prometheus and Alertmanager use: no look-around, no references back, and so no expression
that a label's text can make run for ever, as `(a+)+$` does in Python's own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2


class Regex:
    """One expression, compiled. Raises ValueError that says what is wrong with it."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._compiled = _compiled(text)

    def fullmatch(self, text: str) -> bool:
        """Whether the whole text matches. Half a surrogate pair counts as `?`."""
        return self._compiled.fullmatch(text.encode(errors="replace")) is not None

    def search(self, text: str) -> tuple[str, ...] | None:
        """The first place that matches: the whole of it, then its groups (empty where one took no part). None when there is none."""
        match = self._compiled.search(text.encode(errors="replace"))
        if match is None:
            return None
        return tuple((part or b"").decode(errors="replace") for part in (match.group(0), *match.groups()))

    def without(self, text: str, instead: str = " ") -> str:
        """The text with every place that matches replaced."""
        replaced: bytes = self._compiled.sub(instead.encode(), text.encode(errors="replace"))
        return replaced.decode(errors="replace")


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Any:
    options = re2.Options()
    options.dot_nl = False  # as Alertmanager compiles them
    options.log_errors = False
    try:
        return re2.compile(text.encode(errors="replace"), options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise ValueError(said.decode(errors="replace") if isinstance(said, bytes) else str(said)) from error
