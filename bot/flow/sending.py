"""Hands a message to the medium that it goes by: Slack through the room, everything else through its plugin. Used by pages and notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog

from bot.domain import alerted
from bot.domain.contact import SLACK
from bot.domain.incident import Incident
from bot.domain.links import Links
from bot.domain.naming import clipped
from bot.domain.notice import Notice, Receipt
from bot.domain.oncall_ports import Medium, Wording
from bot.domain.page import Page, PageState
from bot.domain.people import Directory
from bot.domain.ports import Room
from bot.domain.rules import Rules
from bot.errors import BadInput, GaveUp, TryLater

LONGEST = 30.0  # seconds; a medium that takes longer is tried again, and another one has been used by then
ANSWER = 300
SHORTEST_ADDRESS = 6  # characters; shorter ones are names, of channels say


class Sending:
    """`media`: what is set up beside Slack, by name; a reload may change what is in it. Sends once, and never retries: the worker does."""

    def __init__(self, room: Room, media: Mapping[str, Medium], wording: Wording, links: Links) -> None:
        self._room = room
        self._media = media
        self._wording = wording
        self.links = links
        self._log = structlog.get_logger("sending")

    def must_have(self, medium: str) -> None:
        """GaveUp when there is no such medium (any more)."""
        if medium != SLACK and medium not in self._media:
            raise GaveUp(f"no medium is called {medium}: it is not in `channels` of tocsin.yaml any more")

    def kind(self, medium: str) -> str:
        found = self._media.get(medium)
        return found.kind if found else SLACK

    def wants_acknowledgements(self, medium: str) -> bool:
        found = self._media.get(medium)
        return found is not None and found.acknowledged

    async def page(
        self,
        incident: Incident,
        page: Page,
        level: int,
        again: bool,
        template: str = "",
        firing: Sequence[str] = (),
    ) -> Receipt:
        """`template`: a text of the house or of the person, instead of Tocsin's own; empty: none."""
        if page.medium == SLACK:
            going = self._room.page(incident, page.target, level, page.key, again, page.address)
            return await self._slack(going)
        notice = alerted.paged(incident, page, self.links, page.state_at, firing=firing)
        return await self.notice(self._worded(notice, incident, template), page, again)

    async def summon(self, incident: Incident, page: Page, why: str, again: bool, template: str = "") -> Receipt:
        if page.medium == SLACK:
            return await self._slack(self._room.summon(incident, page.target, why, page.key, again))
        notice = alerted.paged(incident, page, self.links, page.state_at, why)
        return await self.notice(self._worded(notice, incident, template), page, again)

    async def notice(self, notice: Notice, page: Page, again: bool) -> Receipt:
        """Anything else, to where `page` says."""
        if page.medium == SLACK:
            return await self._slack(self._room.notice(notice, page.target, page.address, again))
        self.must_have(page.medium)
        failure: Exception
        try:
            async with asyncio.timeout(LONGEST):
                receipt = await self._media[page.medium].send(notice, page.address, again)
        except TimeoutError:
            failure = TryLater(f"{page.medium}: no answer within {LONGEST:.0f} seconds", uncertain=True)
        except TryLater as error:
            failure = TryLater(_unaddressed(str(error), page), error.delay, uncertain=error.uncertain)
        except (BadInput, GaveUp) as error:
            failure = type(error)(_unaddressed(str(error), page))
        else:
            return receipt.model_copy(update={"answer": clipped(_unaddressed(receipt.answer, page), ANSWER)})
        raise failure  # out here, so that the first one, which may quote the address, is not logged as its context

    async def alarm(self, text: str, key: str, again: bool) -> None:
        """In the fallback channel."""
        await self._room.alarm(text, key, again)

    async def _slack(self, going: Awaitable[str]) -> Receipt:
        try:
            async with asyncio.timeout(LONGEST):
                return Receipt(provider_id=await going)
        except TimeoutError:
            raise TryLater(f"slack: no answer within {LONGEST:.0f} seconds", uncertain=True) from None

    def _worded(self, notice: Notice, incident: Incident, template: str) -> Notice:
        """In the words of the template. One that is wrong never keeps a page from going out: then it is Tocsin's own words."""
        if not template:
            return notice
        facts: dict[str, Any] = {**notice.facts, "url": notice.url, "acknowledge_url": notice.acknowledge_url}
        if alerted.may_be_told(incident, notice.facts["target"]):
            facts["labels"] = dict(incident.labels)
        try:
            return alerted.in_own_words(notice, self._wording.message(template, facts))
        except BadInput as error:
            self._log.warning("a template of messages is wrong; Tocsin's own words are used", error=str(error))
            return notice


def _unaddressed(words: str, page: Page) -> str:
    """A provider's words without the address that they are about: they stand at the incident for everybody, and a phone number is its owner's."""
    return words.replace(page.address, "…") if len(page.address) >= SHORTEST_ADDRESS else words


def template_of(page: Page, directory: Directory, rules: Rules) -> str:
    """The person's, else the medium's, else none."""
    person = directory.people.get(page.target.removeprefix("person:")) if page.target.startswith("person:") else None
    if person is not None and person.template:
        return person.template
    medium = rules.media.get(page.medium)
    return medium.template if medium else ""


def answered(page: Page, receipt: Receipt, now: datetime) -> Page:
    """The page as the provider's answer leaves it; what the provider has called back meanwhile stays."""
    known = page.state in (PageState.DELIVERED, PageState.FAILED)
    state = page.state if known else PageState.DELIVERED if receipt.delivered else PageState.SENT
    update = {"provider_id": receipt.provider_id, "answer": page.answer if known else receipt.answer}
    return page.model_copy(update={**update, "state": state, "state_at": now})
