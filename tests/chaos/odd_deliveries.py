"""Deliveries as no product would send them, seeded, for every source that there is; most of them show rightly who they are from.

A new file in plugins/sources is part of it at once: its recorded payloads are what is mutated, and how its senders are known says the file itself.
"""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import hmac
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bot.config.sources import SenderFacts
from bot.domain.incoming import HmacStyle
from bot.entry.auth_hmac import key_of
from bot.plugins import discover
from tests.chaos.watching import SECRET
from tests.entry.test_webhooks_sns import CERTIFICATE, CONFIRMATION, NOTIFICATION, SUBSCRIBE, TOPIC, key
from tests.support.payloads import BROKEN, DEEP, EMPTY, NUMBERS, TEXTS

RECORDED = Path(__file__).parents[1] / "plugins" / "sources"
USER = "fuzzer"
FORM = "application/x-www-form-urlencoded"
FACTS = {kind: SenderFacts.of(module) for kind, module in discover("sources").items()}

ODD: list[Any] = [
    *EMPTY, *NUMBERS, *TEXTS, *BROKEN, 10**400, -1e-300, float("nan"), float("inf"), 2**63, "2026-02-30T25:61:61Z", "1e999", "{{ 7 * 7 }}",
    "<!channel> *bold* <https://x|y>", "firing", "resolved", "FIRING", "critical", "\u202egnirif", "é" * 300, "a\nb\r\nc\td", "javascript:alert(1)",
    [["x"] * 50] * 3, {"a": {"b": {"c": [1, {"d": None}]}}}, {"__proto__": 1}, ["firing"], {"status": "firing"},
    "../../etc/passwd", "-", "0", 1700000000,
]  # fmt: skip
NAMES = [
    "alerts",
    "status",
    "labels",
    "state",
    "title",
    "data",
    "event",
    "incident",
    "id",
    "fingerprint",
    "",
    "\x00",
    "x" * 600,
]
PATHS: Mapping[str, tuple[str, ...]] = {
    "opsgenie": ("v2/alerts", "v2/alerts/a-1/close", "v2/alerts/a-1/acknowledge", "v2/alerts/a-1", "v2/heartbeats/h/ping", "v2/alerts/requests/x"),
    "pagerduty_events": ("v2/enqueue", "v2/change/enqueue", "generic/2010-04-15/create_event.json"),
}  # fmt: skip
EVENTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "github": ("x-github-event", ("push", "deployment", "deployment_status", "release", "workflow_run", "ping", "issues")),
    "gitlab": ("x-gitlab-event", ("Push Hook", "Deployment Hook", "Pipeline Hook", "Release Hook", "System Hook")),
    "sentry": ("sentry-hook-resource", ("issue", "event_alert", "metric_alert", "installation", "comment", "error")),
    "sns": ("x-amz-sns-message-type", ("Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation")),
}  # fmt: skip
TAILS = (
    "x",
    "..%2f..%2f",
    "%00",
    "a//b",
    "%f0%9f%92%a5",
    "%ff%fe",
    "y" * 3_000,
    "v2",
    "?",
    "?a=1&a=2&%00=%ff",
    "?" + "&".join("abcdefgh" * 20),
)
TYPES = (
    "application/json",
    "text/plain",
    FORM,
    "",
    "application/json; charset=latin-1",
    "multipart/form-data; boundary=x",
    "\xff\xfe",
    "a" * 300,
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request. `bare`: what was done to its encoding may cost the connection as well."""

    source: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    bare: bool = False

    @property
    def head(self) -> bytes:
        """All but Content-Length and the body."""
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            "Host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1", "replace")


def settings(kind: str) -> dict[str, Any]:
    """What tocsin.yaml has to say of the source so that `Deliveries` is let in."""
    reference, way = "env:TOCSIN_TESTS_SECRET", FACTS[kind].ways[0]
    given: Any = {
        "hmac": {"secret": reference},
        "basic": {"user": USER, "password": reference},
        "sns": {"topics": [TOPIC]},
    }
    return {"type": kind, way: given.get(way, reference)}


@cache
def recorded(kind: str) -> tuple[Any, ...]:
    return tuple(json.loads(file.read_text()) for file in sorted((RECORDED / kind).glob("*.json"))) or ({},)


@cache
def recorded_mail() -> tuple[bytes, ...]:
    return tuple(file.read_bytes() for file in sorted((RECORDED / "email").glob("*.eml")))


@dataclass
class Deliveries:
    """Always the same ones for the same seed, but for the time in signatures."""

    seed: int
    dice: random.Random = field(init=False)
    kinds: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.kinds = sorted(kind for kind, facts in FACTS.items() if facts.methods != ("SMTP",))

    def one(self) -> Delivery:
        dice = self.dice
        kind = dice.choice(self.kinds)
        facts = FACTS[kind]
        value = self._value(kind)
        headers = {"Content-Type": "application/json"} if dice.random() < 0.85 else {"Content-Type": dice.choice(TYPES)}
        if kind in EVENTS and dice.random() < 0.95:
            name, known = EVENTS[kind]
            headers[name] = (
                dice.choice(known) if dice.random() < 0.9 else dice.choice(("", "nothing", "\xe9", "x" * 2_000))
            )
        shown = dice.random()
        secret = SECRET if shown < 0.92 else "wrong" if shown < 0.96 else ""
        if facts.ways[0] == "key" and facts.key and facts.key.members and isinstance(value, dict) and secret:
            value = {**value, facts.key.members[0]: secret}
        if kind == "sns":
            value = self._signed(value)
        body, query = self._body(value, headers), ""
        if dice.random() < 0.05:
            query, body = "?" + _flat(value)[: dice.choice((50, 900, 2_500))], b"" if dice.random() < 0.5 else body
        method = (
            dice.choice(facts.methods)
            if dice.random() < 0.97
            else dice.choice(("GET", "PUT", "PATCH", "DELETE", "OPTIONS"))
        )
        headers |= self._known(kind, secret, body)
        body, bare = self._encoded(body, headers)
        return Delivery(kind, method, self._target(kind, secret) + query, tuple(headers.items()), body, bare)

    def mail(self) -> bytes:
        """A message: a recorded one with lines left out, changed or doubled."""
        dice, lines = self.dice, self.dice.choice(recorded_mail()).split(b"\n")
        for _ in range(dice.randint(0, 4)):
            at = dice.randrange(len(lines))
            boundary, words = b"Content-Type: multipart/mixed; boundary=x", b"Subject: " + b"=?utf-8?q?=" * 50
            odd = dice.choice((b"", lines[at] * 2, dice.randbytes(60).replace(b"\n", b""), boundary, words))
            lines[at : at + 1] = [odd] * dice.randint(0, 2)
        return b"\r\n".join(line.rstrip(b"\r") for line in lines)

    # ------------------------------------------------------------------------------------------------ what is in it

    def _value(self, kind: str) -> Any:
        dice, way = self.dice, self.dice.random()
        if way < 0.1:
            return self._any(4)
        value = json.loads(json.dumps(dice.choice(recorded(kind))))
        if way < 0.15:
            return value
        for _ in range(dice.randint(1, 5)):
            self._change(value)
        if kind == "sns" and isinstance(value, dict) and dice.random() < 0.7:
            value["Message"] = self._inner_message(value.get("Message"))
        return value

    def _inner_message(self, text: Any) -> str:
        try:
            inner = json.loads(text)
        except (TypeError, ValueError):
            inner = self._any(3)
        self._change(inner)
        return json.dumps(inner)

    def _change(self, value: Any) -> None:
        """One member dropped, replaced, doubled, wrapped, made a text, or a new one."""
        dice = self.dice
        within, name = dice.choice(_places(value) or [({}, None)])
        if name is None:
            return
        old = within[name]
        match dice.randrange(8):
            case 0:
                del within[name]
            case 1 | 2 | 3:
                within[name] = self._odd()
            case 4:
                within[name] = [old] * dice.choice((1, 2, 40)) if isinstance(old, str | int | dict) else self._odd()
            case 5:
                within[name] = json.dumps(old)
            case 6:
                within[name] = (
                    self._any(3) if dice.random() < 0.5 else (str(old) * dice.choice((1, 10, 2_000)))[:50_000]
                )
            case 7 if isinstance(within, dict):
                within[dice.choice(NAMES)] = old
            case 7:
                within.extend([old] * dice.randint(1, 20))

    def _odd(self) -> Any:
        return copy.deepcopy(self.dice.choice(ODD))

    def _any(self, deepest: int) -> Any:
        dice = self.dice
        shape = dice.randrange(6) if deepest else 0
        if shape < 3:
            return self._odd()
        if shape < 4:
            return [self._any(deepest - 1) for _ in range(dice.randint(0, 4))]
        return {
            dice.choice(NAMES) + dice.choice(("", "s", "_id")): self._any(deepest - 1)
            for _ in range(dice.randint(0, 5))
        }

    def _body(self, value: Any, headers: dict[str, str]) -> bytes:
        dice, way = self.dice, self.dice.random()
        body = json.dumps(value, ensure_ascii=dice.random() < 0.7).encode("utf-8", "surrogatepass")
        odd: list[Callable[[], bytes]] = [
            lambda: body[: dice.randrange(len(body) + 1)],
            lambda: body[: len(body) // 2] + dice.randbytes(3) + body[len(body) // 2 :],
            lambda: dice.randbytes(dice.randrange(200)),
            lambda: body.replace(b"{", b'{"status":"odd","labels":7,', 1),
            lambda: body.decode("utf-8", "replace").encode("utf-16"),
            lambda: b"\xef\xbb\xbf" + body + b"\n\n",
            lambda: body * 2,
            lambda: b"",
            lambda: DEEP if dice.random() < 0.3 else DEEP[:150] + b"1" + DEEP[-150:],
            lambda: b"{" + b",".join(b'"k%d":%d' % (number, number) for number in range(2_000)) + b"}",
            lambda: json.dumps({"alerts": [value] * 60}).encode()[:400_000],
            lambda: b'{"title":"' + b"x" * 100_000 + b'"}',
        ]
        if way < 0.84:
            return body
        if way < 0.88:
            headers["Content-Type"] = FORM
            return _flat(value).encode()
        return dice.choice(odd)()

    def _encoded(self, body: bytes, headers: dict[str, str]) -> tuple[bytes, bool]:
        """Packed, said to be packed, or plain; and whether the packing is broken."""
        way = self.dice.random()
        if way > 0.06:
            return body, False
        headers["Content-Encoding"] = (
            "gzip" if way < 0.055 else self.dice.choice(("br", "identity", "GZIP", "zstd, gzip"))
        )
        if way > 0.055:
            return body, True
        packed = gzip.compress(body, 1)
        return (packed, False) if way < 0.04 else (packed[: len(packed) // 2] if way < 0.05 else body, True)

    # ------------------------------------------------------------------------------------------------ from whom, and where to

    def _target(self, kind: str, secret: str) -> str:
        dice, path = self.dice, f"/webhooks/{kind}"
        if dice.random() < 0.01:
            path = "/webhooks/" + quote(dice.choice(("nothing", "alertmanagr", "x" * 300, "%", "\x00")), safe="")
        if FACTS[kind].ways[0] == "token":
            path += f"/{secret}" if secret else ""
        if kind in PATHS and dice.random() < 0.95:
            path += "/" + dice.choice(PATHS[kind])
        return path if dice.random() > 0.02 else f"{path}/{dice.choice(TAILS)}"

    def _known(self, kind: str, secret: str, body: bytes) -> dict[str, str]:
        """The headers by which the sender is known."""
        facts = FACTS[kind]
        if not secret:
            return {}
        match facts.ways[0]:
            case "bearer":
                return {"Authorization": f"Bearer {secret}"}
            case "basic":
                return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{secret}".encode()).decode()}
            case "key" if facts.key and facts.key.header:
                return {facts.key.header: f"{facts.key.scheme} {secret}".strip()}
            case "hmac" if facts.hmac:
                return _signature(facts.hmac, secret, body)
        return {}

    def _signed(self, value: Any) -> Any:
        """An envelope of Amazon SNS, of now, with a signature that fits in most cases."""
        if not isinstance(value, dict) or self.dice.random() < 0.03:
            return value
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        whole = {**value, "TopicArn": TOPIC, "Timestamp": now, "SignatureVersion": "2", "SigningCertURL": CERTIFICATE}
        whole |= {"SubscribeURL": SUBSCRIBE} if whole.get("Type") != "Notification" else {}
        names = NOTIFICATION if whole.get("Type") == "Notification" else CONFIRMATION
        signed = "".join(f"{name}\n{whole[name]}\n" for name in names if whole.get(name) is not None).encode(
            "utf-8", "replace"
        )
        signature = key().sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return {**whole, "Signature": base64.b64encode(signature).decode()}


def _signature(style: HmacStyle, secret: str, body: bytes) -> dict[str, str]:
    timestamp, number = str(int(time.time())), "fuzz-1"
    parts = {"{body}": body, "{timestamp}": timestamp.encode(), "{id}": number.encode()}
    signed = style.signed.encode()
    for name, part in parts.items():
        signed = signed.replace(name.encode(), part)
    digest = hmac.new(key_of(secret, style), signed, getattr(hashlib, style.algorithm)).digest()
    shown = digest.hex() if style.encoding == "hex" else base64.b64encode(digest).decode()
    headers = {style.header: style.prefix + shown}
    headers |= {style.timestamp_header: timestamp} if style.timestamp_header else {}
    return headers | ({style.id_header: number} if style.id_header else {})


def _places(value: Any) -> list[tuple[Any, Any]]:
    members: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[tuple[Any, Any]] = []
    for name, inner in members:
        found.append((value, name))
        found += _places(inner)
    return found[:3_000]


def _flat(value: Any) -> str:
    members = value.items() if isinstance(value, dict) else [("x", value)]
    return urlencode(
        {str(name): item if isinstance(item, str) else json.dumps(item) for name, item in members}, errors="replace"
    )
