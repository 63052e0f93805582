"""What comes in from a sender, and what a source makes of it. Made by entry/webhooks, read by plugins/sources, taken by flow/intake.

A source is one file: `Params` (its own settings), `parse` (pure), and, where its product has habits of its own, the constants that say so:

    AUTH: tuple[str, ...]      which ways of showing who they are its senders know, the usual one first; all of WAYS when it does not say
    HMAC: HmacStyle            how the product signs
    KEY: KeyPlace              where the product puts its key
    METHODS: tuple[str, ...]   ("POST",) when it does not say
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from bot.domain.alert import Alert

WAYS = ("bearer", "basic", "hmac", "token")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request: let in and bounded in size, its Content-Encoding taken off. The names of `headers` are in lower case.

    `path` is what follows `/webhooks/<source>/` (without the token when that is how the sender is known), without a slash at either end.
    """

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class HmacStyle:
    """How a product signs a body with a shared secret.

    `header` in lower case; what it holds is `prefix` and the digest, or several of them separated by `separator` (any may fit). `signed` is what is
    signed, with `{body}`, `{timestamp}` and `{id}`; `timestamp_header` and `id_header` are where the latter two come from (empty: there is none, and
    without a timestamp a replay cannot be told). `secret_prefix`: when the configured secret begins with it, what follows is the key in base64.
    """

    header: str
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"
    algorithm: Literal["sha256", "sha1", "sha512"] = "sha256"
    separator: str = ""
    signed: str = "{body}"
    timestamp_header: str = ""
    id_header: str = ""
    secret_prefix: str = ""


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a product puts the key that it was given: a header (lower case; behind `scheme` and a space, if any), or a member of the JSON body
    (the first of these names that it has)."""

    header: str = ""
    scheme: str = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody acknowledged at the sender: the incident that this alert belongs to is acknowledged here as well."""

    fingerprint: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """Something that was changed in the world: a deployment, a release, a failed workflow. Context for incidents, never an alert.

    `key` is the same whenever the sender tells of the same thing again; the newest `state` counts.
    """

    source: str
    key: str
    kind: Literal["deployment", "release", "workflow", "push", "change"]
    title: str
    at: datetime
    state: str = ""
    service: str = ""
    environment: str = ""
    author: str = ""
    url: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one delivery says, in order; `bad` has (index, reason) for each alert that had to be left out.

    `status` and `reply` are what this product's clients expect as an answer when all went well; without `reply` they get Tocsin's own. `confirm`: an
    address that has to be fetched for the sender to go on sending (a subscription's confirmation), of a host that the source has checked.
    """

    alerts: tuple[Alert, ...] = ()
    bad: tuple[tuple[int, str], ...] = ()
    acknowledged: tuple[Acknowledged, ...] = ()
    changes: tuple[ChangeEvent, ...] = ()
    status: int = 200
    reply: Mapping[str, Any] | None = None
    confirm: str = ""
