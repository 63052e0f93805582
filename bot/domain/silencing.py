"""What may be asked of silences and maintenance windows, and what follows from making, moving and ending one. Pure; called by flow/silences.

What counts as a silence for everything is Alertmanager's rule (https://prometheus.io/docs/alerting/latest/alertmanager/#silences): at least one
matcher must not match the empty text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from bot.domain import lifecycle
from bot.domain.incident import Change, Incident, State, entered, refreshed
from bot.domain.matching import Matcher, matcher
from bot.domain.people import Actor
from bot.domain.ports import Redact
from bot.domain.silence import SOON, Silence, shown_time
from bot.domain.silence_told import spoken
from bot.domain.windows import Window
from bot.errors import BadInput

Kind = Literal["silence", "maintenance"]
MOST_AT_ONCE = 5000  # that are not over
LONGEST = timedelta(days=400)
MOST_MATCHERS = 50
MOST_WINDOWS = 20
LONGEST_MATCHER = 2000
REASON_LIMIT = 500
AUTHOR_LIMIT = 100
REMINDED_FROM = timedelta(minutes=20)  # a shorter one ends before anybody has forgotten it
EXAMPLE = 'alertname="HighErrorRate",service=~"cart|checkout"'


class NoSuchSilence(BadInput):
    """The one that somebody means is not there."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A silence as somebody asks for it. `lasts` or `ends_at` (not both); without `starts_at`, and with one that is over, from now.

    `incident_id`: made for this incident; without matchers it takes those of its group. `imported_from`: what another system calls it.
    """

    matchers: tuple[str, ...] = ()
    reason: str = ""
    lasts: timedelta | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    kind: Kind = "silence"
    windows: tuple[Window, ...] = ()
    incident_id: int | None = None
    imported_from: str = ""


# ------------------------------------------------------------------------------------------------ what may be asked for


def made(number: int, wish: Wish, author: str, now: datetime) -> Silence:
    """The silence that is wished for. BadInput says what is missing or out of bounds; texts come redacted and clipped."""
    if not wish.reason:
        raise BadInput(f"A {wish.kind} needs a reason: whoever finds it at night must know why.")
    starts, ends = _span(wish, now)
    if len(wish.windows) > MOST_WINDOWS:
        raise BadInput(f"{len(wish.windows)} recurring times are too many; at most {MOST_WINDOWS}.")
    if wish.windows and wish.kind == "silence":
        raise BadInput("A silence does not recur; what does is maintenance: `/incident maintenance MATCHERS every …`.")
    if any(window.endless for window in wish.windows):
        raise BadInput("A recurring time needs days or times of day: `every sat,sun 02:00-04:00 Europe/Berlin`.")
    return Silence(
        number=number,
        kind=wish.kind,
        matchers=wish.matchers,
        author=author,
        reason=wish.reason,
        starts_at=starts,
        ends_at=ends,
        windows=wish.windows,
        created_at=now,
        incident_id=wish.incident_id,
        imported_from=wish.imported_from,
    )


def _span(wish: Wish, now: datetime) -> tuple[datetime, datetime | None]:
    """When it begins and ends, in UTC."""
    starts = max(wish.starts_at or now, now).astimezone(UTC)
    if starts - now > LONGEST:
        raise BadInput(f"It would begin on {shown_time(starts)}; at most {LONGEST.days} days ahead.")
    if wish.lasts is not None and wish.ends_at is not None:
        raise BadInput("Say either how long it lasts or when it ends, not both.")
    if wish.lasts is None and wish.ends_at is None:
        if wish.windows:
            return starts, None
        raise BadInput(f"A {wish.kind} needs an end: how long, like `2h`, or `until 2026-11-22T09:00`.")
    if wish.lasts is not None and not timedelta(0) < wish.lasts <= LONGEST:
        raise BadInput(f"It has to last longer than nothing and at most {LONGEST.days} days.")
    ends = starts + wish.lasts if wish.lasts is not None else (wish.ends_at or now).astimezone(UTC)
    if ends <= now:
        raise BadInput(f"It would have ended already, at {shown_time(ends)}; it is {shown_time(now)} now.")
    if ends <= starts:
        raise BadInput(f"It would end ({shown_time(ends)}) before it begins ({shown_time(starts)}).")
    if ends - starts > LONGEST:
        raise BadInput(f"It would last until {shown_time(ends)}; at most {LONGEST.days} days.")
    return starts, ends


def checked(texts: Iterable[str], redact: Redact) -> tuple[str, ...]:
    """The matchers as they are kept, each once. BadInput for what is none, and for what would match everything."""
    given = list(texts)
    if len(given) > MOST_MATCHERS:
        raise BadInput(f"{len(given)} matchers are too many; at most {MOST_MATCHERS}.")
    found = [_matcher(text, redact) for text in given]
    if not found:
        raise BadInput(f"Which alerts? Wanted matchers, like `{EXAMPLE}`.")
    if all(one.fits("") for one in found):
        shown = ",".join(map(str, found))
        raise BadInput(
            f"{shown} would hide everything, also alerts that have none of these labels. "
            f"At least one matcher must not match the empty text, like `{EXAMPLE}`."
        )
    return tuple(dict.fromkeys(map(str, found)))


def plain(text: str) -> str:
    """Without what no database has a place for."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _matcher(text: str, redact: Redact) -> Matcher:
    if len(text) > LONGEST_MATCHER:
        raise BadInput(f"A matcher of {len(text)} characters is too long; at most {LONGEST_MATCHER}.")
    try:
        found = matcher(plain(text).strip())
    except ValueError as error:
        raise BadInput(f"{error}.") from error
    if redact(found.value) != found.value:
        raise BadInput(
            f"The value for {found.name} looks like a secret. Alerts are kept without theirs, so it would match nothing; leave it out."
        )
    return found


def of_incident(incident: Incident) -> tuple[str, ...]:
    """Matchers for the alerts of an incident's group. BadInput when it has no group that could be named."""
    labels = group_labels(incident.group_key)
    if incident.storm_at is not None:
        why = "is a storm of many different alerts"
    elif incident.group_key.startswith("manual/"):
        why = "was opened by hand and has no alerts"
    elif not labels:
        why = "groups its alerts by no label"
    else:
        return tuple(str(Matcher(name, "=", value)) for name, value in labels.items())
    raise BadInput(f"{incident.ref} {why}, so say which ones are meant: `/incident silence {EXAMPLE} 2h reason`.")


def group_labels(group_key: str) -> dict[str, str]:
    """The labels in a group key (routing.group_key): JSON behind the route's own key, which may have braces as well."""
    at = group_key.find("{")
    while at >= 0:
        try:
            found = json.loads(group_key[at:])
        except ValueError:
            at = group_key.find("{", at + 1)
            continue
        return {str(name): str(value) for name, value in found.items() if value}
    return {}


# ------------------------------------------------------------------------------------------------ moving its end


def moved(silence: Silence, ends_at: datetime, now: datetime) -> Silence:
    """With another end; one that is not in the future ends it now."""
    _must_last(silence, now)
    ends_at = ends_at.astimezone(UTC)
    if ends_at <= now:
        return ended(silence, now)
    if ends_at <= silence.starts_at:
        raise BadInput(f"{silence.ref} begins only at {shown_time(silence.starts_at)}; end it instead.")
    if ends_at - now > LONGEST:
        raise BadInput(f"{silence.ref} would last until {shown_time(ends_at)}; at most {LONGEST.days} days.")
    return silence.model_copy(update={"ends_at": ends_at})


def moved_by(silence: Silence, length: timedelta, now: datetime) -> Silence:
    """Its end so much later; earlier when negative."""
    _must_last(silence, now)
    if silence.ends_at is None:
        raise BadInput(f"{silence.ref} has no end that could be moved; end it when it is over.")
    if abs(length) > LONGEST:
        raise BadInput(f"At most {LONGEST.days} days.")
    return moved(silence, silence.ends_at + length, now)


def ended(silence: Silence, now: datetime) -> Silence:
    """Over from now on; one in the future never begins."""
    _must_last(silence, now)
    return silence.model_copy(update={"ends_at": now, "starts_at": min(silence.starts_at, now)})


def _must_last(silence: Silence, now: datetime) -> None:
    if silence.over(now) and silence.ends_at is not None:
        raise BadInput(f"{silence.ref} ended at {shown_time(silence.ends_at)}; make a new one.")


def remind_at(silence: Silence, now: datetime) -> datetime | None:
    """When to say that it ends soon: SOON before, in the middle of what is left when that is little, never when it is very little."""
    if silence.ends_at is None:
        return None
    left = silence.ends_at - max(now, silence.starts_at)
    if left < REMINDED_FROM:
        return None
    return silence.ends_at - (SOON if left >= 2 * SOON else left / 2)


# ------------------------------------------------------------------------------------------------ what follows for its incident


def silenced(incident: Incident, silence: Silence, actor: Actor, now: datetime) -> Change:
    """Somebody made it for this incident: so somebody has seen it, and nobody else is paged. It stays open until its alerts or people resolve it."""
    text = (
        f"{actor.name} made {silence.ref} for {incident.ref} {spoken(silence, now)}: {silence.reason}. "
        f"It hides {','.join(silence.matchers)}: what begins to fire again meanwhile pages nobody and opens nothing"
    )
    change = refreshed(entered(incident, "silenced", text, now, actor=actor.name, data=_facts(silence)), now)
    if incident.state is not State.TRIGGERED:
        return change
    return change.then(lambda current: lifecycle.acknowledged(current, actor, now))


def silence_moved(incident: Incident, silence: Silence, actor: Actor, now: datetime) -> Change:
    """It ends at another time than it did, or now."""
    what = f"ended {silence.ref}" if silence.over(now) else f"moved the end of {silence.ref}: {spoken(silence, now)}"
    change = entered(incident, "silenced", f"{actor.name} {what}", now, actor=actor.name, data=_facts(silence))
    return refreshed(change, now)


def _facts(silence: Silence) -> dict[str, object]:
    ends = silence.ends_at.isoformat() if silence.ends_at else None
    return {"silence": silence.number, "matchers": list(silence.matchers), "ends_at": ends}
