"""Addresses that messages carry: where an incident is, where it is acknowledged without Slack, where a schedule is subscribed to. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.domain.incident import Incident
from bot.domain.signing import Signer

ACKNOWLEDGE = "acknowledge"
CALENDAR = "calendar"
GOOD_FOR = timedelta(days=7)


class Links:
    """`public_url`: how others reach this server, without a slash at the end; empty when nobody outside can, and then there are no such links."""

    def __init__(self, public_url: str, signer: Signer) -> None:
        self._public_url = public_url
        self.signer = signer

    @property
    def able(self) -> bool:
        return bool(self._public_url) and self.signer.able

    def of(self, incident: Incident) -> str:
        """The incident's Slack channel; empty when it has none yet."""
        return f"https://slack.com/app_redirect?channel={incident.channel_id}" if incident.channel_id else ""

    def acknowledge(self, incident: Incident, page_key: str, target: str, now: datetime) -> str:
        """A page with one button (a mail scanner that follows links acknowledges nothing); empty when there is no public address or no secret."""
        if not self.able:
            return ""
        facts = {"incident": str(incident.id), "epoch": str(incident.epoch), "page": page_key, "target": target}
        return f"{self._public_url}/acknowledge/{self.signer.token(ACKNOWLEDGE, facts, now + GOOD_FOR)}"

    def calendar(self, name: str) -> str:
        """Where `schedule/shop` or `person/ada` can be subscribed to as iCalendar; empty as above."""
        if not self.able:
            return ""
        return f"{self._public_url}/calendars/{name}.ics?mark={self.signer.mark(CALENDAR, name)}"
