"""One's own contact methods: listed, added with a code, verified, removed, tested. From Slack, the API or the command line.

A code goes straight to its medium and not through the outbox, where it would be kept in the clear.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bot.domain import asking, codes, contact_told, own_methods
from bot.domain.contact import SLACK, Method
from bot.domain.contact_told import Own, Profile, Tested
from bot.domain.naming import clipped
from bot.domain.notice import Notice
from bot.domain.oncall_ports import Medium
from bot.domain.people import Actor, Directory, Person
from bot.domain.ports import Clock, Redact, Room, Store, Tx
from bot.domain.roster import OwnMethod
from bot.domain.rules import CurrentRules
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.preferences import OwnPreferences
from bot.flow.roster import Rosters

PATIENCE = 15.0  # seconds for one message that somebody waits for
ANSWER = 200
SENT_FOR = timedelta(minutes=10)
TESTS = 3
HOUR = timedelta(hours=1)
CODES_OF_A_PERSON, CODES_TO_AN_ADDRESS = 6, 3  # an hour: nobody is flooded with codes in somebody else's name
log = structlog.get_logger(__name__)


class Profiles(Protocol):
    async def of(self, slack_id: str) -> Profile:
        """What Slack says of a user. GaveUp in words when it refuses."""


@dataclass(frozen=True)
class Senders:
    """By what messages leave at once: the media that are set up beside Slack, and the room for Slack. `patience`: seconds for each."""

    media: Mapping[str, Medium]
    room: Room
    profiles: Profiles
    redact: Redact
    patience: float = PATIENCE


class Contacts:
    """Every function raises BadInput in words for the person, and changes only what is their own. `draw` makes a code and its salt."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rules: CurrentRules,
        rosters: Rosters,
        senders: Senders,
        preferences: OwnPreferences | None = None,
        *,
        draw: Callable[[], tuple[str, str]] = lambda: (
            f"{secrets.randbelow(10**codes.DIGITS):06}",
            secrets.token_hex(8),
        ),
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._rosters = rosters
        self._senders = senders
        self._preferences = preferences or OwnPreferences(store, clock, rules, rosters)
        self._draw = draw

    async def mine(self, actor: Actor) -> Own:
        """What reaches the asker, and by which rules."""

        async def work(tx: Tx) -> Own:
            now = self._clock()
            directory, me = await self._me(tx, actor, now)
            pending = {one.method.key: one for one in await tx.methods_of(me.key) if not one.method.verified}
            quiet = me.quiet
            lines = [
                f"Time zone: {me.zone or 'that of each schedule'}.",
                f"Quiet: {contact_told.said_quiet(quiet.windows, sorted(quiet.severities))}."
                if quiet.windows
                else "Quiet: never.",
                f"Told when it is over: {'yes' if me.recovery else 'no'}.",
            ]
            ways = tuple(own_methods.shown(way, pending.get(way.key), directory.media, now) for way in me.ways)
            return Own(me.name, ways, me.notify, tuple(lines))

        return await self._store.read(work)

    # -------------------------------------------------------------------------------------------- methods

    async def add(self, medium: str, address: str, actor: Actor) -> str:
        """A new method: it is used once the code that is sent to it comes back."""
        code, salt = self._draw()
        kept = await asyncio.to_thread(codes.hashed, code, salt)

        async def work(tx: Tx) -> OwnMethod:
            now = self._clock()
            directory, me = await self._me(tx, actor, now)
            name, clean = own_methods.addressed(directory, medium, address)
            own = await tx.methods_of(me.key)
            method = own_methods.new_method(me, own, name, clean)
            await _within(tx, f"codes:{me.key}", CODES_OF_A_PERSON, HOUR, now, "codes")
            await _within(tx, f"codes-to:{_mark(clean)}", CODES_TO_AN_ADDRESS, HOUR, now, "codes to one address")
            made = OwnMethod(
                person=me.key, method=method, added_at=now, code_hash=kept, code_until=now + codes.GOOD_FOR
            )
            await tx.save_method(made)
            return made

        made = await self._store.write(work)
        await self._send_code(made, code)
        now, kind = self._clock(), self._rules().directory.media.get(made.method.medium, "")
        log.info("contact method added", person=made.person, medium=made.method.medium)
        return contact_told.said_code_sent(made.method, kind, made.code_until or now, now)

    async def _send_code(self, made: OwnMethod, code: str) -> None:
        """Straight to the medium. What certainly did not leave is forgotten again."""
        notice = Notice(
            key=f"code:{made.person}:{made.method.key}:{made.added_at.timestamp():.6f}",
            purpose="code",
            subject=f"Your code for Tocsin is {code}",
            body=f"Write /oncall contact verify {code} in Slack. If you did not ask for it, do nothing.",
            short=f"Tocsin: your code is {code}. In Slack: /oncall contact verify {code}",
            spoken=codes.spoken(code),
        )
        ok, sure, answer = await self._sent(made.method, f"person:{made.person}", notice)
        if ok or not sure:
            return
        removed = made.model_copy(update={"removed_at": self._clock()})
        await self._store.write(lambda tx: tx.save_method(removed))
        raise BadInput(
            f"The code could not be sent by {made.method.medium}: {answer.replace(code, '…')}. Nothing was added."
        )

    async def verify(self, text: str, actor: Actor) -> str:
        """The code came back: the method is used from now on. A wrong one is counted, and five of them end it."""
        code = codes.written(text)
        if not code:
            raise BadInput("A code has six digits: `/oncall contact verify 123456`.")

        async def work(tx: Tx) -> tuple[Method | None, int]:
            now = self._clock()
            _, me = await self._me(tx, actor, now)
            waiting = [one for one in await tx.methods_of(me.key) if own_methods.waits(one, now)]
            if not waiting:
                raise BadInput(
                    "No code waits for you, or it is too old. `/oncall contact add sms +49…` sends a new one."
                )
            # In a thread: comparing is slow on purpose, and the loop has pages to send.
            right = await asyncio.to_thread(lambda: [codes.right(code, one.code_hash) for one in waiting])
            found = next((one for one, fits in zip(waiting, right, strict=True) if fits), None)
            if found is not None:
                method = found.method.model_copy(update={"verified": True})
                await tx.save_method(
                    found.model_copy(update={"method": method, "code_hash": "", "code_until": None, "wrong_codes": 0})
                )
                return method, 0
            counted = [one.model_copy(update={"wrong_codes": one.wrong_codes + 1}) for one in waiting]
            for one in counted:
                await tx.save_method(one)
            return None, codes.MOST_WRONG - min(one.wrong_codes for one in counted)

        method, tries = await self._store.write(work)
        if method is None:  # said after the commit, which holds that it was wrong
            again = f"{tries} tries are left." if tries > 0 else "That was the last try: add it again for a new code."
            raise BadInput(f"That is not the code. {again}")
        return f"{method.key} is verified and used from now on. `/oncall test-me {method.key}` tries it."

    async def remove(self, key: str, actor: Actor) -> str:
        """One that the person added."""

        async def work(tx: Tx) -> str:
            now = self._clock()
            directory, me = await self._me(tx, actor, now)
            own = {one.method.key: one for one in await tx.methods_of(me.key)}
            word = key.strip().lower()
            if word not in own:
                if word in [way.key for way in me.ways]:
                    raise BadInput(f"{word} stands in oncall.yaml; whoever keeps that file can take it out.")
                what = f"You have added no method {word[:40]!r}" if word else "Which method?"
                known = f"You added: {', '.join(own)}." if own else "You have added none."
                raise BadInput(f"{what}{asking.closest(word, own) if word else ''} {known}")
            await tx.save_method(own[word].model_copy(update={"removed_at": now}))
            rest = me.model_copy(update={"methods": tuple(one for one in me.methods if one.key != word)})
            return f"{word} is removed. {contact_told.left(rest, directory.media)}"

        return await self._store.write(work)

    async def take_profile(self, actor: Actor) -> str:
        """E-mail, phone and time zone as Slack has them. No address counts before its code came back: a profile says what somebody typed there."""
        _, me = await self._store.read(lambda tx: self._me(tx, actor, self._clock()))
        if not me.slack:
            raise BadInput("oncall.yaml has no Slack id for you, so there is no profile to look at.")
        profile = await self._senders.profiles.of(me.slack)
        said = []
        if profile.zone and not me.zone:
            said.append(await self._preferences.zone(profile.zone, actor))
        by_kind: dict[str, str] = {}
        for name, kind in self._rules().directory.media.items():
            by_kind.setdefault(kind, name)
        found = (("e-mail address", profile.email, ("email",)), ("phone number", profile.phone, ("sms", "call")))
        for what, address, kinds in found:
            said.append(
                await self._taken(what, address, next((by_kind[one] for one in kinds if one in by_kind), ""), actor)
            )
        return " ".join(said)

    async def _taken(self, what: str, address: str, medium: str, actor: Actor) -> str:
        if not address:
            return f"Your Slack profile shows no {what}."
        if not medium:
            return f"Your {what} cannot be used: no medium for it is set up."
        try:
            return await self.add(medium, address, actor)
        except BadInput as error:
            return f"Your {what} was not taken over: {error}"

    # -------------------------------------------------------------------------------------------- testing

    async def test(self, wanted: str, actor: Actor) -> tuple[Tested, ...]:
        """A test by every verified method of one's own (or by those of that key or medium), all at the same time; what became of each."""

        async def work(tx: Tx) -> tuple[Person, datetime]:
            now = self._clock()
            directory, me = await self._me(tx, actor, now)
            chosen = own_methods.chosen(me, wanted, directory)
            await _within(tx, f"test-me:{me.key}", TESTS, SENT_FOR, now, "tests")
            return me.model_copy(update={"methods": chosen, "slack": ""}), now

        me, now = await self._store.write(work)
        media = self._rules().directory.media
        notice = Notice(
            key=f"test:{me.key}:{now.timestamp():.6f}",
            purpose="test",
            subject="Tocsin: this is only a test",
            body=f"{me.name}, you asked for it with /oncall test-me. A page would reach you this way.",
            short="Tocsin: only a test that you asked for. A page would reach you this way.",
            spoken="This is Tocsin. It is only a test, which you asked for. Nothing has to be done.",
        )
        sent = await asyncio.gather(*(self._sent(way, f"person:{me.key}", notice) for way in me.methods))
        return tuple(
            Tested(way.key, way.medium, contact_told.masked(media.get(way.medium, ""), way.address), ok, answer)
            for way, (ok, _, answer) in zip(me.methods, sent, strict=True)
        )

    async def _sent(self, way: Method, target: str, notice: Notice) -> tuple[bool, bool, str]:
        """(whether it left, whether that is certain, the answer in words). Never raises: one that fails says so beside the others."""
        own = notice.model_copy(update={"key": f"{notice.key}:{way.key}"})
        try:
            async with asyncio.timeout(self._senders.patience):
                if way.medium == SLACK:
                    await self._senders.room.notice(own, target, way.address, False)
                    return True, True, "sent by direct message"
                medium = self._senders.media.get(way.medium)
                if medium is None:
                    return False, True, "not set up in tocsin.yaml"
                receipt = await medium.send(own, way.address, False)
                return True, True, self._answer(receipt.answer) or ("delivered" if receipt.delivered else "sent")
        except TimeoutError:
            return False, False, f"no answer within {self._senders.patience:.0f} s; it may still arrive"
        except TryLater as error:
            return False, not error.uncertain, self._answer(str(error))
        except (BadInput, GaveUp) as error:
            return False, True, self._answer(str(error))
        except Exception as error:
            log.exception("a message to one person failed", medium=way.medium)
            return False, False, f"failed inside Tocsin ({type(error).__name__}), see its log"

    def _answer(self, text: str) -> str:
        return clipped(" ".join(self._senders.redact(text).split()), ANSWER)

    async def _me(self, tx: Tx, actor: Actor, now: datetime) -> tuple[Directory, Person]:
        directory = await self._rosters.directory(tx, self._rules(), now)
        return directory, asking.member(directory, actor)


async def _within(tx: Tx, key: str, most: int, time: timedelta, now: datetime, what: str) -> None:
    """BadInput when this was done so often in that time already."""
    for number in range(most):
        if await tx.once(f"{key}:{number}", now + time, now):
            return
    raise BadInput(f"At most {most} {what} in {round(time / timedelta(minutes=1))} minutes. Try again later.")


def _mark(address: str) -> str:
    return hashlib.sha256(address.lower().encode()).hexdigest()[:16]
