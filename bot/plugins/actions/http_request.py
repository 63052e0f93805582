"""Send one HTTP request: a feature flag, a cache purge, a deploy tool's own API.

GET, HEAD and OPTIONS are reads: they are sent while looking, need no approval, and hold when the answer is as expected. Everything else is a write:
it is planned, approved, and sent with an `Idempotency-Key` header that is the same at every repetition of the step.

*Look*: sends a read; for a write nothing. *Plan*: `request: not sent -> POST https://flags.example/…`, its headers, the beginning of its body and
the request in `undo`, all without what looks like a secret. *Do*: sends the write; any status other than `expect` is a failure. *Verify*: of a read,
status and `contains`; of a write nothing (add a step that reads). *Undo*: the request in `undo`, as a step of its own; none without it.
*Risk*: whatever the other side does. Policy names the hosts; a redirect to another host is not followed, and headers that say where a request goes
(`Host`) or where it ends are refused. After a timeout it is unknown whether a write took effect: it is sent again only if `repeatable` (the default
for PUT and DELETE) says that this is safe. *Permissions*: the host in the policy file; tokens stand under `http:` in tocsin.yaml, by host and by
reference, never in the runbook.

*Facts* (for tests of runbooks), of reads only: `status` (default the first of `expect`, or 200), `body` (default what `contains` wants).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.clients import given as giving
from bot.clients.http import READS, Reply, place, quoted
from bot.clients.kit import Kit
from bot.domain.naming import clipped
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput

REPEATABLE = ("PUT", "DELETE")
LONGEST_QUOTE = 500
MOST_HEADERS = 50
SHOWN_HEADER, SHOWN_BODY = 200, 800
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, token
# They decide where a request goes and where it ends, which policy and approvals are about.
FRAMING = re.compile(
    r"host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-.*", re.I
)
HIDDEN = re.compile(r"auth|cookie|credential|key|pass|secret|signature|token", re.I)


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("must be an http:// or https:// address")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or password; use headers")
    if not url.isprintable():
        raise ValueError("must not have a line break or another control character in it")
    return url


def _sendable(headers: Mapping[str, str]) -> Mapping[str, str]:
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"at most {MOST_HEADERS} headers are possible")
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is not the name of a header")
        if FRAMING.fullmatch(name):
            raise ValueError(f"{name} is the client's own to set: policy judges the host in `url`")
        if any(ord(character) < 32 and character != "\t" for character in value):
            raise ValueError(f"{name} has a line break or another control character in it")
    return headers


Headers = Annotated[Mapping[str, str], Field(description="headers to send"), AfterValidator(_sendable)]
Url = Annotated[str, Field(max_length=4000, description="http:// or https:// address"), AfterValidator(_address)]


class Back(BaseModel):
    """The request that takes a write back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field(default="POST", description="how")
    url: Url
    headers: Headers = Field(default_factory=dict)
    body: str = Field(default="", max_length=100_000, description="the body, as text")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="GET", description="GET, HEAD and OPTIONS only look, everything else may change something"
    )
    url: Url
    headers: Headers = Field(default_factory=dict)
    body: str = Field(default="", max_length=100_000, description="the body, as text; say its type in the headers")
    expect: tuple[int, ...] = Field(default=(), description="statuses that count as success; none: every 2xx")
    contains: str = Field(default="", max_length=1000, description="text that the answer to a read must contain")
    repeatable: bool | None = Field(default=None, description="whether sending it twice is as good as once")
    undo: Back | None = Field(default=None, description="of a write: the request that takes it back")

    @field_validator("expect", mode="before")
    @classmethod
    def _several(cls, expect: Any) -> Any:
        return (expect,) if isinstance(expect, int | str) else expect

    @property
    def reads(self) -> bool:
        return self.method in READS

    @model_validator(mode="after")
    def _undoes_a_write(self) -> Self:
        if self.undo is not None and self.reads:
            raise ValueError("undo: a read changes nothing that could be taken back")
        return self


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int | None = Field(default=None, ge=100, le=599)
    body: str | None = None


class Plugin:
    """http.request"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = False
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        return params.method in REPEATABLE if params.repeatable is None else params.repeatable

    def target(self, params: Params) -> Target:
        where = urlsplit(params.url).hostname or ""
        return Target(action="http.request", host=where, lock=f"{where}{urlsplit(params.url).path}")

    async def look(self, params: Params) -> dict[str, Any]:
        if not params.reads:
            return {"sent": False}
        reply = await self._kit.http.request(params.method, params.url, headers=params.headers)
        return self._seen(reply.status, reply.text, params)

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        shown = self._kit.redact(place(params.url))
        if params.reads:
            return Plan(target=shown)
        sent = f"{params.method} {self._shown(params.url)}"
        diffs = [Diff(what="request", before="not sent", after=sent, note=_size(params.body))]
        diffs += [
            Diff(what=f"header {name}", before="none", after=self._value(name, value))
            for name, value in sorted(params.headers.items())
        ]
        if params.body:
            shown_body = clipped(self._kit.redact(params.body), SHOWN_BODY)
            diffs.append(Diff(what="body", before="none", after=shown_body))
        if params.undo:
            back = f"{params.undo.method} {self._shown(params.undo.url)}"
            diffs.append(Diff(what="undo", before="none", after=back, note=_size(params.undo.body)))
        return Plan(target=shown, diffs=tuple(diffs), want={"sha256": _digest(params)})

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        reply = await self._kit.http.request(
            params.method,
            params.url,
            headers={**params.headers, "Idempotency-Key": key},
            body=params.body.encode() or None,
        )
        if not _as_expected(reply.status, params):
            raise self._failure(reply, params)
        return {"status": reply.status, "answer": quoted(reply.text, self._kit.redact, LONGEST_QUOTE)}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        if not state["sent"]:
            return None
        if not _as_expected(state["status"], params):
            return f"{place(params.url)} answered {state['status']}: {state['quote']}".strip(": ")
        return None if state["contains"] else f"the answer of {place(params.url)} does not contain {params.contains!r}"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        if params.undo is None:
            return None
        return Undo(action="http.request", with_=params.undo.model_dump(mode="json"))

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        told = giving.read(Facts, given)
        if not params.reads:
            if given:
                raise BadInput(f"facts: a {params.method} looks at nothing before it is sent, so there is none to give")
            return {"sent": False}
        status = told.status or (params.expect[0] if params.expect else 200)
        return self._seen(status, params.contains if told.body is None else told.body, params)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return dict(state)

    def _seen(self, status: int, text: str, params: Params) -> dict[str, Any]:
        quote = quoted(text, self._kit.redact, LONGEST_QUOTE)
        return {"sent": True, "status": status, "quote": quote, "contains": params.contains in text}

    def _shown(self, url: str) -> str:
        """With its query: that is a part of what is approved."""
        return self._kit.redact(url)

    def _value(self, name: str, value: str) -> str:
        return "(not shown)" if HIDDEN.search(name) else clipped(self._kit.redact(value), SHOWN_HEADER)

    def _failure(self, reply: Reply, params: Params) -> Exception:
        """A status that was not expected. A success that was not expected (a 204 for a 201) is final as well: it was sent."""
        if reply.status < 400:
            wanted = ", ".join(str(status) for status in params.expect)
            return BadInput(f"{place(params.url)} answered {reply.status}; expected {wanted or '2xx'}")
        return self._kit.http.refused(reply)


def _size(body: str) -> str:
    return f"with a body of {len(body.encode())} bytes" if body else ""


def _as_expected(status: int, params: Params) -> bool:
    return status in params.expect if params.expect else 200 <= status < 300


def _digest(params: Params) -> str:
    """Over everything that will be sent, so that an approval is of exactly this request; secrets in it do not show."""
    headers = sorted((name.lower(), value) for name, value in params.headers.items())
    back = params.undo.model_dump(mode="json") if params.undo else None
    sent = json.dumps([params.method, params.url, headers, params.body, back], sort_keys=True)
    return hashlib.sha256(sent.encode()).hexdigest()
