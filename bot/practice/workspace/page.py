"""The page at / and what it loads: its own static files, uploaded files, and Markdown files rendered to safe HTML."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from bot.practice.workspace.markdown import to_html
from bot.practice.workspace.render import file_type
from bot.practice.workspace.state import File, State

STATIC = Path(__file__).parent / "static"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: http: https:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """Routes of the page."""

    def __init__(self, state: State) -> None:
        self.state = state

    def add_routes(self, app: web.Application) -> None:
        """Mount the page."""
        app.router.add_get("/", self.index)
        app.router.add_get("/archives/{channel}/{ts}", self.permalink)
        app.router.add_get("/files/{id}/rendered", self.rendered)
        app.router.add_get("/files/{id}/{rest:.*}", self.download)
        app.router.add_static("/static/", STATIC)

    async def index(self, _request: web.Request) -> web.StreamResponse:
        """GET /"""
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        return web.Response(text=(STATIC / "index.html").read_text(), content_type="text/html", headers=headers)

    async def permalink(self, request: web.Request) -> web.StreamResponse:
        """GET /archives/CHANNEL/pTS, as chat.getPermalink gives it: the page, at that message."""
        digits = request.match_info["ts"].removeprefix("p")
        raise web.HTTPFound(f"/#{request.match_info['channel']}/{digits[:-6]}.{digits[-6:]}")

    async def download(self, request: web.Request) -> web.StreamResponse:
        """GET /files/ID/NAME: images to look at, all else to save, so that no upload runs as a page."""
        file = self._file(request)
        mime = file_type(file.name)[1]
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'"}
        if not mime.startswith("image/"):
            headers["Content-Disposition"] = "attachment"
        return web.Response(body=file.content, content_type=mime, headers=headers)

    async def rendered(self, request: web.Request) -> web.StreamResponse:
        """GET /files/ID/rendered: a text file as {title, name, html} or {title, name, text}."""
        file = self._file(request)
        text = file.content.decode(errors="replace")
        body = {"title": file.title or file.name, "name": file.name, "size": len(file.content)}
        is_markdown = file_type(file.name)[0] == "markdown"
        return web.json_response({**body, **({"html": to_html(text)} if is_markdown else {"text": text})})

    def _file(self, request: web.Request) -> File:
        file = self.state.files.get(request.match_info["id"])
        if file is None or not file.completed:
            raise web.HTTPNotFound
        return file
