"""`api:` of tocsin.yaml: who may use the JSON API, each by a token of its own. Read by files; entry/api makes the check of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field, field_validator

from bot.config.problems import quoted
from bot.config.secrets import SecretRef
from bot.config.server import Part

MOST_TOKENS = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}\Z")


class Api(Part):
    """The JSON API. Nobody may use it as long as there is no token."""

    tokens: Mapping[str, SecretRef] = Field(
        default_factory=dict,
        max_length=MOST_TOKENS,
        description="by the name that stands on record for what is done with it, like deploy-bot: env:TOKEN",
    )

    @field_validator("tokens")
    @classmethod
    def _named(cls, tokens: Mapping[str, SecretRef]) -> Mapping[str, SecretRef]:
        for name in tokens:
            if not _NAME.match(name):
                raise ValueError(f"not a name for a token: {quoted(name)}; write it like deploy-bot")
        values = [one.reveal() for one in tokens.values() if one.resolved]
        if len(set(values)) != len(values):
            raise ValueError("two names have the same token, so nobody could tell who it was")
        return tokens
