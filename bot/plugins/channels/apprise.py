"""Apprise: the hundred services that have no file of their own (Signal, Matrix, Gotify, Rocket.Chat, Zulip, SMS gateways, …), by the address that
Apprise gives them.

*Set-up*: find the service's address at the page below, and give it here in `urls`, by reference, since it carries the credentials. `{address}` in
it stands for a person's address (`signal://localhost:8080/+49111/{address}`). `kind` says what it is, so that severities choose it: push, chat,
email, sms, call, pager.
*Permissions*: those of the service.
*Deduplication*: none. Apprise passes no key on and tells no status code, so every failure may have arrived all the same: a message may come twice,
and the second one says so.
*Acknowledging*: by the link in the message, which opens Tocsin's page (with `server.public_url` and `server.secret`).

With several `urls` a message is sent when one of them took it; those that failed stand in the page's delivery state. Apprise waits for answers by
itself: each message has a thread and a deadline of its own, and five failures in a row stop the medium for half a minute. Where the product has a
file of its own in Tocsin, use that one: it knows status codes, when to come again, and how not to say something twice.

https://appriseit.com/services/
https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import quote

import apprise
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.clients.breaker import Breaker
from bot.clients.desk import Desk
from bot.clients.media_http import Screen
from bot.clients.media_text import AMBER, BLUE, GREEN, GREY, RED, Said, clip, said, unmentioned
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput, GaveUp, TryLater

KIND = "push"
CALLS_BACK = False
PLACE = "{address}"
LONGEST_ADDRESS = 300
MOST_AT_ONCE = 4  # threads of one medium that may hang
BODY = 3000
TYPES = {
    RED: apprise.NotifyType.FAILURE,
    AMBER: apprise.NotifyType.WARNING,
    BLUE: apprise.NotifyType.INFO,
    GREEN: apprise.NotifyType.SUCCESS,
    GREY: apprise.NotifyType.INFO,
}

Kind = Literal["chat", "email", "push", "sms", "call", "pager", "webhook"]


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    urls: Sequence[SecretStr] = Field(
        min_length=1, max_length=10, description="addresses as Apprise writes them, by reference"
    )
    kind: Kind = Field(default="push", description="what it is, so that severities choose it")
    deadline: float = Field(
        default=12.0, ge=1.0, le=60.0, description="seconds until a message without an answer counts as failed"
    )

    @field_validator("urls")
    @classmethod
    def _known(cls, urls: Sequence[SecretStr]) -> Sequence[SecretStr]:
        """Also loads what Apprise has, which takes a moment, before the first page needs it."""
        for number, url in enumerate(urls, start=1):
            text = url.get_secret_value()
            if text and PLACE not in text and apprise.Apprise.instantiate(text, asset=_asset()) is None:
                raise ValueError(f"number {number} is no address that Apprise knows")
        return tuple(urls)


class Plugin:
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self.kind: str = params.kind
        self._desk = desk
        self._deadline = params.deadline
        self._urls = [one.get_secret_value() for one in params.urls]
        self._placed = any(PLACE in url for url in self._urls)
        pieces = [piece for url in self._urls for piece in re.split(r"[/?&=:@,]+", url.partition("://")[2])]
        self._shown = Screen(desk.redact, [*self._urls, *pieces])
        self._breaker = Breaker(f"Apprise ({desk.name})", desk.clock)
        self._hanging = threading.BoundedSemaphore(MOST_AT_ONCE)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        urls = self._addressed(address)
        words = said(notice, self._desk.redact, again=again)
        failure: TryLater
        try:
            with self._breaker.attempt():
                result = await self._in_thread(lambda: self._notify(urls, words))
                return self._receipt(result)
        except TryLater as error:
            failure = error
        raise failure from None

    def _addressed(self, address: str) -> list[str]:
        if address and not self._placed:
            raise BadInput(
                f"Apprise: the addresses of {self._desk.name} in tocsin.yaml have no {PLACE}, so it sends to nobody in particular"
            )
        if self._placed and not 0 < len(address) <= LONGEST_ADDRESS:
            raise BadInput(
                f"Apprise: {self._desk.name} needs a person's address (at most {LONGEST_ADDRESS} characters)"
            )
        return [url.replace(PLACE, quote(address, safe="+")) for url in self._urls]

    def _notify(self, urls: Sequence[str], words: Said) -> apprise.AppriseResult:
        """Runs in the thread."""
        senders = apprise.Apprise(asset=_asset(self._deadline))
        wrong = [number for number, url in enumerate(urls, start=1) if not senders.add(url)]
        if wrong:
            raise GaveUp(
                f"Apprise: number {wrong[0]} of urls of {self._desk.name} in tocsin.yaml is no address that it knows"
            )
        return senders.notify(
            title=unmentioned(words.subject),
            body=unmentioned(clip(words.with_links(), BODY)) or unmentioned(words.subject),
            notify_type=TYPES[words.colour],
            body_format=apprise.NotifyFormat.TEXT,
            timeout=self._deadline,
        )

    def _receipt(self, result: apprise.AppriseResult) -> Receipt:
        """What each service said. A result of which a part failed is falsy, and has arrived all the same."""
        failed = [one.name for one in result if not one]
        if result:
            return Receipt(answer=f"Apprise: {_services(len(result.results))} took it")
        why = self._shown("; ".join(entry.message for entry in result.logs()))
        if failed and len(failed) < len(result.results):
            words = f"Apprise: {len(result.results) - len(failed)} of {_services(len(result.results))} took it; not {', '.join(failed)}"
            return Receipt(answer=self._shown(f"{words}: {why}" if why else words))
        words = f"Apprise ({self._desk.name}): not taken by {', '.join(failed) or 'any service'}"
        raise TryLater(f"{words}: {why}" if why else words, uncertain=True)

    async def _in_thread(self, work: Callable[[], apprise.AppriseResult]) -> apprise.AppriseResult:
        """In a thread that nobody waits for: one that hangs holds up neither the deadline nor the program's end."""
        if not self._hanging.acquire(blocking=False):
            raise TryLater(
                f"Apprise ({self._desk.name}): {MOST_AT_ONCE} messages before this one still wait for an answer", 5.0
            )
        loop = asyncio.get_running_loop()
        done: asyncio.Future[apprise.AppriseResult] = loop.create_future()
        threading.Thread(
            target=self._work, args=(work, loop, done), name=f"apprise-{self._desk.name}", daemon=True
        ).start()
        try:
            async with asyncio.timeout(self._deadline + 1):
                return await done
        except TimeoutError:
            pass
        raise TryLater(f"Apprise ({self._desk.name}): no answer in {self._deadline:g} s", uncertain=True)

    def _work(
        self,
        work: Callable[[], apprise.AppriseResult],
        loop: asyncio.AbstractEventLoop,
        done: asyncio.Future[apprise.AppriseResult],
    ) -> None:
        result: apprise.AppriseResult | None = None
        error: Exception | None = None
        try:
            result = work()
        except GaveUp as refused:
            error = refused
        except Exception as broken:  # any of a hundred services: what it raises says nothing that could be relied upon
            words = self._shown(str(broken) or type(broken).__name__)
            error = TryLater(f"Apprise ({self._desk.name}): {words}", uncertain=True)
        finally:
            self._hanging.release()
        error = error.with_traceback(None) if error else None
        try:
            loop.call_soon_threadsafe(_settle, done, result, error)
        except RuntimeError:  # the program has ended meanwhile
            return


def _settle(
    done: asyncio.Future[apprise.AppriseResult], result: apprise.AppriseResult | None, error: Exception | None
) -> None:
    if done.done():  # nobody waits any more
        return
    if error is not None:
        error.__context__ = None
        done.set_exception(error)
    elif result is not None:
        done.set_result(result)


def _services(count: int) -> str:
    return "1 service" if count == 1 else f"{count} services"


def _asset(deadline: float = 12.0) -> apprise.AppriseAsset:
    """Nothing is kept on disk, nothing is taken from the environment, no service waits for longer than its message may.

    Apprise and what it sends with write addresses into the log of the process: what they say of a failure is in the error, without them.
    """
    own = logging.getLogger("apprise")
    own.setLevel(logging.WARNING)
    own.propagate = False
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    return apprise.AppriseAsset(
        app_id="Tocsin",
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        allow_templates=False,
        service_timeout=deadline,
    )
