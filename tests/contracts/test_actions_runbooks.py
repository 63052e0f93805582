"""The runbooks that come with Tocsin: right as files, and their steps fit their actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bot.clients.render import JinjaTemplates
from bot.config.files import Registry
from bot.config.linting import lint
from bot.config.runbooks import Known, Runbooks
from bot.config.yaml import read
from bot.domain.runbook import Runbook
from bot.plugins import discover

FOLDER = Path(__file__).resolve().parents[2] / "runbooks"
ACTIONS: dict[str, type[BaseModel]] = {name: module.Params for name, module in discover("actions").items()}
FACTS: dict[str, Any] = {
    "params": {"namespace": "shop", "deployment": "checkout", "limit": 0.05, "replicas": 6},
    "incident": {"ref": "INC-7", "opened_at": "2026-11-21T03:12:05.5+00:00"},
    "run": {"ref": "RUN-1"},
}
CRASH = {"alertname": "HighErrorRate", "namespace": "shop", "deployment": "checkout"}


def runbook(name: str) -> Runbook:
    collected = Runbooks(Known(ACTIONS, None))
    document, _ = read(FOLDER / f"{name}.yaml", f"{name}.yaml")
    collected.add(document)
    return collected.found[name]


def test_nothing_is_wrong_with_them() -> None:
    assert lint([FOLDER], Registry(sources={}, actions=ACTIONS, gatherers={})) == (3, [])


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_step_fits_its_action_once_it_is_rendered(name: str) -> None:
    templates = JinjaTemplates()
    for step in runbook(name).steps:
        ACTIONS[step.action].model_validate(templates.value(dict(step.with_), FACTS))


def test_the_query_of_the_rollback_is_promql_about_the_deployment() -> None:
    step = runbook("rollback-bad-deployment").steps[0]
    rendered = JinjaTemplates().value(dict(step.with_), FACTS)
    assert rendered == {"query": 'demo_error_ratio{namespace="shop",deployment="checkout"}', "expect": "> 0.05"}


@pytest.mark.parametrize(
    ("labels", "offered"),
    [
        (CRASH, True),
        ({**CRASH, "alertname": "CheckoutErrorBudgetBurnFast"}, True),
        ({**CRASH, "alertname": "DiskFull"}, False),
        ({"alertname": "HighErrorRate", "namespace": "shop"}, False),
    ],
)
def test_the_rollback_is_offered_for_errors_of_a_deployment(labels: dict[str, str], offered: bool) -> None:
    assert runbook("rollback-bad-deployment").fits(labels) is offered


@pytest.mark.parametrize("name", ["restart-deployment", "scale-deployment"])
def test_the_others_are_started_by_hand(name: str) -> None:
    assert not runbook(name).fits(CRASH)
