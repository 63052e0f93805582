"""The store's contract, seventh part: who was paged by what, and what people change about on-call by themselves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.domain import lifecycle
from bot.domain.alert import Alert
from bot.domain.contact import Method, Notify
from bot.domain.effects import Effect, Priority
from bot.domain.incident import Change, State
from bot.domain.lifecycle import Opening
from bot.domain.page import Page, PageState
from bot.domain.ports import Settled, Store, Tx
from bot.domain.quiet import OwnHours
from bot.domain.roster import Feed, OwnMethod, Preferences, Roster, Swap
from bot.domain.routing import Route
from bot.domain.schedule import Override, Shift
from bot.domain.windows import Window
from bot.store import open_store, upgrade
from bot.store.schema import _config
from bot.store.tables import metadata
from bot.store.types import LONGEST_KEY
from tests.support.stores import KINDS, SQL_KINDS, make_url, new_postgres, opened

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONG = "é" * LONGEST_KEY  # longer than what an index has room for, in bytes
NUL = "nul \x00, ‘quotes’"
ALERT = Alert("prometheus", "disk", True, {"alertname": "DiskFull"}, {}, NOW)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as fresh:
        yield fresh


# ------------------------------------------------------------------------------------------------ pages


def page(key: str, begun_at: datetime = NOW, **more: Any) -> Page:
    given = {
        "incident_id": 1,
        "target": "person:ada",
        "name": "Ada",
        "medium": "sms",
        "address": "+491",
        "state": "sent",
    }
    return Page.model_validate({**given, "key": key, "begun_at": begun_at, "state_at": begun_at, **more})


async def sent(store: Store, *pages: Page) -> None:
    await store.write(lambda tx: tx.save_pages(pages))


def keys(found: tuple[Page, ...]) -> list[str]:
    return [one.key for one in found]


WHOLE = page(
    "page:1",
    epoch=3,
    purpose="recovery",
    target=NUL,
    name=NUL,
    severity="critical",
    state="failed",
    state_at=NOW + SECOND,
    provider_id="SM1",
    answer=NUL,
    answered_at=NOW + MINUTE,
)
PAGES = (
    page("page:0", incident_id=None, address="", state="sending"),
    WHOLE,
    page(LONG + "1", medium=LONG, address=LONG, provider_id=LONG),
    page(NUL, medium=NUL, address=NUL, provider_id=NUL),
)


async def test_a_page_comes_back_as_it_was_until_it_is_replaced(store: Store) -> None:
    await sent(store, *PAGES)
    asked = [one.key for one in PAGES]
    assert await store.read(lambda tx: tx.pages([*asked, LONG + "2", "page:2"])) == dict(zip(asked, PAGES, strict=True))
    assert await store.read(lambda tx: tx.pages([])) == {}
    arrived = [one.model_copy(update={"state": PageState.DELIVERED, "provider_id": f"new {one.key}"}) for one in PAGES]
    await sent(store, *arrived)
    assert await store.write(lambda tx: tx.pages(asked)) == dict(zip(asked, arrived, strict=True))
    for old, new in zip(PAGES, arrived, strict=True):
        assert await store.read(lambda tx, one=new: tx.page_named(one.medium, one.provider_id)) == new
        assert await store.read(lambda tx, one=old: tx.page_named(one.medium, one.provider_id)) is None


async def test_of_one_page_that_is_saved_twice_at_once_the_last_counts(store: Store) -> None:
    await sent(store, page("a", state="sending"), page("b"), page("a"))
    await sent(store)
    found = await store.read(lambda tx: tx.pages(["a", "b"]))
    assert {key: one.state for key, one in found.items()} == {"a": "sent", "b": "sent"}


async def test_more_pages_than_fit_into_one_statement_are_found(store: Store) -> None:
    many = [page(f"page:{number}") for number in range(1100)]
    await sent(store, *many)
    assert len(await store.read(lambda tx: tx.pages([one.key for one in many]))) == 1100
    assert len(await store.read(lambda tx: tx.pages_of(1))) == 500
    assert len(await store.read(lambda tx: tx.pages_of(1, limit=2000))) == 1100


async def test_the_newest_pages_of_an_incident_come_the_oldest_first(store: Store) -> None:
    await sent(store, page("late", NOW + MINUTE), page("b"), page("B"), page("a"), page("early", NOW - MINUTE))
    await sent(store, page("other", incident_id=2), page("none", incident_id=None))
    assert keys(await store.read(lambda tx: tx.pages_of(1))) == ["early", "B", "a", "b", "late"]
    assert keys(await store.read(lambda tx: tx.pages_of(1, limit=3))) == ["a", "b", "late"]
    assert await store.read(lambda tx: tx.pages_of(3)) == ()


async def test_pages_to_one_address_by_one_medium_come_the_newest_first(store: Store) -> None:
    await sent(store, page("before", NOW - SECOND), page("a"), page("b"), page("late", NOW + MINUTE, incident_id=None))
    await sent(store, page("mail", medium="email"), page("other", address="+492"), page("own", address=""))

    async def to(medium: str, address: str, **asked: Any) -> list[str]:
        return keys(await store.read(lambda tx: tx.pages_to(medium, address, NOW, **asked)))

    assert await to("sms", "+491") == ["late", "b", "a"]
    assert await to("sms", "+491", limit=2) == ["late", "b"]
    assert await to("email", "+491") == ["mail"]
    assert await to("sms", "") == ["own"]
    assert await to("sms", "+49") == await to("", "+491") == []


async def test_of_the_pages_to_one_address_those_that_have_gone_out_can_be_asked_for(store: Store) -> None:
    states = ("waiting", "sending", "sent", "delivered", "bundled", "skipped", "failed")
    await sent(store, *(page(state, NOW + SECOND * number, state=state) for number, state in enumerate(states)))
    found = await store.read(lambda tx: tx.pages_to("sms", "+491", NOW, 2, going=True))
    assert keys(found) == ["delivered", "sent"]
    found = await store.read(lambda tx: tx.pages_to("sms", "+491", NOW, going=True))
    assert keys(found) == ["delivered", "sent", "sending"]


async def test_addresses_of_any_length_are_told_apart(store: Store) -> None:
    await sent(
        store,
        *(
            page(f"{number}", medium=LONG, address=f"{LONG}{number}", provider_id=f"{LONG}{number}")
            for number in range(3)
        ),
    )
    for number in range(3):
        asked = f"{LONG}{number}"
        assert keys(await store.read(lambda tx, asked=asked: tx.pages_to(LONG, asked, NOW))) == [str(number)]
        named = await store.read(lambda tx, asked=asked: tx.page_named(LONG, asked))
        assert named is not None
        assert named.key == str(number)
    assert await store.read(lambda tx: tx.pages_to(LONG, LONG, NOW)) == ()
    assert await store.read(lambda tx: tx.pages_by(LONG, NOW)) == 3


async def test_pages_by_a_medium_are_counted_when_they_went_out_or_are_going(store: Store) -> None:
    await sent(store, *(page(state, state=state) for state in PageState))
    await sent(store, page("before", NOW - SECOND), page("mail", medium="email"), page("anybody", address=""))
    counted = {state for state in PageState if state in ("sending", "sent", "delivered")}
    assert await store.read(lambda tx: tx.pages_by("sms", NOW)) == len(counted) + 1
    assert await store.read(lambda tx: tx.pages_by("sms", NOW - SECOND)) == len(counted) + 2
    assert await store.read(lambda tx: tx.pages_by("sms", NOW + SECOND)) == 0
    assert await store.read(lambda tx: tx.pages_by("email", NOW)) == 1
    assert await store.read(lambda tx: tx.pages_by("fax", NOW)) == 0


async def test_the_newest_page_with_a_providers_id_is_found(store: Store) -> None:
    await sent(store, page("old", NOW - HOUR, provider_id="SM1"), page("new", provider_id="SM1"), page("none"))
    await sent(store, page("mail", NOW + HOUR, medium="email", provider_id="SM1"))

    async def named(medium: str, provider_id: str) -> str | None:
        found = await store.read(lambda tx: tx.page_named(medium, provider_id))
        return found.key if found else None

    assert await named("sms", "SM1") == "new"
    assert await named("email", "SM1") == "mail"
    assert await named("sms", "SM") is None
    assert await named("sms", "") is None, "no id is not an id"


async def test_pages_of_a_time_come_the_oldest_first(store: Store) -> None:
    await sent(
        store, page("end", NOW + HOUR), page("b"), page("a"), page("before", NOW - SECOND), page("last", NOW + MINUTE)
    )

    async def between(**asked: Any) -> list[str]:
        return keys(await store.read(lambda tx: tx.pages_between(NOW, NOW + HOUR, **asked)))

    assert await between() == ["a", "b", "last"]
    assert await between(limit=2) == ["a", "b"]


# ------------------------------------------------------------------------------------------------ the outbox, as the auditor sees it


async def test_what_the_outbox_has_not_delivered_is_known(store: Store) -> None:
    names = ["done", "dead", "later", "leased", "pending", LONG + "1", NUL]
    late = {"pending", LONG + "1", NUL}
    await store.write(
        lambda tx: tx.ask(
            Effect(kind="say", key=key, lane=key, priority=Priority.CARD, due=NOW + HOUR if key in late else NOW)
            for key in names
        )
    )
    outcomes = {"done": Settled("done"), "dead": Settled("dead", error="no"), "later": Settled("later", due=NOW + HOUR)}
    for delivery in await store.claim("me", NOW, NOW + HOUR, 10):
        if outcome := outcomes.get(delivery.effect.key):
            assert await store.write(lambda tx, one=delivery, outcome=outcome: tx.settle(one, outcome, NOW))
    asked = [*names, "never", LONG + "2", *(f"key {number}" for number in range(1100))]
    assert await store.read(lambda tx: tx.undelivered(asked)) == {"later", "leased", "pending", LONG + "1", NUL}
    assert await store.write(lambda tx: tx.undelivered(["leased", "done"])) == {"leased"}
    assert await store.read(lambda tx: tx.undelivered([])) == set()


# ------------------------------------------------------------------------------------------------ overrides and swaps


def override(number: int, starts: datetime = NOW - HOUR, ends: datetime = NOW + HOUR, **more: Any) -> Override:
    given = {"schedule": "shop", "person": "ada", "made_at": NOW - DAY}
    return Override.model_validate({**given, "number": number, "starts": starts, "ends": ends, **more})


def swap(number: int, ends: datetime = NOW + HOUR, **more: Any) -> Swap:
    given = {"schedule": "shop", "asker": "ada", "other": "bob", "starts": NOW - HOUR, "asked_at": NOW - DAY}
    return Swap.model_validate({**given, "number": number, "ends": ends, **more})


async def changed(store: Store, *saved: Override | Swap | OwnMethod | Preferences | Feed) -> None:
    for one in saved:
        await store.write(lambda tx, one=one: _change(tx, one))


async def _change(tx: Tx, saved: Override | Swap | OwnMethod | Preferences | Feed) -> None:
    match saved:
        case Override():
            await tx.save_override(saved)
        case Swap():
            await tx.save_swap(saved)
        case OwnMethod():
            await tx.save_method(saved)
        case Preferences():
            await tx.save_preferences(saved)
        case Feed():
            await tx.save_feed(saved)


async def test_an_override_comes_back_as_it_was_until_it_is_replaced(store: Store) -> None:
    berlin = datetime(2026, 3, 2, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    made = override(7, NOW, berlin, schedule=LONG, person="", instead_of="chen", by=NUL, why=NUL)
    await changed(store, made)
    assert await store.read(lambda tx: tx.override(7)) == made
    assert await store.read(lambda tx: tx.override(8)) is None
    ended = made.model_copy(update={"ended_at": NOW + MINUTE})
    await changed(store, ended)
    assert await store.write(lambda tx: tx.override(7)) == ended
    assert await store.read(lambda tx: tx.overrides(NOW, NOW + MINUTE, LONG)) == (ended,)


async def test_overrides_that_touch_a_time_come_by_number_also_ended_ones(store: Store) -> None:
    await changed(
        store,
        override(6, NOW - HOUR, NOW),
        override(5, NOW + HOUR, NOW + DAY),
        override(4, NOW - DAY, NOW + DAY, schedule=LONG + "1"),
        override(3, NOW - HOUR, NOW + SECOND),
        override(2, NOW + HOUR - SECOND, NOW + DAY),
        override(1, ended_at=NOW - MINUTE),
    )

    async def touching(schedule: str = "") -> list[int]:
        return [one.number for one in await store.read(lambda tx: tx.overrides(NOW, NOW + HOUR, schedule))]

    assert await touching() == [1, 2, 3, 4], "6 ends when the time begins, 5 begins when it ends"
    assert await touching("shop") == [1, 2, 3]
    assert await touching(LONG + "1") == [4]
    assert await touching(LONG + "2") == []


async def test_a_swap_comes_back_as_it_was_until_it_is_replaced(store: Store) -> None:
    asked = swap(7, schedule=LONG, why=NUL)
    await changed(store, asked)
    assert await store.read(lambda tx: tx.swap(7)) == asked
    assert await store.read(lambda tx: tx.swap(8)) is None
    accepted = asked.model_copy(update={"state": "accepted", "answered_at": NOW, "override": 3})
    await changed(store, accepted)
    assert await store.write(lambda tx: tx.swap(7)) == accepted


async def test_swaps_that_wait_for_an_answer_come_by_number(store: Store) -> None:
    answered = [
        swap(number, state=state) for number, state in enumerate(("accepted", "declined", "withdrawn", "expired"), 10)
    ]
    await changed(store, swap(3), *answered, swap(1, NOW), swap(2, NOW + SECOND), swap(4, NOW - SECOND))
    assert [one.number for one in await store.read(lambda tx: tx.swaps(NOW))] == [2, 3], "one that ends now is over"
    assert [one.number for one in await store.read(lambda tx: tx.swaps(NOW - DAY))] == [1, 2, 3, 4]


# ------------------------------------------------------------------------------------------------ methods, preferences, calendars


def method(person: str, key: str, added_at: datetime = NOW, **more: Any) -> OwnMethod:
    own = Method(key=key, medium="sms", address="+491", origin="self", verified=False)
    return OwnMethod.model_validate({"person": person, "method": own, "added_at": added_at, **more})


async def test_methods_come_in_the_order_in_which_they_were_entered_without_removed_ones(store: Store) -> None:
    first, second, third = method("ada", "z"), method("ada", "a", NOW + MINUTE), method("ada", "b", NOW + MINUTE)
    await changed(store, third, second, first, method("bob", "z"), method("ada", "gone", removed_at=NOW))
    assert await store.read(lambda tx: tx.methods_of("ada")) == (first, second, third)
    assert await store.write(lambda tx: tx.methods_of("bob")) == (method("bob", "z"),)
    assert await store.read(lambda tx: tx.methods_of("chen")) == ()
    verified = second.model_copy(update={"method": second.method.model_copy(update={"verified": True})})
    await changed(store, verified, first.model_copy(update={"removed_at": NOW}))
    assert await store.write(lambda tx: tx.methods_of("ada")) == (verified, third)
    await changed(store, first)
    assert await store.read(lambda tx: tx.methods_of("ada")) == (first, verified, third), "entered again"


async def test_people_and_keys_of_any_length_have_methods(store: Store) -> None:
    mine = (method(LONG + "1", LONG + "1"), method(LONG + "1", LONG + "2"))
    others = method(LONG + "2", LONG + "1", code_hash="x" * 64, code_until=NOW, wrong_codes=2)
    odd = method(NUL, NUL)
    await changed(store, *mine, others, odd)
    assert await store.write(lambda tx: tx.methods_of(LONG + "1")) == mine
    assert await store.write(lambda tx: tx.methods_of(LONG + "2")) == (others,)
    assert await store.write(lambda tx: tx.methods_of(NUL)) == (odd,)
    found = await store.read(lambda tx: tx.roster(NOW))
    assert found.methods == {LONG + "1": mine, LONG + "2": (others,), NUL: (odd,)}


NIGHTS = Window.model_validate({"between": ["18:00", "08:05"], "days": ["mon", "fri"], "zone": "Europe/Berlin"})
ONCE = Window.model_validate({"from": "2026-03-01T18:00:00+01:00", "until": "2026-03-02T00:00:00Z"})
CHOSEN = (
    Preferences(person="ada"),
    Preferences(
        person=LONG,
        notify={"critical": (Notify(method="slack"), Notify(method=NUL, after=3 * MINUTE)), "": ()},
        quiet=OwnHours(windows=(NIGHTS, ONCE), severities=frozenset({"info", "warning"})),
        zone="Asia/Kolkata",
        recovery=False,
    ),
)
READ = (
    Feed(name="empty"),
    Feed(
        name=LONG,
        shifts=(
            Shift(person="ada", starts=NOW, ends=NOW + DAY, by=NUL),
            Shift(person="bob", starts=NOW + DAY, ends=NOW + 2 * DAY),
        ),
        read_at=NOW,
        error=NUL,
        failed_at=NOW + HOUR,
    ),
)


async def test_preferences_and_calendars_come_back_as_they_were_until_they_are_replaced(store: Store) -> None:
    await changed(store, *CHOSEN, *READ)
    found = await store.read(lambda tx: tx.roster(NOW))
    assert found.preferences == {one.person: one for one in CHOSEN}
    assert found.feeds == {one.name: one for one in READ}
    assert found.preferences[LONG].quiet is not None
    assert found.preferences[LONG].quiet.windows[0].between == (time(18), time(8, 5))
    await changed(store, Preferences(person=LONG, recovery=True), Feed(name=LONG, error="away", failed_at=NOW))
    found = await store.read(lambda tx: tx.roster(NOW))
    assert found.preferences == {"ada": CHOSEN[0], LONG: Preferences(person=LONG, recovery=True)}
    assert found.feeds == {"empty": READ[0], LONG: Feed(name=LONG, error="away", failed_at=NOW)}


# ------------------------------------------------------------------------------------------------ the roster


async def test_the_roster_has_what_counts_now(store: Store) -> None:
    assert await store.read(lambda tx: tx.roster(NOW)) == Roster()
    future, now, later = override(9, NOW + DAY, NOW + 2 * DAY), override(3), override(2, ends=NOW + SECOND)
    await changed(store, future, now, later, override(5, ends=NOW), override(4, ended_at=NOW - HOUR), swap(1))
    await changed(store, method("bob", "a"), method("ada", "gone", removed_at=NOW), *CHOSEN, *READ)
    assert await store.read(lambda tx: tx.roster(NOW)) == Roster(
        version=6 + 2 + len(CHOSEN) + len(READ),
        overrides=(later, now, future),
        methods={"bob": (method("bob", "a"),)},
        preferences={one.person: one for one in CHOSEN},
        feeds={one.name: one for one in READ},
    )


SAVED = (override(1), swap(1), method("ada", "sms"), Preferences(person="ada"), Feed(name="shop"))


async def test_every_save_makes_a_newer_version_of_the_roster(store: Store) -> None:
    for version, one in enumerate((*SAVED, *SAVED), 1):
        await changed(store, one)
        assert await store.read(lambda tx: tx.counter("roster")) == version, type(one)
        assert (await store.read(lambda tx: tx.roster(NOW))).version == version
    await sent(store, page("a"))
    await store.write(lambda tx: tx.methods_of("ada"))
    assert await store.read(lambda tx: tx.counter("roster")) == 10, "pages are no part of it, and looking is no change"


async def test_a_work_sees_what_it_has_changed_and_a_read_has_one_view(store: Store) -> None:
    async def work(tx: Tx) -> Roster:
        for one in SAVED:
            await _change(tx, one)
        assert await tx.override(1) == SAVED[0]
        assert await tx.swaps(NOW) == (SAVED[1],)
        assert await tx.methods_of("ada") == (SAVED[2],)
        await tx.save_pages([page("a")])
        assert await tx.pages_of(1) == (page("a"),)
        return await tx.roster(NOW)

    async def look(tx: Tx) -> tuple[Roster, Roster]:
        before = await tx.roster(NOW)
        await changed(store, override(2))
        return before, await tx.roster(NOW)

    saved = await store.write(work)
    assert saved.version == 5
    assert await store.read(look) == (saved, saved)
    assert len((await store.read(lambda tx: tx.roster(NOW))).overrides) == 2


# ------------------------------------------------------------------------------------------------ transactions


async def test_nothing_is_kept_of_a_work_that_fails_after_it_has_changed_the_roster(store: Store) -> None:
    async def fails(tx: Tx) -> None:
        for one in SAVED:
            await _change(tx, one)
        await tx.save_pages([page("a")])
        assert await tx.counter("roster") == 5
        raise ValueError("at the very end")

    with pytest.raises(ValueError, match="at the very end"):
        await store.write(fails)
    assert await store.read(lambda tx: tx.roster(NOW)) == Roster()
    assert await store.read(lambda tx: tx.pages_between(NOW, NOW + DAY)) == ()
    assert await store.read(lambda tx: tx.swap(1)) is None
    assert await store.read(lambda tx: tx.override(1)) is None


@pytest.mark.parametrize("saved", SAVED, ids=lambda one: type(one).__name__)
async def test_the_roster_is_not_changed_in_a_read(store: Store, saved: Any) -> None:
    with pytest.raises(RuntimeError, match="nothing can be written"):
        await store.read(lambda tx: _change(tx, saved))
    with pytest.raises(RuntimeError, match="nothing can be written"):
        await store.read(lambda tx: tx.save_pages([page("a")]))


@pytest.fixture(params=KINDS)
async def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    url = await make_url(request.param, tmp_path)
    one = await open_store(url)
    two = await open_store(url) if request.param == "postgres" else one
    yield one, two
    await one.close()
    await two.close()


async def _one_more(tx: Tx, what: str) -> None:
    """Reads, and writes one more than it has read."""
    if what == "swap":
        asked = await tx.swap(1)
        assert asked is not None
        await tx.save_swap(asked.model_copy(update={"why": asked.why + "x"}))
    elif what == "methods":
        (own,) = await tx.methods_of("ada")
        await tx.save_method(own.model_copy(update={"wrong_codes": own.wrong_codes + 1}))
    else:
        (found,) = (await tx.pages(["a"])).values()
        await tx.save_pages([found.model_copy(update={"answer": found.answer + "x"})])


@pytest.mark.parametrize("what", ["swap", "methods", "pages"])
async def test_who_reads_something_to_change_it_waits_for_who_did_so_before(
    replicas: tuple[Store, Store], what: str
) -> None:
    await changed(replicas[0], swap(1), method("ada", "sms"))
    await sent(replicas[0], page("a"))
    await asyncio.gather(*(replicas[n % 2].write(lambda tx: _one_more(tx, what)) for n in range(30)))
    asked = await replicas[1].read(lambda tx: tx.swap(1))
    (own,) = await replicas[1].read(lambda tx: tx.methods_of("ada"))
    found = await replicas[1].read(lambda tx: tx.pages(["a"]))
    assert asked is not None
    wanted = {"swap": (30, 0, 0), "methods": (0, 30, 0), "pages": (0, 0, 30)}[what]
    assert (len(asked.why), own.wrong_codes, len(found["a"].answer)) == wanted
    assert await replicas[0].read(lambda tx: tx.counter("roster")) == (2 if what == "pages" else 32)


async def test_nobody_enters_more_methods_than_allowed_by_being_quick(replicas: tuple[Store, Store]) -> None:
    async def enter(tx: Tx, key: str) -> None:
        if len(await tx.methods_of("ada")) < 3:
            await tx.save_method(method("ada", key))

    await asyncio.gather(*(replicas[n % 2].write(lambda tx, n=n: enter(tx, f"m{n}")) for n in range(30)))
    assert len(await replicas[1].read(lambda tx: tx.methods_of("ada"))) == 3


async def test_all_who_change_the_same_things_in_different_order_get_through(replicas: tuple[Store, Store]) -> None:
    await changed(replicas[0], swap(1), swap(2), method("ada", "sms"))

    async def swaps_first(tx: Tx) -> None:
        await _one_more(tx, "swap")
        await tx.save_override(override(1))
        await tx.save_override(override(2))
        await _one_more(tx, "methods")

    async def swaps_last(tx: Tx) -> None:
        await _one_more(tx, "methods")
        await tx.save_override(override(2))
        await tx.save_override(override(1))
        await _one_more(tx, "swap")

    await asyncio.gather(*(replicas[n % 2].write(work) for n, work in enumerate((swaps_first, swaps_last) * 8)))
    asked = await replicas[0].read(lambda tx: tx.swap(1))
    (own,) = await replicas[1].read(lambda tx: tx.methods_of("ada"))
    found = await replicas[0].read(lambda tx: tx.roster(NOW))
    assert asked is not None
    assert (len(asked.why), own.wrong_codes, [one.number for one in found.overrides]) == (16, 16, [1, 2])
    assert found.version == 3 + 16 * 4


# ------------------------------------------------------------------------------------------------ forgetting


def incident(number: int, state: State) -> Change:
    change = lifecycle.opened(number, [ALERT], Opening(f"root{number}", {}, "critical", (), Route()), NOW - DAY)
    return Change(change.incident.model_copy(update={"state": state}))


async def test_old_pages_are_forgotten_but_not_those_of_incidents_that_are_not_closed(store: Store) -> None:
    states = dict(enumerate(State, 1))
    await store.write(lambda tx: tx.save(*(incident(number, state) for number, state in states.items())))
    await sent(store, *(page(state, NOW - HOUR, incident_id=number) for number, state in states.items()))
    await sent(store, page("new", incident_id=None), page("none", NOW - HOUR, incident_id=None))
    await sent(store, page("unknown", NOW - MINUTE, incident_id=99))
    assert await store.prune(NOW) == 0
    assert await store.prune_log(NOW, limit=2) == 2
    assert await store.prune_log(NOW, limit=2) == 1
    assert await store.prune_log(NOW, limit=2) == 0
    left = keys(await store.read(lambda tx: tx.pages_between(NOW - DAY, NOW + DAY)))
    assert sorted(left) == sorted([*(state for state in State if state is not State.CLOSED), "new"])


async def test_pages_are_forgotten_the_oldest_first(store: Store) -> None:
    await sent(store, *(page(str(number), NOW - number * MINUTE, incident_id=None) for number in (2, 5, 1, 4, 3)))
    assert await store.prune_log(NOW - MINUTE, limit=3) == 3
    assert keys(await store.read(lambda tx: tx.pages_between(NOW - DAY, NOW + DAY))) == ["2", "1"]


async def test_overrides_swaps_and_methods_that_are_over_are_forgotten(store: Store) -> None:
    overrides = (
        override(1, ends=NOW - SECOND),
        override(2, ends=NOW),
        override(3, NOW + DAY, NOW + 2 * DAY, ended_at=NOW - SECOND),
        override(4, NOW - DAY, NOW - HOUR, ended_at=NOW - 2 * HOUR),
        override(5, ended_at=NOW),
        override(6),
    )
    swaps = (swap(1, NOW - SECOND), swap(2, NOW - SECOND, state="accepted"), swap(3, state="declined"), swap(4))
    methods = (method("ada", "old", removed_at=NOW - SECOND), method("ada", "gone", removed_at=NOW))
    await changed(store, *overrides, *swaps, *methods, method("ada", "sms", NOW - DAY), *CHOSEN, *READ)
    before = await store.read(lambda tx: tx.roster(NOW))
    assert await store.prune(NOW) == 0
    assert await store.prune_log(NOW) == 3 + 2 + 1
    assert await store.read(lambda tx: tx.roster(NOW)) == before, "what counts is not touched, nor is its version"
    left = await store.read(lambda tx: tx.overrides(NOW - DAY, NOW + 3 * DAY))
    assert [one.number for one in left] == [2, 5, 6]
    assert [await store.read(lambda tx, n=n: tx.swap(n)) for n in (1, 2, 3, 4)] == [None, None, *swaps[2:]]
    assert await store.prune_log(NOW + SECOND) == 2 + 1
    assert await store.read(lambda tx: tx.methods_of("ada")) == (method("ada", "sms", NOW - DAY),)


# ------------------------------------------------------------------------------------------------ the database


def _dump(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that is there."""
    return {
        table.name: [tuple(row) for row in conn.execute(text(f"select * from {table.name} order by 1, 2"))]
        for table in metadata.sorted_tables
        if inspect(conn).has_table(table.name)
    }


@pytest.mark.parametrize("kind", SQL_KINDS)
async def test_no_code_can_be_found_in_the_database(kind: str, tmp_path: Path) -> None:
    code = "493817"
    digest = hashlib.sha256(f"salt {code}".encode()).hexdigest().replace(code, "x")
    entered = method("ada", "sms", code_hash=digest, code_until=NOW + MINUTE)
    with pytest.raises(ValueError, match="code"):
        OwnMethod.model_validate({**entered.model_dump(), "code": code}, strict=True, extra="forbid")
    async with opened(kind, tmp_path) as store:
        await changed(store, entered, *SAVED[:2], *SAVED[3:])
        await sent(store, *PAGES)
        dump = await store.read(lambda tx: tx.look(_dump))  # type: ignore[attr-defined]
    assert len(dump["own_methods"]) == 1
    assert digest in str(dump)
    assert code not in str(dump)


def _as_it_was(conn: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """A database of version 0003 with a row in each table that a foreign key or on-call is about."""
    command.upgrade(_config(conn), "0003")
    at = NOW if conn.dialect.name == "postgresql" else "2026-03-01 12:00:00.123456"
    opened_then = incident(3, State.TRIGGERED).incident
    values = {"at": at, "doc": opened_then.model_dump_json(), "group": opened_then.group_key}
    for statement in (
        "insert into counters (name, value) values ('incident', 3)",
        "insert into incidents (id, group_key, state, severity, service, channel_id, opened_at, doc) "
        "values (3, :group, 'triggered', 'critical', '', '', :at, :doc)",
        "insert into timeline (incident_id, seq, at, kind, hash, doc) values (3, 1, :at, 'opened', 'abc', '{}')",
        "insert into outbox (id, key, kind, lane, priority, latest_wins, asked_at, due, payload) "
        "values (1, 'escalate:3', 'escalate', 'incident:3', 0, true, :at, :at, '{}')",
        "insert into silences (number, kind, starts_at, ends_at, doc) values (1, 'silence', :at, null, '{}')",
        "insert into events (id, source, key, at, service, doc) values (1, 'github', '1', :at, '', '{}')",
    ):
        conn.execute(text(statement), values)
    return _dump(conn)


async def _old_sqlite(tmp_path: Path) -> tuple[str, dict[str, Any]]:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as conn:
        before = _as_it_was(conn)
    engine.dispose()
    return url, before


async def _old_postgres(_: Path) -> tuple[str, dict[str, Any]]:
    url = await new_postgres()
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        before = await connection.run_sync(_as_it_was)
    await engine.dispose()
    return url, before


@pytest.mark.parametrize("old", [_old_sqlite, _old_postgres])
async def test_a_database_of_the_version_before_keeps_all_that_it_has(
    tmp_path: Path, old: Callable[[Path], Awaitable[tuple[str, dict[str, Any]]]]
) -> None:
    url, before = await old(tmp_path)
    assert sum(map(len, before.values())) == 6
    await upgrade(url)
    store = await open_store(url)
    new = ("pages", "overrides", "swaps", "own_methods", "preferences", "feeds")
    try:
        after = await store.read(lambda tx: tx.look(_dump))  # type: ignore[attr-defined]
        assert after == {**before, **{name: [] for name in new}}
        assert await store.read(lambda tx: tx.roster(NOW)) == Roster()
        assert await store.read(lambda tx: tx.undelivered(["escalate:3"])) == {"escalate:3"}
        await changed(store, *SAVED)
        await sent(store, page("a", incident_id=3))
        assert (await store.read(lambda tx: tx.roster(NOW))).version == 5
        assert await store.prune_log(NOW + SECOND) == 1, "the event; the page is of an open incident"
    finally:
        await store.close()
