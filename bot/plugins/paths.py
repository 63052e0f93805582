"""Where a field of other people's JSON is: a path through it, a template over it, or always the same text. Used by plugins/sources/generic.

A path goes through objects by name and through lists by number: `data.items[0].title`, `["odd.name"].x`, `items[-1]`; `$` at its beginning is the
top of the body; `[*]` is every item of a list (or member of an object): `items[*].name` joins their names with commas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from bot.clients.render import LONGEST_TEMPLATE, FieldTemplates
from bot.clients.template_names import in_template
from bot.domain.naming import nearest
from bot.errors import BadInput
from bot.plugins import payload

NAMES = ("alert", "body", "headers", "query")
MOST_JOINED = 1_000
NOT_THERE = object()
_STEP = re.compile(
    r"""\.?(?P<name>[^.\[\]"\s]+)|\[(?P<index>-?\d{1,6})\]|(?P<every>\[\*\])|\.?\["(?P<quoted>[^"]*)"\]"""
)
Step = str | int | None  # a name, a number, or every item


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[Step, ...]:
    """The names and numbers of a path, None for `[*]`, the name `$` first when it starts at the top. Raises ValueError."""
    found: list[Step] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f"not a path: {path!r} at {path[at : at + 20]!r}; write it like data.items[0].title")
        if step["index"] is not None:
            found.append(int(step["index"]))
        elif step["every"] is not None:
            found.append(None)
        else:
            found.append(step["name"] if step["name"] is not None else step["quoted"])
        at = step.end()
    return tuple(found)


def _checked(path: str) -> str:
    steps(path)
    return path


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str | Mapping | Made) else value


def _fits(value: Any) -> Any:
    """What is wrong with a path, a template or a constant, said once and not for each form that a field can have."""
    if isinstance(value, str):
        steps(value)
    elif isinstance(value, Mapping):
        known = list(Made.model_fields)
        for key in value:
            if key not in known:
                raise ValueError(f"unknown key {key!r}{nearest(str(key), known)} (known: constant, template)")
        if len(value) != 1:
            raise ValueError("wanted one of `template` and `constant`")
        if isinstance(value.get("template"), str):
            names_in(value["template"])
    return value


def names_in(template: str) -> list[tuple[str | int, ...]]:
    """What a template uses of what it is given. Raises ValueError for names that it is not given, or when it is no template."""
    try:
        names = in_template(template)
    except BadInput as error:
        raise ValueError(str(error)) from error
    for name, *_ in names:
        if name not in NAMES:
            near = nearest(str(name), NAMES)
            raise ValueError(f"a template is not given `{name}`{near}; there are: {', '.join(NAMES)}")
    return names


class Made(BaseModel):
    """A text that is made rather than found: by a Jinja2 template over `alert`, `body`, `headers` and `query`, or the same for every alert."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    template: str = Field(default="", max_length=LONGEST_TEMPLATE)
    constant: str | None = None


Path = Annotated[str, AfterValidator(_checked)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_several)]
Wanted = Annotated[Path | Made, BeforeValidator(_fits)]
Several = Annotated[tuple[Wanted, ...], BeforeValidator(_several)]


class Fields:
    """Finds the fields of the alerts of one delivery. `root` is the body, `given` what templates have besides it: `headers` and `query`."""

    def __init__(self, root: Any, given: Mapping[str, Mapping[str, str]]) -> None:
        self._root = root
        self._given = given
        self._templates: FieldTemplates | None = None
        self._item: Any = root
        self._path = ""
        self._told = False
        self._top: dict[str, Any] = {}  # what paths from the top have found: the same for every alert
        self._texts: dict[int, str] = {}  # by identity: what is found lives as long as the body
        self._labels: dict[int, tuple[dict[str, str], int]] = {}

    def about(self, item: Any, path: str) -> None:
        """Goes on to the next alert, which stands at `path`."""
        self._item, self._path, self._told = item, path, False

    def at(self, path: str) -> Any:
        """What is at a path, or NOT_THERE. With `[*]`: the texts that are there, joined."""
        way = steps(path)
        if way[:1] != ("$",):
            return self._at(way)
        if path not in self._top:
            self._top[path] = self._at(way)
        return self._top[path]

    def text(self, value: Any) -> str:
        """What was found here as text. An object or a list at the top of the body is written once, not for each alert that shows it."""
        if not isinstance(value, dict | list):
            return payload.text(value)
        if id(value) not in self._texts:
            self._texts[id(value)] = payload.text(value)
        return self._texts[id(value)]

    def texts(self, value: Any, path: str) -> tuple[dict[str, str], int]:
        """payload.texts, once for what every alert has in common."""
        if id(value) not in self._labels:
            self._labels[id(value)] = payload.texts(value, path)
        return self._labels[id(value)]

    def _at(self, way: tuple[Step, ...]) -> Any:
        if None not in way:
            return _walked(*self._from(way))
        said = (value for value in _every(*self._from(way)) if value not in (None, ""))
        texts = [payload.text(value) for value in islice(said, MOST_JOINED)]
        return payload.text(", ".join(texts)) if texts else NOT_THERE

    def every(self, path: str) -> list[Any]:
        """All that is at a path with `[*]`."""
        return list(_every(*self._from(steps(path))))

    def made(self, wanted: Wanted, name: str) -> Any:
        """What a field is, or NOT_THERE. BadInput for a template that uses what is not there, with the field's `name`."""
        if isinstance(wanted, str):
            return self.at(wanted)
        if wanted.constant is not None:
            return wanted.constant
        if self._templates is None:
            self._templates = FieldTemplates()
        if not self._told:
            self._templates.about({"alert": self._item, "body": self._root, **self._given})
            self._told = True
        return self._templates.text(wanted.template, f"{self._path}: the template of {name}").strip()

    def first(self, several: Sequence[Wanted], name: str) -> Any:
        """The first of several that says something, or None."""
        values = (self.made(one, name) for one in several)
        return next((value for value in values if value is not NOT_THERE and value not in (None, "")), None)

    def _from(self, way: tuple[Step, ...]) -> tuple[Any, tuple[Step, ...]]:
        return (self._root, way[1:]) if way and way[0] == "$" else (self._item, way)


def _walked(value: Any, way: Sequence[Step]) -> Any:
    """What a way without `[*]` leads to from here, or NOT_THERE."""
    for step in way:
        if isinstance(step, str):
            value = value.get(step, NOT_THERE) if isinstance(value, dict) else NOT_THERE
        elif isinstance(value, list) and step is not None and -len(value) <= step < len(value):
            value = value[step]
        else:
            return NOT_THERE
    return value


def _every(value: Any, way: tuple[Step, ...]) -> Iterator[Any]:
    """All that a way leads to from here."""
    if None not in way:
        found = _walked(value, way)
        if found is not NOT_THERE:
            yield found
        return
    at = way.index(None)
    holder = _walked(value, way[:at])
    for one in holder if isinstance(holder, list) else holder.values() if isinstance(holder, dict) else ():
        yield from _every(one, way[at + 1 :])
