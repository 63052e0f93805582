"""The runbooks that come with Tocsin and those in docs/runbooks.md: right as files, without a doubt, and their own tests pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from bot import app
from bot.clients.render import JinjaTemplates
from bot.config.linting import gathered, lint
from bot.config.runbooks import Known, Runbooks
from bot.config.yaml import read
from bot.domain.policy import Policy
from bot.domain.runbook import Runbook
from bot.plugins import discover
from bot.rehearsal.running import Rehearsal
from tests.support.command_line import ROOT, changed, folder, tocsin, world

FOLDER = ROOT / "runbooks"
GUIDE = ROOT / "docs" / "runbooks.md"
PLACE = "config/books/"  # where the guide's runbook stands
ACTIONS: dict[str, type[BaseModel]] = {name: module.Params for name, module in discover("actions").items()}
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
BY_HAND = ("noisy-alert", "restart-deployment", "scale-deployment")
SHOP = {"namespace": "shop", "deployment": "checkout"}
FACTS: dict[str, Any] = {
    "params": {**SHOP, "limit": 0.05, "replicas": 6},
    "incident": {"ref": "INC-7", "opened_at": "2026-11-21T03:12:05.5+00:00"},
    "run": {"ref": "RUN-1"},
}


def runbook(name: str) -> Runbook:
    collected = Runbooks(Known(ACTIONS, None))
    document, _ = read(FOLDER / f"{name}.yaml", f"{name}.yaml")
    collected.add(document)
    return collected.found[name]


# ------------------------------------------------------------------------------------------------ as files


def test_nothing_is_wrong_with_them_and_nothing_is_doubtful() -> None:
    assert lint([FOLDER], app.registry()) == (len(NAMES), [])


@pytest.mark.parametrize("name", NAMES)
async def test_its_own_tests_pass_and_reach_all_of_it(name: str) -> None:
    rehearsal = Rehearsal(gathered([FOLDER / f"{name}.yaml"], app.registry()))
    results = [result async for result in rehearsal.results()]
    assert len(results) >= 3
    assert [failure for result in results for failure in result.failures] == []
    [covered] = rehearsal.covered()
    assert covered.percent >= 90, covered.missing


@pytest.mark.parametrize("name", ["restart-deployment", "rollback-bad-deployment", "scale-deployment"])
def test_every_step_fits_its_action_once_it_is_rendered(name: str) -> None:
    for step in runbook(name).steps:
        ACTIONS[step.action].model_validate(JinjaTemplates().value(dict(step.with_), FACTS))


def test_the_query_of_the_rollback_is_promql_about_the_deployment() -> None:
    step = runbook("rollback-bad-deployment").steps[0]
    rendered = JinjaTemplates().value(dict(step.with_), FACTS)
    assert rendered == {"query": 'demo_error_ratio{namespace="shop",deployment="checkout"}', "expect": "> 0.05"}


def test_between_them_they_show_every_construct_of_the_language() -> None:
    books = [runbook(name) for name in NAMES]
    steps = [step for book in books for one in book.steps for step in (one, *one.parallel)]
    for construct in ("if_", "foreach", "parallel", "call", "retry", "outputs", "approve", "no_undo", "timeout"):
        assert any(construct in step.model_fields_set for step in steps), construct
    assert any(step.verify.until for step in steps)
    assert any(step.verify.for_ for step in steps)
    assert {step.on_failure for step in steps} == {None, "continue", "undo", "escalate", "end"}
    assert {book.start for book in books} == {"offer", "auto", "manual"}
    assert {"ask", "manual", "wait", "page", "slack.post"} <= {step.action for step in steps}


# ------------------------------------------------------------------------------------------------ when they are offered


@pytest.mark.parametrize(
    ("labels", "offered"),
    [
        ({"alertname": "HighErrorRate", **SHOP}, ["rollback-bad-deployment"]),
        ({"alertname": "HighErrorRate", "namespace": "shop"}, []),
        ({"alertname": "DiskFull", **SHOP}, []),
        ({"alertname": "KubePodCrashLooping", **SHOP, "pod": "checkout-1"}, ["crash-loop"]),
        ({"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "checkout-1"}, []),
        ({"alertname": "KubeContainerOOMKilled", **SHOP}, ["out-of-memory"]),
        ({"alertname": "CPUThrottlingHigh", **SHOP}, ["saturated-replicas"]),
        ({"alertname": "KubeHpaMaxedOut", "namespace": "shop", "horizontalpodautoscaler": "checkout"}, []),
        (
            {"alertname": "KubePersistentVolumeFillingUp", "namespace": "shop", "persistentvolumeclaim": "exports"},
            ["disk-filling"],
        ),
        (
            {"alertname": "CertManagerCertExpirySoon", "namespace": "shop", "name": "shop-tls"},
            ["certificate-expiring"],
        ),
        ({"alertname": "RabbitmqTooManyMessagesInQueue", **SHOP, "queue": "orders"}, ["queue-backlog"]),
        ({"alertname": "RabbitmqTooManyMessagesInQueue", **SHOP}, []),
        ({"alertname": "KafkaConsumerGroupLag", **SHOP, "consumergroup": "orders"}, ["stuck-consumer"]),
        ({"alertname": "KubeNodeNotReady", "node": "worker-3"}, ["node-not-ready"]),
        ({"alertname": "CheckoutErrorBudgetBurnFast", **SHOP}, ["error-budget-burning"]),
        ({"alertname": "KubeAPIErrorBudgetBurn", "severity": "critical"}, []),
        (
            {"alertname": "ProbeFailed", "service": "payments", "instance": "https://api.cards.example"},
            ["dependency-down"],
        ),
        ({"alertname": "ProbeFailed", "service": "checkout", "instance": "https://shop.example"}, []),
    ],
)
def test_each_is_offered_for_its_own_alerts_and_only_with_the_labels_that_it_needs(
    labels: dict[str, str], offered: list[str]
) -> None:
    assert [name for name in NAMES if runbook(name).fits(labels)] == offered


@pytest.mark.parametrize("name", NAMES)
def test_what_a_match_asks_for_is_where_its_parameters_come_from(name: str) -> None:
    """So that none is offered and then lacks a value."""
    book = runbook(name)
    if name in BY_HAND:
        assert book.match == ()
        return
    asked = {matcher.name for matcher in book.matchers if not matcher.matches({})}
    for parameter, spec in book.params.items():
        assert spec.default is not None or spec.label in asked, parameter


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_from_an_alert_cannot_break_out_of_a_query(name: str) -> None:
    for parameter, spec in runbook(name).params.items():
        if spec.label:
            assert spec.pattern, parameter
            for hostile in ('x"} or vector(1)', "x\\", "x{", "{{ 1 }}", "x\ny"):
                assert not re.fullmatch(spec.pattern, hostile), parameter


def test_a_claim_cannot_lead_out_of_the_folder_that_is_pruned() -> None:
    assert not re.fullmatch(runbook("disk-filling").params["claim"].pattern, "../../etc")


# ------------------------------------------------------------------------------------------------ with the example configuration


def test_the_example_policy_allows_what_they_do_and_nothing_begins_unattended() -> None:
    checked = tocsin("check", ROOT / "deploy" / "config")
    assert (checked.code, checked.err) == (0, "")
    policy = yaml.safe_load((ROOT / "deploy/config/policy.yaml").read_text(encoding="utf-8"))
    assert not any(rule.get("unattended") for rule in policy["allow"])


def test_the_table_names_every_runbook_once() -> None:
    table = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[([a-z-]+)\]\(\1\.yaml\) \|", table, re.M)
    assert sorted(rows) == NAMES


# ------------------------------------------------------------------------------------------------ docs/runbooks.md


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)


def runbooks_of_the_guide() -> list[str]:
    return [text for text in blocks("yaml") if "\nsteps:" in text]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The guide's runbook in its last form."""
    path = tmp_path / "more-search.yaml"
    path.write_text(runbooks_of_the_guide()[-1], encoding="utf-8")
    return path


def test_the_first_runbook_of_the_guide_only_lacks_tests(tmp_path: Path) -> None:
    path = tmp_path / "more-search.yaml"
    path.write_text(runbooks_of_the_guide()[0], encoding="utf-8")
    count, warnings = lint([path], app.registry())
    assert count == 1
    assert [str(one).rpartition(": ")[2][:40] for one in warnings] == ["it changes something and has no tests; a"]


def test_the_mistakes_in_the_guide_are_told_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "more-search.yaml"
    path.write_text(runbooks_of_the_guide()[0], encoding="utf-8")
    changed(path, "action: k8s.scale", "action: k8s.scal")
    changed(path, "{{ params.namespace }}", "{{ params.namespce }}")
    told = tocsin("runbook", "lint", path)
    assert told.code == 2
    shown = next(text for text in blocks("text") if "k8s.scal" in text).splitlines()
    for line, found in zip(shown, told.err.splitlines(), strict=True):
        assert found.removeprefix(f"{tmp_path}/").startswith(line.removeprefix(PLACE))


def test_the_plan_in_the_guide_is_what_a_cluster_gives(tmp_path: Path) -> None:
    with world() as practice:
        made = folder(tmp_path, practice.url)
        (tmp_path / "runbooks" / "more-search.yaml").write_text(runbooks_of_the_guide()[0], encoding="utf-8")
        planned = tocsin("runbook", "plan", "more-search", "-p", "replicas=4", "--config", made)
        as_it_is = tocsin("runbook", "plan", "more-search", "-p", "replicas=2", "--config", made)
        elsewhere = tocsin("runbook", "plan", "more-search", "-p", "namespace=bank", "--config", made)
    [shown] = [text for text in blocks("text") if text.startswith("scale:")]
    assert planned.out.startswith(shown), planned.text
    assert "nothing to do, it is already so" in as_it_is.out
    assert "no rule under `allow` lets k8s.scale touch bank/search" in elsewhere.text


def test_the_tests_in_the_guide_pass_and_are_shown_as_they_run(written: Path) -> None:
    assert lint([written], app.registry()) == (1, [])
    ended = tocsin("runbook", "test", written, "--coverage", "100")
    assert ended.code == 0, ended.text
    [shown] = [text for text in blocks("text") if text.startswith("ok ")]
    told = [line.rpartition("  (")[0] for line in ended.out.splitlines() if line.startswith("ok ")]
    assert told == shown.splitlines()


def test_a_wrong_expectation_is_shown_as_the_guide_says(written: Path) -> None:
    changed(written, "2 -> 4", "2 -> 5")
    ended = tocsin("runbook", "test", written)
    assert ended.code == 1
    [shown] = [text for text in blocks("text") if text.startswith("FAIL")]
    head, difference = shown.splitlines()
    assert ended.out.startswith(head)
    assert difference.strip().removeprefix(PLACE) in ended.out.replace(f"{written.parent}/", "")


@pytest.mark.parametrize("number", range(len([text for text in blocks("yaml") if text.startswith("- id:")])))
def test_every_group_of_steps_in_the_guide_is_right(tmp_path: Path, number: int) -> None:
    """Beside the runbook that it calls, in a runbook that has the parameters which the guide's has."""
    text = [one for one in blocks("yaml") if one.startswith("- id:")][number]
    path = tmp_path / "snippet.yaml"
    head = "name: snippet\ntitle: A snippet\nstart: manual\nparams: {namespace: {default: shop}}\nsteps:\n"
    path.write_text(head + "".join(f"  {line}\n" for line in text.splitlines()), encoding="utf-8")
    called = (FOLDER / "scale-deployment.yaml").read_text(encoding="utf-8")
    (tmp_path / "scale-deployment.yaml").write_text(called, encoding="utf-8")
    count, warnings = lint([path], app.registry())
    assert count == 1
    assert [str(one) for one in warnings if "has no tests" not in str(one)] == []


def test_the_rules_in_the_guide_allow_what_its_runbook_does() -> None:
    [text] = [text for text in blocks("yaml") if text.startswith("allow:")]
    policy = Policy.model_validate(yaml.safe_load(text))
    assert {action for rule in policy.allow for action in rule.actions if "*" not in action} <= set(ACTIONS)


def test_every_command_in_the_guide_exists() -> None:
    words = re.findall(r"tocsin ((?:runbook )?[a-z]+)", "\n".join(blocks("sh")))
    assert words
    for command in words:
        assert tocsin(*command.split(), "--help").code == 0, command


def test_every_link_of_the_guide_and_the_table_leads_somewhere() -> None:
    for page in (GUIDE, FOLDER / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (page.parent / target).exists(), target
