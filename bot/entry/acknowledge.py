"""Where the link in a message leads: `/acknowledge/{token}`, a page with one button, for acknowledging without Slack and without JavaScript.

The token is the permission: made by domain/links for one page to one person, signed, good for some days. A GET changes nothing, since mail scanners
and previews follow links; the button sends a POST.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape

import structlog
from aiohttp import web

from bot.domain.alerted import PRIVATE, may_be_told
from bot.domain.incident import Incident, State
from bot.domain.links import ACKNOWLEDGE
from bot.domain.naming import clipped
from bot.domain.ports import Clock
from bot.domain.signing import Signer
from bot.entry import problems
from bot.errors import BadInput, NotSigned, Outdated

LONGEST_TITLE = 300
STYLE = """
:root { color-scheme: light dark; --ink: #1d1c1d; --dim: #616061; --paper: #ffffff; --ground: #f4f4f6; --line: #dddddd; --go: #007a5a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8ea; --dim: #ababad; --paper: #222529; --ground: #1a1d21; --line: #3b3f44; --go: #148567 }
}
* { box-sizing: border-box }
body { margin: 0; padding: 1rem; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 34rem; margin: 8vh auto 0; padding: 1.5rem; background: var(--paper); border: 1px solid var(--line); border-radius: 12px }
h1 { margin: 0 0 .75rem; font-size: 1.35rem; line-height: 1.3; overflow-wrap: anywhere }
p { margin: 0 0 1rem; overflow-wrap: anywhere }
.ref { margin: 0 0 .25rem; color: var(--dim); font-size: .9rem }
.fact { display: inline-block; margin: 0 .35rem .5rem 0; padding: .1rem .65rem; border: 1px solid var(--line); border-radius: 99px; font-size: .9rem }
.critical { background: #b3261e; border-color: #b3261e; color: #ffffff }
.error { background: #c45100; border-color: #c45100; color: #ffffff }
button { width: 100%; margin-top: .75rem; padding: .9rem; border: 0; border-radius: 8px; background: var(--go); color: #ffffff;
  font: 600 1.1rem system-ui, sans-serif; cursor: pointer }
button:focus-visible { outline: 3px solid var(--ink); outline-offset: 2px }
.next { margin: 1.25rem 0 0; color: var(--dim); font-size: .9rem }
code { padding: .05rem .3rem; border-radius: 4px; background: var(--ground); font-size: .95em }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}

log = structlog.get_logger(__name__)


Show = Callable[[int], Awaitable[Incident | None]]
"""An incident as it is now."""
Acknowledge = Callable[[int, str, str], Awaitable[str]]
"""(incident, key of the page, target): whoever was paged (person:ada, channel:ops, medium:teams) has it. In words what became of it; BadInput: why
nothing did. Asked twice it is the same as once."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is answered: `parts` are HTML, escaped already."""

    title: str
    parts: tuple[str, ...]
    status: int = 200
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class AcknowledgePage:
    """The routes. `show` and `acknowledge` are flow's (bot.flow.answers)."""

    signer: Signer
    show: Show
    acknowledge: Acknowledge
    clock: Clock

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/acknowledge/{token}", self._get),  # with HEAD
            web.post("/acknowledge/{token}", self._post),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        return _answered(await self._guarded(request, act=False))

    async def _post(self, request: web.Request) -> web.Response:
        return _answered(await self._guarded(request, act=True))

    async def _guarded(self, request: web.Request, act: bool) -> Page:
        """Every failure as a page; the token stands in the address, so that is never logged."""
        number = 0
        try:
            facts = self.signer.facts(ACKNOWLEDGE, request.match_info["token"], self.clock())
            number = int(facts["incident"])
            incident = await self.show(number)
            if incident is None:
                return _message(f"There is no INC-{number}", "The link may be from another installation.", status=410)
            if not incident.is_open:
                words = "There is nothing left to acknowledge."
                return _message(f"{incident.ref} is {incident.state.value}", words, status=410)
            if not act or incident.state is not State.TRIGGERED:
                return _shown(incident, facts["target"])
            words = await self.acknowledge(number, facts["page"], facts["target"])
            after = await self.show(number)
            taken = after is not None and after.is_open and after.state is not State.TRIGGERED
            return _message("Acknowledged" if taken else "Not acknowledged", words, number, 200 if taken else 409)
        except Exception as error:
            return _failed(error, number)


def _shown(incident: Incident, target: str) -> Page:
    """What `target` may be told of it: of a private one only persons learn more than its number."""
    told = may_be_told(incident, target)
    title = clipped(incident.title if told else PRIVATE, LONGEST_TITLE)
    facts = [incident.severity, incident.state.value, incident.service if told else ""]
    level = incident.severity if incident.severity in ("critical", "error") else ""
    chips = "".join(
        f'<span class="fact{f" {level}" if place == 0 and level else ""}">{escape(fact)}</span>'
        for place, fact in enumerate(facts)
        if fact
    )
    parts = [f'<p class="ref">{escape(incident.ref)}</p>', f"<h1>{escape(title)}</h1>", f"<div>{chips}</div>"]
    if incident.state is State.TRIGGERED:
        parts.append('<form method="post"><button type="submit">Acknowledge</button></form>')
        parts.append('<p class="next">Paging stops, and everybody sees that you are on it.</p>')
    else:
        by = f" by {incident.acknowledged_by}" if incident.acknowledged_by else ""
        parts.append(
            f'<p class="next">It is {escape(incident.state.value)}{escape(by)} already. Nothing is left to do here.</p>'
        )
    return Page(f"{incident.ref}: {title}", tuple(parts))


def _message(title: str, words: str, number: int = 0, status: int = 200) -> Page:
    """A heading, a sentence, and (`number` of the incident) how to go on without this link."""
    parts = [f"<h1>{escape(title)}</h1>", f"<p>{escape(clipped(words, 600))}</p>"]
    if status >= 400 and number:
        parts.append(
            f'<p class="next">Without a link: <code>/incident ack INC-{number}</code> in Slack, '
            f"or <code>tocsin incident ack {number}</code> on the server.</p>"
        )
    return Page(title, tuple(parts), status)


def _failed(error: Exception, number: int) -> Page:
    """400: damaged. 403: not ours. 410: too old. 503: later. What nobody foresaw is logged with an id, and only the id is told."""
    match error:
        case NotSigned():
            return _unusable("This link does not work", error, 403)
        case Outdated():
            return _unusable("This link is too old", error, 410)
        case BadInput() if number:
            return _message("Not acknowledged", str(error), number, 409)
        case BadInput():
            return _unusable("This link is damaged", error, 400)
    refused = problems.refusal(error)
    if refused is not None:
        log.warning("an acknowledgement by link has to come again", incident=number, reason=str(error))
        page = _message(
            "Not now", "Tocsin cannot do this at the moment. Try again in a few seconds.", number, refused.status
        )
        return Page(page.title, page.parts, page.status, refused.headers.get("Retry-After", ""))
    failure = secrets.token_hex(4)
    log.error("an acknowledgement by link failed", id=failure, incident=number, exc_info=error)
    return _message("Something went wrong", f"Tocsin's log has the details under {failure}.", number, 500)


def _unusable(title: str, error: Exception, status: int) -> Page:
    """What is wrong with the link. It names no incident that could be believed."""
    words = str(error)[:1].upper() + str(error)[1:]
    how = (
        '<p class="next">Open the link in the newest message, or acknowledge with <code>/incident ack</code> and the number of the '
        "incident in Slack, or <code>tocsin incident ack</code> and the number on the server.</p>"
    )
    return Page(title, (f"<h1>{escape(title)}</h1>", f"<p>{escape(words)}.</p>", how), status)


def _answered(page: Page) -> web.Response:
    inner = "\n".join(page.parts)
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(page.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{inner}\n</main>\n</body>\n</html>\n"
    )
    headers = {**HEADERS, **({"Retry-After": page.retry_after} if page.retry_after else {})}
    return web.Response(status=page.status, text=text, content_type="text/html", headers=headers)
