"""One message by one medium to one place, and what became of it: what an incident shows of who was reached. Kept in the table `pages`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class PageState(StrEnum):
    """`waiting`: the medium could not take it yet (it failed, or too much goes through it); it is tried again. `sending`: handed to the medium
    just now; whoever acknowledges waits for it a moment, so that nothing arrives afterwards.

    `sent`: the provider has it. `delivered`: the provider says that it arrived. `bundled`: it stands in a later message together with others (with an
    `answer` once that has gone out). `skipped`: not needed any more. `failed`: it will not arrive by this medium, as the provider says or after all
    attempts.
    """

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    BUNDLED = "bundled"
    SKIPPED = "skipped"
    FAILED = "failed"


ARRIVED = (PageState.SENT, PageState.DELIVERED)


class Page(BaseModel):
    """`key`: the outbox row's. `target`: person:ada, channel:ops, medium:teams. `medium` and `address`: as in a contact method (address empty: the
    medium's own). `purpose`: why it was sent. `answer`: what the provider said, redacted and short. `answered_at`: they acknowledged by it.
    `answered_by`: what their answer is called at the provider, which may tell of it twice.
    `unsure`: an attempt that failed may have arrived all the same."""

    model_config = ConfigDict(frozen=True)

    key: str
    incident_id: int | None = None
    epoch: int = 0
    purpose: str = "page"
    target: str
    name: str
    medium: str
    address: str = ""
    severity: str = ""
    state: PageState
    begun_at: datetime
    state_at: datetime
    provider_id: str = ""
    answer: str = ""
    answered_at: datetime | None = None
    answered_by: str = ""
    unsure: bool = False
