"""Two schedules, four people and everything around them over a memory store: what the tests of on-call drive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from bot.domain.contact import Method
from bot.domain.contact_told import Profile
from bot.domain.effects import Effect
from bot.domain.escalation import Level, Policy
from bot.domain.links import Links
from bot.domain.notice import Notice, Receipt
from bot.domain.people import Actor, Directory, Person
from bot.domain.ports import Delivery, Store, Tx
from bot.domain.rules import Rules
from bot.domain.schedule import Layer, Schedule
from bot.domain.signing import Signer
from bot.flow.contacts import Contacts, Senders
from bot.flow.delivery import Record
from bot.flow.duty import Duty
from bot.flow.oncall import OnCall
from bot.flow.overrides import Overrides
from bot.flow.preferences import OwnPreferences
from bot.flow.roster import Rosters
from bot.flow.worker import Worker
from bot.store import open_store
from tests.support.clock import HandClock

ADA, BOB, CHEN = Actor(id="ada", name="Ada"), Actor(id="bob", name="Bob"), Actor(id="chen", name="Chen")
EVE, MALLORY = Actor(id="eve", name="Eve"), Actor(id="slack:U0MAL", name="Mallory")
FIRST = datetime.fromisoformat(
    "2026-01-05T09:00"
)  # a Monday; from Monday 2026-03-02 09:00 in Berlin (08:00 UTC) it is Ada's turn
WEEK = timedelta(weeks=1)
PEOPLE = {
    "ada": Person(key="ada", name="Ada Lovelace", slack="U0ADA", zone="Europe/Berlin"),
    "bob": Person(
        key="bob", name="Bob Kahn", slack="U0BOB", methods=(Method(key="sms", medium="sms", address="+4915100000"),)
    ),
    "chen": Person(key="chen", name="Chen Ning", slack="U0CHEN", zone="America/New_York"),
    "eve": Person(key="eve", name="Eve"),
}
SHOP = Schedule(
    key="shop",
    zone="Europe/Berlin",
    layers=(Layer(name="week", turns=(("ada",), ("chen",)), starts=FIRST, every=WEEK),),
    tell="ops",
    slack_group="S0SHOP",
)
# Nobody on call after 2026-03-06 09:00.
TRIAL = Schedule(
    key="trial",
    zone="UTC",
    layers=(Layer(name="one", turns=(("bob",),), starts=FIRST, until=datetime.fromisoformat("2026-03-06T09:00")),),
)
POLICY = Policy(key="shop", levels=(Level(targets=("schedule:shop",)), Level(targets=("person:bob", "channel:ops"))))
MEDIA = {"slack": "slack", "sms": "sms", "voice": "call", "email": "email", "hook": "webhook", "telegram": "chat"}


@dataclass
class FakeMedium:
    """Remembers what was sent; `failure` is raised instead."""

    kind: str = "sms"
    acknowledged: bool = False
    sent: list[tuple[Notice, str]] = field(default_factory=list)
    failure: Exception | None = None
    answer: str = "queued as SM1"

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        if self.failure is not None:
            raise self.failure
        self.sent.append((notice, address))
        return Receipt(provider_id="SM1", answer=self.answer)


@dataclass
class FakeRoomForOne:
    """The part of the room that on-call uses by itself."""

    told: list[tuple[Notice, str, str]] = field(default_factory=list)

    async def notice(self, notice: Notice, target: str, address: str, again: bool) -> str:
        self.told.append((notice, target, address))
        return "ts-1"


@dataclass
class FakeGroups:
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    failure: Exception | None = None

    async def set_members(self, group: str, users: Sequence[str]) -> bool:
        if self.failure is not None:
            raise self.failure
        changed = self.groups.get(group) != tuple(users)
        self.groups[group] = tuple(users)
        return changed


@dataclass
class FakeProfiles:
    profile: Profile = field(default_factory=Profile)

    async def of(self, slack_id: str) -> Profile:
        return self.profile


class OnCallHouse:
    """`told`: every notice that was to be sent, as (target, medium, address, notice); `alarms`: what came into the fallback channel."""

    def __init__(self, store: Store, **directory: Any) -> None:
        self.store = store
        self.clock = HandClock()
        given = {
            "people": PEOPLE,
            "schedules": {"shop": SHOP, "trial": TRIAL},
            "groups": {"pay": ("ada", "bob")},
            "media": MEDIA,
        }
        self.rules = Rules(directory=Directory(**{**given, **directory}), escalations={"shop": POLICY, "late": POLICY})
        self.rosters = Rosters()
        self.links = Links("https://tocsin.example.com", Signer("a secret"))
        self.media: dict[str, FakeMedium] = {name: FakeMedium(kind) for name, kind in MEDIA.items() if name != "slack"}
        self.room, self.groups, self.profiles = FakeRoomForOne(), FakeGroups(), FakeProfiles()
        self.codes = iter([(f"{number:06}", f"salt{number % 7}") for number in range(111111, 111199)])
        common = (store, self.clock, lambda: self.rules, self.rosters)
        self.looking = OnCall(*common, self.links)
        self.overrides = Overrides(*common, lambda text: text.replace("hunter2", "[secret]"))
        self.preferences = OwnPreferences(*common)
        senders = Senders(self.media, self.room, self.profiles, lambda text: text.replace("hunter2", "[secret]"), 0.05)  # type: ignore[arg-type]
        self.contacts = Contacts(*common, senders, self.preferences, draw=lambda: next(self.codes))
        self.duty = Duty(*common, self.groups)
        self.told: list[tuple[str, str, str, Notice]] = []
        self.alarms: list[str] = []
        self.dead: list[str] = []
        handlers = {**self.duty.handlers(), "notify": self._notify, "alarm": self._alarm}
        self.worker = Worker(store, handlers, self.clock, "house", self._died)

    async def _notify(self, delivery: Delivery) -> Record | None:
        asked: Mapping[str, Any] = delivery.effect.payload
        notice = Notice.model_validate(asked["notice"])
        self.told.append((asked["target"], asked["medium"], asked["address"], notice))
        return None

    async def _alarm(self, delivery: Delivery) -> Record | None:
        self.alarms.append(delivery.effect.payload["text"])
        return None

    async def _died(self, tx: Tx, effect: Effect, error: str, now: datetime) -> None:
        self.dead.append(f"{effect.kind}: {error}")

    async def settle(self) -> None:
        await self.worker.drain()

    async def live(self, step: timedelta = timedelta(minutes=1), **time: float) -> None:
        """Let time pass, with housekeeping at every step."""
        end = self.clock() + timedelta(**time)
        while self.clock() < end:
            await self.duty.ask()
            await self.overrides.expire()
            await self.settle()
            self.clock.now = min(self.clock() + step, end)
        await self.duty.ask()
        await self.overrides.expire()
        await self.settle()

    def words(self, target: str) -> list[str]:
        """What was told to one target: subject and body."""
        return [f"{notice.subject}\n{notice.body}" for to, _, _, notice in self.told if to == target]

    async def on_call(self, name: str = "shop") -> tuple[str, ...]:
        (one,) = await self.looking.standings(name)
        return one.people

    def with_directory(self, **update: Any) -> None:
        self.rules = replace(self.rules, directory=self.rules.directory.model_copy(update=update))


async def oncall_house(**directory: Any) -> OnCallHouse:
    return OnCallHouse(await open_store("memory://"), **directory)


def at(text: str) -> datetime:
    """`03-02T10:00` of 2026, UTC."""
    return datetime.fromisoformat(f"2026-{text}:00+00:00")
