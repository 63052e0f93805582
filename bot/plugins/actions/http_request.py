"""Send one HTTP request: a feature flag, a cache purge, a deploy tool's own API.

GET, HEAD and OPTIONS are reads: they are sent while looking, need no approval, and hold when the answer is as expected. Everything else is a write:
it is planned, approved, and sent with an `Idempotency-Key` header that is the same at every repetition of the step.

*Look*: sends a read; for a write nothing. *Plan*: `request: not sent -> POST https://flags.example/…` with the body's size. *Do*: sends the write;
any status other than `expect` is a failure. *Verify*: of a read, status and `contains`; of a write nothing (add a step that reads). *Undo*: the
request in `undo`, as a step of its own; none without it.
*Risk*: whatever the other side does. Policy names the hosts; a redirect to another host is not followed. After a timeout it is unknown whether a
write took effect: it is sent again only if `repeatable` (the default for PUT and DELETE) says that this is safe. *Permissions*: the host in the
policy file; tokens stand under `http:` in tocsin.yaml, by host and by reference, never in the runbook.

*Facts* (for tests of runbooks), of reads only: `status` (default the first of `expect`, or 200), `body` (default what `contains` wants).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.clients import given as giving
from bot.clients.http import READS, Reply, place
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput

REPEATABLE = ("PUT", "DELETE")
LONGEST_QUOTE = 500


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or password; use headers")
    return url


Url = Annotated[str, Field(max_length=4000, description="http:// or https:// address"), AfterValidator(_address)]


class Back(BaseModel):
    """The request that takes a write back."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field(default="POST", description="how")
    url: Url
    headers: Mapping[str, str] = Field(default_factory=dict, description="headers to send")
    body: str = Field(default="", max_length=100_000, description="the body, as text")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="GET", description="GET, HEAD and OPTIONS only look, everything else may change something"
    )
    url: Url
    headers: Mapping[str, str] = Field(default_factory=dict, description="headers to send")
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
        shown = place(params.url)
        if params.reads:
            return Plan(target=shown)
        size = len(params.body.encode())
        diff = Diff(
            what="request",
            before="not sent",
            after=f"{params.method} {shown}",
            note=f"with a body of {size} bytes" if size else "",
        )
        return Plan(target=shown, diffs=(diff,), want={"sha256": _digest(params)})

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        reply = await self._kit.http.request(
            params.method,
            params.url,
            headers={**params.headers, "Idempotency-Key": key},
            body=params.body.encode() or None,
        )
        if not _as_expected(reply.status, params):
            raise self._failure(reply, params)
        return {"status": reply.status, "answer": self._kit.redact(reply.text[:LONGEST_QUOTE])}

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
        quote = self._kit.redact(text[:LONGEST_QUOTE])
        return {"sent": True, "status": status, "quote": quote, "contains": params.contains in text}

    def _failure(self, reply: Reply, params: Params) -> Exception:
        """A status that was not expected. A success that was not expected (a 204 for a 201) is final as well: it was sent."""
        if reply.status < 400:
            wanted = ", ".join(str(status) for status in params.expect)
            return BadInput(f"{place(params.url)} answered {reply.status}; expected {wanted or '2xx'}")
        return self._kit.http.refused(reply)


def _as_expected(status: int, params: Params) -> bool:
    return status in params.expect if params.expect else 200 <= status < 300


def _digest(params: Params) -> str:
    """Over everything that will be sent, so that an approval is of exactly this request; secrets in it do not show."""
    headers = sorted((name.lower(), value) for name, value in params.headers.items())
    back = params.undo.model_dump(mode="json") if params.undo else None
    sent = json.dumps([params.method, params.url, headers, params.body, back], sort_keys=True)
    return hashlib.sha256(sent.encode()).hexdigest()
