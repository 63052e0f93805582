"""Bring an application to what Git says, now: `argocd app sync`.

`revision` names another commit (40 hex digits) or another version of the chart than the one Argo CD compares with; a branch or a tag cannot be
named, because Argo CD keeps only the commit it meant, and nobody could tell later that it has been reached.

*Look*: the application, with its history (`refresh: true`: Argo CD compares with Git first, which takes longer). *Plan*:
`revision: 4f0c2a1 -> 9be07d3`, and the resources that are out of sync; empty when it is synced (or that revision was deployed last) and the last
operation has not failed. While an operation runs nothing is planned: it is looked at again later. *Do*: asks for a sync of exactly the commit that
was planned (with automated sync, or several sources, of what they follow, because the server takes no commit then). *Verify*: the operation
succeeded, the application is synced (unless `revision` was given) and healthy. *Undo*: argocd.rollback to the history id from before; none
with automated sync, which refuses rollbacks, and none for a first sync.
*Risk*: rolls out whatever is in Git; with `prune` it also deletes. *Permissions*: Argo CD: `applications, get` and `applications, sync` for the
application; its token under `http:` in tocsin.yaml (`Authorization`, by reference). Policy: the host and the application's name.

*Facts* (for tests of runbooks): `deployed` (the revision deployed last), `git` (what it is compared with), `out_of_sync` (`Kind name` each;
default one Deployment when the two differ), `health` (Healthy), `automated` (false), `running` (false), `failed` (the message of an operation that
failed; default none).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import argocd, argocd_state
from bot.clients import given as giving
from bot.clients.kit import Kit
from bot.domain.naming import english_list
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted, TryLater

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Params(argocd.OfApplication):
    revision: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9.+_-]{0,100}$",
        description="a commit (40 hex digits) or a chart's version; left out: what the application follows",
    )
    refresh: bool = Field(default=False, description="let Argo CD compare with Git before every look")


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deployed: str = "1" * 40
    git: str = "2" * 40
    out_of_sync: tuple[str, ...] | None = None
    health: str = "Healthy"
    automated: bool = False
    running: bool = False
    failed: str = ""


class Plugin:
    """argocd.sync"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """It is looked at first, an operation that runs is waited for, and a commit that is synced already is not synced again."""
        return True

    def target(self, params: Params) -> Target:
        return params.target("argocd.sync")

    async def look(self, params: Params) -> dict[str, Any]:
        app = await argocd.ArgoCd(self._kit.http, params).application(refresh=params.refresh)
        return argocd_state.state_of(app, self._kit.redact)

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        argocd_state.idle(state, params.shown)
        failed = state["operation"]["phase"] in argocd_state.FAILED
        deployed, following = argocd_state.deployed(state), state["sync"]
        if params.revision:
            _allowed(state, params)
            done, wanted = deployed == params.revision, params.revision
        elif following["status"] == "Unknown":
            raise TryLater(
                f"{params.shown}: Argo CD cannot compare it with Git now: {state['trouble'] or 'no reason given'}"
            )
        else:
            done, wanted = following["status"] == "Synced", following["revision"]
        if done and not failed:
            return Plan(target=params.shown)
        pinned = bool(params.revision) or (not state["automated"] and state["source"] != "several")
        request = {"prune": params.prune, "dryRun": False, **({"revision": wanted} if pinned else {})}
        before = state["history"][-1]["number"] if _can_go_back(state) else None
        upon = {"deployed": deployed, "wanted": wanted, "resources": state["out_of_sync"]["digest"]}
        return Plan(
            target=params.shown,
            diffs=_diffs(state, params, wanted),
            want={"request": request, "before": before, **upon},
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        now = self.plan(await self.look(params), params)
        if now.digest != plan.digest:
            raise Drifted(f"{params.shown} is not as it was planned upon. Nothing was done; look at the new plan.")
        request = {**plan.want["request"], "infos": [{"name": "tocsin", "value": key}]}
        await argocd.ArgoCd(self._kit.http, params).ask_for("sync", request, key)
        return {"revision": plan.want["wanted"]}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        missing = argocd_state.unfinished(state, params.shown)
        if missing is None and not params.revision and state["sync"]["status"] != "Synced":
            return f"{params.shown} is {state['sync']['status']}: {_resources(state)}"
        return missing

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        if plan.want.get("before") is None:
            return None
        back: dict[str, Any] = {"server": params.server, "app": params.app, "to": plan.want["before"]}
        if params.namespace:
            back["namespace"] = params.namespace
        return Undo(action="argocd.rollback", with_={**back, "prune": params.prune})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        told = giving.read(Facts, given)
        differs = told.deployed != told.git
        names = told.out_of_sync if told.out_of_sync is not None else (f"Deployment {params.app}",) * differs
        resources = [argocd_state.resource(*name.partition(" ")[::2]) for name in names]
        phase = "Running" if told.running else "Failed" if told.failed else "Succeeded"
        return {
            "automated": told.automated,
            "source": "git" if _COMMIT.fullmatch(params.revision or told.git) else "chart",
            "operation": {"running": told.running, "phase": phase, "message": told.failed, "rolled_back": False},
            "sync": {"status": "OutOfSync" if differs or names else "Synced", "revision": told.git},
            "health": told.health,
            "trouble": "",
            "out_of_sync": argocd_state.out_of_sync(resources),
            "images": [],
            "history": [argocd_state.line(1, told.deployed, datetime(2026, 1, 1, tzinfo=UTC)).model_dump(mode="json")],
        }

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        if not plan:
            return dict(state)
        wanted = plan.want["wanted"]
        is_git = wanted == state["sync"]["revision"]
        added = argocd_state.line(0, wanted, datetime(2026, 1, 1, tzinfo=UTC))
        sync = {**state["sync"], "status": "Synced" if is_git else "OutOfSync"}
        left = argocd_state.out_of_sync([]) if is_git else state["out_of_sync"]
        return argocd_state.settled(state, added, rolled_back=False, sync=sync, out_of_sync=left)


def _allowed(state: Mapping[str, Any], params: Params) -> None:
    """What the server would refuse, or what could not be verified, said before anybody approves it."""
    if state["automated"] and params.revision != state["sync"]["revision"]:
        raise BadInput(
            f"{params.shown} syncs by itself (syncPolicy.automated), and takes no other revision than the one it follows: "
            f"leave out `revision`, or turn automated sync off first"
        )
    if state["source"] == "several":
        raise BadInput(f"{params.shown} has several sources: `revision` cannot name one for each; leave it out")
    if state["source"] == "git" and not _COMMIT.fullmatch(params.revision):
        raise BadInput(f"{params.shown}: {params.revision!r} is not a commit: give all 40 hex digits (git rev-parse)")


def _can_go_back(state: Mapping[str, Any]) -> bool:
    return bool(state["history"]) and state["history"][-1]["good"] and not state["automated"]


def _diffs(state: Mapping[str, Any], params: Params, wanted: str) -> tuple[Diff, ...]:
    deployed, prunes = argocd_state.deployed(state), state["out_of_sync"]["prunes"]
    diffs = []
    if deployed != wanted:
        diffs.append(Diff(what="revision", before=argocd_state.short(deployed), after=argocd_state.short(wanted)))
    if state["out_of_sync"]["names"]:
        note = f"deletes {english_list(prunes)}" if params.prune and prunes else ""
        diffs.append(Diff(what="out of sync", before=_resources(state), after="none", note=note))
    if not diffs:
        diffs.append(Diff(what="last operation", before=state["operation"]["phase"], after="synced again"))
    return tuple(diffs)


def _resources(state: Mapping[str, Any]) -> str:
    listed = state["out_of_sync"]
    more = [f"{listed['more']} more"] if listed["more"] else []
    return english_list([*listed["names"], *more]) if listed["names"] else "no resource named"
