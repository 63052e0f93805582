"""The digest and what is special about an incident, as Slack shows them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain.digest import Digest, Quieted, Still
from bot.domain.quality import RuleQuality
from bot.room import mrkdwn
from bot.room.blocks import Message, characters_in
from bot.room.digest import digest
from bot.room.nature import nature
from tests.room.reading import words
from tests.room.samples import HOSTILE, NOW, incident

DAY = timedelta(days=1)


def made(**update: Any) -> Digest:
    return Digest(NOW - DAY, NOW, **update)


def _shown(message: Message) -> str:
    return words(message).replace("\\n", "\n")


def test_it_tells_what_was_quiet_what_is_held_and_what_is_noise() -> None:
    shown = _shown(
        digest(
            made(
                fired=12,
                incidents=1,
                pages=3,
                quieted=(
                    Quieted("silenced", "silence:1", 9, (("Disk", 8), ("Cpu", 1)), "silence 1 of Ada: new disks", 2),
                ),
                still=(Still("Disk full", "silence 1 of Ada: new disks"),),
                more_still=4,
                noisy=(RuleQuality("am", "Cpu", suggestion="take it out"),),
            )
        )
    )
    assert "Digest: 12 firings, 1 incident, 3 pages" in shown
    assert "• *9* silence 1 of Ada: new disks: Disk (8), Cpu and 2 more alert rules" in shown
    assert "• Disk full: silence 1 of Ada: new disks" in shown
    assert "and 4 more alerts" in shown
    assert "• *Cpu*: take it out" in shown


def test_parts_without_anything_are_left_out() -> None:
    shown = _shown(digest(made(noisy=(RuleQuality("am", "Cpu", suggestion="take it out"),))))
    assert "Kept quiet" not in shown
    assert "held" not in shown.replace("`/incident why held` says what is held now", "")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
def test_whatever_alerts_say_it_stays_within_slacks_limits_and_marks_nobody(text: str) -> None:
    quieted = tuple(Quieted("silenced", f"s:{n}", 1, ((text, 1),) * 10, text, 3) for n in range(40))
    message = digest(
        made(quieted=quieted, still=(Still(text, text),) * 15, noisy=(RuleQuality("am", text, suggestion=text),) * 10)
    )
    assert all(len(block.get("text", {}).get("text", "")) <= mrkdwn.SECTION for block in message.blocks)
    assert characters_in(list(message.blocks)) <= 13_000
    shown = _shown(message)
    assert "<!channel" not in shown
    assert "<@U0ADA" not in shown
    assert "<https://evil" not in shown


# ------------------------------------------------------------------------------------------------ nature


def test_an_ordinary_incident_has_no_peculiarities() -> None:
    assert nature(incident()) == []


def test_a_test_says_so() -> None:
    (told,) = nature(incident(test=True))
    assert "This is a test" in told


@pytest.mark.parametrize(
    ("problems", "last"), [(2, "• p1"), (15, "• p14"), (20, "and 5 more"), (50, "and 35 more at least")]
)
def test_a_storm_lists_its_first_problems_and_how_many_more_there_are(problems: int, last: str) -> None:
    (told,) = nature(incident(storm_at=NOW, problems=tuple(f"p{n}" for n in range(problems))))
    assert told.splitlines()[-1] == last
    assert "paged once" in told


def test_alerts_that_flap_are_named_once_each() -> None:
    (told,) = nature(incident(flapping=("a", "a", "b", "a")))
    assert "*Comes and goes*: a; b. This stays open" in told
    (many,) = nature(incident(flapping=tuple(f"n{n}" for n in range(9))))
    assert "n4 and 4 more. This stays open" in many


def test_what_alerts_are_called_marks_nobody_there() -> None:
    for told in nature(incident(storm_at=NOW, problems=("<!channel>",), flapping=("<@U0ADA>",))):
        assert "<!" not in told
        assert "<@" not in told
