"""What people are told beside pages: that it is over, that somebody has it (pagers), reminders, tests, hand-overs; and alarms, everywhere at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain import alerted, contact, oncall_effects
from bot.domain.contact import SLACK
from bot.domain.effects import Effect, Priority
from bot.domain.incident import Incident, State
from bot.domain.notice import Notice
from bot.domain.page import ARRIVED, Page, PageState
from bot.domain.people import Directory
from bot.domain.ports import Clock, Delivery, Store, Tx
from bot.domain.rules import CurrentRules, Rules
from bot.errors import TryLater
from bot.flow.admission import PAGER, room_at
from bot.flow.delivery import Handler, Record, payload
from bot.flow.roster import Rosters
from bot.flow.sending import Sending, answered

OVER = (State.RESOLVED, State.CLOSED)
CALM = timedelta(minutes=5)  # what comes and goes is told to be over no more often than this
URGENT = ("alarm", "test", "code")  # no limit of a medium holds them back


@dataclass(frozen=True, slots=True)
class Telling:
    """A notice whose intent is written. `with_it`: what waited to be told to the same address, and is told by the same message."""

    notice: Notice
    page: Page
    with_it: tuple[Page, ...] = ()


class Notices:
    """Handlers for `notify`, `stand_down` and `alarm`."""

    def __init__(self, store: Store, sending: Sending, clock: Clock, rules: CurrentRules, rosters: Rosters) -> None:
        self._store = store
        self._sending = sending
        self._clock = clock
        self._rules = rules
        self._rosters = rosters

    def handlers(self) -> Mapping[str, Handler]:
        return {"notify": self.notify, "stand_down": self.stand_down, "alarm": self.alarm}

    async def notify(self, delivery: Delivery) -> Record | None:
        found = await self._store.write(lambda tx: self._begin(tx, delivery))
        if isinstance(found, TryLater):
            raise found
        if found is None:
            return None
        notice = found.notice.model_copy(update={"key": found.page.key})  # for each address another message
        receipt = await self._sending.notice(notice, found.page, delivery.again)
        now = self._clock()

        async def record(tx: Tx) -> None:
            known = await tx.pages([found.page.key, *(one.key for one in found.with_it)])
            done = answered(known.get(found.page.key, found.page), receipt, now)
            told = {
                "state": PageState.SENT,
                "state_at": now,
                "answer": alerted.together(1 + len(found.with_it)),
            }
            await tx.save_pages([done, *(known[one.key].model_copy(update=told) for one in found.with_it)])

        return record

    async def stand_down(self, delivery: Delivery) -> Record | None:
        """Exactly those whose page arrived since they were last told; what is still being sent is waited for."""
        asked = payload(delivery)
        number = int(asked["incident_id"])
        pages = await self._store.read(lambda tx: tx.pages_of(number))
        if any(one.state is PageState.SENDING and one.purpose in ("page", "bundle", "summon") for one in pages):
            raise TryLater("a page is being sent just now", delay=1.0)

        async def record(tx: Tx) -> None:
            incident, now, rules = await tx.incident(number), self._clock(), self._rules()
            over = asked["what"] == "recovery"
            if incident is None or incident.epoch != asked["epoch"] or (incident.state in OVER) != over:
                return
            if not over and incident.state is State.TRIGGERED:
                return
            directory = await self._rosters.directory(tx, rules, now)
            alerted_by = self._alerted(await tx.pages_of(number), directory, over=over)
            await tx.ask(self._told(incident, page, now, over=over) for page in alerted_by)

        return record

    def _alerted(self, pages: tuple[Page, ...], directory: Directory, *, over: bool) -> list[Page]:
        """Per address the newest page that arrived after it was last told that it was over."""
        newest: dict[tuple[str, str, str], Page] = {}
        for page in pages:
            where = (page.medium, page.address, page.target if not page.address else "")
            if page.purpose == "recovery" and page.state in ARRIVED:
                newest.pop(where, None)
            elif page.purpose in ("page", "bundle", "summon") and _arrived(page):
                newest[where] = page
        if not over:
            return [page for page in newest.values() if self._sending.wants_acknowledgements(page.medium)]
        return [page for page in newest.values() if _wants_recovery(page, directory)]

    def _told(self, incident: Incident, page: Page, now: datetime, *, over: bool) -> Effect:
        links, key = self._sending.links, f"{incident.id}:{incident.epoch}"
        if over:
            notice = alerted.recovered([incident], f"recovery:{key}", page.target, page.name, now, links)
        else:
            notice = alerted.taken(incident, f"acknowledged:{key}", page.target, page.name, now, links)
        return oncall_effects.notify(notice, page.target, page.medium, page.address, now, Priority.CARD)

    async def alarm(self, delivery: Delivery) -> Record | None:
        """The last resort is asked for first, each target as a row of its own: when Slack is down they hear of it all the same."""
        asked, key = payload(delivery), delivery.effect.key
        if asked.get("wide", True) and self._rules().last_resort:
            await self._store.write(lambda tx: self._widely(tx, key, asked["text"], asked["incident_id"]))
        await self._sending.alarm(asked["text"], key, delivery.again)
        return None

    async def _widely(self, tx: Tx, key: str, text: str, incident_id: int | None) -> None:
        rules, now = self._rules(), self._clock()
        directory = await self._rosters.directory(tx, rules, now)
        notice = alerted.alarm(key, text, incident_id, now)
        targets = dict.fromkeys(one for target in rules.last_resort for one in directory.resolve(target, now))
        await tx.ask(
            oncall_effects.notify(notice, target, medium, address, now, Priority.PAGE)
            for target in targets
            for medium, address in _every_way(target, directory)
        )

    async def _begin(self, tx: Tx, delivery: Delivery) -> Telling | TryLater | None:
        rules, now, asked = self._rules(), self._clock(), payload(delivery)
        notice = Notice.model_validate(asked["notice"])
        directory = await self._rosters.directory(tx, rules, now)
        known = (await tx.pages([delivery.effect.key])).get(delivery.effect.key)
        if known is not None and known.state not in (PageState.SENDING, PageState.WAITING):
            return None
        page = Page(
            key=delivery.effect.key,
            incident_id=notice.incident_id,
            purpose=notice.purpose,
            target=asked["target"],
            name=directory.name_of(asked["target"]),
            medium=asked["medium"],
            address=asked["address"],
            severity=notice.severity,
            state=PageState.SENDING,
            begun_at=known.begun_at if known else now,
            state_at=now,
        )
        with_it: tuple[Page, ...] = ()
        if notice.purpose == "recovery":
            found = await self._over(tx, notice, page, rules, now, delivery.again)
            if not isinstance(found, Telling):
                return found
            notice, with_it = found.notice, found.with_it
        elif notice.purpose == "acknowledged" and not await _still_taken(tx, notice):
            await tx.save_pages([page.model_copy(update={"state": PageState.SKIPPED})])
            return None
        self._sending.must_have(page.medium)
        at = None if notice.purpose in URGENT else await room_at(tx, page, rules, now)
        if at is not None:
            await tx.save_pages([page.model_copy(update={"state": PageState.WAITING})])
            return TryLater(f"{page.medium} takes no more in this minute", delay=max(0.05, (at - now).total_seconds()))
        await tx.save_pages([page])
        return Telling(notice, page, with_it)

    async def _over(
        self, tx: Tx, notice: Notice, page: Page, rules: Rules, now: datetime, again: bool
    ) -> Telling | TryLater | None:
        """That something is over: not when it has begun again, not again and again, and together with what else is over for the same address (but
        `again`, when it may have arrived by itself: a medium that recognises it would not take what is new in it)."""
        known = await tx.pages_to(page.medium, page.address, now - timedelta(days=1))
        others = [
            one for one in known if one.purpose == "recovery" and one.key != page.key and one.target == page.target
        ]
        waiting = [one for one in others if one.state is PageState.WAITING and one.incident_id != notice.incident_id]
        incidents = await tx.incidents({one.incident_id or 0 for one in (page, *waiting)})
        mine = incidents.get(notice.incident_id or 0)
        if mine is None or mine.state not in OVER or notice.key != f"recovery:{mine.id}:{mine.epoch}":
            await tx.save_pages([page.model_copy(update={"state": PageState.SKIPPED})])
            return None
        medium = rules.media.get(page.medium)
        if self._sending.kind(page.medium) == PAGER:
            return Telling(notice, page)
        told = [one for one in others if one.state in (*ARRIVED, PageState.SENDING)]
        ends = [one.state_at + CALM for one in told if one.incident_id == notice.incident_id]
        ends += [one.state_at + medium.bundle for one in told if medium is not None and medium.bundle]
        if ends and max(ends) > now:
            await tx.save_pages([page.model_copy(update={"state": PageState.WAITING})])
            return TryLater("another recovery has just been told there", delay=(max(ends) - now).total_seconds())
        with_it = tuple(one for one in waiting if _is_over(one, incidents) and not again)
        if with_it:
            every = [mine, *(incidents[one.incident_id or 0] for one in with_it)]
            notice = alerted.recovered(every, notice.key, page.target, page.name, now, self._sending.links)
        return Telling(notice, page, with_it)


def _is_over(page: Page, incidents: Mapping[int, Incident]) -> bool:
    incident = incidents.get(page.incident_id or 0)
    return (
        incident is not None
        and incident.state in OVER
        and page.key.startswith(f"notify:recovery:{incident.id}:{incident.epoch}:")
    )


def _arrived(page: Page) -> bool:
    """Who may have heard of it (the answer of the medium was lost), or did in one message with others, hears of its end as well."""
    said = page.state in (PageState.SKIPPED, PageState.BUNDLED) and bool(page.answer)
    return page.state in ARRIVED or said or page.unsure


async def _still_taken(tx: Tx, notice: Notice) -> bool:
    incident = await tx.incident(notice.incident_id or 0)
    return incident is not None and incident.is_open and incident.state is not State.TRIGGERED


def _wants_recovery(page: Page, directory: Directory) -> bool:
    person = directory.people.get(page.target.removeprefix("person:")) if page.target.startswith("person:") else None
    return person is None or person.recovery


def _every_way(target: str, directory: Directory) -> list[tuple[str, str]]:
    """(medium, address) of all that reaches a target: an alarm goes out by all of it."""
    kind, _, name = target.partition(":")
    if kind == "person":
        methods, _ = contact.usable(directory.people[name].ways, (), directory.media)
        return list(dict.fromkeys((one.medium, one.address) for one in methods))
    return [(name if kind == "medium" else SLACK, "")]
