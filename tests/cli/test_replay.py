"""`tocsin replay` and `tocsin alert log` as people use them."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from bot import app
from bot.config import load
from bot.domain.alert import Alert
from bot.domain.people import Actor
from tests.support.command_line import SECRETS, changed, tocsin

DAY = Path(__file__).parents[1] / "flow" / "day.jsonl"
BOB = Actor(id="bob", name="Bob Kahn")
TOCSIN = """\
state: STATE
slack: {bot_token: "env:TOCSIN_SLACK_BOT_TOKEN", app_token: "env:TOCSIN_SLACK_APP_TOKEN"}
sources:
  alertmanager: {bearer: "env:TOCSIN_ALERTMANAGER_TOKEN"}
relabel:
  - {name: nothing of development, match: [environment="dev"], drop: true}
route: {policy: ops}
"""
ONCALL = """\
people:
  ada: {name: Ada, slack: U0ADA}
  bob: {name: Bob, slack: U0BOB}
policies:
  ops: {levels: [{targets: [person:ada], timeout: 10m}, {targets: [person:bob], timeout: 10m}]}
"""


def folder(place: Path) -> Path:
    """A small configuration; `place/state` is its state."""
    made = place / "config"
    made.mkdir(parents=True)
    (made / "tocsin.yaml").write_text(TOCSIN.replace("STATE", str(place / "state")), encoding="utf-8")
    (made / "oncall.yaml").write_text(ONCALL, encoding="utf-8")
    return made


def test_a_file_is_replayed_without_any_secret_or_database(tmp_path: Path) -> None:
    ended = tocsin("replay", DAY, "--config", folder(tmp_path), env={})
    assert ended.code == 0, ended.text
    figures = dict(line.rsplit(maxsplit=1) for line in ended.out.splitlines() if line[-1:].isdigit())
    assert int(figures["deliveries"]) > 300
    assert int(figures["pages"]) >= int(figures["incidents"]) > 0
    assert not (tmp_path / "state").exists()
    assert tocsin("replay", DAY, "--config", folder(tmp_path / "again"), env={}).out == ended.out


def test_a_change_to_the_configuration_is_compared_with_the_present_one(tmp_path: Path) -> None:
    present, new = folder(tmp_path / "present"), folder(tmp_path / "new")
    changed(
        new / "tocsin.yaml",
        "relabel:\n",
        "relabel:\n  - {name: no queues, match: [alertname=QueueGrows], drop: true}\n",
    )
    ended = tocsin(
        "replay", DAY, "--config", new, "--against", present, "--zone", "Europe/Berlin", "--ack-after", "never"
    )
    assert ended.code == 0, ended.text
    assert "Night is 22:00-07:00 Europe/Berlin." in ended.out
    assert "difference" in ended.out
    gone = ended.out.partition("would not be there any more:\n")[2].partition("\n\n")[0].splitlines()
    assert gone
    assert all("alertname=QueueGrows" in line for line in gone)
    assert "Incidents that would be new: none." in ended.out
    told = json.loads(tocsin("replay", DAY, "--config", new, "--against", present, "--json").out)
    assert told["now"]["incidents"] - told["new"]["incidents"] == sum(told["gone"].values())
    assert told["added"] == {}


def filled(config: Path) -> None:
    """Yesterday one alert fired, was acknowledged after two minutes and resolved; and somebody tried things out."""
    (config.parent / "state").mkdir()
    now = app.now() - timedelta(hours=20)

    async def work() -> None:
        nonlocal now
        async with (
            app.built(load(config, app.registry(), SECRETS), lambda: now) as program,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(program.intake.run())
            labels = {"alertname": "Broken", "service": "checkout", "severity": "critical", "team": "shop"}
            alert = Alert("alertmanager", "f1", True, labels, {}, now)
            await program.intake.accept([alert, Alert("tocsin", "t", True, {"tocsin_test": "true"}, {}, now)])
            now += timedelta(minutes=2)
            await program.incidents.acknowledge(1, BOB)
            await program.intake.accept([Alert("alertmanager", "f1", False, labels, {}, alert.starts_at, now)])
            program.intake.stop()

    asyncio.run(work())


def test_what_is_in_the_database_is_replayed_and_written_to_a_file(tmp_path: Path) -> None:
    config = folder(tmp_path)
    filled(config)
    ended = tocsin("replay", "--since", "1d", "--config", config, "--json")
    assert ended.code == 0, ended.text
    told = json.loads(ended.out)["replayed"]
    assert (told["deliveries"], told["alerts"], told["incidents"]) == (2, 1, 1)
    assert sum(told["pages"].values()) == 1
    log = tocsin("alert", "log", "--since", "1d", "--config", config)
    assert log.code == 0, log.text
    file = tmp_path / "day.jsonl"
    file.write_text(log.out, encoding="utf-8")
    assert json.loads(tocsin("replay", file, "--config", config, "--json").out)["replayed"] == told
    assert tocsin("alert", "log", "--since", "1d", "--until", "19h", "--config", config).out == log.out
    assert tocsin("alert", "log", "--since", "19h", "--config", config).out == ""


def test_bad_lines_are_said_and_the_rest_is_replayed(tmp_path: Path) -> None:
    file = tmp_path / "day.jsonl"
    file.write_text(DAY.read_text(encoding="utf-8") + "nonsense\n", encoding="utf-8")
    ended = tocsin("replay", file, "--config", folder(tmp_path))
    assert ended.code == 0
    assert f"{file}: line 226: " in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "a FILE, or --since 7d"),
        (("FILE", "--since", "7d"), "one of both"),
        (("FILE", "--until", "1d"), "--until goes with --since"),
        (("FILE", "--night", "late"), "wanted two times of day, like 22:00-07:00"),
        (("FILE", "--zone", "Europe/Berln"), 'did you mean "Europe/Berlin"?'),
        (("FILE", "--ack-after", "soon"), "wanted a duration like 5m, `never` or `recorded`"),
        (("--since", "last week"), "wanted a span like 24h or 7d, or a time"),
        (("--since", "1d", "--until", "2d"), "is not before --until"),
        (("--since", "1d"), "there is no file"),
        (("none.jsonl",), "none.jsonl: cannot be read"),
    ],
)
def test_a_wrong_call_is_said_in_one_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    given = [str(DAY) if word == "FILE" else word for word in words]
    ended = tocsin("replay", *given, "--config", folder(tmp_path))
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.text
