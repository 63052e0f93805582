"""Marks that only this installation can make: they stand in addresses that let somebody in without a header (calendars, acknowledging by a link)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime

from bot.errors import BadInput, NotSigned, Outdated

MARK_BYTES = 16
LONGEST_TOKEN = 1000


class Signer:
    """HMAC-SHA-256 with the installation's secret (`server.secret`); one purpose's marks are worth nothing for another."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @property
    def able(self) -> bool:
        """Whether there is a secret; without one nothing is signed and nothing is let in."""
        return bool(self._secret)

    def mark(self, purpose: str, text: str) -> str:
        """32 hexadecimal digits for a text."""
        if not self.able:
            raise BadInput("there is no server.secret in tocsin.yaml, so nothing can be signed")
        return hmac.new(self._secret, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()[: 2 * MARK_BYTES]

    def right(self, purpose: str, text: str, mark: str) -> bool:
        return self.able and hmac.compare_digest(self.mark(purpose, text).encode(), mark.encode(errors="replace"))

    def token(self, purpose: str, facts: Mapping[str, str], until: datetime) -> str:
        """The facts, readable by everybody and made by nobody else, good until then; fit for an address."""
        text = json.dumps({**facts, "until": int(until.timestamp())}, sort_keys=True, separators=(",", ":"))
        return f"{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}.{self.mark(purpose, text)}"

    def facts(self, purpose: str, token: str, now: datetime) -> dict[str, str]:
        """What a token says. BadInput when it is damaged, NotSigned when it is not one of ours, Outdated when it is too old."""
        written, _, mark = token[:LONGEST_TOKEN].partition(".")
        try:
            text = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)).decode()
        except (ValueError, UnicodeDecodeError):
            raise BadInput("this link is damaged: copy the whole of it") from None
        if not self.right(purpose, text, mark):
            raise NotSigned("this link was not made by this Tocsin, or its server.secret has changed")
        facts: dict[str, str] = {str(key): str(value) for key, value in json.loads(text).items()}
        until = datetime.fromtimestamp(int(facts.pop("until")), UTC)
        if now >= until:
            raise Outdated(f"this link was good until {until:%Y-%m-%d %H:%M} UTC")
        return facts
