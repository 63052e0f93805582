"""Which names a template or a CEL expression uses, with their members: what config compares with the names that there will be."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jinja2 import Environment, TemplateSyntaxError, nodes

from bot.clients.bounded_jinja import BoundedEnvironment, Budget
from bot.errors import BadInput

Path = tuple[str | int, ...]

_MEMBER = r"""\s*\.\s*[A-Za-z_]\w*\b(?!\s*\()|\s*\[\s*(?:"[^"\\]*"|'[^'\\]*'|\d{1,6})\s*\]"""
_TOKEN = re.compile(rf"""r?"(?:[^"\\]|\\.)*"|r?'(?:[^'\\]|\\.)*'|(?<![\w.\])])(?P<path>[A-Za-z_]\w*(?:{_MEMBER})*)""")
_PART = re.compile(r"""(?P<name>[A-Za-z_]\w*)|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<number>\d+)""")


def in_template(template: str) -> list[Path]:
    """`{{ steps.ratio['value'] }}` gives `("steps", "ratio", "value")`. BadInput when it is no template, or not of the bounded language."""
    if template.count("{{") != template.count("}}"):
        raise BadInput("a template is not closed: {{ needs }}")
    try:
        BoundedEnvironment(Budget(steps=10_000, size=16_000, seconds=1.0), {}).from_string(template)
        tree = Environment(autoescape=True).parse(template)  # nothing is rendered with it
    except TemplateSyntaxError as error:
        raise BadInput(f"a template cannot be read: {error.message}") from error
    except (RecursionError, SyntaxError, ValueError, MemoryError) as error:
        raise BadInput(f"a template cannot be read: {error or type(error).__name__}") from error
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    return [path for path in _of(tree) if path[0] not in own]


def _of(node: nodes.Node) -> Iterator[Path]:
    path = _path(node)
    if path is not None:
        yield path
        return
    for child in node.iter_child_nodes():
        yield from _of(child)


def _path(node: nodes.Node) -> Path | None:
    """The path that a node is, when it is one."""
    if isinstance(node, nodes.Name):
        return (node.name,) if node.ctx == "load" else None
    if isinstance(node, nodes.Getattr):
        holder = _path(node.node)
        return None if holder is None else (*holder, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str | int):
        holder = _path(node.node)
        return None if holder is None else (*holder, node.arg.value)
    return None


def in_expression(expression: str) -> list[Path]:
    """`steps["still-bad"].value > 3` gives `("steps", "still-bad", "value")`. What is in quotes is text, and what is called is no member."""
    return [tuple(_parts(found["path"])) for found in _TOKEN.finditer(expression) if found["path"]]


def _parts(path: str) -> Iterator[str | int]:
    for part in _PART.finditer(path):
        yield int(part["number"]) if part["number"] else part["name"] or part["double"] or part["single"] or ""
