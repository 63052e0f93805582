"""What on-call needs from outside, as Protocols: its part of the store's transaction, media, and the user groups of Slack. As in ports.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from bot.domain.incoming import Incoming
from bot.domain.notice import Heard, Notice, Receipt
from bot.domain.page import Page
from bot.domain.roster import Feed, OwnMethod, Preferences, Roster, Swap
from bot.domain.schedule import Override


class OnCallTx(Protocol):
    """The part of a transaction that on-call uses (bot.domain.ports.Tx has it)."""

    # pages: what was sent to whom
    async def pages(self, keys: Collection[str]) -> dict[str, Page]: ...
    async def save_pages(self, pages: Collection[Page]) -> None:
        """Insert or replace by key."""

    async def pages_of(self, incident_id: int, limit: int = 500) -> tuple[Page, ...]:
        """The newest of an incident, oldest first."""

    async def pages_to(
        self, medium: str, address: str, since: datetime, limit: int = 100, *, going: bool = False
    ) -> tuple[Page, ...]:
        """Those begun since, to one address by one medium, newest first. `going`: only sending, sent and delivered ones."""

    async def pages_by(self, medium: str, since: datetime) -> int:
        """How many were sent or are being sent by a medium since (sending, sent and delivered ones)."""

    async def page_named(self, medium: str, provider_id: str) -> Page | None:
        """The newest with that id at the provider."""

    async def pages_between(self, since: datetime, until: datetime, limit: int = 10_000) -> tuple[Page, ...]:
        """Those begun in this time (`until` not included), oldest first."""

    # what people change by themselves; every save counts the counter `roster` up
    async def roster(self, now: datetime) -> Roster:
        """What counts now: overrides that are not over and not ended, methods that are not removed, all preferences and feeds."""

    async def override(self, number: int) -> Override | None: ...
    async def overrides(self, since: datetime, until: datetime, schedule: str = "") -> tuple[Override, ...]:
        """Those that touch this time, also ended ones, by number."""

    async def save_override(self, override: Override) -> None:
        """Insert or replace by number (`next_id("override")`)."""

    async def swap(self, number: int) -> Swap | None:
        """Locked until the commit."""

    async def swaps(self, now: datetime) -> tuple[Swap, ...]:
        """Those that are asked for and not over, by number."""

    async def save_swap(self, swap: Swap) -> None:
        """Insert or replace by number (`next_id("swap")`)."""

    async def methods_of(self, person: str) -> tuple[OwnMethod, ...]:
        """What a person entered, with what is not verified and without what was removed; locked until the commit."""

    async def save_method(self, method: OwnMethod) -> None:
        """Insert or replace by person and key."""

    async def save_preferences(self, preferences: Preferences) -> None: ...
    async def save_feed(self, feed: Feed) -> None: ...
    # the outbox, as the auditor sees it
    async def undelivered(self, keys: Collection[str]) -> set[str]:
        """Those of the keys whose outbox row is pending or leased."""


class Medium(Protocol):
    """One way of telling people something: `Plugin` of a file in plugins/channels, or Slack (bot.room).

    `kind` is one of severity.MEDIA. `acknowledged`: it wants to be told when somebody has it (`pager`), as well as when it is over.
    """

    kind: str
    acknowledged: bool

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        """Send it now, once: no retry in here. `address` empty: the medium's own. `again`: an earlier attempt may have arrived.

        Raises TryLater for what may work later (`uncertain=True` when it may have arrived; `delay` when the provider says), BadInput or GaveUp for
        what never will (wrong credentials, an address that the provider refuses), with the provider's words, without secrets.
        """


@runtime_checkable
class HearingMedium(Medium, Protocol):
    """A medium whose provider calls back, at /media/<name>/<what>."""

    async def heard(self, incoming: Incoming, what: str) -> tuple[Heard, ...]:
        """What a callback says. BadInput when it is not signed as it must be, or cannot be read. `what`: the last part of its address."""

    def answer(self, heard: Sequence[Heard], words: str) -> tuple[bytes, str]:
        """The body and content type to answer with; `words` is what to tell whoever acknowledged (`INC-7 is yours`), empty for nothing."""


class UserGroups(Protocol):
    """Slack user groups."""

    async def set_members(self, group: str, users: Sequence[str]) -> bool:
        """Make the group (S…) these Slack users, unless it is so already; whether it was changed. GaveUp in words when Slack forbids it."""


class Wording(Protocol):
    """Templates of messages, bounded (bot.clients.render)."""

    def message(self, template: str, facts: Mapping[str, Any]) -> str:
        """The rendered text, at most 3000 characters. BadInput names the key that is missing or what is too much."""
