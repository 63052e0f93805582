"""What people are told beside pages, and the lines that say who was reached."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain.notice import Notice
from bot.domain.page import Page, PageState
from bot.room import blocks as kit
from bot.room.notices import SHOWN_PAGES, notice, reached
from tests.room.reading import every_button, words
from tests.room.samples import NOW


def told(**update: Any) -> Notice:
    return Notice(
        **{"key": "k", "purpose": "recovery", "subject": "INC-7 is over", "body": "checkout is well", **update}
    )


def page(**update: Any) -> Page:
    given: dict[str, Any] = {
        "key": "page:7:1:0:1:person:ada:sms",
        "target": "person:ada",
        "name": "Ada",
        "medium": "sms",
        "state": PageState.DELIVERED,
        "begun_at": NOW,
        "state_at": NOW + timedelta(minutes=1),
    }
    return Page(**{**given, **update})


@pytest.mark.parametrize(
    ("update", "wanted"),
    [
        ({"purpose": "recovery", "incident_id": 7}, []),
        ({"purpose": "reminder", "incident_id": 7}, [(kit.STILL_AT_IT, "7")]),
        ({"purpose": "summon", "incident_id": 7, "acknowledgeable": True}, [(kit.PAGE_ACK, "7")]),
        ({"purpose": "test", "acknowledgeable": True}, []),
    ],
)
def test_a_notice_has_a_button_only_where_an_answer_is_wanted(
    update: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    found = [(button["action_id"], button["value"]) for button in every_button(notice(told(**update)))]
    assert found == wanted


def test_a_notice_says_what_it_is_at_its_beginning_and_in_the_notification() -> None:
    message = notice(told())
    assert message.text == "✅ INC-7 is over: checkout is well"
    assert "INC-7 is over" in words(message)
    assert "checkout is well" in words(message)


def test_who_was_reached_says_by_what_with_the_answer_of_the_provider() -> None:
    (line,) = reached([page(answer="SM123: delivered", answered_at=NOW)])
    assert line.startswith("✅ *Ada* by sms: arrived ")
    assert line.endswith("(SM123: delivered), and they acknowledged by it")


@pytest.mark.parametrize("state", PageState)
def test_every_state_of_a_page_has_words(state: PageState) -> None:
    assert " *Ada* by sms: " in reached([page(state=state)])[0]


@pytest.mark.parametrize(
    ("purpose", "said"), [("summon", "by sms, asked for by name: "), ("bundle", "by sms, together with others: ")]
)
def test_why_somebody_was_reached_is_said_in_words(purpose: str, said: str) -> None:
    assert said in reached([page(purpose=purpose)])[0]


def test_many_pages_are_shown_as_the_newest_and_a_count() -> None:
    lines = reached([page()] * (SHOWN_PAGES + 5))
    assert lines[0] == "and 5 earlier ones"
    assert len(lines) == SHOWN_PAGES + 1
