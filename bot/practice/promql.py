"""A small part of PromQL: selectors, comparisons, arithmetic with numbers, aggregations, `..._over_time` and `rate`.

`evaluate` computes a parsed expression at one moment; `rate` of our gauges is their mean.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable

from bot.practice.promql_parser import Node, ParseError

Labels = dict[str, str]
Vector = list[tuple[Labels, float]]
Source = Callable[[str, float], Vector]

COMPARE = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
MATH: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": lambda a, b: a / b if b else math.nan if not a or math.isnan(a) else math.copysign(math.inf, a),
}  # fmt: skip


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": sum, "avg": _mean, "max": max, "min": min, "count": lambda values: float(len(values)),
}  # fmt: skip
OVER_TIME: dict[str, Callable[[list[float]], float]] = {
    "rate": _mean, "irate": lambda values: values[-1], "avg_over_time": _mean, "max_over_time": max,
    "min_over_time": min, "last_over_time": lambda values: values[-1],
    "count_over_time": lambda values: float(len(values)),
}  # fmt: skip
STEP = 15.0


def evaluate(node: Node, at: float, source: Source) -> float | Vector:
    """The value of an expression at one moment: a number, or labelled numbers."""
    match node.kind:
        case "number":
            return node.value
        case "select":
            return _select(node, at, source)
        case "over":
            window = node.children[0]
            return _over_time(OVER_TIME[node.text], window, at, source)
        case "aggregate":
            return _aggregate(node, _vector(evaluate(node.children[0], at, source)))
        case "negate":
            value = evaluate(node.children[0], at, source)
            return -value if isinstance(value, float) else [(_bare(labels), -v) for labels, v in value]
        case "range":
            raise ParseError("1:1: parse error: expected instant vector, got range vector")
    left, right = (evaluate(child, at, source) for child in node.children)
    return _binary(node, left, right)


def matrix(node: Node, at: float, source: Source) -> list[tuple[Labels, list[tuple[float, float]]]]:
    """A range selector's samples, as an instant query of it returns them."""
    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for moment in _moments(at, node.value):
        for labels, value in _select(node.children[0], moment, source):
            series.setdefault(tuple(sorted(labels.items())), []).append((moment, value))
    return [(dict(key), samples) for key, samples in series.items()]


def _moments(at: float, window: float) -> Iterable[float]:
    last = math.floor(at / STEP)
    first = math.floor((at - window) / STEP) + 1
    return [n * STEP for n in range(first, last + 1)] or [at]


def _select(node: Node, at: float, source: Source) -> Vector:
    found = source(node.text, at)
    return [one for one in found if all(_matches(one[0], matcher) for matcher in node.matchers)]


def _matches(labels: Labels, matcher: tuple[str, str, str]) -> bool:
    label, op, wanted = matcher
    value = labels.get(label, "")
    same = bool(re.fullmatch(wanted, value)) if "~" in op else value == wanted
    return same != op.startswith("!")


def _over_time(function: Callable[[list[float]], float], window: Node, at: float, source: Source) -> Vector:
    found = matrix(window, at, source)
    return [(_bare(labels), function([v for _, v in samples])) for labels, samples in found]


def _vector(value: float | Vector) -> Vector:
    return [({}, value)] if isinstance(value, float) else value


def _bare(labels: Labels) -> Labels:
    return {k: v for k, v in labels.items() if k != "__name__"}


def _aggregate(node: Node, vector: Vector) -> Vector:
    groups: dict[tuple[tuple[str, str], ...], list[float]] = {}
    for labels, value in vector:
        named = node.by or ()
        kept = {k: v for k, v in _bare(labels).items() if (k in named) != node.without}
        groups.setdefault(tuple(sorted(kept.items())), []).append(value)
    return [(dict(key), AGGREGATIONS[node.text](values)) for key, values in groups.items()]


def _binary(node: Node, left: float | Vector, right: float | Vector) -> float | Vector:
    if isinstance(left, float) and isinstance(right, float):
        return float(_apply(node, left, right))
    pairs: list[tuple[Labels, float, float]]
    if isinstance(right, float):
        pairs = [(labels, value, right) for labels, value in _vector(left)]
    elif isinstance(left, float):
        pairs = [(labels, left, value) for labels, value in right]
    else:
        others = {tuple(sorted(_bare(labels).items())): value for labels, value in right}
        keys = [(labels, value, tuple(sorted(_bare(labels).items()))) for labels, value in left]
        pairs = [(labels, value, others[key]) for labels, value, key in keys if key in others]
    if node.kind == "compare" and not node.as_bool:
        kept = [(labels, a, b) for labels, a, b in pairs if COMPARE[node.text](a, b)]
        return [(labels, b if isinstance(left, float) else a) for labels, a, b in kept]
    return [(_bare(labels), _apply(node, a, b)) for labels, a, b in pairs]


def _apply(node: Node, a: float, b: float) -> float:
    return float(COMPARE[node.text](a, b)) if node.kind == "compare" else MATH[node.text](a, b)
