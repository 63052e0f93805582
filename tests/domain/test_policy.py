"""What a runbook may touch and when: denied by default, and every refusal says which rule, where it stands, and who can change it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from bot.domain.allowance import Allowance, Limits
from bot.domain.people import TOCSIN, Actor, Directory
from bot.domain.plan import Diff, Plan, Target
from bot.domain.policy import Policy, Touch
from tests.domain.alerts import NOW, ago

SHOP = Allowance(actions=("k8s.*",), namespaces=("shop", "shop-*"), max_replicas=10)
MORE_CARTS = Allowance(actions=("k8s.scale",), namespaces=("shop",), names=("cart*",), max_replicas=20)
FLAGS = Allowance(actions=("http.request",), hosts=("flags.shop.example", "*.internal"))
LOOK = Allowance(actions=("prometheus.query",))
TIDY = Allowance(actions=("files.prune",), folders=("/var/log/app", "/srv/spool/"))
TELL = Allowance(actions=("slack.post", "k8s.uncordon"), names=("ops", "node-[12]"))
EVERYTHING = Policy(
    allow=(SHOP, MORE_CARTS, FLAGS, LOOK, TIDY, TELL),
    places={"allow": "policy.yaml:9", **{f"allow[{number}]": f"policy.yaml:{10 + number}" for number in range(6)}},
    keepers="the role admins (Ada)",
)


def k8s(
    action: str = "k8s.scale", namespace: str = "shop", name: str = "checkout", replicas: int | None = None
) -> Target:
    return Target(action=action, namespace=namespace, name=name, replicas=replicas)


def prune(folder: str) -> Target:
    return Target(action="files.prune", folder=folder)


def plan(**more: Any) -> Plan:
    return Plan(target="Deployment shop/checkout", diffs=(Diff(what="x", before="1", after="2"),), **more)


# ------------------------------------------------------------------------------------------------ for good


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        (k8s(), ""),
        (k8s("k8s.restart", "shop-eu"), ""),
        (k8s(namespace="shop-"), ""),
        (k8s(namespace="shopping"), "touch shopping/checkout"),
        (k8s(namespace="Shop"), "touch Shop/checkout"),
        (k8s(namespace="kube-system"), "touch kube-system/checkout"),
        (k8s("k8sx.scale"), "lets k8sx.scale touch"),
        (k8s("K8S.scale"), "lets K8S.scale touch"),
        (k8s(name=""), ""),
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
        (Target(action="script", name="fix"), "lets script touch fix"),
        (prune("/var/log/app"), ""),
        (prune("/var/log/app/old"), ""),
        (prune("/srv/spool"), ""),
        (prune("/srv/spool/a b"), ""),
        (prune("/var/log/application"), "touch /var/log/application"),
        (prune("/var/log"), "touch /var/log;"),
        (prune("/"), "touch /;"),
        (prune("/var/log/app/../../../etc"), "touch /var/log/app/../../../etc"),
        (prune("/var/log/app/.."), "touch /var/log/app/.."),
        (prune("/var/log/app/..old"), ""),
        (prune("var/log/app"), "touch var/log/app"),
        (Target(action="slack.post", name="ops"), ""),
        (Target(action="slack.post", name="general"), "touch general"),
    ],
)  # fmt: skip
def test_a_rule_allows_it_or_the_refusal_says_what_is_missing(target: Target, refused: str) -> None:
    said = EVERYTHING.refusal(target)
    assert (said is None) == (not refused), said
    assert refused in (said or "")
    assert said is None or said.startswith("policy.yaml:")
    assert said is None or "the role admins (Ada) can " in said


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            k8s(namespace="bank"),
            "policy.yaml:9 (allow): no rule under `allow` lets k8s.scale touch bank/checkout; policy.yaml:10 (allow[0]) says what it may touch; "
            "the role admins (Ada) can add one",
        ),
        (
            k8s(name="cart", replicas=21),
            "policy.yaml:10 (allow[0]): shop/cart may have at most 10 replicas (max_replicas), 21 were asked for; "
            "policy.yaml:11 (allow[1]): shop/cart may have at most 20 replicas (max_replicas), 21 were asked for; "
            "the role admins (Ada) can change that",
        ),
    ],
)
def test_a_refusal_names_file_line_rule_and_who_can_change_it(target: Target, said: str) -> None:
    assert EVERYTHING.refusal(target) == said


@pytest.mark.parametrize(
    ("action", "rule", "allowed"),
    [
        ("k8s.cordon", Allowance(actions=("k8s.*",), namespaces=("shop",)), False),
        ("k8s.cordon", Allowance(actions=("*",), hosts=("*",)), False),
        ("k8s.cordon", Allowance(actions=("*",), folders=("/srv",)), False),
        ("k8s.cordon", Allowance(actions=("k8s.cordon", "k8s.scale"), namespaces=("shop",)), True),
        ("k8s.cordon", Allowance(actions=("k8s.*",)), True),
        ("k8s.cordon", Allowance(actions=("k8s.*",), names=("node-?",)), True),
        ("k8s.cordon", Allowance(actions=("k8s.*",), names=("node-??",)), False),
        ("k8s.cordon", Allowance(actions=("k8s.*",), names=("node-[!1]",)), False),
        ("slack.post", Allowance(actions=("*",), namespaces=("shop",)), False),
    ],
)
def test_a_rule_for_namespaces_does_not_reach_a_node_by_a_pattern(action: str, rule: Allowance, allowed: bool) -> None:
    assert (Policy(allow=(rule,)).refusal(Target(action=action, name="node-1")) is None) == allowed


def test_without_rules_nothing_is_allowed() -> None:
    assert Policy().refusal(Target(action="prometheus.query")) is not None
    said = Policy(where="deploy/policy.yaml").refusal(k8s()) or ""
    assert said.startswith("deploy/policy.yaml (allow): ")
    assert said.endswith("; whoever maintains deploy/policy.yaml can add one")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_if_any_rule_allows_it_it_is_allowed(order: tuple[int, int]) -> None:
    rules = (SHOP, Allowance(actions=("k8s.scale",), namespaces=("shop",)))
    policy = Policy(allow=tuple(rules[number] for number in order))
    assert policy.refusal(k8s(replicas=1000)) is None
    assert policy.refusal(k8s("k8s.restart", replicas=11)) is not None


@pytest.mark.parametrize(
    ("limits", "shown", "refused"),
    [
        ({"min_available": 2}, {"leaves": 2}, ""),
        ({"min_available": 2}, {"leaves": 1}, "at least 2 of shop/checkout must stay available (min_available), this would leave 1"),
        ({"min_available": 2}, {}, ""),
        ({"min_available": 0}, {"leaves": 0}, ""),
        ({"max_share": 0.5}, {"share": 0.5}, ""),
        ({"max_share": 0.34}, {"share": 0.5}, "at most 34% of the targets may be touched at once (max_share), this is 50%"),
        ({"max_share": 1.0}, {"share": 1.0}, ""),
        ({"max_share": 0.34}, {}, ""),
    ],
)  # fmt: skip
def test_what_a_plan_leaves_and_touches_is_bounded(limits: dict[str, Any], shown: dict[str, Any], refused: str) -> None:
    policy = Policy(allow=(Allowance(actions=("k8s.*",), namespaces=("shop",), **limits),))
    said = policy.refusal(k8s(), plan(**shown))
    assert (said is None) == (not refused), said
    assert refused in (said or "")
    assert policy.refusal(k8s()) is None, "before there is a plan, only the target counts"
    assert policy.refusal(k8s(), Plan(target="x", leaves=0, share=1.0)) is None, "an empty plan touches nothing"


def test_unattended_is_what_such_a_rule_allows_within_its_own_bounds() -> None:
    rules = (
        Allowance(actions=("k8s.*",), namespaces=("shop",)),
        Allowance(actions=("k8s.scale",), namespaces=("shop",), max_replicas=5, max_share=0.5, unattended=True),
    )
    policy = Policy(allow=rules, places={"allow[1]": "policy.yaml:7"})
    assert policy.unattended(k8s(replicas=5), plan(share=0.5)) == "policy.yaml:7 (allow[1])"
    assert policy.unattended(k8s(replicas=6), plan()) is None
    assert policy.unattended(k8s(replicas=5), plan(share=0.6)) is None
    assert policy.unattended(k8s("k8s.restart"), plan()) is None
    assert policy.unattended(k8s(namespace="bank"), plan()) is None
    assert policy.refusal(k8s(replicas=6), plan()) is None, "with an approval the other rule lets it"


# ------------------------------------------------------------------------------------------------ for now


def touch(minutes: float, run_id: int = 1, lock: str = "shop/checkout", seconds: float = 0) -> Touch:
    return Touch(lock=lock, action="k8s.scale", run_id=run_id, at=ago(minutes) - timedelta(seconds=seconds))


def held(limits: dict[str, Any], *touches: Touch, run_id: int = 9, **more: Any) -> str | None:
    policy = Policy(
        allow=(Allowance(actions=("k8s.*",), namespaces=("shop",), cooldown=more.pop("cooldown", None)),),
        runbooks=Limits.model_validate(limits),
        places={"allow[0]": "policy.yaml:12", "runbooks": "policy.yaml:20", "runbooks.freeze[0]": "policy.yaml:30"},
    )
    return policy.hold(k8s(), run_id, touches, NOW, **more)


@pytest.mark.parametrize(
    ("cooldown", "touches", "wait"),
    [
        ("PT10M", [], False),
        ("PT10M", [touch(9, seconds=59)], True),
        ("PT10M", [touch(10)], False),
        ("PT10M", [touch(10, seconds=1)], False),
        ("PT10M", [touch(0)], True),
        ("PT10M", [touch(5, run_id=9)], False),
        ("PT10M", [touch(5, lock="shop/cart")], False),
        ("PT10M", [touch(20), touch(5, run_id=2)], True),
        ("PT0S", [touch(0)], False),
        ("P7D", [touch(60 * 24 * 7 - 1)], True),
    ],
)
def test_a_target_is_left_alone_after_another_run_has_touched_it(
    cooldown: str, touches: list[Touch], wait: bool
) -> None:
    for limits, own in (({"cooldown": cooldown}, None), ({}, Limits.model_validate({"cooldown": cooldown}).cooldown)):
        assert (held(limits, *touches, cooldown=own) is not None) == wait


def test_a_cooldown_says_who_touched_it_when_and_until_when() -> None:
    assert held({"cooldown": "PT150M", "break_glass": ["admins"]}, touch(30, run_id=3), touch(90, run_id=2)) == (
        "policy.yaml:20 (runbooks.cooldown): RUN-3 touched shop/checkout at 11:30 UTC, and it is left alone for 2 h 30 min, "
        "until 2026-11-21 14:00 UTC; the role admins can break the glass, with a reason"
    )
    said = held({}, touch(1), cooldown=timedelta(seconds=90)) or ""
    assert said.startswith("policy.yaml:12 (allow[0].cooldown): ")
    assert "left alone for 1 min 30 s" in said
    assert said.endswith("; whoever maintains policy.yaml can change that"), "nobody may break the glass"


def test_the_longest_cooldown_of_the_rules_that_allow_a_target_counts() -> None:
    rules = (
        Allowance(actions=("k8s.*",), namespaces=("shop",), cooldown=timedelta(minutes=5)),
        Allowance(actions=("k8s.scale",), namespaces=("shop",), cooldown=timedelta(minutes=30)),
        Allowance(actions=("*",), namespaces=("bank",), cooldown=timedelta(hours=5)),
    )
    policy = Policy(allow=rules, runbooks=Limits(cooldown=timedelta(hours=3)))
    assert policy.cooldown(k8s()) == timedelta(minutes=30)
    assert policy.cooldown(k8s("k8s.restart")) == timedelta(minutes=5)
    assert policy.cooldown(k8s(namespace="elsewhere")) == timedelta(hours=3)
    assert policy.memory == timedelta(hours=5)
    assert Policy().memory == timedelta(hours=1)


@pytest.mark.parametrize(
    ("most", "touches", "wait"),
    [
        (None, [touch(number, run_id=number) for number in range(1, 9)], False),
        (0, [], True),
        (2, [touch(1, run_id=1)], False),
        (2, [touch(1, run_id=1), touch(2, run_id=1), touch(3, run_id=1, lock="x")], False),
        (2, [touch(1, run_id=1), touch(59, run_id=2, seconds=59)], True),
        (2, [touch(1, run_id=1), touch(60, run_id=2)], False),
        (2, [touch(1, run_id=1), touch(2, run_id=2), touch(3, run_id=9)], False),
    ],
)
def test_so_many_runs_an_hour_may_change_something(most: int | None, touches: list[Touch], wait: bool) -> None:
    assert (held({"runs_per_hour": most}, *touches) is not None) == wait


def test_a_rate_says_how_many_there_were() -> None:
    said = held({"runs_per_hour": 1}, touch(1)) or ""
    assert said.startswith(
        "policy.yaml:20 (runbooks.runs_per_hour): 1 run has changed something in the last hour, 1 may; "
    )
    assert "2 runs have changed" in (held({"runs_per_hour": 1}, touch(1), touch(2, run_id=2)) or "")


def test_an_undo_does_not_wait_for_what_it_takes_back_nor_for_the_rate() -> None:
    limits = {"cooldown": "PT1H", "runs_per_hour": 1}
    assert held(limits, touch(1, run_id=4)) is not None
    assert held(limits, touch(1, run_id=4), undoes=4) is None
    assert held(limits, touch(1, run_id=5), undoes=4) is not None, "what another run touched still cools down"
    frozen = {**limits, "freeze": [{"name": "Sale"}]}
    assert "Sale" in (held(frozen, touch(1, run_id=4), undoes=4) or "")


def test_a_freeze_says_its_name_its_end_and_who_can_go_past_it() -> None:
    christmas = {"name": "Christmas", "from": "2026-11-20T00:00:00Z", "until": "2026-12-27T00:00:00+01:00", "zone": "Europe/Berlin"}  # fmt: skip
    limits = {"freeze": [christmas], "break_glass": ["admins", "leads"]}
    assert held(limits) == (
        "policy.yaml:30 (runbooks.freeze[0]): Christmas: nothing is changed until 2026-12-27 00:00 CET; "
        "the role admins or leads can break the glass, with a reason"
    )
    later = {**christmas, "from": (NOW + timedelta(seconds=1)).isoformat()}
    assert held({"freeze": [later]}) is None
    second = held({"freeze": [later, {"name": "Stop"}]}) or ""
    assert second.startswith("policy.yaml:20 (runbooks.freeze[1]): Stop: nothing is changed; ")


# ------------------------------------------------------------------------------------------------ who

DIRECTORY = Directory(roles={"responders": ("ada", "bob"), "admins": ("ada",), "empty": ()})


def person(key: str) -> Actor:
    return Actor(id=key, name=key.capitalize())


@pytest.mark.parametrize(
    ("start", "who", "may"),
    [
        (None, "bob", True),
        (None, "eve", False),
        (("admins",), "ada", True),
        (("admins",), "bob", False),
        (("admins", "responders"), "bob", True),
        (("empty",), "ada", False),
        (("gone",), "ada", False),
        ((), "ada", False),
        ((), TOCSIN.id, True),
    ],
)
def test_who_may_start_a_run(start: tuple[str, ...] | None, who: str, may: bool) -> None:
    policy = Policy(
        runbooks=Limits(start=start), places={"runbooks": "policy.yaml:20", "runbooks.start": "policy.yaml:21"}
    )
    said = policy.start_refusal(person(who), DIRECTORY)
    assert (said is None) == may, said
    assert said is None or said.startswith("policy.yaml:21 (runbooks.start): ")
    assert said is None or "whoever maintains policy.yaml can change that" in said


def test_somebody_whom_the_configuration_does_not_know_may_not_start_anything() -> None:
    stranger = Actor(id="slack:U0ADA", name="ada")
    assert Policy().start_refusal(stranger, DIRECTORY) == (
        "policy.yaml (runbooks.start): only the role responders or admins or empty may start and steer runs, and ada has none of its roles; "
        "ask one of them, or whoever maintains policy.yaml can change that"
    )
    assert "nobody may start and steer runs" in (Policy().start_refusal(stranger, Directory()) or "")


def test_the_glass_is_broken_by_who_may_only() -> None:
    policy = Policy(runbooks=Limits(break_glass=("admins",)), places={"runbooks.break_glass": "policy.yaml:25"})
    assert policy.may_break_glass(person("ada"), DIRECTORY)
    assert not policy.may_break_glass(person("bob"), DIRECTORY)
    assert policy.glass_refusal(person("bob")) == (
        "policy.yaml:25 (runbooks.break_glass): only the role admins may break the glass, and Bob is not of it; "
        "whoever maintains policy.yaml can change that. Nothing was done."
    )
    assert not Policy().may_break_glass(person("ada"), DIRECTORY)
    assert "nobody may break the glass" in Policy().glass_refusal(person("ada"))


@pytest.mark.parametrize("span", [timedelta(days=7, seconds=1), timedelta(seconds=-1)])
def test_a_cooldown_longer_than_touches_are_remembered_is_refused(span: timedelta) -> None:
    with pytest.raises(ValidationError, match="between 0s and 7d"):
        Limits(cooldown=span)
    with pytest.raises(ValidationError, match="between 0s and 7d"):
        Allowance(actions=("*",), cooldown=span)


def test_judging_does_not_depend_on_the_zone_of_the_clock() -> None:
    berlin = datetime.fromisoformat("2026-11-21T13:00:00+01:00")
    policy = Policy(allow=(SHOP,), runbooks=Limits(cooldown=timedelta(minutes=10)))
    assert policy.hold(k8s(), 9, [touch(9)], berlin) is not None
    assert policy.hold(k8s(), 9, [touch(10)], berlin) is None
