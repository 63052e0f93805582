"""Products that take messages, as far as Tocsin talks to them: each answers as its documentation says, and can be told to fail in every way."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web


@dataclass(frozen=True)
class Request:
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer. `taken`: the message is kept all the same. Without `status`: `hang` for ever, or hang up."""

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    taken: bool = False
    hang: bool = False


class Product:
    """`asked`: every request. `kept`: what somebody would see, by what the product recognises it by. `faults`: used up one by one."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.kept: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.numbers = itertools.count(1)
        self._unnamed = itertools.count(1)

    def take(self, request: Request) -> web.Response:
        raise NotImplementedError

    def keep(self, message: Any, key: str = "") -> str:
        """Under its key, or a new one for a product that recognises nothing."""
        key = key or f"message-{next(self._unnamed)}"
        self.kept[key] = message
        return key

    async def handle(self, incoming: web.Request) -> web.StreamResponse:
        request = Request(
            incoming.rel_url.raw_path, dict(incoming.query), dict(incoming.headers), await incoming.read()
        )
        self.asked.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if fault is None:
            return self.take(request)
        if fault.taken:
            self.take(request)
        if fault.status:
            return web.Response(status=fault.status, text=fault.body, headers=fault.headers)
        if fault.hang:
            await asyncio.Event().wait()
        assert incoming.transport is not None
        incoming.transport.abort()
        return web.Response()


@asynccontextmanager
async def serving(product: Product) -> AsyncIterator[str]:
    """The product on this machine; its address."""
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/{path:.*}", product.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def answered(body: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(
        body, status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


class PagerDuty(Product):
    """https://developer.pagerduty.com/docs/events-api-v2-overview; `states` of alerts by dedup_key."""

    KEY = "e93facc04764012d7bfb002500d5d1a6"

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}

    def take(self, request: Request) -> web.Response:
        event = request.json
        if request.path != "/v2/enqueue":
            return web.Response(status=404)
        if event["routing_key"] != self.KEY:
            return answered(
                {"status": "invalid event", "message": "Event object is invalid", "errors": ["Invalid routing key"]},
                400,
            )
        action, key = event["event_action"], event["dedup_key"]
        if action == "trigger":
            if (
                not {"summary", "source", "severity"} <= set(event["payload"])
                or len(event["payload"]["summary"]) > 1024
            ):
                return answered(
                    {"status": "invalid event", "message": "Event object is invalid", "errors": ["'payload'"]}, 400
                )
            self.keep(event, key)
            self.states.setdefault(key, "triggered")
        elif key in self.states:
            self.states[key] = {"acknowledge": "acknowledged", "resolve": "resolved"}[action]
        return answered({"status": "success", "message": "Event processed", "dedup_key": key}, 202)


class Opsgenie(Product):
    """https://docs.opsgenie.com/docs/alert-api: everything is taken first and carried out later."""

    KEY = "eb243592-faa2-4ba2-a551-1afdf565c889"

    def __init__(self) -> None:
        super().__init__()
        self.states: dict[str, str] = {}

    def take(self, request: Request) -> web.Response:
        if request.headers.get("Authorization") != f"GenieKey {self.KEY}":
            return answered({"message": "Could not authenticate", "took": 0.0, "requestId": "r-0"}, 403)
        parts = request.path.strip("/").split("/")
        if parts == ["v2", "alerts"]:
            alert = request.json
            if len(alert["message"]) > 130:
                return answered({"message": "Request body is not processable.", "errors": {"message": "too long"}}, 422)
            self.keep(alert, alert["alias"])
            self.states.setdefault(alert["alias"], "open")
        else:
            assert request.query["identifierType"] == "alias"
            self.states[unquote(parts[2])] = {"acknowledge": "acknowledged", "close": "closed"}[parts[3]]
        return answered(
            {"result": "Request will be processed", "took": 0.1, "requestId": f"r-{next(self.numbers)}"}, 202
        )


class Teams(Product):
    """A workflow: it starts for everybody who knows the address, and answers before it has posted."""

    PATH = "/workflows/0123456789abcdef0123456789abcdef/triggers/manual/paths/invoke"
    QUERY = "api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=teams-signature-AAAABBBB"

    def take(self, request: Request) -> web.Response:
        if request.query.get("sig") != "teams-signature-AAAABBBB" or request.path != self.PATH:
            error = {
                "code": "DirectApiAuthorizationRequired",
                "message": "The request must be authenticated only by the OAuth scheme.",
            }
            return answered({"error": error}, 401)
        if len(request.body) > 28_000:
            return answered({"error": {"code": "RequestEntityTooLarge", "message": "too large"}}, 413)
        self.keep(request.json["attachments"][0]["content"])
        return web.Response(status=202, headers={"x-ms-workflow-run-id": f"run-{next(self.numbers)}"})


class Discord(Product):
    """https://docs.discord.com/developers/resources/webhook#execute-webhook"""

    PATH = "/api/webhooks/223704706495545344/3d89bb7572e0fb30d8128367b3b1b44fecd1726de135cbe28a41f8b2f777c372"

    def take(self, request: Request) -> web.Response:
        if request.path != self.PATH:
            return answered({"message": "Unknown Webhook", "code": 10015}, 404)
        message = request.json
        embeds = message.get("embeds", [])
        long = units(message.get("content", "")) > 2000 or any(units(one["description"]) > 4096 for one in embeds)
        if long:
            return answered({"message": "Invalid Form Body", "code": 50035, "errors": {"content": "too long"}}, 400)
        self.keep(message)
        return (
            answered({"id": f"10{next(self.numbers):05}", "channel_id": "1"})
            if request.query.get("wait") == "true"
            else web.Response(status=204)
        )


class MattermostHook(Product):
    """https://developers.mattermost.com/integrate/webhooks/incoming/"""

    PATH = "/hooks/xjcgeneratedkey4hook9secret"

    def take(self, request: Request) -> web.Response:
        if request.path != self.PATH:
            error = {"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook.", "status_code": 400}
            return answered(error, 400)
        self.keep(request.json)
        return web.Response(text="ok")


class MattermostBot(Product):
    """POST /api/v4/posts; a pending_post_id that it remembers gives the post that there is."""

    TOKEN = "bot8token8of8mattermost8xx"

    def take(self, request: Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            error = {
                "id": "api.context.session_expired.app_error",
                "message": "Invalid or expired session, please login again.",
            }
            return answered({**error, "status_code": 401}, 401)
        post = request.json
        key = self.keep(post, post["pending_post_id"])
        return answered({"id": f"post{list(self.kept).index(key):022}", **post}, 201)


class Telegram(Product):
    """https://core.telegram.org/bots/api#making-requests"""

    TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"

    def __init__(self) -> None:
        super().__init__()
        self.blocked: set[str] = set()

    def take(self, request: Request) -> web.Response:
        if request.path != f"/bot{self.TOKEN}/sendMessage":
            return answered({"ok": False, "error_code": 401, "description": "Unauthorized"}, 401)
        message = request.json
        if message["chat_id"] in self.blocked:
            return answered(
                {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}, 403
            )
        self.keep(message)
        return answered({"ok": True, "result": {"message_id": next(self.numbers), "text": message["text"]}})


class Pushover(Product):
    """https://pushover.net/api; `ringing`: tags of emergencies."""

    TOKEN, USER = "azGDORePK8gMaC0QOYAMyEEuzJnyUi", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG"

    def __init__(self) -> None:
        super().__init__()
        self.ringing: set[str] = set()

    def take(self, request: Request) -> web.Response:
        form = request.form
        if form["token"] != self.TOKEN:
            return answered(
                {"token": "invalid", "errors": ["application token is invalid"], "status": 0, "request": "q"}, 400
            )
        if request.path.startswith("/1/receipts/cancel_by_tag/"):
            tag = request.path.rpartition("/")[2].removesuffix(".json")
            count = len(self.ringing & {tag})
            self.ringing.discard(tag)
            return answered({"status": 1, "canceled": count, "request": "q"})
        if form["user"] != self.USER:
            errors = ["user identifier is not a valid user, group, or subscribed user key"]
            return answered({"user": "invalid", "errors": errors, "status": 0, "request": "q"}, 400)
        if form["priority"] == "2":
            if not (int(form["retry"]) >= 30 and int(form["expire"]) <= 10800):
                return answered({"errors": ["retry"], "status": 0}, 400)
            self.ringing.add(form["tags"])
        if len(form["message"]) > 1024 or len(form["title"]) > 250 or len(form.get("url", "")) > 512:
            return answered({"message": "too long", "errors": ["message is too long"], "status": 0}, 400)
        self.keep(form)
        receipt = {"receipt": "rLqVuqTRh62UzxtmqiaLzQmVcPgiCy"} if form["priority"] == "2" else {}
        return answered({"status": 1, "request": "647d2300-702c-4b38-8b2f-d56326ae460b", **receipt})


class Ntfy(Product):
    """https://docs.ntfy.sh/publish/#publish-as-json, from 2.16 on; `old`: it knows no sequence_id."""

    TOKEN = "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"

    def __init__(self, *, old: bool = False) -> None:
        super().__init__()
        self.old = old

    def take(self, request: Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return answered(
                {
                    "code": 40301,
                    "http": 403,
                    "error": "forbidden",
                    "link": "https://ntfy.sh/docs/publish/#authentication",
                },
                403,
            )
        message = request.json
        assert len(message["message"].encode()) <= 4096
        key = self.keep(message, "" if self.old else f"{message['topic']}/{message['sequence_id']}")
        return answered({"id": f"id{list(self.kept).index(key)}", "event": "message", "topic": message["topic"]})


class Receiver(Product):
    """A program that takes signed webhooks and knows the ids that it has seen."""

    SECRET = "receiver-secret-0123456789"
    PATH = "/incidents/secret-part-of-the-path"

    def take(self, request: Request) -> web.Response:
        self.keep(request.json, request.headers["X-Tocsin-Id"])
        return web.Response(status=204)


class AnyJson(Product):
    """What Apprise's `json://` talks to."""

    def take(self, request: Request) -> web.Response:
        self.keep(request.json)
        return web.Response(text="ok")


def units(text: str) -> int:
    """As JavaScript counts."""
    return len(text.encode("utf-16-le")) // 2
