"""Secrets come by reference and show themselves nowhere (P6)."""

from __future__ import annotations

import copy
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from bot.config import Config, ConfigErrors, SecretRef
from tests.config.folder import ENVIRON, TOCSIN, Logs, loaded, problems


def test_a_secret_is_revealed_only_on_demand(tmp_path: Path) -> None:
    token = loaded(tmp_path).slack.bot_token
    assert token.reveal() == "xoxb-1-very-secret"
    assert (str(token), repr(token), f"{token}") == ("env:BOT", "SecretRef('env:BOT')", "env:BOT")


def test_no_way_of_showing_a_configuration_shows_a_secret(tmp_path: Path) -> None:
    text = TOCSIN + "context: {gatherers: {k8s_logs: {token: env:K8S}}}\ndatabase: {url: env:DB}\n"
    environ = {**ENVIRON, "DB": "postgresql://u:db-very-secret@h/d"}
    config = loaded(tmp_path, {"tocsin.yaml": text}, environ=environ)
    shown = [
        repr(config),
        str(config),
        repr(asdict(config)),
        config.slack.model_dump_json(),
        str(config.slack.model_dump()),
    ]
    shown += [
        config.database.model_dump_json(),
        repr(config.gatherers),
        config.sources["alertmanager"].auth.model_dump_json(),
    ]  # type: ignore[union-attr]
    assert not [text for text in shown if "very-secret" in text]


def test_a_secret_is_not_pickled_and_a_copy_is_itself(tmp_path: Path) -> None:
    token = loaded(tmp_path).slack.bot_token
    assert copy.deepcopy(token) is copy.copy(token) is token
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(token)


def test_all_secrets_of_a_configuration_are_known_to_it(tmp_path: Path) -> None:
    assert {secret.reveal() for secret in loaded(tmp_path).secrets} == {
        ENVIRON[name] for name in ("BOT", "APP", "AM", "K8S")
    }


@pytest.mark.parametrize(("content", "value"), [("abc\n", "abc"), ("  abc  ", "abc"), ("a b\nc\n", "a b\nc")])
def test_a_secret_file_is_read_without_the_space_around_it(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "token").write_text(content)
    config = loaded(tmp_path, {"tocsin.yaml": TOCSIN.replace("env:BOT", f"file:{tmp_path}/token")})
    assert config.slack.bot_token.reveal() == value


def test_a_relative_secret_file_begins_at_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc")
    assert (
        loaded(tmp_path, {"tocsin.yaml": TOCSIN.replace("env:BOT", "file:../token")}).slack.bot_token.reveal() == "abc"
    )


@pytest.mark.parametrize(
    ("reference", "environ", "message"),
    [
        ("env:NO", {}, "the environment variable NO is not set"),
        ("env:NO", {"NO": " "}, "the environment variable NO is empty"),
        ("'env:a b'", {}, 'not the name of an environment variable: "a b"'),
        ("'file: '", {}, "file: needs a path, like file:/run/secrets/slack-token"),
        ("file:/", {}, "/ is not a file"),
        ("file:/proc/self/mem", {}, "/proc/self/mem cannot be read: Input/output error"),
        ("file:{}/empty", {}, "{}/empty is empty"),
        ("file:{}/bytes", {}, "{}/bytes is not text in UTF-8"),
        ("file:{}/big", {}, "{}/big is larger than 64 KiB; that is no secret"),
        ("7", {}, "a secret is given by reference only: write env:NAME or file:/path, not the secret itself (what was found is not shown)"),
        ("null", {}, "wanted a reference like env:NAME or file:/path, found nothing"),
        ("[a]", {}, "wanted a reference like env:NAME or file:/path, found a list"),
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_is_told_where_it_stands(
    tmp_path: Path, reference: str, environ: dict[str, str], message: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "big").write_text("x" * 70_000)
    text = TOCSIN.replace("env:BOT", reference.replace("{}", str(tmp_path)))
    wanted = "tocsin.yaml:2:14: slack.bot_token: " + message.replace("{}", str(tmp_path)).replace(f"{tmp_path}/", "")
    assert problems(tmp_path, {"tocsin.yaml": text}, environ={**ENVIRON, **environ}) == [wanted]


def test_a_plugin_gets_a_secret_for_a_secret_field(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"tocsin.yaml": TOCSIN + "context: {gatherers: {k8s_logs: {token: env:K8S}}}\n"})
    logs = config.gatherers["k8s_logs"]
    assert isinstance(logs, Logs)
    assert logs.token.get_secret_value() == "k8s-very-secret"


def unresolved(folder: Path, **options: Any) -> Config:
    return loaded(folder, environ={}, resolve_secrets=False, **options)


def test_without_looking_up_nothing_of_the_environment_is_needed(tmp_path: Path) -> None:
    token = unresolved(tmp_path).slack.bot_token
    assert token == SecretRef("env:BOT", None)
    with pytest.raises(RuntimeError, match="env:BOT was not looked up"):
        token.reveal()


def test_without_looking_up_a_literal_is_refused_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="by reference only"):
        unresolved(tmp_path, overrides={"slack.bot_token": "xoxb-1"})


def test_an_address_without_a_password_may_be_written_down(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"tocsin.yaml": TOCSIN + "database: {url: 'postgresql://tocsin@db/tocsin'}\n"})
    assert config.database.url.reveal() == "postgresql://tocsin@db/tocsin"
