"""`tocsin runbook lint` and `plan`: files are checked with their lines, plans are shown and nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import app
from bot.config import load
from bot.domain.alert import Alert
from bot.practice.server import Practice
from tests.support.command_line import ROOT, SECRETS, changed, folder, tocsin, world

RUNBOOKS = ROOT / "runbooks"


@pytest.fixture(scope="module")
def practice() -> Iterator[Practice]:
    with world() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, practice: Practice) -> Path:
    return folder(tmp_path, practice.url)


def test_the_shipped_runbooks_have_nothing_wrong() -> None:
    ended = tocsin("runbook", "lint", RUNBOOKS)
    count = len(list(RUNBOOKS.glob("*.yaml")))
    assert (ended.code, ended.out) == (0, f"{count} runbooks: nothing wrong\n")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("action: k8s.scale", "action: k8s.scael", "k8s.scale"),
        ('replicas: "{{ params.replicas }}"', 'replicas: "{{ params.repilcas }}"', "replicas"),
        ("within: 10m", "within: 10", "within"),
        ("name: scale-deployment", "name: Scale Deployment!", "name"),
        ("start: manual", "start: [manual", ":"),
        ("    type: integer", "    type: integre", "integer"),
    ],
)
def test_a_mistake_in_a_runbook_is_named_with_its_line(tmp_path: Path, before: str, after: str, words: str) -> None:
    path = tmp_path / "scale-deployment.yaml"
    path.write_text((RUNBOOKS / "scale-deployment.yaml").read_text())
    changed(path, before, after)
    ended = tocsin("runbook", "lint", path)
    assert ended.code == 2
    assert "scale-deployment.yaml:" in ended.err
    assert words in ended.err
    assert "Traceback" not in ended.text


@pytest.mark.parametrize("name", ["nowhere.yaml", "empty.yaml", "bytes.yaml", "list.yaml"])
def test_what_is_no_runbook_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.yaml").write_bytes(b"")
    (tmp_path / "bytes.yaml").write_bytes(b"\x00\xff")
    (tmp_path / "list.yaml").write_bytes(b"- 1\n")
    ended = tocsin("runbook", "lint", tmp_path / name)
    assert ended.code == 2
    assert name in ended.err
    assert "Traceback" not in ended.text


def test_a_plan_is_shown_as_a_diff_and_nothing_is_changed(practice: Practice, config: Path) -> None:
    before = len(practice.cluster.audit)
    words = ("-p", "namespace=shop", "-p", "deployment=cart", "-p", "replicas=5")
    ended = tocsin("runbook", "plan", "scale-deployment", *words, "--config", config)
    assert ended.code == 0, ended.text
    assert "- replicas: 2" in ended.out
    assert "+ replicas: 5" in ended.out
    assert all(one.verb in ("get", "list") for one in practice.cluster.audit[before:])


def test_the_plan_of_a_rollback_names_both_images_and_nothing_is_changed(practice: Practice, config: Path) -> None:
    before = len(practice.cluster.audit)
    words = ("-p", "namespace=shop", "-p", "deployment=checkout")
    ended = tocsin("runbook", "plan", "rollback-bad-deployment", *words, "--config", config)
    assert ended.code == 0, ended.text
    assert "- revision: 14" in ended.out
    assert "+ revision: 13   (image checkout:1.4.2 -> checkout:1.4.1)" in ended.out
    asked = practice.cluster.audit[before:]
    assert asked, "the cluster was asked"
    assert all(one.verb in ("get", "list") for one in asked)


MANY = """\
name: many
title: Many ways
start: manual
steps:
  - {id: ask, action: ask, with: {question: "Which way?", choices: [left, right]}}
  - {id: again, call: scale-deployment, with: {namespace: shop, deployment: cart, replicas: 5}}
  - id: both
    parallel:
      - {id: one, action: k8s.scale, with: {namespace: shop, deployment: cart, replicas: 6}, on_failure: continue}
      - {id: two, action: k8s.scale, with: {namespace: bank, deployment: cart, replicas: 6}}
  - id: each
    action: k8s.scale
    foreach: [cart, nonsuch]
    with: {namespace: shop, deployment: "{{ item }}", replicas: 7}
"""


def test_every_step_of_calls_groups_and_lists_is_shown_by_its_id_and_refusals_too(tmp_path: Path, config: Path) -> None:
    (tmp_path / "runbooks" / "many.yaml").write_text(MANY)
    ended = tocsin("runbook", "plan", "many", "--config", config)
    assert ended.code == 1, ended.text
    shown = {part.partition(":")[0]: part for part in ended.out.split("\n") if part and not part.startswith(" ")}
    assert list(shown) == ["ask", "again.scale", "one", "two", "each[1]", "each[2]", "Nothing was changed."]
    for part in (
        "ask:\n  asks: Which way?\n",
        "+ replicas: 5",
        "two:\n  cannot be planned: policy.yaml:",
        "no rule under `allow` lets k8s.scale touch bank/cart",
        "each[2]:\n  cannot be planned: ",
    ):
        assert part in ended.out
    assert ended.out.endswith("Nothing was changed.\n")


def test_a_freeze_is_a_note_on_a_plan_and_no_failure(config: Path) -> None:
    changed(config / "policy.yaml", "  # freeze:\n", "  freeze: [{name: Sale}]\n")
    words = ("scale-deployment", "-p", "namespace=shop", "-p", "deployment=cart", "-p", "replicas=5")
    ended = tocsin("runbook", "plan", *words, "--config", config)
    assert ended.code == 0, ended.text
    assert "not now: policy.yaml:" in ended.out
    assert "Sale: nothing is changed; the role admins can break the glass, with a reason" in ended.out


def test_the_labels_of_an_incident_fill_in_what_is_not_given(tmp_path: Path, config: Path) -> None:
    (tmp_path / "state").mkdir()
    labels = {"alertname": "HighErrorRate", "team": "shop", "namespace": "shop", "deployment": "checkout"}

    async def an_alert_comes() -> None:
        alert = Alert("alertmanager", "f1", True, labels, {}, app.now())
        async with app.built(load(config, app.registry(), SECRETS)) as program:
            running = asyncio.create_task(program.intake.run())
            await program.intake.accept([alert])
            running.cancel()

    asyncio.run(an_alert_comes())
    ended = tocsin("runbook", "plan", "rollback-bad-deployment", "--incident", "INC-1", "--config", config)
    assert ended.code == 0, ended.text
    assert "Deployment shop/checkout" in ended.out
    instead = ("--incident", "INC-1", "-p", "deployment=nonsuch")
    ended = tocsin("runbook", "plan", "rollback-bad-deployment", *instead, "--config", config)
    assert ended.code == 1
    assert "nonsuch" in ended.out
    assert "Traceback" not in ended.text


def test_a_plan_that_policy_refuses_or_that_changes_nothing_says_so(config: Path) -> None:
    words = ["-p", "namespace=shop", "-p", "deployment=cart"]
    refused = tocsin("runbook", "plan", "scale-deployment", *words, "-p", "replicas=99", "--config", config)
    assert refused.code == 1
    assert "at most 10 replicas" in refused.out
    elsewhere = ["-p", "namespace=kube-system", "-p", "deployment=cart", "-p", "replicas=1"]
    refused = tocsin("runbook", "plan", "scale-deployment", *elsewhere, "--config", config)
    assert refused.code == 1
    assert "cannot be planned" in refused.out
    nothing = tocsin("runbook", "plan", "scale-deployment", *words, "-p", "replicas=2", "--config", config)
    assert nothing.code == 0
    assert "+" not in nothing.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scale-deploymnet",), 'did you mean "scale-deployment"'),
        (("scale-deployment", "-p", "replicas"), "write it as NAME=VALUE"),
        (("scale-deployment", "-p", "repilcas=2"), 'did you mean "replicas"'),
        (
            ("scale-deployment", "-p", "namespace=shop", "-p", "deployment=cart", "-p", "replicas=many"),
            "replicas='many'",
        ),
        (("scale-deployment",), "needs namespace"),
        (("scale-deployment", "--incident", "INC-99"), "There is no INC-99"),
        (("scale-deployment", "--incident", "nonsense"), "does not name an incident"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(config: Path, words: tuple[str, ...], said: str) -> None:
    ended = tocsin("runbook", "plan", *words, "--config", config)
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert "Traceback" not in ended.text


def test_a_cluster_that_cannot_be_reached_is_said(tmp_path: Path) -> None:
    words = ("-p", "namespace=shop", "-p", "deployment=cart", "-p", "replicas=5")
    ended = tocsin("runbook", "plan", "scale-deployment", *words, "--config", folder(tmp_path))
    assert ended.code == 1
    assert "cannot be planned" in ended.out
    assert "Traceback" not in ended.text
