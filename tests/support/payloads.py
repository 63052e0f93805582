"""Payloads as no product would send them, for the tests of sources: recorded ones with any member dropped or replaced, and any JSON at all."""

from __future__ import annotations

import copy
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Place = tuple[str | int, ...]

EMPTY: list[Any] = [None, "", " ", True, False, [], {}, [[]], [{}], {"": None}, [None, 1, "a:b"]]
NUMBERS: list[Any] = [0, -1, 1.5, 10**19, 1e300]
TEXTS: list[Any] = ["x", "null", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "\x00\ud800", "y" * 20_000]
BROKEN: list[Any] = ["a:b,c, d:", "[", "{", "https://[x", "%%%"]
ODD = st.sampled_from(EMPTY + NUMBERS + TEXTS + BROKEN)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
DEEP = b"[" * 20_000 + b"]" * 20_000

PAGES = Path(__file__).parents[2] / "docs" / "sources"


def documented(source: str, language: str, holding: str) -> str:
    """The block of code on a source's page that is of this language and holds this text: what people paste on the sender's side."""
    blocks = (PAGES / f"{source}.md").read_text().split("```")[1::2]
    (found,) = [block for block in blocks if block.startswith(f"{language}\n") and holding in block]
    return textwrap.dedent(found.removeprefix(f"{language}\n"))


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """The way to every member, at most 2,000 of them."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in list(members)[:2_000]:
        yield (*at, name)
        yield from places(inner, (*at, name))


def changed(value: Any, place: Place, new: Any, *, drop: bool = False) -> Any:
    """A copy with one member dropped or replaced; `value` itself when an earlier change took the way there."""
    result = copy.deepcopy(value)
    inner = result
    try:
        for step in place[:-1]:
            inner = inner[step]
        if drop:
            del inner[place[-1]]
        else:
            inner[place[-1]] = new
    except (LookupError, TypeError):
        return value
    return result


@st.composite
def mutated(draw: st.DrawFn, recorded: list[Any]) -> bytes:
    """A recorded payload with one to four members dropped or replaced, as JSON."""
    value = draw(st.sampled_from(recorded))
    for _ in range(draw(st.integers(1, 4))):
        ways = list(places(value))
        if not ways:
            break
        value = changed(value, draw(st.sampled_from(ways)), draw(ODD | SCALARS), drop=draw(st.booleans()))
    return json.dumps(value).encode()


def bodies(recorded: list[Any]) -> st.SearchStrategy[bytes]:
    """Mutations for the most part, then any JSON, then any bytes."""
    any_json = ANYTHING.map(lambda value: json.dumps(value).encode())
    return st.one_of(mutated(recorded), mutated(recorded), any_json, st.binary(max_size=200), st.just(DEEP))
