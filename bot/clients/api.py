"""The HTTP API of one product: checked JSON, and refusals in words that say what to do. Used by argocd, alertmanager, rabbitmq and flags.

Credentials are none of its business: the Http client adds the headers that `http:` in tocsin.yaml gives for a host.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bot.clients.http import Http, Reply, known_as, place
from bot.errors import BadInput, TryLater

T = TypeVar("T")
MOST_BYTES = 4_000_000
NO_RIGHT = (401, 403)


class Answer(BaseModel):
    """A part of an answer: what is not read is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


def _address(server: str) -> str:
    try:
        parts = urlsplit(server)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ValueError("must be an http:// or https:// address, like https://argocd.example.com")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or password; put a header under `http:` in tocsin.yaml")
    if parts.query or parts.fragment:
        raise ValueError("must be the address of the server only, without `?` or `#`")
    return server.rstrip("/")


Server = Annotated[str, Field(max_length=500), AfterValidator(_address)]


def host(server: str) -> str:
    """The name that policy judges, in lower case and without the port."""
    return urlsplit(server).hostname or ""


def segment(text: str) -> str:
    """One part of a path, with `/` and the like escaped."""
    return quote(text, safe="")


@dataclass(frozen=True, slots=True)
class Api:
    """`product` is for messages; `server` may have a path prefix."""

    http: Http
    product: str
    server: str

    async def read(
        self, shape: type[T], path: str, query: Iterable[tuple[str, str]] = (), most_bytes: int = MOST_BYTES
    ) -> T:
        """A GET, as `shape`. BadInput when the answer is none of it."""
        return self.parsed(shape, await self.ask("GET", path, query=query, most_bytes=most_bytes))

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: Any = None,
        key: str = "",
        most_bytes: int = MOST_BYTES,
    ) -> Reply:
        """One request; `key` goes along as `Idempotency-Key`. Raises for any status but 2xx."""
        asked = urlencode(list(query))
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key:
            headers["Idempotency-Key"] = key
        reply = await self.http.request(
            method,
            f"{self.server}{path}{'?' if asked else ''}{asked}",
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            most_bytes=most_bytes,
        )
        if not 200 <= reply.status < 300:
            raise self.refused(reply)
        return reply

    def parsed(self, shape: type[T], reply: Reply) -> T:
        try:
            return TypeAdapter(shape).validate_json(reply.body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadInput(
                f"{self.product}: the answer of {place(reply.url)} is not as expected "
                f"({where + ': ' if where else ''}{first['msg']}): is this the address of its API?"
            ) from error

    def refused(self, reply: Reply) -> Exception:
        """What a status other than 2xx means, in the product's name."""
        refused = self.http.refused(reply)
        if reply.status in NO_RIGHT:
            what = "does not know the bot" if reply.status == 401 else "does not let the bot do this"
            return BadInput(
                f"{self.product} {what}: {refused}. Its token goes into `http:` of tocsin.yaml, under {known_as(reply.url)}, as a header"
            )
        if isinstance(refused, TryLater):
            return TryLater(f"{self.product}: {refused}", refused.delay, uncertain=refused.uncertain)
        return NotThere(f"{self.product}: {refused}") if reply.status == 404 else BadInput(f"{self.product}: {refused}")


class NotThere(BadInput):
    """The product knows no such thing."""
