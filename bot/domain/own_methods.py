"""What people may add to reach themselves, and how it is shown to them. Pure; called by flow/contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.domain import asking, codes, contact_told
from bot.domain.contact import Method
from bot.domain.contact_told import OwnWay
from bot.domain.people import Directory, Person
from bot.domain.roster import OwnMethod
from bot.errors import BadInput

OWN_KINDS = ("email", "sms", "call", "push", "chat")  # what has an address of one person's
MOST_OWN = 10


def addressed(directory: Directory, medium: str, address: str) -> tuple[str, str]:
    """The medium's name and the address as it is kept. BadInput for what a person cannot add."""
    able = [name for name, kind in directory.media.items() if kind in OWN_KINDS]
    name = medium.strip().lower()
    if name not in able:
        if not able:
            raise BadInput("No medium beside Slack is set up: see `channels:` in tocsin.yaml.")
        said = f"{name[:40]!r} cannot be added{asking.closest(name[:40], able)}" if name else "Add what?"
        raise BadInput(f"{said} There are: {', '.join(able)}. For example `/oncall contact add {able[0]} …`.")
    return name, _clean(directory.media[name], name, address)


def _clean(kind: str, medium: str, address: str) -> str:
    given = address.strip()
    if kind in ("sms", "call"):
        clean = contact_told.phone_number(given)
        wanted = "a phone number with its country's code, like +4915112345678"
    elif kind == "email":
        clean, wanted = contact_told.email_address(given), "an e-mail address, like ada@example.com"
    else:  # an address on the web would be called by this server on behalf of whoever typed it
        clean = "" if "://" in given or len(given) > 200 or len(given.split()) != 1 else given
        wanted = "an id, without spaces, and no web address"
    if not given.strip():
        raise BadInput(f"Which address? Expected {wanted}.")
    if not clean:
        raise BadInput(f"{given[:60]!r} is nothing that {medium} could reach: expected {wanted}.")
    return clean


def new_method(me: Person, own: Sequence[OwnMethod], medium: str, address: str) -> Method:
    """The same one again when it waits for its code; else one more, under a key that is free."""
    for way in me.ways:
        if (way.medium, way.address) == (medium, address) and way.verified:
            raise BadInput(f"That is among your methods already, as {way.key}.")
    again = next((one for one in own if (one.method.medium, one.method.address) == (medium, address)), None)
    if again is not None:
        return again.method
    if len(own) >= MOST_OWN:
        raise BadInput(f"You have added {len(own)} methods, which is as many as can be; remove one first.")
    taken = {way.key for way in me.ways} | {one.method.key for one in own}
    key = next(key for key in (medium, *(f"{medium}-{n}" for n in range(2, MOST_OWN + 30))) if key not in taken)
    return Method(key=key, medium=medium, address=address, origin="self", verified=False)


def chosen(me: Person, wanted: str, directory: Directory) -> tuple[Method, ...]:
    word = wanted.strip().lower()
    able = [way for way in me.ways if way.verified]
    found = tuple(
        way
        for way in able
        if word in ("", "all", way.key.lower(), way.medium.lower(), directory.media.get(way.medium, ""))
    )
    if found:
        return found
    if not able:
        raise BadInput(f"There is nothing to test. {contact_told.left(me, directory.media)}")
    keys = [way.key for way in able]
    raise BadInput(
        f"You have no verified method {word[:40]!r}{asking.closest(word, keys)} You have: {', '.join(keys)}."
    )


def waits(one: OwnMethod, now: datetime) -> bool:
    return (
        not one.method.verified
        and one.code_until is not None
        and now < one.code_until
        and one.wrong_codes < codes.MOST_WRONG
    )


def shown(way: Method, pending: OwnMethod | None, media: Mapping[str, str], now: datetime) -> OwnWay:
    if way.medium not in media:
        state = "not used: this medium is not set up in tocsin.yaml"
    elif way.verified:
        state = "from oncall.yaml" if way.origin == "file" else "verified"
    elif pending is not None and waits(pending, now):
        state = "not used yet: its code is awaited"
    else:
        state = "not used: its code is too old; add it again"
    return OwnWay(way.key, way.medium, contact_told.masked(media.get(way.medium, ""), way.address), way.origin, state)
