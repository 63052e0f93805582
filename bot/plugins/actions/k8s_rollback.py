"""Go back to the pod template that a Deployment ran before its last rollout: `kubectl rollout undo`, planned, approved and verified.

*Which revision.* With `to_revision`: that one (also when it has been re-used since and has a newer number). Without it: the rollout under suspicion
is the newest one from before `before` (a runbook gives the time at which the incident was opened; left out: the newest of all), together with
everything rolled out after it. The wanted revision is the one that ran last among the templates first rolled out earlier than the suspect.
Templates that differ only by a restart count as the same. When what runs now is older than the suspect, the rollback has been made already and
there is nothing to do: so running it again changes nothing, in this incident and in later ones. When the suspect was rolled out more than
`within` before `before`, the action refuses: a rollout that old is an unlikely cause; name `to_revision` to go back all the same.

*Look*: the Deployment and its ReplicaSets. *Plan*: `revision: 14 -> 13 (image checkout:1.4.2 -> checkout:1.4.1)`, and the places other than images
that change. *Do*: one JSON patch that puts the whole template of the wanted ReplicaSet back, and applies only to the very object that was planned
upon (its generation), so at most once. *Verify*: every pod is of the wanted version and available, no old one is left. *Undo*: the same action
with `to_revision` of what ran before. *Risk*: restarts all pods; whatever the newer version migrated stays migrated. *Permissions*:
get deployments, list and get replicasets, patch deployments (apiGroup apps).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from bot.clients import deployments, rollout, spoken
from bot.clients.kit import Kit
from bot.clients.rollout import Revision
from bot.domain.plan import Diff, Plan, Target
from bot.errors import BadInput, Drifted


class Params(deployments.OfDeployment):
    to_revision: Annotated[Annotated[int, Field(ge=1)] | None, deployments.Unset] = Field(
        default=None, description="go back to exactly this revision, instead of the one before the suspect rollout"
    )
    before: Annotated[AwareDatetime | None, deployments.Unset] = Field(
        default=None, description="when the trouble had begun (ISO 8601): `{{ incident.opened_at }}`"
    )
    within: timedelta = Field(
        default=timedelta(hours=24), description="how old, at `before`, the suspect rollout may be at most"
    )


class Plugin:
    """k8s.rollback"""

    writes = True
    observable = True

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """The patch applies to one generation only: a second time it is refused."""
        return True

    def target(self, params: Params) -> Target:
        return Target(action="k8s.rollback", namespace=params.namespace, name=params.deployment)

    async def look(self, params: Params) -> dict[str, Any]:
        cluster = self._kit.cluster
        deployment, state = await deployments.look(cluster, params)
        if deployment["spec"].get("paused"):
            raise BadInput(f"{params.shown} is paused: resume it first (kubectl rollout resume)")
        if deployment["spec"].get("revisionHistoryLimit") == 0:
            raise BadInput(f"{params.shown} keeps no history (revisionHistoryLimit: 0): there is nothing to go back to")
        history = rollout.revisions(deployment, await cluster.replica_sets(params.namespace, deployment))
        return {
            **state,
            "images": rollout.images(deployment["spec"]["template"]),
            "history": [revision.model_dump(mode="json") for revision in history],
        }

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        history = [Revision.model_validate(one) for one in state["history"]]
        current = next((revision for revision in history if revision.current), None)
        wanted = _revision(history, params) if params.to_revision else _before_the_suspect(history, current, params)
        if wanted is None or (current is not None and current.kind == wanted.kind):
            return Plan(target=params.shown)
        number = str(current.number) if current else "new"
        return Plan(
            target=params.shown,
            diffs=(Diff(what="revision", before=number, after=str(wanted.number), note=_note(state, wanted)),),
            want={**state["upon"], "replica_set": wanted.replica_set, "template": wanted.template, "from": number},
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        cluster, want = self._kit.cluster, plan.want
        replica_set = await cluster.replica_set(params.namespace, want["replica_set"])
        template = rollout.bare(replica_set["spec"]["template"])
        if rollout.digest(template) != want["template"]:
            raise Drifted(f"the template of ReplicaSet {want['replica_set']} has changed since the plan was made")
        replace = {"op": "replace", "path": "/spec/template", "value": template}
        await cluster.patch_deployment_json(params.namespace, params.deployment, [*rollout.guard(want), replace])
        undo = {"namespace": params.namespace, "deployment": params.deployment, "to_revision": int(want["from"])}
        return {"replica_set": want["replica_set"], "undo": {"action": "k8s.rollback", "with": undo}}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return deployments.unfinished(state)


def _revision(history: list[Revision], params: Params) -> Revision:
    """The template that ran as `to_revision`, whatever its number is now."""
    number = params.to_revision or 0
    found = next((revision for revision in reversed(history) if revision.was(number)), None)
    if found is None:
        have = ", ".join(str(revision.number) for revision in history) or "none"
        raise BadInput(f"{params.shown} has no revision {number} in its history (it has: {have})")
    return found


def _before_the_suspect(history: list[Revision], current: Revision | None, params: Params) -> Revision | None:
    """The revision to go back to; None when the suspect rollout does not run (any more). `history` is sorted by age."""
    known = [one for one in history if params.before is None or one.created <= params.before]
    if not known:
        raise BadInput(f"{params.shown}: nothing that is still in its history was rolled out before {params.before}")
    suspect = known[-1]
    good = [one for one in known if one.age_key < _first_of_its_kind(known).age_key]
    if current in good:
        return None
    if params.before is not None and suspect.created < params.before - params.within:
        raise BadInput(
            f"{params.shown}: nothing was rolled out in the {spoken.length(params.within.total_seconds())} before {params.before:%Y-%m-%d %H:%M} UTC "
            f"(revision {suspect.number} is of {suspect.created:%Y-%m-%d %H:%M} UTC), so a rollback is unlikely to help. "
            f"To go back all the same, give to_revision"
        )
    if not good:
        raise BadInput(f"{params.shown} has no revision in its history from before revision {suspect.number}")
    return max(good, key=lambda one: one.number)


def _first_of_its_kind(known: list[Revision]) -> Revision:
    """The rollout that the newest one is, or is a mere restart of."""
    first = known[-1]
    for one in reversed(known):
        if one.kind != first.kind:
            break
        first = one
    return first


def _note(state: Mapping[str, Any], wanted: Revision) -> str:
    changed = rollout.image_change(state["images"], wanted.images)
    also = f"{'also ' if changed else ''}changes {', '.join(wanted.differs)}" if wanted.differs else ""
    return "; ".join(part for part in (changed, also) if part)
