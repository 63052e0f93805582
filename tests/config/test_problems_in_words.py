"""One mistake in a good configuration, one message: where it is, what was found, what was wanted, the nearest valid name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.config.folder import GOOD, RUNBOOK, TOCSIN, problems

MAIN, ONCALL, POLICY, SERVICES = "tocsin.yaml", "oncall.yaml", "policy.yaml", "services.yaml"
MISTAKES = yaml.safe_load((Path(__file__).parent / "mistakes.yaml").read_text())


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{one['file']}-{one['to']}" for one in MISTAKES])
def test_a_mistake_gets_exactly_this_message(tmp_path: Path, mistake: dict[str, str]) -> None:
    good = GOOD[mistake["file"]]
    assert mistake["from"] in good
    assert problems(tmp_path, {mistake["file"]: good.replace(mistake["from"], mistake["to"], 1)}) == [mistake["says"]]


def test_a_good_configuration_has_no_problems(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


def test_all_problems_of_all_files_are_told_at_once_and_in_order(tmp_path: Path) -> None:
    broken = {
        MAIN: TOCSIN.replace("policy: shop", "policy: shpo").replace("env:BOT", "env:NO") + "severities: {}\n",
        ONCALL: GOOD[ONCALL].replace("timeout: 5m", "timeout: soon").replace("[ada, bob]", "[ada, eve]"),
        POLICY: GOOD[POLICY].replace("[ada, bob]", "[ada, mallory]"),
        SERVICES: GOOD[SERVICES].replace("owner", "ownr"),
        "runbooks/scale-up.yaml": RUNBOOK.replace("replicas: 6", "replicas: six")
        + "approve: {role: boss}\nstrat: manual\n",
    }
    assert [one.split(": ")[:2] for one in problems(tmp_path, broken)] == [
        ["tocsin.yaml:2:14", "slack.bot_token"],
        ["tocsin.yaml:11:15", "route.routes[0].policy"],
        ["tocsin.yaml:12:13", "severities"],
        ["services.yaml:1:12", "checkout.ownr"],
        ["oncall.yaml:5:24", "rotations.shop.people[1]"],
        ["oncall.yaml:11:45", "policies.shop.levels[0].timeout"],
        ["policy.yaml:1:27", "roles.responders[1]"],
        ["runbooks/scale-up.yaml:12:17", "steps[0].with.replicas"],
        ["runbooks/scale-up.yaml:13:17", "approve.role"],
        ["runbooks/scale-up.yaml:14:1", "strat"],
    ]


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    assert problems(tmp_path, {MAIN: "log: {level: debug}\n"}) == [
        'tocsin.yaml:1:1: "slack" is missing',
        'tocsin.yaml:1:1: "route" is missing',
    ]


def test_a_missing_key_is_reported_at_the_mapping_it_is_missing_from(tmp_path: Path) -> None:
    assert problems(tmp_path, {MAIN: TOCSIN.replace("  bot_token: env:BOT\n", "")}) == [
        'tocsin.yaml:1:1: slack: "bot_token" is missing'
    ]


def test_one_unreadable_file_does_not_make_the_names_in_it_look_wrong_elsewhere(tmp_path: Path) -> None:
    assert problems(tmp_path, {ONCALL: "people: ["}) == [
        "oncall.yaml:2:1: not YAML: while parsing a flow node, did not find expected node content; "
        "is it indented as the lines around it, and each quote and bracket closed?"
    ]


def test_long_and_many_names_are_cut_short(tmp_path: Path) -> None:
    people = "".join(f"  person{number}: {{slack: U0P{number}}}\n" for number in range(40))
    text = f"people:\n{people}policies:\n  ops: {{levels: [{{targets: ['person:{'x' * 5000}']}}]}}\n  shop: {{levels: [{{targets: [channel:a]}}]}}\n"
    [problem] = [one for one in problems(tmp_path, {ONCALL: text}) if one.startswith("oncall.yaml")]
    assert problem.endswith('x…" (people: ' + ", ".join(f"person{number}" for number in range(12)) + " and 28 more)")
    assert len(problem) < 400
