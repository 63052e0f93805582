"""Where every value of a file stands, by its path: what lets an error say `oncall.yaml:12:5: policies.shop.levels[0].timeout`. Filled by yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from bot.config.problems import Problem
from bot.errors import BadInput

Path = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_SEGMENT = re.compile(r'\.?(?P<name>[^.\[\]"]+)|\[(?P<number>\d{1,6})\]|\["(?P<quoted>[^"]+)"\]')


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands and where its key does, counted from 1 (line 0: it is an override). `text` is a scalar as it was written."""

    line: int
    column: int
    key_line: int
    key_column: int
    text: str = ""


OVERRIDE = Mark(0, 0, 0, 0)


@dataclass(slots=True)
class Document:
    """One file that was read: its values (mappings, lists, text, numbers, booleans, None) and where each of them stands.

    Not `readable`: it is missing or its one problem has been told, and nothing more can be said about it.
    """

    file: str
    data: Any = None
    marks: dict[Path, Mark] = field(default_factory=dict)
    readable: bool = True

    @property
    def usable(self) -> bool:
        """Whether the names in it can be trusted when other files refer to them."""
        return self.readable and (self.data is None or isinstance(self.data, dict))

    def problem(self, path: Path, message: str, *, key: bool = False) -> Problem:
        """A problem with the value at `path`, or with its key. Of a path that is not there, the nearest part that is counts."""
        at = path
        while at and at not in self.marks:
            at, key = at[:-1], True
        mark = self.marks.get(at, Mark(1, 1, 1, 1))
        if not self.readable:
            return Problem(self.file, 0, 0, path_text(path), message)
        if not mark.line:
            return Problem(f"{self.file} (override)", 0, 0, path_text(path), message)
        line, column = (mark.key_line, mark.key_column) if key else (mark.line, mark.column)
        return Problem(self.file, line, column, path_text(path), message)

    def written(self, path: Path) -> str:
        """A scalar as it was written in the file (`no`, `1.10`); empty when it is not one or is an override."""
        mark = self.marks.get(path)
        return mark.text if mark else ""

    def names(self, section: str) -> list[str]:
        """The names in a section, also when some of its entries are wrong."""
        value = self.data.get(section) if isinstance(self.data, dict) else None
        return list(value) if isinstance(value, dict) else []

    def override(self, path: Path, value: Any) -> Problem | None:
        """Put `value` in place of what stands at `path`; missing mappings are made. A problem when there is no such place."""
        if self.data is None:
            self.data = {}
        target = self.data
        for number, part in enumerate(path[:-1]):
            if not _has(target, part):
                if not isinstance(part, str) or not isinstance(target, dict):
                    return replace(
                        _nowhere(self.file, path), message=f"there is no {path_text(path[: number + 1])} to override"
                    )
                target[part] = {}
                self.marks.setdefault(path[: number + 1], OVERRIDE)
            elif target[part] is None:
                target[part] = {}
            target = target[part]
        last = path[-1]
        if not (_has(target, last) or (isinstance(target, dict) and isinstance(last, str))):
            return _nowhere(self.file, path)
        target[last] = value
        for below in [known for known in self.marks if known[: len(path)] == path]:
            del self.marks[below]
        self.marks[path] = OVERRIDE
        return None


def override(documents: Mapping[str, Document], main: str, values: Mapping[str, Any]) -> list[Problem]:
    """Put values in by path. The first part of a path names a file (`oncall`), else a section of the `main` one."""
    problems: list[Problem] = []
    for text, value in values.items():
        try:
            path = parse_path(text)
        except BadInput as error:
            problems.append(Problem("overrides", 0, 0, "", str(error)))
            continue
        name = f"{path[0]}.yaml"
        document, path = (documents[name], path[1:]) if name in documents else (documents[main], path)
        if not path or not isinstance(path[0], str):
            problems.append(Problem("overrides", 0, 0, text, "names no value"))
            continue
        problem = document.override(path, deepcopy(value))
        if problem:
            problems.append(problem)
    return problems


def _has(target: Any, part: str | int) -> bool:
    if isinstance(target, list):
        return isinstance(part, int) and part < len(target)
    return isinstance(target, dict) and part in target


def _nowhere(file: str, path: Path) -> Problem:
    return Problem(f"{file} (override)", 0, 0, path_text(path), f"there is no {path_text(path)} to override")


def path_text(path: Path) -> str:
    """`("route", "routes", 0, "policy")` to `route.routes[0].policy`; names with dots are quoted: `context.gatherers["k8s.pods"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.match(part):
            text += f".{part}" if text else part
        else:
            shown = part if len(part) <= 60 else part[:59] + "…"
            text += f'["{" ".join(shown.split())}"]'
    return text


def parse_path(text: str) -> Path:
    """The reverse of `path_text`. Raises BadInput."""
    parts: list[str | int] = []
    at = 0
    while at < len(text):
        found = _SEGMENT.match(text, at)
        if found is None:
            raise BadInput(
                f'not a path: {text!r} at character {at + 1}; write it like route.routes[0].policy or context.gatherers["k8s.pods"]'
            )
        parts.append(int(found["number"]) if found["number"] is not None else found["name"] or found["quoted"])
        at = found.end()
    if not parts:
        raise BadInput("an empty path")
    return tuple(parts)
