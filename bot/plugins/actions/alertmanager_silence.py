"""Silence alerts in Alertmanager for a while, and take such a silence back.

`why` names what the silence is for (a runbook gives `{{ incident.ref }}`). It begins the silence's comment, and with the matchers and the creator
`tocsin` it is how a silence is found again: one reason makes one silence, however often the runbook is run.

*Look*: the silences of these matchers, the server's time, and the alerts that notify now. *Plan*: `silence: none -> severity="warning" for 2 h`, and
how many alerts it hides now (exact to 10); empty when such a silence is active that was made for at least as long. A shorter one is extended.
`state: expired` plans the end of all such silences. *Do*: makes the silence, ending `duration` after the server's time, or ends it. *Verify*: it is
active (expired: none is). *Undo*: the same action with the other state; what had been ended is silenced again for as long as it was made for.
*Risk*: nobody is told of what is hidden: at most 24 hours, and the matchers must not match an alert without labels. *Permissions*:
Alertmanager's API v2; what it (or a proxy before it) asks for stands under `http:` in tocsin.yaml. Policy: the host.

*Facts* (for tests of runbooks): `silenced_for` (how long a silence of this reason was made for; default none), `hides` (the names of the alerts that
notify now, default none).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from bot.clients import given as giving
from bot.clients import spoken
from bot.clients.alertmanager import Alertmanager, Condition, Silence
from bot.clients.api import Server, host
from bot.clients.kit import Kit
from bot.domain.matching import Matcher, matcher
from bot.domain.naming import clipped, english_list
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import Drifted

CREATOR = "tocsin"
MARK = " (tocsin: "
SHORTEST, LONGEST = 60, 24 * 3600  # seconds
EXACT, MOST_NAMES = 10, 5
ROUGHLY = (10_000, 3_000, 1_000, 300, 100, 30, 10)

Matching = Annotated[str, Field(min_length=1, max_length=500)]


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Server = Field(description="address of Alertmanager: http://alertmanager:9093")
    matchers: tuple[Matching, ...] = Field(
        min_length=1,
        max_length=20,
        description='what to silence, all of it: `service="checkout"`, `severity=~"info|warning"`',
    )
    why: str = Field(min_length=1, max_length=200, description="what the silence is for; the same reason silences once")
    duration: timedelta = Field(
        default=timedelta(hours=1),
        ge=timedelta(seconds=SHORTEST),
        le=timedelta(seconds=LONGEST),
        description="for how long, at most a day",
    )
    state: Literal["active", "expired"] = Field(default="active", description="`expired` ends the silence")

    @field_validator("matchers")
    @classmethod
    def _narrow(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if all(matcher(text).matches({}) for text in texts):
            raise ValueError("would silence everything: one of them must not match an alert without that label")
        return texts

    @property
    def parsed(self) -> list[Matcher]:
        return sorted((matcher(text) for text in self.matchers), key=str)

    @property
    def shown(self) -> str:
        return ", ".join(str(one) for one in self.parsed)


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    silenced_for: timedelta | None = None
    hides: tuple[str, ...] = ()


class Plugin:
    """alertmanager.silence"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "low"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """A second silence of the same matchers hides nothing more, and both are ended together."""
        return True

    def target(self, params: Params) -> Target:
        where = host(params.server)
        return Target(action="alertmanager.silence", host=where, lock=f"{where}/silence/{params.shown}")

    async def look(self, params: Params) -> dict[str, Any]:
        server = Alertmanager(self._kit.http, params.server)
        now, found = await server.silences(params.parsed)
        ours = sorted((one for one in found if _ours(one, params)), key=lambda one: (one.ends, one.id))
        return {
            "now": now.isoformat(),
            "silences": [_kept(one.id, one.starts, one.ends) for one in ours],
            "hides": _counted([self._kit.redact(name) for name in await server.hidden_by(params.parsed)]),
        }

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        shown, ours = f"Alertmanager {host(params.server)}", state["silences"]
        longest = ours[-1] if ours else None
        if params.state == "expired":
            if longest is None:
                return Plan(target=shown)
            diff = Diff(what="silence", before=params.shown, after="ended", note=f"for {params.why}")
            return Plan(target=shown, diffs=(diff,), want={"end": [one["id"] for one in ours], "for": longest["for"]})
        if longest and longest["for"] >= params.duration.total_seconds():
            return Plan(target=shown)
        before = f"for {spoken.length(longest['for'])} since {longest['starts']}" if longest else "none"
        after = f"{params.shown} for {spoken.length(params.duration.total_seconds())}"
        diff = Diff(what="silence", before=before, after=after, note=f"for {params.why}; {_hides(state['hides'])}")
        sent = {"matchers": [one.model_dump(by_alias=True) for one in _conditions(params)], "why": params.why}
        again = {"id": longest["id"], "starts": longest["starts"]} if longest else None
        return Plan(
            target=shown, diffs=(diff,), want={**sent, "seconds": params.duration.total_seconds(), "again": again}
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        state = await self.look(params)
        if self.plan(state, params).digest != plan.digest:
            raise Drifted(
                f"the silences for {params.why}, or what they hide, have changed since the plan was made. Nothing was done."
            )
        server = Alertmanager(self._kit.http, params.server)
        if params.state == "expired":
            for silence in plan.want["end"]:
                await server.expire(silence)
            return {"ended": list(plan.want["end"])}
        now, again = datetime.fromisoformat(state["now"]), plan.want["again"]
        starts, ends = datetime.fromisoformat(again["starts"]) if again else now, now + params.duration
        made = await server.silence(
            _conditions(params), starts, ends, f"{params.why}{MARK}{key})", CREATOR, again["id"] if again else "", key
        )
        return {"silence": made, "until": ends.isoformat()}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        if params.state == "expired":
            return f"{len(state['silences'])} silences for {params.why} have not ended" if state["silences"] else None
        return None if state["silences"] else f"no silence for {params.why} is active"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        back = {"server": params.server, "matchers": list(params.matchers), "why": params.why}
        if params.state == "active":
            return Undo(action="alertmanager.silence", with_={**back, "state": "expired"})
        lasts = timedelta(seconds=min(max(plan.want.get("for", 0), SHORTEST), LONGEST))
        duration = TypeAdapter(timedelta).dump_python(lasts, mode="json")
        return Undo(action="alertmanager.silence", with_={**back, "duration": duration})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        told, now = giving.read(Facts, given), datetime(2026, 1, 1, tzinfo=UTC)
        lasts = told.silenced_for if told.silenced_for is not None or params.state == "active" else timedelta(hours=1)
        ours = [_kept("given", now, now + lasts)] if lasts else []
        return {"now": now.isoformat(), "silences": ours, "hides": _counted(told.hides)}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        if not plan:
            return dict(state)
        now = datetime.fromisoformat(state["now"])
        made = [] if params.state == "expired" else [_kept("made", now, now + params.duration)]
        return {**state, "silences": made, "hides": _counted(())}


def _conditions(params: Params) -> list[Condition]:
    return [Condition.of(one) for one in params.parsed]


def _ours(silence: Silence, params: Params) -> bool:
    reason = silence.comment == params.why or silence.comment.startswith(f"{params.why}{MARK}")
    same = sorted(silence.matchers, key=repr) == sorted(_conditions(params), key=repr)
    return silence.status.state != "expired" and silence.creator == CREATOR and reason and same


def _kept(identity: str, starts: datetime, ends: datetime) -> dict[str, Any]:
    lasts = (ends - starts).total_seconds()
    return {"id": identity, "starts": starts.isoformat(), "ends": ends.isoformat(), "for": lasts}


def _counted(names: Sequence[str]) -> dict[str, Any]:
    """Exact to ten, then roughly: alerts come and go, and each change of a plan asks for another approval."""
    different = sorted(set(names))
    some = len(names) if len(names) <= EXACT else next(number for number in ROUGHLY if len(names) >= number)
    kept = [clipped(name, 100) for name in different[:MOST_NAMES]]
    return {"alerts": some, "exact": len(names) <= EXACT, "names": kept, "more": len(different) > MOST_NAMES}


def _hides(hides: Mapping[str, Any]) -> str:
    if not hides["alerts"]:
        return "hides no alert now"
    count = f"{'' if hides['exact'] else 'at least '}{hides['alerts']} {'alert' if hides['alerts'] == 1 else 'alerts'}"
    return f"hides {count} now: {english_list([*hides['names'], *(['others'] if hides['more'] else [])])}"
