"""Whom and what people mean by the words they write: `me`, `@ada`, `<@U0ADA>`, `Ada`, `shop`. Pure; used by what people do about on-call."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bot.domain.naming import nearest
from bot.domain.people import Actor, Directory, Person
from bot.domain.schedule import Schedule
from bot.errors import BadInput

LONGEST_NAME = 80
NAMES_SHOWN = 12
_MENTION = re.compile(r"<@([A-Z0-9]{2,20})(?:\|[^>]*)?>\Z")
ME = ("me", "myself", "my", "mine")


def member(directory: Directory, actor: Actor) -> Person:
    """The person behind whoever acts. BadInput for somebody whom oncall.yaml does not know: they may look, not change."""
    found = directory.people.get(actor.id)
    if found is not None:
        return found
    slack = actor.id.removeprefix("slack:")
    hint = f" with `slack: {slack}`" if actor.id.startswith("slack:") else ""
    raise BadInput(
        f"You are not among the people of oncall.yaml, so this is not yours to do: ask whoever keeps that file to add you{hint}. "
        "`/oncall now` shows who is on call."
    )


def person(directory: Directory, text: str, actor: Actor | None = None) -> Person:
    """Whom a word means: a key, a mention, a name, or a first name that only one has. BadInput with the nearest."""
    found = maybe_person(directory, text, actor)
    if found is not None:
        return found
    shown = text[:LONGEST_NAME]
    if mention := _MENTION.match(text):
        raise BadInput(
            f"That member of Slack ({mention[1]}) is not among the people of oncall.yaml: ask whoever keeps that file to write "
            f"`slack: {mention[1]}` there, with somebody's name."
        )
    if not text:
        raise BadInput(f"Who? Expected somebody of oncall.yaml, like {listed(directory.people)}.")
    known = [*directory.people, *(one.name for one in directory.people.values())]
    raise BadInput(f"{shown!r} is nobody in oncall.yaml{closest(shown, known)} There are: {listed(directory.people)}.")


def maybe_person(directory: Directory, text: str, actor: Actor | None = None) -> Person | None:
    """Like `person`, None for nobody."""
    word = text.strip()[:LONGEST_NAME]
    if word.lower() in ME and word.lower() not in directory.people and actor is not None:
        return member(directory, actor)
    mention = _MENTION.match(word)
    if mention:
        return next((one for one in directory.people.values() if one.slack == mention[1]), None)
    word = word.removeprefix("@").removeprefix("person:")
    if word in directory.people:
        return directory.people[word]
    low = word.lower()
    whole = [one for one in directory.people.values() if low in (one.key.lower(), one.name.lower())]
    first = [one for one in directory.people.values() if low == one.name.lower().partition(" ")[0]]
    found = whole or first
    return found[0] if len(found) == 1 and low else None


def schedule(directory: Directory, text: str) -> Schedule:
    """The schedule of that name. BadInput with the nearest."""
    found = maybe_schedule(directory, text)
    if found is not None:
        return found
    if not directory.schedules:
        raise BadInput("There are no schedules yet: write them under `schedules:` in oncall.yaml.")
    shown = text[:LONGEST_NAME]
    said = f"There is no schedule {shown!r}{closest(shown, directory.schedules)}" if text else "Which schedule?"
    raise BadInput(f"{said} There are: {listed(directory.schedules)}.")


def maybe_schedule(directory: Directory, text: str) -> Schedule | None:
    word = text.strip()[:LONGEST_NAME].removeprefix("schedule:").removeprefix("rotation:")
    if word in directory.schedules:
        return directory.schedules[word]
    found = [one for key, one in directory.schedules.items() if key.lower() == word.lower()]
    return found[0] if len(found) == 1 else None


def target(directory: Directory, text: str, actor: Actor) -> str:
    """Whom to page: `person:ada`, `schedule:shop` or `group:payments`. A schedule goes before a person of the same name. BadInput."""
    kind, colon, name = text.strip().partition(":")
    if colon and kind in ("channel", "medium"):
        raise BadInput("Page people, a schedule or a group; a channel is told by writing there.")
    word = name if colon and kind in ("person", "schedule", "rotation", "group", "team") else text.strip()
    if kind != "person" and kind != "group" and (found := maybe_schedule(directory, word)) is not None:
        return f"schedule:{found.key}"
    if kind != "person" and word in directory.groups:
        return f"group:{word}"
    if (somebody := maybe_person(directory, word, actor)) is not None:
        return f"person:{somebody.key}"
    known = [*directory.schedules, *directory.groups, *directory.people]
    shown = word[:LONGEST_NAME]
    said = f"{shown!r} is no person, schedule or group{closest(shown, known)}" if word else "Page whom?"
    raise BadInput(
        f"{said} There are: {listed(known)}. For example `/oncall page {known[0] if known else 'ada'} the tills are down`."
    )


def known(directory: Directory, name: str) -> bool:
    """Whether it is a schedule, a group or a person."""
    return (
        name in directory.groups
        or maybe_schedule(directory, name) is not None
        or maybe_person(directory, name) is not None
    )


def closest(wrong: str, known: Iterable[str]) -> str:
    """The end of a sentence about a wrong name: a full stop, or the nearest valid one."""
    return nearest(wrong, known) or "."


def listed(names: Iterable[str]) -> str:
    """The first of them; how many more."""
    given = list(names)
    more = f" and {len(given) - NAMES_SHOWN} more" if len(given) > NAMES_SHOWN else ""
    return (", ".join(given[:NAMES_SHOWN]) or "nobody yet") + more
