"""`tocsin doctor` says of everything that the configuration points to whether it works, and of what does not how to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.practice.cluster import bot
from bot.practice.cluster.auth import reader
from bot.practice.server import Practice
from bot.practice.workspace.webapi import ALL_SCOPES
from tests.support.command_line import SECRETS, changed, folder, tocsin, world


@pytest.fixture
def practice() -> Iterator[Practice]:
    with world() as running:
        yield running


def test_when_all_is_well_every_line_says_so(tmp_path: Path, practice: Practice) -> None:
    practice.cluster.tokens = {SECRETS["TOCSIN_KUBERNETES_TOKEN"]: bot()}
    ended = tocsin("doctor", "--config", folder(tmp_path, practice.url))
    assert ended.code == 0, ended.text
    assert {line[:4] for line in ended.out.splitlines()} == {"ok  "}
    for what in ("database", "slack", "page ada", "kubernetes shop", "prometheus", "clock"):
        assert what in ended.out
    assert re.search("clock +differs from Slack's by [0-2] s", ended.out)
    assert ended.err == ""
    assert practice.workspace.api.calls, "Slack was asked"
    assert not [one for one in practice.workspace.api.calls if one["method"].startswith("chat.")], "and told nothing"


def test_a_missing_scope_is_named_with_where_to_add_it(tmp_path: Path, practice: Practice) -> None:
    practice.workspace.api.scopes = [scope for scope in ALL_SCOPES if scope not in ("pins:write", "files:write")]
    ended = tocsin("doctor", "--config", folder(tmp_path, practice.url))
    assert ended.code == 1
    assert "missing: files:write, pins:write" in ended.out
    assert "OAuth & Permissions" in ended.out


def test_a_cluster_that_forbids_the_patch_says_which_rule_is_missing(tmp_path: Path, practice: Practice) -> None:
    practice.cluster.tokens = {SECRETS["TOCSIN_KUBERNETES_TOKEN"]: reader()}
    ended = tocsin("doctor", "--config", folder(tmp_path, practice.url))
    assert ended.code == 1
    assert "may not patch deployments" in ended.out
    assert "- {apiGroups: [apps], resources: [deployments], verbs: [patch]}" in ended.out


def test_a_refused_token_a_person_and_a_channel_that_are_not_there(tmp_path: Path, practice: Practice) -> None:
    config = folder(tmp_path, practice.url)
    changed(config / "oncall.yaml", "slack: U0ADA", "slack: U0GONE99")
    changed(config / "tocsin.yaml", "fallback_channel: incidents", "fallback_channel: nonsuch")
    practice.cluster.tokens = {}
    ended = tocsin("doctor", "--config", config)
    assert ended.code == 1
    assert "U0GONE99" in ended.out
    assert "Slack profile" in ended.out
    assert "#nonsuch does not exist" in ended.out
    assert "kubernetes" in ended.out
    wrong = tocsin("doctor", "--config", config, env={**SECRETS, "TOCSIN_SLACK_BOT_TOKEN": "xoxb-wrong"})
    assert wrong.code == 1
    assert "slack.bot_token" in wrong.out
    assert "xoxb-wrong" not in wrong.text


def test_nothing_can_be_reached_and_it_says_so_of_each_without_a_trace(tmp_path: Path) -> None:
    ended = tocsin("doctor", "--config", folder(tmp_path))
    assert ended.code == 1
    for what in ("slack", "kubernetes", "prometheus"):
        assert any(line.startswith("FAIL") and what in line for line in ended.out.splitlines())
    assert "Traceback" not in ended.text
    assert not any(secret in ended.text for secret in SECRETS.values())


def failed(text: str) -> list[str]:
    """What is not well, by name."""
    return [line[6:35].strip() for line in text.splitlines() if line.startswith("FAIL")]


def test_only_a_prometheus_that_is_down_is_not_well(tmp_path: Path, practice: Practice) -> None:
    config = folder(tmp_path, practice.url)
    changed(config / "tocsin.yaml", f"url: {practice.url}/prometheus", "url: http://127.0.0.1:9")
    ended = tocsin("doctor", "--config", config)
    assert ended.code == 1
    assert failed(ended.out) == ["prometheus"]
    assert "cannot connect to http://127.0.0.1:9" in ended.out
    assert "see `prometheus:` in tocsin.yaml" in ended.out


def test_a_database_that_refuses_is_one_finding_and_the_rest_is_tried_too(tmp_path: Path, practice: Practice) -> None:
    config = folder(tmp_path, practice.url)
    changed(config / "tocsin.yaml", "url: sqlite:///tocsin.db", "url: env:TOCSIN_DATABASE_URL")
    nowhere = {**SECRETS, "TOCSIN_DATABASE_URL": "postgresql://tocsin:s3cr3tPW@127.0.0.1:9/tocsin"}
    ended = tocsin("doctor", "--config", config, env=nowhere)
    assert ended.code == 1
    assert failed(ended.out) == ["database"]
    assert "refused" in ended.out
    assert "see `database:` in tocsin.yaml" in ended.out
    assert "ok    prometheus" in ended.out
    assert "Traceback" not in ended.text
    assert "s3cr3tPW" not in ended.text


def test_a_file_that_is_no_database_is_one_finding(tmp_path: Path, practice: Practice) -> None:
    config = folder(tmp_path, practice.url)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "tocsin.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    ended = tocsin("doctor", "--config", config)
    assert ended.code == 1
    assert failed(ended.out) == ["database"]
    assert "Traceback" not in ended.text
