"""Whom an event of a calendar means: by the e-mail of an attendee, else by what its title says. Used by calendars."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from icalendar import Event

from bot.domain.naming import clipped, nearest
from bot.domain.people import Person

MOST_ATTENDEES = 50
SEVERAL = re.compile(r"\s*(?:[,;&+/|]|\band\b)\s*", re.IGNORECASE)
BEFORE = re.compile(r"^(?:\s*\[[^\]]{0,80}\])*\s*(?:on[- ]?call\s*[:–-])?\s*", re.IGNORECASE)


class Names:
    """Everybody by every name that a calendar may have for them. Two people with one name are nobody by that name."""

    def __init__(self, people: Mapping[str, Person]) -> None:
        self._emails: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        self._shown: dict[str, str] = {}
        for key, person in people.items():
            if person.email:
                self._emails.setdefault(person.email.casefold(), set()).add(key)
            for name in filter(None, (key, person.name, person.email, person.slack)):
                self._names.setdefault(_plain(name), set()).add(key)
                self._shown[_plain(name)] = name

    def of(self, event: Event) -> tuple[tuple[str, ...], str]:
        """The keys of those whom an event means, and what is doubtful about it, in words (empty: nothing)."""
        attending = self._attending(event)
        if attending:
            return attending, ""
        title = " ".join(str(event.get("SUMMARY", "")).split())[:500]
        if not title:
            return (), "an event without a title and without an attendee that oncall.yaml knows"
        rest = BEFORE.sub("", title)
        whole = self._called(title) or self._called(rest)
        if whole:
            return (whole,), ""
        words = [word for word in SEVERAL.split(rest) if word]
        found = [self._called(word) for word in words]
        unknown = [word for word, key in zip(words, found, strict=True) if not key] or ([] if words else [title])
        keys = tuple(dict.fromkeys(key for key in found if key))
        return keys, self._doubt(title, unknown) if unknown else ""

    def _attending(self, event: Event) -> tuple[str, ...]:
        found = event.get("ATTENDEE", [])
        keys: dict[str, None] = {}
        for attendee in (found if isinstance(found, list) else [found])[:MOST_ATTENDEES]:
            declined = getattr(attendee, "params", {}).get("PARTSTAT", "").upper() == "DECLINED"
            own = self._emails.get(
                re.sub(r"^mailto:", "", str(attendee), flags=re.IGNORECASE).strip().casefold(), set()
            )
            if len(own) == 1 and not declined:
                keys.update(dict.fromkeys(own))
        return tuple(keys)

    def _called(self, name: str) -> str:
        keys = self._names.get(_plain(name), set())
        return next(iter(keys)) if len(keys) == 1 else ""

    def _doubt(self, title: str, unknown: Iterable[str]) -> str:
        said = []
        for word in unknown:
            several = sorted(self._names.get(_plain(word), ()))
            near = f" (that is {' and '.join(several)})" if several else nearest(_plain(word)[:80], self._shown)
            said.append(f"{clipped(word, 60)!r} is nobody in oncall.yaml{near}")
        return f"{clipped(title, 80)!r}: {', '.join(said[:5])}"


def _plain(name: str) -> str:
    """Upper and lower case, spaces, what cannot be seen, and Slack's <@…> around an id do not matter."""
    seen = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    return re.sub(r"^<@([^<>]*)>$", r"\1", seen).casefold()
