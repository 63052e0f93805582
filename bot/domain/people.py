"""Who can be paged, and who acted. Filled from oncall.yaml, with what people changed by themselves (roster.py) laid over it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from bot.domain import schedule as schedules
from bot.domain.contact import SLACK, Method, Notify
from bot.domain.quiet import OwnHours
from bot.domain.roster import Roster
from bot.domain.schedule import Schedule


class Person(BaseModel):
    """Someone in oncall.yaml. `slack` is a Slack user id. `zone`: in whose time they are told (empty: that of the schedule, else UTC).

    `methods`: how they can be reached beside Slack. `notify`: severity -> their rules (`` for all other severities). `template`: a Jinja2 text of
    their own for pages. `recovery`: whether they are told that what they were paged for is over.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    name: str
    slack: str = ""
    email: str = ""
    zone: str = ""
    quiet: OwnHours = OwnHours()
    methods: tuple[Method, ...] = ()
    notify: Mapping[str, tuple[Notify, ...]] = Field(default_factory=dict)
    template: str = ""
    recovery: bool = True

    @property
    def ways(self) -> tuple[Method, ...]:
        """All methods, Slack first when there is a Slack id."""
        own = (Method(key=SLACK, medium=SLACK, address=self.slack),) if self.slack else ()
        return (*own, *(method for method in self.methods if method.key != SLACK))


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
    """Everybody: people, schedules (rotations among them), groups, roles; and the media that are set up, name -> kind (severity.MEDIA).

    A target is `person:ada`, `schedule:shop` (or `rotation:shop`, the same), `group:payments`, `channel:ops` (in Slack) or `medium:teams`.
    """

    model_config = ConfigDict(frozen=True)

    people: Mapping[str, Person] = Field(default_factory=dict)
    schedules: Mapping[str, Schedule] = Field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    media: Mapping[str, str] = Field(default_factory=lambda: {SLACK: SLACK})

    def by_slack(self, user_id: str, name: str = "") -> Actor:
        """The actor behind a Slack user id."""
        for person in self.people.values():
            if person.slack and person.slack == user_id:
                return Actor(id=person.key, name=person.name)
        return Actor(id=f"slack:{user_id}", name=name or user_id)

    def with_roster(self, roster: Roster) -> Directory:
        """This directory, with what people changed by themselves. Their own methods stand behind those of oncall.yaml; a preference replaces it."""
        people = {key: _changed(person, roster) for key, person in self.people.items()}
        by_schedule: dict[str, list[schedules.Override]] = {}
        for override in roster.overrides:
            by_schedule.setdefault(override.schedule, []).append(override)
        feeds = {name: feed.shifts for name, feed in roster.feeds.items()}
        changed = {}
        for key, schedule in self.schedules.items():
            wanted = {layer.feed for layer in schedule.layers if layer.feed}
            changed[key] = schedule.model_copy(
                update={
                    "overrides": tuple(by_schedule.get(key, ())),
                    "feeds": {name: feeds.get(name, ()) for name in wanted},
                }
            )
        return self.model_copy(update={"people": people, "schedules": changed})

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

    def resolve(self, target: str, at: datetime) -> tuple[str, ...]:
        """Whom a target means at that time: `person:…`, `channel:…` and `medium:…`, each once; empty for nobody."""
        kind, _, name = target.partition(":")
        if kind in ("schedule", "rotation"):
            schedule = self.schedules.get(name)
            keys = schedules.on_call(schedule, at) if schedule else ()
        elif kind == "group":
            keys = self.groups.get(name, ())
        elif kind == "person":
            keys = (name,)
        elif kind == "medium":
            return (target,) if name in self.media else ()
        else:
            return (target,)
        return tuple(f"person:{key}" for key in dict.fromkeys(keys) if key in self.people)


def _changed(person: Person, roster: Roster) -> Person:
    own = tuple(one.method for one in roster.methods.get(person.key, ()) if one.removed_at is None)
    chosen = roster.preferences.get(person.key)
    update: dict[str, object] = {"methods": (*person.methods, *own)} if own else {}
    if chosen is not None:
        given = {"notify": chosen.notify, "quiet": chosen.quiet, "zone": chosen.zone, "recovery": chosen.recovery}
        update |= {name: value for name, value in given.items() if value is not None}
    return person.model_copy(update=update) if update else person
