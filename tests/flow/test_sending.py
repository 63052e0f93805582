"""What goes out by a medium beside Slack, and what is kept of its provider's words."""

from __future__ import annotations

import pytest

from bot.domain import alerted
from bot.domain.incident import Incident
from bot.errors import BadInput, GaveUp, TryLater
from tests.flow.paging_house import ADA_SMS, PHONE_ONLY, given, house, opened, pages, shop
from tests.support.clock import START

PAGED = Incident(id=7, title="t", severity="critical", group_key="g", channel_name="c", opened_at=START)
SAID = f"Twilio answered 400 (21211): The To number {ADA_SMS} is not valid"


@pytest.mark.parametrize("error", [BadInput(SAID), GaveUp(SAID), TryLater(SAID, uncertain=True)])
async def test_a_phone_number_in_a_providers_words_is_not_kept_with_the_incident(error: Exception) -> None:
    """The timeline and the pages of an incident are for everybody, and go into the post-mortem."""
    it = house(given(shop(("person:ada",)), {"ada": PHONE_ONLY}))
    it.media["sms"].failures = [error]
    await opened(it)
    await it.wait(minutes=1)
    told = [page.answer for page in await pages(it)] + list(await it.texts())
    assert not any(ADA_SMS in text for text in told)
    assert any("The To number … is not valid" in text for text in told) or isinstance(error, TryLater)


def test_templates_are_told_to_use_what_they_are_given() -> None:
    assert {*alerted.facts(PAGED, "person:ada", "Ada", START), "url", "acknowledge_url"} == set(alerted.NAMES)
