"""The parser of the practice Prometheus' part of PromQL: a text becomes a tree, or is refused in Prometheus' words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+|(?:Inf|NaN)\b)|(?P<name>[a-zA-Z_:][\w:]*)"
    r"|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<op>=~|!~|==|!=|>=|<=|[-+*/><=(){}\[\],]))"
)
DURATION = re.compile(r"\s*((?:\d+(?:ms|[smhdwy]))+)\s*\]")
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
COMPARISONS = (">", "<", ">=", "<=", "==", "!=")
AGGREGATIONS = ("sum", "avg", "max", "min", "count")
OVER_TIME = ("rate", "irate", "avg_over_time", "max_over_time", "min_over_time", "last_over_time", "count_over_time")


class ParseError(Exception):
    """`1:5: parse error: unexpected identifier "bar"`"""


@dataclass(frozen=True)
class Node:
    """`kind` is number, select, range, over, aggregate, compare, compute or negate."""

    kind: str
    text: str = ""
    value: float = 0.0
    matchers: tuple[tuple[str, str, str], ...] = ()
    children: tuple[Node, ...] = ()
    by: tuple[str, ...] | None = None
    without: bool = False
    as_bool: bool = False

    @property
    def scalar(self) -> bool:
        return self.kind == "number" or (
            self.kind in ("compare", "compute", "negate") and all(child.scalar for child in self.children)
        )


@dataclass
class Parser:
    """Recursive descent over the tokens of one expression."""

    text: str
    at: int = 0
    open: list[str] = field(default_factory=list)

    def fail(self, why: str, position: int | None = None) -> NoReturn:
        raise ParseError(f"1:{(self.at if position is None else position) + 1}: parse error: {why}")

    def peek(self) -> tuple[str, str, int]:
        found = TOKEN.match(self.text, self.at)
        if found is None:
            rest = len(self.text) - len(self.text[self.at :].lstrip())
            if rest == len(self.text):
                return "end", "", rest
            self.fail(f"unexpected character: '{self.text[rest]}'", rest)
        kind = str(found.lastgroup)
        return kind, found[kind], found.start(kind)

    def take(self, *wanted: str) -> str:
        """Take the next token if it is one of `wanted`; empty when it is not."""
        kind, text, position = self.peek()
        if kind == "op" and text in wanted:
            self.at = position + len(text)
            if text in "({":
                self.open.append(text)
            elif text in ")}" and self.open:
                self.open.pop()
            return text
        return ""

    def need(self, wanted: str, inside: str) -> None:
        if not self.take(wanted):
            self.unexpected(inside)

    def unexpected(self, inside: str = "") -> NoReturn:
        kind, text, position = self.peek()
        if kind == "end" and self.open:
            inner = self.open[-1] == "{"
            self.fail("unexpected end of input inside braces" if inner else "unclosed left parenthesis", position)
        where = f" {inside}" if inside else ""
        if text == ")" and not self.open:
            self.fail("unexpected right parenthesis ')'", position + 1)
        if kind == "end":
            self.fail(f"unexpected end of input{where}", position)
        words = {"name": f'identifier "{text}"', "number": f'number "{text}"', "string": f"string {text}"}
        sign = f'"{text}"' if text in "()[]{}," else f"<op:{text}>"
        self.fail(f"unexpected {words.get(kind, sign)}{where}", position)

    def whole(self) -> Node:
        if self.peek()[0] == "end":
            self.fail("no expression found in input", 0)
        node = self.comparison()
        if self.peek()[0] != "end":
            self.unexpected()
        return node

    def comparison(self) -> Node:
        left = self.sum()
        while op := self.take(*COMPARISONS):
            sign = self.at - len(op)
            kind, text, position = self.peek()
            as_bool = kind == "name" and text == "bool"
            if as_bool:
                self.at = position + len(text)
            right = self.sum()
            if left.scalar and right.scalar and not as_bool:
                self.fail("comparisons between scalars must use BOOL modifier", sign)
            left = Node("compare", op, children=(left, right), as_bool=as_bool)
        return left

    def sum(self) -> Node:
        left = self.product()
        while op := self.take("+", "-"):
            left = Node("compute", op, children=(left, self.product()))
        return left

    def product(self) -> Node:
        left = self.unary()
        while op := self.take("*", "/"):
            left = Node("compute", op, children=(left, self.unary()))
        return left

    def unary(self) -> Node:
        if self.take("-"):
            return Node("negate", children=(self.unary(),))
        self.take("+")
        return self.atom()

    def atom(self) -> Node:
        kind, text, position = self.peek()
        if kind == "number":
            self.at = position + len(text)
            return Node("number", value=float(text))
        if self.take("("):
            inner = self.comparison()
            self.need(")", "")
            return inner
        if kind == "name":
            self.at = position + len(text)
            if text in AGGREGATIONS:
                return self.aggregation(text, position)
            if self.take("("):
                return self.function(text, position)
        elif text != "{":
            self.unexpected()
        return self.selector(text if kind == "name" else "")

    def function(self, name: str, position: int) -> Node:
        if name not in OVER_TIME:
            self.fail(f'unknown function with name "{name}"', position)
        start = self.at
        inner = self.comparison()
        if inner.kind != "range":
            got = "scalar" if inner.scalar else "instant vector"
            self.fail(f'expected type range vector in call to function "{name}", got {got}', start)
        self.need(")", "in function call")
        return Node("over", name, children=(inner,))

    def aggregation(self, name: str, position: int) -> Node:
        by, without = self.grouping()
        self.need("(", "in aggregation")
        if self.take(")"):
            self.fail("no arguments for aggregate expression provided", position)
        inner = self.comparison()
        self.need(")", "in aggregation")
        if by is None:
            by, without = self.grouping()
        return Node("aggregate", name, children=(inner,), by=by, without=without)

    def grouping(self) -> tuple[tuple[str, ...] | None, bool]:
        kind, word, position = self.peek()
        if kind != "name" or word not in ("by", "without"):
            return None, False
        self.at = position + len(word)
        self.need("(", "in grouping opts")
        names: list[str] = []
        while not self.take(")"):
            kind, text, position = self.peek()
            if kind != "name":
                self.unexpected("in grouping opts")
            self.at = position + len(text)
            names.append(text)
            self.take(",")
        return tuple(names), word == "without"

    def selector(self, name: str) -> Node:
        matchers: list[tuple[str, str, str]] = []
        start = self.at - len(name)
        if self.take("{"):
            while not self.take("}"):
                matchers.append(self.matcher())
                self.take(",")
        if name:
            matchers.append(("__name__", "=", name))
        if not any(value for _, _, value in matchers):
            self.fail("vector selector must contain at least one non-empty matcher", start)
        node = Node("select", name, matchers=tuple(matchers))
        if not self.take("["):
            return node
        found = DURATION.match(self.text, self.at)
        if not found:
            self.fail("missing unit character in duration")
        self.at = found.end()
        return Node("range", value=seconds(found[1]), children=(node,))

    def matcher(self) -> tuple[str, str, str]:
        kind, label, position = self.peek()
        if kind != "name":
            self.unexpected("inside braces")
        self.at = position + len(label)
        op = self.take("=", "!=", "=~", "!~")
        if not op:
            self.unexpected("in label matching, expected label matching operator")
        kind, text, position = self.peek()
        if kind != "string":
            self.unexpected("in label matching, expected string")
        self.at = position + len(text)
        value = re.sub(r"\\(.)", r"\1", text[1:-1])
        if "~" in op:
            try:
                re.compile(value)
            except re.error as err:
                self.fail(f"error parsing regexp: {err}", position)
        return label, op, value


def seconds(duration: str) -> float:
    """`1h30m` as seconds."""
    return sum(float(n) * UNITS[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def parse(text: str) -> Node:
    return Parser(text).whole()
