"""How a sender shows who it is: one of these per entry of `sources`. Read by sources; entry/auth_configured makes the checks of them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bot.config.problems import quoted
from bot.config.secrets import SecretRef
from bot.config.server import Part

MOST_SECRETS = 10
MOST_TOPICS = 50
TOPIC = re.compile(r"arn:aws[a-z-]{0,20}:sns:[a-z0-9-]{1,40}:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?\Z")


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else (value,)


References = Annotated[
    tuple[SecretRef, ...],
    BeforeValidator(_several),
    Field(
        min_length=1,
        max_length=MOST_SECRETS,
        description="a secret by reference, or a list of them while it is being changed",
    ),
]


class Bearer(Part):
    """The sender shows a token: `Authorization: Bearer …`."""

    tokens: References


class Basic(Part):
    """The sender shows a user and a password: `Authorization: Basic …`."""

    user: str = Field(min_length=1, max_length=200)
    password: References

    @field_validator("user")
    @classmethod
    def _without_colon(cls, user: str) -> str:
        if ":" in user:
            raise ValueError("a user name must not have a colon in it")
        return user


class Hmac(Part):
    """The sender signs the body with a shared secret: as its product does, or else as Tocsin does itself (HMAC-SHA256; the headers are set here)."""

    secret: References
    header: str = Field(default="X-Tocsin-Signature", min_length=1, max_length=100)
    timestamp_header: str = Field(default="X-Tocsin-Timestamp", min_length=1, max_length=100)
    tolerance: timedelta = Field(
        default=timedelta(minutes=5), gt=timedelta(0), le=timedelta(days=1), description="how old a signature may be"
    )


class Token(Part):
    """The sender has a secret address: /webhooks/<source>/<token>, or <source>+<token>@… for e-mail."""

    tokens: References


class Key(Part):
    """The sender shows a key where its product puts it: a header of its own, or a member of the body."""

    keys: References


class Sns(Part):
    """Amazon SNS signs; only these topics may send."""

    topics: tuple[str, ...] = Field(default=(), max_length=MOST_TOPICS, description="ARNs of the topics that may send")
    topic_arn: str = Field(default="", description="the one topic that may send; the same as a list of one")

    @field_validator("topics", "topic_arn")
    @classmethod
    def _arns(cls, value: tuple[str, ...] | str) -> tuple[str, ...] | str:
        for topic in (value,) if isinstance(value, str) else value:
            if topic and not TOPIC.match(topic):
                raise ValueError(
                    f"not the ARN of a topic: {quoted(topic)}; write it like arn:aws:sns:us-east-1:123456789012:alarms"
                )
        return value

    @model_validator(mode="after")
    def _some(self) -> Self:
        if bool(self.topics) == bool(self.topic_arn):
            raise ValueError("set exactly one of topics (a list of ARNs) and topic_arn")
        return self

    @property
    def allowed(self) -> frozenset[str]:
        return frozenset(self.topics or (self.topic_arn,))


AuthSetting = Bearer | Basic | Hmac | Token | Key | Sns
# What stands at each way's key of a source: a mapping of the model's keys, or secrets alone, which go to the one key that is named here.
MODELS: dict[str, type[AuthSetting]] = {
    "bearer": Bearer,
    "basic": Basic,
    "hmac": Hmac,
    "token": Token,
    "key": Key,
    "sns": Sns,
}
ONLY_SECRETS: dict[str, str] = {"bearer": "tokens", "token": "tokens", "key": "keys"}
LIKE = {
    "bearer": "bearer: env:TOKEN",
    "basic": "basic: {user: tocsin, password: env:PASSWORD}",
    "hmac": "hmac: {secret: env:SECRET}",
    "token": "token: env:TOKEN",
    "key": "key: env:KEY",
    "sns": "sns: {topics: [arn:aws:sns:us-east-1:123456789012:alarms]}",
}
