"""Go back to the pod template that a Deployment, StatefulSet or DaemonSet ran before its last rollout: `kubectl rollout undo`, planned and verified.

*Which revision.* With `to_revision`: that one (also when it has been re-used since and has a newer number). Without it: the rollout under suspicion
is the newest one from before `before` (a runbook gives the time at which the incident was opened; left out: the newest of all), together with
everything rolled out after it. The wanted revision is the one that ran last among the templates first rolled out earlier than the suspect.
Templates that differ only by a restart count as the same. When what runs now is older than the suspect, the rollback has been made already and
there is nothing to do: so running it again changes nothing, in this incident and in later ones. When the suspect was rolled out more than
`within` before `before`, the action refuses: a rollout that old is an unlikely cause; name `to_revision` to go back all the same.

*Look*: the workload and its history: the ReplicaSets of a Deployment, the ControllerRevisions of the others. *Plan*: `revision: 14 -> 13 (image
checkout:1.4.2 -> checkout:1.4.1)`, and the places other than images that change. *Do*: one JSON patch that puts the whole template of the wanted
revision back, and applies only to the very object that was planned upon (its generation), so at most once. On a StatefulSet or DaemonSet, whose
history forgets the number of a revision that is used again, it also notes that number (annotation `tocsin.dev/rolled-back-to`). *Verify*: every pod
is of the wanted version and available, no old one is left. *Undo*: the same action with `to_revision` of what ran before; none when the cluster had
not numbered that yet. *Risk*: high; it restarts all pods, and whatever the newer version migrated stays migrated. A StatefulSet that is stuck on a
pod which never gets ready stays stuck after a rollback until that pod is deleted (kubernetes/kubernetes#67250): `k8s.delete_pod`.
*Permissions*: get and patch deployments, statefulsets or daemonsets, list and get replicasets or controllerrevisions (apiGroup apps).

*Facts* (for the tests of runbooks): `revisions`, of which the one with the highest number runs: a list of `number`, `image` and `age` (how long
before `before` it was rolled out first); left out, there are two, the newer one 10 minutes old. Also `replicas` (3), `available` (all; or
`ready: false`), `paused` (false), `max_unavailable` (as the cluster's default).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from bot.clients import given as giving
from bot.clients import rollout, spoken, workloads
from bot.clients.kit import Kit
from bot.clients.rollout import Revision
from bot.clients.unset import Unset
from bot.domain.parameters import seconds
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted

HOLDERS = {"deployment": "replicasets", "statefulset": "controllerrevisions", "daemonset": "controllerrevisions"}
NOTES = "/metadata/annotations"
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # of the tests of runbooks, where nothing else says what time it is


class Params(workloads.OfWorkload):
    to_revision: Annotated[Annotated[int, Field(ge=1)] | None, Unset] = Field(
        default=None, description="go back to exactly this revision, instead of the one before the suspect rollout"
    )
    before: Annotated[AwareDatetime | None, Unset] = Field(
        default=None, description="when the trouble had begun (ISO 8601): `{{ incident.opened_at }}`"
    )
    within: timedelta = Field(
        default=timedelta(hours=24), description="how old, at `before`, the suspect rollout may be at most"
    )


class Rolled(BaseModel):
    """A revision, as a test gives it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1)
    image: str
    age: str | int


class Facts(workloads.Facts):
    revisions: tuple[Mapping[str, Any], ...] = ()


class Plugin:
    """k8s.rollback"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """The patch applies to one generation only: a second time it is refused."""
        return True

    def target(self, params: Params) -> Target:
        return params.target("k8s.rollback")

    async def look(self, params: Params) -> dict[str, Any]:
        cluster = self._kit.cluster
        workload, state = await workloads.look(cluster, params)
        if workload["spec"].get("revisionHistoryLimit") == 0:
            raise BadInput(f"{params.shown} keeps no history (revisionHistoryLimit: 0): there is nothing to go back to")
        read = cluster.replica_sets if params.deployment else cluster.controller_revisions
        history = rollout.revisions(workload, await read(params.namespace, workload))
        return {
            **state,
            "annotated": workload["metadata"].get("annotations") is not None,
            "images": rollout.images(workload["spec"]["template"]),
            "history": [revision.model_dump(mode="json") for revision in history],
        }

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        history = [Revision.model_validate(one) for one in state["history"]]
        current = next((revision for revision in history if revision.current), None)
        wanted = _revision(history, params) if params.to_revision else _before_the_suspect(history, current, params)
        if wanted is None or (current is not None and current.kind == wanted.kind):
            return Plan(target=params.shown)
        workloads.must_roll(state, params)
        number = str(current.number) if current else "new"
        want = {"holder": wanted.holder, "template": wanted.template, "number": wanted.number, "from": number}
        return Plan(
            target=params.shown,
            diffs=(Diff(what="revision", before=number, after=str(wanted.number), note=_note(state, wanted)),),
            want={**state["upon"], **want, "annotated": state["annotated"]},
            leaves=workloads.leaves(state),
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        cluster, want = self._kit.cluster, plan.want
        holder = await cluster.workload(HOLDERS[params.field], params.namespace, want["holder"])
        template = rollout.template_of(holder)
        if rollout.digest(template) != want["template"]:
            raise Drifted(f"the template that {want['holder']} keeps has changed since the plan was made")
        operations = [*workloads.guard(want), {"op": "replace", "path": "/spec/template", "value": template}]
        if not params.deployment:
            operations += _number_noted(want)
        await cluster.patch_workload(params.kind.resource, params.namespace, params.name, operations)
        return {"revision": want["number"], "kept_in": want["holder"]}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return workloads.unfinished(state)

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        if not plan.want["from"].isdigit():
            return None
        return Undo(action="k8s.rollback", with_={**params.naming, "to_revision": int(plan.want["from"])})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        found = giving.read(Facts, given)
        rolled = [giving.read(Rolled, one) for one in found.revisions] or _two(params)
        current = max(rolled, key=lambda one: one.number)
        history = sorted((_rolled(one, current, params) for one in rolled), key=lambda one: one.age_key)
        return {
            **found.state(params),
            "annotated": False,
            "images": {params.name: current.image},
            "history": [revision.model_dump(mode="json") for revision in history],
        }

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        if not plan:
            return dict(state)
        newest = max(one["number"] for one in state["history"]) + 1
        history = [{**one, "current": one["holder"] == plan.want["holder"]} for one in state["history"]]
        now = next(one for one in history if one["current"])
        now |= {"earlier": (*now["earlier"], now["number"]), "number": newest}
        return {**workloads.settled(state, plan), "images": now["images"], "history": history}


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


def _number_noted(want: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations that write down which number the wanted ControllerRevision had."""
    start = [] if want["annotated"] else [{"op": "add", "path": NOTES, "value": {}}]
    path = f"{NOTES}/{rollout.WENT_BACK.replace('/', '~1')}"
    return [*start, {"op": "add", "path": path, "value": f"{want['number']}={want['holder']}"}]


def _two(params: Params) -> list[Rolled]:
    """An older revision and a new one that is under suspicion."""
    first = params.to_revision or 1
    return [
        Rolled(number=first, image=f"{params.name}:before", age="3d"),
        Rolled(number=first + 1, image=f"{params.name}:bad", age="10m"),
    ]


def _rolled(one: Rolled, current: Rolled, params: Params) -> Revision:
    age = timedelta(seconds=seconds("facts: age", one.age))
    return Revision(
        holder=f"{params.name}-{one.number}",
        number=one.number,
        earlier=(),
        created=(params.before or SOME_DAY) - age,
        images={params.name: one.image},
        template=rollout.digest(one.image),
        kind=rollout.digest(one.image),
        current=one.number == current.number,
        differs=(),
    )
