"""A house with people who can be reached by several media: what the tests of pages share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.domain.contact import Method, Notify
from bot.domain.escalation import Level, Policy
from bot.domain.media import SLACK_RULES, MediumRules
from bot.domain.page import Page
from bot.domain.people import Directory, Person
from bot.domain.ports import Store
from bot.domain.routing import Route, Routing
from bot.domain.rules import Rules
from bot.domain.signal import Signal
from bot.store.memory import MemoryStore
from tests.support.clock import HandClock
from tests.support.fakes import FakeMedium
from tests.support.house import House, rules

ADA_SMS, ADA_CALL, BOB_SMS = "+4915100000001", "+4915100000002", "+4915100000003"
KINDS = {"slack": "slack", "sms": "sms", "voice": "call", "mail": "email", "pd": "pager"}
FIVE = timedelta(minutes=5)


def method(key: str, medium: str, address: str) -> Method:
    return Method(key=key, medium=medium, address=address)


ADA_METHODS = (method("sms", "sms", ADA_SMS), method("call", "voice", ADA_CALL))
PEOPLE = {
    "ada": Person(key="ada", name="Ada", slack="U0ADA", methods=ADA_METHODS),
    "bob": Person(key="bob", name="Bob", slack="U0BOB", methods=(method("sms", "sms", BOB_SMS),)),
    "cleo": Person(key="cleo", name="Cleo", methods=(method("mail", "mail", "cleo@example.com"),)),
}
PHONE_ONLY = Person(
    key="ada", name="Ada", methods=ADA_METHODS, notify={"": (Notify(method="sms"),)}
)  # without Slack, and nothing but an SMS


def shop(*levels: tuple[str, ...], **more: Any) -> Policy:
    return Policy(key="shop", levels=tuple(Level(targets=targets, timeout=FIVE) for targets in levels), **more)


TWO = shop(("person:ada",), ("person:bob",))


def given(
    policy: Policy = TWO,
    people: Mapping[str, Person] | None = None,
    media: Mapping[str, MediumRules] | None = None,
    **update: Any,
) -> Rules:
    """Rules by which everybody is paged by everything that there is."""
    made = {name: MediumRules(kind) for name, kind in KINDS.items()} | {"slack": SLACK_RULES} | dict(media or {})
    return replace(
        rules(
            signal=Signal(Routing(Route(policy="shop", group_by=("service",)))),
            escalations={"shop": policy},
            directory=Directory(
                people={**PEOPLE, **(people or {})},
                groups={"all": ("ada", "bob", "cleo")},
                roles={"responders": ("ada", "bob")},
                media={name: one.kind for name, one in made.items()},
            ),
            media=made,
        ),
        **update,
    )


def house(made: Rules | None = None, store: Store | None = None, clock: HandClock | None = None) -> House:
    media = {name: FakeMedium(kind, acknowledged=kind == "pager") for name, kind in KINDS.items() if name != "slack"}
    return House(store or MemoryStore(), made or given(), clock=clock, media=media)


async def opened(it: House, severity: str = "critical", service: str = "checkout") -> None:
    """One more incident, and all that is due delivered."""
    await it.receive(it.alert(f"Broken {service}", fingerprint=service, severity=severity, service=service))
    await it.settle()


async def pages(it: House, number: int = 1) -> tuple[Page, ...]:
    return await it.store.read(lambda tx: tx.pages_of(number))


async def states(it: House, number: int = 1) -> list[tuple[str, str]]:
    """(medium, state) of the incident's pages, oldest first."""
    return [(page.medium, str(page.state)) for page in await pages(it, number)]


def slack_pages(it: House) -> list[str]:
    return [act[1] for act in it.room.said("page")]
