"""Reads one YAML file safely and remembers where every value stands. Called by load for each file of the configuration.

Bounds, because a file can be hostile or just broken: 1 MiB, 50 levels, 25 aliases, 200,000 values with all aliases followed. What YAML 1.1 makes
of bare text is kept modest: `no` and `on` are booleans as everybody's YAML has it, but dates, `1:30`, `010` and `1_000` stay text.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml

from bot.config.marks import Document, Mark, Path, path_text
from bot.config.problems import Problem, quoted

LARGEST_FILE = 1 << 20
DEEPEST = 50
MOST_ALIASES = 25
MOST_VALUES = 200_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,18})?\.?[0-9]{1,18}(?:[eE][-+]?[0-9]{1,2})?\Z")
_TAG = "tag:yaml.org,2002:"
_AS_TEXT = {_TAG + "str", _TAG + "timestamp", _TAG + "value"}


_HINTS = {
    "cannot start any token": "indent with spaces, not with tabs, and put text that begins with @, `, %, > or | in quotes",
    "comment or line break": "put text that begins with > or | in quotes",
    "mapping values are not allowed": "put text with `: ` in it in quotes, and indent keys of one mapping alike",
    "could not find expected ':'": "a colon is missing here, or a quote is not closed above",
    "did not find expected": "is it indented as the lines around it, and each quote and bracket closed?",
}


class Unreadable(Exception):
    """A file that gives no values at all; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read(path: FilePath, shown: str) -> tuple[Document, list[Problem]]:
    """The document, with all the problems that still let it be read (duplicate keys, odd keys). `shown` names the file in messages.

    An unreadable file gives one problem and a document without values.
    """
    try:
        text = _text(path, shown)
        _bounded(text, shown)
        return _Reading(shown).document(text)
    except Unreadable as unreadable:
        return Document(shown, readable=False), [unreadable.problem]


def _text(path: FilePath, shown: str) -> str:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise Unreadable(Problem(shown, 0, 0, "", "is a folder; expected a file"))
        if not stat.S_ISREG(mode):
            raise Unreadable(Problem(shown, 0, 0, "", "is not a regular file"))
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Unreadable(Problem(shown, 0, 0, "", f"cannot be read: {error.strerror or error}")) from error
    if len(raw) > LARGEST_FILE:
        raise Unreadable(Problem(shown, 0, 0, "", "is larger than 1 MiB; that is no configuration"))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        message = f"is not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8"
        raise Unreadable(Problem(shown, line, column, "", message)) from error
    odd = _NOT_TEXT.search(text)
    if odd:
        line, column = text.count("\n", 0, odd.start()) + 1, odd.start() - text.rfind("\n", 0, odd.start())
        raise Unreadable(
            Problem(
                shown, line, column, "", f"has the control character U+{ord(odd[0]):04X}, which YAML does not allow"
            )
        )
    return text


def _bounded(text: str, shown: str) -> None:
    """Refuse what must not even be composed: the parser's events come one by one, so nothing is built for a bomb."""
    depth = aliases = documents = 0
    for event in _events(text, shown):
        refused = ""
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            refused = f"is nested more than {DEEPEST} levels deep" if depth > DEEPEST else ""
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            refused = f"has more than {MOST_ALIASES} aliases (*name)" if aliases > MOST_ALIASES else ""
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            refused = "a second document begins here (---); one file holds one document" if documents > 1 else ""
        if refused:
            raise Unreadable(_here(event.start_mark, shown, refused))


def _here(mark: Any, shown: str, message: str, path: str = "") -> Problem:
    """A problem at a mark of the parser, which counts from 0; of the whole file when there is no mark."""
    return (
        Problem(shown, mark.line + 1, mark.column + 1, path, message) if mark else Problem(shown, 0, 0, path, message)
    )


def _events(text: str, shown: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise Unreadable(_syntax(error, shown)) from error


def _syntax(error: yaml.YAMLError, shown: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or "cannot be parsed"
    context = getattr(error, "context", None)
    message = f"not YAML: {context}, {said}" if context else f"not YAML: {said}"
    message += next((f"; {hint}" for part, hint in _HINTS.items() if part in said), "")
    return _here(mark, shown, message)


def _template(node: yaml.MappingNode) -> bool:
    """`{{ params.x }}` without quotes is a mapping with a mapping for a key."""
    return len(node.value) == 1 and isinstance(node.value[0][0], yaml.MappingNode)


class _Reading:
    """One file on its way from nodes to values. Follows aliases, so depth and number are counted here once more."""

    def __init__(self, shown: str) -> None:
        self.result = Document(shown)
        self.problems: list[Problem] = []
        self.values = 0

    def document(self, text: str) -> tuple[Document, list[Problem]]:
        try:
            node = yaml.compose(text, Loader=_LOADER)
        except yaml.YAMLError as error:
            raise Unreadable(_syntax(error, self.result.file)) from error
        if node is not None:
            self.result.data = self.value(node, (), node)
        return self.result, self.problems

    def value(self, node: yaml.Node, path: Path, key: yaml.Node) -> Any:
        self.values += 1
        if self.values > MOST_VALUES:
            raise Unreadable(self._at(node, f"has more than {MOST_VALUES} values when its aliases are followed"))
        if len(path) > DEEPEST:
            raise Unreadable(self._at(node, f"is nested more than {DEEPEST} levels deep when its aliases are followed"))
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        start, named = node.start_mark, key.start_mark
        self.result.marks[path] = Mark(start.line + 1, start.column + 1, named.line + 1, named.column + 1, text)
        if node.tag not in _KNOWN_TAGS:
            tag = node.tag.replace(_TAG, "!!")
            self.problems.append(
                self.result.problem(path, f"the tag {quoted(tag)} is not known here; write a plain value")
            )
        if isinstance(node, yaml.MappingNode) and _template(node):
            words = 'text that begins with {{ needs quotes around it: "{{ … }}"'
            self.problems.append(self._at(node, words, path))
            return "{{ 0 }}"
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, number), item) for number, item in enumerate(node.value)]
        return _scalar(node)

    def mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value, merged in self._pairs(node, path, 0):
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _SCALARS or not key.value:
                self.problems.append(self._at(key, "a key must be text", path))
            elif key.value not in found:
                found[key.value] = self.value(value, (*path, key.value), key)
            elif not merged:
                first = self.result.marks[*path, key.value]
                message = (
                    f"the key {quoted(key.value)} is there twice, first in line {first.key_line}; keep one of them"
                )
                self.problems.append(self._at(key, message, path))
        return found

    def _pairs(self, node: yaml.MappingNode, path: Path, depth: int) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """Keys and values: the mapping's own first, then those that `<<` merges in, which never replace a key."""
        if depth > MOST_ALIASES:
            raise Unreadable(self._at(node, "merges itself (<<)", path))
        merges: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == _TAG + "merge":
                merges += value.value if isinstance(value, yaml.SequenceNode) else [value]
            else:
                self.values += 1
                yield key, value, depth > 0
        for base in merges:
            if isinstance(base, yaml.MappingNode):
                yield from self._pairs(base, path, depth + 1)
            else:
                self.problems.append(self._at(base, "`<<` takes a mapping or a list of mappings", path))

    def _at(self, node: yaml.Node, message: str, path: Path = ()) -> Problem:
        return _here(node.start_mark, self.result.file, message, path_text(path))


_BOOLEANS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_SCALARS = _AS_TEXT | {_TAG + kind for kind in ("int", "float", "bool", "null")}
_KNOWN_TAGS = _SCALARS | {_TAG + "map", _TAG + "seq"}


def _scalar(node: yaml.Node) -> str | int | float | bool | None:
    text: str = node.value
    if node.tag == _TAG + "null":
        return None
    if node.tag == _TAG + "bool":
        return _BOOLEANS.get(text.lower(), text)
    if node.tag == _TAG + "int" and _INTEGER.match(text):
        return int(text)
    if node.tag == _TAG + "float" and _FLOAT.match(text):
        return float(text)
    return text
