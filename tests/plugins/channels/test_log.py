"""The log as a medium: one line that says who was to be told what."""

from __future__ import annotations

from structlog.testing import capture_logs

from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.domain.incident import Incident
from bot.domain.links import Links
from bot.domain.redaction import Redactor
from bot.domain.signing import Signer
from bot.plugins.channels import log
from tests.plugins.channels.set_up import PAGE
from tests.support.clock import START, HandClock


async def test_one_line_is_written_without_secrets_and_line_breaks_in_its_event() -> None:
    plugin = log.Plugin(Desk("log", Http(str), Redactor(), HandClock()), log.Params())
    notice = PAGE.model_copy(update={"subject": "INC-7\npassword=hunter2hunter2 \x1b[31m"})
    with capture_logs() as lines:
        receipt = await plugin.send(notice, "ada", again=True)
    assert lines == [
        {
            "event": "INC-7 password=[redacted: password] [31m",
            "log_level": "info",
            "key": "page:7:1:ada:0",
            "purpose": "page",
            "incident": 7,
            "severity": "critical",
            "to": "ada",
            "text": "INC-7: Checkout fails",
            "again": True,
        }
    ]
    assert receipt.delivered


async def test_the_link_to_acknowledge_by_is_not_logged() -> None:
    """Whoever has it can acknowledge in somebody's name, and a template may have put it into the words."""
    incident = Incident(id=7, title="t", severity="critical", group_key="g", channel_name="c", opened_at=START)
    own = Links("https://t.example.com", Signer("a secret")).acknowledge(incident, "page:7", "person:ada", START)
    plugin = log.Plugin(Desk("log", Http(str), Redactor(), HandClock()), log.Params())
    with capture_logs() as lines:
        await plugin.send(PAGE.model_copy(update={"acknowledge_url": own, "short": f"take it: {own}"}), "", False)
    assert own.rpartition("/")[2] not in str(lines)
