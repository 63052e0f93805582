"""Nobody was paged, and somebody asks why: the answer names the silence, its author and its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.program import program

pytestmark = pytest.mark.slow


async def test_a_silenced_alert_pages_nobody_and_says_why_and_pages_when_the_silence_is_over(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        made = await it.command("U0BOB", 'silence alertname="HighErrorRate",service="checkout" 1h replacing the cache')
        assert "silence 1" in made
        told = await it.alert()
        assert (told["outcome"], told["incident"]) == ("silenced", None)
        await it.wait(60, step=10)
        assert it.pages("U0ADA") == it.pages("U0CHEN") == it.pages("U0BOB") == []
        assert it.channels() == []

        held = await it.command("U0ADA", "why held")
        assert "1 firing alert is held" in held
        assert told["fingerprint"][:24] in held
        answer = await it.command("U0ADA", f"why {told['fingerprint']}")
        assert "*silenced*: silence 1 of Bob Kahn until" in answer
        assert "replacing the cache" in answer
        assert "decided by the stage *silenced*" in answer
        assert "No alert is called" in await it.command("U0ADA", "why nothing-like-it")

        await it.wait(3600, step=60)
        assert it.channels() != [], "it still fires, so it pages now"
        after = await it.command("U0ADA", "why", "inc-1")
        assert "*opened*" in after
        assert "*silenced*: silence 1 of Bob Kahn" in after, "and what was before is told as well"
        assert "was paged through Slack" in after
        assert "Nothing is held" in await it.command("U0ADA", "why held")
