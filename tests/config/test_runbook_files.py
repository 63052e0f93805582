"""Runbooks from YAML: what is wrong in them is told before anybody needs them. Single mistakes are in mistakes.yaml."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.clients.expressions import CelExpressions
from bot.clients.render import JinjaTemplates
from bot.config import Registry, schema
from bot.config.runbook_names import INCIDENT, RUN, Names
from bot.domain.expand import begun
from bot.domain.incident import Incident
from bot.domain.people import TOCSIN
from bot.domain.rules import Rules
from bot.domain.runbook import Runbook
from bot.flow.seeing import Sight
from tests.config.folder import REGISTRY, RUNBOOK, Own, loaded, problems, warnings
from tests.config.json_schema import violations

FILE = "runbooks/scale-up.yaml"


def test_a_runbook_without_its_title_is_told_with_the_key_that_was_meant(tmp_path: Path) -> None:
    assert problems(tmp_path, {FILE: RUNBOOK.replace("title:", "tilte:")}) == [
        f'{FILE}:1:1: "title" is missing',
        f'{FILE}:2:1: tilte: unknown key "tilte"; did you mean "title"? '
        "(known: approve, description, match, mitigates, name, on_failure, params, start, steps, tests, title)",
    ]


def test_two_runbooks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    assert problems(tmp_path, {"runbooks/zz.yaml": RUNBOOK}) == [
        'runbooks/zz.yaml:1:7: name: runbooks/scale-up.yaml is called "scale-up" already'
    ]


def test_two_steps_of_one_id_are_told(tmp_path: Path) -> None:
    step = RUNBOOK[RUNBOOK.index("  - id") :]
    assert problems(tmp_path, {FILE: RUNBOOK + step}) == [f'{FILE}:13:9: steps[1].id: there is a step "scale" already']


def test_a_runbook_without_a_policy_file_has_nobody_to_approve_it(tmp_path: Path) -> None:
    assert problems(tmp_path, {"policy.yaml": None}) == [
        f'{FILE}:1:1: approve.role: no role is called "responders" (there are no roles)'
    ]


TEMPLATED = """\
name: templated
title: Templates everywhere
start: manual
params: {n: {type: integer, default: 3}, unused: {}}
steps:
  - id: scale
    action: k8s.scale
    with:
      namespace: shop
      deployment: "{{ incident.service | default('checkout') }}"
      replicas: "{{ params.n }}"
      within: "{{ params['n'] }}m"
  - id: ask
    action: http.request
    with:
      url: "https://flags.example/{{ run.ref }}"
      headers: {X-Version: 1.10, X-Why: "{% if incident.labels.team is defined %}{{ steps.scale.state }}{% endif %}"}
    verify: {every: 1s, within: 1h30m}
"""


def test_a_template_is_judged_only_by_its_names(tmp_path: Path) -> None:
    runbook = loaded(tmp_path, {"runbooks/t.yaml": TEMPLATED}).runbooks["templated"]
    assert runbook.steps[0].with_["replicas"] == "{{ params.n }}"
    assert runbook.steps[1].with_["headers"]["X-Version"] == "1.10"
    assert runbook.steps[1].verify.within == timedelta(minutes=90)
    assert warnings(tmp_path, {"runbooks/t.yaml": TEMPLATED}) == [
        "runbooks/t.yaml:4:42: params.unused: no step uses this parameter"
    ]


def test_plain_values_are_kept_as_json_that_the_actions_model_reads(tmp_path: Path) -> None:
    text = RUNBOOK.replace("replicas: 6", "replicas: 6\n      within: 1h30m")
    [step] = loaded(tmp_path, {FILE: text}).runbooks["scale-up"].steps
    assert step.with_ == {"namespace": "shop", "deployment": "{{ params.service }}", "replicas": 6, "within": "PT1H30M"}
    model = REGISTRY.actions["k8s.scale"]
    assert model.model_validate({**step.with_, "deployment": "x"}).within == timedelta(minutes=90)  # type: ignore[attr-defined]


def test_a_place_that_only_shows_when_it_is_rendered_is_not_judged_before(tmp_path: Path) -> None:
    text = RUNBOOK.replace("namespace: shop", 'namespace: "{{ params.service }}"').replace(
        '"{{ params.service }}"\n      rep', "search\n      rep"
    )
    assert "deployment: search" in text
    assert warnings(tmp_path, {FILE: text}) == []


class Stumbling(Own):
    url: str

    def model_post_init(self, context: Any, /) -> None:
        raise ZeroDivisionError


def test_a_plugin_whose_own_check_stumbles_is_a_problem_and_not_a_crash(tmp_path: Path) -> None:
    text = "name: x\ntitle: X\nstart: manual\nsteps: [{id: a, action: odd.one, with: {url: U}}]\n"
    registry = Registry(REGISTRY.sources, {**REGISTRY.actions, "odd.one": Stumbling}, REGISTRY.gatherers)
    found = problems(tmp_path, {"runbooks/x.yaml": text}, registry=registry)
    assert found == ["runbooks/x.yaml:4:40: steps[0].with: odd.one cannot use this: ZeroDivisionError"]
    assert problems(tmp_path, {"runbooks/x.yaml": text.replace("U}", '"{{ run.ref }}"}')}, registry=registry) == []


@pytest.mark.parametrize("folders", ["[]", ""])
def test_without_runbook_folders_there_are_none_or_the_usual_one(tmp_path: Path, folders: str) -> None:
    text = f"runbooks: {folders}\n"
    config = loaded(tmp_path, {"tocsin.yaml": (loaded(tmp_path).folder / "tocsin.yaml").read_text() + text})
    assert list(config.runbooks) == ([] if folders else ["scale-up"])


def test_templates_are_judged_by_the_names_that_the_engine_gives_them() -> None:
    book = Runbook.model_validate({"name": "x", "title": "X", "steps": [{"id": "a", "action": "wait"}]})
    now = datetime(2026, 1, 5, tzinfo=UTC)
    incident = Incident(id=1, title="t", group_key="g", channel_name="c", opened_at=now)
    run = begun(1, incident, book, {}, TOCSIN, now)
    facts = Sight({}, JinjaTemplates(), CelExpressions(), Rules).facts(run, incident)
    assert tuple(facts["incident"]) == INCIDENT
    assert tuple(facts["run"]) == RUN
    assert set(facts) == set(Names().roots)


@pytest.mark.parametrize(
    ("extra", "fits"),
    [
        ("  - {id: b, call: other, with: {anything: 1}}", True),
        ("  - {id: b, parallel: [{id: c, action: k8s.scale, with: {namespace: a, deployment: b, replicas: 1}}]}", True),
        (
            "  - {id: b, parallel: [{id: c, action: k8s.scale, with: {namespace: a, deployment: b, replicas: x}}]}",
            False,
        ),
        ("  - {id: b, action: http.request, with: {url: u}, if: a == b, foreach: [1, 2], verify: {for: 10s}}", True),
        ("  - {id: b, action: http.request, with: {url: u}, iff: a == b}", False),
        (
            "tests: [{name: a, facts: {scale: [{replicas: 3}]}, clicks: {scale: {do: refuse}}, expect: {state: refused}}]",
            True,
        ),
        ("tests: [{name: a, expect: {state: done}}]", False),
    ],
)
def test_the_schema_for_editors_knows_the_whole_language(extra: str, fits: bool) -> None:
    wanted = schema(REGISTRY)["runbook"]
    found = list(violations(yaml.safe_load(RUNBOOK + extra), wanted, wanted))
    assert (found == []) is fits, found
