"""The log as a medium: one line that says who was to be told what."""

from __future__ import annotations

from structlog.testing import capture_logs

from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.domain.redaction import Redactor
from bot.plugins.channels import log
from tests.plugins.channels.set_up import PAGE
from tests.support.clock import HandClock


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
