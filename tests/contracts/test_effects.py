"""Every effect has a handler in the program as it is built, and every plugin has what the program wants of one."""

from __future__ import annotations

import inspect
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel

from bot import app
from bot.domain import effects, oncall_effects
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import discover
from tests.domain.test_effects import MADE
from tests.support.clock import START
from tests.support.program import program

KINDS = {"sources": "parse", "actions": "Plugin", "gatherers": "Plugin"}
PLUGINS = [(kind, name, module) for kind in KINDS for name, module in discover(kind).items()]


async def test_every_effect_is_delivered_by_something_and_nothing_else_is(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        assert set(it.tocsin.worker._handlers) == {*effects.KINDS, *oncall_effects.KINDS} == set(MADE)


@pytest.mark.parametrize(("kind", "name", "module"), PLUGINS, ids=[f"{kind}-{name}" for kind, name, _ in PLUGINS])
def test_a_plugin_has_its_parameters_its_code_and_its_documentation(kind: str, name: str, module: ModuleType) -> None:
    assert issubclass(module.Params, BaseModel)
    assert module.Params.model_config.get("extra") == "forbid", "a mistyped setting is an error"
    assert callable(getattr(module, KINDS[kind]))
    assert len(module.__doc__ or "") > 40
    assert getattr(app.registry(), kind)[name] is module.Params


@pytest.mark.parametrize("name", discover("sources"))
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'"x"', b"\xff", b"[" * 10_000, b'{"alerts": 7}'])
def test_a_source_makes_alerts_of_a_body_or_says_what_is_wrong(name: str, body: bytes) -> None:
    module = discover("sources")[name]
    assert list(inspect.signature(module.parse).parameters) == ["incoming", "source", "params", "now"]
    with suppress(BadInput):
        assert isinstance(module.parse(Incoming(body), "test", module.Params(), START), Parsed)
