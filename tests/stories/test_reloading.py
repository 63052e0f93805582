"""A changed configuration is taken over while incidents are open; a wrong one changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bot import app
from bot.cli.demo import secrets
from bot.config import ConfigErrors, load
from bot.domain.incident import State
from tests.support.program import EXAMPLE, Program, overrides, program


def folder(tmp_path: Path) -> Path:
    made = tmp_path / "deploy" / "config"
    shutil.copytree(EXAMPLE, made)
    shutil.copytree(EXAMPLE.parents[1] / "runbooks", tmp_path / "runbooks")
    return made


def changed(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def reload(it: Program, config: Path, tmp_path: Path) -> None:
    """As SIGHUP does it: the new configuration is read whole before anything is touched."""
    given = {**overrides(it.world, tmp_path, "127.0.0.1:1", auto=False), "slack.pace": 1000}
    it.tocsin.reload(load(config, app.registry(), secrets(it.world), overrides=given))


async def test_new_routes_people_and_severities_count_from_then_on(tmp_path: Path) -> None:
    config = folder(tmp_path)
    async with program(tmp_path, folder=config) as it:
        await it.alert()
        await it.settle()
        changed(config / "tocsin.yaml", "group_by: [alertname, service]", "group_by: [team]")
        changed(config / "tocsin.yaml", "severities: [critical,", "severities: [catastrophic, critical,")
        changed(config / "policy.yaml", "responders: [ada, bob, chen]", "responders: [ada, chen]")
        reload(it, config, tmp_path)

        assert (await it.alert())["outcome"] == "repeated", "what is open stays what it is"
        assert (await it.alert(service="cart"))["outcome"] == "opened"
        assert (await it.alert(service="search"))["outcome"] == "joined", "grouped by team now"
        await it.settle()
        assert "INC-1 is catastrophic now" in await it.command("U0BOB", "severity INC-1 catastrophic")
        assert "Only the role responders" in await it.click("U0BOB", "tocsin_approve", "inc-1")


async def test_a_wrong_configuration_is_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    config = folder(tmp_path)
    async with program(tmp_path, folder=config) as it:
        changed(config / "tocsin.yaml", "group_by: [alertname, service]", "group_by: [team]")
        changed(config / "tocsin.yaml", "policy: default # in oncall.yaml", "policy: nonsuch")
        with pytest.raises(ConfigErrors, match=r"tocsin\.yaml:\d+") as refused:
            reload(it, config, tmp_path)
        assert "nonsuch" in str(refused.value)
        assert (await it.alert(service="cart"))["outcome"] == "opened"
        assert (await it.alert(service="search"))["outcome"] == "opened", "still grouped by service"


async def test_an_escalation_under_way_keeps_the_policy_that_it_began_with(tmp_path: Path) -> None:
    config = folder(tmp_path)
    async with program(tmp_path, folder=config) as it:
        await it.alert()
        await it.settle()
        changed(config / "oncall.yaml", "      - targets: [person:bob]\n", "      - targets: [person:ada]\n")
        reload(it, config, tmp_path)
        await it.wait(31)
        assert len(it.pages("U0BOB")) == 1
        assert (await it.incident()).state is State.TRIGGERED


async def test_a_runbook_that_is_taken_away_does_not_stop_its_run(tmp_path: Path) -> None:
    config = folder(tmp_path)
    async with program(tmp_path, folder=config) as it:
        await it.alert()
        await it.until(lambda: "tocsin_approve" in it.text("inc-1"))
        for file in (tmp_path / "runbooks").glob("*.yaml"):  # with those that call it, which could not be without it
            if "rollback-bad-deployment" in file.read_text():
                file.unlink()
        reload(it, config, tmp_path)
        await it.click("U0BOB", "tocsin_approve")
        await it.wait(30)
        assert it.writes() == ["patch deployments checkout"]
        assert "There is no runbook" in await it.command("U0BOB", "runbook INC-1 rollback-bad-deployment")
