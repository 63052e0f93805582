"""POST pods/eviction: a delete that a PodDisruptionBudget can refuse; called by `writing`.

Written after kubernetes/pkg/registry/core/pod/storage/eviction.go and pkg/controller/disruption.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.practice.cluster import pods
from bot.practice.cluster.errors import bad_request, check_preconditions, evict_refused, internal
from bot.practice.cluster.objects import Store
from bot.practice.cluster.requests import Call
from bot.practice.cluster.resources import BUDGETS, DEPLOYMENTS, PODS, REPLICASETS, STATEFULSETS, Obj, controller_of
from bot.practice.cluster.selectors import selects
from bot.practice.cluster.templates import share

VERSIONS = ("policy/v1", "policy/v1beta1")
SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def evictable(store: Store, call: Call, fewest_available: Mapping[str, int]) -> Obj:
    """The pod that may go; raises what the real server says when there is none, it is another, or a budget keeps it."""
    body = call.body if isinstance(call.body, dict) else {}
    version, kind = body.get("apiVersion", VERSIONS[0]), body.get("kind", "Eviction")
    if version not in VERSIONS or kind != "Eviction":
        start = f'{kind} in version "{str(version).rpartition("/")[2]}" cannot be handled as a Eviction'
        raise bad_request(f'{start}: no kind "{kind}" is registered for version "{version}" here')
    pod = store.need(PODS, call.namespace, call.name)
    if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp"):
        _ask_budgets(store, pod, fewest_available)
    check_preconditions(PODS, call.name, pod, body.get("deleteOptions") or {})
    return pod


def _ask_budgets(store: Store, pod: Obj, fewest_available: Mapping[str, int]) -> None:
    meta = pod["metadata"]
    peers = store.all(PODS, meta["namespace"])
    app = _labels(pod).get("app", "")
    if app in fewest_available:
        mine = [one for one in peers if _labels(one).get("app") == app]
        _ask(pod, app, fewest_available[app], _healthy(mine))
    budgets = [b for b in store.all(BUDGETS, meta["namespace"]) if selects(b["spec"].get("selector"), _labels(pod))]
    if len(budgets) > 1:
        raise internal(SEVERAL)
    for budget in budgets:
        covered = [one for one in peers if selects(budget["spec"].get("selector"), _labels(one))]
        _ask(pod, budget["metadata"]["name"], needed(store, budget, covered), _healthy(covered))


def _ask(pod: Obj, budget: str, least: int, healthy: int) -> None:
    allowed = healthy > least if pods.is_ready(pod) else healthy >= least
    if not allowed:
        raise evict_refused(pod["metadata"]["name"], budget, least, healthy)


def needed(store: Store, budget: Obj, covered: list[Obj]) -> int:
    """How many healthy pods a budget wants: of as many as the owners of the covered pods shall have."""
    spec = budget["spec"]
    owners = {_wanted(store, one) for one in covered}
    expected = sum(count for _, count in owners)
    if "maxUnavailable" in spec:
        return max(0, expected - share(spec["maxUnavailable"], expected, up=True))
    return share(spec.get("minAvailable", 1), expected, up=True)


def _wanted(store: Store, pod: Obj) -> tuple[str, int]:
    """The uid of the workload that a pod belongs to, and how many pods that shall have."""
    known = {o["metadata"]["uid"]: o for r in (REPLICASETS, STATEFULSETS, DEPLOYMENTS) for o in store.all(r)}
    top = known.get(controller_of(pod) or "")
    if top is None:
        return str(pod["metadata"]["uid"]), 1
    top = known.get(controller_of(top) or "", top)
    return str(top["metadata"]["uid"]), int(top["spec"]["replicas"])


def _healthy(found: list[Obj]) -> int:
    return sum(pods.is_ready(one) and pods.is_active(one) for one in found)


def _labels(pod: Obj) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}
