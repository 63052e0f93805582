"""Which revision a rollback goes to: a table over histories, without a cluster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.clients import rollout, workloads
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.errors import BadInput
from bot.plugins.actions.k8s_rollback import Params, Plugin

ACTION = Plugin(Kit(None, None, Http(str), str))
OPENED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
RUN = Any


def template(image: str, restarted: str = "", **env: str) -> dict[str, Any]:
    notes = {"annotations": {rollout.RESTARTED_FOR: restarted}} if restarted else {}
    box = {"name": "checkout", "image": image, "env": [{"name": key, "value": value} for key, value in env.items()]}
    return {"metadata": {"labels": {"app": "checkout"}, **notes}, "spec": {"containers": [box]}}


def replica_set(minutes_ago: float, number: int, shape: dict[str, Any], *earlier: int) -> dict[str, Any]:
    notes = {rollout.REVISION: str(number)}
    if earlier:
        notes[rollout.HISTORY] = ",".join(map(str, earlier))
    created = OPENED - timedelta(minutes=minutes_ago)
    labels = {**shape["metadata"]["labels"], rollout.HASH_LABEL: f"h{number}"}
    return {
        "metadata": {
            "name": f"checkout-{number}",
            "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}",
            "annotations": notes,
        },
        "spec": {"template": {**shape, "metadata": {**shape["metadata"], "labels": labels}}},
    }


def state(runs: dict[str, Any], *sets: dict[str, Any]) -> dict[str, Any]:
    deployment = {"metadata": {"generation": 7, "uid": "u"}, "spec": {"template": runs, "replicas": 3}, "status": {}}
    return {
        **workloads.state_of(workloads.KINDS["deployment"], deployment),
        "annotated": True,
        "images": rollout.images(runs),
        "history": [one.model_dump(mode="json") for one in rollout.revisions(deployment, sets)],
    }


A, B, C = template("checkout:1.4.1"), template("checkout:1.4.2"), template("checkout:1.4.3")
A2, B2 = template("checkout:1.4.1", "INC-1"), template("checkout:1.4.2", "INC-1")
OLD = template("checkout:1.4.0")
DAY = 24 * 60

CASES = {
    "the newest rollout is undone": (state(B, replica_set(2 * DAY, 13, A), replica_set(3, 14, B)), "14 -> 13"),
    "of several earlier ones the last that ran is taken": (
        state(B, replica_set(9 * DAY, 12, OLD), replica_set(2 * DAY, 13, A), replica_set(3, 14, B)),
        "14 -> 13",
    ),
    "an attempt to repair it after the incident began goes, too": (
        state(C, replica_set(2 * DAY, 13, A), replica_set(3, 14, B), replica_set(-5, 15, C)),
        "15 -> 13",
    ),
    "it is rolled back already": (state(A, replica_set(2 * DAY, 15, A, 13), replica_set(3, 14, B)), ""),
    "it was rolled back in an earlier incident": (
        state(A, replica_set(9 * DAY, 15, A, 13), replica_set(2 * DAY, 14, B)),
        "",
    ),
    "a new mistake after a rollback goes back to what was rolled back to": (
        state(C, replica_set(9 * DAY, 15, A, 13), replica_set(2 * DAY, 14, B), replica_set(3, 16, C)),
        "16 -> 15",
    ),
    "the same mistake is rolled out again": (
        state(B, replica_set(2 * DAY, 15, A, 13), replica_set(3, 16, B, 14)),
        "16 -> 15",
    ),
    "a restart of the bad version is the bad version": (
        state(B2, replica_set(2 * DAY, 13, A), replica_set(30, 14, B), replica_set(3, 15, B2)),
        "15 -> 13",
    ),
    "a restart of what was rolled back to is as good": (
        state(A2, replica_set(2 * DAY, 15, A, 13), replica_set(3, 14, B), replica_set(-5, 16, A2)),
        "",
    ),
    "a change that the cluster has not taken up yet is undone as well": (
        state(C, replica_set(2 * DAY, 13, A), replica_set(3, 14, B)),
        "new -> 13",
    ),
}


@pytest.mark.parametrize(("seen", "expected"), CASES.values(), ids=CASES)
def test_the_revision_that_is_gone_back_to(seen: dict[str, Any], expected: str) -> None:
    params = Params(namespace="shop", deployment="checkout", before=OPENED)
    plan = ACTION.plan(seen, params)
    assert [f"{diff.before} -> {diff.after}" for diff in plan.diffs] == ([expected] if expected else [])


REFUSED = {
    "nothing was rolled out lately": (
        state(B, replica_set(9 * DAY, 13, A), replica_set(3 * DAY, 14, B)),
        {},
        r"nothing was rolled out in the 1 d before 2026-11-21 12:00 UTC \(revision 14 is of 2026-11-18 12:00 UTC\)",
    ),
    "there is no earlier revision": (
        state(B, replica_set(3, 14, B)),
        {},
        "no revision in its history from before revision 14",
    ),
    "everything is younger than the incident": (state(B, replica_set(-3, 14, B)), {}, "was rolled out before"),
    "the wanted revision is not there": (
        state(B, replica_set(2 * DAY, 13, A), replica_set(3, 14, B)),
        {"to_revision": 7},
        r"has no revision 7 in its history \(it has: 13, 14\)",
    ),
}


@pytest.mark.parametrize(("seen", "options", "words"), REFUSED.values(), ids=REFUSED)
def test_a_rollback_that_makes_no_sense_is_refused(seen: dict[str, Any], options: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        ACTION.plan(seen, Params(namespace="shop", deployment="checkout", before=OPENED, **options))


def test_an_old_rollout_can_be_undone_by_saying_how_old_it_may_be() -> None:
    seen = state(B, replica_set(9 * DAY, 13, A), replica_set(3 * DAY, 14, B))
    params = Params(namespace="shop", deployment="checkout", before=OPENED, within=timedelta(days=7))
    assert ACTION.plan(seen, params).diffs[0].after == "13"


def test_parameters_that_a_template_leaves_empty_are_left_out() -> None:
    params = Params.model_validate({"namespace": "shop", "deployment": "checkout", "to_revision": "", "before": ""})
    assert params.to_revision is None
    assert params.before is None


def test_any_change_of_the_object_gives_the_plan_another_digest() -> None:
    seen = state(B, replica_set(2 * DAY, 13, A), replica_set(3, 14, B))
    params = Params(namespace="shop", deployment="checkout", before=OPENED)
    changed = {**seen, "upon": {**seen["upon"], "generation": 8}}
    assert ACTION.plan(seen, params).digest == ACTION.plan(seen, params).digest
    assert ACTION.plan(changed, params).digest != ACTION.plan(seen, params).digest


def test_differences_are_named_by_place_and_bounded() -> None:
    before, after = template("a:1", A="1", B="2"), template("a:2", A="9", C="3")
    assert rollout.differences(before, after) == [
        "containers[checkout].env[A].value",
        "containers[checkout].env[B]",
        "containers[checkout].env[C]",
    ]
    many = rollout.differences(template("a:1"), template("a:1", **{f"V{n}": "x" for n in range(30)}))
    assert len(many) <= rollout.MOST_DIFFERENCES + 1
