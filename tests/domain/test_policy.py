"""What a runbook may touch: denied by default, and every refusal names the rule that is missing."""

from __future__ import annotations

import pytest

from bot.domain.plan import Target
from bot.domain.policy import Allowance, Policy

SHOP = Allowance(actions=("k8s.*",), namespaces=("shop", "shop-*"), max_replicas=10)
MORE_CARTS = Allowance(actions=("k8s.scale",), namespaces=("shop",), names=("cart*",), max_replicas=20)
FLAGS = Allowance(actions=("http.request",), hosts=("flags.shop.example", "*.internal"))
LOOK = Allowance(actions=("prometheus.query",))
EVERYTHING = Policy(allow=(SHOP, MORE_CARTS, FLAGS, LOOK))


def k8s(
    action: str = "k8s.scale", namespace: str = "shop", name: str = "checkout", replicas: int | None = None
) -> Target:
    return Target(action=action, namespace=namespace, name=name, replicas=replicas)


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        (k8s(), ""),
        (k8s("k8s.restart", "shop-eu"), ""),
        (k8s(namespace="shopping"), "touch shopping/checkout"),
        (k8s(namespace="kube-system"), "touch kube-system/checkout"),
        (k8s("k8sx.scale"), "lets k8sx.scale touch"),
        (k8s("K8S.scale"), "lets K8S.scale touch"),
        (k8s(replicas=10), ""),
        (k8s(replicas=11), "may have at most 10 replicas (max_replicas), 11 were asked for"),
        (k8s(name="cart", replicas=20), ""),
        (k8s(name="cart", replicas=21), "at most 20 replicas"),
        (k8s(replicas=0), ""),
        (Target(action="http.request", host="flags.shop.example"), ""),
        (Target(action="http.request", host="a.internal"), ""),
        (Target(action="http.request", host="flags.shop.example.evil"), "touch flags.shop.example.evil"),
        (Target(action="http.request", host="internal"), "touch internal"),
        (Target(action="prometheus.query"), ""),
        (Target(action="prometheus.query", host="elsewhere"), "touch elsewhere"),
        (Target(action="script.run"), "lets script.run touch script.run"),
    ],
)
def test_a_rule_allows_it_or_the_refusal_says_what_is_missing(target: Target, refused: str) -> None:
    said = EVERYTHING.refusal(target)
    assert (said is None) == (not refused), said
    assert refused in (said or "")
    assert said is None or said.startswith("policy.yaml")


def test_without_rules_nothing_is_allowed() -> None:
    assert Policy().refusal(Target(action="prometheus.query")) is not None
    assert "deploy/policy.yaml" in (Policy(where="deploy/policy.yaml").refusal(k8s()) or "")


def test_one_rule_without_a_limit_is_no_limit() -> None:
    free = Allowance(actions=("k8s.scale",), namespaces=("shop",))
    assert Policy(allow=(SHOP, free)).refusal(k8s(replicas=1000)) is None
