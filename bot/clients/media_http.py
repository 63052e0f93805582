"""The one way in which an HTTP medium sends: a request, and what its answer means for the page. Used by plugins/channels.

Addresses of chat products carry the secret in their path: nothing that comes out of here (errors, answers, reprs) shows more of one than its host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import AfterValidator, SecretStr

from bot.clients.breaker import Breaker
from bot.clients.desk import Desk
from bot.clients.http import Reply, place, quoted
from bot.clients.retry_after import seconds
from bot.domain.ports import Redact
from bot.errors import BadInput, GaveUp, TryLater

MOST_BYTES = 200_000
LONGEST_QUOTE = 300
LONGEST_ID = 200
LONGEST_URL = 2000
SHORTEST_SECRET = 6
HIDDEN = "[hidden]"
SOON = (408, 421, 425)  # nothing was done: RFC 9110, 15.5.9 and 15.5.20, RFC 8470, 5.2
REFUSED = (401, 403, 404, 410)
# Members of a JSON answer in which products say what is wrong, the most telling first.
WORDS = ("message", "description", "errors", "error", "detail", "reason")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider answered. `fields`: the JSON object, empty when it is none. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    text: str = field(repr=False)
    fields: Mapping[str, Any] = field(repr=False)


Hint = Callable[[Answer], str]  # what to do about a refusal, in words; empty when nothing is known about it


class Screen:
    """Texts from outside as they may be shown and kept: without secrets (also those that no pattern knows), on one line, bounded."""

    def __init__(self, redact: Redact, secrets: Iterable[str]) -> None:
        self._redact = redact
        spelled = {way(secret) for secret in secrets for way in (str, unquote, lambda text: quote(text, safe=""))}
        # The longest first, so that no part of one is left over.
        self._secrets = sorted((one for one in spelled if len(one) >= SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, text: str, most: int = LONGEST_QUOTE) -> str:
        text = text[:MOST_BYTES]
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        printable = "".join(one if one.isprintable() else " " for one in quoted(text, self._redact, most))
        return " ".join(printable.split())


class Outlet:
    """A provider as one medium uses it. `product`: its name in messages. `secrets`: what no message may show, beside what stands in `url`.

    `explain`: what to do about 401, 403, 404 and 410, in words (`check token of telegram in tocsin.yaml`). `shown`: what a provider says, fit to be
    shown.
    """

    def __init__(self, desk: Desk, product: str, url: str, *, secrets: Iterable[str] = (), explain: str = "") -> None:
        self._desk = desk
        self._name = f"{product} ({urlsplit(url).hostname or 'no host'})"
        self.shown = Screen(desk.redact, [*_in_address(url), *secrets])
        self._explain = explain
        self._breaker = Breaker(self._name, desk.clock)

    async def send_json(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None, *, hint: Hint | None = None
    ) -> Answer:
        """The body as JSON. Raises as `send`."""
        return await self.send(url, as_json(body), {"Content-Type": "application/json", **(headers or {})}, hint=hint)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str], *, hint: Hint | None = None) -> Answer:
        """A 2xx answer. Raises TryLater (uncertain when it may have been taken all the same), GaveUp for what the provider does not let in any more
        or of which `hint` knows what to do about it, BadInput for what it cannot read; each in the provider's words, bounded and without secrets.
        """
        failure: Exception
        try:
            with self._breaker.attempt():
                reply = await self._asked(url, headers, body)
                answer = Answer(reply.status, reply.headers, reply.text, _fields(reply.body))
                if answer.status >= 500:
                    raise self._later(answer, uncertain=True)
        except (TryLater, BadInput) as error:
            failure = error
        else:
            if 200 <= answer.status < 300:
                return answer
            failure = self._refusal(answer, hint(answer) if hint else "")
        raise failure from None  # what led to it may show the address

    def _refusal(self, answer: Answer, hint: str) -> Exception:
        """What an answer means that is neither a success nor a failure of the server."""
        words = self._words(answer)
        if hint:
            return GaveUp(f"{words}; {hint}")
        if answer.status == 429 or answer.status in SOON:
            return self._later(answer, uncertain=False)
        if answer.status in REFUSED:
            return GaveUp(f"{words}; {self._explain}" if self._explain else words)
        if 300 <= answer.status < 400:
            return BadInput(f"{words}; it points to another address, and a message is not sent on: configure that one")
        return BadInput(words)

    def id(self, answer: Answer, *path: str) -> str:
        """A short text or number at a place of the JSON answer; empty when there is none."""
        value: Any = answer.fields
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return (
            self.shown(str(value), LONGEST_ID) if isinstance(value, str | int) and not isinstance(value, bool) else ""
        )

    async def _asked(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The reply; errors of the client without the address."""
        words, later = "", None
        try:
            return await self._desk.http.request("POST", url, headers=headers, body=body, most_bytes=MOST_BYTES)
        except TryLater as error:
            words, later = str(error), error
        except BadInput as error:
            words = str(error)
        # Raised out here, so that the first error does not hang on to the second one as its context.
        words = self.shown(words.replace(place(url), self._name), LONGEST_QUOTE + len(self._name))
        if later is None:
            raise BadInput(words)
        raise TryLater(words, later.delay, uncertain=later.uncertain)

    def _later(self, answer: Answer, *, uncertain: bool) -> TryLater:
        return TryLater(self._words(answer), _delay(answer), uncertain=uncertain)

    def _words(self, answer: Answer) -> str:
        said = self.shown(_said(answer))
        return f"{self._name} answered {answer.status}" + (f": {said}" if said else "")


def _address(url: SecretStr) -> SecretStr:
    """An empty one is a reference that cannot be followed here (`tocsin check` elsewhere than on the server)."""
    if url.get_secret_value() and not well_formed(url.get_secret_value()):
        raise ValueError("must be an http:// or https:// address without user, password and spaces")
    return url


def _base(url: str) -> str:
    if not well_formed(url) or urlsplit(url).query:
        raise ValueError("must be an http:// or https:// address without user, password and parameters")
    return url.rstrip("/")


# An address that is a secret, and one that is none (of a product's API, where others run it too).
SecretUrl = Annotated[SecretStr, AfterValidator(_address)]
BaseUrl = Annotated[str, AfterValidator(_base)]


def well_formed(url: str) -> bool:
    try:
        parts = urlsplit(url)
        there = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return (
        there
        and not parts.username
        and not parts.password
        and len(url) <= LONGEST_URL
        and bool(re.fullmatch(r"\S+", url))
    )


def as_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _fields(body: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _said(answer: Answer) -> str:
    """What the provider says is wrong: the telling members of its JSON, else the text (a page of HTML says nothing)."""
    for name in WORDS:
        value = answer.fields.get(name)
        if isinstance(value, str) and value:
            more = answer.fields.get("errors")
            return f"{value}: {_listed(more)}" if more and name != "errors" else value
        if value:
            return _listed(value)
    return "" if answer.text.lstrip()[:1] == "<" else answer.text


def _listed(value: Any) -> str:
    """Lists and objects of errors as words."""
    if isinstance(value, list):
        return "; ".join(str(one) for one in value[:5])
    if isinstance(value, dict):
        return "; ".join(f"{name}: {one}" for name, one in list(value.items())[:5])
    return str(value)


def _delay(answer: Answer) -> float | None:
    """Seconds until the provider wants to be asked again: by header, or in the body as Discord and Telegram do it."""
    parameters = answer.fields.get("parameters")
    nested = parameters.get("retry_after") if isinstance(parameters, Mapping) else None
    for value in (answer.headers.get("retry-after"), answer.fields.get("retry_after"), nested):
        found = seconds(str(value)[:30]) if value is not None else None
        if found is not None:
            return found
    return None


def _in_address(url: str) -> list[str]:
    """What of an address could let somebody else in: the whole of it, its path and parameters, and each piece of them that is long enough."""
    parts = urlsplit(url)
    whole = f"{parts.path}?{parts.query}" if parts.query else parts.path
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    return [url, whole, parts.path, *(piece for piece in pieces if len(piece) >= 12)]
