"""deploy/config is the demo's configuration and what people copy: it must load, and the schemas must agree with it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot import app
from bot.config import Config, Hmac, Registry, load, schema
from bot.config.yaml import read
from bot.domain.alert import Alert
from bot.domain.plan import Target
from bot.domain.quiet import held_by
from tests.config.folder import GOOD, REGISTRY
from tests.config.json_schema import violations

SATURDAY = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/config"
FILES = ("tocsin.yaml", "services.yaml", "oncall.yaml", "policy.yaml")
ENVIRON = {
    name: f"{name}-value"
    for name in (
        "TOCSIN_SLACK_BOT_TOKEN",
        "TOCSIN_SLACK_APP_TOKEN",
        "TOCSIN_SLACK_SIGNING_SECRET",
        "TOCSIN_ALERTMANAGER_TOKEN",
        "TOCSIN_GENERIC_SECRET",
        "TOCSIN_KUBERNETES_TOKEN",
    )
}


MORE = ENVIRON | {
    "TOCSIN_SECRET": "0123456789abcdef",
    "TOCSIN_SMTP_PASSWORD": "p",
    "TOCSIN_TWILIO_TOKEN": "0" * 32,
    "TOCSIN_TEAMS_URL": "https://flows.example/secret",
    "TOCSIN_HEARTBEAT_URL": "https://beat.example/secret",
    "TOCSIN_OFFICE_CALENDAR_URL": "https://calendar.example/secret.ics",
}
# What is commented out, and belongs together.
ASIDE = {
    "tocsin.yaml": ("public_url", "secret", "channels", "heartbeat"),
    "oncall.yaml": (
        *("phone", "methods", "notify", "template", "quiet", "groups", "tell", "slack_group", "calendars", "schedules"),
        *("acknowledged", "nights", "alarm"),
    ),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return app.registry()


@pytest.fixture(scope="module")
def example(registry: Registry) -> Config:
    return load(EXAMPLE, registry, ENVIRON)


def test_the_example_loads_without_a_warning(example: Config) -> None:
    assert example.warnings == ()


def test_the_example_has_the_demos_people_and_policies(example: Config) -> None:
    assert {person.key: person.slack for person in example.directory.people.values()} == {
        "ada": "U0ADA",
        "bob": "U0BOB",
        "chen": "U0CHEN",
    }
    shop = example.policies["shop"]
    assert [level.targets for level in shop.levels] == [("rotation:shop",), ("person:bob",), ("channel:incidents",)]
    assert shop.repeat == 1
    assert example.directory.roles["responders"] == ("ada", "bob", "chen")


@pytest.mark.parametrize(
    ("labels", "route", "policy", "private"),
    [
        ({"team": "shop", "service": "checkout"}, "root/0", "shop", False),
        ({"team": "shop", "service": "payments", "severity": "critical"}, "root/0/0", "shop", True),
        ({"team": "other"}, "root", "default", False),
    ],
)
def test_the_example_routes_alerts(
    example: Config, labels: dict[str, str], route: str, policy: str, private: bool
) -> None:
    [found] = example.signal.routing.find(labels)
    assert (found.path, found.policy, found.private) == (route, policy, private)


def test_the_example_keeps_noise_down(example: Config) -> None:
    """Each commented entry does what its comment says."""
    signal = example.signal
    dev = Alert("am", "f", True, {"alertname": "Busy", "environment": "dev"}, {}, SATURDAY)
    assert signal.relabelling(dev).dropped_by == "development pages nobody"
    paged = replace(dev, labels={"severity": "page"})
    assert signal.taxonomy.of(paged).severity == "critical"
    assert held_by(signal.quiet, {}, "info", SATURDAY) is not None
    assert held_by(signal.quiet, {}, "critical", SATURDAY) is None
    [backup] = signal.maintenance
    assert backup.covers(SATURDAY + timedelta(days=1))
    assert not backup.covers(SATURDAY)
    down = Alert("am", "n", True, {"alertname": "NodeDown", "node": "n1", "severity": "critical"}, {}, SATURDAY)
    pod = replace(dev, labels={"alertname": "PodNotReady", "node": "n1", "severity": "warning"})
    assert [one.key in signal.inhibition.holds(down, "critical") for one in signal.inhibition.held_under(pod)] == [True]


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        (Target(action="k8s.scale", namespace="shop", name="checkout", replicas=10), True),
        (Target(action="k8s.scale", namespace="shop", name="checkout", replicas=11), False),
        (Target(action="k8s.rollback", namespace="kube-system", name="dns"), False),
        (Target(action="prometheus.query"), True),
        (Target(action="http.request", host="flags.shop.example"), True),
        (Target(action="http.request", host="evil.example"), False),
    ],
)
def test_the_example_bounds_runbooks(example: Config, target: Target, allowed: bool) -> None:
    assert (example.policy.refusal(target) is None) == allowed


def test_the_example_has_a_source_of_each_kind_of_sender(example: Config) -> None:
    ci = example.sources["ci"]
    assert ci.type == "generic"
    assert isinstance(ci.auth, Hmac)
    assert example.sources["alertmanager"].auth is not None


def test_the_demos_overrides_fit_the_example(registry: Registry) -> None:
    overrides = {
        "slack.api_url": "http://127.0.0.1:4000/api/",
        "kubernetes.url": "http://127.0.0.1:4001",
        "prometheus.url": "http://127.0.0.1:4002",
        "server.listen": "127.0.0.1:0",
        "database": "sqlite:////tmp/demo.db",
        "state": "/tmp/demo",
        "oncall.policies.shop.levels[0].timeout": "10s",
        "oncall.rotations.shop.people": ["ada"],
        "log.format": "console",
    }
    config = load(EXAMPLE, registry, ENVIRON, overrides=overrides)
    assert config.policies["shop"].levels[0].timeout == timedelta(seconds=10)
    assert config.postmortem.folder == Path("/tmp/demo/postmortems")


def test_messages_name_the_file_as_it_was_given(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(Exception, match=r"^deploy/config/tocsin\.yaml \(override\): route\.policy: no policy"):
        load("deploy/config", registry, ENVIRON, overrides={"route.policy": "shpo"})


def taken_in(text: str, keys: tuple[str, ...]) -> str:
    """With the comment marks taken from these keys and what is below them."""
    for key in keys:
        text, count = re.subn(
            rf"^( *)# {key}:.*(\n\1#  .*)*",
            lambda found: re.sub(r"^( *)# ", r"\1", found[0], flags=re.M),
            text,
            flags=re.M,
        )
        assert count == 1, key
    return text


def test_what_is_commented_out_of_on_call_and_media_can_be_used(tmp_path: Path, registry: Registry) -> None:
    for name in FILES:
        (tmp_path / name).write_text(taken_in((EXAMPLE / name).read_text(), ASIDE.get(name, ())))
    config = load(tmp_path, registry, MORE, overrides={"runbooks": []}, now=SATURDAY)
    assert [f"{one.path}: {one.message}" for one in config.warnings] == ["policies.nights: no route uses this policy"]
    assert sorted(config.media) == ["email", "log", "sms", "teams"]
    assert [one.key for one in config.directory.people["ada"].ways] == ["slack", "home", "email", "sms"]
    assert config.last_resort == ("medium:email", "person:bob")
    for name in ASIDE:
        wanted = schema(registry)[name]
        assert list(violations(as_json((tmp_path / name).read_text()), wanted, wanted)) == []


# ------------------------------------------------------------------------------------------------ schemas


def as_json(text: str) -> Any:
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


@pytest.mark.parametrize("file", FILES)
def test_the_example_fits_its_schema(registry: Registry, file: str) -> None:
    wanted = schema(registry)[file]
    assert list(violations(as_json((EXAMPLE / file).read_text()), wanted, wanted)) == []


def test_every_runbook_fits_the_schema(registry: Registry) -> None:
    wanted = schema(registry)["runbook"]
    for path in sorted((ROOT / "runbooks").glob("*.yaml")):
        document, problems = read(path, path.name)
        found = violations(json.loads(json.dumps(document.data, default=str)), wanted, wanted)
        assert (problems, list(found)) == ([], []), path


@pytest.mark.parametrize("file", sorted(GOOD))
def test_the_small_configuration_of_the_tests_fits_too(file: str) -> None:
    wanted = schema(REGISTRY)[file if file in FILES else "runbook"]
    assert list(violations(as_json(GOOD[file]), wanted, wanted)) == []


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("tocsin.yaml", "bot_token: env:BOT", "bot_token: xoxb-1"),
        ("tocsin.yaml", "policy: shop", "polcy: shop"),
        ("tocsin.yaml", "bearer: env:AM", "berer: env:AM"),
        ("tocsin.yaml", "sources:", "context: {gatherers: {k8s_log: {}}}\nsources:"),
        ("tocsin.yaml", "sources:", "flapping: true\nsources:"),
        ("tocsin.yaml", "sources:", "inhibit: [{source_match: {a: b}}]\nsources:"),
        ("tocsin.yaml", "sources:", "quiet_hours: [{name: night, windows: [{days: [sunday]}]}]\nsources:"),
        ("tocsin.yaml", "sources:", "digest: {at: 9 o'clock}\nsources:"),
        ("tocsin.yaml", "sources:", "burn_rate: {at_least: {critical: fast}}\nsources:"),
        ("tocsin.yaml", "policy: shop", "wait: soon"),
        ("tocsin.yaml", "sources:", "channels: {mail: {type: smtp, from: x@y}}\nsources:"),
        ("tocsin.yaml", "sources:", "channels: {mail: {type: smpt, host: a, from: x@y}}\nsources:"),
        ("tocsin.yaml", "sources:", "channels: {mail: {type: smtp, host: a, from: x@y, bundle: 60}}\nsources:"),
        ("tocsin.yaml", "sources:", "heartbeat: {every: 5m}\nsources:"),
        ("oncall.yaml", "slack: U0ADA", "slack: U0ADA, phone: 0151 1"),
        ("oncall.yaml", "slack: U0ADA", "slack: U0ADA, notify: {critical: [{slack: soon}]}"),
        ("oncall.yaml", "slack: U0ADA", "slack: U0ADA, methods: {work: {medum: sms, address: x}}"),
        ("oncall.yaml", "[ada, bob]", "[ada, [bob, [ada]]]"),
        ("oncall.yaml", "timeout: 5m", "when: {more_then: 5}"),
        ("oncall.yaml", "policies:", "schedules: {nights: {zone: UTC}}\npolicies:"),
        ("oncall.yaml", "slack: U0ADA", "slack: U0ADA, quiet: {severities: info}"),
        ("oncall.yaml", "timeout: 5m", "timeout: 5 minutes"),
        ("oncall.yaml", "every: 1w", "evry: 1w"),
        ("policy.yaml", "max_replicas: 10", "max_replicas: ten"),
        ("services.yaml", "owner", "ownr"),
        ("runbooks/scale-up.yaml", "k8s.scale", "k8s.scal"),
        ("runbooks/scale-up.yaml", "replicas: 6", "replicas: six"),
        ("runbooks/scale-up.yaml", "      namespace: shop\n", ""),
    ],
)
def test_a_schema_finds_the_mistake_in_an_editor(file: str, old: str, new: str) -> None:
    wanted = schema(REGISTRY)[file if file in FILES else "runbook"]
    assert old in GOOD[file]
    assert list(violations(as_json(GOOD[file].replace(old, new)), wanted, wanted))


def test_schemas_are_json_and_name_their_dialect(registry: Registry) -> None:
    schemas = schema(registry)
    assert sorted(schemas) == ["oncall.yaml", "policy.yaml", "runbook", "services.yaml", "tocsin.yaml"]
    for one in schemas.values():
        assert json.loads(json.dumps(one)) == one
        assert one["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_reference_in_a_schema_leads_somewhere(registry: Registry) -> None:
    for one in schema(registry).values():
        references = {
            line.split('"')[3] for line in json.dumps(one, indent=0).splitlines() if line.startswith('"$ref"')
        }
        assert {name.removeprefix("#/$defs/") for name in references} <= set(one["$defs"])
