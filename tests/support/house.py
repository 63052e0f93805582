"""The whole flow over a memory store, fakes at the other ports and a clock set by hand: what tests/flow drives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.clients.expressions import CelExpressions
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.alert import Alert
from bot.domain.allowance import Allowance
from bot.domain.escalation import Level, Policy
from bot.domain.incident import Incident
from bot.domain.links import Links
from bot.domain.people import Actor, Directory, Person
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.ports import Doing, Gatherer, Store
from bot.domain.redaction import Redactor
from bot.domain.routing import Route, Routing
from bot.domain.rules import Rules
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.signal import Signal
from bot.domain.signing import Signer
from bot.domain.triage import Verdict
from bot.flow.advance import Advance
from bot.flow.answers import Answers
from bot.flow.bundling import Bundles
from bot.flow.context import ContextEffects
from bot.flow.deadlines import Deadlines
from bot.flow.decisions import Decisions
from bot.flow.delivery import ChannelEffects
from bot.flow.digest import Digests
from bot.flow.escalation import Escalation
from bot.flow.housekeeping import Housekeeping
from bot.flow.incidents import Incidents
from bot.flow.intake import Intake
from bot.flow.notices import Notices
from bot.flow.pages import Pages
from bot.flow.review import Review
from bot.flow.roster import Rosters
from bot.flow.runbooks import Runbooks
from bot.flow.seeing import Sight
from bot.flow.sending import Sending
from bot.flow.silences import Silences
from bot.flow.worker import Worker
from bot.plugins import discover
from tests.support.clock import HandClock
from tests.support.fakes import FakeMedium, FakeRoom, MemoryDocuments, PlainTemplates, SetAction

ADA = Actor(id="ada", name="Ada")
BOB = Actor(id="bob", name="Bob")
MALLORY = Actor(id="slack:U0MAL", name="Mallory")

PEOPLE = {
    "ada": Person(key="ada", name="Ada", slack="U0ADA"),
    "bob": Person(key="bob", name="Bob", slack="U0BOB"),
    "eve": Person(key="eve", name="Eve"),
}
SHOP = Policy(
    key="shop",
    levels=(
        Level(targets=("person:ada",), timeout=timedelta(minutes=5)),
        Level(targets=("person:bob", "channel:ops"), timeout=timedelta(minutes=5)),
    ),
)
FIX = Runbook.model_validate(
    {
        "name": "fix-it",
        "title": "Fix it",
        "match": ['alertname="Broken"'],
        "params": {"name": {"label": "service"}},
        "approve": {"role": "responders", "expires": "PT30M"},
        "steps": [{"id": "set", "action": "fake.set", "with": {"name": "{{ params.name }}", "to": 5}}],
    }
)


def rules(**update: Any) -> Rules:
    return replace(
        Rules(
            signal=Signal(Routing(Route(policy="shop"))),
            escalations={"shop": SHOP},
            default_escalation="shop",
            directory=Directory(people=PEOPLE, roles={"responders": ("ada", "bob")}),
            runbooks={"fix-it": FIX},
            actions=ActionPolicy(allow=(Allowance(actions=("fake.*",), namespaces=("shop",)),)),
        ),
        **update,
    )


def people_actions() -> dict[str, Doing]:
    """The real actions that need nothing of the outside: they ask, wait, and tell."""
    kit, actions = Kit(None, None, Http(str), str), discover("actions")
    return {name: actions[name].Plugin(kit) for name in ("ask", "manual", "wait", "slack.post", "page")}


class House:
    """Everything but the outside. `settle()` delivers all that is due."""

    def __init__(
        self,
        store: Store,
        given: Rules | None = None,
        gatherers: dict[str, Gatherer] | None = None,
        clock: HandClock | None = None,
        media: Mapping[str, FakeMedium] | None = None,
    ) -> None:
        self.store = store
        self.clock = clock or HandClock()
        self.room = FakeRoom()
        self.world: dict[str, int] = {"checkout": 1}
        self.action = SetAction(self.world)
        self.documents = MemoryDocuments()
        self.rules = given or rules()
        templates = PlainTemplates()
        self.intake = Intake(store, self.clock, lambda: self.rules)
        self.media: dict[str, FakeMedium] = dict(media or {})
        self.rosters = Rosters()
        self.sending = Sending(self.room, self.media, templates, Links("https://tocsin.test", Signer("secret")))
        self.incidents = Incidents(store, self.clock, lambda: self.rules, lambda text: text, self.pause)
        self.answers = Answers(store, self.incidents, self.clock, lambda: self.rules, self.rosters)
        self.silences = Silences(store, self.clock, lambda: self.rules, Redactor({}))
        self.runbooks = Runbooks(store, self.room, self.clock, lambda: self.rules, Redactor({}))
        self.decisions = Decisions(store, self.clock, lambda: self.rules, lambda text: text)
        self.actions: dict[str, Doing] = {"fake.set": self.action, **people_actions()}
        sight = Sight(self.actions, templates, CelExpressions(), lambda: self.rules)
        self.advance = Advance(store, self.clock, lambda: self.rules, sight, lambda text: text)
        self.review = Review(store, self.room, self.clock, templates, self.documents)
        self.digests = Digests(store, self.room, self.clock, lambda: self.rules)
        self.housekeeping = Housekeeping(store, self.clock, lambda: self.rules, self.digests, self.intake, self.rosters)
        self.handlers = {
            **self.intake.handlers(),
            **self.silences.handlers(),
            **self.digests.handlers(),
            **ChannelEffects(store, self.room, self.clock).handlers(),
            **Escalation(store, self.clock, lambda: self.rules, self.rosters).handlers(),
            **Pages(store, self.sending, self.clock, lambda: self.rules, self.rosters).handlers(),
            **Bundles(store, self.sending, self.clock, lambda: self.rules, self.rosters).handlers(),
            **Notices(store, self.sending, self.clock, lambda: self.rules, self.rosters).handlers(),
            **Deadlines(self.clock, lambda: self.rules, self.rosters, self.sending.links).handlers(),
            **ContextEffects(store, self.room, self.clock, gatherers or {}, lambda text: text).handlers(),
            **self.runbooks.handlers(),
            **self.advance.handlers(),
            **self.review.handlers(),
        }
        self.worker = Worker(store, self.handlers, self.clock, "house", self.housekeeping.row_died)

    async def receive(self, *alerts: Alert) -> list[Verdict]:
        """One delivery, through the real intake."""
        running = asyncio.create_task(self.intake.run())
        try:
            return await self.intake.accept(alerts)
        finally:
            running.cancel()

    async def pause(self, seconds: float) -> None:
        """Lets others run; no time passes."""
        await asyncio.sleep(0)

    async def settle(self) -> None:
        await self.worker.drain()

    async def wait(self, **by: float) -> None:
        """Move the clock and deliver what has come due."""
        self.clock.forward(**by)
        await self.settle()

    async def incident(self, number: int = 1) -> Incident:
        return (await self.incidents.show(number)).incident

    async def run(self, number: int = 1) -> Run:
        run = await self.store.read(lambda tx: tx.run(number))
        assert run is not None
        return run

    async def kinds(self, number: int = 1) -> list[str]:
        return [entry.kind for entry in (await self.incidents.show(number)).timeline]

    async def texts(self, number: int = 1) -> list[str]:
        return [entry.text for entry in (await self.incidents.show(number)).timeline]

    def alert(self, name: str = "Broken", firing: bool = True, fingerprint: str = "f1", **labels: str) -> Alert:
        every = {"alertname": name, "service": "checkout", "severity": "critical", **labels}
        ends = None if firing else self.clock()
        return Alert("test", fingerprint, firing, every, {"summary": f"{name} on checkout"}, self.clock(), ends)


def refs(incidents: Sequence[Incident]) -> list[str]:
    return [incident.ref for incident in incidents]
