"""`tocsin check`, `schema`, `version`: what is wrong is said with its place, never with a stack trace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bot import __version__
from tests.support.command_line import EXAMPLE, SECRETS, changed, folder, tocsin

Spoil = Callable[[Path], object]


def write(name: str, content: bytes) -> Spoil:
    return lambda made: (made / name).write_bytes(content)


def test_the_example_is_valid() -> None:
    ended = tocsin("check", EXAMPLE)
    assert ended.code == 0
    assert "is valid: 2 sources, 2 policies, 14 runbooks" in ended.out
    assert ended.err == ""


def test_a_mistake_is_named_with_file_line_and_the_nearest_name(tmp_path: Path) -> None:
    made = folder(tmp_path)
    changed(made / "tocsin.yaml", "policy: default # in oncall.yaml", "policy: defualt")
    lines = (made / "tocsin.yaml").read_text().splitlines()
    line, text = next((n, text) for n, text in enumerate(lines, 1) if "defualt" in text)
    ended = tocsin("check", made)
    assert ended.code == 2
    assert ended.err.startswith(f"{made}/tocsin.yaml:{line}:{text.index('defualt') + 1}: route.policy: ")
    assert 'did you mean "default"' in ended.err
    assert "Traceback" not in ended.text


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    made = folder(tmp_path)
    changed(made / "tocsin.yaml", "auto_resolve: true", "auto_resolve: perhaps")
    changed(made / "oncall.yaml", "every: 1w", "every: 1")
    changed(made / "policy.yaml", "max_replicas: 10", "max_replicas: -1")
    changed(tmp_path / "runbooks" / "scale-deployment.yaml", "action: k8s.scale", "action: k8s.scael")
    ended = tocsin("check", made)
    assert ended.code == 2
    for place in ("tocsin.yaml:", "oncall.yaml:", "policy.yaml:", "scale-deployment.yaml:"):
        assert place in ended.err
    assert "k8s.scale" in ended.err


def test_a_secret_that_is_not_there_is_named_and_the_others_are_not_shown() -> None:
    for env, why in (({**SECRETS, "TOCSIN_SLACK_BOT_TOKEN": ""}, "empty"), ({}, "not set")):
        ended = tocsin("check", EXAMPLE, env=env)
        assert ended.code == 2
        assert f"slack.bot_token: the environment variable TOCSIN_SLACK_BOT_TOKEN is {why}" in ended.err
        assert all(value not in ended.text for value in SECRETS.values())
        assert "Traceback" not in ended.text


@pytest.mark.parametrize(
    "spoil",
    [
        write("tocsin.yaml", b""),
        write("tocsin.yaml", b"\xff\xfe\x00"),
        write("tocsin.yaml", b"a: [1, 2\nb: }"),
        write("tocsin.yaml", b"- a\n- b\n"),
        write("tocsin.yaml", b"a: &a [*a]\n"),
        write("tocsin.yaml", b"{" * 5000),
        write("tocsin.yaml", b"? [a, b]\n: c\n"),
        write("tocsin.yaml", b"slack: null\nsources: 7\nroute: []\n"),
        write("oncall.yaml", b"people: {ada: {slack: [1]}}\npolicies: {x: {levels: 3}}\n"),
        write("policy.yaml", b"!!python/object/apply:os.system ['true']\n"),
        write("services.yaml", b"a: b: c\n"),
        lambda made: (made / "tocsin.yaml").unlink(),
        lambda made: ((made / "tocsin.yaml").unlink(), (made / "tocsin.yaml").mkdir()),
        lambda made: os.symlink("/nonexistent", made / "extra.yaml"),
    ],
)
def test_whatever_is_in_the_files_ends_with_words(tmp_path: Path, spoil: Spoil) -> None:
    made = folder(tmp_path)
    spoil(made)
    ended = tocsin("check", made)
    assert ended.code in (0, 2)
    assert "Traceback" not in ended.text
    assert ended.code == 0 or ".yaml" in ended.err


@pytest.mark.parametrize("place", ["nowhere", "file", "."])
def test_a_folder_without_a_configuration_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    ended = tocsin("check", tmp_path / place)
    assert ended.code == 2
    assert str(tmp_path) in ended.err
    assert "Traceback" not in ended.text


def test_the_schemas_are_json_and_one_can_be_asked_for() -> None:
    every = json.loads(tocsin("schema").out)
    assert set(every) >= {"tocsin.yaml", "oncall.yaml", "policy.yaml", "services.yaml", "runbook"}
    assert json.loads(tocsin("schema", "runbook").out) == every["runbook"]
    ended = tocsin("schema", "tocsin.yml")
    assert ended.code == 2
    assert "tocsin.yaml" in ended.err


def test_the_version_is_one_line() -> None:
    assert tocsin("version").out == f"{__version__}\n"


@pytest.mark.parametrize(
    "words", [("sevre",), ("check", "--nonsense"), ("runbook",), ("runbook", "pln"), ("db", "x"), ()]
)
def test_a_wrong_command_is_explained(words: tuple[str, ...]) -> None:
    ended = tocsin(*words)
    assert ended.code == 2 or words in ((), ("runbook",))
    assert "Usage" in ended.text
    assert "Traceback" not in ended.text
