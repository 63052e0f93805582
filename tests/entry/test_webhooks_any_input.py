"""Anything at all, thousands of times: never a 5xx."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from time import process_time
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.entry.arrivals import SourceEntry
from bot.entry.auth import Bearer
from bot.plugins import discover
from tests.entry.webhook_fakes import BEARER, TOKEN, Intake, webhooks

EVERY = {
    name: SourceEntry(name, module.parse, module.Params(), Bearer([TOKEN]))
    for name, module in discover("sources").items()
}
TAKEN = (200, 202)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
fields = st.sampled_from(
    ["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint", "title", "name"]
)
nearly_right = st.fixed_dictionaries({"alerts": st.lists(st.dictionaries(fields, json_values, max_size=6), max_size=3)})


async def answered(source: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """The answer to a body, without a socket between: thousands of examples in little time."""
    intake = Intake()
    desk = webhooks(intake, *EVERY.values())
    route, _ = desk.routes()
    payload = _Stream(body)
    request = make_mocked_request("POST", f"/webhooks/{source}", BEARER, payload=payload, match_info={"source": source})
    response = await route.handler(request)
    assert isinstance(response, web.Response)
    told = json.loads(response.text or "")
    assert intake.calls == 0 or response.status in TAKEN
    return response.status, told


class _Stream:
    def __init__(self, body: bytes) -> None:
        self.body = body

    async def iter_any(self) -> AsyncIterator[bytes]:
        yield self.body


@settings(deadline=None, max_examples=200)
@given(source=st.sampled_from(sorted(EVERY)), body=st.binary(max_size=200))
def test_any_bytes_are_refused_clearly_or_accepted(source: str, body: bytes) -> None:
    status, told = asyncio.run(answered(source, body))
    assert status in (*TAKEN, 400)
    assert status in TAKEN or told["error"]


@settings(deadline=None, max_examples=200)
@given(source=st.sampled_from(sorted(EVERY)), value=json_values | nearly_right)
def test_any_json_is_refused_clearly_or_accepted(source: str, value: Any) -> None:
    status, told = asyncio.run(answered(source, json.dumps(value).encode()))
    assert status in (*TAKEN, 400)
    assert status in TAKEN or told["error"]


DEEP = {
    "lists": b"[" * 20_000,
    "closed lists": b"[" * 20_000 + b"]" * 20_000,
    "objects": b'{"alerts":' * 20_000,
    "lists in an object": b'{"alerts":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("source", sorted(set(EVERY) - {"email"}))
async def test_brackets_within_brackets_are_refused_quickly_by_every_source(source: str, body: bytes) -> None:
    started = process_time()
    status, told = await answered(source, body)
    assert (status, told["error"].startswith("body: ")) == (400, True)
    assert process_time() - started < 1, "seconds of this process, whatever else the machine does"
