"""Every HTTP medium with the double of its product: a new medium gets the common tests by one entry in MEDIA."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.domain.notice import Notice
from bot.domain.oncall_ports import Medium
from bot.domain.redaction import Redactor
from bot.plugins import discover
from tests.support import media_servers as servers
from tests.support.clock import HandClock

PAGE = Notice(
    key="page:7:1:ada:0",
    purpose="page",
    thread="incident-7",
    incident_id=7,
    subject="INC-7 Checkout fails (critical)",
    body="Checkout answers 500 in eu-1.\nSince 03:00.",
    short="INC-7: Checkout fails",
    severity="critical",
    url="https://slack.example/INC-7",
    acknowledge_url="https://tocsin.example/acknowledge/abc.def",
    acknowledgeable=True,
    facts={"incident": "INC-7", "service": "checkout"},
)


@dataclass(frozen=True)
class SetUp:
    """`params` of its address. `once`: what it sends twice is seen once. `secrets`: what nothing may show."""

    type: str
    make: Callable[[], Any]
    params: Callable[[str], dict[str, Any]]
    secrets: tuple[str, ...]
    address: str = ""
    once: bool = False
    says_again: bool = True


_TEAMS, _DISCORD, _HOOK, _RECEIVER = servers.Teams, servers.Discord, servers.MattermostHook, servers.Receiver
MEDIA: dict[str, SetUp] = {
    "pagerduty": SetUp(
        "pagerduty",
        servers.PagerDuty,
        lambda url: {"routing_key": servers.PagerDuty.KEY, "url": url},
        (servers.PagerDuty.KEY,),
        once=True,
        says_again=False,
    ),
    "opsgenie": SetUp(
        "opsgenie",
        servers.Opsgenie,
        lambda url: {"key": servers.Opsgenie.KEY, "url": url},
        (servers.Opsgenie.KEY,),
        once=True,
        says_again=False,
    ),
    "teams": SetUp(
        "teams",
        _TEAMS,
        lambda url: {"url": f"{url}{_TEAMS.PATH}?{_TEAMS.QUERY}"},
        (_TEAMS.PATH, "teams-signature-AAAABBBB"),
    ),
    "discord": SetUp(
        "discord",
        _DISCORD,
        lambda url: {"url": f"{url}{_DISCORD.PATH}"},
        (_DISCORD.PATH, _DISCORD.PATH.rpartition("/")[2]),
    ),
    "mattermost": SetUp(
        "mattermost", _HOOK, lambda url: {"url": f"{url}{_HOOK.PATH}"}, (_HOOK.PATH, "xjcgeneratedkey4hook9secret")
    ),
    "mattermost-bot": SetUp(
        "mattermost",
        servers.MattermostBot,
        lambda url: {"server": url, "token": servers.MattermostBot.TOKEN, "channel": "c" * 26},
        (servers.MattermostBot.TOKEN,),
        once=True,
        says_again=False,
    ),
    "telegram": SetUp(
        "telegram",
        servers.Telegram,
        lambda url: {"token": servers.Telegram.TOKEN, "url": url},
        (servers.Telegram.TOKEN, "ABC-DEF1234ghIkl-zyx57W2v1u123ew11"),
        address="987654",
    ),
    "pushover": SetUp(
        "pushover",
        servers.Pushover,
        lambda url: {"token": servers.Pushover.TOKEN, "url": url},
        (servers.Pushover.TOKEN,),
        address=servers.Pushover.USER,
    ),
    "ntfy": SetUp(
        "ntfy",
        servers.Ntfy,
        lambda url: {"token": servers.Ntfy.TOKEN, "url": url},
        (servers.Ntfy.TOKEN,),
        address="pages-ada",
        once=True,
        says_again=False,
    ),
    "webhook": SetUp(
        "webhook",
        _RECEIVER,
        lambda url: {"url": f"{url}{_RECEIVER.PATH}", "secrets": [_RECEIVER.SECRET]},
        (_RECEIVER.SECRET, _RECEIVER.PATH),
        once=True,
        says_again=False,
    ),
}


@dataclass
class House:
    """A medium, the product that it talks to, and the clock."""

    medium: Medium
    product: Any
    clock: HandClock
    address: str
    url: str

    async def send(self, notice: Notice = PAGE, *, again: bool = False, address: str | None = None) -> Any:
        return await self.medium.send(notice, self.address if address is None else address, again)


@asynccontextmanager
async def house(
    name: str, product: Any = None, /, *, url: str = "", within: float = 10.0, **more: Any
) -> AsyncIterator[House]:
    """A medium of MEDIA, with further parameters, at its double (or at an address where there is none).

    `within`: seconds that the client waits for an answer.
    """
    set_up = MEDIA[name]
    product = product or set_up.make()
    clock = HandClock()
    async with servers.serving(product) as served, Http(Redactor(), answer_within=within) as http:
        module = discover("channels")[set_up.type]
        params = module.Params.model_validate({**set_up.params(url or served), **more})
        desk = Desk(name=f"my-{name}", http=http, redact=Redactor(), clock=clock)
        yield House(module.Plugin(desk, params), product, clock, set_up.address, served)
