"""The log: one line for each message, so that what was meant to be said can be found when nothing else worked.

*Set-up*: none; it is always there as the medium `log`.
*Permissions*: none.
*Deduplication*: none; a line that is written again says `again`.
*Acknowledging*: not possible.

https://www.structlog.org/en/stable/getting-started.html
"""

from __future__ import annotations

import structlog
from pydantic import BaseModel, ConfigDict

from bot.clients.desk import Desk
from bot.clients.media_text import said
from bot.domain.notice import Notice, Receipt

KIND = "log"
CALLS_BACK = False


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Plugin:
    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._log = structlog.get_logger("notice")

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        words = said(notice, self._desk.redact, linked=False)
        self._log.info(
            words.subject,
            key=notice.key,
            purpose=notice.purpose,
            incident=notice.incident_id,
            severity=notice.severity,
            to=address,
            text=words.short,
            again=again,
        )
        return Receipt(provider_id=notice.key, delivered=True, answer="written to the log")
