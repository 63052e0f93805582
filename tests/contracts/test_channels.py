"""What every medium of plugins/channels has: the shape of the port, parameters that refuse what they do not know, and its documentation."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest
import yaml
from pydantic import BaseModel, SecretStr

from bot.config.secrets import Secrets
from bot.config.validate import validate
from bot.config.yaml import read
from bot.domain.notice import Notice, Receipt
from bot.domain.oncall_ports import Medium
from bot.domain.severity import MEDIA
from bot.plugins import discover

CHANNELS = discover("channels")
every = pytest.mark.parametrize("module", CHANNELS.values(), ids=CHANNELS)
SECRET = re.compile(r"token|password|secret", re.I)


def test_all_media_of_the_product_are_there() -> None:
    assert {
        "apprise",
        "discord",
        "email",
        "log",
        "mattermost",
        "ntfy",
        "opsgenie",
        "pagerduty",
        "pushover",
        "teams",
        "telegram",
        "twilio_call",
        "twilio_sms",
        "webhook",
    } <= set(CHANNELS)


@every
def test_a_medium_says_what_it_is(module: ModuleType) -> None:
    assert module.KIND in MEDIA
    assert isinstance(module.CALLS_BACK, bool)
    assert isinstance(getattr(module, "BUNDLE", timedelta(0)), timedelta)
    hears = hasattr(module.Plugin, "heard") and hasattr(module.Plugin, "answer")
    assert hears == module.CALLS_BACK


@every
def test_a_medium_is_documented_with_what_it_does_about_duplicates(module: ModuleType) -> None:
    assert module.__doc__
    assert re.search(r"\*(Deduplication|Twice)\*", module.__doc__)
    assert re.search(r"acknowledg", module.__doc__, re.I)
    assert re.search(r"https://\S+|RFC \d+", module.__doc__), "no public documentation is named"


@every
def test_parameters_are_frozen_documented_and_refuse_what_they_do_not_know(module: ModuleType) -> None:
    params: type[BaseModel] = module.Params
    assert params.model_config["frozen"]
    assert params.model_config["extra"] == "forbid"
    for name, field in params.model_fields.items():
        assert field.description, f"{name} has no description"


@every
def test_secrets_are_secrets(module: ModuleType) -> None:
    hints: dict[str, Any] = get_type_hints(module.Params)
    named = {name: hint for name, hint in hints.items() if SECRET.search(name)}
    assert [name for name, hint in named.items() if SecretStr.__name__ not in str(hint)] == []


@every
def test_a_medium_has_the_shape_of_the_port(module: ModuleType) -> None:
    port = inspect.signature(Medium.send)
    sent = inspect.signature(module.Plugin.send)
    assert list(sent.parameters) == list(port.parameters)
    assert inspect.iscoroutinefunction(module.Plugin.send)
    hints = get_type_hints(module.Plugin.send)
    assert (hints["notice"], hints["address"], hints["again"], hints["return"]) == (Notice, str, bool, Receipt)
    assert list(inspect.signature(module.Plugin).parameters) == ["desk", "params"]
    assert isinstance(module.Plugin.acknowledged, bool)
    assert getattr(module.Plugin, "kind", module.KIND) == module.KIND


def test_pagers_are_told_when_somebody_has_it() -> None:
    assert [
        name for name, module in CHANNELS.items() if module.KIND == "pager" and not module.Plugin.acknowledged
    ] == []


def test_every_medium_stands_in_the_documentation_with_a_section() -> None:
    page = (Path(__file__).parents[2] / "docs/media/README.md").read_text(encoding="utf-8")
    assert [name for name in CHANNELS if f"\n## {name}\n" not in page or f"[`{name}`](#{name})" not in page] == []


@every
def test_the_documentation_tells_the_kind(module: ModuleType) -> None:
    page = (Path(__file__).parents[2] / "docs/media/README.md").read_text(encoding="utf-8")
    name = module.__name__.rpartition(".")[2]
    row = next(line for line in page.splitlines() if line.startswith(f"| [`{name}`]"))
    assert row.split("|")[3].strip() in (module.KIND, "you say it")


def examples() -> dict[str, dict[str, Any]]:
    """What the documentation sets up, by name; without those that leave something out."""
    page = (Path(__file__).parents[2] / "docs/media/README.md").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = {}
    for block in re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S):
        found |= {} if "…" in block else yaml.safe_load(block.replace("channels:\n", ""))
    return found


class Environment(dict[str, str]):
    """Every reference leads to something."""

    def __missing__(self, name: str) -> str:
        return (
            "json://localhost/{address}"
            if name == "SIGNAL_URL"
            else "https://x.example/"
            if name.endswith("URL")
            else "k" * 32
        )

    def __contains__(self, name: object) -> bool:
        return True

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


@pytest.mark.parametrize("name", examples())
@pytest.mark.parametrize("resolve", [True, False], ids=["with secrets", "without secrets"])
def test_what_the_documentation_sets_up_is_right(name: str, resolve: bool, tmp_path: Path) -> None:
    example = examples()[name]
    kind = example.pop("type", name)
    own = {key: value for key, value in example.items() if key not in ("per_minute", "bundle", "template")}
    (tmp_path / "tocsin.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    document, _ = read(tmp_path / "tocsin.yaml", "tocsin.yaml")
    _, problems = validate(CHANNELS[kind].Params, document, own, (), Secrets(Environment(), tmp_path, resolve))
    assert [str(one) for one in problems] == []
