"""From a source's settings to the check of its senders. Called by app for every source; this is the only place that knows both."""

from __future__ import annotations

from bot.config import auth as settings
from bot.config.sources import SourceConfig
from bot.domain.incoming import HmacStyle, KeyPlace
from bot.entry.auth import Auth, Basic, Bearer, Key, Nobody, PathToken
from bot.entry.auth_hmac import Signed, SignedAs
from bot.entry.auth_sns import Fetch, Sns


def configured(source: SourceConfig, fetch: Fetch) -> Auth:
    """The check that a source's entry in tocsin.yaml asks for. `fetch` is for certificates."""
    match source.auth:
        case None:
            return Nobody(f"sources.{source.name}.{source.senders.ways[0]}")
        case settings.Bearer(tokens=tokens):
            return Bearer(token.reveal() for token in tokens)
        case settings.Basic(user=user, password=passwords):
            return Basic(user, (password.reveal() for password in passwords))
        case settings.Token(tokens=tokens):
            return PathToken(token.reveal() for token in tokens)
        case settings.Key(keys=keys):
            place = source.senders.key or KeyPlace(header="x-api-key")
            return Key((key.reveal() for key in keys), place)
        case settings.Sns():
            return Sns(source.auth.allowed, fetch)
        case settings.Hmac():
            return _signed(source.auth, source.senders.hmac)


def _signed(given: settings.Hmac, style: HmacStyle | None) -> Auth:
    secrets = tuple(secret.reveal() for secret in given.secret)
    if style is None:
        return Signed(secrets, given.tolerance, given.header, given.timestamp_header)
    return SignedAs(style, secrets, given.tolerance)
