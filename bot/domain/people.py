"""Who can be paged, and who acted. Filled from oncall.yaml; a schedule or another medium later adds fields here, not tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.quiet import OwnHours


class Person(BaseModel):
    """Someone in oncall.yaml. `slack` is a Slack user id; without it the person cannot be paged through Slack."""

    model_config = ConfigDict(frozen=True)

    key: str
    name: str
    slack: str = ""
    email: str = ""
    quiet: OwnHours = OwnHours()


class Rotation(BaseModel):
    """People who take turns: the first from `starts`, each for `every`, in that order, over and over."""

    model_config = ConfigDict(frozen=True)

    key: str
    people: tuple[str, ...]
    every: timedelta
    starts: datetime

    def on_call(self, at: datetime) -> str | None:
        """The key of whoever has the turn at that time; None before the rotation starts or when it has nobody."""
        if not self.people or at < self.starts:
            return None
        return self.people[((at - self.starts) // self.every) % len(self.people)]


class Actor(BaseModel):
    """Who did something: a person (`ada`), a Slack user whom oncall.yaml does not know (`slack:U123`), the bot itself, or somebody at a sender."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str

    @property
    def known_here(self) -> bool:
        """Not only to a sender of alerts (`pagerduty:Ada`), so that Slack can be asked for them."""
        return ":" not in self.id or self.id.startswith("slack:")


TOCSIN = Actor(id="tocsin", name="Tocsin")


class Directory(BaseModel):
    """Everybody, as the configuration says it: people, rotations, roles and Slack channels by name."""

    model_config = ConfigDict(frozen=True)

    people: Mapping[str, Person] = Field(default_factory=dict)
    rotations: Mapping[str, Rotation] = Field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    def by_slack(self, user_id: str, name: str = "") -> Actor:
        """The actor behind a Slack user id."""
        for person in self.people.values():
            if person.slack and person.slack == user_id:
                return Actor(id=person.key, name=person.name)
        return Actor(id=f"slack:{user_id}", name=name or user_id)

    def free_at(self, target: str, severity: str, now: datetime) -> datetime | None:
        """When a `person:…` can be paged for this severity again, by their own hours; None when that is now, and for whatever is no person."""
        person = self.people.get(target.removeprefix("person:")) if target.startswith("person:") else None
        return person.quiet.until(severity, now) if person else None

    def has_role(self, actor: Actor, role: str) -> bool:
        return actor.id in self.roles.get(role, ())

    def name_of(self, target: str) -> str:
        """`person:ada` and `channel:ops` as people write them: `Ada Lovelace`, `#ops`."""
        kind, _, name = target.partition(":")
        person = self.people.get(name) if kind == "person" else None
        return person.name if person else f"#{name}" if kind == "channel" else name

    def resolve(self, target: str, at: datetime) -> str | None:
        """`person:ada`, `rotation:shop` or `channel:ops` to whom it means now: `person:…` or `channel:…`; None for nobody."""
        kind, _, name = target.partition(":")
        if kind == "rotation":
            rotation = self.rotations.get(name)
            person = rotation.on_call(at) if rotation else None
            return f"person:{person}" if person else None
        if kind == "person":
            return target if name in self.people else None
        return target
