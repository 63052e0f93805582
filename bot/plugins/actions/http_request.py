"""Send one HTTP request: a feature flag, a cache purge, a deploy tool's own API.

GET, HEAD and OPTIONS are reads: they are sent while looking, need no approval, and hold when the answer is as expected. Everything else is a write:
it is planned, approved, and sent with an `Idempotency-Key` header that is the same at every repetition of the step.

*Look*: sends a read; for a write nothing. *Plan*: `request: not sent -> POST https://flags.example/…` with the body's size. *Do*: sends the write;
any status other than `expect` is a failure. *Verify*: of a read, status and `contains`; of a write nothing (add a step that reads). *Undo*: none.
*Risk*: whatever the other side does. Policy names the hosts; a redirect to another host is not followed. After a timeout it is unknown whether a
write took effect: it is sent again only if `repeatable` (the default for PUT and DELETE) says that this is safe. *Permissions*: the host in the
policy file; tokens stand under `http:` in tocsin.yaml, by host and by reference, never in the runbook.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.clients.http import READS, Reply, place
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target
from bot.errors import BadInput

REPEATABLE = ("PUT", "DELETE")
LONGEST_QUOTE = 500


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = Field(default="GET")
    url: str = Field(max_length=4000, description="http:// or https:// address")
    headers: Mapping[str, str] = Field(default_factory=dict, description="headers to send")
    body: str = Field(default="", max_length=100_000, description="the body, as text; say its type in the headers")
    expect: tuple[int, ...] = Field(default=(), description="statuses that count as success; none: every 2xx")
    contains: str = Field(default="", max_length=1000, description="text that the answer to a read must contain")
    repeatable: bool | None = Field(default=None, description="whether sending it twice is as good as once")

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("must not carry a user or password; use headers")
        return url

    @field_validator("expect", mode="before")
    @classmethod
    def _several(cls, expect: Any) -> Any:
        return (expect,) if isinstance(expect, int | str) else expect

    @property
    def reads(self) -> bool:
        return self.method in READS


class Plugin:
    """http.request"""

    writes = True
    observable = False

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        return params.method in REPEATABLE if params.repeatable is None else params.repeatable

    def target(self, params: Params) -> Target:
        return Target(action="http.request", host=urlsplit(params.url).hostname or "")

    async def look(self, params: Params) -> dict[str, Any]:
        if not params.reads:
            return {"sent": False}
        reply = await self._kit.http.request(params.method, params.url, headers=params.headers)
        quote = self._kit.redact(reply.text[:LONGEST_QUOTE])
        return {"sent": True, "status": reply.status, "quote": quote, "contains": params.contains in reply.text}

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
    headers = "\n".join(f"{name.lower()}:{value}" for name, value in sorted(params.headers.items()))
    return hashlib.sha256(f"{params.method} {params.url}\n{headers}\n\n{params.body}".encode()).hexdigest()
