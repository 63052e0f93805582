"""Fetches the text of a calendar, from an address that may be a secret or from a file. Used by flow/feeds through app."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.clients.http import Http
from bot.errors import BadInput, TryLater

MOST_BYTES = 1 << 20
ANSWER_WITHIN = 15.0
FILE = "file:"


async def fetched(http: Http, address: str) -> str:
    """The text behind `https://…` or `file:/path`, at most 1 MiB. TryLater and BadInput in words that never hold the address: whoever has that of a
    private calendar can read it."""
    if address.startswith(FILE):
        return await asyncio.to_thread(_read, Path(address.removeprefix(FILE)))
    try:
        reply = await http.request("GET", address, answer_within=ANSWER_WITHIN, most_bytes=MOST_BYTES)
    except TryLater:
        raise TryLater("its address does not answer") from None
    except BadInput:
        raise BadInput(
            f"its address cannot be asked, or answers with more than {MOST_BYTES:,} bytes or with a redirect elsewhere"
        ) from None
    if reply.status == 429 or reply.status >= 500:
        raise TryLater(f"its address answered {reply.status}")
    if reply.status != 200:
        raise BadInput(f"its address answered {reply.status}: is it still shared?")
    return reply.text


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise BadInput(f"{path} is larger than {MOST_BYTES:,} bytes")
    return data.decode("utf-8", errors="replace")
