"""Turn a feature flag on or off in one environment: Unleash or Flagsmith.

*Look*: the flag in that environment. *Plan*: `checkout-new-cart in production: on -> off`, and of Flagsmith the value, when one is given; empty when
it is so already. *Do*: one request that sets it, if it still is as planned upon. *Verify*: the server says so (clients follow within their own
refresh interval). *Undo*: the same action the other way; none when the value before looked like a secret. *Risk*: as much as the code behind
the flag; in Unleash, where an environment has no strategies, on means on for everybody. *Permissions*: Unleash: an admin token that may update
feature environments; Flagsmith: an API key that may update feature states. It stands under `http:` in tocsin.yaml (`Authorization`, by
reference). Policy: the host, and `PROJECT/ENVIRONMENT/FLAG` as the name.

*Facts* (for tests of runbooks): `on` (default the opposite of what the step wants), `value` (Flagsmith; default none).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.clients import flags
from bot.clients import given as giving
from bot.clients.api import Server, host
from bot.clients.kit import Kit
from bot.domain.naming import clipped
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import Drifted

LONGEST_VALUE = 2000
PRODUCTS = {"unleash": "Unleash", "flagsmith": "Flagsmith"}


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Server = Field(description="address of the server: https://unleash.example.com, https://api.flagsmith.com")
    kind: Literal["unleash", "flagsmith"] = Field(description="which product it is")
    flag: str = Field(pattern=r"^[A-Za-z0-9_.~-]{1,200}$", description="the flag's name")
    environment: str = Field(
        pattern=r"^[A-Za-z0-9_.~-]{1,100}$",
        description="Unleash: the environment's name; Flagsmith: its client-side key",
    )
    project: str = Field(
        default="default", pattern=r"^[A-Za-z0-9_.~-]{1,100}$", description="Unleash: the project's id"
    )
    on: bool = Field(description="whether the flag shall be on")
    value: str | int | bool | None = Field(
        default=None, description="Flagsmith: the value it shall have; left out: as it is"
    )

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.value is not None and self.kind != "flagsmith":
            raise ValueError("value: only Flagsmith's flags have one")
        if isinstance(self.value, str) and len(self.value) > LONGEST_VALUE:
            raise ValueError(f"value: at most {LONGEST_VALUE} characters")
        return self

    @property
    def shown(self) -> str:
        return f"{PRODUCTS[self.kind]} {host(self.server)}"

    @property
    def place(self) -> flags.Place:
        return flags.Place(self.flag, self.environment, self.project)


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    on: bool | None = None
    value: str | int | bool | None = None


class Plugin:
    """flag.set"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "low"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """Setting it twice is as good as once."""
        return True

    def target(self, params: Params) -> Target:
        where = host(params.server)
        place = f"{params.project}/{params.environment}/{params.flag}"
        return Target(action="flag.set", name=place, host=where, lock=f"{where}/flags/{place}")

    async def look(self, params: Params) -> dict[str, Any]:
        flag = await flags.server_of(params.kind, self._kit.http, params.server).read(params.place)
        value = flag.value
        if isinstance(value, str):
            value = clipped(self._kit.redact(value), LONGEST_VALUE)
        return {"on": flag.on, "value": value, "whole": value == flag.value, "id": flag.id}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        diffs = []
        if state["on"] != params.on:
            where = f"{params.flag} in {params.environment}"
            diffs.append(Diff(what=where, before=_words(state["on"]), after=_words(params.on)))
        sets = params.value is not None and not _same(state["value"], params.value)
        if sets:
            value = self._kit.redact(params.value) if isinstance(params.value, str) else params.value
            diffs.append(Diff(what=f"value of {params.flag}", before=_quoted(state["value"]), after=_quoted(value)))
        if not diffs:
            return Plan(target=params.shown)
        before = {"on": state["on"], "value": state["value"], "whole": state["whole"]}
        return Plan(
            target=params.shown,
            diffs=tuple(diffs),
            want={"id": state["id"], "from": before, "on": params.on, "value": params.value if sets else None},
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        now = self.plan(await self.look(params), params)
        if now.digest != plan.digest:
            raise Drifted(
                f"the flag {params.flag} has changed since the plan was made. Nothing was done; look at the new plan."
            )
        wanted = flags.Flag(plan.want["on"], plan.want["value"], plan.want["id"])
        await flags.server_of(params.kind, self._kit.http, params.server).write(params.place, wanted, key)
        return {"on": wanted.on}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        if state["on"] != params.on:
            return f"{params.flag} is {_words(state['on'])}"
        if params.value is not None and not _same(state["value"], params.value):
            return f"{params.flag} has another value: {_quoted(state['value'])}"
        return None

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        before = plan.want.get("from")
        if before is None or (plan.want["value"] is not None and not before["whole"]):
            return None
        named = params.model_dump(mode="json", include={"server", "kind", "flag", "environment", "project"})
        value = {"value": "" if before["value"] is None else before["value"]} if plan.want["value"] is not None else {}
        return Undo(action="flag.set", with_={**named, "on": before["on"], **value})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        told = giving.read(Facts, given)
        on = told.on if told.on is not None else not params.on
        return {"on": on, "value": told.value, "whole": True, "id": "1" if params.kind == "flagsmith" else ""}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return {**state, "on": params.on, "value": state["value"] if params.value is None else params.value}


def _same(one: flags.Value, other: flags.Value) -> bool:
    """1 and true are not the same value, though Python says so; none and an empty text are."""
    return (one, type(one)) == (other, type(other)) or (one in (None, "") and other in (None, ""))


def _words(on: bool) -> str:
    return "on" if on else "off"


def _quoted(value: flags.Value) -> str:
    return "none" if value is None else repr(value) if isinstance(value, str) else str(value).lower()
