"""What every action and every gatherer has: its parameters, its documentation, and the shape of the port."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.ports import Action, Gatherer
from bot.errors import BadInput
from bot.plugins import discover
from tests.domain.alerts import incident

KIT = Kit(None, None, Http(str), str)
ACTIONS = discover("actions")
GATHERERS = discover("gatherers")
USES: dict[str, dict[str, Any]] = {
    "alertmanager.silence": {"server": "http://am:9093", "matchers": ['service="checkout"'], "why": "INC-7"},
    "argocd.rollback": {"server": "https://argocd.example", "app": "checkout"},
    "argocd.sync": {"server": "https://argocd.example", "app": "checkout"},
    "flag.set": {
        "server": "https://flags",
        "kind": "unleash",
        "flag": "cart",
        "environment": "production",
        "on": False,
    },
    "helm.rollback": {"namespace": "shop", "release": "checkout"},
    "queue.rebalance": {"server": "http://rabbitmq:15672"},
    "files.prune": {"folder": "/var/log/shop", "older_than": "P7D"},
    "http.request": {"url": "https://flags.example/off", "method": "POST"},
    "k8s.cordon": {"node": "practice-1"},
    "k8s.delete_pod": {"namespace": "shop", "pod": "checkout-1"},
    "k8s.pause": {"namespace": "shop", "deployment": "checkout"},
    "k8s.restart": {"namespace": "shop", "deployment": "checkout", "why": "INC-7"},
    "k8s.resume": {"namespace": "shop", "deployment": "checkout"},
    "k8s.rollback": {"namespace": "shop", "deployment": "checkout"},
    "k8s.scale": {"namespace": "shop", "deployment": "checkout", "replicas": 6},
    "k8s.set_image": {"namespace": "shop", "deployment": "checkout", "images": {"checkout": "checkout:1.4.1"}},
    "k8s.uncordon": {"node": "practice-1"},
    "prometheus.query": {"query": "up", "expect": "> 0"},
    "sql.query": {"database": "orders", "query": "select 1"},
    "script": {"run": "rm -f stale.lock", "check": "test ! -e stale.lock"},
    "ask": {"question": "Which one?", "choices": ["a", "b"]},
    "manual": {"do": "Call the provider."},
    "page": {"who": "person:ada", "why": "Your database."},
    "slack.post": {"text": "Rolling back."},
    "wait": {"for": "PT5M"},
}
ACTING = [name for name, module in ACTIONS.items() if module.Plugin.way == "acts"]
CHANGING = [name for name in ACTING if ACTIONS[name].Plugin.writes]


def test_a_plugin_is_named_by_its_file_and_an_action_by_its_system_and_verb() -> None:
    assert list(ACTIONS) == sorted(USES)
    assert list(GATHERERS) == ["changes", "events", "logs", "metrics", "pods", "rollouts"]


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadInput, match="there are no plugins of the kind 'actons'"):
        discover("actons")


@pytest.mark.parametrize("module", [*ACTIONS.values(), *GATHERERS.values()], ids=lambda module: module.__name__)
def test_a_plugin_documents_itself_its_permissions_and_its_parameters(module: ModuleType) -> None:
    assert module.__doc__
    parts = (
        ("Look", "Plan", "Do", "Verify", "Undo", "Risk", "Permissions")
        if hasattr(module.Plugin, "way")
        else ("Permissions",)
    )
    assert [part for part in parts if f"*{part}*" not in module.__doc__ and f"{part}*" not in module.__doc__] == []
    params: type[BaseModel] = module.Params
    assert params.model_config["frozen"]
    assert params.model_config["extra"] == "forbid"
    for name, field in params.model_fields.items():
        assert field.description or name in ("method",), f"{name} has no description"


@pytest.mark.parametrize("name", sorted(set(ACTIONS) - set(ACTING)))
def test_a_step_for_people_or_time_has_the_shape_of_its_port(name: str) -> None:
    doing = ACTIONS[name].Plugin(KIT)
    params = doing.Params.model_validate(USES[name])
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    if doing.way == "asks":
        assert doing.question(params).words
    elif doing.way == "waits":
        assert doing.until(params, now) > now
    else:
        assert doing.way == "tells"
        assert doing.target(params).action == name
        (effect,) = doing.effects(params, incident(), "tocsin-run-1-tell", now)
        assert "tocsin-run-1-tell" in effect.key
        assert doing.shown(params)
    with pytest.raises(ValidationError):
        doing.Params.model_validate({**USES[name], "typo": 1})


@pytest.mark.parametrize("name", CHANGING)
def test_a_second_run_of_every_action_plans_nothing(name: str) -> None:
    """Over the facts that tests of runbooks use; over the real world it is in each action's own tests."""
    action: Action = ACTIONS[name].Plugin(KIT)
    params = action.Params.model_validate(USES[name])
    before = action.facts({}, params)
    plan = action.plan(before, params)
    assert plan, "with nothing said there is something to do"
    assert plan.digest == action.plan(action.facts({}, params), params).digest, "planning is pure"
    after = action.after(before, plan, params)
    assert action.verify(after, params) is None
    if action.observable:
        assert not action.plan(after, params)
    undo = action.undo(plan, {}, params)
    if undo is not None:
        back: Action = ACTIONS[undo.action].Plugin(KIT)
        assert back.Params.model_validate(dict(undo.with_))
        assert back.way == "acts"


@pytest.mark.parametrize("name", ACTING)
def test_the_facts_of_a_test_that_an_action_does_not_know_are_refused_with_the_nearest_name(name: str) -> None:
    action: Action = ACTIONS[name].Plugin(KIT)
    with pytest.raises(BadInput, match="nonsense"):
        action.facts({"nonsense": 1}, action.Params.model_validate(USES[name]))


@pytest.mark.parametrize("name", ACTING)
def test_an_action_has_the_shape_of_the_port(name: str) -> None:
    action: Action = ACTIONS[name].Plugin(KIT)
    params = action.Params.model_validate(USES[name])
    assert action.target(params).action == name
    assert isinstance(action.writes, bool)
    assert action.risk in (("low", "high") if action.writes else ("none",))
    assert isinstance(action.observable, bool)
    assert isinstance(action.repeatable(params), bool)
    assert inspect.iscoroutinefunction(action.look)
    assert inspect.iscoroutinefunction(action.do)
    with pytest.raises(ValidationError):
        action.Params.model_validate({**USES[name], "typo": 1})


@pytest.mark.parametrize("name", GATHERERS)
def test_a_gatherer_has_the_shape_of_the_port_and_works_without_being_configured(name: str) -> None:
    gatherer: Gatherer = GATHERERS[name].Plugin(KIT, GATHERERS[name].Params())
    assert gatherer.title
    assert 0 < gatherer.deadline <= 60


@pytest.mark.parametrize("name", ["helm.rollback", "k8s.restart", "k8s.rollback", "k8s.scale", "prometheus.query"])
async def test_an_action_says_when_its_system_is_not_configured(name: str) -> None:
    action: Action = ACTIONS[name].Plugin(KIT)
    with pytest.raises(BadInput, match=r"is configured: add `(kubernetes|prometheus):` to tocsin\.yaml"):
        await action.look(action.Params.model_validate(USES[name]))
