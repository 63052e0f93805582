"""The demo's configuration as a folder: what the demo runs on, for every other command, without the demo's environment."""

from __future__ import annotations

from pathlib import Path

from bot import app
from bot.cli import demo_folder
from bot.config import load
from tests.support.command_line import EXAMPLE, SECRETS, tocsin

OVERRIDES = {
    "state": "/tmp/demo",
    "kubernetes.url": "http://127.0.0.1:4000/cluster",
    "oncall.rotations.shop.people": ["ada"],
}


def test_it_is_the_same_configuration_and_needs_no_variables(tmp_path: Path) -> None:
    demo_folder.write(tmp_path / "config", EXAMPLE, OVERRIDES, SECRETS)
    demo = load(EXAMPLE, app.registry(), SECRETS, overrides=OVERRIDES)
    found = load(tmp_path / "config", app.registry(), {})
    assert (found.state, found.directory, found.runbooks) == (demo.state, demo.directory, demo.runbooks)
    assert (found.policies, found.services) == (demo.policies, demo.services)
    assert found.signal.routing.root == demo.signal.routing.root
    assert found.slack.bot_token.reveal() == SECRETS["TOCSIN_SLACK_BOT_TOKEN"]
    assert found.kubernetes is not None
    assert found.kubernetes.url == OVERRIDES["kubernetes.url"]


def test_no_secret_stands_in_its_files(tmp_path: Path) -> None:
    demo_folder.write(tmp_path / "config", EXAMPLE, OVERRIDES, SECRETS)
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "config").glob("*.yaml"))
    assert not [value for value in SECRETS.values() if value in text]


def test_a_folder_without_the_files_that_need_not_be_is_enough(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("tocsin.yaml", "oncall.yaml"):
        (mine / name).write_bytes((EXAMPLE / name).read_bytes())
    demo_folder.write(tmp_path / "config", mine, {}, SECRETS)
    assert sorted(path.name for path in (tmp_path / "config").glob("*.yaml")) == ["oncall.yaml", "tocsin.yaml"]


def test_a_folder_that_is_not_an_earlier_demos_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x", encoding="utf-8")
    refused = tocsin("demo", "--state", tmp_path, "--port", "0")
    assert (refused.code, "is not an earlier demo's" in refused.err) == (2, True)
    assert (tmp_path / "precious").exists()


def test_an_earlier_demos_folder_and_an_empty_one_are_known(tmp_path: Path) -> None:
    assert demo_folder.is_one(tmp_path)
    demo_folder.write(tmp_path / demo_folder.NAME, EXAMPLE, {}, SECRETS)
    assert demo_folder.is_one(tmp_path)
