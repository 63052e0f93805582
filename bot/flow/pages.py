"""Pages go out: by which medium, unless somebody has acknowledged meanwhile; and what happens when one does not (flow/falling_back).

The intent is written before the act, with the incident locked: who acknowledges after that waits for it, and who acknowledged before stops it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain import contact, oncall_effects, paging
from bot.domain.contact import SLACK
from bot.domain.effects import Effect
from bot.domain.incident import Change, Incident, warned
from bot.domain.notice import Receipt
from bot.domain.page import ARRIVED, Page, PageState
from bot.domain.people import Directory
from bot.domain.ports import Clock, Delivery, Store, Tx
from bot.domain.rules import CurrentRules
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.admission import held_until, room_at
from bot.flow.delivery import Handler, Record, existing, payload
from bot.flow.falling_back import fallen_back, gone, not_needed, was_answered
from bot.flow.roster import Rosters
from bot.flow.sending import Sending, answered, template_of

# An intent that is older is written anew: whoever acknowledged waits for it no longer than two seconds (Incidents._until_nothing_is_sent).
FRESH = timedelta(seconds=1.5)
MOST_PUT_OFF = 3
MOST_ALERTS = 3
SETTLED = (*ARRIVED, PageState.SKIPPED, PageState.FAILED, PageState.BUNDLED)


@dataclass(frozen=True, slots=True)
class Going:
    """A page whose intent is written. `firing`: what the alerts say, for media that show nothing else of them."""

    page: Page
    incident: Incident
    template: str
    firing: tuple[str, ...] = ()


class Pages:
    """Handlers for `page`, `summon` and `fall_back`. `paged` is told the policy of every page that has left."""

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
        return {"page": self.page, "summon": self.summon, "fall_back": self.fall_back}

    async def page(self, delivery: Delivery) -> Record | None:
        """A page that nobody needs any more is not sent: paging stops at the acknowledgement, also for what still waits."""
        going = await self._admitted(delivery)
        if going is None:
            return None
        asked = payload(delivery)
        track = going.incident.tracks[asked["track"]]
        level = (asked["step"] - 1) % len(track.policy.levels) + 1
        try:
            receipt = await self._sending.page(
                going.incident, going.page, level, delivery.again, going.template, going.firing
            )
        except Exception as error:
            await self._put_off(going.page, error)
            raise
        self._paged(track.policy.key)
        return self._sent(going.page, receipt)

    async def summon(self, delivery: Delivery) -> Record | None:
        """Somebody is asked for by name. Whether an acknowledgement came in between does not matter: they were asked for all the same."""
        if "medium" not in payload(delivery):
            return lambda tx: self._taken_apart(tx, delivery.effect)
        going = await self._admitted(delivery)
        if going is None:
            return None
        why = str(payload(delivery)["why"])
        try:
            receipt = await self._sending.summon(going.incident, going.page, why, delivery.again, going.template)
        except Exception as error:
            await self._put_off(going.page, error)
            raise
        return self._sent(going.page, receipt)

    async def fall_back(self, delivery: Delivery) -> Record | None:
        """No outside act: has the page gone out by now? If not, the same person is reached by the next method."""
        asked = payload(delivery)
        late = delivery.effect.model_copy(
            update={"kind": asked["kind"], "key": asked["page"], "payload": asked["asked"]}
        )

        async def record(tx: Tx) -> None:
            now, rules = self._clock(), self._rules()
            incident = await existing(tx, asked["incident_id"])
            page = (await tx.pages([late.key])).get(late.key)
            if gone(page) or not_needed(incident, late) or await was_answered(tx, late):
                return
            put_off = int(asked.get("put_off", 0))
            if page is None and put_off < MOST_PUT_OFF and await tx.undelivered([late.key]):
                # Not the medium is slow, but the queue is long: to page others as well would make it longer.
                await tx.ask([oncall_effects.fall_back(late, now + paging.LATEST, put_off + 1)])
                return
            directory = await self._rosters.directory(tx, rules, now)
            name, medium = directory.name_of(late.payload["target"]), str(late.payload.get("medium") or SLACK)
            why = f" ({page.answer})" if page is not None and page.answer else ""
            said = f"The page of {name}{paging.by_what(medium)} has not gone out in time{why}"
            if not await fallen_back(tx, late, directory, said, now, late=True):
                await tx.save(warned(await existing(tx, incident.id), f"{said}. It is tried again", now))

        return record

    async def _taken_apart(self, tx: Tx, asked: Effect) -> None:
        """Whom a summon means now, each by their own methods."""
        rules, now = self._rules(), self._clock()
        incident = await existing(tx, asked.payload["incident_id"])
        directory = await self._rosters.directory(tx, rules, now)
        parts: list[Effect] = []
        change, nobody = Change(incident), "nobody is behind that name now"
        for target in directory.resolve(str(asked.payload["target"]), now):
            plan = _plan_of(target, incident, directory)
            parts += [oncall_effects.summon_by(asked, target, step, now) for step in plan.steps]
            if plan.nobody:
                nobody = f"{directory.name_of(target)} {plan.nobody}"
                text = f"{directory.name_of(target)} cannot be paged: {plan.nobody}"
                change = change.then(lambda current, said=text: warned(current, said, now))  # type: ignore[misc]
        if not parts:
            raise GaveUp(f"{asked.payload['target']} cannot be paged: {nobody}")
        await tx.save(change.ask(*parts, *(oncall_effects.fall_back(one, one.due + paging.LATEST) for one in parts)))

    async def _admitted(self, delivery: Delivery) -> Going | None:
        """The page with its intent written, to be sent at once; None: it is not sent now. TryLater when its medium has no room."""
        for _ in range(3):
            found = await self._store.write(lambda tx: self._begin(tx, delivery))
            if isinstance(found, TryLater):
                raise found
            if found is None or self._clock() - found.page.state_at < FRESH:
                return found
        raise TryLater("the database is too slow to page by now", delay=0.1)

    async def _begin(self, tx: Tx, delivery: Delivery) -> Going | TryLater | None:
        rules, now, asked = self._rules(), self._clock(), delivery.effect
        incident = await existing(tx, asked.payload["incident_id"])
        directory = await self._rosters.directory(tx, rules, now)
        known = (await tx.pages([asked.key])).get(asked.key)
        wanted_again = asked.payload.get("loud") and known is not None and known.state is PageState.SKIPPED
        if known is not None and known.state in SETTLED and not wanted_again:
            return None
        page = _page_of(asked, known, incident, directory, now)
        why_not = _not_now(asked, page, incident, directory)
        if asked.kind == "summon" and await was_answered(tx, asked):
            why_not = f"{page.name} has answered"
        if why_not is not None:
            await tx.save_pages([skipped(page, delivery.again, now)])
            late = known is not None or delivery.again or not asked.payload.get("after")
            if late:  # what was meant for a time that has not come is no news
                await tx.save(paging.page_skipped(incident, page.name, delivery.again, now, page.medium, why_not))
            return None
        self._sending.must_have(page.medium)
        if asked.kind == "page" and not delivery.again and not asked.payload.get("loud"):
            until = await held_until(tx, page, rules, now)
            if until is not None:
                await self._hold(tx, asked, page, until, now)
                return None
        at = await room_at(tx, page, rules, now)
        state = PageState.WAITING if at else PageState.SENDING
        answer = f"{page.medium} takes no more in this minute" if at else ""
        page = page.model_copy(update={"state": state, "answer": answer})
        await tx.save_pages([page])
        if at is not None:
            return TryLater(answer, delay=max(0.05, (at - now).total_seconds()))
        known_alerts = await tx.alerts_of(incident.id, MOST_ALERTS) if page.medium != SLACK else ()
        firing = tuple(one.alert.summary for one in known_alerts if one.alert.firing)
        return Going(page, incident, template_of(page, directory, rules), firing)

    async def _hold(self, tx: Tx, asked: Effect, page: Page, until: datetime, now: datetime) -> None:
        held = {
            "state": PageState.BUNDLED,
            "purpose": "bundle",
            "answer": "",
        }  # an answer would say that it has gone out
        await tx.save_pages([page.model_copy(update=held)])
        change = paging.page_held(await existing(tx, page.incident_id or 0), page.name, page.medium, until, now)
        bundle = oncall_effects.bundle(page.medium, page.address, until)
        await tx.save(change.ask(bundle, oncall_effects.fall_back(asked, until + paging.LATEST)))

    async def _put_off(self, page: Page, error: Exception) -> None:
        """It is not being sent any more: whoever acknowledges need not wait for it."""
        now = self._clock()

        async def work(tx: Tx) -> None:
            known = (await tx.pages([page.key])).get(page.key)
            if known is not None and known.state is PageState.SENDING:
                update = {"state": PageState.WAITING, "state_at": now, "answer": str(error)[:300]}
                await tx.save_pages([known.model_copy(update={**update, "unsure": known.unsure or may_be(error)})])

        await self._store.write(work)

    def _sent(self, page: Page, receipt: Receipt) -> Record:
        now = self._clock()

        async def record(tx: Tx) -> None:
            incident = await existing(tx, page.incident_id or 0)
            known = (await tx.pages([page.key])).get(page.key, page)
            await tx.save_pages([answered(known, receipt, now)])
            await tx.save(paging.page_sent(incident, page.name, now, page.medium, receipt.provider_id))

        return record


def may_be(error: Exception) -> bool:
    """Whether a message may have arrived although sending it failed."""
    return error.uncertain if isinstance(error, TryLater) else not isinstance(error, BadInput | GaveUp)


def skipped(page: Page, unsure: bool, now: datetime) -> Page:
    answer = "it may have arrived all the same" if unsure else ""
    return page.model_copy(update={"state": PageState.SKIPPED, "state_at": now, "answer": answer})


def _page_of(asked: Effect, known: Page | None, incident: Incident, directory: Directory, now: datetime) -> Page:
    """The page as it begins. What an earlier version asked for says no medium: that was Slack."""
    if known is not None:
        return known.model_copy(update={"severity": incident.severity, "begun_at": now, "state_at": now})
    target, medium = str(asked.payload["target"]), str(asked.payload.get("medium") or SLACK)
    person = directory.people.get(target.removeprefix("person:")) if target.startswith("person:") else None
    address = str(asked.payload.get("address") or (person.slack if person and medium == SLACK else ""))
    return Page(
        key=asked.key,
        incident_id=incident.id,
        epoch=asked.payload.get("epoch", incident.epoch),
        purpose=asked.kind,
        target=target,
        name=directory.name_of(target),
        medium=medium,
        address=address,
        severity=incident.severity,
        state=PageState.SENDING,
        begun_at=now,
        state_at=now,
    )


def _not_now(asked: Effect, page: Page, incident: Incident, directory: Directory) -> str | None:
    """Why a page is not needed any more, in words (empty: what the incident is says it); None: it is."""
    if not_needed(incident, asked):
        return ""
    if (
        asked.kind == "summon"
        or asked.payload.get("loud")
        or page.medium == SLACK
        or page.medium not in directory.media
    ):
        return None
    fits = contact.fits(page.medium, incident.media, directory.media)
    return None if fits else f"{incident.ref} is {incident.severity} now, which does not use {page.medium}"


def _plan_of(target: str, incident: Incident, directory: Directory) -> contact.Plan:
    """How somebody who is asked for by name is reached: by their own rules, by all media."""
    if target.startswith("person:"):
        person = directory.people[target.removeprefix("person:")]
        rules = person.notify.get(incident.severity, person.notify.get("", ()))
        return contact.plan(person.ways, rules, (), directory.media)
    medium = target.partition(":")[2] if target.startswith("medium:") else SLACK
    return contact.Plan(steps=(contact.Step(method=contact.Method(key="", medium=medium, address="")),))
