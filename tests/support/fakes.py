"""Fakes at the ports: a room that remembers what was shown, an action over a plain dict, templates without Jinja2."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from bot.domain.alert import AlertState
from bot.domain.context import Context
from bot.domain.digest import Digest
from bot.domain.incident import Incident
from bot.domain.notice import Notice, Receipt
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.domain.run import Run
from bot.domain.step import StepRun
from bot.errors import BadInput, Drifted, TryLater


class FakeRoom:
    """A room in which every act is a line in `acts`; keys make an act happen once. `failures` are raised first, in order, by method name."""

    def __init__(self) -> None:
        self.acts: list[tuple[str, ...]] = []
        self.keys: dict[str, str] = {}
        self.failures: dict[str, list[Exception]] = {}
        self.cards: list[Incident] = []
        self.runs: list[Run] = []
        self.digests: list[Digest] = []
        self.contexts: list[Context] = []

    def said(self, method: str) -> list[tuple[str, ...]]:
        return [act for act in self.acts if act[0] == method]

    def _act(self, method: str, key: str, *words: str) -> str:
        waiting = self.failures.get(method, [])
        if waiting:
            raise waiting.pop(0)
        if key in self.keys:
            return self.keys[key]
        self.acts.append((method, *words))
        self.keys[key] = f"ts-{len(self.acts)}"
        return self.keys[key]

    async def open_channel(self, incident: Incident, again: bool) -> tuple[str, str]:
        self._act("open_channel", f"open:{incident.id}", incident.channel_name)
        return f"C{incident.id}", incident.channel_name

    async def invite(self, incident: Incident, people: Sequence[str]) -> list[str]:
        self._act("invite", f"invite:{incident.id}:{people}", *people)
        return []

    async def topic(self, incident: Incident) -> None:
        self._act("topic", f"topic:{incident.id}:{incident.seq}", incident.state)

    async def card(self, incident: Incident, alerts: Sequence[AlertState], runs: Sequence[Run], again: bool) -> str:
        self.cards.append(incident)
        return self._act("card", f"card:{incident.id}", incident.ref)

    async def say(self, incident: Incident, text: str, key: str, again: bool) -> str:
        return self._act("say", key, text)

    async def page(self, incident: Incident, target: str, level: int, key: str, again: bool, address: str = "") -> str:
        return self._act("page", key, target, str(level))

    async def notice(self, notice: Notice, target: str, address: str, again: bool) -> str:
        return self._act("notice", notice.key, notice.purpose, target, notice.subject)

    async def alarm(self, text: str, key: str, again: bool) -> str:
        return self._act("alarm", key, text)

    async def digest(self, channel: str, digest: Digest, key: str, again: bool) -> str:
        self.digests.append(digest)
        return self._act("digest", key, channel)

    async def show_context(self, incident: Incident, context: Context, again: bool) -> str:
        self.contexts.append(context)
        return self._act("show_context", f"context:{incident.id}", incident.ref)

    async def show_run(self, incident: Incident, run: Run, again: bool) -> str:
        self.runs.append(run)
        return self._act("show_run", f"run:{run.id}", run.ref)

    async def share_output(self, incident: Incident, run: Run, step: StepRun, text: str, key: str, again: bool) -> None:
        self._act("share_output", key, run.ref, step.id, text)

    async def post(self, incident: Incident, channel: str, text: str, key: str, again: bool) -> str:
        return self._act("post", key, channel, text)

    async def summon(self, incident: Incident, target: str, why: str, key: str, again: bool) -> str:
        return self._act("summon", key, target, why)

    async def share_postmortem(self, incident: Incident, text: str, key: str, again: bool) -> None:
        self._act("share_postmortem", key, text)


class FakeMedium:
    """A medium that remembers what it sent. `failures` are raised first, in order; `down` is raised every time. `before` is awaited with each act.

    `lose`: so many messages arrive and then fail as if the answer got lost. What was sent once is recognised by its key when asked `again`.
    """

    def __init__(self, kind: str, *, acknowledged: bool = False) -> None:
        self.kind = kind
        self.acknowledged = acknowledged
        self.sent: list[tuple[Notice, str]] = []
        self.failures: list[Exception] = []
        self.down: Exception | None = None
        self.lose = 0
        self.before: list[Callable[[], Awaitable[None]]] = []

    @property
    def addresses(self) -> list[str]:
        return [address for _, address in self.sent]

    def told(self, purpose: str) -> list[tuple[str, str]]:
        """(address, subject) of everything with this purpose."""
        return [(address, notice.subject) for notice, address in self.sent if notice.purpose == purpose]

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        for wait in self.before:
            await wait()
        if self.failures:
            raise self.failures.pop(0)
        if self.down is not None:
            raise self.down
        known = [
            number for number, (one, where) in enumerate(self.sent, 1) if (one.key, where) == (notice.key, address)
        ]
        if not (again and known):
            self.sent.append((notice, address))
        if self.lose:
            self.lose -= 1
            raise TryLater("the answer was lost", uncertain=True)
        return Receipt(provider_id=f"{self.kind}-{known[0] if again and known else len(self.sent)}", answer="queued")


class SetParams(BaseModel):
    name: str
    to: int


class SetAction:
    """Sets a number in `world`; writes are counted. `lose_answers`: so many acts happen and then fail as if the answer
    got lost. `before_do` and `after_do` are called with every act."""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "low"

    def __init__(self, world: dict[str, int], *, safe: bool = True) -> None:
        self.Params: type[BaseModel] = SetParams
        self.world = world
        self.safe = safe
        self.writes_done: list[str] = []
        self.lose_answers = 0
        self.share: float | None = None
        self.before_do: list[Any] = []
        self.after_do: list[Any] = []

    def repeatable(self, params: SetParams) -> bool:
        return self.safe

    def target(self, params: SetParams) -> Target:
        return Target(action="fake.set", namespace="shop", name=params.name)

    async def look(self, params: SetParams) -> dict[str, Any]:
        return {"value": self.world.get(params.name, 0)}

    def plan(self, state: Mapping[str, Any], params: SetParams) -> Plan:
        target = f"number {params.name}"
        if state["value"] == params.to:
            return Plan(target=target)
        diff = Diff(what="value", before=str(state["value"]), after=str(params.to))
        return Plan(target=target, diffs=(diff,), want={"from": state["value"]}, share=self.share)

    async def do(self, plan: Plan, params: SetParams, key: str) -> dict[str, Any]:
        for hook in self.before_do:
            hook()
        if self.world.get(params.name, 0) != plan.want["from"]:
            raise Drifted("the number has changed since the plan")
        self.world[params.name] = params.to
        self.writes_done.append(key)
        for hook in self.after_do:
            hook(params.name, params.to)
        if self.lose_answers:
            self.lose_answers -= 1
            raise TryLater("the answer was lost", uncertain=True)
        return {"was": plan.want["from"]}

    def verify(self, state: Mapping[str, Any], params: SetParams) -> str | None:
        return None if state["value"] == params.to else f"it is {state['value']}, not {params.to}"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: SetParams) -> Undo | None:
        return Undo(action="fake.set", with_={"name": params.name, "to": plan.want["from"]})

    def facts(self, given: Mapping[str, Any], params: SetParams) -> dict[str, Any]:
        return {"value": given.get("value", 0)}

    def after(self, state: Mapping[str, Any], plan: Plan, params: SetParams) -> dict[str, Any]:
        return {"value": params.to}


class PlainTemplates:
    """`{{ params.x }}` and `{{ item }}` by plain replacement; a post-mortem is its facts as JSON."""

    def value(self, template: Any, facts: Mapping[str, Any]) -> Any:
        if isinstance(template, Mapping):
            return {name: self.value(one, facts) for name, one in template.items()}
        if isinstance(template, list | tuple):
            return [self.value(one, facts) for one in template]
        if isinstance(template, str):
            known = {"item": facts.get("item")}
            known |= {f"params.{name}": value for name, value in facts["params"].items()}
            known |= {
                f"steps.{step}.{name}": value
                for step, given in facts["steps"].items()
                if isinstance(given, Mapping)
                for name, value in given.items()
            }
            for name, value in known.items():
                template = template.replace("{{ " + name + " }}", str(value))
        return template

    def message(self, template: str, facts: Mapping[str, Any]) -> str:
        if "{{ broken }}" in template:
            raise BadInput("template of a message: 'broken' is not defined")
        for name, value in facts.items():
            template = template.replace("{{ " + name + " }}", str(value))
        return template

    def postmortem(self, facts: Mapping[str, Any]) -> str:
        return json.dumps(facts, default=str, sort_keys=True, indent=1)


class MemoryDocuments:
    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    async def write(self, name: str, text: str) -> str:
        self.files[name] = text
        return f"memory/{name}"
