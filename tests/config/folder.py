"""A small correct configuration, plugins to go with it, and a way to break single files of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.config import ChannelFacts, Config, ConfigErrors, Registry, SenderFacts, load
from bot.domain.incoming import HmacStyle, KeyPlace


class Own(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Own):
    """A source without parameters."""


class Mapped(Own):
    name: str = "title"
    labels: dict[str, str] = Field(default_factory=dict)
    wait: timedelta = timedelta(0)


class Scale(Own):
    namespace: str
    deployment: str
    replicas: int = Field(ge=0)
    within: timedelta = timedelta(hours=1)


class Request(Own):
    url: str
    method: str = "GET"
    headers: dict[str, str] = Field(default_factory=dict)


class Logs(Own):
    deadline: timedelta = timedelta(seconds=10)
    lines: int = 20
    token: SecretStr = SecretStr("")


class Mail(Own):
    host: str
    sender: str = Field(alias="from")
    password: SecretStr | None = None


class Texts(Own):
    token: SecretStr
    number: str = "+1555000"


REGISTRY = Registry(
    sources=dict.fromkeys(["alertmanager", "signed", "timed", "keyed", "sns", "email"], Nothing) | {"generic": Mapped},
    actions={"k8s.scale": Scale, "http.request": Request},
    gatherers={"k8s_logs": Logs},
    senders={
        "signed": SenderFacts(("hmac",), HmacStyle(header="x-hub-signature-256", prefix="sha256=")),
        "timed": SenderFacts(
            ("hmac",),
            HmacStyle(header="webhook-signature", timestamp_header="webhook-timestamp", secret_prefix="whsec_"),
        ),
        "keyed": SenderFacts(("key",), key=KeyPlace(members=("routing_key",))),
        "sns": SenderFacts(("sns",)),
        "email": SenderFacts(("token",), methods=("SMTP",)),
    },
    channels={"smtp": Mail, "texts": Texts, "calls": Texts, "teams": Nothing, "log": Nothing},
    channel_facts={
        "smtp": ChannelFacts("email"),
        "texts": ChannelFacts("sms", calls_back=True, bundle=timedelta(minutes=1)),
        "calls": ChannelFacts("call", calls_back=True),
        "teams": ChannelFacts("chat"),
        "log": ChannelFacts("log"),
    },
)

TOCSIN = """\
slack:
  bot_token: env:BOT
  app_token: env:APP
sources:
  alertmanager: {bearer: env:AM}
kubernetes: {url: "https://k8s.example", token: env:K8S}
route:
  policy: ops
  routes:
    - match: [team="shop"]
      policy: shop
"""
ONCALL = """\
people:
  ada: {name: Ada, slack: U0ADA}
  bob: {name: Bob, slack: U0BOB}
rotations:
  shop: {people: [ada, bob], every: 1w, starts: 2026-01-05T09:00:00Z}
policies:
  ops:
    levels: [{targets: [channel:ops]}]
  shop:
    levels:
      - {targets: [rotation:shop], timeout: 5m}
      - {targets: [person:bob]}
"""
POLICY = """\
roles: {responders: [ada, bob]}
allow:
  - {actions: [k8s.*], namespaces: [shop], max_replicas: 10}
  - {actions: [http.request], hosts: [flags.example]}
"""
SERVICES = """\
checkout: {owner: shop, depends_on: [cart]}
cart:
"""
RUNBOOK = """\
name: scale-up
title: More pods
match: [alertname="Busy"]
params:
  service: {label: service}
steps:
  - id: scale
    action: k8s.scale
    with:
      namespace: shop
      deployment: "{{ params.service }}"
      replicas: 6
"""
GOOD = {
    "tocsin.yaml": TOCSIN,
    "oncall.yaml": ONCALL,
    "policy.yaml": POLICY,
    "services.yaml": SERVICES,
    "runbooks/scale-up.yaml": RUNBOOK,
}
ENVIRON = {
    "BOT": "xoxb-1-very-secret",
    "APP": "xapp-1-very-secret",
    "AM": "am-very-secret",
    "K8S": "k8s-very-secret",
    "SMS": "sms-very-secret",
    "SHORT": "short-secret",
    "SIGN": "sign-very-secret",
    "BEAT": "https://beat.example/very-secret",
}

Files = Mapping[str, str | bytes | None]


def written(folder: Path, files: Files) -> Path:
    """The good configuration in `folder/conf`, with these files instead; None leaves one out."""
    place = folder / "conf"
    for name, text in {**GOOD, **files}.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


def loaded(folder: Path, files: Files | None = None, **options: Any) -> Config:
    options.setdefault("environ", ENVIRON)
    return load(written(folder, files or {}), options.pop("registry", REGISTRY), **options)


def problems(folder: Path, files: Files | None = None, **options: Any) -> list[str]:
    """What is wrong, one text each, without the temporary folder in front; empty when nothing is."""
    try:
        loaded(folder, files, **options)
    except ConfigErrors as errors:
        return [str(problem).replace(f"{folder}/conf/", "").replace(f"{folder}/", "") for problem in errors.problems]
    return []


def warnings(folder: Path, files: Files | None = None, **options: Any) -> list[str]:
    return [str(one).replace(f"{folder}/conf/", "") for one in loaded(folder, files, **options).warnings]
