"""Which earlier version to go back to, for what keeps a history of versions: Helm releases, Argo CD applications. Pure.

With `to`: that one. Without it the version under suspicion is the newest one from before `before` (left out: the newest of all), and the wanted one
is what ran last, and ran well, among those first deployed earlier than the suspect. Versions of one `kind` are the same thing, deployed again: going
back adds a version of an older kind. So once what runs is older than the suspect there is nothing to do, and a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from bot.clients import spoken
from bot.errors import BadInput


class Version(BaseModel):
    """One line of a history. `good`: it was deployed completely, so it can be gone back to."""

    model_config = ConfigDict(frozen=True)

    number: int
    kind: str
    at: datetime
    good: bool


V = TypeVar("V", bound=Version)


Unset = BeforeValidator(lambda value: None if value == "" else value)  # a template that gives nothing


class Choice(BaseModel):
    """The parameters that say which version is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    to: Annotated[Annotated[int, Field(ge=0)] | None, Unset] = Field(
        default=None, description="go back to exactly this number of the history, instead of the one before the suspect"
    )
    before: Annotated[AwareDatetime | None, Unset] = Field(
        default=None, description="when the trouble had begun (ISO 8601): `{{ incident.opened_at }}`"
    )
    within: timedelta = Field(
        default=timedelta(hours=24), description="how old, at `before`, the suspect deployment may be at most"
    )


def wanted(history: Sequence[V], choice: Choice, what: str, field: str) -> V | None:
    """The version to go back to; None when that is what runs. `history` is in order of its numbers, its last one is what runs.

    `what` names the thing in messages (`release shop/checkout`), `field` what the number of a version is called there (`revision`).
    """
    if not history:
        raise BadInput(f"{what} has no history: there is nothing to go back to")
    current = history[-1]
    if choice.to is not None:
        found: V | None = _named(history, choice.to, what, field)
    else:
        found = _before_the_suspect(history, choice, what, field)
    if found is None or (found.kind == current.kind and current.good):
        return None
    return found


def _named(history: Sequence[V], number: int, what: str, field: str) -> V:
    found = next((one for one in history if one.number == number), None)
    if found is None:
        have = ", ".join(str(one.number) for one in history)
        raise BadInput(f"{what} has no {field} {number} in its history (it has: {have})")
    return found


def _before_the_suspect(history: Sequence[V], choice: Choice, what: str, field: str) -> V | None:
    before = choice.before
    known = [one for one in history if before is None or one.at <= before]
    if not known:
        raise BadInput(f"{what}: nothing that is still in its history was deployed before {before}")
    first: dict[str, Version] = {}
    for one in history:
        first.setdefault(one.kind, one)
    suspect = max((first[one.kind] for one in known), key=lambda one: one.number)
    older = [one for one in history if first[one.kind].number < suspect.number]
    if history[-1] in older and history[-1].good:
        return None
    if before is not None and suspect.at < before - choice.within:
        raise BadInput(
            f"{what}: nothing was deployed in the {spoken.length(choice.within.total_seconds())} before {_shown(before)} "
            f"({field} {suspect.number} is of {_shown(suspect.at)}), so a rollback is unlikely to help. "
            f"To go back all the same, give `to`"
        )
    good = [one for one in older if one.good]
    if not good:
        raise BadInput(f"{what} has nothing good in its history from before {field} {suspect.number}")
    return good[-1]


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
