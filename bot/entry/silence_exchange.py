"""Silences from an Alertmanager and to one, each once however often it is done. Called by `tocsin silence import` and `export`.

What comes from there keeps its id as `imported_from`; what goes there says at the end of its comment which one it is: `(tocsin silence 42)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from bot.clients.alertmanager import Alertmanager, Condition
from bot.clients.alertmanager import Silence as Theirs
from bot.domain.people import Actor
from bot.domain.silence import Silence
from bot.domain.silence_told import TakenOver
from bot.domain.silencing import Wish
from bot.errors import BadInput
from bot.flow.silences import Silences

LARGEST_FILE = 16_000_000
LONGEST_ID = 100
SAME = timedelta(seconds=1)  # Alertmanager keeps milliseconds
NO_COMMENT = "imported from Alertmanager, without a comment"
_MARK = re.compile(r"\(tocsin (silence|maintenance) ([1-9]\d{0,8})\)\s*\Z")


@dataclass(frozen=True, slots=True)
class GivenOut:
    """What became of one of ours: it is `new` there, its end was `moved`, all was the `same`, it was `skipped` or `refused`, and why."""

    ref: str
    outcome: str
    why: str = ""


def read_file(body: bytes) -> list[Theirs]:
    """What `amtool silence query -o json` or /api/v2/silences gives. BadInput."""
    if len(body) > LARGEST_FILE:
        raise BadInput(f"the file is larger than {LARGEST_FILE // 1_000_000} MB")
    try:
        return TypeAdapter(list[Theirs]).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"not a list of silences of Alertmanager's API v2 ({where + ': ' if where else ''}{first['msg']}); "
            "`amtool silence query -o json` writes one"
        ) from error


async def taken_in(silences: Silences, theirs: Sequence[Theirs]) -> list[TakenOver]:
    """Make those that are not over there, with their authors and comments."""
    own = {one.silence.number: one.silence for one in await silences.listing()}
    outcomes: list[TakenOver] = []
    given: list[tuple[Wish, Actor]] = []
    for one in theirs:
        if one.status.state == "expired":
            continue
        mark = _MARK.search(one.comment)
        if mark is not None and int(mark[2]) in own and _same_matchers(own[int(mark[2])], one):
            outcomes.append(TakenOver(one.id, "same", own[int(mark[2])]))
            continue
        try:
            given.append((_wish(one), Actor(id=f"alertmanager:{one.creator}", name=one.creator or "Alertmanager")))
        except (BadInput, OverflowError) as error:
            outcomes.append(TakenOver(one.id, "refused", None, str(error)))
    return [*outcomes, *await silences.take_over(given)]


async def given_out(silences: Silences, alertmanager: Alertmanager) -> list[GivenOut]:
    """Make or bring up to date there what is not over here."""
    there_now, theirs = await alertmanager.silences([])
    known = {
        int(mark[2]): one for one in theirs if one.status.state != "expired" and (mark := _MARK.search(one.comment))
    }
    ids = {one.id for one in theirs}
    outcomes = []
    for listed in await silences.listing():
        silence = listed.silence
        if listed.phase == "expired" or not silence.number:
            continue
        before = known.get(silence.number)
        try:
            outcome, why = await _given(silence, before, alertmanager, there_now, silence.imported_from in ids)
        except BadInput as error:
            outcome, why = "refused", str(error)
        outcomes.append(GivenOut(silence.ref, outcome, why))
    return outcomes


async def _given(
    silence: Silence, before: Theirs | None, alertmanager: Alertmanager, there_now: datetime, came_from_there: bool
) -> tuple[str, str]:
    if silence.windows or silence.ends_at is None:
        return "skipped", "Alertmanager knows no recurring silences and none without an end"
    if came_from_there:
        return "skipped", "it came from there"
    if before is not None and not _same_matchers(silence, before):
        before = None  # of another Tocsin, whose numbers are others
    if before is not None and abs(before.ends - silence.ends_at) < SAME:
        return "same", ""
    await alertmanager.silence(
        [Condition.of(one) for one in silence.compiled],
        before.starts if before is not None else max(silence.starts_at, there_now),
        silence.ends_at,
        f"{silence.reason} (tocsin {silence.kind} {silence.number})",
        silence.author,
        before.id if before is not None else "",
        f"tocsin-silence-{silence.number}",
    )
    return ("moved" if before is not None else "new"), ""


def _same_matchers(silence: Silence, theirs: Theirs) -> bool:
    try:
        return {str(one) for one in silence.compiled} == {str(one.asked()) for one in theirs.matchers}
    except BadInput:
        return False


def _wish(one: Theirs) -> Wish:
    return Wish(
        matchers=tuple(str(each.asked()) for each in one.matchers),
        reason=one.comment.strip() or NO_COMMENT,
        starts_at=one.starts,
        ends_at=one.ends,
        imported_from=one.id[:LONGEST_ID],
    )
