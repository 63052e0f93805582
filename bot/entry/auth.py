"""Who may send: what a sender shows beside the body (a token, a password, a key, a secret address). Used by entry/webhooks, entry/mail and
entry/operation; with nothing configured, nobody may. Signatures are in auth_hmac and auth_sns.

A check has two halves, so that a stranger's body is not read: `admit` sees the request without its body, `check` the whole.
Secrets are compared by digest and in constant time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from bot.domain.alert import OnceOnly
from bot.domain.incoming import Incoming, KeyPlace
from bot.entry.problems import Refused
from bot.plugins import payload

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tocsin"'}
HOW_BEARER = "send `Authorization: Bearer <token>`"
HOW_BASIC = "send `Authorization: Basic <base64 of user:password>`"


class Auth(Protocol):
    """Raises Refused. `admit` gives back the request as the source may see it (without the token, when that was in the path).

    `check` returns what makes the delivery good once, if anything does: intake remembers it together with the alerts.
    """

    def admit(self, head: Incoming, now: datetime) -> Incoming: ...
    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None: ...


@dataclass(frozen=True, slots=True)
class Nobody:
    """Nothing is configured, so nobody may. `setting` names what to set."""

    setting: str = "token"

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        raise Refused(
            403, "nothing is configured that could let a sender in here", f"set `{self.setting}` in tocsin.yaml"
        )

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        raise AssertionError("admit refuses everybody")


class Bearer:
    """`Authorization: Bearer <token>`. Several tokens may be valid at a time, so that they can be changed without a gap."""

    def __init__(self, tokens: Iterable[str]) -> None:
        self._known = Known(tokens, "a bearer token")

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        token = _authorization(head, "Bearer", HOW_BEARER, CHALLENGE)
        if not self._known.has(token):
            raise Refused(
                401, "the bearer token is wrong", "compare it with the one that tocsin.yaml refers to", CHALLENGE
            )
        return head

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        return None


class Basic:
    """`Authorization: Basic <base64 of user:password>`. The user is as secret as the password: which of them was wrong is not told."""

    def __init__(self, user: str, passwords: Iterable[str]) -> None:
        self._known = Known((f"{user}:{password}" if password else "" for password in passwords), "a password")

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        challenge = {"WWW-Authenticate": 'Basic realm="tocsin", charset="UTF-8"'}
        given = _authorization(head, "Basic", HOW_BASIC, challenge)
        try:
            shown = base64.b64decode(given.encode("ascii"), validate=True).decode("utf-8", "surrogateescape")
        except (UnicodeEncodeError, binascii.Error) as error:
            raise Refused(401, "the Authorization header is not base64", HOW_BASIC, challenge) from error
        if not self._known.has(shown):
            hint = "compare them with what stands under `basic` in tocsin.yaml"
            raise Refused(401, "the user or the password is wrong", hint, challenge)
        return head

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        return None


class PathToken:
    """`/webhooks/<source>/<token>[/rest]`, for products that can only be given an address. It is taken off before anything else sees the path."""

    CHALLENGE = {"WWW-Authenticate": 'Path realm="tocsin"'}  # noqa: RUF012

    def __init__(self, tokens: Iterable[str]) -> None:
        self._known = Known(tokens, "a token")

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        token, _, rest = head.path.partition("/")
        if not token:
            hint = "send to /webhooks/<source>/<token>, with the token that tocsin.yaml refers to"
            raise Refused(401, "the token is missing from the address", hint, self.CHALLENGE)
        if not self._known.has(token):
            hint = "compare it with the one that tocsin.yaml refers to: /webhooks/<source>/<token>"
            raise Refused(401, "the token in the address is wrong", hint, self.CHALLENGE)
        return replace(head, path=rest.strip("/"))

    def fits(self, token: str) -> bool:
        """For addresses of another kind (`<source>+<token>@…`)."""
        return self._known.has(token)

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        return None


class Key:
    """A key where the sender's product puts it: in a header, or in the JSON body, which then has to be read before it is known whose it is."""

    def __init__(self, keys: Iterable[str], place: KeyPlace) -> None:
        self._known = Known(keys, "a key")
        self._place = place

    def admit(self, head: Incoming, now: datetime) -> Incoming:
        if self._place.header in head.headers or not self._place.members:
            self._judge(self._in_header(head))
        return head

    async def check(self, incoming: Incoming, now: datetime) -> OnceOnly | None:
        if self._place.header not in incoming.headers and self._place.members:
            self._judge(self._in_body(incoming.body))
        return None

    def _in_header(self, head: Incoming) -> str:
        place = self._place
        if not place.scheme:
            return head.headers.get(place.header, "").strip()
        scheme, _, key = head.headers.get(place.header, "").partition(" ")
        return key.strip() if scheme.lower() == place.scheme.lower() else ""

    def _in_body(self, body: bytes) -> str:
        """BadInput when it is no JSON: without that nobody can tell whose it is."""
        value = payload.load(body)
        given = value if isinstance(value, dict) else {}
        found = next((given[name] for name in self._place.members if name in given), None)
        return found.strip() if isinstance(found, str) else ""

    def _judge(self, key: str) -> None:
        if self._known.has(key):
            return
        place = self._place
        names = " or ".join(f"`{name}`" for name in place.members)
        where = f"the {place.header} header" if place.header else f"{names} of the body"
        if place.header and place.members:
            where += f" or {names} of the body"
        how = f"{place.scheme} <key>" if place.scheme else "the key"
        challenge = {"WWW-Authenticate": f'{place.scheme or "Key"} realm="tocsin"'}
        if not key:
            raise Refused(401, f"the key is missing from {where}", f"send {how} there", challenge)
        raise Refused(
            401, f"the key in {where} is wrong", "compare it with the one that tocsin.yaml refers to", challenge
        )


class Known:
    """The secrets that are valid now, by their digests. Raises ValueError when there is none, or an empty one."""

    def __init__(self, secrets: Iterable[str], what: str) -> None:
        self._digests = tuple(_digest(secret) for secret in secrets)
        if not self._digests or _digest("") in self._digests:
            raise ValueError(f"{what} must not be empty")

    def has(self, given: str) -> bool:
        digest = _digest(given)
        fits = [hmac.compare_digest(digest, one) for one in self._digests]  # all of them, whichever it is
        return any(fits)


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers by their names in lower case, as text that UTF-8 has a place for; of one that was sent more than once, the first counts."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        found.setdefault(name.lower(), value.encode("utf-8", "replace").decode())
    return found


def _authorization(head: Incoming, scheme: str, how: str, challenge: Mapping[str, str]) -> str:
    given = head.headers.get("authorization", "")
    said, _, shown = given.partition(" ")
    if not given:
        raise Refused(401, "the Authorization header is missing", how, challenge)
    if said.lower() != scheme.lower():
        raise Refused(401, f"the Authorization header is not of the {scheme} scheme", how, challenge)
    return shown.strip()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
