"""Go back to what an application ran before its last deployment: `argocd app rollback`, planned, approved and verified.

*Which deployment.* With `to`: that history id. Without it: the deployment under suspicion is the newest one from before `before` (a runbook gives the
time at which the incident was opened; left out: the newest of all), and the wanted one is what was deployed last among those whose revision was first
deployed earlier. Once what runs is older than the suspect, or the last operation was a rollback, there is nothing to do: running it again changes
nothing, in this incident and in later ones. When the suspect is older than `within` at `before`, the action refuses; name `to` to go back all the
same. A sync that failed half-way counts as the newest deployment, which cannot be gone back to.

Automated sync must be off (`argocd app set APP --sync-policy none`): Argo CD refuses a rollback else, because it would bring the newer commit back.
Git is not changed: the application stays OutOfSync until somebody reverts the commit there.

*Look*: the application, with its history. *Plan*: `revision: 9be07d3 (id 7) -> 4f0c2a1 (id 6)`, with the images as far as the sources name them.
While an operation runs nothing is planned: it is looked at again later. *Do*: asks for the rollback to that id. *Verify*: the operation succeeded and
the application is healthy. *Undo*: argocd.rollback to the id it came from; none after a sync that failed.
*Risk*: whatever the newer version migrated stays migrated; with `prune` it deletes what the older one did not have. *Permissions*: Argo CD:
`applications, get` and `applications, sync` for the application; its token under `http:` in tocsin.yaml (`Authorization`, by reference). Policy:
the host and the application's name.

*Facts* (for tests of runbooks): `history` (from old to new, each with `revision` and, when they matter, `at` and `images`; default two, the newer
one 10 minutes before `before`), `health` (Healthy), `automated` (false), `running` (false), `failed` (the revision of a later sync that failed;
default none).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from bot.clients import argocd, argocd_state, earlier
from bot.clients import given as giving
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted


class Params(argocd.OfApplication, earlier.Choice):
    pass


class Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str
    at: AwareDatetime | None = None
    images: tuple[str, ...] = ()


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    history: tuple[Line, ...] = (Line(revision="1" * 40), Line(revision="2" * 40))
    health: str = "Healthy"
    automated: bool = False
    running: bool = False
    failed: str = ""


class Plugin:
    """argocd.rollback"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """It is looked at first, an operation that runs is waited for, and once it has run there is nothing to do."""
        return True

    def target(self, params: Params) -> Target:
        return params.target("argocd.rollback")

    async def look(self, params: Params) -> dict[str, Any]:
        return argocd_state.state_of(await argocd.ArgoCd(self._kit.http, params).application(), self._kit.redact)

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        argocd_state.idle(state, params.shown)
        history = argocd_state.history(state)
        wanted = None
        if params.to is not None or not state["operation"]["rolled_back"]:
            wanted = earlier.wanted(history, params, params.shown, "id")
        if wanted is None:
            return Plan(target=params.shown)
        if state["automated"]:
            raise BadInput(
                f"{params.shown} syncs by itself (syncPolicy.automated), so Argo CD refuses a rollback: it would bring the newer "
                f"commit back. Turn automated sync off first, or revert the commit in Git"
            )
        if not wanted.good:
            raise BadInput(f"{params.shown}: what failed to deploy cannot be gone back to; give another `to`")
        current = history[-1]
        return Plan(
            target=params.shown,
            diffs=(
                Diff(what="revision", before=_shown(current), after=_shown(wanted), note=_note(state, current, wanted)),
            ),
            want={
                "request": {"id": wanted.number, "prune": params.prune, "dryRun": False},
                "from": current.number if current.good else None,
                "kinds": [current.kind, wanted.kind],
            },
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        now = self.plan(await self.look(params), params)
        if now.digest != plan.digest:
            raise Drifted(f"{params.shown} is not as it was planned upon. Nothing was done; look at the new plan.")
        await argocd.ArgoCd(self._kit.http, params).ask_for("rollback", plan.want["request"], key)
        return {"id": plan.want["request"]["id"]}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return argocd_state.unfinished(state, params.shown)

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        if plan.want.get("from") is None:
            return None
        back: dict[str, Any] = {
            "server": params.server,
            "app": params.app,
            "to": plan.want["from"],
            "prune": params.prune,
        }
        return Undo(
            action="argocd.rollback", with_={**back, **({"namespace": params.namespace} if params.namespace else {})}
        )

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        told = giving.read(Facts, given)
        newest = (params.before or datetime(2026, 1, 1, tzinfo=UTC)) - timedelta(minutes=10)
        history = [
            argocd_state.line(
                number, line.revision, line.at or newest - timedelta(days=len(told.history) - number), line.images
            )
            for number, line in enumerate(told.history, 1)
        ]
        if told.failed:
            half = argocd_state.line(len(history) + 1, told.failed, newest + timedelta(minutes=5))
            history.append(half.model_copy(update={"good": False}))
        phase = "Running" if told.running else "Failed" if told.failed else "Succeeded"
        said = "it failed" if told.failed else ""
        return {
            "automated": told.automated,
            "source": "git",
            "operation": {"running": told.running, "phase": phase, "message": said, "rolled_back": False},
            "sync": {"status": "Synced", "revision": history[-1].revision if history else ""},
            "health": told.health,
            "trouble": "",
            "out_of_sync": argocd_state.out_of_sync([]),
            "images": [],
            "history": [one.model_dump(mode="json") for one in history],
        }

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        if not plan:
            return dict(state)
        wanted = next(one for one in argocd_state.history(state) if one.number == plan.want["request"]["id"])
        return argocd_state.settled(state, wanted, rolled_back=True, sync={**state["sync"], "status": "OutOfSync"})


def _shown(line: argocd_state.Entry) -> str:
    half = "" if line.good else ", failed"
    return f"{argocd_state.short(line.revision)} (id {line.number}{half})"


def _note(state: Mapping[str, Any], current: argocd_state.Entry, wanted: argocd_state.Entry) -> str:
    """The images as far as they are known: those of the sources, else those that run."""
    if wanted.images and wanted.images != current.images:
        return f"image {', '.join(current.images) or 'unknown'} -> {', '.join(wanted.images)}"
    return f"runs {', '.join(state['images'])}" if state["images"] else ""
