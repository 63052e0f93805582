"""What providers tell back: somebody acknowledges by a reply, a key or a link; a message arrived, or did not. Called by entry/media."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from bot.domain import alerted
from bot.domain.incident import Incident, State, warned
from bot.domain.notice import Heard
from bot.domain.page import Page, PageState
from bot.domain.paging import by_what
from bot.domain.people import Actor
from bot.domain.ports import Clock, Store, Tx
from bot.domain.rules import CurrentRules
from bot.errors import BadInput
from bot.flow.falling_back import asked_of, page_failed
from bot.flow.incidents import Incidents
from bot.flow.roster import Rosters

ASKS = ("page", "bundle", "summon")
RECENT = timedelta(days=7)
MOST = 200
MOST_TOGETHER = 10_000  # pages among which those of one message are looked for
NUMBER = re.compile(r"(?<![\w.])(?:inc-?)?(\d{1,9})(?![\w.])", re.IGNORECASE)


class Answers:
    """Every function answers in words for whoever gave the answer; what cannot be is said, never raised."""

    def __init__(self, store: Store, incidents: Incidents, clock: Clock, rules: CurrentRules, rosters: Rosters) -> None:
        self._store = store
        self._incidents = incidents
        self._clock = clock
        self._rules = rules
        self._rosters = rosters

    async def acknowledged(self, medium: str, heard: Heard) -> str:
        """The page is the one that the answer names, else the newest one to that address whose incident nobody has acknowledged."""
        page, numbers = await self._store.write(lambda tx: self._kept(tx, medium, heard))
        if page is None or not numbers:
            named = NUMBER.search(heard.text)
            what = f"about INC-{named[1]} " if named else ""
            return f"There is no page {what}to acknowledge here."
        return await self._taken(page, numbers, medium)

    async def by_link(self, incident_id: int, page_key: str, target: str) -> str:
        """Somebody has pressed the button behind the link of a page (`target`: to whom that was)."""
        page = (await self._store.read(lambda tx: tx.pages([page_key]))).get(page_key)
        if page is None:
            actor = await self._actor(target, "", "a link")
            return await self._acknowledge([incident_id], actor)
        return await self._taken(page, [incident_id], page.medium)

    async def told(self, medium: str, heard: Heard) -> None:
        """A message arrived, or did not: then the same person is reached in another way at once."""

        async def work(tx: Tx) -> None:
            now = self._clock()
            named = await tx.page_named(medium, heard.provider_id) if heard.provider_id else None
            page = (await tx.pages([heard.key])).get(heard.key) if heard.key else named
            page = page or named
            if page is None or page.medium != medium:
                return
            if heard.kind == "delivered" and page.state in (PageState.SENT, PageState.SENDING):
                update = {"state": PageState.DELIVERED, "state_at": now, "answer": _said(heard) or page.answer}
                await tx.save_pages([page.model_copy(update=update)])
            elif heard.kind == "failed" and page.state not in (PageState.FAILED, PageState.SKIPPED):
                await self._failed(tx, page, _said(heard) or "it did not arrive")

        await self._store.write(work)

    async def _failed(self, tx: Tx, page: Page, error: str) -> None:
        now = self._clock()
        directory = await self._rosters.directory(tx, self._rules(), now)
        asked = asked_of(page)
        if page.purpose == "bundle" and page.incident_id is None:
            every = await tx.pages_to(page.medium, page.address, now - RECENT, MOST_TOGETHER)
            for member in _members(every, page):
                if (again := asked_of(member)) is not None:
                    await page_failed(tx, again, error, directory, now)
        if asked is not None:
            await page_failed(tx, asked, error, directory, now)
            return
        incident = await tx.incident(page.incident_id) if page.incident_id is not None else None
        if incident is not None and page.purpose in ASKS:
            said = f"{page.name} was not reached{by_what(page.medium)}: {error}"
            await tx.save(warned(incident, said, now))
        failed = {"state": PageState.FAILED, "state_at": now, "answer": error}
        await tx.save_pages([page.model_copy(update=failed)])

    async def _kept(self, tx: Tx, medium: str, heard: Heard) -> tuple[Page | None, list[int]]:
        """What is meant, kept with the page before it is acted on: the same answer that is told of again, on any replica, means the same."""
        if not heard.provider_id or not heard.address:
            return await self._meant(tx, medium, heard)
        since = self._clock() - RECENT
        await tx.lock(f"answer:{medium}:{heard.provider_id}"[:200])
        known = await tx.pages_to(medium, heard.address, since, MOST)
        before = next((one for one in known if one.answered_by == heard.provider_id), None)
        if before is not None:
            return before, await _incidents_of(tx, before, since)
        page, numbers = await self._meant(tx, medium, heard)
        if page is not None and numbers and heard.kind == "acknowledged":
            await tx.save_pages([page.model_copy(update={"answered_by": heard.provider_id})])
        return page, numbers

    async def _meant(self, tx: Tx, medium: str, heard: Heard) -> tuple[Page | None, list[int]]:
        """The page, and the incidents that it is about."""
        exact = (await tx.pages([heard.key])).get(heard.key) if heard.key else None
        if exact is None and heard.provider_id:
            exact = await tx.page_named(medium, heard.provider_id)
        since = self._clock() - RECENT
        if exact is not None and exact.medium == medium:
            return exact, await _incidents_of(tx, exact, since)
        known = await tx.pages_to(medium, heard.address, since, MOST) if heard.address else ()
        known = tuple(one for one in known if one.purpose in ASKS and one.state is not PageState.SKIPPED)
        named = NUMBER.search(heard.text)
        if named is not None:
            number = int(named[1])
            found = next((one for one in known if one.incident_id == number), None)
            return found, [number] if found else []
        for page in known:
            numbers = await _incidents_of(tx, page, since)
            incidents = await tx.incidents(numbers)
            waiting = [one.id for one in incidents.values() if one.state is State.TRIGGERED]
            if waiting:
                return page, waiting
        newest = next((one for one in known if one.incident_id is not None), None)
        return newest, [newest.incident_id] if newest is not None and newest.incident_id is not None else []

    async def _taken(self, page: Page, numbers: list[int], medium: str) -> str:
        said = await self._acknowledge(numbers, await self._actor(page.target, page.name, medium))
        now = self._clock()

        async def work(tx: Tx) -> None:
            known = (await tx.pages([page.key])).get(page.key)
            if known is not None and known.answered_at is None:
                await tx.save_pages([known.model_copy(update={"answered_at": now})])

        await self._store.write(work)
        return said

    async def _acknowledge(self, numbers: list[int], actor: Actor) -> str:
        taken: list[Incident] = []
        words: list[str] = []
        for number in numbers:
            try:
                said = await self._incidents.acknowledge(number, actor)
            except BadInput as error:
                words.append(str(error))
                continue
            incident = (await self._store.read(lambda tx, one=number: tx.incidents([one])))[number]  # type: ignore[misc]
            if incident.holder == actor.id and incident.state is State.ACKNOWLEDGED:
                taken.append(incident)
            else:
                words.append(said)
        return " ".join([*([alerted.yours(taken)] if taken else []), *words])

    async def _actor(self, target: str, name: str, medium: str) -> Actor:
        """The person whose page it was; else somebody through that medium."""

        async def look(tx: Tx) -> Actor:
            directory = await self._rosters.directory(tx, self._rules(), self._clock())
            key = target.removeprefix("person:")
            if target.startswith("person:") and key in directory.people:
                return Actor(id=key, name=directory.people[key].name)
            return Actor(id=f"{medium}:{target}"[:200], name=f"Somebody through {name or medium}")

        return await self._store.read(look)


async def _incidents_of(tx: Tx, page: Page, since: datetime) -> list[int]:
    """Those that a page is about: of several in one message all."""
    if page.incident_id is not None:
        return [page.incident_id]
    members = _members(await tx.pages_to(page.medium, page.address, since, MOST_TOGETHER), page)
    return sorted({one.incident_id for one in members if one.incident_id is not None})


def _members(pages: tuple[Page, ...], whole: Page) -> list[Page]:
    """The pages that went out in this message."""
    return [one for one in pages if one.incident_id is not None and one.provider_id == whole.provider_id]


def _said(heard: Heard) -> str:
    return " ".join(heard.text.split())[:300]
