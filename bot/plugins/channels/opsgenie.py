"""Opsgenie, as an outgoing pager: for houses that keep it until its support ends (2027-04-05) or use Jira Service Management's alerts.

A page creates an alert, an acknowledgement and a recovery in Tocsin acknowledge and close it.

*Set-up*: in Opsgenie add an *API* integration to the team (*Teams > … > Integrations*), with *Create and Update Access*, and give its key here as
`key`. Accounts in the EU set `region: eu`. `responders` names who is alerted when the integration has no team; an address does the same for one
page (`team:payments`, `user:ada@example.com`, `schedule:shop`, `escalation:shop`).
*Permissions*: the key may create and update alerts; nothing else is needed.
*Deduplication*: yes. `alias` is the incident's thread: while an alert with it is open, a second one is counted on the first. What belongs to no
incident (tests, codes) has its own alias.
*Acknowledging*: in Opsgenie it stays there. To have it back in Tocsin, add the source `opsgenie_webhook`.

Requests are taken (202) and carried out later; the request id in the page's delivery state names them at `GET /v2/alerts/requests/<id>`.

https://docs.opsgenie.com/docs/alert-api
https://docs.opsgenie.com/docs/api-rate-limiting
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.clients.desk import Desk
from bot.clients.media_http import BaseUrl, Outlet
from bot.clients.media_text import clip, said
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "pager"
CALLS_BACK = False
MESSAGE, ALIAS, DESCRIPTION = 130, 512, 15_000
HOSTS = {"us": "https://api.opsgenie.com", "eu": "https://api.eu.opsgenie.com"}
# How a responder is named, by its type: https://docs.opsgenie.com/docs/alert-api#create-alert
RESPONDERS = {"team": "name", "user": "username", "schedule": "name", "escalation": "name"}

Priority = Literal["P1", "P2", "P3", "P4", "P5"]
USUAL: Mapping[str, Priority] = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: SecretStr = Field(description="the key of an API integration, by reference")
    region: Literal["us", "eu"] = Field(default="us", description="where the account is")
    responders: Sequence[str] = Field(
        default=(), max_length=50, description="who is alerted: team:payments, user:ada@example.com"
    )
    priorities: Mapping[str, Priority] = Field(
        default_factory=dict,
        max_length=50,
        description="P1 to P5 by severity; critical P1, error P2, warning P3, info P5",
    )
    url: BaseUrl | None = Field(default=None, description="another address of the API than the region's")

    @field_validator("responders")
    @classmethod
    def _named(cls, responders: Sequence[str]) -> Sequence[str]:
        try:
            return tuple(responders) if [_responder(one) for one in responders] else ()
        except BadInput as error:
            raise ValueError(str(error)) from None


class Plugin:
    kind = KIND
    acknowledged = True

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        self._url = params.url or HOSTS[params.region]
        self._responders = [_responder(one) for one in params.responders]
        key = params.key.get_secret_value()
        self._headers = {"Authorization": f"GenieKey {key}"}
        explain = f"check key and region of {desk.name} in tocsin.yaml: the key of an API integration that may create and update alerts"
        self._outlet = Outlet(desk, "Opsgenie", self._url, secrets=[key], explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        alias = (notice.thread or notice.identity)[:ALIAS]
        action = {"acknowledged": "acknowledge", "recovery": "close"}.get(notice.purpose, "")
        if action:
            url = f"{self._url}/v2/alerts/{quote(alias, safe='')}/{action}?identifierType=alias"
            note = clip(said(notice, self._desk.redact).subject, 1000)
            body: dict[str, Any] = {"source": "Tocsin", "user": "Tocsin", "note": note}
        else:
            url = f"{self._url}/v2/alerts"
            body = self._alert(notice, alias, address)
        answer = await self._outlet.send_json(url, body, self._headers)
        said_so = self._outlet.id(answer, "result") or "request taken"
        return Receipt(
            provider_id=self._outlet.id(answer, "requestId"), answer=f"Opsgenie: {said_so} ({action or 'create'})"
        )

    def _alert(self, notice: Notice, alias: str, address: str) -> dict[str, Any]:
        words = said(notice, self._desk.redact)
        responders = [_responder(address)] if address else self._responders
        return {
            "message": clip(words.subject, MESSAGE),
            "alias": alias,
            "description": clip(words.with_links(), DESCRIPTION),
            "priority": self._priority(notice),
            "source": "Tocsin",
            "entity": words.facts.get("service", ""),
            "tags": ["tocsin", notice.purpose],
            "details": dict(words.facts),
            **({"responders": responders} if responders else {}),
        }

    def _priority(self, notice: Notice) -> Priority:
        """A severity that nobody knows is P1: rather too loud than lost."""
        if notice.severity:
            return (dict(USUAL) | dict(self._params.priorities)).get(notice.severity, "P1")
        return "P1" if notice.purpose in ("page", "bundle", "summon", "alarm") else "P5"


def _responder(text: str) -> dict[str, str]:
    """`team:payments` as Opsgenie names it."""
    type_, _, name = text.partition(":")
    if type_ not in RESPONDERS or not name.strip() or len(name) > 200:
        expected = ", ".join(f"{one}:…" for one in RESPONDERS)
        raise BadInput(f"Opsgenie: {text[:80]!r} is no responder; expected {expected}")
    return {"type": type_, RESPONDERS[type_]: name.strip()}
