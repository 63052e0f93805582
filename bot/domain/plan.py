"""What an action would change, as a typed diff with a digest. An approval is of a plan, so the digest is what a click carries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
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
    `leaves` (how many of the target's pods stay available at worst) and `share` (which part of the targets is touched at once, 0 to 1) are for
    the policy; they change by themselves, so they are no part of the digest.
    """

    model_config = ConfigDict(frozen=True)

    target: str
    diffs: tuple[Diff, ...] = ()
    want: Mapping[str, Any] = Field(default_factory=dict)
    leaves: int | None = None
    share: float | None = None

    def __bool__(self) -> bool:
        return bool(self.diffs)

    @property
    def digest(self) -> str:
        """16 hex digits over everything in the plan that is to be done: any drift gives another digest."""
        told = self.model_dump(mode="json", exclude={"leaves", "share"})
        canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
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


class Undo(BaseModel):
    """The use of an action that takes a step back: its name and its parameters, as values (no templates)."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    action: str
    with_: Mapping[str, Any] = Field(default_factory=dict, alias="with")


class Unclear(str):
    """What `verify` says when it cannot tell: no data, no answer. It is missing all the same, but proves nothing."""


class Question(BaseModel):
    """What a person is asked. Without `choices`: to do something and tick it; `text` asks for words as well (its label).

    `role`: who may answer (whoever may start runs, when empty); without an answer within `expires` the run ends.
    """

    model_config = ConfigDict(frozen=True)

    words: str
    choices: tuple[str, ...] = ()
    text: str = ""
    role: str = ""
    expires: timedelta = timedelta(hours=4)


class Target(BaseModel):
    """What policy judges: whom an action would touch. Empty fields do not apply.

    `folder`: an absolute path. `images`: what it would make a cluster run. `lock`: what no two runs may change at the same time; derived from
    the other fields when empty.
    """

    model_config = ConfigDict(frozen=True)

    action: str
    namespace: str = ""
    name: str = ""
    host: str = ""
    folder: str = ""
    images: tuple[str, ...] = ()
    replicas: int | None = None
    lock: str = ""

    def __str__(self) -> str:
        named = "/".join(part for part in (self.namespace, self.name) if part)
        return named or self.host or self.folder or self.action

    @property
    def locked(self) -> str:
        return self.lock or str(self)
