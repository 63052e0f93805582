"""Jinja2 that cannot run away: the language that runbooks and post-mortem templates are written in. Used by render.py only.

The sandbox of Jinja2 keeps templates from the process but does not bound their work (`"A" * 10**9`, `"%999999999d"|format`, nested loops). Here a
template has a budget of steps, time and size that every loop, filter, operator and piece of output is paid from; and what has no bound that can be
checked (calls, macros, includes, `**`, attributes of objects) does not exist. What is left: members of mappings, items, filters from a list, `if`,
`set`, and (for post-mortems) `for`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context, pass_environment
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg, missing
from jinja2.visitor import NodeTransformer

from bot.domain.naming import nearest

SAFE_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last", "length", "list", "lower",
    "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "string", "sum", "title", "trim",
    "truncate", "unique", "upper", "urlencode",
)  # fmt: skip
LOOP_MEMBERS = ("index", "index0", "first", "last", "length", "revindex", "revindex0", "depth", "previtem", "nextitem")
STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Assign, nodes.For)
EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr, nodes.Filter, nodes.Test,
    nodes.Getitem, nodes.Getattr, nodes.Slice, nodes.Concat, nodes.Compare, nodes.Operand, nodes.BinExpr, nodes.UnaryExpr,
)  # fmt: skip
LARGEST_NUMBER = 10**18
MOST_DIGITS = 15
MOST_COMPARED = 500  # names that an unknown one is compared with


class TooMuch(Exception):
    """A template asked for more than its budget allows."""


class Budget:
    """What one rendering may use: `steps` of work, `size` characters in any one value, `seconds` of this thread's time on a processor.

    Not of time as such: a busy machine, or one that was asleep, is no fault of the template.
    """

    def __init__(self, steps: int, size: int, seconds: float) -> None:
        self._steps = steps
        self._size = size
        self._deadline = time.thread_time() + seconds
        self._seconds = seconds

    def spend(self, steps: int = 1) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise TooMuch("it takes too many steps")
        if time.thread_time() > self._deadline:
            raise TooMuch(f"it takes longer than {self._seconds:g} s")

    def fits(self, size: int) -> None:
        if size > self._size:
            raise TooMuch(f"it makes a text of more than {self._size:,} characters")

    def checked(self, value: Any) -> Any:
        if isinstance(value, str | list | tuple):
            self.fits(len(value))
        elif isinstance(value, int | float) and abs(value) > LARGEST_NUMBER:
            raise TooMuch(f"it makes a number larger than {LARGEST_NUMBER:.0e}")
        return value


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """An environment for one rendering (or for the next one, after `renew`), with its budget and the facts that unknown names are compared with."""

    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%", "**"])

    def __init__(
        self,
        budget: Budget,
        facts: Mapping[str, Any],
        *,
        loops: bool = False,
        filters: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        super().__init__(
            undefined=_unknown_in(facts),
            finalize=_spelled,
            keep_trailing_newline=True,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            cache_size=0,
        )
        self._budget = budget
        self._loops = loops
        self.globals = {}
        own = {
            "join": _join,
            "replace": _replace,
            "round": _round,
            "tojson": _tojson,
            "_concat": _concat,
            "_each": _each,
        }
        given = {**{name: FILTERS[name] for name in SAFE_FILTERS}, **own, **(filters or {})}
        self.filters = {name: self._limited(function) for name, function in given.items()}

    @property
    def budget(self) -> Budget:
        return self._budget

    def renew(self, budget: Budget) -> None:
        """For another rendering of the same templates, over facts that have changed in place."""
        self._budget = budget

    def _limited(self, function: Callable[..., Any]) -> Callable[..., Any]:
        wants = _PassArg.from_obj(function)

        @pass_context
        def limited(context: Context, value: Any, *args: Any, **options: Any) -> Any:
            self._budget.spend()
            self._budget.checked(value)
            given: dict[Any, Any] = {
                _PassArg.context: context,
                _PassArg.eval_context: context.eval_ctx,
                _PassArg.environment: self,
            }
            first = (given[wants],) if wants is not None else ()
            return self._budget.checked(function(*first, value, *args, **options))

        return limited

    # -------------------------------------------------------------------------------------------- the language

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        self._check(tree)
        bounded: nodes.Template = _Bounding().visit(tree)
        return bounded

    def _check(self, tree: nodes.Node) -> None:
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            loop = isinstance(node, nodes.For)
            if isinstance(node, nodes.Name) and node.name in ("self", "super"):
                raise TemplateSyntaxError(f"{node.name} is not possible in templates here", node.lineno)
            if (
                not isinstance(node, STATEMENTS + EXPRESSIONS)
                or (loop and not self._loops)
                or getattr(node, "recursive", False)
            ):
                raise TemplateSyntaxError(
                    f"{type(node).__name__.lower()} is not possible in templates here", node.lineno
                )
            waiting.extend(node.iter_child_nodes())

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A member of a mapping, an item or a slice of a sequence; nothing else has members."""
        if isinstance(obj, Undefined):
            str(obj)  # raises, with the name
        if isinstance(obj, Mapping):
            return obj[argument] if argument in obj else self.undefined(obj=obj, name=argument)
        if isinstance(obj, LoopContext) and argument in LOOP_MEMBERS:
            return getattr(obj, argument)
        if isinstance(obj, str | list | tuple) and isinstance(argument, int | slice):
            try:
                return obj[argument]
            except IndexError:
                pass
        return self.undefined(obj=obj, name=argument)

    def call(*_: Any, **__: Any) -> Any:
        raise TooMuch("functions cannot be called")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        self._budget.spend()
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            self._budget.fits(len(left) + len(right))
            return left + right
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises, with the name
            if not isinstance(side, int | float):
                raise TypeError(f"`{operator}` is for numbers (join texts with `~`); found {side!r:.50}")
        if operator == "**":
            raise TypeError("`**` is not possible in templates here")
        return self._budget.checked(self.binop_table[operator](left, right))


class _Bounding(NodeTransformer):
    """Lets loops and `~` go through filters that pay from the budget."""

    def visit_For(self, node: nodes.For, *args: Any, **options: Any) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_each")
        return node

    def visit_Concat(self, node: nodes.Concat, *args: Any, **options: Any) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno, environment=node.environment), "_concat")


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=node.environment)


# ------------------------------------------------------------------------------------------------ filters whose result could be large


@pass_environment
def _each(environment: BoundedEnvironment, items: Iterable[Any]) -> Iterator[Any]:
    for item in iter(items):  # an unknown name raises here, with its name
        environment.budget.spend()
        yield item


@pass_environment
def _concat(environment: BoundedEnvironment, parts: list[Any]) -> str:
    return _join(environment, parts)


@pass_environment
def _join(environment: BoundedEnvironment, parts: Iterable[Any], by: str = "") -> str:
    texts, size, by = [], 0, str(by)
    for part in parts:
        environment.budget.spend()
        texts.append(str(_spelled(part)))
        size += len(texts[-1]) + len(by)
        environment.budget.fits(size)
    return by.join(texts)


@pass_environment
def _replace(environment: BoundedEnvironment, text: Any, old: str, new: str) -> str:
    whole, old, new = str(_spelled(text)), str(old), str(new)
    count = whole.count(old)
    environment.budget.fits(len(whole) + count * (len(new) - len(old)))
    return whole.replace(old, new)


def _round(value: Any, digits: int = 0) -> float:
    return round(float(value), max(-MOST_DIGITS, min(MOST_DIGITS, int(digits))))


def _tojson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_not_json)


def _not_json(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Undefined):
        return str(value)  # raises, with the name
    raise TypeError(f"{type(value).__name__} is not JSON")


def _spelled(value: Any) -> Any:
    """How a value looks in text: nothing for None, `true`, a time in ISO 8601, JSON for lists and mappings."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list | tuple | Mapping):
        return _tojson(value)
    return value


# ------------------------------------------------------------------------------------------------ unknown names


def _unknown_in(facts: Mapping[str, Any]) -> type[StrictUndefined]:
    """What an unknown name becomes: any use of it fails, with the whole name, the nearest valid one and those there are."""

    class Unknown(StrictUndefined):
        @property
        def _undefined_message(self) -> str:
            name, holder = str(self._undefined_name), self._undefined_obj
            if holder is missing:
                return _unknown("", name, facts)
            path = _path_of(holder, facts, "") or "it"
            if isinstance(holder, Mapping):
                return _unknown(f"{path}.", name, holder)
            return f"`{path}` has no member `{name}`"

    return Unknown


def _unknown(prefix: str, name: str, known: Mapping[str, Any]) -> str:
    names = sorted(str(key) for key in islice(known, MOST_COMPARED))
    there = f"; there are: {', '.join(names[:20])}" if names else "; there are none"
    return f"`{prefix}{name}` is not known{nearest(name, names)}{there}"


def _path_of(wanted: Any, holder: Mapping[str, Any], path: str, depth: int = 3) -> str:
    for key, value in holder.items():
        here = f"{path}.{key}" if path else str(key)
        if value is wanted:
            return here
        if depth and isinstance(value, Mapping) and (found := _path_of(wanted, value, here, depth - 1)):
            return found
    return ""
