"""PagerDuty, as an outgoing pager: for houses that keep their phones and schedules there.

A page triggers an alert, an acknowledgement and a recovery in Tocsin acknowledge and resolve it.

*Set-up*: in PagerDuty open the service, *Integrations > Add an integration > Events API V2*, and give the *Integration Key* here as `routing_key`.
A person's or policy's address may be another service's key; without an address it is `routing_key`. Accounts in the EU set `url` to
`https://events.eu.pagerduty.com`.
*Permissions*: none beyond the key, which can only send events to that service.
*Deduplication*: yes. `dedup_key` is the incident's thread, so an answer that was lost and everything that is sent again become the same alert. What
belongs to no incident (tests, codes) has its own key.
*Acknowledging*: in PagerDuty it stays there. To have it back in Tocsin, add the source `pagerduty` (a v3 webhook). An alert that somebody
acknowledged in PagerDuty does not ring again on a later page of the same incident, unless the service there has an acknowledgement timeout: set
one.

https://developer.pagerduty.com/docs/events-api-v2-overview
https://developer.pagerduty.com/docs/send-alert-event
https://github.com/PagerDuty/api-schema/blob/main/reference/events-v2/openapiv3.json
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.clients.desk import Desk
from bot.clients.media_http import BaseUrl, Outlet
from bot.clients.media_text import Said, clip, said
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "pager"
CALLS_BACK = False
SUMMARY = 1024
DEDUP_KEY = 255
_KEY = re.compile(r"[A-Za-z0-9]{20,64}")

Level = Literal["critical", "error", "warning", "info"]
LEVELS: Mapping[str, Level] = {"critical": "critical", "error": "error", "warning": "warning", "info": "info"}


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    routing_key: SecretStr = Field(default=SecretStr(""), description="the integration key of a service, by reference")
    severities: Mapping[str, Level] = Field(
        default_factory=dict, max_length=50, description="severities of this house that PagerDuty does not have"
    )
    url: BaseUrl = Field(default="https://events.pagerduty.com", description="the Events API; another one in the EU")


class Plugin:
    kind = KIND
    acknowledged = True

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        explain = f"check routing_key of {desk.name} in tocsin.yaml"
        secrets = [params.routing_key.get_secret_value()]
        self._outlet = Outlet(desk, "PagerDuty", params.url, secrets=secrets, explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        key = self._key(address)
        action = {"acknowledged": "acknowledge", "recovery": "resolve"}.get(notice.purpose, "trigger")
        event: dict[str, Any] = {"routing_key": key, "event_action": action, "dedup_key": dedup_key(notice)}
        if action == "trigger":
            event |= self._trigger(notice, said(notice, self._desk.redact))
        answer = await self._outlet.send_json(f"{self._params.url}/v2/enqueue", event)
        named = self._outlet.id(answer, "dedup_key") or event["dedup_key"]
        return Receipt(provider_id=named, answer=f"PagerDuty took the event ({action})")

    def _key(self, address: str) -> str:
        key = address or self._params.routing_key.get_secret_value()
        if not _KEY.fullmatch(key):
            whose = "the address" if address else f"routing_key of {self._desk.name} in tocsin.yaml"
            raise BadInput(f"PagerDuty: {whose} is no integration key; expected its 32 letters and digits")
        return key

    def _trigger(self, notice: Notice, words: Said) -> dict[str, Any]:
        return {
            "payload": {
                "summary": clip(words.subject, SUMMARY),
                "source": words.facts.get("service") or "tocsin",
                "severity": self._severity(notice),
                "class": notice.purpose,
                "custom_details": {**words.facts, "details": words.body},
            },
            "client": "Tocsin",
            **({"client_url": notice.url} if any(url == notice.url for _, url in words.links) else {}),
            "links": [{"href": url, "text": text} for text, url in words.links],
        }

    def _severity(self, notice: Notice) -> Level:
        """PagerDuty's four words; one that nobody knows is critical: rather too loud than lost."""
        if notice.severity:
            return (dict(LEVELS) | dict(self._params.severities)).get(notice.severity, "critical")
        return "critical" if notice.purpose in ("page", "bundle", "summon", "alarm") else "info"


def dedup_key(notice: Notice) -> str:
    return (notice.thread or notice.identity)[:DEDUP_KEY]
