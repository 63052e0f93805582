"""The section `api` of tocsin.yaml: who may use the JSON API."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.folder import ENVIRON, TOCSIN, loaded, problems

TOKENS = {**ENVIRON, "ONE": "s3cr3t-one", "SAME": "s3cr3t-one", "TWO": "s3cr3t-two"}


def test_none_is_the_default(tmp_path: Path) -> None:
    assert loaded(tmp_path).api.tokens == {}


def test_tokens_have_names_and_are_never_shown(tmp_path: Path) -> None:
    text = f"{TOCSIN}api:\n  tokens: {{deploy-bot: env:ONE, backup: env:TWO}}\n"
    tokens = loaded(tmp_path, {"tocsin.yaml": text}, environ=TOKENS).api.tokens
    assert {name: token.reveal() for name, token in tokens.items()} == {
        "deploy-bot": "s3cr3t-one",
        "backup": "s3cr3t-two",
    }
    assert "s3cr3t" not in repr(tokens)


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ("{deploy-bot: s3cr3t-one}", "api.tokens.deploy-bot: a secret is given by reference only"),
        ("{deploy-bot: env:NOPE}", "the environment variable NOPE is not set"),
        ("{'deploy bot': env:ONE}", 'not a name for a token: "deploy bot"; write it like deploy-bot'),
        ("{a: env:ONE, b: env:SAME}", "two names have the same token, so nobody could tell who it was"),
        ("[env:ONE]", "api.tokens"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, tokens: str, words: str) -> None:
    told = problems(tmp_path, {"tocsin.yaml": f"{TOCSIN}api:\n  tokens: {tokens}\n"}, environ=TOKENS)
    assert len(told) == 1
    assert words in told[0]
    assert "s3cr3t" not in told[0]
