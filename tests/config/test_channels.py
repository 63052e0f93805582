"""`channels`, `heartbeat` and what belongs to them: the media beside Slack, and the pages of the documentation about on-call."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
import yaml
from pydantic import SecretStr

from bot.config import ChannelFacts, Config, MediumConfig, reload, schema
from bot.domain.media import MediumRules
from bot.domain.severity import MEDIA as KINDS
from bot.plugins import discover
from tests.config.folder import (
    ENVIRON,
    REGISTRY,
    TOCSIN,
    Mail,
    Nothing,
    Own,
    Texts,
    loaded,
    problems,
    warnings,
    written,
)
from tests.config.json_schema import violations

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHANNELS = """\
channels:
  mail: {type: smtp, host: a, from: x@y}
  sms: {type: texts, token: env:SMS, number: 1.10, per_minute: 60, template: "{{ incident }}"}
  calls: {token: env:SMS, bundle: 30s}
  teams:
"""


def said(folder: Path, text: str) -> Config:
    return loaded(folder, {"tocsin.yaml": TOCSIN + text})


def test_a_medium_has_its_plugins_parameters_and_rules(tmp_path: Path) -> None:
    assert said(tmp_path, CHANNELS).media == {
        "mail": MediumConfig("mail", "smtp", Mail.model_validate({"host": "a", "from": "x@y"}), MediumRules("email")),
        "sms": MediumConfig("sms", "texts", Texts(token=SecretStr(ENVIRON["SMS"]), number="1.10"), MediumRules("sms")),
        "calls": MediumConfig("calls", "calls", Texts(token=SecretStr(ENVIRON["SMS"])), MediumRules("call")),
        "teams": MediumConfig("teams", "teams", Nothing(), MediumRules("chat")),
        "log": MediumConfig("log", "log", Nothing(), MediumRules("log")),
    }


def test_how_it_is_used_stands_beside_them_or_is_the_plugins_default(tmp_path: Path) -> None:
    media = said(tmp_path, CHANNELS).media
    assert media["sms"].rules == MediumRules("sms", 60, timedelta(minutes=1), "{{ incident }}")
    assert media["calls"].rules == MediumRules("call", 0, timedelta(seconds=30))
    assert media["teams"].rules == MediumRules("chat")


def test_without_channels_there_is_slack_and_the_log(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert list(config.media) == ["log"]
    assert config.directory.media == {"slack": "slack", "log": "log"}
    without = replace(REGISTRY, channels={})
    assert loaded(tmp_path, registry=without).directory.media == {"slack": "slack"}


def test_the_log_can_be_set_up_as_well(tmp_path: Path) -> None:
    media = said(tmp_path, "channels: {log: {per_minute: 5}}\n").media
    assert media["log"].rules == MediumRules("log", 5)


class Many(Own):
    kind: Literal["push", "sms"] = "push"


def test_a_type_for_media_of_several_kinds_lets_its_entry_say_which(tmp_path: Path) -> None:
    registry = replace(REGISTRY, channels={"many": Many}, channel_facts={"many": ChannelFacts("push")})
    text = TOCSIN + "channels: {a: {type: many}, sms: {type: many, kind: sms}}\n"
    media = loaded(tmp_path, {"tocsin.yaml": text}, registry=registry).media
    assert {name: one.rules.kind for name, one in media.items()} == {"a": "push", "sms": "sms"}


@pytest.mark.parametrize("named", ["sms, mail, call", "slack, teams", "log, chat"])
def test_severities_and_routes_name_kinds_or_media(tmp_path: Path, named: str) -> None:
    text = (TOCSIN + CHANNELS + f"media: {{critical: [{named}]}}\n").replace(
        "      policy: shop", f"      policy: shop\n      media: [{named}]"
    )
    config = loaded(tmp_path, {"tocsin.yaml": text})
    assert config.signal.taxonomy.media["critical"] == tuple(named.split(", "))
    assert not [one for one in config.warnings if "so nobody can be paged by it" in one.message]


def test_secrets_of_media_are_known_and_never_shown(tmp_path: Path) -> None:
    config = said(tmp_path, CHANNELS + "heartbeat: {url: env:BEAT}\nserver: {secret: env:SIGN}\n")
    revealed = {secret.reveal() for secret in config.secrets}
    assert {ENVIRON["SMS"], ENVIRON["BEAT"], ENVIRON["SIGN"]} <= revealed
    assert not [secret for secret in revealed if secret in repr(config)]


def test_the_heartbeat_has_an_address_and_a_pace(tmp_path: Path) -> None:
    beat = said(tmp_path, "heartbeat: {url: env:BEAT, every: 5m}\n").heartbeat
    assert beat is not None
    assert (beat.url.reveal(), beat.every) == (ENVIRON["BEAT"], timedelta(minutes=5))
    plain = said(tmp_path, "heartbeat: {url: 'http://beat.monitoring.svc/x'}\n").heartbeat
    assert plain is not None
    assert (plain.url.reveal(), plain.every) == ("http://beat.monitoring.svc/x", timedelta(minutes=1))
    assert loaded(tmp_path).heartbeat is None


def test_how_media_are_used_changes_at_once_and_what_they_are_after_a_restart(tmp_path: Path) -> None:
    old = said(tmp_path, CHANNELS)
    written(tmp_path, {"tocsin.yaml": TOCSIN + CHANNELS.replace("per_minute: 60", "per_minute: 5")})
    new = reload(tmp_path / "conf", REGISTRY, old, ENVIRON)
    assert new.media["sms"].rules.per_minute == 5
    assert not [one for one in new.warnings if "restart" in one.message]
    more = CHANNELS.replace("host: a", "host: b") + "heartbeat: {url: env:BEAT}\n"
    written(tmp_path, {"tocsin.yaml": TOCSIN + more})
    late = reload(tmp_path / "conf", REGISTRY, old, ENVIRON).warnings
    assert [one.path for one in late if "restart" in one.message] == ["media", "heartbeat"]


def test_the_facts_of_a_medium_are_in_its_file() -> None:
    module = ModuleType("texts", "Texts: short messages.")
    module.__dict__.update(KIND="sms", CALLS_BACK=True, BUNDLE=timedelta(minutes=1))
    assert ChannelFacts.of(module) == ChannelFacts("sms", True, timedelta(minutes=1), "Texts: short messages.")
    plain = ModuleType("chat")
    plain.__dict__.update(KIND="chat")
    assert ChannelFacts.of(plain) == ChannelFacts("chat")


def test_every_medium_there_is_has_facts_and_parameters() -> None:
    for name, module in discover("channels").items():
        assert ChannelFacts.of(module).kind in KINDS, name
        reserved = {"type", "per_minute", "bundle", "template"} & set(module.Params.model_fields)
        assert not reserved, name


# ------------------------------------------------------------------------------------------------ the page about it

PAGE = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
EXAMPLES = {text.partition(":")[0]: text for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)}
SECRETS = {
    "TOCSIN_SECRET": "0123456789abcdef",
    "SMTP_PASSWORD": "p",
    "TWILIO_TOKEN": "0" * 32,
    "TEAMS_URL": "https://flows.example/secret",
    "HEARTBEAT_URL": "https://beat.example/secret",
    "OFFICE_CALENDAR_URL": "https://calendar.example/secret.ics",
}


def test_what_the_page_shows_of_on_call_and_media_can_be_used_together(tmp_path: Path) -> None:
    real = discover("channels")
    registry = replace(
        REGISTRY,
        channels={name: module.Params for name, module in real.items()},
        channel_facts={name: ChannelFacts.of(module) for name, module in real.items()},
    )
    oncall = EXAMPLES["people"] + EXAMPLES["rotations"] + EXAMPLES["policies"]
    spare = "  ops: {levels: [{targets: [channel:ops]}]}\n"
    files = {
        "oncall.yaml": oncall.replace("alarm:", spare + "alarm:"),
        "tocsin.yaml": EXAMPLES["server"] + TOCSIN,
    }
    options = {"registry": registry, "environ": ENVIRON | SECRETS, "now": NOW}
    assert problems(tmp_path, files, **options) == []
    for name, wanted in schema(registry).items():
        written_as = json.loads(json.dumps(yaml.safe_load(files[name]), default=str)) if name in files else None
        assert name not in files or list(violations(written_as, wanted, wanted)) == []
    assert warnings(tmp_path, files, **options) == []


@pytest.mark.parametrize(
    "url", ["https://t.example/?a=b", "https://t.example/#x", "https://t.example/pre fix", "https://tüt.example"]
)
def test_an_address_that_no_link_can_be_made_of_is_refused(tmp_path: Path, url: str) -> None:
    files = {"tocsin.yaml": TOCSIN + f'server: {{public_url: "{url}"}}\n'}
    assert any("server.public_url: links are made of it" in one for one in problems(tmp_path, files))


def test_an_address_may_have_a_path_in_front(tmp_path: Path) -> None:
    files = {"tocsin.yaml": TOCSIN + "server: {public_url: https://t.example/tocsin/}\n"}
    assert loaded(tmp_path, files).server.url == "https://t.example/tocsin"


SIGNED = replace(REGISTRY, channels={"webhook": discover("channels")["webhook"].Params})


@pytest.mark.parametrize("value", ["hunter2", "{hunter2hunter2: hunter2hunter2}"])
def test_a_secret_in_the_wrong_form_is_not_shown(tmp_path: Path, value: str) -> None:
    for field in ("secrets", "url"):
        given = {"secrets": "[env:SMS]", "url": "env:SMS", field: value}
        entry = f"{{type: webhook, secrets: {given['secrets']}, url: {given['url']}}}"
        found = problems(tmp_path, {"tocsin.yaml": TOCSIN + f"channels: {{hook: {entry}}}\n"}, registry=SIGNED)
        assert found
        assert not any("hunter2" in one for one in found)
