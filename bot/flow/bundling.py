"""Several pages to one address in one message: what was held back for a moment goes out together, without what is not needed any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bot.domain import alerted, paging
from bot.domain.incident import Incident, State
from bot.domain.notice import Receipt
from bot.domain.page import Page, PageState
from bot.domain.ports import Clock, Delivery, Store, Tx
from bot.domain.rules import CurrentRules
from bot.errors import TryLater
from bot.flow.delivery import Handler, Record, payload
from bot.flow.falling_back import waiting_together
from bot.flow.pages import FRESH, may_be, skipped
from bot.flow.roster import Rosters
from bot.flow.sending import Sending, answered, template_of


@dataclass(frozen=True, slots=True)
class Bundle:
    """`page`: the message itself. `members`: the pages that are in it, by the incident that each is about, the worst first."""

    page: Page
    members: tuple[tuple[Page, Incident], ...]
    template: str

    @property
    def incidents(self) -> tuple[Incident, ...]:
        return tuple({incident.id: incident for _, incident in self.members}.values())


class Bundles:
    """The handler for `bundle`. `paged` is told the policy of every page that has left by it."""

    def __init__(
        self,
        store: Store,
        sending: Sending,
        clock: Clock,
        rules: CurrentRules,
        rosters: Rosters,
        paged: Callable[[str], None] = lambda policy: None,
    ) -> None:
        self._store = store
        self._sending = sending
        self._clock = clock
        self._rules = rules
        self._rosters = rosters
        self._paged = paged

    def handlers(self) -> Mapping[str, Handler]:
        return {"bundle": self.bundle}

    async def bundle(self, delivery: Delivery) -> Record | None:
        """What is about one incident only is a page like any other."""
        going = await self._store.write(lambda tx: self._begin(tx, delivery))
        if going is None:
            return None
        try:
            if self._clock() - going.page.state_at >= FRESH:
                raise TryLater("the database is too slow to page by now", delay=0.1)
            receipt = await self._send(going, delivery.again)
        except Exception as error:
            await self._put_off(going, error)
            raise
        for _, incident in going.members:
            for track in incident.tracks:
                self._paged(track.policy.key)
        return self._sent(going, receipt)

    async def _send(self, going: Bundle, again: bool) -> Receipt:
        if len(going.incidents) == 1:
            page, incident = going.members[0]
            return await self._sending.page(incident, page, 1, again, going.template)
        return await self._sending.notice(alerted.several(going.incidents, going.page), going.page, again)

    async def _begin(self, tx: Tx, delivery: Delivery) -> Bundle | None:
        rules, now, asked = self._rules(), self._clock(), payload(delivery)
        found = _of_this(
            await waiting_together(tx, asked["medium"], asked["address"], now, sending=delivery.again), delivery
        )
        incidents = await tx.incidents({page.incident_id for page in found if page.incident_id is not None})
        await tx.lock(f"address:{asked['medium']}:{asked['address']}")
        known = await tx.pages([page.key for page in found])
        held = [known[page.key] for page in found if known[page.key].state is page.state]
        live: list[Page] = []
        over: list[Page] = []
        for page in held:
            incident = incidents.get(page.incident_id or 0)
            needed = incident is not None and incident.state is State.TRIGGERED and incident.epoch == page.epoch
            (live if needed else over).append(page)
        await tx.save_pages([skipped(page, page.state is PageState.SENDING, now) for page in over])
        for page in over:
            if (incident := incidents.get(page.incident_id or 0)) is not None:
                change = paging.page_skipped(incident, page.name, delivery.again, now, page.medium)
                incidents[incident.id] = change.incident
                await tx.save(change)
        if not live:
            return None
        self._sending.must_have(asked["medium"])
        rank = rules.signal.taxonomy.rank
        live.sort(key=lambda page: (rank(incidents[page.incident_id or 0].severity), page.begun_at, page.key))
        begun = {"state": PageState.SENDING, "state_at": now, "provider_id": delivery.effect.key}
        sending = [page.model_copy(update=begun) for page in live]
        members = tuple((page, incidents[page.incident_id or 0]) for page in sending)
        whole = sending[0].model_copy(
            update={"key": delivery.effect.key, "incident_id": None, "epoch": 0, "purpose": "bundle", "begun_at": now}
        )
        going = Bundle(
            whole,
            members,
            template_of(whole, await self._rosters.directory(tx, rules, now), rules),
        )
        await tx.save_pages([*sending, *([whole] if len(going.incidents) > 1 else [])])
        return going

    async def _put_off(self, going: Bundle, error: Exception) -> None:
        now = self._clock()

        async def work(tx: Tx) -> None:
            keys = [page.key for page, _ in going.members]
            known = (await tx.pages([*keys, going.page.key])).values()
            back = dict.fromkeys(keys, PageState.BUNDLED) | {going.page.key: PageState.WAITING}
            await tx.save_pages(
                [
                    one.model_copy(
                        update={"state_at": now, "state": back[one.key], "unsure": one.unsure or may_be(error)}
                    )
                    for one in known
                    if one.state is PageState.SENDING
                ]
            )

        await self._store.write(work)

    def _sent(self, going: Bundle, receipt: Receipt) -> Record:
        now = self._clock()

        async def record(tx: Tx) -> None:
            incidents = await tx.incidents([incident.id for incident in going.incidents])
            keys = [page.key for page, _ in going.members]
            known = await tx.pages([*keys, going.page.key])
            count = len(going.incidents)
            alone = count == 1
            done = []
            for page, _ in going.members:
                settled = answered(known.get(page.key, page), receipt, now)
                if not alone or page.key != keys[0]:
                    name = receipt.provider_id or going.page.key
                    update = {"state": PageState.BUNDLED, "answer": alerted.together(count), "provider_id": name}
                    settled = settled.model_copy(update=update)
                done.append(settled if not alone else settled.model_copy(update={"purpose": "page"}))
            if not alone:
                whole = answered(known.get(going.page.key, going.page), receipt, now)
                done.append(whole.model_copy(update={"provider_id": receipt.provider_id or whole.key}))
            await tx.save_pages(done)
            for page, incident in going.members:
                change = paging.page_sent(
                    incidents[incident.id], page.name, now, page.medium, receipt.provider_id, together=count - 1
                )
                incidents[incident.id] = change.incident
                await tx.save(change)

        return record


def _of_this(waiting: Sequence[Page], delivery: Delivery) -> list[Page]:
    """Those that go out in this message; until its provider has named it they carry its key.

    Once it may have arrived it stays what it was: a medium that recognises it would not take what is new in it, and for that another message is to
    come. What may have arrived in another message is left to that one.
    """
    key = delivery.effect.key
    if delivery.again:
        mine = [
            one for one in waiting if one.provider_id == key or (one.state is PageState.SENDING and not one.provider_id)
        ]
        if mine:
            return mine
    return [one for one in waiting if one.state is PageState.BUNDLED and not (one.unsure and one.provider_id != key)]
