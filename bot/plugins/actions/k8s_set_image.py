"""Run other images in the containers of a Deployment, StatefulSet or DaemonSet: `kubectl set image`.

`images` maps container names to images (`{checkout: "registry.example/shop/checkout:1.4.1"}`), init containers included; containers that are not
named stay as they are. An image is checked for its form, not for its existence.

*Look*: the workload. *Plan*: `image of checkout: checkout:1.4.2 -> checkout:1.4.1`, one line per container that changes. *Do*: one JSON patch of
these images, which applies only to the very object that was planned upon (its generation), so at most once. A paused Deployment and a workload
with the update strategy OnDelete are refused. *Verify*: every pod is new and available, no old one is left. *Undo*: the same action with the images
from before. *Risk*: high; it restarts all pods with another program, and whatever that migrates stays migrated. *Permissions*: get and patch
deployments, statefulsets or daemonsets (apiGroup apps).

*Facts* (for the tests of runbooks): `images` (for each wanted container one with the tag `before`): what runs; `replicas` (3), `available` (all; or
`ready: false`), `paused` (false), `max_unavailable` (as the cluster's default).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from bot.clients import given as giving
from bot.clients import rollout, workloads
from bot.clients.kit import Kit
from bot.domain.naming import nearest
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput

TEMPLATE = "/spec/template/spec"
# github.com/distribution/reference, grammar in reference.go
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
IMAGE = rf"^{_DOMAIN}{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?$"
Image = Annotated[str, Field(pattern=IMAGE, max_length=512)]
Container = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]


class Params(workloads.OfWorkload):
    images: Mapping[Container, Image] = Field(
        min_length=1, max_length=50, description="container: the image it shall run"
    )


class Facts(workloads.Facts):
    images: Mapping[str, str] = Field(default_factory=dict)


class Plugin:
    """k8s.set_image"""

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
        images = tuple(params.images.values())
        return params.target("k8s.set_image").model_copy(update={"images": images})

    async def look(self, params: Params) -> dict[str, Any]:
        workload, state = await workloads.look(self._kit.cluster, params)
        template = workload["spec"]["template"]
        return {**state, "images": rollout.images(template), "places": _places(template["spec"])}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        images = state["images"]
        for name in params.images:
            if name not in images:
                have = ", ".join(images)
                raise BadInput(f"{params.shown} has no container {name}{nearest(name, images) or '.'} It has: {have}")
        changed = {name: image for name, image in sorted(params.images.items()) if images[name] != image}
        if not changed:
            return Plan(target=params.shown)
        workloads.must_roll(state, params)
        return Plan(
            target=params.shown,
            diffs=tuple(Diff(what=f"image of {name}", before=images[name], after=changed[name]) for name in changed),
            want={
                **state["upon"],
                "places": {state["places"][name]: image for name, image in changed.items()},
                "from": {name: images[name] for name in changed},
            },
            leaves=workloads.leaves(state),
        )

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        operations = workloads.guard(plan.want)
        for place, image in plan.want["places"].items():
            operations.append({"op": "replace", "path": place, "value": image})
        await self._kit.cluster.patch_workload(params.kind.resource, params.namespace, params.name, operations)
        return {"images": dict(params.images)}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return workloads.unfinished(state)

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return Undo(action="k8s.set_image", with_={**params.naming, "images": dict(plan.want["from"])})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        found = giving.read(Facts, given)
        images = found.images or {name: f"{name}:before" for name in params.images}
        places = _places({"containers": [{"name": name} for name in images]})
        return {**found.state(params), "images": dict(images), "places": places}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return {**workloads.settled(state, plan), "images": {**state["images"], **params.images}}


def _places(spec: Mapping[str, Any]) -> dict[str, str]:
    """Container name to where its image stands in the workload, as a JSON pointer."""
    return {
        str(one["name"]): f"{TEMPLATE}/{kind}/{number}/image"
        for kind in ("initContainers", "containers")
        for number, one in enumerate(spec.get(kind) or ())
    }
