"""What a medium in plugins/channels gets beside its own `Params`: HTTP, redaction, the clock, and how its provider can call back. Built by app."""

from __future__ import annotations

from dataclasses import dataclass

from bot.clients.http import Http
from bot.domain.ports import Clock, Redact
from bot.domain.signing import Signer


@dataclass(frozen=True)
class Desk:
    """`name`: what tocsin.yaml calls this medium. `public_url`: how its provider reaches this server (empty: it cannot)."""

    name: str
    http: Http
    redact: Redact
    clock: Clock
    public_url: str = ""
    signer: Signer = Signer("")  # noqa: RUF009  without a secret: it signs nothing

    def callback(self, what: str) -> str:
        """Where the provider calls back: `<public_url>/media/<name>/<what>`; empty when it cannot."""
        return f"{self.public_url}/media/{self.name}/{what}" if self.public_url else ""
