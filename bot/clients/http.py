"""One bounded HTTP client for everything that has no client of its own: the http.request action, Prometheus, webhooks going out.

Time and size are bounded, a redirect to another host is not followed (policy judged the first), and each failure says whether the request may have
taken effect. A connection is used once: a write on one that the server is just closing would leave that open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import aiohttp

from bot.clients.retry_after import seconds
from bot.domain.ports import Redact
from bot.errors import BadInput, TryLater

MOST_BYTES = 1_000_000
MOST_REDIRECTS = 5
CONNECT_WITHIN = 5.0
LONGEST_QUOTE = 300
SHORTEST_SECRET = 6
ECHOED = b"[redacted: credentials]"
LONGEST_READ = 20_000  # characters of an answer that are looked through for what may be quoted
READS = ("GET", "HEAD", "OPTIONS")
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of any status. Header names are in lower case."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{place(self.url)} answered {self.status} with something that is not JSON") from error


class Http:
    """`async with Http(redact) as http:` or start() and close(). `answer_within` is in seconds, for the whole exchange.

    `credentials`: headers by what `known_as` calls an address, added to what goes there and nowhere else, so that no runbook ever holds a secret.
    """

    def __init__(
        self,
        redact: Redact,
        *,
        answer_within: float = 10.0,
        most_bytes: int = MOST_BYTES,
        credentials: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._redact = redact
        self._credentials = credentials or {}
        self._answer_within = answer_within
        self._most_bytes = most_bytes
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "tocsin"},
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        answer_within: float | None = None,
        most_bytes: int | None = None,
    ) -> Reply:
        """The answer, whatever its status. Reads follow redirects on the same host.

        Raises BadInput for an address that is none, an answer that is too large or a redirect elsewhere; TryLater when there is no answer.
        """
        method, first = method.upper(), url
        for _ in range(MOST_REDIRECTS + 1):
            reply = await self._once(method, url, headers or {}, body, answer_within, most_bytes or self._most_bytes)
            location = reply.headers.get("location", "")
            if reply.status not in REDIRECTS or not location or method not in READS:
                return reply
            try:
                url = urljoin(url, location)
                same = _same_place(first, url)
            except ValueError as error:
                raise BadInput(f"{place(first)} redirects to something that is no address") from error
            if not same:
                raise BadInput(f"{place(first)} redirects to {place(url)}: that is not followed; use the other address")
        raise BadInput(f"{place(first)} redirects more than {MOST_REDIRECTS} times")

    async def ask(self, method: str, url: str, **options: Any) -> Reply:
        """`request`, and anything but 2xx raises what `refused` makes of it."""
        reply = await self.request(method, url, **options)
        if not 200 <= reply.status < 300:
            raise self.refused(reply)
        return reply

    def refused(self, reply: Reply) -> Exception:
        """The error that stands for a status: TryLater for 429 and 5xx (after a write with 5xx it is uncertain), else BadInput."""
        quote = quoted(reply.text, self._redact, LONGEST_QUOTE)
        words = f"{place(reply.url)} answered {reply.status}" + (f": {quote}" if quote else "")
        if reply.status == 429 or reply.status >= 500:
            uncertain = reply.status >= 500 and reply.method not in READS
            return TryLater(words, seconds(reply.headers.get("retry-after", "")), uncertain=uncertain)
        return BadInput(words)

    def _own(self, url: str) -> Mapping[str, str]:
        """The headers that the configuration has for this address."""
        return self._credentials.get(known_as(url), {})

    async def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        answer_within: float | None,
        most_bytes: int,
    ) -> Reply:
        if self._session is None:
            raise TryLater("the HTTP client is not started")
        total, writes, own = answer_within or self._answer_within, method not in READS, self._own(url)
        limits = aiohttp.ClientTimeout(total=total, sock_connect=min(CONNECT_WITHIN, total))
        try:
            async with self._session.request(
                method, url, headers={**headers, **own}, data=body, timeout=limits, allow_redirects=False
            ) as response:
                content = _without(own.values(), await _bounded(response, url, most_bytes))
                sent = {name.lower(): value for name, value in response.headers.items()}
                return Reply(method, url, response.status, sent, content)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise BadInput(f"{place(url) or 'an empty text'} is not an http:// or https:// address") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TryLater(f"cannot connect to {place(url)}: {_why(error)}") from error
        except TimeoutError as error:
            raise TryLater(f"no answer from {place(url)} in {total:g} s", uncertain=writes) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TryLater(f"the connection to {place(url)} broke: {_why(error)}", uncertain=writes) from error
        except ValueError as error:  # a header or an address with characters that cannot be sent
            raise BadInput(f"the request to {place(url)} cannot be sent: {error}") from error


def place(url: str) -> str:
    """Scheme, host and path of an address: what may be shown (no user, no password, no query)."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return url.partition("?")[0].rpartition("@")[2][:50]
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}" if parts.hostname else url[:50]


def quoted(text: str, redact: Redact, most: int) -> str:
    """The beginning of a text without secrets; cut only then, since half a secret looks like none."""
    return redact(text[:LONGEST_READ])[:most].strip()


def known_as(url: str) -> str:
    """What `http:` in tocsin.yaml calls an address: `host` for https on its usual port; every other port has to be named, so that what is meant for
    https is never sent in clear (`host:80`). Empty for what is no address: the request itself says so."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return ""
    if parts.scheme == "https" and port in (None, 443):
        return host
    return f"{host}:{port or 80}"


async def _bounded(response: aiohttp.ClientResponse, url: str, most: int) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > most:
            response.close()
            raise BadInput(f"the answer of {place(url)} is larger than {most:,} bytes")
    return b"".join(parts)


def _without(sent: Iterable[str], content: bytes) -> bytes:
    """What an answer gives back of the credentials it was asked with is taken out: nobody could tell it from other text later."""
    for value in sent:
        for part in (value, value.rpartition(" ")[2]):
            if len(part) >= SHORTEST_SECRET:
                content = content.replace(part.encode(), ECHOED)
    return content


def _same_place(first: str, second: str) -> bool:
    """The same host and port; from http to https on the usual ports counts as the same."""
    a, b = urlsplit(first), urlsplit(second)
    if (a.scheme, a.hostname, a.port) == (b.scheme, b.hostname, b.port):
        return True
    upgraded = a.scheme == "http" and b.scheme == "https" and a.port in (None, 80) and b.port in (None, 443)
    return upgraded and a.hostname == b.hostname


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
