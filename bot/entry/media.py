"""Where providers of media call back: `/media/{name}/{what}`. A message arrived or failed, or somebody acknowledged by an SMS or a key.

Bounds the request, has the medium check its signature and read it, hands what was heard to paging, and answers as that provider expects.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from aiohttp import web

from bot.domain.incoming import Incoming
from bot.domain.notice import Heard
from bot.domain.oncall_ports import HearingMedium
from bot.entry import problems
from bot.entry.auth import lowered
from bot.entry.problems import Refused
from bot.errors import BadInput, NotSigned

MAX_BODY = 64 * 1024
LONGEST_ADDRESS = 4_000
MOST_PARAMETERS = 64
SECONDS = 10.0  # to send a body
MOST_SAID = 1000
UNSEEN = ("authorization", "proxy-authorization", "cookie")

log = structlog.get_logger(__name__)


class Answers(Protocol):
    """What paging makes of it (bot.flow.answers). Both may be called again with the same: providers repeat."""

    async def acknowledged(self, medium: str, heard: Heard) -> str:
        """Somebody has it: the words for them (`INC-7 is yours`).

        `heard.key` names the page; when it is empty, `heard.text` may be the number of an incident (`7`), and when that is empty as well, the newest
        page to `heard.address` is meant. `heard.provider_id` is the answer's own name there. BadInput says in words why not; they are told so.
        """

    async def told(self, medium: str, heard: Heard) -> None:
        """A message was delivered or has failed: `heard.provider_id` (or, where the provider's answer was lost, `heard.key`) names it."""


@dataclass(frozen=True, slots=True)
class MediaSite:
    """The routes. `media`: those that hear, by the names of tocsin.yaml. `seconds`: how long a provider may take for its body.

    `said`: what the last answers were answered with. An `ack` that a provider repeats is not a second one, which would mean the next page.
    """

    media: Mapping[str, HearingMedium]
    answers: Answers
    max_body: int = MAX_BODY
    seconds: float = SECONDS
    said: OrderedDict[tuple[str, Heard], str] = field(default_factory=OrderedDict)

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/media/{name}/{what}", problems.told(self._called_back))]

    async def _called_back(self, request: web.Request) -> web.StreamResponse:
        name, what = request.match_info["name"], request.match_info["what"]
        medium = self.media.get(name)
        if medium is None:
            hint = "media are named under `channels` in tocsin.yaml; most of them are never called back"
            raise Refused(404, "there is no medium of this name that is called back", hint)
        if request.method not in ("GET", "POST"):
            raise Refused(405, f"{request.method} is not for call-backs", "send a POST", {"Allow": "GET, POST"})
        incoming = await self._incoming(request, what)
        try:
            heard = await medium.heard(incoming, what)
        except NotSigned as error:
            log.warning("call-back refused", medium=name, what=what[:40], remote=request.remote)
            raise Refused(403, str(error), "docs/media says how this medium's provider is set up") from error
        words = await self._handed_over(name, heard)
        body, content_type = medium.answer(heard, words)
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def _incoming(self, request: web.Request, what: str) -> Incoming:
        """`path` is what follows `/media/<name>/` as it was asked for, with its query: signatures are over that."""
        raw = request.raw_path
        query = raw.partition("?")[2]
        if len(raw) > LONGEST_ADDRESS or query.count("&") >= MOST_PARAMETERS:
            raise Refused(414, "the address is too long", f"at most {LONGEST_ADDRESS} characters")
        seen = {key: value for key, value in lowered(request.headers).items() if key not in UNSEEN}
        body = await self._body(request)
        path = f"{what}?{query}" if query else what
        return Incoming(body, seen, path, {key: request.query[key] for key in request.query}, request.method)

    async def _body(self, request: web.Request) -> bytes:
        too_large = Refused(413, f"the body is larger than {self.max_body} bytes", "a call-back needs less")
        if request.content_length is not None and request.content_length > self.max_body:
            raise too_large
        body = b""
        try:
            async with asyncio.timeout(self.seconds):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > self.max_body:
                        raise too_large
        except TimeoutError as error:
            words = f"the body did not arrive within {self.seconds:g} s"
            raise Refused(408, words, "send it again", {"Connection": "close"}) from error
        except (web.RequestPayloadError, ConnectionError) as error:
            raise Refused(400, "the body is broken off", "send it again") from error
        return body

    async def _handed_over(self, name: str, heard: Sequence[Heard]) -> str:
        """The words for whoever acknowledged; a refusal of theirs is an answer, not an error: the provider would only repeat it."""
        words = []
        for one in heard:
            if one.kind == "acknowledged":
                words.append(await self._acknowledged(name, one))
            elif one.kind in ("delivered", "failed"):
                await self.answers.told(name, one)
        return " ".join(word for word in words if word)

    async def _acknowledged(self, name: str, one: Heard) -> str:
        if (name, one) in self.said:
            return self.said[name, one]
        try:
            words = await self.answers.acknowledged(name, one)
        except BadInput as error:
            return str(error)
        if one.provider_id:
            self.said[name, one] = words
            while len(self.said) > MOST_SAID:
                self.said.popitem(last=False)
        return words
