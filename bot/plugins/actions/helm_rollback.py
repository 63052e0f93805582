"""Go back to an earlier revision of a Helm release: `helm rollback`, planned, approved and verified.

*Which revision.* With `to`: that one. Without it: the revision under suspicion is the newest one from before `before` (a runbook gives the time at
which the incident was opened; left out: the newest of all), and the wanted one is what ran last among those first deployed earlier. A rollback is a
new revision with the content of an old one, and revisions with the same content count as the same: once what runs is older than the suspect there is
nothing to do, so running it again changes nothing, in this incident and in later ones. When the suspect is older than `within` at `before`, the
action refuses; name `to` to go back all the same. A revision that failed cannot be gone back to.

*Look*: the release's Secrets; of manifests and values only a digest is kept. *Plan*: `revision: 7 -> 6 (chart shop-1.9.0 -> shop-1.8.2)`. While
another Helm is at work (`pending-…`) nothing is planned: it is looked at again later. *Do*: runs the program `helm` with the bot's own connection to
the cluster and no environment but KUBECONFIG, HOME and PATH; it is stopped after `timeout` (give the step a longer one). *Verify*: the newest
revision is `deployed`. That its pods are well is for another step to check. *Undo*: helm.rollback to the revision it came from; none when that one
had failed.
*Risk*: restarts pods, runs the chart's rollback hooks; whatever the newer version migrated stays migrated. Stopped half-way, the release stays
`pending-rollback` until somebody rolls it back by hand. *Permissions*: list secrets in the namespace; to roll back, create and update secrets, and
whatever the chart holds (get, list, create, update, patch, delete). Policy: the namespace and the release's name.

*Facts* (for tests of runbooks): `revisions` (from old to new, each with `chart` and, when they matter, `status`, `at` and `app_version`; default two,
the newer one 10 minutes before `before`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bot.clients import earlier, helm, rollout
from bot.clients import given as giving
from bot.clients.helm import Revision
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted, TryLater

LONGEST_WORDS = 500


class Params(earlier.Choice):
    namespace: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="the namespace of the release")
    release: Annotated[str, Field(max_length=53)] = Field(
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", description="the name of the release (helm list)"
    )
    timeout: timedelta = Field(
        default=timedelta(seconds=25),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=10),
        description="how long Helm may take",
    )

    @property
    def shown(self) -> str:
        return f"Helm release {self.namespace}/{self.release}"


class Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    chart: str
    app_version: str = ""
    status: str = ""
    at: AwareDatetime | None = None


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    revisions: tuple[Line, ...] = (Line(chart="app-1.0.0"), Line(chart="app-1.1.0"))


class Plugin:
    """helm.rollback"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit, program: str = "helm") -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit
        self._program = program

    def repeatable(self, params: Params) -> bool:
        """It is looked at first, a Helm that is at work is waited for, and of two at once only one can make the next revision."""
        return True

    def target(self, params: Params) -> Target:
        lock = f"{params.namespace}/helm/{params.release}"
        return Target(action="helm.rollback", namespace=params.namespace, name=params.release, lock=lock)

    async def look(self, params: Params) -> dict[str, Any]:
        history = await helm.history(self._kit.cluster, params.namespace, params.release)
        return _state([one.model_copy(update={"description": self._kit.redact(one.description)}) for one in history])

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        history = [Revision.model_validate(one) for one in state["revisions"]]
        newest = history[-1]
        if newest.pending and helm.back_to(newest.description) is None:
            raise TryLater(
                f"{params.shown}: another Helm is at work: revision {newest.number} is {newest.status} ({newest.at:%Y-%m-%d %H:%M} UTC)"
            )
        done = newest.model_copy(
            update={"good": newest.good or newest.pending}
        )  # a rollback under way: wait for its end
        wanted = earlier.wanted([*history[:-1], done], params, params.shown, "revision")
        if wanted is None:
            return Plan(target=params.shown)
        if newest.pending:
            raise TryLater(f"{params.shown}: another rollback is at work: revision {newest.number} is {newest.status}")
        if not wanted.good:
            raise BadInput(f"{params.shown}: revision {wanted.number} is {wanted.status}: it cannot be gone back to")
        upon = {"from": newest.number, "status": newest.status, "kind": newest.kind}
        return Plan(
            target=params.shown,
            diffs=(Diff(what="revision", before=_shown(newest), after=str(wanted.number), note=_note(newest, wanted)),),
            want={**upon, "to": wanted.number, "content": wanted.kind},
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        now = self.plan(await self.look(params), params)
        if now.digest != plan.digest:
            raise Drifted(f"{params.shown} is not as it was planned upon. Nothing was done; look at the new plan.")
        try:
            said = await helm.roll_back(
                self._kit.cluster,
                params.namespace,
                params.release,
                plan.want["to"],
                seconds=params.timeout.total_seconds(),
                program=self._program,
            )
        except helm.Failed as error:
            words = self._kit.redact(error.said)[:LONGEST_WORDS]
            raise BadInput(f"{params.shown}: {error}: {words or 'it said nothing'}") from error
        return {"from": plan.want["from"], "to": plan.want["to"], "output": self._kit.redact(said)}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        newest = Revision.model_validate(state["revisions"][-1])
        if newest.status == helm.DEPLOYED:
            return None
        return f"{params.shown}: revision {newest.number} is {newest.status}: {newest.description}".rstrip(": ")

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        if plan.want.get("status") != helm.DEPLOYED:
            return None
        back = params.model_dump(mode="json", include={"namespace", "release", "timeout"})
        return Undo(action="helm.rollback", with_={**back, "to": plan.want["from"]})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        lines = giving.read(Facts, given).revisions
        newest = (params.before or datetime(2026, 1, 1, tzinfo=UTC)) - timedelta(minutes=10)
        found = []
        for number, line in enumerate(lines, 1):
            status = line.status or ("superseded" if number < len(lines) else helm.DEPLOYED)
            found.append(
                Revision(
                    number=number,
                    kind=rollout.digest([line.chart, line.app_version]),
                    at=line.at or newest - timedelta(days=len(lines) - number),
                    good=status in helm.GOOD,
                    status=status,
                    chart=line.chart,
                    app_version=line.app_version,
                    description="",
                )
            )
        if not found:
            raise BadInput("facts: revisions: a release has at least one")
        return _state(found)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        if not plan:
            return dict(state)
        history = [Revision.model_validate(one) for one in state["revisions"]]
        old = next(one for one in history if one.number == plan.want["to"])
        changed = {"number": history[-1].number + 1, "at": history[-1].at + timedelta(hours=1), "status": helm.DEPLOYED}
        new = old.model_copy(update={**changed, "good": True, "description": f"Rollback to {old.number}"})
        ended = [
            one.model_copy(update={"status": "superseded"}) if one.status == helm.DEPLOYED else one for one in history
        ]
        return _state([*ended, new])


def _state(history: list[Revision]) -> dict[str, Any]:
    return {"revisions": [one.model_dump(mode="json") for one in history]}


def _shown(revision: Revision) -> str:
    return str(revision.number) if revision.good else f"{revision.number} ({revision.status})"


def _note(newest: Revision, wanted: Revision) -> str:
    chart = f"chart {newest.chart} -> {wanted.chart}" if newest.chart != wanted.chart else f"chart {wanted.chart}"
    app = f"app {newest.app_version or 'none'} -> {wanted.app_version or 'none'}"
    return f"{chart}, {app}" if newest.app_version != wanted.app_version else chart
