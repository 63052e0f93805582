"""What is wrong with a configuration, in words: where it is, what was found, what was wanted and the nearest valid name. Raised by load."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bot.errors import BadInput

SHOWN_NAMES = 12
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; line 0 stands for the file as a whole. `path` is like `route.routes[0].policy`."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ConfigErrors(BadInput):
    """The configuration cannot be used. `problems` has all of them, in the order of the files; the text has one per line."""

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems: list[Problem] = list(problems)
        self.warnings: tuple[Problem, ...] = tuple(warnings)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def in_order(problems: Iterable[Problem], files: Iterable[str] = ()) -> list[Problem]:
    """Each once; first those in `files`, in that order, then the others as they were first named; the places within a file ascend."""
    unique = list(dict.fromkeys(problems))
    order = dict.fromkeys([*files, *(problem.file for problem in unique)])
    number = {name: place for place, name in enumerate(order)}
    return sorted(unique, key=lambda problem: (number[problem.file], problem.line, problem.column))


def format_problems(problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> str:
    """What `tocsin check` prints: a line per problem, then a line per warning, then how many of each. Never shows the text of a file."""
    wrong, doubtful = list(problems), list(warnings)
    lines = [f"error: {problem}" for problem in wrong] + [f"warning: {problem}" for problem in doubtful]
    counted = [_count(len(wrong), "problem")] if wrong else ["no problems"]
    if doubtful:
        counted.append(_count(len(doubtful), "warning"))
    return "\n".join([*lines, ", ".join(counted)])


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def quoted(name: object) -> str:
    """A name as it is shown in a message: in quotes, on one line, not endless."""
    text = " ".join(str(name).split())
    return f'"{text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"}"'


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean "shop"?`, or nothing when no name is near."""
    candidates = {candidate.lower(): candidate for candidate in names}
    found = difflib.get_close_matches(name.lower()[:200], candidates, n=1, cutoff=0.6)
    return f"; did you mean {quoted(candidates[found[0]])}?" if found else ""


def listed(plural: str, names: Collection[str]) -> str:
    """` (policies: shop, ops)`: what there is."""
    if not names:
        return f" (there are no {plural})"
    shown = ", ".join(quoted(name)[1:-1] for name in list(names)[:SHOWN_NAMES])
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f" ({plural}: {shown}{more})"


def unknown(kind: str, plural: str, name: str, names: Collection[str]) -> str:
    """`no policy is called "shpo"; did you mean "shop"? (policies: shop, ops)`."""
    return f"no {kind} is called {quoted(name)}{nearest(name, names)}{listed(plural, names)}"
