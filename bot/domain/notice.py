"""What a medium is given to say: plain text and facts, never markup. Made by paging; each medium in plugins/channels escapes it in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

Purpose = Literal[
    "page", "bundle", "summon", "reminder", "recovery", "acknowledged", "alarm", "test", "code", "handover", "swap"
]


class Notice(BaseModel):
    """One message. `key`: stable for the same message; `mark` tells those of another database with the same keys apart, and `identity` is both.
    `thread`: the same for all messages about one incident (`dedup_key` of pagers, e-mail threads); empty when it is about none.

    `subject`: one line. `body`: lines of text, without the subject. `short`: all that an SMS or a push holds (at most 300 characters). `spoken`:
    sentences to be read out. `url`: where to look. `acknowledge_url`: where to acknowledge without Slack (a page with a button); empty: not possible.
    `acknowledgeable`: an answer counts as an acknowledgement. `facts`: incident, severity, service, … as text, for media with fields.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    mark: str = ""
    purpose: Purpose
    thread: str = ""
    incident_id: int | None = None
    subject: str
    body: str = ""
    short: str = ""
    spoken: str = ""
    severity: str = ""
    url: str = ""
    acknowledge_url: str = ""
    acknowledgeable: bool = False
    facts: Mapping[str, str] = {}

    @property
    def identity(self) -> str:
        """By what a medium recognises the same message again (Message-ID, idempotency), among all that any Tocsin has ever sent."""
        return f"{self.key}|{self.mark}" if self.mark else self.key


class Receipt(BaseModel):
    """What a provider said: `provider_id` names the message there (for callbacks), `delivered`: it is known to have arrived; `answer` in words."""

    model_config = ConfigDict(frozen=True)

    provider_id: str = ""
    delivered: bool = False
    answer: str = ""


class Heard(BaseModel):
    """Something that a provider tells back: a message `delivered` or `failed`; or `acknowledged` by its receiver (`key`: the page's, when the answer
    itself carries it; else the newest page to `address` by this medium is meant)."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["delivered", "failed", "acknowledged", "other"]
    provider_id: str = ""
    key: str = ""
    address: str = ""
    text: str = ""
