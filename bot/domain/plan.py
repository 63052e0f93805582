"""What an action would change, as a typed diff with a digest. An approval is of a plan, so the digest is what a click carries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

DIGEST_LENGTH = 16


class Diff(BaseModel):
    """One line of a plan: `replicas: 3 -> 6`. `note` says what a reader needs beside it."""

    model_config = ConfigDict(frozen=True)

    what: str
    before: str
    after: str
    note: str = ""

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.what}: {self.before} -> {self.after}{note}"


class Plan(BaseModel):
    """What will be done to `target` (people's words, `Deployment shop/checkout`). No diffs: it is already as desired.

    `want` holds what `do` needs and what it was planned upon (a generation, a template): JSON values, not shown, part of the digest.
    """

    model_config = ConfigDict(frozen=True)

    target: str
    diffs: tuple[Diff, ...] = ()
    want: Mapping[str, Any] = Field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.diffs)

    @property
    def digest(self) -> str:
        """16 hex digits over everything in the plan: any drift gives another digest."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:DIGEST_LENGTH]

    def lines(self) -> list[str]:
        """The plan as it is shown everywhere: in Slack, on the command line, in the post-mortem."""
        if not self.diffs:
            return [f"{self.target}: nothing to do, it is already so"]
        shown = [f"  {self.target}"]
        for diff in self.diffs:
            note = f"   ({diff.note})" if diff.note else ""
            shown += [f"- {diff.what}: {diff.before}", f"+ {diff.what}: {diff.after}{note}"]
        return shown


class Target(BaseModel):
    """What policy judges: whom an action would touch. Empty fields do not apply."""

    model_config = ConfigDict(frozen=True)

    action: str
    namespace: str = ""
    name: str = ""
    host: str = ""
    replicas: int | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.namespace, self.name) if part) or self.host or self.action
