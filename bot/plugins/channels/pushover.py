"""Pushover: a push to a person's phones; for what is critical as an emergency, which rings until somebody has it.

*Set-up*: at pushover.net *Create an Application/API Token*, and give it here as `token`. A person's address is their user key (or a delivery
group's key), from the page that they see when they log in.
*Permissions*: none; the token can only send to users whose key is known.
*Deduplication*: none. Pushover takes no key of ours: after an answer that was lost the push may come twice, and the second one says so.
*Acknowledging*: a page carries the link to Tocsin's page (with `server.public_url` and `server.secret`). Pushover's own button only stops the
ringing.

A critical page has priority 2: Pushover repeats it every `retry` until it is acknowledged in the app or `expire` is over. When somebody
acknowledges in Tocsin, or it is over, the repeating is cancelled by the incident's tag, for everybody who got it. Other pages have priority 1, the
rest 0.

https://pushover.net/api
https://pushover.net/api#priority
https://pushover.net/api/receipts
"""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.clients.desk import Desk
from bot.clients.media_http import Answer, BaseUrl, Outlet
from bot.clients.media_text import Said, clip, said
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "push"
CALLS_BACK = False
TITLE, MESSAGE, URL, URL_TITLE = 250, 1024, 512, 100
HIGH, EMERGENCY = 1, 2
_KEY = re.compile(r"[A-Za-z0-9]{20,40}")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: SecretStr = Field(description="the application's API token, by reference")
    user: SecretStr = Field(default=SecretStr(""), description="the user or group key for pages without an address")
    retry: timedelta = Field(
        default=timedelta(minutes=1),
        ge=timedelta(seconds=30),
        le=timedelta(hours=1),
        description="how often an emergency rings again",
    )
    expire: timedelta = Field(
        default=timedelta(hours=1), ge=timedelta(seconds=30), le=timedelta(hours=3), description="for how long it rings"
    )
    emergencies: tuple[str, ...] = Field(
        default=("critical",), max_length=20, description="severities whose pages are emergencies"
    )
    sound: str = Field(
        default="", pattern=r"^[A-Za-z0-9_-]{0,40}$", description="the sound; the person's own when left out"
    )
    url: BaseUrl = Field(default="https://api.pushover.net", description="the API")


class Plugin:
    kind = KIND
    acknowledged = True  # so that an emergency does not go on ringing

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        self._token = params.token.get_secret_value()
        explain = f"check token of {desk.name} in tocsin.yaml"
        own = params.user.get_secret_value()
        self._outlet = Outlet(desk, "Pushover", params.url, secrets=[self._token, own], explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        user = address or self._params.user.get_secret_value()
        if not _KEY.fullmatch(user):
            raise BadInput(
                "Pushover: there is nobody to send to; expected a user or group key (30 letters and digits) as address or as user"
            )
        if notice.purpose in ("acknowledged", "recovery") and notice.thread:
            cancelled = await self._cancel(notice.thread)
            if notice.purpose == "acknowledged":
                return Receipt(answer=cancelled)
        answer = await self._post(
            "/1/messages.json", self._message(notice, said(notice, self._desk.redact, again=again), user)
        )
        receipt = self._outlet.id(answer, "receipt") or self._outlet.id(answer, "request")
        return Receipt(provider_id=receipt, answer="Pushover has queued it")

    async def _cancel(self, thread: str) -> str:
        """Nothing rings any more for this incident, whoever got it. Doing it twice is doing it once."""
        answer = await self._post(f"/1/receipts/cancel_by_tag/{quote(_tag(thread), safe='')}.json", {})
        count = self._outlet.id(answer, "canceled")
        return f"Pushover has stopped ringing ({count} cancelled)" if count else "Pushover has stopped ringing"

    async def _post(self, path: str, form: dict[str, str]) -> Answer:
        body = urlencode({"token": self._token, **form}).encode()
        return await self._outlet.send(f"{self._params.url}{path}", body, FORM, hint=_hint)

    def _message(self, notice: Notice, words: Said, user: str) -> dict[str, str]:
        # There is room for one address of its own; the others stand in the text.
        label, url = next(((label, url) for label, url in words.links if len(url) <= URL), ("", ""))
        rest = "\n".join(f"{text}: {link}" for text, link in words.links if link != url)
        room = MESSAGE - len(rest) - 1 if len(rest) < MESSAGE // 2 else MESSAGE
        message = clip(words.body or words.subject, room)
        form = {
            "user": user,
            "title": clip(words.subject, TITLE),
            "message": f"{message}\n{rest}".strip() if room < MESSAGE else message,
            "priority": str(self._priority(notice, words)),
            **({"url": url, "url_title": clip(label, URL_TITLE)} if url else {}),
            **({"sound": self._params.sound} if self._params.sound else {}),
        }
        if form["priority"] == str(EMERGENCY):
            retry, expire = (int(one.total_seconds()) for one in (self._params.retry, self._params.expire))
            form |= {"retry": str(retry), "expire": str(expire), "tags": _tag(notice.thread or notice.key)}
        return form

    def _priority(self, notice: Notice, words: Said) -> int:
        if not words.urgent:
            return 0
        return (
            EMERGENCY
            if notice.severity in self._params.emergencies and notice.purpose in ("page", "bundle", "summon")
            else HIGH
        )


def _tag(thread: str) -> str:
    """A comma would make two of it."""
    return "tocsin-" + re.sub(r"[^A-Za-z0-9._-]", "-", thread)[:80]


def _hint(answer: Answer) -> str:
    """https://pushover.net/api#limits: over the month's limit nothing goes before the next month, so another medium is better than waiting."""
    if answer.status == 429 and answer.headers.get("x-limit-app-remaining", "").strip() == "0":
        return "the application has used up its messages for this month: buy more, or use another medium"
    if answer.fields.get("user") == "invalid":
        return "the person's user key is wrong, or they have no active device: they look it up at pushover.net"
    if answer.fields.get("token") == "invalid":
        return "check the application's token in tocsin.yaml"
    return ""
