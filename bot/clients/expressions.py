"""Evaluates the conditions and values of runbooks (`if`, `foreach`, `until`, `outputs`), in CEL. Implements the port `Expressions` for flow.

CEL (https://cel.dev) has no loops without bound, no attributes and no calls but the functions below. Here numbers with and without decimals mix
(`params.replicas * 1.5 > 3`), the work and the size of an evaluation are bounded before it (expression_size.py), and errors are put in words.
docs/adr/005-expression-language.md says why it is done this way, and what the library does not do by itself.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from bot.clients import expression_words as words
from bot.clients.expression_size import Bounding
from bot.clients.expression_tree import Node, lost_keys, tree
from bot.domain.naming import nearest
from bot.errors import BadInput

LONGEST = 2_000
LONGEST_VALUE = 64_000
LARGEST_FACTS = 2_000_000
DEEPEST = 40
LARGEST_WHOLE = 2**63
FUNCTIONS = (
    "all", "contains", "double", "duration", "endsWith", "exists", "exists_one", "filter", "getDate", "getDayOfWeek", "getFullYear", "getHours",
    "getMinutes", "getMonth", "getSeconds", "has", "int", "map", "matches", "size", "startsWith", "string", "timestamp", "type",
)  # fmt: skip
RESERVED = frozenset((
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null", "package",
    "return", "true", "var", "void", "while",
))  # fmt: skip


class CelExpressions:
    """Nothing is kept but compiled expressions, the most recent ones. Facts are JSON values; times are texts, for `timestamp()`."""

    def check(self, expression: str, names: Collection[str]) -> None:
        """BadInput when it is no expression, or has a name that is neither a function nor one of `names` (its members are not known yet)."""
        compiled(expression, usable(names))

    def value(self, expression: str, facts: Mapping[str, Any]) -> Any:
        """The value as JSON; times in ISO 8601, durations like `1h30m`. BadInput says what is wrong, or which key is not there."""
        program = compiled(expression, usable(facts))
        used = _Plain(LARGEST_FACTS, "the facts").mapping({name: facts[name] for name in program.uses})
        Bounding(used).check(program.tree)
        try:
            found = program.expression.eval(data=used)
            return _Result(LONGEST_VALUE).json(found)
        except RuntimeError as error:
            raise BadInput(words.failure(str(error))) from error
        except _Failed as failed:
            raise BadInput(_failure(str(failed), program.tree, used)) from failed

    def truth(self, expression: str, facts: Mapping[str, Any]) -> bool:
        """The value of a condition. BadInput when it is neither true nor false."""
        found = self.value(expression, facts)
        if isinstance(found, bool):
            return found
        raise BadInput(f"gives {words.quoted(found)} ({words.kind(found)}), wanted true or false")


# ------------------------------------------------------------------------------------------------ compiling


@dataclass(frozen=True, slots=True)
class Program:
    expression: cel.Expression
    tree: Node
    uses: tuple[str, ...]


@lru_cache(maxsize=1000)
def compiled(expression: str, names: tuple[str, ...]) -> Program:
    """The library itself bounds how deep an expression is nested (32) before its parser could run out of stack."""
    if not expression.strip():
        raise BadInput("the expression is empty")
    if len(expression) > LONGEST:
        raise BadInput(f"the expression is longer than {LONGEST:,} characters")
    if "\0" in expression or not _encodes(expression):
        raise BadInput("the expression has a character in it that is not text")
    try:
        expr = _environment(names).compile(expression)
        found = tree(expr.serialize())
    except RuntimeError as error:
        raise BadInput(words.mistake(str(error), expression, names, FUNCTIONS)) from error
    named = {node.name for node in found.walk() if node.kind == "name"}
    for node in found.walk():
        if node.kind == "map" and node.name:
            raise BadInput(f"`{node.name}` is not known")
    return Program(expr, found, tuple(name for name in names if name in named))


@lru_cache(maxsize=100)
def _environment(names: tuple[str, ...]) -> cel.Env:
    """CEL's own arithmetic and comparisons, and those of a whole number with one that has decimals.

    They are declared anew since what is declared already cannot be added to; what they do is the library's, but for the mixed ones.
    """
    dyn, yes = cel.Type.DYN, cel.Type.BOOL
    arithmetic = [_arithmetic(*one) for one in _ARITHMETIC]
    comparisons = [
        cel.FunctionDecl(name, [cel.Overload(f"{name}any", return_type=yes, parameters=[dyn, dyn])])
        for name in ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
    ]
    excluded = "".join(f'    - name: "{name}"\n' for name in (*_COMPARED, *(one[0] for one in _ARITHMETIC)))
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(f"stdlib:\n  exclude_functions:\n{excluded}"),
        variables=dict.fromkeys(names, dyn),
        functions=[*arithmetic, *comparisons],
    )


def _arithmetic(name: str, kinds: str, mixed: Callable[[Any, Any], float]) -> cel.FunctionDecl:
    """`kinds`: the types of two operands and of the result, a letter each."""
    kind = cel.Type
    types = {"i": kind.INT, "d": kind.DOUBLE, "s": kind.STRING, "l": kind.List(kind.DYN)}
    types |= {"t": kind.TIMESTAMP, "p": kind.DURATION}
    usual = [tuple(types[letter] for letter in three) for three in kinds.split()]
    overloads = [
        cel.Overload(f"{name}{number}", return_type=result, parameters=[one, other])
        for number, (one, other, result) in enumerate(usual)
    ]
    pairs = {"whole": [kind.INT, kind.DOUBLE], "decimal": [kind.DOUBLE, kind.INT]}
    return cel.FunctionDecl(
        name,
        [
            *overloads,
            *(
                cel.Overload(f"{name}{first}_first", return_type=kind.DOUBLE, parameters=pair, impl=mixed)
                for first, pair in pairs.items()
            ),
        ],
    )


def _divided(one: float, other: float) -> float:
    """As the library divides two numbers with decimals."""
    if other:
        return one / other
    return math.copysign(math.inf, one) * math.copysign(1, other) if one else math.nan


_COMPARED = ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_")
_ARITHMETIC: tuple[tuple[str, str, Callable[[Any, Any], float]], ...] = (
    ("_+_", "iii ddd sss lll tpt ptt ppp", operator.add),
    ("_-_", "iii ddd tpt ttp ppp", operator.sub),
    ("_*_", "iii ddd", operator.mul),
    ("_/_", "iii ddd", _divided),
)


def usable(names: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name.isascii() and name.isidentifier() and name not in RESERVED))


def _encodes(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


# ------------------------------------------------------------------------------------------------ facts and results


@dataclass(slots=True)
class _Plain:
    """Facts as the library takes them: lists, mappings by text, whole numbers of 64 bits; of a bounded size and depth."""

    left: int
    what: str

    def mapping(self, facts: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        return {self._text(str(key)): self._value(value, depth + 1) for key, value in facts.items()}

    def _value(self, fact: Any, depth: int) -> Any:
        self._count(1)
        if depth > DEEPEST:
            raise BadInput(f"{self.what} are nested more than {DEEPEST} deep")
        if fact is None or isinstance(fact, bool | float):
            return fact
        if isinstance(fact, int):
            return fact if -LARGEST_WHOLE <= fact < LARGEST_WHOLE else float(min(max(fact, -(10**300)), 10**300))
        if isinstance(fact, str):
            return self._text(fact)
        if isinstance(fact, datetime):
            return fact.isoformat()
        if isinstance(fact, Mapping):
            return self.mapping(fact, depth)
        if isinstance(fact, list | tuple):
            return [self._value(one, depth + 1) for one in fact]
        raise BadInput(f"{self.what} have something in them that is not JSON: {type(fact).__name__}")

    def _text(self, text: str) -> str:
        """The library ends a text at its first NUL, so that `checkout` and `checkout\\0…` would be equal: it becomes U+FFFD."""
        self._count(len(text))
        text = text.replace("\0", "\ufffd")
        return text if _encodes(text) else text.encode(errors="replace").decode()

    def _count(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise BadInput(f"{self.what} are larger than {LARGEST_FACTS:,} characters")


class _Failed(Exception):
    """The library gives an error as a value."""


@dataclass(slots=True)
class _Result:
    """A value of the library as JSON, piece by piece: it could be much larger than what it shares with itself in memory.

    `value()` is never called on null: in the library's 0.1.3 that takes a reference too many from None, which ends the process on Python 3.11.
    """

    left: int

    def json(self, found: cel.Value) -> Any:
        kind = found.type().name()
        if kind == "NULL":
            return None
        if kind.startswith("MAP"):
            return {self._counted(str(key)): self.json(one) for key, one in found.value().items()}
        if kind.startswith("LIST"):
            return [self.json(one) for one in found.value()]
        value = found.value()
        if kind == "ERROR":
            raise _Failed(str(value))
        if kind == "DOUBLE" and not math.isfinite(value):
            raise BadInput(f"gives {value:g}, which is not a number that can be kept")
        if kind in ("BOOL", "INT", "UINT", "DOUBLE", "STRING"):
            return self._counted(value)
        if kind == "TIMESTAMP":
            return self._counted(value.isoformat())
        if kind == "DURATION":
            return self._counted(repr(found))
        raise BadInput(f"gives {words.of_kind(kind)}, which cannot be kept")

    def _counted(self, value: Any) -> Any:
        self.left -= (len(value) if isinstance(value, str) else 0) + 2
        if self.left < 0:
            raise BadInput(f"gives a value of more than {LONGEST_VALUE:,} characters")
        return value


def _failure(said: str, program: Node, facts: Mapping[str, Any]) -> str:
    """What went wrong in the evaluation. For a key that is not there: where it was looked for, the nearest, and those that there are."""
    key = words.lost_key(said)
    if key is None:
        return words.failure(said)
    for path, holder in lost_keys(program, key, facts):
        known = sorted(holder)
        there = f"; there are: {', '.join(known[:20])}" if known else "; nothing is there"
        return f"`{path}.{key}` is not there{nearest(key, known)}{there}"
    return f"the key `{key}` is not there (ask with `has(…)` before, or with `in`)"
