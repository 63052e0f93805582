"""How a source's senders show who they are, as the file says it and as the source's own file allows it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from bot.config import Bearer, Hmac, SenderFacts, schema
from bot.config.auth import Basic, Key, Sns, Token
from bot.domain.incoming import WAYS, HmacStyle, KeyPlace
from tests.config.folder import ENVIRON, REGISTRY, TOCSIN, loaded, problems, warnings
from tests.config.json_schema import violations

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"


def entry(text: str) -> dict[str, str | bytes | None]:
    return {"tocsin.yaml": TOCSIN.replace("alertmanager: {bearer: env:AM}", text)}


def test_each_way_of_showing_who_one_is_has_its_settings(tmp_path: Path) -> None:
    given: dict[str, type] = {
        "alertmanager: {bearer: env:AM}": Bearer,
        "generic: {basic: {user: tocsin, password: env:AM}}": Basic,
        "generic: {token: env:AM}": Token,
        "generic: {hmac: {secret: env:AM}}": Hmac,
        "signed: {hmac: {secret: env:AM}}": Hmac,
        "timed: {hmac: {secret: env:AM, tolerance: 1h}}": Hmac,
        "keyed: {key: env:AM}": Key,
        "sns: {sns: {topics: [" + TOPIC + "]}}": Sns,
        "sns: {sns: {topic_arn: " + TOPIC + "}}": Sns,
    }
    for number, (text, kind) in enumerate(given.items()):
        (source,) = loaded(tmp_path / str(number), entry(text)).sources.values()
        assert isinstance(source.auth, kind), text
        if isinstance(source.auth, Sns):
            assert source.auth.allowed == {TOPIC}


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("alertmanager: {bearer: [env:AM, env:K8S]}", "tokens"),
        ("alertmanager: {token: [env:AM, env:K8S]}", "tokens"),
        ("alertmanager: {hmac: {secret: [env:AM, env:K8S]}}", "secret"),
        ("alertmanager: {basic: {user: a, password: [env:AM, env:K8S]}}", "password"),
        ("keyed: {key: [env:AM, env:K8S]}", "keys"),
    ],
)
def test_several_secrets_may_be_valid_while_one_is_changed(tmp_path: Path, text: str, key: str) -> None:
    (source,) = loaded(tmp_path, entry(text)).sources.values()
    secrets = [secret.reveal() for secret in getattr(source.auth, key)]
    assert secrets == [ENVIRON["AM"], ENVIRON["K8S"]]
    assert not [secret for secret in secrets if secret in repr(source)]


def test_a_type_says_what_its_senders_can_do(tmp_path: Path) -> None:
    (source,) = loaded(tmp_path, entry("timed: {hmac: {secret: env:AM}}")).sources.values()
    assert source.senders.hmac == REGISTRY.senders["timed"].hmac
    assert isinstance(source.auth, Hmac)
    assert source.auth.tolerance == timedelta(minutes=5)


def test_what_a_sources_file_does_not_say_is_as_usual() -> None:
    silent = cast(ModuleType, SimpleNamespace())
    assert SenderFacts.of(silent) == SenderFacts(WAYS, None, None, ("POST",))
    style, place = HmacStyle(header="x-sig"), KeyPlace(members=("key",))
    spoken = cast(ModuleType, SimpleNamespace(AUTH=("hmac", "key"), HMAC=style, KEY=place, METHODS=("GET",)))
    assert SenderFacts.of(spoken) == SenderFacts(("hmac", "key"), style, place, ("GET",))


def test_a_secret_that_has_a_products_prefix_has_to_be_base64_behind_it(tmp_path: Path) -> None:
    files = entry("timed: {hmac: {secret: env:AM}}")
    assert problems(tmp_path, files, environ={**ENVIRON, "AM": "whsec_JSUl"}) == []
    assert problems(tmp_path, files, environ={**ENVIRON, "AM": "whsec_%%very-secret"}) == [
        "tocsin.yaml:5:26: sources.timed.hmac.secret: what env:AM leads to begins with whsec_, and then it is not base64: copy it again"
    ]


def test_e_mail_comes_in_where_smtp_listens(tmp_path: Path) -> None:
    files = entry("email: {token: env:AM}")
    text = str(files["tocsin.yaml"])
    for name in ("cert.pem", "key.pem"):
        files[name] = "-----BEGIN"
    smtp = "server: {smtp: {listen: ':2525', hostname: mx.example.com, tls_cert: cert.pem, tls_key: key.pem}}\n"
    files["tocsin.yaml"] = smtp + text
    config = loaded(tmp_path, files)
    assert not config.warnings
    assert config.server.smtp is not None
    assert (config.server.smtp.host, config.server.smtp.port) == ("", 2525)
    assert config.server.smtp.tls_key == tmp_path / "conf/key.pem"
    (source,) = config.sources.values()
    assert source.by_mail
    assert warnings(tmp_path / "b", {**files, "tocsin.yaml": "server: {smtp: {}}\n" + text}) == []
    files["key.pem"] = None
    assert problems(tmp_path / "c", files) == ["tocsin.yaml:1:89: server.smtp.tls_key: there is no file key.pem"]


@pytest.mark.parametrize(
    ("token", "fits"),
    [
        ("a1-b_c.d", True),
        ("x" * 58, True),
        ("x" * 59, False),
        ("a+b", False),
        ("a b", False),
        ("a@b", False),
        (".a", False),
        ("ü", False),
    ],
)
def test_the_token_of_a_source_for_e_mail_has_to_fit_into_an_address(tmp_path: Path, token: str, fits: bool) -> None:
    found = problems(tmp_path, entry("email: {token: env:AM}"), environ={**ENVIRON, "AM": token})
    says = "what env:AM leads to cannot stand in an address: use at most 58 letters, digits, . _ and -"
    assert found == ([] if fits else [f"tocsin.yaml:5:18: sources.email.token: {says}"])


def test_without_smtp_nothing_listens_for_e_mail(tmp_path: Path) -> None:
    assert loaded(tmp_path).server.smtp is None


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"type": "alertmanager", "bearer": "env:A"}, True),
        ({"type": "alertmanager", "bearer": ["env:A", "file:/b"]}, True),
        ({"type": "alertmanager", "bearer": "literal"}, False),
        ({"type": "alertmanager", "basic": {"user": "a", "password": ["env:A"]}}, True),
        ({"type": "alertmanager", "key": "env:A"}, False),
        ({"type": "keyed", "key": "env:A"}, True),
        ({"type": "sns", "sns": {"topics": [TOPIC]}}, True),
    ],
)
def test_the_schema_knows_what_each_type_allows(value: dict[str, Any], fits: bool) -> None:
    whole = schema(REGISTRY)["tocsin.yaml"]
    sources = whole["properties"]["sources"]
    assert (not list(violations({"one": value}, sources, whole))) == fits
