"""Failures on demand: the API asks here what should go wrong with a request; set in Python or over HTTP."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.practice.cluster.auth import Ask
from bot.practice.cluster.errors import ApiError, conflict
from bot.practice.cluster.resources import ALL


class Fault(BaseModel):
    """What goes wrong, for which requests, how often. Patterns are shell patterns; `count` None means always.

    status: answer `status` (429 and 503 with Retry-After `retry_after`) and do nothing. timeout: never answer (the
    connection is dropped after `seconds`, 60 if 0). lost: do it, then drop the connection. slow: wait `seconds`, then
    do it. conflict: 409 as after someone else's write.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["status", "timeout", "lost", "slow", "conflict"]
    verb: str = "*"
    resource: str = "*"
    namespace: str = "*"
    name: str = "*"
    status: int = Field(default=503, ge=400, le=599)
    retry_after: int = Field(default=1, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    count: int | None = Field(default=1, ge=0)

    def matches(self, ask: Ask) -> bool:
        return all(
            fnmatchcase(value, pattern)
            for value, pattern in (
                (ask.verb, self.verb), (ask.resource, self.resource),
                (ask.namespace, self.namespace), (ask.name, self.name),
            )
        )  # fmt: skip

    def error(self, ask: Ask) -> ApiError:
        """The refusal of a `status` or `conflict` fault."""
        plural = ask.resource.partition("/")[0]
        known = next((r for r in ALL if r.plural == plural and r.group == ask.group), ALL[0])
        if self.kind == "conflict":
            return conflict(known, ask.name)
        if self.status == 429:
            text = "the server has received too many requests and has asked us to try again later"
            return ApiError(429, "TooManyRequests", text, {}, self.retry_after)
        if self.status == 503:
            text = "the server is currently unable to handle the request"
            return ApiError(503, "ServiceUnavailable", text, {}, self.retry_after)
        return ApiError(self.status, "InternalError", "Internal error occurred: fault injected by practice", {})


class Faults:
    """The faults that wait to happen, first match first."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self.waiting.append(fault)

    def clear(self) -> None:
        self.waiting.clear()

    def take(self, ask: Ask) -> Fault | None:
        """The fault for this request, counted down."""
        for fault in self.waiting:
            if not fault.matches(ask) or fault.count == 0:
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count == 0:
                    self.waiting.remove(fault)
            return fault
        return None
