"""Who may use the JSON API, and its bodies: a token by name, JSON that is bounded in size, depth and time. Used by api and api_alertmanager."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bot.domain.naming import nearest
from bot.domain.people import Actor
from bot.entry.auth import CHALLENGE, HOW_BEARER, Known
from bot.entry.problems import Refused
from bot.errors import BadInput
from bot.plugins import payload

M = TypeVar("M", bound=BaseModel)
MOST_BYTES = 64 * 1024
SECONDS = 10.0
LONGEST_AUTHORIZATION = 5000


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token it is."""

    name: str

    def actor(self, author: str = "") -> Actor:
        """On record as `api:deploy-bot`; shown as `Ada via deploy-bot` when it says for whom it acts."""
        author = " ".join(author.split())[:100]
        return Actor(id=f"api:{self.name}", name=f"{author} via {self.name}" if author else f"api:{self.name}")


class Access:
    """The tokens by name; with none, nobody may. `Authorization: Bearer <token>`, or Basic with the name and the token for what knows only that."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._known = {name: Known([token], f"the API token {name}") for name, token in tokens.items()}

    def caller(self, request: web.Request) -> Caller:
        """Raises Refused."""
        if not self._known:
            hint = "set `api.tokens` in tocsin.yaml, like {deploy-bot: env:DEPLOY_BOT_TOKEN}"
            raise Refused(403, "nobody may use the API: it has no tokens", hint)
        given = request.headers.get("Authorization", "")
        if not given:
            raise Refused(401, "the Authorization header is missing", HOW_BEARER, CHALLENGE)
        name, token = _shown(given)
        fits = [one for one, known in self._known.items() if known.has(token) and name in ("", one)]
        if not fits:
            raise Refused(401, "the token is wrong", "compare it with `api.tokens` in tocsin.yaml", CHALLENGE)
        return Caller(fits[0])


def _shown(given: str) -> tuple[str, str]:
    """The name (empty: it is not said) and the token."""
    scheme, _, shown = given.partition(" ")
    if scheme.lower() == "bearer":
        return "", shown.strip()
    if scheme.lower() != "basic" or len(given) > LONGEST_AUTHORIZATION:
        raise Refused(401, "the Authorization header is of no scheme that is known here", HOW_BEARER, CHALLENGE)
    try:
        name, colon, token = base64.b64decode(shown.strip(), validate=True).decode().partition(":")
    except (UnicodeError, binascii.Error) as error:
        raise Refused(401, "the Authorization header is not base64", HOW_BEARER, CHALLENGE) from error
    return (name, token) if colon and name else ("?", "")


async def members(request: web.Request, expected: str) -> dict[str, Any]:
    """The JSON object in the body. Raises Refused or BadInput."""
    too_large = Refused(413, f"the body is larger than {MOST_BYTES} bytes", "a silence needs less")
    if request.content_length is not None and request.content_length > MOST_BYTES:
        raise too_large
    body = b""
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise too_large
    except TimeoutError as error:
        hint = {"Connection": "close"}
        raise Refused(408, f"the body did not arrive within {SECONDS:g} s", "send it again", hint) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Refused(400, "the body is broken off", "send it again") from error
    return payload.members(body, expected)


def read(shape: type[M], given: Mapping[str, Any]) -> M:
    """The object as `shape`. BadInput says which member, what is wrong with it, and the nearest name of an unknown one."""
    try:
        return shape.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        first = min(found, key=lambda one: one["type"] != "extra_forbidden")  # a name with a slip is missing as well
        where = ".".join(str(part) for part in first["loc"])[:200]
        if first["type"] == "extra_forbidden":
            names = [info.alias or name for name, info in shape.model_fields.items()]
            there = f"{nearest(where, names) or '.'} There are: {', '.join(names)}"
            raise BadInput(f"body: there is no member {where!r}{there}") from error
        raise BadInput(f"body{'.' + where if where else ''}: {first['msg'].removeprefix('Value error, ')}") from error
